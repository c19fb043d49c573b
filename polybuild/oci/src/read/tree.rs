//! The file tree that a container starts with: all layers applied, bottom to top.
//!
//! Only names and metadata are kept; contents are referred to by layer and position. Every key is a
//! real path: its parents are folders of the tree, never links, because an entry below a link is
//! put where the link leads, as container engines do.
//!
//! Deletions (OCI image specification, "Whiteouts") concern lower layers only. A layer that adds a
//! path and *then* deletes it is refused: Docker's and containerd's answers differ.

use std::collections::BTreeMap;

use tar::EntryType;

use super::{Limits, ReadError, entries::Head};
use crate::path;

/// Links followed before a path counts as a loop (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// Which bytes: the entry with this position in this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    pub(super) layer: usize,
    pub(super) ordinal: usize,
}

/// Metadata of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits, set-user-ID and the like included.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time in seconds since 1970.
    pub mtime: u64,
}

/// One file, folder, link or device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Mode, owner, time.
    pub metadata: Metadata,
    /// What it is.
    pub kind: NodeKind,
    /// The layer that last had something to say about it.
    layer: usize,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A folder.
    Directory,
    /// A regular file; hard links to it have the same content.
    File {
        /// Where its bytes are.
        content: ContentId,
        /// Their number.
        size: u64,
    },
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// A device or pipe, by its name in tar.
    Special(&'static str),
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nothing there.
    #[error("nothing is at {0}")]
    Missing(String),
    /// A part that should be a folder is not.
    #[error("{0} is not a folder")]
    NotAFolder(String),
    /// Links lead to links without end.
    #[error("too many links")]
    Loop,
}

/// The files of an image, by path without the leading slash; the root itself is not listed.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl Tree {
    /// All nodes; a folder comes before what it holds.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.nodes
            .iter()
            .map(|(path, node)| (path.as_slice(), node))
    }

    /// The node at exactly this path, no links followed.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Follows `path` from the root, links included, as a process in the container would. The root
    /// itself is not a node and is [`ResolveError::Missing`].
    pub fn resolve(&self, path: &[u8]) -> Result<(Vec<u8>, &Node), ResolveError> {
        let at = self.walk(path, &mut |missing| {
            Err(ResolveError::Missing(path::show(missing)))
        })?;
        match self.nodes.get(&at) {
            Some(node) => Ok((at, node)),
            None => Err(ResolveError::Missing(path::show(&at))),
        }
    }

    /// Follows `path`; `on_missing` decides about parts that do not exist (they then count as
    /// folders).
    fn walk(
        &self,
        path: &[u8],
        on_missing: &mut dyn FnMut(&[u8]) -> Result<(), ResolveError>,
    ) -> Result<Vec<u8>, ResolveError> {
        let mut links = 0;
        let mut at: Vec<u8> = Vec::new();
        // Parts still to go, the next one last.
        let parts = |path: &[u8]| -> Vec<Vec<u8>> {
            path.split(|b| *b == b'/')
                .filter(|p| !p.is_empty())
                .rev()
                .map(<[u8]>::to_vec)
                .collect()
        };
        let mut todo = parts(path);
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"." => continue,
                b".." => {
                    let up = path::split(&at).map_or(0, |(folder, _)| folder.len());
                    at.truncate(up);
                    continue;
                }
                _ => {}
            }
            let next = path::join(&at, &part);
            match self.nodes.get(&next).map(|n| &n.kind) {
                None => {
                    on_missing(&next)?;
                    at = next;
                }
                Some(NodeKind::Directory) => at = next,
                Some(NodeKind::Symlink(target)) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(ResolveError::Loop);
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    todo.extend(parts(target));
                }
                Some(_) if todo.is_empty() => at = next,
                Some(_) => return Err(ResolveError::NotAFolder(path::show(&next))),
            }
        }
        Ok(at)
    }
}

/// Applies layers to a tree.
pub(super) struct Builder {
    tree: Tree,
    layer: usize,
    entries_left: usize,
    path_bytes_left: usize,
    limits: Limits,
}

impl Builder {
    pub(super) fn new(limits: &Limits) -> Builder {
        Builder {
            tree: Tree::default(),
            layer: 0,
            entries_left: limits.entries,
            path_bytes_left: limits.path_bytes,
            limits: *limits,
        }
    }

    pub(super) fn finish(self) -> Tree {
        self.tree
    }

    pub(super) fn start_layer(&mut self, number: usize) {
        self.layer = number;
    }

    /// Applies one entry of the current layer.
    pub(super) fn apply(&mut self, head: &Head, content: ContentId) -> Result<(), ReadError> {
        let refuse = |problem: String| ReadError::Entry {
            entry: path::show(&head.path),
            problem,
        };
        let normal = path::normal(&head.path).map_err(|cause| ReadError::Path {
            entry: path::show(&head.path),
            cause,
        })?;
        // The root's own metadata is the container engine's business.
        let Some((folder, name)) = path::split(&normal) else {
            return Ok(());
        };
        let folder = self.folder(folder).map_err(|e| refuse(e.to_string()))?;
        self.spend(1, 0)?;

        if name == path::OPAQUE {
            self.remove_below(&folder);
            return Ok(());
        }
        if let Some(deleted) = name.strip_prefix(path::WHITEOUT) {
            // `.wh..wh.*` is bookkeeping of AUFS, which engines skip.
            if deleted.starts_with(path::WHITEOUT) {
                return Ok(());
            }
            if matches!(deleted, b"" | b"." | b"..") {
                return Err(refuse("it deletes no name".into()));
            }
            let target = path::join(&folder, deleted);
            if self
                .tree
                .nodes
                .get(&target)
                .is_some_and(|n| n.layer == self.layer)
            {
                return Err(refuse("the same layer adds and then deletes it".into()));
            }
            self.remove_below(&target);
            self.tree.nodes.remove(&target);
            return Ok(());
        }

        let kind = self.kind(head, content)?;
        let at = path::join(&folder, name);
        let metadata = Metadata {
            mode: head.mode & 0o7777,
            uid: head.uid,
            gid: head.gid,
            mtime: head.mtime,
        };
        self.put(at, metadata, kind)
    }

    fn kind(&self, head: &Head, content: ContentId) -> Result<NodeKind, ReadError> {
        let refuse = |problem: String| ReadError::Entry {
            entry: path::show(&head.path),
            problem,
        };
        Ok(match head.kind {
            EntryType::Regular => NodeKind::File {
                content,
                size: head.size,
            },
            EntryType::Directory => NodeKind::Directory,
            EntryType::Symlink if head.link.is_empty() || head.link.contains(&0) => {
                return Err(refuse("a link without a target".into()));
            }
            EntryType::Symlink => NodeKind::Symlink(head.link.clone()),
            EntryType::Link => {
                let target = path::normal(&head.link).map_err(|cause| ReadError::Path {
                    entry: format!("{} => {}", path::show(&head.path), path::show(&head.link)),
                    cause,
                })?;
                let lost = || {
                    let target = path::show(&target);
                    refuse(format!(
                        "a hard link to {target}, which is no file of the image"
                    ))
                };
                let (folder, name) = path::split(&target).ok_or_else(lost)?;
                let folder = self
                    .tree
                    .walk(folder, &mut |_| Ok(()))
                    .map_err(|_| lost())?;
                match self
                    .tree
                    .nodes
                    .get(&path::join(&folder, name))
                    .map(|n| &n.kind)
                {
                    None | Some(NodeKind::Directory) => return Err(lost()),
                    Some(kind) => kind.clone(),
                }
            }
            EntryType::Char => NodeKind::Special("character device"),
            EntryType::Block => NodeKind::Special("block device"),
            EntryType::Fifo => NodeKind::Special("pipe"),
            other => {
                return Err(refuse(format!(
                    "an entry of the unknown type {:#04x}",
                    other.as_byte()
                )));
            }
        })
    }

    /// Resolves the folder of an entry, making what is missing. All folders on the way belong to
    /// the current layer afterwards: a deletion in it no longer concerns them.
    fn folder(&mut self, folder: &[u8]) -> Result<Vec<u8>, ReadError> {
        let refuse = |e: ResolveError| ReadError::Entry {
            entry: path::show(folder),
            problem: e.to_string(),
        };
        let mut missing = Vec::new();
        let at = self
            .tree
            .walk(folder, &mut |path| {
                missing.push(path.to_vec());
                Ok(())
            })
            .map_err(refuse)?;
        for path in missing {
            let metadata = Metadata {
                mode: 0o755,
                ..Metadata::default()
            };
            self.put(path, metadata, NodeKind::Directory)?;
        }
        let mut up = at.as_slice();
        while let Some((parent, _)) = path::split(up) {
            match self.tree.nodes.get_mut(up) {
                Some(node) if matches!(node.kind, NodeKind::Directory) => node.layer = self.layer,
                Some(_) => return Err(refuse(ResolveError::NotAFolder(path::show(up)))),
                // A part that was missing and then left again by `..`.
                None => return Err(refuse(ResolveError::Missing(path::show(up)))),
            }
            up = parent;
        }
        Ok(at)
    }

    fn put(&mut self, at: Vec<u8>, metadata: Metadata, kind: NodeKind) -> Result<(), ReadError> {
        self.spend(1, at.len())?;
        let stays_folder = kind == NodeKind::Directory
            && self
                .tree
                .nodes
                .get(&at)
                .is_some_and(|n| n.kind == NodeKind::Directory);
        if !stays_folder {
            self.remove_all_below(&at);
        }
        let node = Node {
            metadata,
            kind,
            layer: self.layer,
        };
        self.tree.nodes.insert(at, node);
        Ok(())
    }

    /// Removes what lower layers put below `folder`.
    fn remove_below(&mut self, folder: &[u8]) {
        let layer = self.layer;
        self.retain_below(folder, |node| node.layer == layer);
    }

    fn remove_all_below(&mut self, folder: &[u8]) {
        self.retain_below(folder, |_| false);
    }

    fn retain_below(&mut self, folder: &[u8], keep: impl Fn(&Node) -> bool) {
        // All paths that start with `folder/`, which sort between `folder/` and `folder0`.
        let (from, to) = match folder {
            b"" => (Vec::new(), None),
            _ => ([folder, b"/"].concat(), Some([folder, b"0"].concat())),
        };
        let doomed: Vec<Vec<u8>> = self
            .tree
            .nodes
            .range(from..)
            .take_while(|(path, _)| to.as_ref().is_none_or(|to| *path < to))
            .filter(|(_, node)| !keep(node))
            .map(|(path, _)| path.clone())
            .collect();
        for path in doomed {
            self.tree.nodes.remove(&path);
        }
    }

    fn spend(&mut self, entries: usize, path_bytes: usize) -> Result<(), ReadError> {
        self.entries_left = self
            .entries_left
            .checked_sub(entries)
            .ok_or(ReadError::Limit {
                what: "files",
                limit: self.limits.entries as u64,
            })?;
        self.path_bytes_left =
            self.path_bytes_left
                .checked_sub(path_bytes)
                .ok_or(ReadError::Limit {
                    what: "bytes of paths",
                    limit: self.limits.path_bytes as u64,
                })?;
        Ok(())
    }
}
