//! Path resolution in the one namespace: from a starting folder and a guest path to an object.
//!
//! Two ways with one meaning: `openat2(2)` (one system call, the kernel confines it) where no mount
//! or internal tree can be on the way, and the [`walker`](super::walker) otherwise, and for kernels
//! and filters that lack that call. Access decisions are not made here: callers inspect the `O_PATH`
//! descriptor they get, which *is* the object, whatever happens to the names meanwhile, and only
//! then open it for use with [`Resolver::reopen`].
//!
//! Invariant: no descriptor returned from here lies outside the start's subtree at the moment of
//! resolution, or outside the subtree of a mount that was entered from it, and no magic link of
//! procfs was followed to it.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{
    Result,
    namespace::{MountId, Namespace},
    path, retry,
    table::HostFd,
    tree::Tree,
    walker,
};

/// How far a path may reach from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The start is a root: absolute links and surplus `..` stay inside it.
    Root,
    /// Nothing above the start: absolute links and surplus `..` are refused (EPERM).
    Beneath,
}

/// An open folder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    Host {
        fd: BorrowedFd<'a>,
        mount: MountId,
    },
    /// `None` is the tree's root.
    Tree {
        tree: &'a Arc<Tree>,
        node: Option<usize>,
    },
}

/// Where a resolution starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) at: At<'a>,
    pub(crate) scope: Scope,
}

/// What a resolution came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A host object, as an `O_PATH` descriptor.
    Host { fd: HostFd, mount: MountId },
    /// A node of an internal tree; `None` is its root.
    Tree {
        tree: Arc<Tree>,
        node: Option<usize>,
    },
}

impl Found {
    /// The same, borrowed.
    pub(crate) fn at(&self) -> At<'_> {
        match self {
            Found::Host { fd, mount } => At::Host {
                fd: fd.as_fd(),
                mount: *mount,
            },
            Found::Tree { tree, node } => At::Tree { tree, node: *node },
        }
    }
}

impl At<'_> {
    /// The mount that the folder was reached through.
    pub(crate) fn mount(&self) -> MountId {
        match self {
            At::Host { mount, .. } => *mount,
            At::Tree { tree, .. } => tree.device,
        }
    }
}

/// Whether a symbolic link in the last component is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    NoFollow,
}

/// A folder and the name of an entry in it, which need not exist. The name may carry trailing
/// slashes, which Linux gives a meaning; it never contains another component, and is `.` where
/// the path named a folder by `.` or `..`.
pub(crate) struct Place<'a> {
    pub(crate) dir: PlaceDir<'a>,
    pub(crate) name: Vec<u8>,
}

/// The folder of a [`Place`].
pub(crate) enum PlaceDir<'a> {
    Start(At<'a>),
    Opened(Found),
}

impl PlaceDir<'_> {
    pub(crate) fn at(&self) -> At<'_> {
        match self {
            PlaceDir::Start(at) => *at,
            PlaceDir::Opened(found) => found.at(),
        }
    }
}

/// Resolves paths; knows what the host offers for it.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// Cleared for good when the host refuses `openat2`.
    openat2: AtomicBool,
    /// The folder `/proc`, known to be a procfs.
    proc: Option<OwnedFd>,
    /// Where mounts and trees appear.
    pub(crate) namespace: Namespace,
}

impl Resolver {
    /// A resolver that reopens through the procfs `proc`; `walk` forces the walker.
    pub(crate) fn new(proc: Option<OwnedFd>, walk: bool) -> Resolver {
        Resolver {
            openat2: AtomicBool::new(!walk),
            proc,
            namespace: Namespace::default(),
        }
    }

    /// The object at `path`.
    pub(crate) fn object(&self, start: Start<'_>, path: &[u8], last: Last) -> Result<Found> {
        path::check(path)?;
        let mut flags = OFlags::PATH;
        if last == Last::NoFollow {
            flags |= OFlags::NOFOLLOW;
        }
        match self.at_once(start, path, flags)? {
            Some(found) => Ok(found),
            None => walker::object(&self.namespace, start, path, last),
        }
    }

    /// The folder that `path`'s last component is an entry of, and that component.
    pub(crate) fn place<'a>(&self, start: Start<'a>, path: &[u8]) -> Result<Place<'a>> {
        path::check(path)?;
        let (folder, name) = path::split(path);
        let dir = if folder.is_empty() {
            PlaceDir::Start(start.at)
        } else {
            match self.at_once(start, folder, OFlags::PATH | OFlags::DIRECTORY)? {
                Some(found) => PlaceDir::Opened(found),
                None => PlaceDir::Opened(walker::folder(&self.namespace, start, folder)?),
            }
        };
        Ok(Place {
            dir,
            name: name.to_vec(),
        })
    }

    /// As [`Resolver::place`], after following the links in the last component: where a file
    /// would be created by `open` with `O_CREAT`.
    pub(crate) fn place_behind_links<'a>(
        &self,
        start: Start<'a>,
        path: &[u8],
    ) -> Result<Place<'a>> {
        path::check(path)?;
        walker::place_behind_links(&self.namespace, start, path)
    }

    /// Resolves by one system call, if that can mean nothing else than a walk. `None` when it
    /// could, or when the host has no `openat2`.
    fn at_once(&self, start: Start<'_>, path: &[u8], flags: OFlags) -> Result<Option<Found>> {
        let At::Host { fd, mount } = start.at else {
            return Ok(None);
        };
        let inside = match start.scope {
            Scope::Root => ResolveFlags::IN_ROOT,
            Scope::Beneath => ResolveFlags::BENEATH,
        };
        let opened = if self.namespace.is_empty() {
            self.openat2(fd, path, flags, inside)?
        } else if self.namespace.avoided_by(path) {
            // A link may lead anywhere, into a mount too.
            match self.openat2(fd, path, flags, inside | ResolveFlags::NO_SYMLINKS) {
                Err(Errno::LOOP) => None,
                done => done?,
            }
        } else {
            None
        };
        Ok(opened.map(|fd| Found::Host {
            fd: HostFd::Owned(fd),
            mount,
        }))
    }

    /// `None` when the host has no `openat2`.
    fn openat2(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        inside: ResolveFlags,
    ) -> Result<Option<OwnedFd>> {
        if !self.openat2.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let resolve = inside | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: a rename or mount elsewhere made the kernel unsure about a `..`. Under a
        // permanent storm of renames the walker, which never asks for `..`, still gets through.
        for _ in 0..32 {
            match rustix::fs::openat2(start, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
            {
                Ok(fd) => return Ok(Some(fd)),
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(Errno::XDEV) => return Err(Errno::PERM),
                // A kernel before 5.6, or a container's filter (which answers EPERM; opening
                // with O_PATH never does so itself).
                Err(Errno::NOSYS | Errno::PERM) => {
                    self.openat2.store(false, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Opens for use exactly the object behind an `O_PATH` descriptor.
    pub(crate) fn reopen(&self, object: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
        let (proc, name) = self.proc_name(object)?;
        retry(|| {
            rustix::fs::openat(
                proc,
                &name,
                flags | OFlags::CLOEXEC | OFlags::NOCTTY,
                Mode::empty(),
            )
        })
    }

    /// The path of an open object in the host's name space, without symbolic links.
    pub(crate) fn real_path(&self, object: BorrowedFd<'_>) -> Result<Vec<u8>> {
        let (proc, name) = self.proc_name(object)?;
        let path = rustix::fs::readlinkat(proc, &name, Vec::with_capacity(256))?;
        Ok(path.into_bytes())
    }

    /// The procfs, and in it the name of the link to an open object of this process.
    pub(crate) fn proc_name(&self, object: BorrowedFd<'_>) -> Result<(BorrowedFd<'_>, String)> {
        // `self` is looked up each time: after a fork it must mean the child.
        let proc = self.proc.as_ref().ok_or(Errno::ACCESS)?;
        Ok((proc.as_fd(), format!("self/fd/{}", object.as_raw_fd())))
    }
}
