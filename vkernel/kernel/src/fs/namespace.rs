//! The one tree of names that a guest with a root sees: which mounts and internal trees appear in
//! it, and where.
//!
//! A point of attachment is a folder, known by its mount and its identity, and a name in it; what
//! lies below that name on the host is covered, as by mount(2). So the question "does a step lead
//! into a mount?" is asked about a folder that is already open, and moving a folder that holds a
//! point moves what is attached along with it, as on Linux.
//!
//! Folders on the way to a point that do not exist are made up here, as an internal tree of
//! nothing but folders; the host's files are not touched.
//!
//! Not here: walking (see [`walker`](super::walker)), and access decisions. Without a root there
//! are no points, and every mount is a start of its own.
//!
//! Invariant: a parent of a point stays open, so that its identity is given to nothing else.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use megabinary_format::{FileKind, FileNode, FileTree};
use rustix::{fs::FileType, io::Errno};

use super::{
    Result,
    guard::Identity,
    identity,
    resolve::{At, Found, Last, Resolver, Scope, Start},
    table::HostFd,
    tree::{Contents, Tree},
};

/// Which mount an object was reached through, for what Linux forbids between mounts. The root,
/// and every start that is not part of a namespace, is [`ROOT`]; a tree is known by its device.
pub(crate) type MountId = u64;

/// The root's mount.
pub(crate) const ROOT: MountId = 0;

/// Device number of the first folder tree that is made up here, after those of the image's trees.
const MADE_UP_DEVICE: u64 = super::tree::DEVICE + 0x8000_0000;

/// What is attached at a point.
#[derive(Debug)]
pub(crate) enum Target {
    Host {
        fd: Arc<OwnedFd>,
        mount: MountId,
        /// Its path in the host's name space.
        real: Vec<u8>,
    },
    Tree(Arc<Tree>),
}

/// The folder that holds a point.
#[derive(Debug)]
enum Parent {
    Host {
        mount: MountId,
        identity: Identity,
        /// Keeps the identity its own.
        _open: HostFd,
    },
    Tree {
        device: u64,
        node: Option<usize>,
    },
}

#[derive(Debug)]
struct Point {
    parent: Parent,
    name: Vec<u8>,
    target: Target,
}

/// The points of attachment; empty without a root, or with nothing but a root.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    points: Vec<Point>,
    made_up: u64,
}

impl Namespace {
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Whether no walk of `path` can come to a point, as long as it follows no links: no step of
    /// it has a point's name, and none leads upwards.
    pub(crate) fn avoided_by(&self, path: &[u8]) -> bool {
        path.split(|b| *b == b'/')
            .all(|part| part != b".." && !self.has_name(part))
    }

    fn has_name(&self, name: &[u8]) -> bool {
        self.points.iter().any(|point| point.name == name)
    }

    /// What is attached at `name` in the open folder `folder`.
    pub(crate) fn at(&self, folder: At<'_>, name: &[u8]) -> Result<Option<&Target>> {
        let name = super::path::trim_end(name);
        // Nearly every name is no point's: those cost no look at the folder.
        if !self.has_name(name) {
            return Ok(None);
        }
        let found = self.points_in(folder)?.find(|point| point.name == name);
        Ok(found.map(|point| &point.target))
    }

    /// The names and targets of the points in an open folder.
    pub(crate) fn inside(
        &self,
        folder: At<'_>,
    ) -> Result<impl Iterator<Item = (&[u8], &Target)> + use<'_>> {
        let points = self.points_in(folder)?;
        Ok(points.map(|point| (point.name.as_slice(), &point.target)))
    }

    /// Whether the folder with this identity holds a point, and so is never empty.
    pub(crate) fn holds_point(&self, folder: Identity) -> bool {
        self.points.iter().any(
            |point| matches!(&point.parent, Parent::Host { identity, .. } if *identity == folder),
        )
    }

    fn points_in(&self, folder: At<'_>) -> Result<impl Iterator<Item = &Point> + use<'_>> {
        enum Key {
            Host(MountId, Identity),
            Tree(u64, Option<usize>),
            Nothing,
        }
        let key = match folder {
            _ if self.points.is_empty() => Key::Nothing,
            At::Host { fd, mount } => Key::Host(mount, identity(&rustix::fs::fstat(fd)?)),
            At::Tree { tree, node } => Key::Tree(tree.device, node),
        };
        Ok(self.points.iter().filter(move |point| match &point.parent {
            Parent::Host {
                mount, identity, ..
            } => matches!(key, Key::Host(m, i) if (m, i) == (*mount, *identity)),
            Parent::Tree { device, node } => {
                matches!(key, Key::Tree(d, n) if (d, n) == (*device, *node))
            }
        }))
    }
}

impl Target {
    /// As the end of a resolution.
    pub(crate) fn found(&self) -> Found {
        match self {
            Target::Host { fd, mount, .. } => Found::Host {
                fd: HostFd::Shared(Arc::clone(fd)),
                mount: *mount,
            },
            Target::Tree(tree) => Found::Tree {
                tree: Arc::clone(tree),
                node: None,
            },
        }
    }

    /// Inode number of the folder that is seen there.
    pub(crate) fn inode(&self) -> Result<u64> {
        Ok(match self {
            Target::Host { fd, .. } => rustix::fs::fstat(fd)?.st_ino,
            Target::Tree(_) => Tree::inode(None),
        })
    }
}

/// Attaches `target` at the absolute guest path `guest`, in normal form and not `/`. What is
/// attached above it has to be there already. ENOTDIR if something on the way is not a folder.
pub(crate) fn attach(
    resolver: &mut Resolver,
    root: &Arc<OwnedFd>,
    guest: &str,
    target: Target,
) -> Result<()> {
    let parts: Vec<&str> = guest.split('/').filter(|part| !part.is_empty()).collect();
    let Some((name, above)) = parts.split_last() else {
        return Err(Errno::BUSY);
    };
    let start = Start {
        at: At::Host {
            fd: root.as_fd(),
            mount: ROOT,
        },
        scope: Scope::Root,
    };
    // The deepest folder on the way that exists.
    let mut there = above.len();
    let folder = loop {
        let path = match above.get(..there) {
            None | Some([]) => ".".to_owned(),
            Some(parts) => parts.join("/"),
        };
        match resolver.object(start, path.as_bytes(), Last::Follow) {
            Err(Errno::NOENT) if there > 0 => there -= 1,
            found => break found?,
        }
    };
    let folder = parent(folder)?;
    let missing = above.get(there..).unwrap_or_default();
    let Some((first, rest)) = missing.split_first() else {
        resolver.namespace.points.push(Point {
            parent: folder,
            name: name.as_bytes().to_vec(),
            target,
        });
        return Ok(());
    };
    let device = MADE_UP_DEVICE + resolver.namespace.made_up;
    resolver.namespace.made_up += 1;
    let folders = (1..=rest.len()).filter_map(|n| rest.get(..n));
    let nodes: Vec<FileNode> = folders
        .map(|parts| FileNode {
            path: parts.join("/"),
            kind: FileKind::Directory,
        })
        .collect();
    // Each is below the one before it, so they are sorted, and the last is the deepest.
    let node = nodes.len().checked_sub(1);
    let files = Arc::new(FileTree {
        mount: format!("/{}", parts.get(..=there).unwrap_or_default().join("/")),
        nodes,
    });
    let contents = Contents::Static {
        bytes: &[],
        base: 0,
    };
    let points = &mut resolver.namespace.points;
    points.push(Point {
        parent: folder,
        name: first.as_bytes().to_vec(),
        target: Target::Tree(Arc::new(Tree::new(files, contents, device))),
    });
    points.push(Point {
        parent: Parent::Tree { device, node },
        name: name.as_bytes().to_vec(),
        target,
    });
    Ok(())
}

fn parent(folder: Found) -> Result<Parent> {
    match folder {
        Found::Host { fd, mount } => {
            let stat = rustix::fs::fstat(fd.as_fd())?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Err(Errno::NOTDIR);
            }
            Ok(Parent::Host {
                mount,
                identity: identity(&stat),
                _open: fd,
            })
        }
        Found::Tree { tree, node } if tree.is_folder(node) => Ok(Parent::Tree {
            device: tree.device,
            node,
        }),
        Found::Tree { .. } => Err(Errno::NOTDIR),
    }
}
