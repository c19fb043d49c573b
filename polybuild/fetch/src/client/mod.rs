//! Runs the package managers' clients. One file for each kind of source.
//!
//! A client gets arguments only from parsed addresses (see `SourceUrl`), a work folder of its own,
//! no standard input, and the user's environment with the caller's `PATH`.

pub(crate) mod cargo;
pub(crate) mod curl;
pub(crate) mod debian;
mod npm;
mod offered;
pub(crate) mod pip;
mod tool;

use std::path::PathBuf;

use megabinary_format::Digest;
use polybuild_recipe::SourceUrl;

use crate::{Cache, FetchError, Options, Progress, Request, cache::Guard};

/// One fetch.
pub(crate) struct Job<'a> {
    pub(crate) request: &'a Request,
    pub(crate) options: &'a Options,
    pub(crate) cache: &'a Cache,
    pub(crate) guard: &'a Guard,
    pub(crate) progress: &'a dyn Progress,
}

/// What a client brought.
pub(crate) struct Arrived {
    /// A file in the work folder, owned by us.
    pub(crate) file: PathBuf,
    /// Its exact version; empty if there is no such thing.
    pub(crate) version: String,
    /// The digest that the registry promises, where the client tells it.
    pub(crate) registry: Option<Digest>,
    /// Whether the file continues what an earlier fetch left.
    pub(crate) resumed: bool,
}

/// Runs the client for a source's kind.
pub(crate) fn run(job: &Job<'_>) -> Result<Arrived, FetchError> {
    let pinned = job.request.pin.as_ref().map(|p| p.version.as_str());
    // The locked version takes the place of what the address allows.
    let choose = |version: &'_ Option<String>| pinned.map(Into::into).or_else(|| version.clone());
    if !matches!(job.request.url, SourceUrl::Https { .. }) {
        // Only a plain download can be resumed; every other client starts anew.
        job.guard.clear()?;
    }
    match &job.request.url {
        SourceUrl::Npm { name, version } => npm::fetch(job, name, choose(version)),
        SourceUrl::Pypi {
            name,
            version,
            file,
        } => pip::fetch(job, name, choose(version), file),
        SourceUrl::Crate { name, version } => cargo::fetch(job, name, choose(version)),
        SourceUrl::Debian {
            name,
            version,
            suite,
            arch,
        } => debian::binary(job, name, choose(version), suite, arch),
        // Several files: `package::get` has them.
        SourceUrl::DebianSource { .. } => Err(job.unexpected("apt-get", "was asked for one file")),
        SourceUrl::Https { url } => curl::fetch(job, url),
        // Several files: `crates` has them.
        SourceUrl::CargoLock { .. } => Err(job.unexpected("cargo", "was asked for one file")),
        SourceUrl::Path { path } => Err(FetchError::Io {
            doing: "find",
            path: path.into(),
            error: std::io::ErrorKind::NotFound.into(),
        }),
    }
}

impl Job<'_> {
    pub(crate) fn unexpected(&self, tool: &'static str, what: impl Into<String>) -> FetchError {
        FetchError::Unexpected {
            url: self.request.url.to_string(),
            tool,
            what: what.into(),
        }
    }

    /// The only file in the work folder whose name ends in one of `ends`.
    fn only_file(&self, tool: &'static str, ends: &[&str]) -> Result<PathBuf, FetchError> {
        let folder = &self.guard.work;
        let entries = std::fs::read_dir(folder).map_err(crate::error::io("read", folder))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| {
                let name = p.file_name().unwrap_or_default().to_string_lossy();
                ends.iter().any(|end| name.ends_with(end)) && p.is_file()
            })
            .collect();
        match (files.pop(), files.len()) {
            (Some(file), 0) => Ok(file),
            (None, _) => Err(self.unexpected(tool, "brought no file")),
            (Some(_), more) => Err(self.unexpected(tool, format!("brought {} files", more + 1))),
        }
    }
}
