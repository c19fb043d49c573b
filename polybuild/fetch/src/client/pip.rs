//! `pypi:` through `pip download`, without dependencies; and requirements with all that they require.
//!
//! Nothing that arrives is executed. A wheel is only downloaded. For a source distribution pip would
//! run the project's own build backend, to ask for its metadata, and there is no option to have the
//! file alone. But pip checks digests *before* that: it is asked for a digest that no file has, and
//! its refusal names the file's address and digest. The file then comes by curl and must have that
//! digest.

use std::{collections::BTreeMap, ffi::OsStr, fs, path::PathBuf};

use megabinary_format::Digest;
use polybuild_recipe::{PypiKind, WantedPackages, normal_package_name};

use super::{Arrived, Job, curl, offered, tool::Tool};
use crate::error::{FetchError, NoPureWheel, WhyNot, io};

const PIP: Tool = Tool {
    names: &["pip3", "pip"],
    package: "python3-pip",
};

/// What does not depend on the kind of file.
const QUIET: [&str; 2] = ["--disable-pip-version-check", "--progress-bar=off"];

/// Where wheels lie that stand for extensions.
const OFFERED: &str = ".offered";

/// What no wheel with machine code fits.
const PURE: [&str; 2] = ["--implementation=py", "--abi=none"];

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
    if platform == PypiKind::ANY {
        args.extend(PURE);
    }
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

/// Name and version in the name of a wheel of pure Python, the name normalised.
pub(crate) fn of_pure_wheel(file: &str) -> Option<(String, String)> {
    let mut parts = file.strip_suffix("-none-any.whl")?.split('-');
    let (name, version, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some((normal_package_name(name), version.to_owned()))
}

/// The interpreter that conditions of requirements are evaluated for, and a guard: see there.
const SITECUSTOMIZE: &str = include_str!("sitecustomize.py");

/// Resolves requirements with all that they require; gives the files in the work folder. They agree with
/// what is `given`, which is there already.
pub(crate) fn resolve(
    job: &Job<'_>,
    wanted: &WantedPackages,
    given: &BTreeMap<String, String>,
) -> Result<Vec<PathBuf>, FetchError> {
    let work = &job.guard.work;
    let write = |name: &str, text: &str| {
        let path = work.join(name);
        fs::write(&path, text).map_err(io("write", path))
    };
    write(
        ".requirements.txt",
        &(wanted.requirements.join("\n") + "\n"),
    )?;
    let constraints = given
        .iter()
        .chain(wanted.extensions.iter().map(|e| (&e.name, &e.version)))
        .map(|(name, version)| format!("{name}=={version}\n"));
    write(".constraints.txt", &constraints.collect::<String>())?;
    offered::write(&work.join(OFFERED), &wanted.extensions)?;
    let guard = work.join(".python");
    fs::create_dir(&guard).map_err(io("create", &guard))?;
    write(".python/sitecustomize.py", SITECUSTOMIZE)?;
    let python = &wanted.python;
    let environment = serde_json::json!({
        "implementation_name": "cpython",
        "implementation_version": python.version,
        "os_name": "posix",
        "platform_machine": python.machine,
        "platform_python_implementation": "CPython",
        // Nobody ought to ask for a release of the kernel, and the image runs on any.
        "platform_release": "",
        "platform_system": system(&python.platform),
        "platform_version": "",
        "python_full_version": python.version,
        "python_version": python.short_version(),
        "sys_platform": python.platform,
    });
    let environment = environment.to_string();
    let mark = work.join(".mark");
    let mut args = vec!["download", "--dest=.", "--only-binary=:all:", "--log=.log"];
    args.extend(QUIET);
    args.extend(["--python-version", python.short_version()]);
    args.extend(["--platform", PypiKind::ANY]);
    args.extend(PURE);
    args.extend([
        "--requirement=.requirements.txt",
        "--constraint=.constraints.txt",
    ]);
    let find = format!("--find-links={OFFERED}");
    if !wanted.extensions.is_empty() {
        args.push(&find);
    }
    let env = [
        ("PYTHONPATH", guard.as_os_str()),
        ("PYTHONDONTWRITEBYTECODE", OsStr::new("1")),
        ("POLYBUILD_PYTHON", OsStr::new(&environment)),
        ("POLYBUILD_PYTHON_MARK", mark.as_os_str()),
    ];
    let ran = PIP.run(job, args, &env);
    if !mark.is_file() && !matches!(ran, Err(FetchError::MissingTool { .. })) {
        let what = "did not evaluate the conditions of requirements for the image's interpreter";
        return Err(job.unexpected("pip3", what));
    }
    ran.map_err(|error| match error {
        FetchError::Client { url, words, .. } if missing(&words).is_some() => {
            let name = missing(&words).unwrap_or_default().to_owned();
            let log = fs::read(work.join(".log")).unwrap_or_default();
            let why = why_not(&name, &String::from_utf8_lossy(&log));
            FetchError::NoPureWheel(Box::new(NoPureWheel {
                url,
                name,
                why,
                words,
            }))
        }
        other => other,
    })?;
    let mut files = Vec::new();
    for entry in fs::read_dir(work).map_err(io("read", work))? {
        let path = entry.map_err(io("read", work))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() && !offered::is_one(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `platform.system()`, as Python makes it of `sys.platform`.
fn system(platform: &str) -> String {
    let mut letters = platform.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// The requirement that pip found nothing for.
fn missing(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("No matching distribution found for ")?;
    let line = rest.lines().next()?.trim();
    line.split(" (from").next().filter(|name| !name.is_empty())
}

/// What pip's log says of the files of a project that it did not take, in words.
fn why_not(requirement: &str, log: &str) -> WhyNot {
    let end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .unwrap_or(requirement.len());
    let name = normal_package_name(requirement.get(..end).unwrap_or_default());
    let mut wheel = None;
    let mut source = None;
    for line in log.lines().filter(|line| line.contains("Skipping link")) {
        // The address is the last word but for `(from …)` and `(requires-python:…)`.
        let file = line
            .split_whitespace()
            .filter_map(|word| word.split(['#', '?']).next()?.rsplit_once('/'))
            .map(|(_, file)| file)
            .find(|file| ENDS.iter().any(|end| file.ends_with(end)));
        let Some(file) = file else { continue };
        let project = match file.strip_suffix(".whl") {
            Some(stem) => stem.split('-').next(),
            None => ENDS
                .iter()
                .find_map(|end| Some(file.strip_suffix(end)?.rsplit_once('-')?.0)),
        };
        if project.map(normal_package_name) != Some(name.clone()) {
            continue;
        }
        match file.ends_with(".whl") {
            // The index lists versions from the oldest to the newest.
            true if !file.ends_with("-none-any.whl") => wheel = Some(file.to_owned()),
            true => {}
            false => source = Some(file.to_owned()),
        }
    }
    match (wheel, source) {
        (Some(file), _) => WhyNot::MachineCode(file),
        (None, Some(file)) => WhyNot::Source(file),
        (None, None) => WhyNot::Unknown,
    }
}

/// A digest that no file has.
const IMPOSSIBLE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn sdist(job: &Job<'_>, name: &str, version: Option<String>) -> Result<Arrived, FetchError> {
    let version = match version {
        Some(version) => version,
        None => newest(job, name)?,
    };
    let wanted = job.guard.work.join("requirements.txt");
    fs::write(
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
