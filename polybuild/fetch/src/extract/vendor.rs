//! Crates beside each other in a folder, as cargo reads them in place of a registry (`directory` of `[source]`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;

use super::{Extract, ExtractError, error, unpack, whole};

/// A crate that a lock file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedCrate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its archive.
    pub sha256: Digest,
    /// The archive.
    pub path: PathBuf,
}

/// Unpacks crates into the new folder `to`, each into `NAME-VERSION`; patches name files there.
pub fn vendor(crates: &[LockedCrate], to: &Path, how: &Extract) -> Result<(), ExtractError> {
    whole(to, |folder| {
        fs::create_dir(folder).map_err(error::io("create", folder))?;
        for locked in crates {
            let place = folder.join(format!("{}-{}", locked.name, locked.version));
            let how = Extract {
                strip_components: 1,
                patches: Vec::new(),
                limits: how.limits,
            };
            unpack(&locked.path, &place, &how)?;
            // Without digests of files, which patches may change: the archive's is in the lock file.
            let sums = place.join(".cargo-checksum.json");
            let text = format!(
                "{{\"files\":{{}},\"package\":\"{}\"}}\n",
                locked.sha256.hex()
            );
            fs::write(&sums, text).map_err(error::io("write", &sums))?;
        }
        how.apply(folder)
    })
}
