//! Operations on open descriptors, except reading and writing their contents.
//!
//! Data moves between host and guest memory in the personality, which knows that memory; here is
//! everything else: metadata, positions, sizes, times, flags, listings.

use std::os::fd::{AsFd, BorrowedFd};

use megabinary_format::FileKind;
use rustix::{
    fs::{AtFlags, FileType, OFlags, SeekFrom, Stat, Timestamps},
    io::Errno,
};

use super::{
    Files, Result,
    namespace::Target,
    path,
    readdir::{self, Entry},
    resolve::{At, Resolver},
    table::Object,
    tree::Tree,
};

/// What stat(2) tells, as far as personalities need it. Times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) kind: FileType,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

impl Metadata {
    pub(crate) fn of_stat(stat: &Stat) -> Metadata {
        // Times before 1970 and after 2554 do not fit in the type: the nearest that does.
        let time = |seconds: i128, nanoseconds: i128| -> u64 {
            let all = seconds * 1_000_000_000 + nanoseconds;
            u64::try_from(all.max(0)).unwrap_or(u64::MAX)
        };
        Metadata {
            device: stat.st_dev,
            inode: stat.st_ino,
            kind: FileType::from_raw_mode(stat.st_mode),
            links: stat.st_nlink,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: time(stat.st_atime.into(), stat.st_atime_nsec.into()),
            modified: time(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: time(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }

    pub(crate) fn of_node(tree: &Tree, node: Option<usize>) -> Result<Metadata> {
        Ok(Metadata {
            device: tree.device,
            inode: Tree::inode(node),
            kind: match node {
                Some(node) => readdir::kind(&tree.node(node)?.kind),
                None => readdir::kind(&FileKind::Directory),
            },
            links: 1,
            size: tree.len(node)?,
            accessed: 0,
            modified: 0,
            changed: 0,
        })
    }
}

/// Sets the times of the object behind an `O_PATH` descriptor.
pub(crate) fn set_times_of(
    resolver: &Resolver,
    object: BorrowedFd<'_>,
    times: &Timestamps,
) -> Result<()> {
    match rustix::fs::utimensat(object, "", times, AtFlags::EMPTY_PATH) {
        // Before Linux 5.8: by way of procfs, which also names exactly this object.
        Err(Errno::INVAL) => {
            let (proc, name) = resolver.proc_name(object)?;
            rustix::fs::utimensat(proc, &name, times, AtFlags::empty())
        }
        done => done,
    }
}

impl Files {
    /// The host object behind a descriptor that is not a folder. EBADF for folders and, since
    /// nothing of the host is behind them, for internal files.
    pub(crate) fn host_file(&self, number: u32) -> Result<BorrowedFd<'_>> {
        match &self.table.get(number)?.object {
            Object::File(fd) => Ok(fd.as_fd()),
            _ => Err(Errno::BADF),
        }
    }

    /// fstat(2).
    pub(crate) fn metadata(&self, number: u32) -> Result<Metadata> {
        match &self.table.get(number)?.object {
            Object::File(fd) | Object::Directory { fd, .. } => {
                Ok(Metadata::of_stat(&rustix::fs::fstat(fd.as_fd())?))
            }
            Object::TreeFile { tree, node, .. } => Metadata::of_node(tree, Some(*node)),
            Object::TreeDirectory { tree, node } => Metadata::of_node(tree, *node),
        }
    }

    /// lseek(2); EBADF for folders.
    pub(crate) fn seek(&mut self, number: u32, to: SeekFrom) -> Result<u64> {
        match &mut self.table.get_mut(number)?.object {
            Object::File(fd) => rustix::fs::seek(fd.as_fd(), to),
            Object::TreeFile {
                tree,
                node,
                position,
            } => {
                let (from, by) = match to {
                    SeekFrom::Start(at) => (at, 0),
                    SeekFrom::Current(by) => (*position, by),
                    SeekFrom::End(by) => (tree.len(Some(*node))?, by),
                    _ => return Err(Errno::INVAL),
                };
                let at = from.checked_add_signed(by).ok_or(Errno::INVAL)?;
                if i64::try_from(at).is_err() {
                    return Err(Errno::INVAL);
                }
                *position = at;
                Ok(at)
            }
            Object::Directory { .. } | Object::TreeDirectory { .. } => Err(Errno::BADF),
        }
    }

    /// ftruncate(2).
    pub(crate) fn set_size(&self, number: u32, size: u64) -> Result<()> {
        match &self.table.get(number)?.object {
            Object::File(fd) => super::retry(|| rustix::fs::ftruncate(fd.as_fd(), size)),
            Object::TreeFile { .. } => Err(Errno::ROFS),
            _ => Err(Errno::BADF),
        }
    }

    /// futimens(3).
    pub(crate) fn set_times(&self, number: u32, times: &Timestamps) -> Result<()> {
        let descriptor = self.table.get(number)?;
        match &descriptor.object {
            Object::File(_) if descriptor.is_stdio => Err(Errno::BADF),
            Object::File(fd) | Object::Directory { fd, .. } => {
                const OP: &str = "filestat_set_times";
                let real = self.object_path(OP, fd.as_fd())?;
                self.may_touch(OP, &real, fd.as_fd())?;
                set_times_of(&self.resolver, fd.as_fd(), times)
            }
            Object::TreeFile { .. } | Object::TreeDirectory { .. } => Err(Errno::ROFS),
        }
    }

    /// fsync(2), or fdatasync(2).
    pub(crate) fn sync(&self, number: u32, data_only: bool) -> Result<()> {
        match &self.table.get(number)?.object {
            Object::File(fd) | Object::Directory { fd, .. } => super::retry(|| match data_only {
                true => rustix::fs::fdatasync(fd.as_fd()),
                false => rustix::fs::fsync(fd.as_fd()),
            }),
            Object::TreeFile { .. } | Object::TreeDirectory { .. } => Ok(()),
        }
    }

    /// Access mode and status flags (fcntl(2), F_GETFL).
    pub(crate) fn status(&self, number: u32) -> Result<OFlags> {
        match &self.table.get(number)?.object {
            Object::File(fd) | Object::Directory { fd, .. } => rustix::fs::fcntl_getfl(fd.as_fd()),
            Object::TreeFile { .. } | Object::TreeDirectory { .. } => Ok(OFlags::RDONLY),
        }
    }

    /// Sets `O_APPEND` and `O_NONBLOCK` as in `wanted` (F_SETFL). EBADF for folders and for
    /// standard streams, whose flags are shared with whoever started this process; standard
    /// streams that are sockets belong to the guest alone.
    pub(crate) fn set_status(&mut self, number: u32, wanted: OFlags) -> Result<()> {
        let descriptor = self.table.get(number)?;
        let Object::File(fd) = &descriptor.object else {
            return match descriptor.object {
                Object::TreeFile { .. } => Ok(()),
                _ => Err(Errno::BADF),
            };
        };
        if descriptor.is_stdio {
            let stat = rustix::fs::fstat(fd.as_fd())?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
                return Err(Errno::BADF);
            }
        }
        let settable = OFlags::APPEND | OFlags::NONBLOCK;
        let now = rustix::fs::fcntl_getfl(fd.as_fd())?;
        rustix::fs::fcntl_setfl(fd.as_fd(), (now - settable) | (wanted & settable))
    }

    /// Closes a descriptor.
    pub(crate) fn close(&mut self, number: u32) -> Result<()> {
        self.table.remove(number).map(drop)
    }

    /// The entries of a folder from `cookie` on; 0 reads the folder anew.
    pub(crate) fn entries(&mut self, number: u32, cookie: u64) -> Result<&[Entry]> {
        let descriptor = self.table.get(number)?;
        if cookie == 0 || descriptor.listing.is_none() {
            let folder = descriptor.object.start()?.at;
            let mut listing = match folder {
                At::Host { fd, .. } => {
                    let real = self.object_path("readdir", fd)?;
                    readdir::host(fd, |name| self.guard.hides(&path::join(&real, name)))?
                }
                At::Tree { tree, node } => readdir::tree(tree, node)?,
            };
            for (name, target) in self.resolver.namespace.inside(folder)? {
                if matches!(target, Target::Host { real, .. } if self.guard.hides(real)) {
                    listing.retain(|entry| entry.name != name);
                } else {
                    readdir::cover(&mut listing, name, target.inode()?);
                }
            }
            self.table.get_mut(number)?.listing = Some(listing);
        }
        let listing = self.table.get(number)?.listing.as_deref();
        let at = usize::try_from(cookie).unwrap_or(usize::MAX);
        Ok(listing.unwrap_or_default().get(at..).unwrap_or_default())
    }
}
