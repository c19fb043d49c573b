//! One layer: a sorted, time-stamped tar of files, links and folders, compressed.
//!
//! What does not go in: device nodes, hard links, extended attributes, names of users and groups,
//! deletions. Entries are given explicitly; nothing is copied from a folder of the host.
//!
//! Invariant: the bytes depend on the entries, the epoch and the owner alone, not on the order of
//! the calls, the umask, the clock or the host's file metadata.

mod error;

use std::{
    collections::{BTreeMap, btree_map},
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use megabinary_format::Digest;
use oci_spec::image::MediaType;

pub use error::LayerError;

use crate::{hashing::Hashing, path, store::BlobStore, time::Epoch};

/// Deflate level. Part of what makes digests reproducible: never take the library's default.
const GZIP_LEVEL: u32 = 6;

/// `OS` byte of the gzip header: unknown (RFC 1952, 2.3.1), whatever machine builds.
const GZIP_OS_UNKNOWN: u8 = 255;

/// Permission bits of folders that are made because something lies in them.
const PARENT_MODE: u32 = 0o755;

/// A stored layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// `application/vnd.oci.image.layer.v1.tar+gzip`.
    pub media_type: MediaType,
    /// Digest of the compressed bytes; names the blob.
    pub digest: Digest,
    /// Digest of the uncompressed tar, as the configuration lists it.
    pub diff_id: Digest,
    /// Length of the compressed bytes.
    pub size: u64,
    /// Where the blob is.
    pub path: PathBuf,
}

/// Writes a gzip member with nothing in its header that differs between builds.
pub(crate) fn compress<T, E: From<io::Error>>(
    to: &mut dyn Write,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(GZIP_OS_UNKNOWN)
        .write(to, Compression::new(GZIP_LEVEL));
    let value = fill(&mut gzip)?;
    gzip.finish()?;
    Ok(value)
}

/// Contents of a regular file.
#[derive(Clone, Debug)]
pub enum Contents {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file of the host, read when the layer is written.
    HostFile(PathBuf),
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Contents {
        Contents::Bytes(bytes)
    }
}

impl From<&[u8]> for Contents {
    fn from(bytes: &[u8]) -> Contents {
        Contents::Bytes(bytes.to_vec())
    }
}

impl From<&Path> for Contents {
    fn from(path: &Path) -> Contents {
        Contents::HostFile(path.to_owned())
    }
}

#[derive(Debug)]
enum Kind {
    File(Contents),
    Symlink(String),
    Directory,
    /// A folder nobody asked for, there because something lies in it.
    Parent,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    mode: u32,
    owner: Owner,
}

#[derive(Clone, Copy, Debug, Default)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// Collects the entries of a layer.
#[derive(Debug)]
pub struct LayerBuilder {
    epoch: Epoch,
    owner: Owner,
    /// By path without the leading slash. In the order of bytes a folder precedes its contents.
    entries: BTreeMap<String, Entry>,
}

impl LayerBuilder {
    /// An empty layer whose entries all have `epoch` as modification time and belong to 0:0.
    pub fn new(epoch: Epoch) -> LayerBuilder {
        LayerBuilder {
            epoch,
            owner: Owner::default(),
            entries: BTreeMap::new(),
        }
    }

    /// Owner of the entries added from now on.
    pub fn owner(&mut self, uid: u32, gid: u32) -> &mut Self {
        self.owner = Owner { uid, gid };
        self
    }

    /// Whether nothing has been added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a regular file at the absolute path `path`.
    pub fn file(
        &mut self,
        path: &str,
        contents: impl Into<Contents>,
        mode: u32,
    ) -> Result<&mut Self, LayerError> {
        self.add(path, Kind::File(contents.into()), mode)
    }

    /// Adds a folder. One that exists already because something lies in it gets this mode.
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<&mut Self, LayerError> {
        self.add(path, Kind::Directory, mode)
    }

    /// Adds a folder that was copied with what is in it, and that is one with what else is added there:
    /// where a folder is asked for by itself, it has the mode and the owner that were asked for.
    pub fn copied_directory(&mut self, path: &str) -> Result<&mut Self, LayerError> {
        let known = self.entries.get(path.trim_start_matches('/'));
        match known.map(|entry| &entry.kind) {
            Some(Kind::Directory) => Ok(self),
            Some(Kind::Parent) => {
                let owner = self.owner;
                if let Some(entry) = self.entries.get_mut(path.trim_start_matches('/')) {
                    entry.owner = owner;
                }
                Ok(self)
            }
            _ => self.add(path, Kind::Parent, PARENT_MODE),
        }
    }

    /// Adds a symbolic link. `target` may be absolute (from the image's root) or relative, and may
    /// dangle, but not climb above the root.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<&mut Self, LayerError> {
        let inside = path.trim_start_matches('/').as_bytes();
        if target.is_empty()
            || target.len() > 4095
            || target.contains('\0')
            || path::climbs_out(inside, target.as_bytes())
        {
            return Err(LayerError::Target {
                path: path.into(),
                target: target.into(),
            });
        }
        self.add(path, Kind::Symlink(target.into()), 0o777)
    }

    fn add(&mut self, path: &str, kind: Kind, mode: u32) -> Result<&mut Self, LayerError> {
        let inside = path::strict(path).map_err(|cause| LayerError::Path {
            path: path.into(),
            cause,
        })?;
        if mode & !0o7777 != 0 {
            return Err(LayerError::Mode {
                path: path.into(),
                mode,
            });
        }
        self.add_parents(inside)?;
        let owner = self.owner;
        match self.entries.entry(inside.to_owned()) {
            btree_map::Entry::Vacant(place) => {
                place.insert(Entry { kind, mode, owner });
            }
            btree_map::Entry::Occupied(mut place) => {
                match (&place.get().kind, &kind) {
                    (Kind::Parent, Kind::Directory) => {}
                    (Kind::Parent, _) => {
                        return Err(LayerError::BelowFile {
                            path: format!("{path}/…"),
                            parent: path.into(),
                        });
                    }
                    _ => return Err(LayerError::Duplicate(path.into())),
                }
                place.insert(Entry { kind, mode, owner });
            }
        }
        Ok(self)
    }

    fn add_parents(&mut self, inside: &str) -> Result<(), LayerError> {
        for (at, _) in inside.match_indices('/') {
            let parent = inside.get(..at).unwrap_or_default();
            match self.entries.get(parent).map(|e| &e.kind) {
                Some(Kind::Parent | Kind::Directory) => {}
                Some(_) => {
                    return Err(LayerError::BelowFile {
                        path: format!("/{inside}"),
                        parent: format!("/{parent}"),
                    });
                }
                None => {
                    self.entries.insert(
                        parent.to_owned(),
                        Entry {
                            kind: Kind::Parent,
                            mode: PARENT_MODE,
                            owner: Owner::default(),
                        },
                    );
                }
            }
        }
        Ok(())
    }

    /// Checks that this layer, put on top of `lower`, takes nothing of it away: folders may be in both,
    /// anything else in one only.
    pub fn fits_on(&self, lower: &LayerBuilder) -> Result<(), LayerError> {
        let is_folder = |kind: &Kind| matches!(kind, Kind::Directory | Kind::Parent);
        for (path, entry) in &self.entries {
            let Some(below) = lower.entries.get(path) else {
                continue;
            };
            match (is_folder(&entry.kind), is_folder(&below.kind)) {
                (true, true) => {}
                (false, false) => return Err(LayerError::Duplicate(format!("/{path}"))),
                (upper_is_folder, _) => {
                    let of = if upper_is_folder { self } else { lower };
                    return Err(match of.below(path) {
                        Some(inside) => LayerError::BelowFile {
                            path: format!("/{inside}"),
                            parent: format!("/{path}"),
                        },
                        // An empty folder.
                        None => LayerError::Duplicate(format!("/{path}")),
                    });
                }
            }
        }
        Ok(())
    }

    /// The first entry in a folder that is more than a folder.
    fn below(&self, folder: &str) -> Option<&str> {
        self.entries
            .range(format!("{folder}/")..)
            .take_while(|(path, _)| {
                path.strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            .find(|(_, entry)| !matches!(entry.kind, Kind::Directory | Kind::Parent))
            .map(|(path, _)| path.as_str())
    }

    /// Writes the layer into `store`.
    pub fn write(&self, store: &BlobStore) -> Result<Layer, LayerError> {
        let (blob, diff_id) = store.put_with(|to| -> Result<Digest, LayerError> {
            compress(to, |gzip| {
                let mut tar = tar::Builder::new(Hashing::new(gzip));
                for (path, entry) in &self.entries {
                    self.write_entry(&mut tar, path, entry)?;
                }
                Ok(tar.into_inner()?.finish().0)
            })
        })?;
        Ok(Layer {
            media_type: MediaType::ImageLayerGzip,
            digest: blob.digest,
            diff_id,
            size: blob.size,
            path: blob.path,
        })
    }

    fn write_entry(
        &self,
        tar: &mut tar::Builder<impl Write>,
        path: &str,
        entry: &Entry,
    ) -> Result<(), LayerError> {
        let failed = |cause| LayerError::Write {
            path: format!("/{path}"),
            cause,
        };
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.owner.uid.into());
        header.set_gid(entry.owner.gid.into());
        header.set_mtime(self.epoch.seconds());
        header.set_size(0);
        match &entry.kind {
            Kind::Directory | Kind::Parent => {
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, format!("{path}/"), io::empty())
                    .map_err(failed)
            }
            Kind::Symlink(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, path, target).map_err(failed)
            }
            Kind::File(Contents::Bytes(bytes)) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, bytes.as_slice())
                    .map_err(failed)
            }
            Kind::File(Contents::HostFile(source)) => {
                let kind = |what| LayerError::SourceKind {
                    path: format!("/{path}"),
                    source_path: source.clone(),
                    what,
                };
                let read = |cause| LayerError::Source {
                    path: format!("/{path}"),
                    source_path: source.clone(),
                    cause,
                };
                let file = File::open(source).map_err(read)?;
                let metadata = file.metadata().map_err(read)?;
                if !metadata.is_file() {
                    return Err(kind("is not a regular file"));
                }
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(metadata.len());
                // One byte more than announced would show growth; less shows in the count.
                let mut counted = Counted {
                    inner: file.take(metadata.len().saturating_add(1)),
                    bytes: 0,
                    left: metadata.len(),
                };
                tar.append_data(&mut header, path, &mut counted)
                    .map_err(failed)?;
                let grown = counted.inner.read(&mut [0]).map_err(read)? != 0;
                if counted.bytes != metadata.len() || grown {
                    return Err(kind("changed while it was read; build again"));
                }
                Ok(())
            }
        }
    }
}

/// Reads at most `left` bytes and counts them; what lies beyond stays in `inner`.
struct Counted<R> {
    inner: R,
    bytes: u64,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self
            .inner
            .read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= n as u64;
        self.bytes += n as u64;
        Ok(n)
    }
}
