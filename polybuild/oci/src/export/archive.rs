//! The tar around an image: entries with fixed metadata, blobs checked while they are copied.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use super::ExportError;
use crate::{hashing::Hashing, store::Blob};

/// A tar whose entries have mode 644 or 755, owner 0:0 and time 0.
pub(super) struct Archive<'a, W: Write> {
    tar: tar::Builder<W>,
    /// The output, for messages.
    target: &'a Path,
}

impl<'a, W: Write> Archive<'a, W> {
    pub(super) fn new(target: &'a Path, to: W) -> Self {
        Archive {
            tar: tar::Builder::new(to),
            target,
        }
    }

    pub(super) fn folder(&mut self, path: &str) -> Result<(), ExportError> {
        let mut header = header(tar::EntryType::Directory, 0o755, 0);
        let done = self
            .tar
            .append_data(&mut header, format!("{path}/"), io::empty());
        self.failed(done)
    }

    pub(super) fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let mut header = header(tar::EntryType::Regular, 0o644, bytes.len() as u64);
        let done = self.tar.append_data(&mut header, path, bytes);
        self.failed(done)
    }

    /// Copies exactly `size` bytes.
    pub(super) fn stream(
        &mut self,
        path: &str,
        size: u64,
        from: impl Read,
    ) -> Result<(), ExportError> {
        let mut header = header(tar::EntryType::Regular, 0o644, size);
        let done = self.tar.append_data(&mut header, path, from.take(size));
        self.failed(done)
    }

    /// Copies a blob and checks its digest on the way.
    pub(super) fn blob(&mut self, path: &str, blob: &Blob) -> Result<(), ExportError> {
        let mut from = Hashing::new(open(&blob.path)?);
        self.stream(path, blob.size, &mut from)?;
        let (found, bytes, _) = from.finish();
        if found != blob.digest || bytes != blob.size {
            return Err(ExportError::Damaged {
                path: blob.path.clone(),
                found,
            });
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), ExportError> {
        let Archive { tar, target } = self;
        tar.into_inner()
            .map(drop)
            .map_err(|cause| ExportError::Write {
                path: target.to_owned(),
                cause,
            })
    }

    fn failed(&self, result: io::Result<()>) -> Result<(), ExportError> {
        result.map_err(|cause| ExportError::Write {
            path: self.target.to_owned(),
            cause,
        })
    }
}

pub(super) fn open(path: &Path) -> Result<File, ExportError> {
    File::open(path).map_err(|cause| ExportError::Blob {
        path: path.to_owned(),
        cause,
    })
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}
