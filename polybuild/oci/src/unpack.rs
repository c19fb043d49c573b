//! A root file system on disk, for running a program of an image without a container engine.
//!
//! What is not kept: owners (everything belongs to the caller), set-user-ID and set-group-ID bits,
//! device nodes (reported), modification times of folders and links.
//!
//! Invariant: nothing outside the new folder is created, changed or linked to. Folders are made
//! first, then files, links last, so no path that is written to has a link in it; each folder is
//! opened part by part with `O_NOFOLLOW`, so that somebody who swaps a folder for a link while we
//! work gains nothing either. The folder appears under its name only when all digests were right.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Timespec, Timestamps},
    io::Errno,
};

use crate::{
    path, publish,
    read::{ContentId, Metadata, NodeKind, ReadError, ReadImage, Tree},
};

/// What was unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Regular files, hard links included.
    pub files: usize,
    /// Devices and pipes that were left out: path and kind.
    pub skipped: Vec<(String, &'static str)>,
}

/// Why an image could not be unpacked. Nothing is left at the target.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The image could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The host could not write.
    #[error("unpacking `{entry}` to {target}: {cause}")]
    Write {
        /// Path in the image.
        entry: String,
        /// The folder to be made.
        target: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A symbolic link that leaves the root when followed on the host.
    #[error("the link `{entry}` -> `{link}` in the image leads out of its root; it is refused")]
    LinkOut {
        /// Path in the image.
        entry: String,
        /// Its target.
        link: String,
    },
}

/// Makes the folder `target`, which must not exist or be empty, from `image` as `tree` has it.
///
/// Absolute links are kept as they are: they are meant to be resolved inside the root, as the
/// vkernel does.
pub fn unpack(image: &ReadImage, tree: &Tree, target: &Path) -> Result<Unpacked, UnpackError> {
    let on_io = |target, cause| UnpackError::Write {
        entry: "/".into(),
        target,
        cause,
    };
    publish::dir(
        target,
        |_| false,
        on_io,
        |dir| {
            let root = File::open(dir).map_err(|e| on_io(target.to_owned(), e))?;
            Writer {
                root: root.into(),
                target,
                folder: None,
            }
            .write(image, tree)
        },
    )
}

struct Writer<'a> {
    root: OwnedFd,
    target: &'a Path,
    /// The folder opened last: its path and descriptor.
    folder: Option<(Vec<u8>, OwnedFd)>,
}

/// Mode of a folder until everything is in it.
const WHILE_WRITING: Mode = Mode::RWXU;
/// Permission bits that are kept.
const KEPT: u32 = 0o777;

impl Writer<'_> {
    fn write(&mut self, image: &ReadImage, tree: &Tree) -> Result<Unpacked, UnpackError> {
        let mut unpacked = Unpacked::default();
        let mut folders = Vec::new();
        let mut links = Vec::new();
        let mut places: BTreeMap<ContentId, Vec<(&[u8], Metadata)>> = BTreeMap::new();
        for (path, node) in tree.iter() {
            match &node.kind {
                NodeKind::Directory => {
                    self.at(path, |at, name| {
                        rustix::fs::mkdirat(at, name, WHILE_WRITING)
                    })?;
                    folders.push((path, node.metadata));
                }
                NodeKind::File { content, .. } => {
                    places
                        .entry(*content)
                        .or_default()
                        .push((path, node.metadata));
                }
                NodeKind::Symlink(link) if path::climbs_out(path, link) => {
                    return Err(UnpackError::LinkOut {
                        entry: path::show(path),
                        link: String::from_utf8_lossy(link).into_owned(),
                    });
                }
                NodeKind::Symlink(link) => links.push((path, link)),
                NodeKind::Special(kind) => unpacked.skipped.push((path::show(path), kind)),
            }
        }

        let wanted: BTreeSet<ContentId> = places.keys().copied().collect();
        let mut failure = None;
        let read = image.contents(&wanted, &mut |id, reader| {
            if failure.is_none() {
                let places = places.get(&id).map_or(&[][..], Vec::as_slice);
                match self.file(places, reader) {
                    Ok(()) => unpacked.files += places.len(),
                    Err(error) => failure = Some(error),
                }
            }
            Ok(())
        });
        failure.map_or(Ok(()), Err)?;
        read?;

        for (path, link) in links {
            self.at(path, |at, name| {
                rustix::fs::symlinkat(link.as_slice(), at, name)
            })?;
        }
        // Innermost first: a folder without write permission must already be complete.
        for (path, metadata) in folders.into_iter().rev() {
            let mode = Mode::from_raw_mode(metadata.mode & KEPT);
            self.at(path, |at, name| {
                rustix::fs::chmodat(at, name, mode, AtFlags::empty())
            })?;
        }
        Ok(unpacked)
    }

    /// Writes one content to the first of its places and links the others to it.
    fn file(
        &mut self,
        places: &[(&[u8], Metadata)],
        reader: &mut dyn io::Read,
    ) -> Result<(), UnpackError> {
        let Some((&(first, metadata), others)) = places.split_first() else {
            return Ok(());
        };
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let owner_only = Mode::RUSR | Mode::WUSR;
        let fd = self.at(first, |at, name| {
            rustix::fs::openat(at, name, flags, owner_only)
        })?;
        let mut file = File::from(fd);
        let failed = |cause| self.failed(first, cause);
        io::copy(reader, &mut file).map_err(failed)?;
        let time = Timespec {
            tv_sec: i64::try_from(metadata.mtime).unwrap_or(i64::MAX),
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(&file, &times).map_err(|e| failed(e.into()))?;
        let mode = Mode::from_raw_mode(metadata.mode & KEPT);
        rustix::fs::fchmod(&file, mode).map_err(|e| failed(e.into()))?;

        if others.is_empty() {
            return Ok(());
        }
        let (folder, name) = path::split(first).unwrap_or_default();
        let source = self.open(folder, first)?;
        for (other, _) in others {
            self.at(other, |at, new| {
                rustix::fs::linkat(&source, name, at, new, AtFlags::empty())
            })?;
        }
        Ok(())
    }

    /// Does `what` with the opened folder of `path` and its last name.
    fn at<T>(
        &mut self,
        path: &[u8],
        what: impl FnOnce(BorrowedFd<'_>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        let (folder, name) = path::split(path).unwrap_or_default();
        let fd = match self.folder.take() {
            Some((open, fd)) if open == folder => fd,
            _ => self.open(folder, path)?,
        };
        let done = what(fd.as_fd(), name).map_err(|e| self.failed(path, e.into()));
        self.folder = Some((folder.to_vec(), fd));
        done
    }

    /// Opens a folder from the root, part by part.
    fn open(&self, folder: &[u8], entry: &[u8]) -> Result<OwnedFd, UnpackError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |at: BorrowedFd<'_>, name: &[u8]| {
            rustix::fs::openat(at, name, flags, Mode::empty())
                .map_err(|e| self.failed(entry, e.into()))
        };
        let mut fd = open(self.root.as_fd(), b".")?;
        for part in folder.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
            fd = open(fd.as_fd(), part)?;
        }
        Ok(fd)
    }

    fn failed(&self, entry: &[u8], cause: io::Error) -> UnpackError {
        UnpackError::Write {
            entry: path::show(entry),
            target: self.target.to_owned(),
            cause,
        }
    }
}
