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
};

const APT_GET: Tool = Tool {
    names: &["apt-get"],
    package: "apt",
};

const APT_CACHE: Tool = Tool {
    names: &["apt-cache"],
    package: "apt",
};

/// Part of what apt-get says when the index has another version of a package than the one wanted.
const NO_SUCH_VERSION: &str = "Can not find version";

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

/// The upstream archive of a source package, and nothing else of it: Debian's revisions come and go
/// on mirrors (a security update replaces them), what they are based on stays.
pub(super) fn source(
    job: &Job<'_>,
    name: &str,
    version: Option<String>,
    suite: &str,
) -> Result<Arrived, FetchError> {
    // The architecture decides nothing about sources; apt wants one.
    let config = Config::new(job, suite, "amd64")?;
    let get = |version: Option<&str>| {
        let package = with_version(name, version.map(str::to_owned));
        let args = [
            "source",
            "--download-only",
            "--only-source",
            "--tar-only",
            "--quiet",
            "--",
            &package,
        ];
        config.apt_get(job, &args)
    };
    let version = match version {
        Some(version) => {
            match get(Some(&version)) {
                // A later revision of the same upstream version will do: the digest is pinned.
                Err(FetchError::Client { words, .. })
                    if job.request.pin.is_some() && words.contains(NO_SUCH_VERSION) =>
                {
                    get(None)?
                }
                result => result?,
            };
            version
        }
        None => {
            let version = config.newest_source(job, name)?;
            get(Some(&version))?;
            version
        }
    };
    Ok(Arrived {
        file: upstream_archive(job)?,
        version,
        registry: None,
        resumed: false,
    })
}

/// `NAME_VERSION.orig.tar.*`, or the only archive of a package that is Debian's own.
fn upstream_archive(job: &Job<'_>) -> Result<PathBuf, FetchError> {
    let ends = |infix: &str| ["gz", "xz", "zst", "bz2"].map(|e| format!("{infix}.tar.{e}"));
    let (orig, any) = (ends(".orig"), ends(""));
    let orig: Vec<_> = orig.iter().map(String::as_str).collect();
    let any: Vec<_> = any.iter().map(String::as_str).collect();
    job.only_file("apt-get", &orig)
        .or_else(|_| job.only_file("apt-get", &any))
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
        let config: &OsStr = self.file.as_os_str();
        let args = ["showsrc", "--only-source", "--", name];
        let index = APT_CACHE.run(job, args, &[("APT_CONFIG", config)])?;
        source_version(&uris, &index)
            .ok_or_else(|| job.unexpected("apt-get", "named a source package without a version"))
    }

    fn apt_get(&self, job: &Job<'_>, args: &[&str]) -> Result<String, FetchError> {
        let config: &OsStr = self.file.as_os_str();
        APT_GET.run(job, args, &[("APT_CONFIG", config)])
    }
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
    fn version_of_a_package_file() {
        let version = |name| file_version(Path::new(name), '_', 1);
        assert_eq!(
            version("zlib1g_1%3a1.2.13_amd64.deb").as_deref(),
            Some("1:1.2.13")
        );
        assert_eq!(version("odd.deb"), None);
    }
}
