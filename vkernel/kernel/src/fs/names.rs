//! Operations on names: make, remove, move, link, read a link, look at and touch what a path
//! names.
//!
//! Opening is in [`open`](super::open). Invariant: the host gets a folder that is already open
//! and one component, or the object itself; it resolves nothing on the way.

use std::os::fd::BorrowedFd;

use rustix::{
    fs::{AtFlags, FileType, Mode, Stat, Timestamps},
    io::Errno,
};

use super::{
    Files, Result,
    descriptor::{Metadata, set_times_of},
    identity, path,
    resolve::{At, Last, Place, Scope},
    special,
};

/// The host folder of a place, to change something in it. EROFS in an internal tree.
fn host_dir<'a>(place: &'a Place<'_>) -> Result<BorrowedFd<'a>> {
    match place.dir.at() {
        At::Host { fd, .. } => Ok(fd),
        At::Tree { .. } => Err(Errno::ROFS),
    }
}

impl Files {
    /// Whether the place is where a mount or a tree appears.
    fn is_point(&self, place: &Place<'_>) -> Result<bool> {
        let namespace = &self.resolver.namespace;
        Ok(namespace.at(place.dir.at(), &place.name)?.is_some())
    }

    /// For what makes a new entry: its folder. EEXIST at a point.
    pub(super) fn new_entry<'a>(&self, place: &'a Place<'_>) -> Result<BorrowedFd<'a>> {
        if self.is_point(place)? {
            return Err(Errno::EXIST);
        }
        host_dir(place)
    }

    /// mkdir(2).
    pub(crate) fn create_directory(&self, dir: u32, path: &[u8]) -> Result<()> {
        const OP: &str = "create_directory";
        let place = self.resolver.place(self.start(dir)?, path)?;
        let folder = self.new_entry(&place)?;
        let real = self.place_path(OP, folder, &place.name)?;
        self.may_change(OP, &real, folder)?;
        let mode = Mode::from_raw_mode(0o777);
        rustix::fs::mkdirat(folder, &place.name, mode)
    }

    /// unlink(2), or rmdir(2) if `directory`.
    pub(crate) fn remove(&self, dir: u32, path: &[u8], directory: bool) -> Result<()> {
        let (op, flags, at_point) = match directory {
            true => ("remove_directory", AtFlags::REMOVEDIR, Errno::BUSY),
            false => ("unlink_file", AtFlags::empty(), Errno::ISDIR),
        };
        let place = self.resolver.place(self.start(dir)?, path)?;
        if self.is_point(&place)? {
            return Err(at_point);
        }
        let folder = host_dir(&place)?;
        let real = self.place_path(op, folder, &place.name)?;
        self.may_change(op, &real, folder)?;
        let id = self.entry(folder, &place.name).map(|stat| identity(&stat));
        self.spare_programs(op, &real, id)?;
        if directory && id.is_some_and(|id| self.resolver.namespace.holds_point(id)) {
            return Err(Errno::NOTEMPTY);
        }
        rustix::fs::unlinkat(folder, &place.name, flags)
    }

    /// rename(2).
    pub(crate) fn rename(
        &self,
        dir: u32,
        path: &[u8],
        new_dir: u32,
        new_path: &[u8],
    ) -> Result<()> {
        const OP: &str = "rename";
        let (start, new_start) = (self.start(dir)?, self.start(new_dir)?);
        let from = self.resolver.place(start, path)?;
        let to = self.resolver.place(new_start, new_path)?;
        if from.dir.at().mount() != to.dir.at().mount() {
            return Err(Errno::XDEV);
        }
        if from.name == b"." || to.name == b"." || self.is_point(&from)? {
            return Err(Errno::BUSY);
        }
        let (old_folder, new_folder) = (host_dir(&from)?, host_dir(&to)?);
        self.may_replace(&from, old_folder, &to, new_folder)?;
        for (place, folder) in [(&from, old_folder), (&to, new_folder)] {
            let real = self.place_path(OP, folder, &place.name)?;
            self.may_change(OP, &real, folder)?;
            self.guard.keep_in_place(OP, &real)?;
            let id = self.entry(folder, &place.name).map(|stat| identity(&stat));
            self.spare_programs(OP, &real, id)?;
        }
        rustix::fs::renameat(old_folder, &from.name, new_folder, &to.name)
    }

    /// Refuses a rename onto a point (as `vfs_rename`, `fs/namei.c` of Linux, in its order) and
    /// onto a folder that holds one.
    fn may_replace(
        &self,
        from: &Place<'_>,
        old_folder: BorrowedFd<'_>,
        to: &Place<'_>,
        new_folder: BorrowedFd<'_>,
    ) -> Result<()> {
        if self.is_point(to)? {
            let moved = self.entry(old_folder, &from.name).ok_or(Errno::NOENT)?;
            return Err(match FileType::from_raw_mode(moved.st_mode) {
                FileType::Directory => Errno::BUSY,
                _ => Errno::ISDIR,
            });
        }
        let namespace = &self.resolver.namespace;
        if !namespace.is_empty()
            && let Some(replaced) = self.entry(new_folder, &to.name)
            && namespace.holds_point(identity(&replaced))
            // Onto itself: nothing happens.
            && self.entry(old_folder, &from.name).map(|stat| identity(&stat))
                != Some(identity(&replaced))
        {
            return Err(Errno::NOTEMPTY);
        }
        Ok(())
    }

    /// link(2); a symbolic link is linked itself.
    pub(crate) fn link(&self, dir: u32, path: &[u8], new_dir: u32, new_path: &[u8]) -> Result<()> {
        const OP: &str = "link";
        let (start, new_start) = (self.start(dir)?, self.start(new_dir)?);
        let found = self.resolver.object(start, path, Last::NoFollow)?;
        let At::Host { fd: object, mount } = found.at() else {
            return Err(Errno::XDEV);
        };
        let to = self.resolver.place(new_start, new_path)?;
        let folder = self.new_entry(&to)?;
        if to.dir.at().mount() != mount {
            return Err(Errno::XDEV);
        }
        // A second name for a guarded file would be a way around its guard.
        let real = self.object_path(OP, object)?;
        self.may_change(OP, &real, object)?;
        self.spare_programs(OP, &real, Some(identity(&rustix::fs::fstat(object)?)))?;
        let new_real = self.place_path(OP, folder, &to.name)?;
        self.may_change(OP, &new_real, folder)?;
        self.spare_programs(OP, &new_real, None)?;
        // Through procfs: exactly this object, where AT_EMPTY_PATH would need a capability.
        let (proc, name) = self.resolver.proc_name(object)?;
        rustix::fs::linkat(proc, &name, folder, &to.name, AtFlags::SYMLINK_FOLLOW)
    }

    /// symlink(2). Outside of a root an absolute target could never be followed: EPERM.
    pub(crate) fn symlink(&self, target: &[u8], dir: u32, path: &[u8]) -> Result<()> {
        const OP: &str = "symlink";
        if target.contains(&0) {
            return Err(Errno::INVAL);
        }
        let start = self.start(dir)?;
        let place = self.resolver.place(start, path)?;
        let folder = self.new_entry(&place)?;
        if target.starts_with(b"/") && start.scope == Scope::Beneath {
            return Err(Errno::PERM);
        }
        let real = self.place_path(OP, folder, &place.name)?;
        self.may_change(OP, &real, folder)?;
        rustix::fs::symlinkat(target, folder, &place.name)
    }

    /// readlink(2). Outside of a root an absolute target would tell about the host: EPERM.
    pub(crate) fn readlink(&self, dir: u32, path: &[u8]) -> Result<Vec<u8>> {
        const OP: &str = "readlink";
        let start = self.start(dir)?;
        let found = self.resolver.object(start, path, Last::NoFollow)?;
        let link = match found.at() {
            At::Host { fd, .. } => fd,
            At::Tree { tree, node } => return Ok(tree.target(node)?.to_vec()),
        };
        let real = self.object_path(OP, link)?;
        let stat = rustix::fs::fstat(link)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Err(Errno::INVAL);
        }
        let name = real.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if special::is_magic_link(link, name)? {
            let reason = "link of the host kernel";
            return Err(self.guard.refuse(OP, &real, reason, Errno::ACCESS));
        }
        let target = rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes();
        if target.starts_with(b"/") && start.scope == Scope::Beneath {
            return Err(Errno::PERM);
        }
        Ok(target)
    }

    /// stat(2), or lstat(2).
    pub(crate) fn metadata_at(&self, dir: u32, path: &[u8], last: Last) -> Result<Metadata> {
        let found = self.resolver.object(self.start(dir)?, path, last)?;
        match found.at() {
            At::Host { fd, .. } => {
                self.object_path("filestat_get", fd)?;
                Ok(Metadata::of_stat(&rustix::fs::fstat(fd)?))
            }
            At::Tree { tree, node } => Metadata::of_node(tree, node),
        }
    }

    /// utimensat(2).
    pub(crate) fn set_times_at(
        &self,
        dir: u32,
        path: &[u8],
        last: Last,
        times: &Timestamps,
    ) -> Result<()> {
        const OP: &str = "filestat_set_times";
        let found = self.resolver.object(self.start(dir)?, path, last)?;
        let At::Host { fd: object, .. } = found.at() else {
            return Err(Errno::ROFS);
        };
        let real = self.object_path(OP, object)?;
        self.may_touch(OP, &real, object)?;
        set_times_of(&self.resolver, object, times)
    }

    /// Refuses a change to the metadata of an object.
    pub(crate) fn may_touch(
        &self,
        operation: &str,
        real: &[u8],
        object: BorrowedFd<'_>,
    ) -> Result<()> {
        self.may_change(operation, real, object)?;
        let id = identity(&rustix::fs::fstat(object)?);
        self.guard
            .spare_program_file(operation, real, id, &self.bases, &|guest| self.find(guest))
    }

    /// An entry itself, if it exists.
    fn entry(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Option<Stat> {
        rustix::fs::statat(dir, path::trim_end(name), AtFlags::SYMLINK_NOFOLLOW).ok()
    }
}
