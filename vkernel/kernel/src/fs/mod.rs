//! Files: descriptors, path resolution, the path policy, internal trees.
//!
//! Independent of any personality: operations take descriptor numbers and path bytes and speak
//! host errnos; a personality decodes its guest's calls into them. Not here: guest memory.
//!
//! How a path operation runs: the [`resolve`]r turns start and path into an open `O_PATH`
//! descriptor or a node of an internal tree (or an open folder and a name), crossing into what the
//! [`namespace`] has at its points; the [`guard`] and [`special`] judge that object;
//! then the operation acts on that same object. No step goes back to the guest's string, so a
//! rename or a link swap in between changes nothing.

pub(crate) mod descriptor;
pub(crate) mod guard;
pub(crate) mod names;
pub(crate) mod namespace;
pub(crate) mod open;
pub(crate) mod path;
pub(crate) mod readdir;
pub(crate) mod resolve;
pub(crate) mod special;
pub(crate) mod table;
pub(crate) mod tree;
mod walker;

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::{fs::Stat, io::Errno};

use guard::{Base, Guard, Identity};
use resolve::{At, Found, Last, Resolver, Scope, Start};
use table::Table;

/// Host errno is the currency of this module.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// The files of one process.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) table: Table,
    pub(crate) resolver: Resolver,
    pub(crate) guard: Guard,
    /// The host mounts; the policy's paths are translated through them.
    pub(crate) bases: Vec<Base>,
    /// Starts of the host mounts, in the order of `bases`, for looking policy paths up after the
    /// guest closed its own descriptors.
    pub(crate) starts: Vec<Arc<OwnedFd>>,
}

/// Repeats a call that a signal interrupted. Signals that end the process do not come back here.
pub(crate) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => continue,
            done => return done,
        }
    }
}

pub(crate) fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

impl Files {
    /// Where paths relative to a descriptor start. EBADF for what is not a folder.
    fn start(&self, number: u32) -> Result<Start<'_>> {
        self.table.get(number)?.object.start()
    }

    /// Finds an object in a host mount by its guest path, without following a last link.
    pub(crate) fn find(&self, guest: &str) -> Option<(Vec<u8>, Identity)> {
        find_in(&self.resolver, &self.bases, &self.starts, guest)
    }

    /// The real path of a name in the host folder `dir`, after checking that it may be seen.
    fn place_path(&self, operation: &str, dir: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>> {
        let folder = self.resolver.real_path(dir)?;
        let real = if name == b"." {
            folder
        } else {
            path::join(&folder, name)
        };
        self.guard.look(operation, &real)?;
        Ok(real)
    }

    /// The real path of an object, after checking that it may be seen.
    fn object_path(&self, operation: &str, object: BorrowedFd<'_>) -> Result<Vec<u8>> {
        let real = self.resolver.real_path(object)?;
        self.guard.look(operation, &real)?;
        Ok(real)
    }

    /// Refuses a change at `real`, whose object or folder is `near`.
    fn may_change(&self, operation: &str, real: &[u8], near: BorrowedFd<'_>) -> Result<()> {
        self.guard.change(operation, real)?;
        if special::is_pseudo(near)? {
            let reason = special::Unfit::PseudoWrite.reason();
            return Err(self.guard.refuse(operation, real, reason, Errno::ACCESS));
        }
        Ok(())
    }

    fn spare_programs(&self, operation: &str, real: &[u8], id: Option<Identity>) -> Result<()> {
        self.guard
            .spare_programs(operation, real, id, &self.bases, &|guest| self.find(guest))
    }
}

/// As [`Files::find`], for use while a [`Files`] is being made.
pub(crate) fn find_in(
    resolver: &Resolver,
    bases: &[Base],
    starts: &[Arc<OwnedFd>],
    guest: &str,
) -> Option<(Vec<u8>, Identity)> {
    let guest = path::normal(guest);
    let (start, rest) = mount_of(bases, starts, guest.as_bytes())?;
    match resolver.object(start, rest, Last::NoFollow).ok()? {
        Found::Host { fd, .. } => {
            let stat = rustix::fs::fstat(fd.as_fd()).ok()?;
            Some((resolver.real_path(fd.as_fd()).ok()?, identity(&stat)))
        }
        // No host object: nothing of it can be changed anyway.
        Found::Tree { .. } => None,
    }
}

/// Where the resolution of an absolute guest path starts, and what is left of the path: the root,
/// if there is one, and otherwise the innermost mount.
fn mount_of<'a, 'p>(
    bases: &[Base],
    starts: &'a [Arc<OwnedFd>],
    guest: &'p [u8],
) -> Option<(Start<'a>, &'p [u8])> {
    let (base, fd) = bases
        .iter()
        .zip(starts)
        .filter(|(base, _)| path::is_within(guest, base.guest.as_bytes()))
        .max_by_key(|(base, _)| (base.is_root, base.guest.len()))?;
    let rest = guest.strip_prefix(base.guest.as_bytes())?;
    let slashes = rest.iter().take_while(|b| **b == b'/').count();
    let rest = match rest.get(slashes..).unwrap_or_default() {
        b"" => b".",
        rest => rest,
    };
    let scope = if base.is_root {
        Scope::Root
    } else {
        Scope::Beneath
    };
    let at = At::Host {
        fd: fd.as_fd(),
        mount: namespace::ROOT,
    };
    Some((Start { at, scope }, rest))
}
