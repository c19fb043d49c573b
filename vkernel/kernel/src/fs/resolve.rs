//! Path resolution inside a mount: from a starting folder and a guest path to a host object.
//!
//! Two ways with one meaning: `openat2(2)` (one system call, the kernel confines it), and the
//! [`walker`](super::walker) for kernels and filters that lack that call. Access decisions are
//! not made here: callers inspect the `O_PATH` descriptor they get, which *is* the object,
//! whatever happens to the names meanwhile, and only then open it for use with
//! [`Resolver::reopen`].
//!
//! Invariant: no descriptor returned from here lies outside the start's subtree at the moment of
//! resolution, and no magic link of procfs was followed to it.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{Result, path, retry, walker};

/// How far a path may reach from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The start is a root: absolute links and surplus `..` stay inside it.
    Root,
    /// Nothing above the start: absolute links and surplus `..` are refused (EPERM).
    Beneath,
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
    Start(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for PlaceDir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            PlaceDir::Start(fd) => *fd,
            PlaceDir::Opened(fd) => fd.as_fd(),
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
}

impl Resolver {
    /// A resolver that reopens through the procfs `proc`; `walk` forces the walker.
    pub(crate) fn new(proc: Option<OwnedFd>, walk: bool) -> Resolver {
        Resolver {
            openat2: AtomicBool::new(!walk),
            proc,
        }
    }

    /// The object at `path`, as an `O_PATH` descriptor.
    pub(crate) fn object(
        &self,
        start: BorrowedFd<'_>,
        scope: Scope,
        path: &[u8],
        last: Last,
    ) -> Result<OwnedFd> {
        path::check(path)?;
        let mut flags = OFlags::PATH;
        if last == Last::NoFollow {
            flags |= OFlags::NOFOLLOW;
        }
        match self.openat2(start, scope, path, flags)? {
            Some(fd) => Ok(fd),
            None => walker::object(start, scope, path, last),
        }
    }

    /// The folder that `path`'s last component is an entry of, and that component.
    pub(crate) fn place<'a>(
        &self,
        start: BorrowedFd<'a>,
        scope: Scope,
        path: &[u8],
    ) -> Result<Place<'a>> {
        path::check(path)?;
        let (folder, name) = path::split(path);
        let dir = if folder.is_empty() {
            PlaceDir::Start(start)
        } else {
            match self.openat2(start, scope, folder, OFlags::PATH | OFlags::DIRECTORY)? {
                Some(fd) => PlaceDir::Opened(fd),
                None => PlaceDir::Opened(walker::folder(start, scope, folder)?),
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
        start: BorrowedFd<'a>,
        scope: Scope,
        path: &[u8],
    ) -> Result<Place<'a>> {
        path::check(path)?;
        walker::place_behind_links(start, scope, path)
    }

    /// `None` when the host has no `openat2`.
    fn openat2(
        &self,
        start: BorrowedFd<'_>,
        scope: Scope,
        path: &[u8],
        flags: OFlags,
    ) -> Result<Option<OwnedFd>> {
        if !self.openat2.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let inside = match scope {
            Scope::Root => ResolveFlags::IN_ROOT,
            Scope::Beneath => ResolveFlags::BENEATH,
        };
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
