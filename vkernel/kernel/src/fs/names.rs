//! Operations on names: make, remove, move, link, read a link, look at and touch what a path
//! names.
//!
//! Opening is in [`open`](super::open). Invariant: the host gets a folder that is already open
//! and one component, or the object itself; it resolves nothing on the way.

use std::{os::fd::AsFd, sync::Arc};

use megabinary_format::FileKind;
use rustix::{
    fs::{AtFlags, FileType, Mode, Timestamps},
    io::Errno,
};

use super::{
    Files, Result,
    descriptor::{Metadata, set_times_of},
    identity, path,
    resolve::{Last, Scope},
    special,
    table::Object,
    tree::Tree,
};

/// What a folder descriptor refers to, for operations that trees answer too.
enum Folder {
    Host,
    Tree(Arc<Tree>, Option<usize>),
}

impl Files {
    fn folder(&self, number: u32) -> Result<Folder> {
        match &self.table.get(number)?.object {
            Object::Directory { .. } => Ok(Folder::Host),
            Object::TreeDirectory { tree, node } => Ok(Folder::Tree(Arc::clone(tree), *node)),
            _ => Err(Errno::BADF),
        }
    }

    /// For operations that change: EROFS in a tree, once the path is one.
    fn writable_folder(&self, number: u32, path: &[u8]) -> Result<()> {
        match self.folder(number)? {
            Folder::Host => Ok(()),
            Folder::Tree(..) => path::check(path).and(Err(Errno::ROFS)),
        }
    }

    /// mkdir(2).
    pub(crate) fn create_directory(&self, dir: u32, path: &[u8]) -> Result<()> {
        const OP: &str = "create_directory";
        self.writable_folder(dir, path)?;
        let (start, scope) = self.host_folder(dir)?;
        let place = self.resolver.place(start, scope, path)?;
        let real = self.place_path(OP, &place)?;
        self.may_change(OP, &real, place.dir.as_fd())?;
        let mode = Mode::from_raw_mode(0o777);
        rustix::fs::mkdirat(place.dir.as_fd(), &place.name, mode)
    }

    /// unlink(2), or rmdir(2) if `directory`.
    pub(crate) fn remove(&self, dir: u32, path: &[u8], directory: bool) -> Result<()> {
        let (op, flags) = match directory {
            true => ("remove_directory", AtFlags::REMOVEDIR),
            false => ("unlink_file", AtFlags::empty()),
        };
        self.writable_folder(dir, path)?;
        let (start, scope) = self.host_folder(dir)?;
        let place = self.resolver.place(start, scope, path)?;
        let real = self.place_path(op, &place)?;
        self.may_change(op, &real, place.dir.as_fd())?;
        let id = self.entry_identity(place.dir.as_fd(), &place.name);
        self.spare_programs(op, &real, id)?;
        rustix::fs::unlinkat(place.dir.as_fd(), &place.name, flags)
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
        self.writable_folder(dir, path)?;
        self.writable_folder(new_dir, new_path)?;
        let (start, scope) = self.host_folder(dir)?;
        let (new_start, new_scope) = self.host_folder(new_dir)?;
        let from = self.resolver.place(start, scope, path)?;
        let to = self.resolver.place(new_start, new_scope, new_path)?;
        if from.name == b"." || to.name == b"." {
            return Err(Errno::BUSY);
        }
        for place in [&from, &to] {
            let real = self.place_path(OP, place)?;
            self.may_change(OP, &real, place.dir.as_fd())?;
            self.guard.keep_in_place(OP, &real)?;
            let id = self.entry_identity(place.dir.as_fd(), &place.name);
            self.spare_programs(OP, &real, id)?;
        }
        rustix::fs::renameat(from.dir.as_fd(), &from.name, to.dir.as_fd(), &to.name)
    }

    /// link(2); a symbolic link is linked itself.
    pub(crate) fn link(&self, dir: u32, path: &[u8], new_dir: u32, new_path: &[u8]) -> Result<()> {
        const OP: &str = "link";
        if let Folder::Tree(tree, node) = self.folder(dir)? {
            self.folder(new_dir)?;
            tree.resolve(node, path, Last::NoFollow)?;
            return Err(Errno::XDEV);
        }
        self.writable_folder(new_dir, new_path)?;
        let (start, scope) = self.host_folder(dir)?;
        let (new_start, new_scope) = self.host_folder(new_dir)?;
        let object = self.resolver.object(start, scope, path, Last::NoFollow)?;
        let to = self.resolver.place(new_start, new_scope, new_path)?;
        // A second name for a guarded file would be a way around its guard.
        let real = self.object_path(OP, object.as_fd())?;
        self.may_change(OP, &real, object.as_fd())?;
        self.spare_programs(OP, &real, Some(identity(&rustix::fs::fstat(&object)?)))?;
        let new_real = self.place_path(OP, &to)?;
        self.may_change(OP, &new_real, to.dir.as_fd())?;
        self.spare_programs(OP, &new_real, None)?;
        // Through procfs: exactly this object, where AT_EMPTY_PATH would need a capability.
        let (proc, name) = self.resolver.proc_name(object.as_fd())?;
        rustix::fs::linkat(
            proc,
            &name,
            to.dir.as_fd(),
            &to.name,
            AtFlags::SYMLINK_FOLLOW,
        )
    }

    /// symlink(2). Outside of a root an absolute target could never be followed: EPERM.
    pub(crate) fn symlink(&self, target: &[u8], dir: u32, path: &[u8]) -> Result<()> {
        const OP: &str = "symlink";
        self.writable_folder(dir, path)?;
        let (start, scope) = self.host_folder(dir)?;
        if target.contains(&0) {
            return Err(Errno::INVAL);
        }
        if target.starts_with(b"/") && scope == Scope::Beneath {
            return Err(Errno::PERM);
        }
        let place = self.resolver.place(start, scope, path)?;
        let real = self.place_path(OP, &place)?;
        self.may_change(OP, &real, place.dir.as_fd())?;
        rustix::fs::symlinkat(target, place.dir.as_fd(), &place.name)
    }

    /// readlink(2). Outside of a root an absolute target would tell about the host: EPERM.
    pub(crate) fn readlink(&self, dir: u32, path: &[u8]) -> Result<Vec<u8>> {
        const OP: &str = "readlink";
        if let Folder::Tree(tree, node) = self.folder(dir)? {
            let node = tree.resolve(node, path, Last::NoFollow)?;
            let kind = node.map(|node| tree.node(node)).transpose()?;
            return match kind.map(|node| &node.kind) {
                Some(FileKind::Symlink(target)) => Ok(target.clone().into_bytes()),
                _ => Err(Errno::INVAL),
            };
        }
        let (start, scope) = self.host_folder(dir)?;
        let link = self.resolver.object(start, scope, path, Last::NoFollow)?;
        let real = self.object_path(OP, link.as_fd())?;
        let stat = rustix::fs::fstat(&link)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Err(Errno::INVAL);
        }
        let name = real.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if special::is_magic_link(link.as_fd(), name)? {
            let reason = "link of the host kernel";
            return Err(self.guard.refuse(OP, &real, reason, Errno::ACCESS));
        }
        let target = rustix::fs::readlinkat(&link, "", Vec::new())?.into_bytes();
        if target.starts_with(b"/") && scope == Scope::Beneath {
            return Err(Errno::PERM);
        }
        Ok(target)
    }

    /// stat(2), or lstat(2).
    pub(crate) fn metadata_at(&self, dir: u32, path: &[u8], last: Last) -> Result<Metadata> {
        if let Folder::Tree(tree, node) = self.folder(dir)? {
            let node = tree.resolve(node, path, last)?;
            return Metadata::of_node(&tree, node);
        }
        let (start, scope) = self.host_folder(dir)?;
        let object = self.resolver.object(start, scope, path, last)?;
        self.object_path("filestat_get", object.as_fd())?;
        Ok(Metadata::of_stat(&rustix::fs::fstat(&object)?))
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
        if let Folder::Tree(tree, node) = self.folder(dir)? {
            tree.resolve(node, path, last)?;
            return Err(Errno::ROFS);
        }
        let (start, scope) = self.host_folder(dir)?;
        let object = self.resolver.object(start, scope, path, last)?;
        let real = self.object_path(OP, object.as_fd())?;
        self.may_touch(OP, &real, object.as_fd())?;
        set_times_of(&self.resolver, object.as_fd(), times)
    }

    /// Refuses a change to the metadata of an object.
    pub(crate) fn may_touch(
        &self,
        operation: &str,
        real: &[u8],
        object: std::os::fd::BorrowedFd<'_>,
    ) -> Result<()> {
        self.may_change(operation, real, object)?;
        let id = identity(&rustix::fs::fstat(object)?);
        self.guard
            .spare_program_file(operation, real, id, &self.bases, &|guest| self.find(guest))
    }

    /// Identity of an entry, if it exists.
    fn entry_identity(
        &self,
        dir: std::os::fd::BorrowedFd<'_>,
        name: &[u8],
    ) -> Option<super::guard::Identity> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statat(dir, path::trim_end(name), flags).ok()?;
        Some(identity(&stat))
    }
}
