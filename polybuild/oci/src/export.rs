//! Writing an image as other tools expect to find it, deterministically and whole.
//!
//! | form | read by |
//! |---|---|
//! | OCI layout (a folder) | skopeo, buildah, podman, `polybuild push` |
//! | `oci-archive` (that folder as a tar) | `ctr image import`, `podman load`, skopeo |
//! | `docker-archive` | `docker load`, `podman load`, skopeo |
//!
//! An archive has no time stamps but 0 and no owners but 0:0: what matters is inside the layers.

mod archive;
mod docker;
mod layout;

pub use docker::docker_archive;
pub use layout::{oci_archive, oci_layout};

use std::{io, path::PathBuf};

use oci_spec::OciSpecError;

use crate::store::StoreError;

/// Name that containerd gives an imported image; it prefers this to `ref.name`.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Why an image could not be exported. Nothing is left at the output's path.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output could not be written.
    #[error("writing the image to {path}: {cause}{}", hint(.cause))]
    Write {
        /// The output.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A blob of the image could not be read.
    #[error("reading the image's blob {path}: {cause}")]
    Blob {
        /// The blob.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A blob has other bytes than its digest says.
    #[error(
        "the blob {path} is damaged: its contents have the digest {found}; build the image again"
    )]
    Damaged {
        /// The blob.
        path: PathBuf,
        /// Digest of what was read.
        found: megabinary_format::Digest,
    },
    /// A document could not be read or written.
    #[error("writing the image's documents: {0}")]
    Document(#[from] OciSpecError),
    /// A document could not be serialised.
    #[error("writing the image's documents: {0}")]
    Json(#[from] serde_json::Error),
    /// A stored document could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AlreadyExists => {
            "; a folder that is not an OCI layout is there: remove it or choose another path"
        }
        io::ErrorKind::StorageFull => "; free some space and try again",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that can be written"
        }
        io::ErrorKind::NotFound => "; make the folder first",
        _ => "",
    }
}

fn write_failed(path: PathBuf, cause: io::Error) -> ExportError {
    ExportError::Write { path, cause }
}
