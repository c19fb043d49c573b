//! The files of a layout folder or of an archive, by name.
//!
//! An archive is scanned once; afterwards its files are read in place. Nothing is unpacked.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use tar::EntryType;

use super::{
    Limits, ReadError,
    entries::{self, Refused},
};
use crate::path;

/// A layout folder or an archive.
#[derive(Debug)]
pub(super) enum Files {
    Folder(PathBuf),
    Archive {
        path: PathBuf,
        index: BTreeMap<Vec<u8>, Place>,
    },
}

/// Where a file is in the archive.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Range {
        offset: u64,
        size: u64,
    },
    /// Another entry: `docker save` writes a layer that several images share only once.
    Link(Vec<u8>),
}

/// Entries of an archive itself, not of the layers in it.
const ARCHIVE_ENTRIES: usize = 100_000;
/// Links followed inside an archive.
const LINKS: usize = 8;

impl Files {
    pub(super) fn open(target: &Path, limits: &Limits) -> Result<Files, ReadError> {
        let failed = |cause| ReadError::Io {
            path: target.to_owned(),
            cause,
        };
        let file = File::open(target).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Ok(Files::Folder(target.to_owned()));
        }
        let not_an_image = |what: &str| ReadError::NotAnImage {
            path: target.to_owned(),
            what: what.into(),
        };
        if !metadata.is_file() {
            return Err(not_an_image("it is neither a folder nor a regular file"));
        }
        scan(target, file, metadata.len(), limits)
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self, Files::Folder(_))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Files::Folder(path) | Files::Archive { path, .. } => path,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Files::Folder(path) => path.join(name).is_file(),
            Files::Archive { index, .. } => index.contains_key(name.as_bytes()),
        }
    }

    /// Opens a file; the reader ends where the file does. `name` must come from a checked source:
    /// it is joined to the folder's path as it is.
    pub(super) fn reader(&self, name: &str) -> Result<(io::Take<File>, u64), ReadError> {
        let failed = |cause| ReadError::Io {
            path: self.path().to_owned(),
            cause,
        };
        let missing = || ReadError::Missing {
            path: self.path().to_owned(),
            file: name.into(),
        };
        match self {
            Files::Folder(path) => {
                let file = match File::open(path.join(name)) {
                    Ok(file) => file,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(missing()),
                    Err(e) => return Err(failed(e)),
                };
                let metadata = file.metadata().map_err(failed)?;
                if !metadata.is_file() {
                    return Err(missing());
                }
                Ok((file.take(metadata.len()), metadata.len()))
            }
            Files::Archive { path, index } => {
                let mut name = name.as_bytes();
                for _ in 0..LINKS {
                    match index.get(name).ok_or_else(missing)? {
                        Place::Link(target) => name = target,
                        Place::Range { offset, size } => {
                            let mut file = File::open(path).map_err(failed)?;
                            file.seek(SeekFrom::Start(*offset)).map_err(failed)?;
                            return Ok((file.take(*size), *size));
                        }
                    }
                }
                Err(missing())
            }
        }
    }

    /// Reads a small file whole.
    pub(super) fn document(&self, name: &str, limits: &Limits) -> Result<Vec<u8>, ReadError> {
        let (mut reader, size) = self.reader(name)?;
        if size > limits.document_bytes {
            return Err(ReadError::Limit {
                what: "bytes in a document",
                limit: limits.document_bytes,
            });
        }
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|cause| ReadError::Io {
                path: self.path().to_owned(),
                cause,
            })?;
        Ok(bytes)
    }
}

fn scan(target: &Path, file: File, length: u64, limits: &Limits) -> Result<Files, ReadError> {
    let mut index = BTreeMap::new();
    let mut archive = tar::Archive::new(file);
    let scanned = archive
        .entries_with_seek()
        .map_err(Refused::Io)
        .and_then(|entries| {
            entries::walk(entries, |head, entry| {
                if index.len() >= ARCHIVE_ENTRIES.min(limits.entries) {
                    return Err(ReadError::Limit {
                        what: "entries in an archive",
                        limit: ARCHIVE_ENTRIES as u64,
                    });
                }
                let name = path::normal(&head.path).map_err(|cause| ReadError::Path {
                    entry: path::show(&head.path),
                    cause,
                })?;
                let place = match head.kind {
                    EntryType::Regular => {
                        let offset = entry.raw_file_position();
                        if offset.checked_add(head.size).is_none_or(|end| end > length) {
                            return Err(ReadError::Io {
                                path: target.to_owned(),
                                cause: io::ErrorKind::UnexpectedEof.into(),
                            });
                        }
                        Place::Range {
                            offset,
                            size: head.size,
                        }
                    }
                    EntryType::Symlink | EntryType::Link => {
                        match link_target(&name, head.kind, &head.link) {
                            Some(target) => Place::Link(target),
                            // Such a link leads to nothing in the archive.
                            None => return Ok(()),
                        }
                    }
                    _ => return Ok(()),
                };
                if index.insert(name, place).is_some() {
                    return Err(ReadError::Entry {
                        entry: path::show(&head.path),
                        problem: "the archive has it twice".into(),
                    });
                }
                Ok(())
            })
        });
    match scanned {
        Ok(()) if index.is_empty() => Err(ReadError::NotAnImage {
            path: target.to_owned(),
            what: "it has no entries of a tar".into(),
        }),
        Ok(()) => Ok(Files::Archive {
            path: target.to_owned(),
            index,
        }),
        Err(Refused::Visitor(error)) => Err(error),
        Err(Refused::Extension(entry, problem)) => Err(ReadError::Entry {
            entry: path::show(&entry),
            problem: problem.into(),
        }),
        Err(Refused::Io(cause))
            if index.is_empty() && cause.kind() != io::ErrorKind::UnexpectedEof =>
        {
            Err(ReadError::NotAnImage {
                path: target.to_owned(),
                what: format!("it is not a tar ({cause})"),
            })
        }
        Err(Refused::Io(cause)) => Err(ReadError::Io {
            path: target.to_owned(),
            cause,
        }),
    }
}

/// Name in the archive that a link points at; symbolic links are relative to their folder.
fn link_target(name: &[u8], kind: EntryType, target: &[u8]) -> Option<Vec<u8>> {
    if kind == EntryType::Link {
        return path::normal(target).ok();
    }
    let mut resolved: Vec<&[u8]> = path::split(name)?
        .0
        .split(|b| *b == b'/')
        .filter(|p| !p.is_empty())
        .collect();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(resolved.pop()?),
            part => resolved.push(part),
        }
    }
    Some(resolved.join(&b'/'))
}
