//! `debian:` and `debian-source:` through apt-get, with a configuration of our own.
//!
//! The suite wanted need not be the machine's, so the machine's sources list cannot be used as it
//! is. Which mirror to use is asked from the machine's own apt at run time, and a private sources
//! list names the wanted suite on it. Signatures are checked as always, against the machine's
//! Debian keyring.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{Arrived, Job, tool::Tool};
use crate::{
    cache::Lock,
    error::{FetchError, io},
    package::Listed,
};

const APT_GET: Tool = Tool {
    names: &["apt-get"],
    package: "apt",
};

const APT_CACHE: Tool = Tool {
    names: &["apt-cache"],
    package: "apt",
};

/// Debian's own keyring; without it apt falls back to the keys that the machine trusts.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A binary package.
pub(super) fn binary(
    job: &Job<'_>,
    name: &str,
    version: Option<String>,
    suite: &str,
    arch: &str,
) -> Result<Arrived, FetchError> {
    let config = Config::new(job, suite, arch)?;
    let package = with_version(name, version);
    config.apt_get(job, &["download", "--quiet", "--", &package])?;
    let file = job.only_file("apt-get", &[".deb"])?;
    // NAME_VERSION_ARCH.deb, a colon in the version written as `%3a`.
    let version = file_version(&file, '_', 1)
        .ok_or_else(|| job.unexpected("apt-get", "brought a package without a version"))?;
    Ok(Arrived {
        file,
        version,
        registry: None,
        resumed: false,
    })
}

fn with_version(name: &str, version: Option<String>) -> String {
    match version {
        Some(version) => format!("{name}={version}"),
        None => name.to_owned(),
    }
}

fn file_version(file: &Path, separator: char, position: usize) -> Option<String> {
    let name = file.file_name()?.to_string_lossy();
    let version = name.split(separator).nth(position)?;
    Some(version.replace("%3a", ":"))
}

/// A private apt: lists and state of one suite and architecture, kept in the cache.
struct Config {
    file: PathBuf,
    /// Held while apt uses the folder: apt itself would fail instead of waiting.
    _lock: Lock,
}

impl Config {
    /// Makes one and fetches the suite's package lists, if they are new.
    fn new(job: &Job<'_>, suite: &str, arch: &str) -> Result<Config, FetchError> {
        let folder = job.cache.folder(&format!("apt/{suite}-{arch}"))?;
        let folder = fs::canonicalize(&folder).map_err(io("find", &folder))?;
        let lock_path = folder.join("lock");
        let lock = Lock::wait(&lock_path)?;
        for name in ["state", "lists/partial", "cache/archives/partial"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).map_err(io("create", path))?;
        }
        let mirror = mirror(job, suite)?;
        let signed_by = match Path::new(KEYRING).exists() {
            true => format!(" [signed-by={KEYRING}]"),
            false => String::new(),
        };
        let sources = format!(
            "deb{signed_by} {mirror} {suite} main\ndeb-src{signed_by} {mirror} {suite} main\n"
        );
        let shown = folder.display();
        // The machine's own configuration (proxies, credentials) stays in force; only lists, state,
        // sources and pins are ours. Besides: no translations; no helper user, to which apt would
        // drop as root and which cannot write here; and lists past their date, as old suites have,
        // are accepted, because the lock file pins the content.
        let config = format!(
            "Dir::Etc::sourcelist \"{shown}/sources.list\";\nDir::Etc::sourceparts \"-\";\n\
             Dir::Etc::preferences \"-\";\nDir::Etc::preferencesparts \"-\";\n\
             Dir::State \"{shown}/state\";\nDir::State::lists \"{shown}/lists\";\n\
             Dir::State::status \"{shown}/state/status\";\nDir::Cache \"{shown}/cache\";\n\
             APT::Architecture \"{arch}\";\nAPT::Architectures {{ \"{arch}\"; }};\n\
             APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n\
             Acquire::Check-Valid-Until \"false\";\n"
        );
        let file = folder.join("apt.conf");
        for (path, text) in [
            (folder.join("sources.list"), sources),
            (folder.join("state/status"), String::new()),
            (file.clone(), config),
        ] {
            fs::write(&path, text).map_err(io("write", path))?;
        }
        let config = Config { file, _lock: lock };
        // `apt-get update` succeeds with a warning when it reaches nothing, unless told otherwise.
        config.apt_get(job, &["update", "--quiet", "--error-on=any"])?;
        Ok(config)
    }

    /// The newest version of a source package. apt names the file with the description of the source
    /// that it would take, the index has the version to it.
    fn newest_source(&self, job: &Job<'_>, name: &str) -> Result<String, FetchError> {
        let args = [
            "source",
            "--print-uris",
            "--only-source",
            "--dsc-only",
            "-qq",
            "--",
            name,
        ];
        let uris = self.apt_get(job, &args)?;
        let index = self.index(job, name)?;
        source_version(&uris, &index)
            .ok_or_else(|| job.unexpected("apt-get", "named a source package without a version"))
    }

    /// What the index has of a source package: a paragraph for each version.
    fn index(&self, job: &Job<'_>, name: &str) -> Result<String, FetchError> {
        let config: &OsStr = self.file.as_os_str();
        let args = ["showsrc", "--only-source", "--", name];
        APT_CACHE.run(job, args, &[("APT_CONFIG", config)])
    }

    fn apt_get(&self, job: &Job<'_>, args: &[&str]) -> Result<String, FetchError> {
        let config: &OsStr = self.file.as_os_str();
        APT_GET.run(job, args, &[("APT_CONFIG", config)])
    }
}

/// A suite's source packages.
pub(crate) struct Suite {
    config: Config,
    security: bool,
    seen: String,
    /// The suite's signed index, which apt has checked: `Release`, or `InRelease`.
    release: String,
}

impl Suite {
    /// Fetches the suite's lists, if they are new.
    pub(crate) fn open(job: &Job<'_>, suite: &str) -> Result<Suite, FetchError> {
        // The architecture decides nothing about sources; apt wants one.
        let config = Config::new(job, suite, "amd64")?;
        let lists = config.file.with_file_name("lists");
        let entries = fs::read_dir(&lists).map_err(io("read", &lists))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        files.sort();
        let ends = [
            format!("_dists_{suite}_InRelease"),
            format!("_dists_{suite}_Release"),
        ];
        let release = files.iter().find(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            ends.iter().any(|end| name.ends_with(end))
        });
        let release = match release {
            Some(file) => fs::read_to_string(file).map_err(io("read", file))?,
            None => String::new(),
        };
        Ok(Suite {
            config,
            security: suite.ends_with("-security"),
            seen: snapshot_time(&release).unwrap_or_default(),
            release,
        })
    }

    /// Every version of a source package that the index has.
    pub(crate) fn list(&self, job: &Job<'_>, name: &str) -> Result<Vec<Listed>, FetchError> {
        let index = self.config.index(job, name)?;
        Ok(index.split("\n\n").filter_map(Listed::parse).collect())
    }

    /// The newest version of a source package. apt names the file with the description of the source
    /// that it would take, the index has the version to it.
    pub(crate) fn newest_source(&self, job: &Job<'_>, name: &str) -> Result<String, FetchError> {
        self.config.newest_source(job, name)
    }

    /// Downloads the files of a version into the work folder, all or the upstream archives alone.
    /// Files that are missing are no error; what is said of them is returned.
    pub(crate) fn download(
        &self,
        job: &Job<'_>,
        name: &str,
        version: &str,
        all: bool,
    ) -> Result<String, FetchError> {
        let package = with_version(name, Some(version.to_owned()));
        let mut args = vec!["source", "--download-only", "--only-source", "--quiet"];
        if !all {
            args.push("--tar-only");
        }
        args.extend(["--", &package]);
        match self.config.apt_get(job, &args) {
            Ok(_) => Ok(String::new()),
            Err(FetchError::Client { words, .. }) => Ok(format!("`apt-get` said: {words}")),
            Err(other) => Err(other),
        }
    }

    /// When the archive had what the index lists, `20261121T091544Z`; empty if it does not say.
    pub(crate) fn seen(&self) -> &str {
        &self.seen
    }

    /// The archive of snapshots that the index names.
    pub(crate) fn snapshots(&self) -> Option<String> {
        let field = release_field(&self.release, "Snapshots")?;
        let web = field.starts_with("https://") || field.starts_with("http://");
        web.then(|| field.to_owned())
    }

    /// What archives of snapshots call the archive.
    pub(crate) fn archive(&self) -> &'static str {
        match self.security {
            true => "debian-security",
            false => "debian",
        }
    }
}

fn release_field<'a>(release: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = release.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// `20261121T091544Z` from the date of an index, `Sat, 21 Nov 2026 09:15:44 UTC`.
fn snapshot_time(release: &str) -> Option<String> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let date = release_field(release, "Date")?;
    let mut words = date.split_once(", ")?.1.split(' ');
    let number = |text: &str, len| {
        let ok = text.len() <= len && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        ok.then(|| format!("{text:0>len$}"))
    };
    let day = number(words.next()?, 2)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|m| *m == month)? + 1;
    let year = number(words.next()?, 4)?;
    let mut time = words.next()?.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    Some(format!("{year}{month:02}{day}T{hour}{minute}{second}Z"))
}

/// Address of the Debian archive that this machine's apt uses: the security archive for security
/// suites, the main one for others.
fn mirror(job: &Job<'_>, suite: &str) -> Result<String, FetchError> {
    let args = [
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI)",
    ];
    let listed = APT_GET.run(job, args, &[])?;
    let security = suite.ends_with("-security");
    pick_mirror(&listed, security).ok_or_else(|| {
        job.unexpected(
            "apt-get",
            "has no Debian archive among its sources, from which the mirror to use is taken",
        )
    })
}

/// The version of the source package whose `.dsc` is among `uris` (`'ADDRESS' NAME SIZE DIGEST`, a line
/// each), from the paragraphs of an index.
fn source_version(uris: &str, index: &str) -> Option<String> {
    let dsc = uris
        .split_whitespace()
        .find(|word| word.ends_with(".dsc") && !word.starts_with('\''))?;
    let mut paragraphs = index.split("\n\n");
    let paragraph = paragraphs.find(|p| p.split_whitespace().any(|word| word == dsc))?;
    paragraph
        .lines()
        .find_map(|line| Some(line.strip_prefix("Version:")?.trim().to_owned()))
}

/// The first of the listed addresses that is the archive wanted. A mirror of the main archive has
/// the security archive beside it, under the name that Debian gives it.
fn pick_mirror(listed: &str, security: bool) -> Option<String> {
    let ends = |end: &str| {
        let mut uris = listed.lines().map(|l| l.trim().trim_end_matches('/'));
        uris.find(|uri| uri.ends_with(end)).map(str::to_owned)
    };
    let main = || ends("/debian");
    match security {
        false => main().or_else(|| {
            let security = ends("/debian-security")?;
            Some(security.strip_suffix("-security")?.to_owned())
        }),
        true => ends("/debian-security").or_else(|| Some(format!("{}-security", main()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_mirror_is_used() {
        let check = |listed, security, expected: Option<&str>| {
            assert_eq!(
                pick_mirror(listed, security).as_deref(),
                expected,
                "{listed}"
            );
        };
        let both = "http://m.example/debian-security/\nhttp://m.example/debian/\n";
        check(both, false, Some("http://m.example/debian"));
        check(both, true, Some("http://m.example/debian-security"));
        check("file:/srv/debian/", true, Some("file:/srv/debian-security"));
        check("http://m.example/ubuntu/", false, None);
        check("", false, None);
    }

    #[test]
    fn version_of_a_source_package() {
        let index = "Package: p\nVersion: 1:1.0-1\nFiles:\n abc 10 p_1.0-1.dsc\n\n\
                     Package: p\nVersion: 2:1.0-2\nFiles:\n abc 10 p_1.0-2.dsc\n\n";
        let version = |uris| source_version(uris, index);
        let uri = "'http://m.example/p_1.0-2.dsc' p_1.0-2.dsc 10 SHA256:00\n";
        assert_eq!(version(uri).as_deref(), Some("2:1.0-2"));
        assert_eq!(
            version("'http://m.example/p_1.0-3.dsc' p_1.0-3.dsc 10"),
            None
        );
        assert_eq!(version(""), None);
    }

    #[test]
    fn what_an_index_says_of_itself() {
        let release = "Hash: SHA256\n\nOrigin: Debian\nDate: Sat, 1 Nov 2026 09:15:44 UTC\n\
                       Snapshots: https://h.example/@SNAPSHOTID@/\n";
        assert_eq!(snapshot_time(release).as_deref(), Some("20261101T091544Z"));
        assert_eq!(
            release_field(release, "Snapshots"),
            Some("https://h.example/@SNAPSHOTID@/")
        );
        for bad in [
            "",
            "Date: x",
            "Date: Sat, 1 Foo 2026 09:15:44 UTC",
            "Date: Sat, 1 Nov 2026 9",
        ] {
            assert_eq!(snapshot_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn version_of_a_package_file() {
        let version = |name| file_version(Path::new(name), '_', 1);
        assert_eq!(
            version("zlib1g_1%3a1.2.13_amd64.deb").as_deref(),
            Some("1:1.2.13")
        );
        assert_eq!(version("odd.deb"), None);
    }
}
