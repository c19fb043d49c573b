//! What can be wrong with an image that is read.

use std::{io, path::PathBuf};

use megabinary_format::Digest;

use super::ResolveError;
use crate::path::PathError;

/// Why an image could not be read. Every case is about the image or the host, never a bug of the
/// caller.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The host could not read it, or it is cut off.
    #[error("reading the image {path}: {cause}{}", truncated(.cause))]
    Io {
        /// The layout or archive.
        path: PathBuf,
        /// What the system or the decompressor said.
        #[source]
        cause: io::Error,
    },
    /// None of the forms that we know.
    #[error(
        "{path} is not an image that can be read: {what}; wanted: an OCI layout folder, an oci-archive or a docker-archive"
    )]
    NotAnImage {
        /// What was opened.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A file that the image refers to is not in it.
    #[error("the image {path} is incomplete: `{file}` is missing; export or copy it again")]
    Missing {
        /// The layout or archive.
        path: PathBuf,
        /// Name inside it.
        file: String,
    },
    /// A document is not what the specification says.
    #[error("`{file}` in the image {path} is malformed: {problem}")]
    Document {
        /// The layout or archive.
        path: PathBuf,
        /// Name inside it.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Bytes and digest do not belong together.
    #[error(
        "the image {path} is damaged or was tampered with: {what} should be {expected}, found {found}"
    )]
    Digest {
        /// The layout or archive.
        path: PathBuf,
        /// Which bytes.
        what: String,
        /// Digest that the image states.
        expected: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// A blob has another length than its descriptor says.
    #[error(
        "the image {path} is damaged or was tampered with: {what} should have {expected} bytes, found {found}"
    )]
    Size {
        /// The layout or archive.
        path: PathBuf,
        /// Which bytes.
        what: String,
        /// Length that the image states.
        expected: u64,
        /// Length found.
        found: u64,
    },
    /// It holds several images, or none, of the name that is wanted.
    #[error("the image {path} has no single answer to what is wanted: {problem}")]
    Choice {
        /// The layout or archive.
        path: PathBuf,
        /// Names or platforms that there are.
        problem: String,
    },
    /// A larger image than we accept.
    #[error("the image exceeds the limit of {limit} {what}; it is refused")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is accepted.
        limit: u64,
    },
    /// A layer's entry has a path that leads out of the root or cannot exist.
    #[error("a layer of the image has the entry `{entry}`, which is refused: {cause}")]
    Path {
        /// The path, odd bytes replaced.
        entry: String,
        /// What is wrong with it.
        cause: PathError,
    },
    /// A layer's entry is of a kind, or in a place, on which engines differ.
    #[error("a layer of the image has the entry `{entry}`, which is refused: {problem}")]
    Entry {
        /// The path, odd bytes replaced.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file is larger than the caller wants to hold in memory.
    #[error("`{path}` in the image has {size} bytes, more than the {limit} accepted here")]
    TooLarge {
        /// Path in the image.
        path: String,
        /// Its length.
        size: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// The path leads nowhere.
    #[error("there is no `{path}` in the image: {cause}")]
    NoSuchFile {
        /// Path in the image.
        path: String,
        /// Where it ends.
        cause: ResolveError,
    },
    /// The path leads to a folder or device.
    #[error("`{path}` in the image is not a regular file")]
    NotAFile {
        /// Path in the image.
        path: String,
    },
    /// The host could not write an output.
    #[error("writing {path}: {cause}")]
    Write {
        /// The output.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A blob could not be stored.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

fn truncated(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => "; it is cut off: copy or export it again",
        _ => "",
    }
}
