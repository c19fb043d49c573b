//! Opening by path.
//!
//! Looks first and opens second: an existing object is found as an `O_PATH` descriptor, judged,
//! and then opened itself; a missing one is created with `O_EXCL` in an open folder. So nothing
//! is opened, truncated or created before it was judged, and nothing else than what was judged.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use megabinary_format::FileKind;
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    Files, Result, identity, path,
    resolve::{Last, Scope},
    retry, special,
    table::{Descriptor, HostFd, Object},
    tree::Tree,
};

/// How to open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) follow: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) directory: bool,
    pub(crate) truncate: bool,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// `O_APPEND`, `O_NONBLOCK`, `O_DSYNC`, `O_SYNC`.
    pub(crate) status: OFlags,
}

impl How {
    fn flags(&self) -> OFlags {
        let access = match (self.read, self.write) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        access | self.status
    }

    fn last(&self) -> Last {
        // `O_EXCL` takes a link, dangling or not, for an existing file (open(2)).
        if self.follow && !(self.create && self.exclusive) {
            Last::Follow
        } else {
            Last::NoFollow
        }
    }
}

/// Name of the operation in refusals.
const OP: &str = "open";

impl Files {
    /// open(2) relative to the folder `dir`; gives the new descriptor's number.
    pub(crate) fn open(&mut self, dir: u32, path: &[u8], how: How) -> Result<u32> {
        let object = match &self.table.get(dir)?.object {
            Object::Directory { fd, scope } => {
                self.table.room()?;
                refuse_contradiction(&how)?;
                self.open_host(fd.as_fd(), *scope, path, &how)?
            }
            Object::TreeDirectory { tree, node } => {
                self.table.room()?;
                refuse_contradiction(&how)?;
                open_tree(tree, *node, path, &how)?
            }
            Object::File(_) if self.table.get(dir)?.is_stdio => return Err(Errno::BADF),
            Object::File(_) | Object::TreeFile { .. } => return Err(Errno::NOTDIR),
        };
        self.table.insert(Descriptor::new(object))
    }

    /// Opens the host file at an absolute guest path for reading, following links, without
    /// waiting. Internal trees are not looked into: only
    /// host files are programs.
    pub(crate) fn open_absolute(&self, path: &[u8]) -> Result<OwnedFd> {
        let holds = |folder: &str| path::is_within(path, folder.as_bytes());
        let mounts = self.bases.iter().zip(&self.starts);
        let (base, start) = mounts
            .filter(|(base, _)| holds(&base.guest))
            .max_by_key(|(base, _)| base.guest.len())
            .ok_or(Errno::NOENT)?;
        let rest = path.strip_prefix(base.guest.as_bytes()).unwrap_or_default();
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
        let object = self
            .resolver
            .object(start.as_fd(), scope, rest, Last::Follow)?;
        let real = self.object_path("execve", object.as_fd())?;
        let stat = rustix::fs::fstat(&object)?;
        if let Some(unfit) = special::judge(object.as_fd(), &stat, &real, false)? {
            return Err(self
                .guard
                .refuse("execve", &real, unfit.reason(), Errno::ACCESS));
        }
        self.resolver
            .reopen(object.as_fd(), OFlags::RDONLY | OFlags::NONBLOCK)
    }

    fn open_host(
        &self,
        start: BorrowedFd<'_>,
        scope: Scope,
        path: &[u8],
        how: &How,
    ) -> Result<Object> {
        // Each round fails only when somebody else created or removed the file in between.
        for _ in 0..64 {
            match self.resolver.object(start, scope, path, how.last()) {
                Ok(found) if how.create && how.exclusive => {
                    self.object_path(OP, found.as_fd())?;
                    return Err(Errno::EXIST);
                }
                Ok(found) => return self.open_found(found, path, how),
                Err(Errno::LOOP) if how.follow => {
                    return self.open_stdio_link(start, scope, path, how);
                }
                Err(Errno::NOENT) if how.create => match self.create(start, scope, path, how) {
                    Err(Errno::EXIST) if !how.exclusive => continue,
                    created => return Ok(Object::File(HostFd::Owned(created?))),
                },
                Err(error) => return Err(error),
            }
        }
        Err(Errno::AGAIN)
    }

    fn open_found(&self, found: OwnedFd, path: &[u8], how: &How) -> Result<Object> {
        let object = found.as_fd();
        let real = self.object_path(OP, object)?;
        let stat = rustix::fs::fstat(object)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Symlink => return Err(Errno::LOOP),
            // `O_CREAT` with a folder, also by a trailing slash (open(2), EISDIR).
            FileType::Directory if how.write || how.create => return Err(Errno::ISDIR),
            FileType::Directory => {}
            _ if how.directory => return Err(Errno::NOTDIR),
            _ if how.create && path::ends_in_slash(path) => return Err(Errno::ISDIR),
            _ => {}
        }
        if let Some(unfit) = special::judge(object, &stat, &real, how.write)? {
            return Err(self.guard.refuse(OP, &real, unfit.reason(), Errno::ACCESS));
        }
        if how.write && kind == FileType::RegularFile {
            self.guard.change(OP, &real)?;
            self.spare_programs(OP, &real, Some(identity(&stat)))?;
        }
        if kind == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let fd = HostFd::Owned(self.resolver.reopen(object, flags)?);
            let scope = Scope::Beneath;
            return Ok(Object::Directory { fd, scope });
        }
        let mut flags = how.flags();
        if how.truncate && kind == FileType::RegularFile {
            flags |= OFlags::TRUNC;
        }
        let fd = self.resolver.reopen(object, flags)?;
        Ok(Object::File(HostFd::Owned(fd)))
    }

    fn create(
        &self,
        start: BorrowedFd<'_>,
        scope: Scope,
        path: &[u8],
        how: &How,
    ) -> Result<OwnedFd> {
        let place = match how.last() {
            Last::Follow => self.resolver.place_behind_links(start, scope, path)?,
            Last::NoFollow => self.resolver.place(start, scope, path)?,
        };
        if path::ends_in_slash(&place.name) || place.name == b"." {
            return Err(Errno::ISDIR);
        }
        let real = self.place_path(OP, &place)?;
        self.may_change(OP, &real, place.dir.as_fd())?;
        self.spare_programs(OP, &real, None)?;
        let flags = how.flags() | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o666);
        retry(|| {
            rustix::fs::openat(
                place.dir.as_fd(),
                &place.name,
                flags | OFlags::CLOEXEC | OFlags::NOCTTY,
                mode,
            )
        })
    }

    /// `/dev/stdin`, `/dev/stdout` and `/dev/stderr` lead through procfs to descriptors of this
    /// process; for a guest they mean its own descriptors 0, 1, 2.
    fn open_stdio_link(
        &self,
        start: BorrowedFd<'_>,
        scope: Scope,
        path: &[u8],
        how: &How,
    ) -> Result<Object> {
        let link = self
            .resolver
            .object(start, scope, path, Last::NoFollow)
            .map_err(|_| Errno::LOOP)?;
        let real = self.resolver.real_path(link.as_fd())?;
        let root = self.bases.iter().find(|base| base.is_root);
        let name = root.and_then(|root| {
            let inside = real.strip_prefix(root.real.as_slice())?;
            inside.strip_prefix(b"/").or(Some(inside))
        });
        let number = match name {
            Some(b"dev/stdin") => 0,
            Some(b"dev/stdout") => 1,
            Some(b"dev/stderr") => 2,
            _ => return Err(Errno::LOOP),
        };
        if how.directory {
            return Err(Errno::NOTDIR);
        }
        match &self.table.get(number).map_err(|_| Errno::NOENT)?.object {
            Object::File(fd) => {
                let copy = rustix::io::fcntl_dupfd_cloexec(fd.as_fd(), 0)?;
                Ok(Object::File(HostFd::Owned(copy)))
            }
            _ => Err(Errno::NXIO),
        }
    }
}

/// A folder can be neither created nor truncated by opening it.
fn refuse_contradiction(how: &How) -> Result<()> {
    if how.directory && (how.create || how.exclusive || how.truncate) {
        return Err(Errno::INVAL);
    }
    Ok(())
}

fn open_tree(tree: &Arc<Tree>, start: Option<usize>, path: &[u8], how: &How) -> Result<Object> {
    let found = match tree.resolve(start, path, how.last()) {
        Ok(_) if how.create && how.exclusive => return Err(Errno::EXIST),
        Ok(found) => found,
        Err(Errno::NOENT) if how.create => return Err(Errno::ROFS),
        Err(error) => return Err(error),
    };
    let tree = Arc::clone(tree);
    let Some(node) = found else {
        return match how.write || how.create {
            true => Err(Errno::ISDIR),
            false => Ok(Object::TreeDirectory { tree, node: None }),
        };
    };
    match tree.node(node)?.kind {
        FileKind::Directory if how.write || how.create => Err(Errno::ISDIR),
        FileKind::Directory => {
            let node = Some(node);
            Ok(Object::TreeDirectory { tree, node })
        }
        FileKind::Symlink(_) => Err(Errno::LOOP),
        FileKind::File { .. } if how.directory => Err(Errno::NOTDIR),
        FileKind::File { .. } if how.write => Err(Errno::ROFS),
        FileKind::File { .. } => Ok(Object::TreeFile {
            tree,
            node,
            position: 0,
        }),
    }
}
