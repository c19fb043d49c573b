//! Objects and names: found by the host kernel, held, and judged.

use std::{ffi::CString, os::fd::AsFd};

use rustix::{
    fs::{AtFlags, CWD, FileType, Stat, fstat, readlinkat, statat},
    io::Errno,
};

use super::{
    super::{call::Cx, descriptors, host},
    Held, Paths, Private, Reach, find,
};
use crate::fs::{identity, path};

/// Where descriptors of the calling thread are links. Not `self`: the first thread may have ended,
/// and then has none.
const DESCRIPTORS: &str = "/proc/thread-self/fd";

/// Opens an object as an `O_PATH` descriptor.
pub(in super::super) fn open<'a>(
    private: &'a Private,
    alone: bool,
    at: i32,
    path: &[u8],
    follow: bool,
) -> Result<Held<'a>, Errno> {
    let nofollow = if follow { 0 } else { libc::O_NOFOLLOW };
    let flags = libc::O_PATH | libc::O_CLOEXEC | nofollow;
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    let args = [
        i64::from(at) as u64,
        path.as_ptr() as u64,
        flags as u64,
        0,
        0,
        0,
    ];
    private.hold(alone, || {
        // SAFETY: the path is a string that lives on.
        descriptors::answered(unsafe { host::call(libc::SYS_openat, &args) })
    })
}

/// The real path of an open object. Not every object has one: a pipe's does not begin with `/`.
pub(in super::super) fn real_path(number: i32) -> Result<Vec<u8>, Errno> {
    let link = format!("{DESCRIPTORS}/{number}");
    let path = readlinkat(CWD, link, Vec::with_capacity(256))?;
    Ok(path.into_bytes())
}

/// A path that leads to the object itself, for calls that follow a last link.
pub(in super::super) fn path_of(held: &Held<'_>) -> CString {
    CString::new(format!("{DESCRIPTORS}/{}", held.number())).unwrap_or_default()
}

/// Opens for reading what is held, for the guest, with its flags of open(2) that are about the descriptor.
pub(in super::super) fn open_again(held: &Held<'_>, flags: u64) -> Result<i64, Errno> {
    let kept = (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    let path = path_of(held);
    let at = i64::from(libc::AT_FDCWD) as u64;
    let args = [at, path.as_ptr() as u64, flags & kept, 0, 0, 0];
    // SAFETY: the path is a string that lives on.
    let opened = unsafe { host::call(libc::SYS_openat, &args) };
    drop(path);
    descriptors::answered(opened).map(i64::from)
}

/// A path that leads to a name in an open folder.
pub(in super::super) fn path_in(folder: &Held<'_>, name: &[u8]) -> Result<CString, Errno> {
    let mut path = format!("{DESCRIPTORS}/{}/", folder.number()).into_bytes();
    path.extend_from_slice(name);
    CString::new(path).map_err(|_| Errno::INVAL)
}

/// Splits a path into the folder, `.` if none is named, and the last component with its trailing
/// slashes. `None` for a path of slashes only.
pub(in super::super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let trimmed = path::trim_end(path);
    if trimmed.is_empty() {
        return None;
    }
    Some(match trimmed.iter().rposition(|b| *b == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (b".", path),
    })
}

/// Whether a last component names a folder by its place, not by a name in another folder.
pub(in super::super) fn is_dots(name: &[u8]) -> bool {
    matches!(path::trim_end(name), b"." | b"..")
}

/// What a call is about to do with an object or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Act {
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
    pub(in super::super) fn object(
        &self,
        cx: &Cx<'_>,
        at: i32,
        path: &[u8],
        follow: bool,
    ) -> Result<Held<'_>, Errno> {
        open(&self.private, cx.alone(), at, path, follow)
    }

    /// The same, by a number that is none of the guest's: for calls whose result is the lowest free
    /// one.
    pub(in super::super) fn object_aside(
        &self,
        at: i32,
        path: &[u8],
        follow: bool,
    ) -> Result<Held<'_>, Errno> {
        open(&self.private, false, at, path, follow)
    }

    /// The same, as openat2(2) with `resolve` finds it.
    pub(in super::super) fn object_within(
        &self,
        at: i32,
        path: &[u8],
        flags: i32,
        resolve: u64,
    ) -> Result<Held<'_>, Errno> {
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        // `struct open_how`: flags, mode, resolve.
        let how = [flags as u64, 0, resolve];
        let args = [
            i64::from(at) as u64,
            path.as_ptr() as u64,
            how.as_ptr() as u64,
            size_of_val(&how) as u64,
            0,
            0,
        ];
        self.private.hold(false, || {
            // SAFETY: the path and the structure live on.
            let opened = unsafe { host::call(libc::SYS_openat2, &args) };
            std::hint::black_box(&how);
            descriptors::answered(opened)
        })
    }

    /// Holds the object of a descriptor of the guest's, as a place; AT_FDCWD is the working directory.
    ///
    /// A duplicate would not do: closing it would give up the process's record locks (fcntl(2)).
    pub(in super::super) fn object_of(&self, cx: &Cx<'_>, number: i32) -> Result<Held<'_>, Errno> {
        match number {
            libc::AT_FDCWD => self.object(cx, number, b".", true),
            number if self.has_proc => {
                let link = format!("{DESCRIPTORS}/{number}");
                // Only such a number has no link there.
                let held = self.object(cx, libc::AT_FDCWD, link.as_bytes(), true);
                held.map_err(|errno| {
                    if errno == Errno::NOENT {
                        Errno::BADF
                    } else {
                        errno
                    }
                })
            }
            _ => self
                .private
                .hold(cx.alone(), || descriptors::duplicate(number, 0)),
        }
    }

    /// Holds a socket of the guest's, for use; ENOTSOCK if it is something else.
    pub(in super::super) fn socket(&self, cx: &Cx<'_>, number: i32) -> Result<Held<'_>, Errno> {
        let kind = |number: i32| {
            // SAFETY: looked at; a number that is not open gives an error.
            #[allow(unsafe_code)]
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            Ok(FileType::from_raw_mode(fstat(file)?.st_mode))
        };
        if kind(number)? != FileType::Socket {
            return Err(Errno::NOTSOCK);
        }
        let held = self
            .private
            .hold(cx.alone(), || descriptors::duplicate(number, 0))?;
        // It may be another by now.
        match kind(held.number())? {
            FileType::Socket => Ok(held),
            _ => Err(Errno::NOTSOCK),
        }
    }

    /// Judges an object that is held.
    pub(in super::super) fn judge_object(
        &self,
        cx: &Cx<'_>,
        operation: &str,
        number: i32,
        stat: &Stat,
        act: Act,
    ) -> Result<(), Errno> {
        if self.reach == Reach::Programs && (act == Act::Look || self.is_ordinary(stat)) {
            return Ok(());
        }
        let real = match self.has_proc {
            true => real_path(number)?,
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
        let find = |guest: &str| self.find(cx, guest);
        guard.spare_program_file(operation, &real, identity(stat), &self.bases, &find)?;
        if self.is_own(stat) {
            let reason = "path is the vkernel's own";
            return Err(guard.refuse(operation, &real, reason, Errno::ACCESS));
        }
        Ok(())
    }

    /// As [`Paths::judge_object`], for a call that changes not what an object holds but what it is: its mode,
    /// owner, times or attributes, or its number of names.
    pub(in super::super) fn judge_metadata(
        &self,
        cx: &Cx<'_>,
        operation: &str,
        number: i32,
        stat: &Stat,
        act: Act,
    ) -> Result<(), Errno> {
        if act == Act::Change && number >= 0 {
            // SAFETY: held by the caller.
            #[allow(unsafe_code)]
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            self.objects.judge_change(cx, operation, file, stat)?;
        }
        self.judge_object(cx, operation, number, stat, act)
    }

    /// As [`Paths::judge_metadata`], for an object whose metadata are not known yet.
    pub(in super::super) fn judge(
        &self,
        cx: &Cx<'_>,
        operation: &str,
        held: &Held<'_>,
        act: Act,
    ) -> Result<(), Errno> {
        self.judge_metadata(cx, operation, held.number(), &fstat(held)?, act)
    }

    /// Judges a name in a folder that is held.
    pub(in super::super) fn judge_name(
        &self,
        cx: &Cx<'_>,
        operation: &str,
        folder: &Held<'_>,
        name: &[u8],
        act: Act,
    ) -> Result<(), Errno> {
        if act != Act::Look {
            self.objects.judge_folder(cx, operation, folder.as_fd())?;
        }
        let entry = statat(folder, path::trim_end(name), AtFlags::SYMLINK_NOFOLLOW).ok();
        let id = entry.map(|stat| identity(&stat));
        if !self.has_proc {
            // Without real paths: by what the names lead to.
            return self.judge_identity(operation, name, id, act);
        }
        let above = real_path(folder.number())?;
        let guard = &self.guard;
        if is_dots(name) {
            // Nothing is made, moved or removed by such a name; the host kernel says why.
            return guard.look(operation, &above);
        }
        let real = path::join(&above, name);
        guard.look(operation, &real)?;
        if act == Act::Look {
            return Ok(());
        }
        guard.change(operation, &real)?;
        if act == Act::Move {
            guard.keep_in_place(operation, &real)?;
        }
        let find = |guest: &str| self.find(cx, guest);
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
    pub(in super::super) fn hides(&self, real: &[u8]) -> bool {
        self.guard.hides(real)
    }

    /// Whether a folder's entries may be hidden.
    pub(in super::super) fn hides_in(&self, folder: &[u8]) -> bool {
        self.guard.hides_in(folder)
    }
}
