//! The judgement of objects that are held, and of names in folders that are held.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, FileType, Stat, fstat, statat},
    io::Errno,
};

use super::{
    super::process::descriptors::duplicate,
    caller::Caller,
    held::Held,
    object::{self, DESCRIPTORS, is_dots},
    paths::{Paths, Reach, find},
};
use crate::fs::{identity, path};

/// Calls that make a name, and fail where there is one.
const MAKE: &[&str] = &[
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "symlink",
    "symlinkat",
];

/// What a call is about to do with an object or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Look,
    /// Contents or metadata of the object change, or it gets another name.
    Change,
    /// A name appears or goes.
    Name,
    /// A name moves.
    Move,
}

impl Paths {
    /// Holds the object at a path.
    pub(crate) fn object(
        &self,
        caller: &Caller<'_>,
        at: i32,
        path: &[u8],
        follow: bool,
    ) -> Result<Held<'_>, Errno> {
        object::open(&self.private, caller.alone(), at, path, follow)
    }

    /// The same, by a number that is none of the guest's: for calls whose result is the lowest free
    /// one.
    pub(crate) fn object_aside(
        &self,
        at: i32,
        path: &[u8],
        follow: bool,
    ) -> Result<Held<'_>, Errno> {
        object::open(&self.private, false, at, path, follow)
    }

    /// The same, as openat2(2) with `resolve` finds it.
    pub(crate) fn object_within(
        &self,
        at: i32,
        path: &[u8],
        flags: i32,
        resolve: u64,
    ) -> Result<Held<'_>, Errno> {
        object::open_within(&self.private, at, path, flags, resolve)
    }

    /// Holds the object of a descriptor of the guest's, as a place; AT_FDCWD is the working directory.
    ///
    /// A duplicate would not do: closing it would give up the process's record locks (fcntl(2)).
    pub(crate) fn object_of(&self, caller: &Caller<'_>, number: i32) -> Result<Held<'_>, Errno> {
        match number {
            libc::AT_FDCWD => self.object(caller, number, b".", true),
            number if self.has_proc => {
                let link = format!("{DESCRIPTORS}/{number}");
                // Only such a number has no link there.
                let held = self.object(caller, libc::AT_FDCWD, link.as_bytes(), true);
                held.map_err(|errno| {
                    if errno == Errno::NOENT {
                        Errno::BADF
                    } else {
                        errno
                    }
                })
            }
            _ => self.private.hold(caller.alone(), || duplicate(number, 0)),
        }
    }

    /// Holds a socket of the guest's, for use; ENOTSOCK if it is something else.
    pub(crate) fn socket(&self, caller: &Caller<'_>, number: i32) -> Result<Held<'_>, Errno> {
        let kind = |number: i32| {
            // SAFETY: looked at; a number that is not open gives an error.
            #[allow(unsafe_code)]
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            Ok(FileType::from_raw_mode(fstat(file)?.st_mode))
        };
        if kind(number)? != FileType::Socket {
            return Err(Errno::NOTSOCK);
        }
        let held = self.private.hold(caller.alone(), || duplicate(number, 0))?;
        // It may be another by now.
        match kind(held.number())? {
            FileType::Socket => Ok(held),
            _ => Err(Errno::NOTSOCK),
        }
    }

    /// Judges an object that is held.
    pub(crate) fn judge_object(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        number: i32,
        stat: &Stat,
        act: Act,
    ) -> Result<(), Errno> {
        if self.reach == Reach::Programs && (act == Act::Look || self.is_ordinary(stat)) {
            return Ok(());
        }
        let real = match self.has_proc {
            true => object::real_path(number)?,
            false => Vec::new(),
        };
        let guard = &self.guard;
        guard.look(operation, &real)?;
        if act == Act::Look {
            return Ok(());
        }
        // A file without a name, in memory, is only spelt as if it were one of the root.
        let nameless = stat.st_nlink == 0 && real.starts_with(b"/memfd:");
        if !nameless {
            guard.change(operation, &real)?;
        }
        let find = |guest: &str| self.find(caller, guest);
        guard.spare_program_file(operation, &real, identity(stat), &self.bases, &find)?;
        if self.is_own(stat) {
            let reason = "path is the vkernel's own";
            return Err(guard.refuse(operation, &real, reason, Errno::ACCESS));
        }
        Ok(())
    }

    /// As [`Paths::judge_object`], for a call that changes not what an object holds but what it is: its mode,
    /// owner, times or attributes, or its number of names.
    pub(crate) fn judge_metadata(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        number: i32,
        stat: &Stat,
        act: Act,
    ) -> Result<(), Errno> {
        if act == Act::Change && number >= 0 {
            // SAFETY: held by the caller.
            #[allow(unsafe_code)]
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            self.objects.judge_change(caller, operation, file, stat)?;
        }
        self.judge_object(caller, operation, number, stat, act)
    }

    /// As [`Paths::judge_metadata`], for an object whose metadata are not known yet.
    pub(crate) fn judge(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        held: &Held<'_>,
        act: Act,
    ) -> Result<(), Errno> {
        self.judge_metadata(caller, operation, held.number(), &fstat(held)?, act)
    }

    /// Judges a name in a folder that is held.
    pub(crate) fn judge_name(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        folder: &Held<'_>,
        name: &[u8],
        act: Act,
    ) -> Result<(), Errno> {
        if act != Act::Look {
            self.objects
                .judge_folder(caller, operation, folder.as_fd())?;
        }
        let entry = statat(folder, path::trim_end(name), AtFlags::SYMLINK_NOFOLLOW).ok();
        let id = entry.map(|stat| identity(&stat));
        // Nothing is made where something is: the host kernel says EEXIST. What is guarded cannot have gone until then,
        // since no guest can remove it.
        let stays = act == Act::Name && entry.is_some() && MAKE.contains(&operation);
        if !self.has_proc && stays {
            return Ok(());
        }
        if !self.has_proc {
            // Without real paths: by what the names lead to.
            return self.judge_identity(operation, name, id, act);
        }
        let above = object::real_path(folder.number())?;
        let guard = &self.guard;
        if is_dots(name) {
            // Nothing is made, moved or removed by such a name; the host kernel says why.
            return guard.look(operation, &above);
        }
        let real = path::join(&above, name);
        guard.look(operation, &real)?;
        if act == Act::Look || stays {
            return Ok(());
        }
        guard.change(operation, &real)?;
        if act == Act::Move {
            guard.keep_in_place(operation, &real)?;
        }
        let find = |guest: &str| self.find(caller, guest);
        match act {
            // The name stays, and so do the folders on the way to programs.
            Act::Change => match id {
                Some(id) => guard.spare_program_file(operation, &real, id, &self.bases, &find),
                None => Ok(()),
            },
            _ => guard.spare_programs(operation, &real, id, &self.bases, &find),
        }
    }

    fn judge_identity(
        &self,
        operation: &str,
        name: &[u8],
        id: Option<(u64, u64)>,
        act: Act,
    ) -> Result<(), Errno> {
        let Some(id) = id.filter(|_| act != Act::Look) else {
            return Ok(());
        };
        let is_program = || {
            self.programs
                .iter()
                .filter_map(|program| find(&self.private, true, false, &program.path))
                .any(|(_, program)| program == id)
        };
        if self.own.contains(&id) || self.megabinary.get() == Some(&id) || is_program() {
            let reason = "it is a program or the vkernel's own";
            return Err(self.guard.refuse(operation, name, reason, Errno::ACCESS));
        }
        Ok(())
    }

    /// Whether the object at `real` does not exist for guests.
    pub(crate) fn hides(&self, real: &[u8]) -> bool {
        self.guard.hides(real)
    }

    /// Whether a folder's entries may be hidden.
    pub(crate) fn hides_in(&self, folder: &[u8]) -> bool {
        self.guard.hides_in(folder)
    }
}
