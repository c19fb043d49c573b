//! Path resolution one component at a time: through mounts and internal trees, and for hosts
//! without `openat2(2)`.
//!
//! Every component of a host folder is opened by itself with `O_PATH | O_NOFOLLOW` in the folder
//! opened before it; links are read from the descriptor that was opened, and `..` pops a stack of
//! open folders instead of asking the host. So however the tree is changed meanwhile, the walk
//! stands only in folders that it entered downwards from the start. Where something is attached
//! (see [`namespace`](super::namespace)) the step leads there, and the same stack leads back.
//!
//! Invariant: the host never gets a name that contains `/` in front of another component, is
//! `..`, or is a link to follow.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use megabinary_format::FileKind;
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    Result,
    namespace::Namespace,
    path,
    resolve::{At, Found, Last, Place, PlaceDir, Scope, Start},
    retry, special,
    table::HostFd,
};

/// Most symbolic links followed in one resolution (`MAXSYMLINKS` of Linux, path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// As [`super::resolve::Resolver::object`].
pub(crate) fn object(
    namespace: &Namespace,
    start: Start<'_>,
    path: &[u8],
    last: Last,
) -> Result<Found> {
    let mut walk = Walk::new(namespace, start, path);
    while let Some(name) = walk.components.pop() {
        let is_last = walk.components.is_empty();
        if let Some(object) = walk.step(&name, is_last, last == Last::Follow)? {
            return Ok(object);
        }
    }
    walk.into_folder()
}

/// The folder at `path`.
pub(crate) fn folder(namespace: &Namespace, start: Start<'_>, path: &[u8]) -> Result<Found> {
    let mut walk = Walk::new(namespace, start, path);
    walk.folder = true;
    while let Some(name) = walk.components.pop() {
        let is_last = walk.components.is_empty();
        walk.step(&name, is_last, true)?;
    }
    walk.into_folder()
}

/// As [`super::resolve::Resolver::place_behind_links`].
pub(crate) fn place_behind_links<'a>(
    namespace: &Namespace,
    start: Start<'a>,
    path: &[u8],
) -> Result<Place<'a>> {
    let mut walk = Walk::new(namespace, start, path);
    while let Some(name) = walk.components.pop() {
        let is_last = walk.components.is_empty();
        if is_last && name != b"." && name != b".." {
            match walk.look(&name) {
                Ok(Entry::Link(link)) => walk.follow(&link, &name)?,
                Ok(_) | Err(Errno::NOENT) => return Ok(walk.into_place(name)),
                Err(error) => return Err(error),
            }
        } else {
            walk.step(&name, is_last, true)?;
        }
    }
    Ok(walk.into_place(b".".to_vec()))
}

struct Walk<'a, 'n> {
    namespace: &'n Namespace,
    start: Start<'a>,
    /// Folders entered below the start, outermost first.
    entered: Vec<Found>,
    /// Components still to walk, the next one last.
    components: Vec<Vec<u8>>,
    /// Whether what the path ends in must be a folder.
    folder: bool,
    links: u32,
}

/// What a name in a folder is.
enum Entry {
    Folder(Found),
    Link(Found),
    Other(Found),
}

impl<'a, 'n> Walk<'a, 'n> {
    fn new(namespace: &'n Namespace, start: Start<'a>, path: &[u8]) -> Walk<'a, 'n> {
        let mut walk = Walk {
            namespace,
            start,
            entered: Vec::new(),
            components: Vec::new(),
            folder: false,
            links: 0,
        };
        walk.push(path);
        walk
    }

    fn here(&self) -> At<'_> {
        self.entered.last().map_or(self.start.at, Found::at)
    }

    /// Puts the components of `path` in front of those still to walk.
    fn push(&mut self, path: &[u8]) {
        if self.components.is_empty() && path::ends_in_slash(path) {
            self.folder = true;
        }
        let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
        self.components.extend(parts.rev().map(<[u8]>::to_vec));
    }

    /// Walks one component. Gives the object when the walk ends at something other than a
    /// folder that was entered.
    fn step(&mut self, name: &[u8], is_last: bool, follow: bool) -> Result<Option<Found>> {
        match name {
            b"." => {
                // As the kernel: search permission is needed even to stay.
                if let At::Host { fd, .. } = self.here() {
                    open(fd, b".")?;
                }
                return Ok(None);
            }
            b".." => return self.climb().map(|()| None),
            _ => {}
        }
        match self.look(name)? {
            Entry::Folder(folder) => {
                self.entered.push(folder);
                Ok(None)
            }
            Entry::Link(link) if !is_last || follow || self.folder => {
                self.follow(&link, name)?;
                Ok(None)
            }
            _ if !is_last || self.folder => Err(Errno::NOTDIR),
            Entry::Link(found) | Entry::Other(found) => Ok(Some(found)),
        }
    }

    /// `..`.
    fn climb(&mut self) -> Result<()> {
        if self.entered.pop().is_some() || self.start.scope == Scope::Root {
            return Ok(());
        }
        match self.start.at {
            // All of a tree is one start: nothing in it is hidden from who holds a part.
            At::Tree { tree, node } if node.is_some() => {
                let node = tree.parent(node)?;
                self.start.at = At::Tree { tree, node };
                Ok(())
            }
            _ => Err(Errno::PERM),
        }
    }

    /// The entry `name` of the folder in which the walk stands.
    fn look(&self, name: &[u8]) -> Result<Entry> {
        let here = self.here();
        if let Some(target) = self.namespace.at(here, name)? {
            return Ok(Entry::Folder(target.found()));
        }
        match here {
            At::Host { fd, mount } => {
                let fd = open(fd, name)?;
                let kind = FileType::from_raw_mode(rustix::fs::fstat(fd.as_fd())?.st_mode);
                let found = Found::Host { fd, mount };
                Ok(match kind {
                    FileType::Directory => Entry::Folder(found),
                    FileType::Symlink => Entry::Link(found),
                    _ => Entry::Other(found),
                })
            }
            At::Tree { tree, node } => {
                let node = tree.child(node, name)?;
                let found = Found::Tree {
                    tree: Arc::clone(tree),
                    node: Some(node),
                };
                Ok(match &tree.node(node)?.kind {
                    FileKind::Directory => Entry::Folder(found),
                    FileKind::Symlink(_) => Entry::Link(found),
                    FileKind::File { .. } => Entry::Other(found),
                })
            }
        }
    }

    fn follow(&mut self, link: &Found, name: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP);
        }
        let mut target = match link.at() {
            At::Host { fd, .. } => {
                if special::is_magic_link(fd, name)? {
                    return Err(Errno::LOOP);
                }
                rustix::fs::readlinkat(fd, "", Vec::new())?.into_bytes()
            }
            At::Tree { tree, node } => tree.target(node)?.to_vec(),
        };
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.starts_with(b"/") {
            if self.start.scope == Scope::Beneath {
                target = self.in_own_tree(link, &target)?;
            }
            self.entered.clear();
        }
        self.push(&target);
        Ok(())
    }

    /// The part of an absolute target below a tree's own mount, when the walk started in that
    /// tree; the walk goes on from the tree's root. EPERM for all other targets.
    fn in_own_tree(&mut self, link: &Found, target: &[u8]) -> Result<Vec<u8>> {
        let (At::Tree { tree, .. }, Found::Tree { tree: own, .. }) = (self.start.at, link) else {
            return Err(Errno::PERM);
        };
        let mount = tree.files.mount.as_bytes();
        if !Arc::ptr_eq(tree, own) || !path::is_within(target, mount) {
            return Err(Errno::PERM);
        }
        self.start.at = At::Tree { tree, node: None };
        Ok([b"./", target.get(mount.len()..).unwrap_or_default()].concat())
    }

    /// The folder in which the walk ended, as a descriptor of its own.
    fn into_folder(mut self) -> Result<Found> {
        match (self.entered.pop(), self.start.at) {
            (Some(found), _) => Ok(found),
            (None, At::Host { fd, mount }) => Ok(Found::Host {
                fd: open(fd, b".")?,
                mount,
            }),
            (None, At::Tree { tree, node }) => Ok(Found::Tree {
                tree: Arc::clone(tree),
                node,
            }),
        }
    }

    fn into_place(mut self, mut name: Vec<u8>) -> Place<'a> {
        if self.folder && name != b"." {
            name.push(b'/');
        }
        Place {
            dir: match self.entered.pop() {
                Some(found) => PlaceDir::Opened(found),
                None => PlaceDir::Start(self.start.at),
            },
            name,
        }
    }
}

fn open(dir: BorrowedFd<'_>, name: &[u8]) -> Result<HostFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry(|| rustix::fs::openat(dir, name, flags, Mode::empty())).map(HostFd::Owned)
}
