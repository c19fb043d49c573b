//! `crates:` through a throw-away package that depends on the crate, and `cargo fetch`.
//!
//! Cargo keeps what it downloads in its own home; the `.crate` is copied from there. Its digest
//! must be the one of `Cargo.lock`, which comes from the registry's index.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use serde::Deserialize;

use super::{Arrived, Job, tool::Tool};
use crate::error::{FetchError, io};

const CARGO: Tool = Tool {
    names: &["cargo"],
    package: "cargo",
};

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<Digest>,
}

/// The part of `cargo metadata --format-version 1` that is read.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
}

/// Where cargo runs. It executes what `.cargo/config.toml` and `rust-toolchain.toml` in the folders
/// above it name; a cache may lie below a folder that came with a recipe. The user's own settings
/// are in cargo's home.
const NEUTRAL: &str = "/";

/// Name of the dependency in the throw-away package, whatever the crate is called.
const ALIAS: &str = "wanted";

pub(super) fn fetch(
    job: &Job<'_>,
    name: &str,
    version: Option<String>,
) -> Result<Arrived, FetchError> {
    let work = &job.guard.work;
    let requirement = match version {
        None => "*".to_owned(),
        Some(v) if v.starts_with(|c: char| c.is_ascii_digit()) => format!("={v}"),
        Some(v) => v,
    };
    // Name and requirement have no letter that TOML would have to escape: see `SourceUrl`.
    let manifest = format!(
        "[package]\nname = \"polybuild-fetch-job\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies.{ALIAS}]\npackage = \"{name}\"\n\
         version = \"{requirement}\"\ndefault-features = false\n"
    );
    for (file, text) in [("Cargo.toml", manifest.as_str()), ("lib.rs", "")] {
        let path = work.join(file);
        fs::write(&path, text).map_err(io("write", path))?;
    }
    let manifest = work.join("Cargo.toml");
    let manifest = manifest.as_os_str();
    let words = |words: &[&'static str]| {
        let words = words.iter().map(OsStr::new);
        words
            .chain([OsStr::new("--manifest-path"), manifest])
            .map(OsStr::to_owned)
            .collect::<Vec<_>>()
    };
    CARGO.run_in(job, Path::new(NEUTRAL), words(&["fetch", "--quiet"]))?;
    let (version, checksum) = locked(job, name)?;

    let args = words(&["metadata", "--format-version=1", "--offline", "--locked"]);
    let metadata = metadata(job, args)?;
    let file = copy_archive(job, &metadata, name, &version)?;
    Ok(Arrived {
        file,
        version,
        registry: Some(checksum),
        resumed: false,
    })
}

/// Fetches all crates of the lock file in `folder`; the archives are in the work folder, in the order of `wanted`.
/// cargo reads the manifest beside the lock file, and executes nothing of it.
pub(crate) fn fetch_locked(
    job: &Job<'_>,
    folder: &Path,
    wanted: &[(String, String, Digest)],
) -> Result<Vec<PathBuf>, FetchError> {
    let manifest = folder.join("Cargo.toml");
    let words = |words: &[&'static str]| {
        let words = words.iter().map(OsStr::new);
        words
            .chain([OsStr::new("--manifest-path"), manifest.as_os_str()])
            .map(OsStr::to_owned)
            .collect::<Vec<_>>()
    };
    CARGO.run_in(
        job,
        Path::new(NEUTRAL),
        words(&["fetch", "--quiet", "--locked"]),
    )?;
    // A lock file has the crates of all features, and metadata those of the features that are asked for.
    let args = words(&[
        "metadata",
        "--format-version=1",
        "--offline",
        "--locked",
        "--all-features",
    ]);
    let metadata = metadata(job, args)?;
    wanted
        .iter()
        .map(|(name, version, _)| copy_archive(job, &metadata, name, version))
        .collect()
}

fn metadata(job: &Job<'_>, args: Vec<OsString>) -> Result<Metadata, FetchError> {
    let said = CARGO.run_in(job, Path::new(NEUTRAL), args)?;
    serde_json::from_str(&said)
        .map_err(|e| job.unexpected("cargo", format!("printed metadata that is none: {e}")))
}

/// Copies a crate's archive from where cargo has put it to the work folder.
fn copy_archive(
    job: &Job<'_>,
    metadata: &Metadata,
    name: &str,
    version: &str,
) -> Result<PathBuf, FetchError> {
    let missing = || {
        job.unexpected(
            "cargo",
            format!("did not say where it put the crate {name}"),
        )
    };
    let package = metadata
        .packages
        .iter()
        .find(|p| p.name == name && p.version == version)
        .ok_or_else(missing)?;
    // HOME/registry/src/INDEX/NAME-VERSION/Cargo.toml, beside HOME/registry/cache/INDEX/….crate.
    let unpacked = package.manifest_path.parent().ok_or_else(missing)?;
    let index = unpacked.parent().ok_or_else(missing)?;
    let registry = index
        .parent()
        .filter(|src| src.ends_with("src"))
        .and_then(|src| src.parent())
        .ok_or_else(missing)?;
    let crate_name = format!("{name}-{version}.crate");
    let from = registry
        .join("cache")
        .join(index.file_name().unwrap_or_default())
        .join(&crate_name);
    let file = job.guard.work.join(&crate_name);
    fs::copy(&from, &file).map_err(io("copy", from))?;
    Ok(file)
}

/// Version and checksum of the crate in the throw-away package's lock file.
fn locked(job: &Job<'_>, name: &str) -> Result<(String, Digest), FetchError> {
    let path = job.guard.work.join("Cargo.lock");
    let text = fs::read_to_string(&path).map_err(io("read", path))?;
    let lock: Lock = toml::from_str(&text)
        .map_err(|e| job.unexpected("cargo", format!("wrote a lock file that is none: {e}")))?;
    let mut found = lock.package.into_iter().filter(|p| p.name == name);
    match (found.next(), found.next()) {
        (
            Some(Locked {
                version,
                checksum: Some(sum),
                ..
            }),
            None,
        ) => Ok((version, sum)),
        (Some(_), None) => Err(job.unexpected("cargo", "knows no checksum of the crate")),
        // A crate may depend on another version of itself.
        (Some(_), Some(_)) => Err(job.unexpected(
            "cargo",
            "locked two versions of the crate; name an exact version",
        )),
        (None, _) => Err(job.unexpected("cargo", "locked something else")),
    }
}
