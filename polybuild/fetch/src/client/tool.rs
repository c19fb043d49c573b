//! One run of one client: found in the caller's `PATH`, watched, its words kept for the error.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::Job;
use crate::error::{FetchError, io};

/// A client program.
pub(super) struct Tool {
    /// Names under which it may be installed, the first being the one shown.
    pub(super) names: &'static [&'static str],
    /// Debian package that has it.
    pub(super) package: &'static str,
}

/// How often a running client is looked at. The first looks are closer together.
const POLL: Duration = Duration::from_millis(100);

/// How much of what a client said is kept for an error, in bytes.
const WORDS: u64 = 4096;

/// How much of a client's result is read, in bytes.
const RESULT: u64 = 64 << 20;

/// Parts of messages by which clients say that they found no network.
const NO_NETWORK: &[&str] = &[
    // glibc's resolver, through apt, curl and cargo.
    "Temporary failure resolving",
    "Temporary failure in name resolution",
    "Could not resolve",
    "Couldn't resolve",
    "Name or service not known",
    "Connection refused",
    "Network is unreachable",
    "Could not connect",
    "Couldn't connect",
    "Failed to connect",
    "Connection timed out",
    "Timeout was reached",
    // npm.
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ENETUNREACH",
    "ETIMEDOUT",
    // pip.
    "Failed to establish a new connection",
    "NewConnectionError",
    // cargo.
    "spurious network error",
];

impl Tool {
    fn shown(&self) -> &'static str {
        self.names.first().copied().unwrap_or("?")
    }

    fn find(&self, job: &Job<'_>) -> Result<PathBuf, FetchError> {
        let search = &job.options.search_path;
        self.names
            .iter()
            .find_map(|name| find_in(search, name))
            .ok_or_else(|| FetchError::MissingTool {
                url: job.request.url.to_string(),
                tool: self.shown(),
                package: self.package,
            })
    }

    /// Runs it in the work folder and returns its standard output. Reports the growth of the work
    /// folder as progress.
    pub(super) fn run<A: AsRef<OsStr>>(
        &self,
        job: &Job<'_>,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &OsStr)],
    ) -> Result<String, FetchError> {
        self.run_for(job, args, env, &job.guard.work, |_| None)
    }

    /// The same in another folder.
    pub(super) fn run_in<A: AsRef<OsStr>>(
        &self,
        job: &Job<'_>,
        folder: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, FetchError> {
        self.run_for(job, args, &[], folder, |_| None)
    }

    /// The same. Where it fails with words of which `answer` makes something, that is the result: some
    /// clients tell what is wanted only in an error.
    pub(super) fn run_for<A: AsRef<OsStr>>(
        &self,
        job: &Job<'_>,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &OsStr)],
        folder: &Path,
        answer: impl Fn(&str) -> Option<String>,
    ) -> Result<String, FetchError> {
        let work = &job.guard.work;
        let file = |name: &str| {
            let path = work.join(name);
            File::options()
                .create(true)
                .truncate(true)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(io("create", path))
        };
        let (mut out, mut err) = (file(".stdout")?, file(".stderr")?);
        let path = self.find(job)?;
        let clone = |f: &File| f.try_clone().map_err(io("open", work));
        let child = Command::new(&path)
            .args(args)
            .current_dir(folder)
            .env("PATH", &job.options.search_path)
            .env("LC_ALL", "C.UTF-8")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(clone(&out)?)
            .stderr(clone(&err)?)
            .spawn()
            .map_err(io("run", &path))?;
        let status = watch(child, job).map_err(io("wait for", &path))?;
        if !status.success() {
            let words = last_words(&mut err).map_err(io("read", work))?;
            if let Some(answer) = answer(&words) {
                return Ok(answer);
            }
            let url = job.request.url.to_string();
            let tool = self.shown();
            return Err(if NO_NETWORK.iter().any(|w| words.contains(w)) {
                FetchError::Network { url, tool, words }
            } else {
                let status = status.to_string();
                FetchError::Client {
                    url,
                    tool,
                    status,
                    words,
                }
            });
        }
        let mut text = Vec::new();
        out.rewind()
            .and_then(|()| out.take(RESULT).read_to_end(&mut text))
            .map_err(io("read", work))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn find_in(search_path: &OsString, name: &str) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        // An empty or relative part would mean the current folder: never run what lies there.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| {
            fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

fn watch(mut child: Child, job: &Job<'_>) -> std::io::Result<std::process::ExitStatus> {
    let total = job
        .request
        .pin
        .as_ref()
        .map(|p| p.size)
        .filter(|size| *size > 0);
    let mut pause = Duration::from_millis(5);
    let mut last = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(POLL);
        let done = size_of(&job.guard.work);
        if done != last {
            last = done;
            let done = total.map_or(done, |t| done.min(t));
            job.progress.bytes(&job.request.id, done, total);
        }
    }
}

/// Bytes in all files of a folder that somebody is writing to; what vanishes counts nothing.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|e| !e.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => size_of(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The end of what was written, from the start of a line.
fn last_words(file: &mut File) -> std::io::Result<String> {
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(WORDS)))?;
    let mut bytes = Vec::new();
    file.take(WORDS).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = match (len > WORDS, text.split_once('\n')) {
        (true, Some((_, rest))) => rest,
        _ => &text,
    };
    Ok(match text.trim() {
        "" => "(nothing)".into(),
        text => text.into(),
    })
}
