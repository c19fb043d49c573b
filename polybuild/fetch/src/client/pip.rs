//! `pypi:` through `pip download`, without dependencies.
//!
//! Nothing that arrives is executed. A wheel is only downloaded. For a source distribution pip would
//! run the project's own build backend, to ask for its metadata, and there is no option to have the
//! file alone. But pip checks digests *before* that: it is asked for a digest that no file has, and
//! its refusal names the file's address and digest. The file then comes by curl and must have that
//! digest.

use megabinary_format::Digest;
use polybuild_recipe::PypiKind;

use super::{Arrived, Job, curl, tool::Tool};
use crate::error::{FetchError, io};

const PIP: Tool = Tool {
    names: &["pip3", "pip"],
    package: "python3-pip",
};

/// What does not depend on the kind of file.
const QUIET: [&str; 2] = ["--disable-pip-version-check", "--progress-bar=off"];

/// Endings of files that pip brings.
const ENDS: [&str; 4] = [".whl", ".tar.gz", ".zip", ".tar.bz2"];

pub(super) fn fetch(
    job: &Job<'_>,
    name: &str,
    version: Option<String>,
    file: &PypiKind,
) -> Result<Arrived, FetchError> {
    match file {
        PypiKind::Wheel { python, platform } => wheel(job, name, version, python, platform),
        PypiKind::Sdist => sdist(job, name, version),
    }
}

fn wheel(
    job: &Job<'_>,
    name: &str,
    version: Option<String>,
    python: &str,
    platform: &str,
) -> Result<Arrived, FetchError> {
    let package = match version {
        Some(version) => format!("{name}=={version}"),
        None => name.to_owned(),
    };
    let mut args = vec!["download", "--no-deps", "--dest=.", "--only-binary=:all:"];
    args.extend(QUIET);
    args.extend(["--python-version", python, "--platform", platform]);
    args.extend(["--", &package]);
    PIP.run(job, args, &[])?;
    let file = job.only_file("pip3", &ENDS)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let version = version_of(&name, &ENDS)
        .ok_or_else(|| job.unexpected("pip3", "brought a file whose name has no version"))?;
    Ok(Arrived {
        file,
        version,
        registry: None,
        resumed: false,
    })
}

/// A digest that no file has.
const IMPOSSIBLE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn sdist(job: &Job<'_>, name: &str, version: Option<String>) -> Result<Arrived, FetchError> {
    let version = match version {
        Some(version) => version,
        None => newest(job, name)?,
    };
    let wanted = job.guard.work.join("requirements.txt");
    std::fs::write(
        &wanted,
        format!("{name}=={version} --hash=sha256:{IMPOSSIBLE}\n"),
    )
    .map_err(io("write", &wanted))?;
    let mut args = vec!["download", "--no-deps", "--dest=.", "--no-binary=:all:"];
    args.extend(QUIET);
    args.extend(["--require-hashes", "--requirement=requirements.txt"]);
    let odd = || job.unexpected("pip3", "did not say where the source distribution is");
    let refusal = PIP.run_for(job, args, &[], &job.guard.work, |words| {
        words.contains(IMPOSSIBLE).then(|| words.to_owned())
    })?;
    let (url, digest) = refused(&refusal).ok_or_else(odd)?;
    let file_name = url.rsplit('/').next().unwrap_or_default();
    let file_name = file_name.split(['#', '?']).next().unwrap_or_default();
    if !ENDS.iter().any(|end| file_name.ends_with(end)) {
        return Err(odd());
    }
    // pip took it from there: a mirror of the user's may be local, or speak HTTP.
    let arrived = curl::fetch_named(job, url, "=https,http,file")?;
    Ok(Arrived {
        version,
        registry: Some(digest),
        ..arrived
    })
}

/// The newest version that has a source distribution: `NAME (VERSION)` is the first line.
fn newest(job: &Job<'_>, name: &str) -> Result<String, FetchError> {
    let args = [
        "index",
        "versions",
        "--no-binary=:all:",
        QUIET[0],
        "--",
        name,
    ];
    let said = PIP.run(job, args, &[])?;
    let line = said.lines().next().unwrap_or_default();
    line.rsplit_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .filter(|v| {
            !v.is_empty()
                && v.chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".!+-_".contains(c))
        })
        .map(str::to_owned)
        .ok_or_else(|| job.unexpected("pip3", "did not say which version is the newest"))
}

/// Address and digest in pip's refusal (`HashMismatch`): `NAME from URL (from …):`, then lines with
/// `Expected` and `Got`.
fn refused(words: &str) -> Option<(&str, Digest)> {
    let (before, after) = words.split_once(IMPOSSIBLE)?;
    let line = before.lines().rev().find(|line| line.contains(" from "))?;
    let (_, rest) = line.split_once(" from ")?;
    let url = rest.split_whitespace().next()?.trim_end_matches(':');
    let got = after
        .lines()
        .find_map(|line| line.trim().strip_prefix("Got"))?;
    let known = ["https://", "http://", "file:///"];
    let digest = Digest::from_hex(got.trim()).ok()?;
    known
        .iter()
        .any(|scheme| url.starts_with(scheme))
        .then_some((url, digest))
}

/// The version in a file's name: `NAME-VERSION-….whl` (binary distribution format, "File name
/// convention"), `NAME-VERSION.tar.gz` (source distribution format).
fn version_of(name: &str, ends: &[&str]) -> Option<String> {
    let stem = ends.iter().find_map(|end| name.strip_suffix(end))?;
    let version = match name.ends_with(".whl") {
        true => stem.split('-').nth(1)?,
        // Old projects have hyphens in their names, no project has one in its version.
        false => stem.rsplit_once('-')?.1,
    };
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_refusal_names_address_and_digest() {
        let digest = "1e61c37477a1626458e36f7b1d82aa5c9b094fa4802892072e49de9c60c4c926";
        let words = |url: &str| {
            format!(
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    \
                 six==1.16.0 from {url} (from -r requirements.txt (line 1)):\n        Expected \
                 sha256 {}\n             Got        {digest}\n",
                super::IMPOSSIBLE
            )
        };
        for url in [
            "https://h.example/a/six-1.16.0.tar.gz#x=1",
            "file:///d/six-1.16.0.tar.gz",
        ] {
            let words = words(url);
            let (found, sha256) = super::refused(&words).unwrap();
            assert_eq!((found, sha256.hex().as_str()), (url, digest));
        }
        for url in ["ssh://h.example/six", "-o", ""] {
            assert_eq!(super::refused(&words(url)), None, "{url}");
        }
        let whole = words("https://h.example/six-1.tar.gz");
        for end in 0..whole.len() - 64 {
            assert_eq!(super::refused(&whole[..end]), None);
        }
    }

    #[test]
    fn versions_in_file_names() {
        let check = |name, expected: Option<&str>| {
            let found = super::version_of(name, &[".whl", ".tar.gz"]);
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        check("six-1.16.0-py2.py3-none-any.whl", Some("1.16.0"));
        check(
            "a_b-2!1.0+x-1-cp312-cp312-linux_x86_64.whl",
            Some("2!1.0+x"),
        );
        check("markupsafe-3.0.2.tar.gz", Some("3.0.2"));
        check("an-old-name-1.tar.gz", Some("1"));
        check("six.whl", None);
        check("six-1.zip", None);
    }
}
