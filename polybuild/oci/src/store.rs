//! Where blobs of an image lie while it is put together: files named by their digest.
//!
//! The folder has the shape of an OCI layout's `blobs/`, so a store and a layout can be read by the
//! same code. A blob is there whole or not at all; nothing is ever removed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;

use crate::hashing::Hashing;

/// A folder of blobs: `blobs/sha256/<hex>`.
#[derive(Clone, Debug)]
pub struct BlobStore {
    blobs: PathBuf,
}

/// A blob in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// A blob could not be stored.
#[derive(Debug, thiserror::Error)]
#[error("writing a blob at {path}: {cause}; is the folder writable and the disk not full?")]
pub struct StoreError {
    /// The path concerned.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

impl StoreError {
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.into();
        move |cause| StoreError { path, cause }
    }
}

impl BlobStore {
    /// Opens the store in `dir`, making folders that are missing.
    pub fn open(dir: &Path) -> Result<BlobStore, StoreError> {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(StoreError::at(&blobs))?;
        Ok(BlobStore { blobs })
    }

    /// Where the blob with this digest is, if it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// Stores what `fill` writes and names it by its digest.
    pub(crate) fn put_with<T, E: From<StoreError>>(
        &self,
        fill: impl FnOnce(&mut dyn io::Write) -> Result<T, E>,
    ) -> Result<(Blob, T), E> {
        let at = StoreError::at;
        let temporary = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&self.blobs)
            .map_err(at(&self.blobs))?;
        let (file, temporary) = temporary.into_parts();
        let mut writer = Hashing::new(io::BufWriter::with_capacity(1 << 16, file));
        let value = fill(&mut writer)?;
        let (digest, size, writer) = writer.finish();
        drop(
            writer
                .into_inner()
                .map_err(|e| at(&self.blobs)(e.into_error()))?,
        );
        let path = self.path(&digest);
        temporary.persist(&path).map_err(|e| at(&path)(e.error))?;
        Ok((Blob { digest, size, path }, value))
    }

    /// Stores `bytes`.
    pub fn put(&self, bytes: &[u8]) -> Result<Blob, StoreError> {
        let (blob, ()) =
            self.put_with(|to| to.write_all(bytes).map_err(StoreError::at(&self.blobs)))?;
        Ok(blob)
    }
}
