//! Why an archive could not be unpacked.

use std::{io, path::PathBuf};

use crate::PatchError;

/// Why an archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// None of the formats that are known.
    #[error(
        "{} is not an archive of a known kind: known are tar (plain, gzip, bzip2, xz, zstd), zip and \
         Debian packages; if it is not an archive, set `extract = false`",
        .archive.display()
    )]
    Format {
        /// The file.
        archive: PathBuf,
    },
    /// The archive ends too early.
    #[error("{} is truncated: it ends in the middle of {within}", .archive.display())]
    Truncated {
        /// The archive.
        archive: PathBuf,
        /// An entry, or what was being read.
        within: String,
    },
    /// The archive contradicts itself.
    #[error("{} is damaged: {what}", .archive.display())]
    Damaged {
        /// The archive.
        archive: PathBuf,
        /// The decoder's words.
        what: String,
    },
    /// An entry that an archive of sources has no business to have.
    #[error("{} is refused: its entry `{entry}` {why}", .archive.display())]
    Refused {
        /// The archive.
        archive: PathBuf,
        /// Name of the entry, as written.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than [`Limits`](crate::Limits) allow.
    #[error("{} is refused: it holds more than {limit} {unit}", .archive.display())]
    TooMuch {
        /// The archive.
        archive: PathBuf,
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// The folder to unpack to exists.
    #[error("cannot unpack to {}: it exists already", .path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A patch does not apply.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {error}", .path.display())]
    Io {
        /// "create", "write", …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

/// Makes an [`ExtractError::Io`]: `.map_err(io("write", &path))`.
pub(super) fn io(
    doing: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> ExtractError {
    let path = path.into();
    move |error| ExtractError::Io { doing, path, error }
}
