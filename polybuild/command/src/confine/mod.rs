//! Running what a recipe brings (build steps, programs at their snapshot points) so that it sees its
//! inputs and tools and nothing else of this machine.
//!
//! Two ways, of which the better one that the host offers is taken:
//!
//! - **Namespaces**: a root of its own with the system's programs read-only, the job's folder at
//!   `/build`, an empty network, no other process, no capability ([`namespaces`]).
//! - **Landlock and seccomp**, where namespaces are not allowed: nothing but those files can be
//!   opened, nobody outside can be signalled or traced, and there are no sockets ([`landlock`]).
//!
//! Where neither can be had, nothing runs. Who accepts that says so ([`Wish::Unconfined`]), and it
//! is recorded in what is built.
//!
//! How: this very program is executed again ([`helper`]), because a process that enters namespaces
//! must have one thread. It gets a [`Spec`] on its standard input, which is a socket, and answers
//! there with a [`Report`]. The job gets `/dev/null` instead.
//!
//! Invariants: a job that has ended has left no process; nothing but its scratch folder was
//! writable for it; it never had a descriptor of the builder's but its two output pipes. A builder
//! that runs as root runs no job as root ([`user`]).

mod filter;
mod helper;
mod landlock;
mod namespaces;
mod output;
mod sys;
mod user;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde::{Deserialize, Serialize};

pub(crate) use helper::succeeded;
pub use sys::{hide_memory, inherited, keep_descriptors};

use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    ui::Ui,
};

/// Folders of the system that hold programs and their libraries. Jobs see them read-only.
const SYSTEM: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
];

/// What programs need of `/etc`: where libraries lie, and which of several programs a name means.
const SETTINGS: [&str; 4] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
];

/// Devices that every program may have.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where the job's folder is in a root of its own.
const BUILD: &str = "/build";

/// How jobs are to be confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// By the better way that the host offers.
    #[default]
    Best,
    /// By namespaces or not at all.
    Namespaces,
    /// By Landlock and seccomp or not at all.
    Landlock,
    /// Not confined: as any program that the user starts.
    Unconfined,
}

/// A way of confining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    Namespaces,
    Landlock,
}

/// What to run.
pub(crate) struct Job<'a> {
    /// For messages: "build step `x`".
    pub(crate) what: String,
    /// The folder that belongs to the job. What lies in it is the job's to change but for `bin`.
    pub(crate) folder: &'a Path,
    /// Programs that may lie outside of the system's folders.
    pub(crate) tools: &'a [PathBuf],
    /// Whether it runs polybuild in its turn, which makes roots and namespaces itself.
    pub(crate) nested: bool,
    /// Where everything that it says is kept.
    pub(crate) log: Option<&'a Path>,
    /// The command, once it is known where the folder appears.
    #[allow(clippy::type_complexity, reason = "one use")]
    pub(crate) command: &'a dyn Fn(&Path) -> Words,
}

/// A command line with its environment.
pub(crate) struct Words {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) directory: PathBuf,
}

/// How a job ended.
pub(crate) struct Ended {
    /// Whether it ended well.
    pub(crate) well: bool,
    /// How it ended, in words.
    pub(crate) how: String,
    /// The end of what it wrote to its standard output and error.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// The helper's instructions.
#[derive(Debug, Serialize, Deserialize)]
struct Spec {
    way: Way,
    nested: bool,
    /// The builder's process id: a helper without its builder ends.
    builder: i32,
    /// Whom to become; without it, the job stays the user who builds.
    user: Option<u32>,
    folder: PathBuf,
    tools: Vec<PathBuf>,
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    directory: PathBuf,
}

/// The helper's answer.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    /// The job ran and ended.
    Ended {
        code: Option<i32>,
        signal: Option<i32>,
    },
    /// The host does not offer this way, or not all of it; nothing has run.
    Unavailable(String),
    /// The program could not be started; nothing has run.
    NotStarted(String),
    /// The job ended and left processes that cannot be ended.
    Left(String),
}

/// Once one job could not have namespaces, others need not try.
static NO_NAMESPACES: AtomicBool = AtomicBool::new(false);

/// Runs a job to its end.
pub(crate) fn run(ui: &Ui, wish: Wish, job: &Job<'_>) -> Result<Ended> {
    let log = job.log.map(output::Log::create).transpose()?;
    let log = log.as_ref();
    let ways: &[Way] = match wish {
        Wish::Unconfined => return unconfined(job, log),
        Wish::Namespaces => &[Way::Namespaces],
        Wish::Landlock => &[Way::Landlock],
        Wish::Best if NO_NAMESPACES.load(Ordering::Relaxed) => &[Way::Landlock],
        Wish::Best => &[Way::Namespaces, Way::Landlock],
    };
    let user = user::for_jobs().map_err(|why| refused(job, &[why]))?;
    if let Some(user) = user {
        user::give(job.folder, user)?;
    }
    let mut reasons = Vec::new();
    for &way in ways {
        if way == Way::Landlock && job.nested {
            reasons.push(
                "it runs polybuild in its turn, which needs namespaces of its own".to_owned(),
            );
            continue;
        }
        if way == Way::Landlock
            && user.is_some()
            && let Err(why) = user::reaches(job.folder)
        {
            reasons.push(why);
            continue;
        }
        let (report, ended) = attempt(way, user, job, log)?;
        match report {
            Report::Unavailable(reason) => {
                if way == Way::Namespaces && ways.len() > 1 && !job.nested {
                    NO_NAMESPACES.store(true, Ordering::Relaxed);
                    ui.warn(&format!(
                        "build steps run without namespaces of their own ({reason}); Landlock and \
                         seccomp confine them"
                    ));
                }
                reasons.push(reason);
            }
            Report::Ended { .. } => return Ok(ended),
            Report::NotStarted(error) => {
                return Err(
                    Failure::message(exit::RECIPE, format!("{}: {error}", job.what))
                        .hint("commands of this machine must be listed in the step's `tools`"),
                );
            }
            Report::Left(what) => {
                return Err(Failure::message(
                    exit::RECIPE,
                    format!("{}: {what}", job.what),
                ));
            }
        }
    }
    Err(refused(job, &reasons))
}

fn refused(job: &Job<'_>, reasons: &[String]) -> Failure {
    Failure::message(
        exit::ENVIRONMENT,
        format!(
            "{} was not run, because this machine cannot confine it: {}",
            job.what,
            reasons.join("; ")
        ),
    )
    .hint(
        "allow user namespaces (sysctl user.max_user_namespaces), or build on Linux 6.12 or later \
         with Landlock; `--unconfined-steps` runs recipes that you trust as yourself, and says so \
         in the image",
    )
}

/// Tries one way.
fn attempt(
    way: Way,
    user: Option<u32>,
    job: &Job<'_>,
    log: Option<&output::Log>,
) -> Result<(Report, Ended)> {
    let inside = match way {
        Way::Namespaces => PathBuf::from(BUILD),
        Way::Landlock => job.folder.to_owned(),
    };
    let words = (job.command)(&inside);
    let spec = Spec {
        way,
        nested: job.nested,
        builder: rustix::process::getpid().as_raw_pid(),
        user,
        folder: job.folder.to_owned(),
        tools: job.tools.to_vec(),
        program: words.program,
        arguments: words.arguments,
        environment: words.environment,
        directory: words.directory,
    };
    let text = serde_json::to_vec(&spec).map_err(|error| {
        Failure::message(
            exit::ENVIRONMENT,
            format!("describing {} to its helper: {error}", job.what),
        )
        .hint("folders of the cache and of tools need names in UTF-8")
    })?;
    let ourselves = Path::new("/proc/self/exe");
    let (mut channel, theirs) = UnixStream::pair().doing("making a channel to", ourselves)?;
    let mut child = Command::new(ourselves)
        .arg(helper::WORD)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing("executing", ourselves)?;
    // The pipes are emptied while the job runs: it must not wait for us.
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr, answer) = thread::scope(|scope| {
        let stdout = scope.spawn(move || output::tail(stdout, log));
        let stderr = scope.spawn(move || output::tail(stderr, log));
        let mut answer = Vec::new();
        let talked = channel
            .write_all(&text)
            .and_then(|()| channel.shutdown(Shutdown::Write))
            .and_then(|()| channel.read_to_end(&mut answer));
        let joined = |t: thread::ScopedJoinHandle<'_, Vec<u8>>| t.join().unwrap_or_default();
        (joined(stdout), joined(stderr), talked.map(|_| answer))
    });
    let status = child.wait().doing("waiting for", ourselves)?;
    // A job that could not be started says why before its helper says that it ended.
    let report: Report = answer
        .ok()
        .and_then(|bytes| {
            let mut reports = serde_json::Deserializer::from_slice(&bytes).into_iter();
            reports.next()?.ok()
        })
        .ok_or_else(|| {
            Failure::message(
                exit::ENVIRONMENT,
                format!(
                    "{}: its helper ended without a word ({status})\n{}",
                    job.what,
                    String::from_utf8_lossy(&stderr)
                ),
            )
        })?;
    let (code, signal) = match report {
        Report::Ended { code, signal } => (code, signal),
        _ => (None, None),
    };
    let ended = Ended {
        well: code == Some(0),
        how: match (code, signal) {
            (Some(code), _) => format!("exit status: {code}"),
            (None, Some(signal)) => format!("signal: {signal}"),
            (None, None) => "nothing".into(),
        },
        stdout,
        stderr,
    };
    Ok((report, ended))
}

/// Runs a job as any program of the user's.
fn unconfined(job: &Job<'_>, log: Option<&output::Log>) -> Result<Ended> {
    let words = (job.command)(job.folder);
    let mut command = Command::new(&words.program);
    let mut child = command
        .args(&words.arguments)
        .current_dir(&words.directory)
        .env_clear()
        .envs(&words.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Failure::message(
                exit::RECIPE,
                format!("{}: starting {:?}: {error}", job.what, words.program),
            )
            .hint("commands of this machine must be listed in the step's `tools`")
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = thread::scope(|scope| {
        let stdout = scope.spawn(move || output::tail(stdout, log));
        let stderr = output::tail(stderr, log);
        (stdout.join().unwrap_or_default(), stderr)
    });
    let status = child.wait().doing("waiting for", &words.program)?;
    Ok(Ended {
        well: status.success(),
        how: status.to_string(),
        stdout,
        stderr,
    })
}

/// How a job can name a tool: as it was found, if jobs see that place; else the file itself, without
/// the links that lead to it.
pub(crate) fn visible(tool: &Path) -> std::io::Result<PathBuf> {
    let real = tool.canonicalize()?;
    Ok(match is_systems(tool) && is_systems(&real) {
        true => tool.to_owned(),
        false => real,
    })
}

/// A tool that is not ours and of which jobs see one file alone.
pub(crate) fn partly_visible(tools: &[PathBuf]) -> Option<&Path> {
    let ours = std::env::current_exe().ok();
    let ours = ours.as_deref().and_then(Path::parent);
    tools
        .iter()
        .map(PathBuf::as_path)
        .find(|tool| !is_systems(tool) && tool.parent() != ours)
}

/// Whether a file is one that every job sees because of where it lies.
fn is_systems(path: &Path) -> bool {
    SYSTEM.iter().any(|folder| path.starts_with(folder))
}
