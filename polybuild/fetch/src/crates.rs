//! The crates that a `Cargo.lock` names: all of them, each with the checksum that stands there.
//!
//! cargo brings them, and is asked only if one is not in the cache. Nothing of them is executed, nor of the package
//! whose lock file it is; a lock file whose crates come from elsewhere than a registry is refused.

use std::{fs, path::Path};

use megabinary_format::Digest;
use polybuild_recipe::{SourceUrl, digest_path};
use serde::Deserialize;

use crate::{
    FetchError, Fetcher, Progress, Request,
    cache::Lookup,
    client::{Job, cargo},
    error::{DigestMismatch, io},
    extract::LockedCrate,
};

/// The part of a `Cargo.lock` that is read.
#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// Where it comes from; nothing for what lies beside the lock file.
    source: Option<String>,
    checksum: Option<Digest>,
}

impl Fetcher {
    /// The crates of the lock file in `folder`, which is that of an unpacked package; they are in the cache then.
    pub fn fetch_crates(
        &self,
        request: &Request,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<LockedCrate>, FetchError> {
        let path = folder.join("Cargo.lock");
        let text = fs::read_to_string(&path).map_err(io("read", &path))?;
        let wanted = wanted(&text).map_err(|what| FetchError::Crates {
            url: request.url.to_string(),
            what,
        })?;
        if let Some(found) = self.all_cached(&wanted)? {
            let bytes = found.iter().map(|(_, size)| size).sum();
            progress.finished(&request.id, bytes, true);
            return Ok(found.into_iter().map(|(found, _)| found).collect());
        }
        if self.options().offline {
            let url = request.url.to_string();
            return Err(FetchError::Offline { url });
        }
        let guard =
            self.cache()
                .guard(&format!("{} {}", request.url, Digest::of(text.as_bytes())))?;
        guard.clear()?;
        progress.bytes(&request.id, 0, None);
        let job = Job {
            request,
            options: self.options(),
            cache: self.cache(),
            guard: &guard,
            progress,
        };
        let mut bytes = 0;
        for (file, (name, version, checksum)) in cargo::fetch_locked(&job, folder, &wanted)?
            .iter()
            .zip(&wanted)
        {
            let (found, size) = digest_path(file)?;
            if found != *checksum {
                return Err(FetchError::Digest(Box::new(DigestMismatch {
                    url: format!("crates:{name}@{version}"),
                    by: "Cargo.lock",
                    wanted: *checksum,
                    found,
                    size,
                    remedy: "remove the package from the client's own cache and try again",
                })));
            }
            self.cache().insert(file, checksum)?;
            bytes += size;
        }
        guard.done()?;
        progress.finished(&request.id, bytes, false);
        let found = self.all_cached(&wanted)?.ok_or_else(|| FetchError::Crates {
            url: request.url.to_string(),
            what: "were fetched, and vanished from the cache at once; is something else cleaning it?".to_owned(),
        })?;
        Ok(found.into_iter().map(|(found, _)| found).collect())
    }

    /// The files and their sizes, if all are there and sound.
    fn all_cached(
        &self,
        wanted: &[(String, String, Digest)],
    ) -> Result<Option<Vec<(LockedCrate, u64)>>, FetchError> {
        let mut all = Vec::with_capacity(wanted.len());
        for (name, version, sha256) in wanted {
            let Lookup::Found(path, size) = self.cache().get(sha256)? else {
                return Ok(None);
            };
            let found = LockedCrate {
                name: name.clone(),
                version: version.clone(),
                sha256: *sha256,
                path,
            };
            all.push((found, size));
        }
        Ok(Some(all))
    }
}

/// Name, version and checksum of each crate; an error says what stands in the way.
fn wanted(text: &str) -> Result<Vec<(String, String, Digest)>, String> {
    let lock: Lock = toml::from_str(text)
        .map_err(|error| format!("cannot be read from a lock file that is none: {error}"))?;
    let mut wanted = Vec::new();
    for Package {
        name,
        version,
        source,
        checksum,
    } in lock.package
    {
        let Some(source) = source else { continue };
        let from_registry = source.starts_with("registry+") || source.starts_with("sparse+");
        // Names become folders and words of a client.
        let plain = format!("crates:{name}@{version}")
            .parse::<SourceUrl>()
            .is_ok()
            && version.starts_with(|c: char| c.is_ascii_digit());
        match checksum {
            Some(checksum) if from_registry && plain => wanted.push((name, version, checksum)),
            _ => {
                return Err(format!(
                    "cannot be had: `{name}` {version} comes from {source}, and only crates of a registry, with a \
                     checksum, are locked by it"
                ));
            }
        }
    }
    match wanted.is_empty() {
        true => Err("are none: the lock file names no crate of a registry".to_owned()),
        false => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "1e740886083ff95530d694e6a3f09ed914bcf92a496d16acd307c6c3484fc36d";

    fn locked(name: &str, version: &str, rest: &str) -> String {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{rest}\n")
    }

    #[test]
    fn what_a_registry_has() {
        let text = locked("own", "1.0.0", "")
            + &locked(
                "a",
                "1.2.3-rc.1",
                &format!("source = \"registry+x\"\nchecksum = \"{SUM}\""),
            );
        let found = wanted(&text).unwrap();
        let [(name, version, sum)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (name.as_str(), version.as_str(), sum.hex().as_str()),
            ("a", "1.2.3-rc.1", SUM)
        );
    }

    #[test]
    fn what_is_refused() {
        let sum = format!("checksum = \"{SUM}\"");
        for text in [
            String::new(),
            "x".to_owned(),
            locked("a", "1.0.0", "source = \"git+x\""),
            locked("a", "1.0.0", "source = \"registry+x\""),
            locked("../a", "1.0.0", &format!("source = \"registry+x\"\n{sum}")),
            locked("a/b", "1.0.0", &format!("source = \"registry+x\"\n{sum}")),
            locked("a", "../1", &format!("source = \"registry+x\"\n{sum}")),
            locked("a", "^1", &format!("source = \"registry+x\"\n{sum}")),
        ] {
            assert!(wanted(&text).is_err(), "{text}");
        }
    }
}
