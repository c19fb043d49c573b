//! What can be wrong with the entries of a layer, or with writing it.

use std::{io, path::PathBuf};

use crate::{path::PathError, store::StoreError};

/// Why a layer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The path of an entry is not acceptable.
    #[error("`{path}` cannot be a path in an image: {cause}; write it as /folder/name")]
    Path {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        cause: PathError,
    },
    /// Two entries at one path.
    #[error("`{0}` is put into the image twice; remove one of the two")]
    Duplicate(String),
    /// An entry lies below something that is not a folder.
    #[error(
        "`{path}` lies below `{parent}`, which is a file or a link of the image; remove one of the two"
    )]
    BelowFile {
        /// The entry.
        path: String,
        /// What should have been a folder.
        parent: String,
    },
    /// Mode bits outside the permission bits.
    #[error("mode {mode:o} of `{path}` has bits outside 7777")]
    Mode {
        /// The entry.
        path: String,
        /// The mode as given.
        mode: u32,
    },
    /// A link's target is empty, has a NUL byte, is too long or climbs above the root.
    #[error(
        "the link `{path}` points at `{target}`, which is empty, malformed or above the image's root"
    )]
    Target {
        /// The link.
        path: String,
        /// The target as given.
        target: String,
    },
    /// A file of the host could not be read.
    #[error("reading {source_path} for `{path}`: {cause}")]
    Source {
        /// The entry.
        path: String,
        /// The host's file.
        source_path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A file of the host is not a regular file, or changed its length while it was read.
    #[error("{source_path}, wanted for `{path}`, {what}")]
    SourceKind {
        /// The entry.
        path: String,
        /// The host's file.
        source_path: PathBuf,
        /// What is the matter.
        what: &'static str,
    },
    /// The tar or the compressed stream could not be written.
    #[error("writing the layer entry `{path}`: {cause}; is the disk full?")]
    Write {
        /// The entry.
        path: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The end of the layer could not be written.
    #[error("writing a layer: {0}; is the disk full?")]
    End(#[from] io::Error),
    /// The blob could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
