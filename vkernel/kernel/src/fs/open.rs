//! Opening by path.
//!
//! Looks first and opens second: an existing object is found as an `O_PATH` descriptor, judged,
//! and then opened itself; a missing one is created with `O_EXCL` in an open folder. So nothing
//! is opened, truncated or created before it was judged, and nothing else than what was judged.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use megabinary_format::FileKind;
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    Files, Result, identity, mount_of,
    namespace::MountId,
    path,
    resolve::{At, Found, Last, Scope, Start},
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
        let descriptor = self.table.get(dir)?;
        let start = match &descriptor.object {
            Object::Directory { .. } | Object::TreeDirectory { .. } => descriptor.object.start()?,
            Object::File(_) if descriptor.is_stdio => return Err(Errno::BADF),
            Object::File(_) | Object::TreeFile { .. } => return Err(Errno::NOTDIR),
        };
        self.table.room()?;
        refuse_contradiction(&how)?;
        let object = self.open_at(start, path, &how)?;
        self.table.insert(Descriptor::new(object))
    }

    /// Opens the host file at an absolute guest path for reading, following links, without
    /// waiting. EACCES for files of internal trees: only host files are programs.
    pub(crate) fn open_absolute(&self, path: &[u8]) -> Result<OwnedFd> {
        let (start, rest) = mount_of(&self.bases, &self.starts, path).ok_or(Errno::NOENT)?;
        let found = self.resolver.object(start, rest, Last::Follow)?;
        let At::Host { fd: object, .. } = found.at() else {
            return Err(Errno::ACCESS);
        };
        let real = self.object_path("execve", object)?;
        let stat = rustix::fs::fstat(object)?;
        if let Some(unfit) = special::judge(object, &stat, &real, false)? {
            return Err(self
                .guard
                .refuse("execve", &real, unfit.reason(), Errno::ACCESS));
        }
        self.resolver
            .reopen(object, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    fn open_at(&self, start: Start<'_>, path: &[u8], how: &How) -> Result<Object> {
        // Each round fails only when somebody else created or removed the file in between.
        for _ in 0..64 {
            match self.resolver.object(start, path, how.last()) {
                Ok(found) if how.create && how.exclusive => {
                    if let At::Host { fd, .. } = found.at() {
                        self.object_path(OP, fd)?;
                    }
                    return Err(Errno::EXIST);
                }
                Ok(Found::Host { fd, mount }) => return self.open_found(&fd, mount, path, how),
                Ok(Found::Tree { tree, node }) => return open_node(tree, node, how),
                Err(Errno::LOOP) if how.follow => {
                    return self.open_stdio_link(start, path, how);
                }
                Err(Errno::NOENT) if how.create => match self.create(start, path, how) {
                    Err(Errno::EXIST) if !how.exclusive => continue,
                    created => return Ok(Object::File(HostFd::Owned(created?))),
                },
                Err(error) => return Err(error),
            }
        }
        Err(Errno::AGAIN)
    }

    fn open_found(&self, found: &HostFd, mount: MountId, path: &[u8], how: &How) -> Result<Object> {
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
            return Ok(Object::Directory { fd, scope, mount });
        }
        let mut flags = how.flags();
        if how.truncate && kind == FileType::RegularFile {
            flags |= OFlags::TRUNC;
        }
        let fd = self.resolver.reopen(object, flags)?;
        Ok(Object::File(HostFd::Owned(fd)))
    }

    fn create(&self, start: Start<'_>, path: &[u8], how: &How) -> Result<OwnedFd> {
        let place = match how.last() {
            Last::Follow => self.resolver.place_behind_links(start, path)?,
            Last::NoFollow => self.resolver.place(start, path)?,
        };
        let folder = self.new_entry(&place)?;
        if path::ends_in_slash(&place.name) || place.name == b"." {
            return Err(Errno::ISDIR);
        }
        let real = self.place_path(OP, folder, &place.name)?;
        self.may_change(OP, &real, folder)?;
        self.spare_programs(OP, &real, None)?;
        let flags = how.flags() | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        let mode = Mode::from_raw_mode(0o666);
        retry(|| rustix::fs::openat(folder, &place.name, flags, mode))
    }

    /// `/dev/stdin`, `/dev/stdout` and `/dev/stderr` lead through procfs to descriptors of this
    /// process; for a guest they mean its own descriptors 0, 1, 2.
    fn open_stdio_link(&self, start: Start<'_>, path: &[u8], how: &How) -> Result<Object> {
        let link = self
            .resolver
            .object(start, path, Last::NoFollow)
            .map_err(|_| Errno::LOOP)?;
        let At::Host { fd: link, .. } = link.at() else {
            return Err(Errno::LOOP);
        };
        let real = self.resolver.real_path(link)?;
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

fn open_node(tree: Arc<Tree>, node: Option<usize>, how: &How) -> Result<Object> {
    let Some(file) = node.filter(|_| !tree.is_folder(node)) else {
        return match how.write || how.create {
            true => Err(Errno::ISDIR),
            false => Ok(Object::TreeDirectory { tree, node }),
        };
    };
    match tree.node(file)?.kind {
        FileKind::Symlink(_) => Err(Errno::LOOP),
        _ if how.directory => Err(Errno::NOTDIR),
        _ if how.write => Err(Errno::ROFS),
        _ => Ok(Object::TreeFile {
            tree,
            node: file,
            position: 0,
        }),
    }
}
