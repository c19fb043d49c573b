//! Packages of the Python package index with all their dependencies: what requirements come to, for an
//! interpreter that is not this machine's.
//!
//! pip resolves and brings the files; each is kept under its digest, as a single source is. Only wheels of
//! pure Python are taken, and nothing that arrives is executed (see `client::pip` and `sitecustomize.py`).

use std::{collections::BTreeMap, fs};

use polybuild_recipe::{LockedWheel, PypiKind, SourceUrl, WantedPackages, digest_path};

use crate::{
    FetchError, Fetcher, Progress, Request,
    client::{Job, pip},
    error::io,
};

impl Fetcher {
    /// The wheels that requirements come to, sorted by name; they are in the cache then. What is in
    /// `given`, by name and version, is there already, and what is resolved has to agree with it.
    pub fn resolve_python(
        &self,
        wanted: &WantedPackages,
        given: &BTreeMap<String, String>,
        progress: &dyn Progress,
    ) -> Result<Vec<LockedWheel>, FetchError> {
        let request = Request {
            id: "Python packages".to_owned(),
            url: SourceUrl::Pypi {
                name: shown(&wanted.requirements),
                version: None,
                file: PypiKind::pure(wanted.python.short_version()),
            },
            local: None,
            sha256: None,
            series: None,
            pin: None,
        };
        let address = format!("{:?} {given:?}", wanted.digest());
        let guard = self.cache().guard(&address)?;
        guard.clear()?;
        progress.bytes(&request.id, 0, None);
        let job = Job {
            request: &request,
            options: self.options(),
            cache: self.cache(),
            guard: &guard,
            progress,
        };
        let mut wheels = Vec::new();
        let mut bytes = 0;
        for path in pip::resolve(&job, wanted, given)? {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let Some((name, version)) = pip::of_pure_wheel(&file) else {
                return Err(job.unexpected(
                    "pip3",
                    format!("brought {file}, which is no wheel of pure Python"),
                ));
            };
            let (sha256, size) = digest_path(&path)?;
            let wheel = LockedWheel {
                name,
                version,
                file: file.into_owned(),
                sha256,
                size,
            };
            self.cache().insert(&path, &sha256)?;
            bytes += size;
            wheels.push(wheel);
        }
        wheels.sort_by(|a, b| a.name.cmp(&b.name));
        fs::remove_dir_all(&guard.work).map_err(io("remove", &guard.work))?;
        progress.finished(&request.id, bytes, false);
        Ok(wheels)
    }
}

/// Requirements for messages: the first few.
fn shown(requirements: &[String]) -> String {
    const FEW: usize = 3;
    let mut names: Vec<&str> = requirements
        .iter()
        .take(FEW)
        .map(|line| line.split(" --").next().unwrap_or_default())
        .collect();
    if requirements.len() > FEW {
        names.push("…");
    }
    names.join(", ")
}
