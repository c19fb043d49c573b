//! Unpacks archives into a folder that appears whole, patches applied.
//!
//! The format is told from the first bytes, never from a name. Every format delivers its entries
//! to one `Sink`, which alone creates files: what an archive may not do is decided there, once.

pub(crate) mod compressed;
mod deb;
mod error;
mod package;
mod sink;
mod tarball;
mod vendor;
mod zipfile;

use std::{
    fs::{self, File},
    io::{Read, Seek as _},
    path::{Path, PathBuf},
};

use sink::Sink;

pub use error::ExtractError;
pub use package::extract_package;
pub use vendor::{LockedCrate, vendor};

/// How to unpack.
#[derive(Clone, Debug, Default)]
pub struct Extract {
    /// Leading folders to remove from every path; entries with no more than that are left out.
    pub strip_components: u32,
    /// Unified diffs to apply, in this order.
    pub patches: Vec<PathBuf>,
    /// What is too much.
    pub limits: Limits,
}

/// How much an archive may hold. The defaults are far above any source that recipes name.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes in all files together.
    pub bytes: u64,
    /// Most entries.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 8 << 30,
            entries: 500_000,
        }
    }
}

/// Unpacks `archive` into the new folder `to`, which must not exist; its parent must.
pub fn extract(archive: &Path, to: &Path, how: &Extract) -> Result<(), ExtractError> {
    whole(to, |folder| {
        unpack(archive, folder, how)?;
        how.apply(folder)
    })
}

/// Fills a new folder that appears whole or not at all.
fn whole(
    to: &Path,
    fill: impl FnOnce(&Path) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(ExtractError::Exists { path: to.into() });
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = to.with_file_name(format!(".{name}.{}.unfinished", std::process::id()));
    // A process of the same number may have died here.
    if fs::symlink_metadata(&unfinished).is_ok() {
        fs::remove_dir_all(&unfinished).map_err(error::io("remove", &unfinished))?;
    }
    let result = fill(&unfinished)
        .and_then(|()| fs::rename(&unfinished, to).map_err(error::io("create", to)));
    if result.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&unfinished);
    }
    result
}

impl Extract {
    /// Applies the recipe's own patches.
    fn apply(&self, folder: &Path) -> Result<(), ExtractError> {
        for patch in &self.patches {
            crate::patch::apply_patch(patch, folder)?;
        }
        Ok(())
    }
}

/// Unpacks one archive into a new folder.
fn unpack(archive: &Path, folder: &Path, how: &Extract) -> Result<(), ExtractError> {
    let mut file = File::open(archive).map_err(error::io("read", archive))?;
    let mut head = Vec::new();
    (&mut file)
        .take(512)
        .read_to_end(&mut head)
        .and_then(|_| file.rewind())
        .map_err(error::io("read", archive))?;
    let mut sink = Sink::new(archive, folder, how)?;
    match kind(&head) {
        Some(Kind::Zip) => zipfile::unpack(file, &mut sink)?,
        Some(Kind::Deb) => deb::unpack(file, &mut sink)?,
        Some(Kind::Tar) => tarball::unpack(&mut compressed::open(file, &head), &mut sink)?,
        None => {
            return Err(ExtractError::Format {
                archive: archive.into(),
            });
        }
    }
    sink.finish()
}

enum Kind {
    /// A tar file, compressed or not.
    Tar,
    Zip,
    Deb,
}

/// The kind of archive that begins with these bytes.
fn kind(head: &[u8]) -> Option<Kind> {
    // "PK\5\6" is an empty zip archive.
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Some(Kind::Zip)
    } else if head.starts_with(b"!<arch>\n") {
        Some(Kind::Deb)
    } else if compressed::is_compressed(head) || head.get(257..262) == Some(b"ustar") {
        Some(Kind::Tar)
    } else {
        None
    }
}
