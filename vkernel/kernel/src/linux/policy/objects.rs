//! Objects that are not plain files, for programs with Linux system calls: what [`special`] says for all
//! personalities, and the few exceptions that these programs have.
//!
//! - `ptmx` may be opened, which makes a new terminal.
//! - A process may write its own `comm`, `oom_score_adj` and `coredump_filter`.
//! - `/proc/PID/maps` of the process itself shows the guest's own map, `/proc/PID/stat` has no addresses:
//!   both are read once, and what is opened is a copy ([`copies`]).
//!
//! Invariant: what is judged is what an open descriptor is, never a name that could be another's by the
//! time it is used.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{FileType, Stat, major, minor},
    io::Errno,
};

use super::{
    caller::Caller,
    copies,
    held::{Held, Private},
    object,
};
use crate::fs::special::{self, Unfit};

/// Files of procfs that a process may write about itself.
const WRITABLE: &[&[u8]] = &[b"comm", b"oom_score_adj", b"coredump_filter"];

/// What is known of the file systems of the root.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// The device number of the last file system that was no procfs, one more than it is.
    ordinary: AtomicU64,
    /// Whether names can be made in a file system of the host kernel's.
    host_folders: OnceLock<bool>,
}

/// What becomes of an object that is to be opened.
pub(crate) enum Opening {
    /// It is opened.
    Itself,
    /// A copy of what it says is.
    Copy(copies::Kind),
}

impl Objects {
    /// Whether an object that is to be read needs no second look: most files need none.
    pub(crate) fn is_plainly_read(&self, stat: &Stat) -> bool {
        let device = match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice | FileType::BlockDevice => return false,
            _ => stat.st_dev,
        };
        // procfs is on no device.
        major(device) != 0 || self.ordinary.load(Ordering::Relaxed) == device.wrapping_add(1)
    }

    /// Judges an object that is to be opened.
    pub(crate) fn judge(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        file: BorrowedFd<'_>,
        stat: &Stat,
        write: bool,
    ) -> Result<Opening, Errno> {
        let is_procfs = special::is_procfs(file)?;
        if !is_procfs && !write && major(stat.st_dev) == 0 {
            self.ordinary
                .store(stat.st_dev.wrapping_add(1), Ordering::Relaxed);
        }
        let real = match is_procfs {
            // By its name there, which the host kernel tells of the open file: nobody can rename in procfs.
            true => object::real_path(file.as_raw_fd())?,
            false => Vec::new(),
        };
        if is_procfs {
            let found = special::of_process(&real);
            if write && found.is_some_and(|(_, name)| WRITABLE.contains(&name)) {
                return Ok(Opening::Itself);
            }
            if !write && let Some(kind) = found.and_then(|found| copies::Kind::of(caller, found)) {
                return Ok(Opening::Copy(kind));
            }
        }
        match special::judge(file, stat, &real, write)? {
            None => Ok(Opening::Itself),
            Some(Unfit::Device) if is_device(stat.st_mode, stat.st_rdev) => Ok(Opening::Itself),
            Some(unfit) => Err(refuse(caller, operation, &real, unfit, Errno::ACCESS)),
        }
    }

    /// Judges an object whose metadata are to be changed, or that is to get another name.
    pub(crate) fn judge_change(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        file: BorrowedFd<'_>,
        stat: &Stat,
    ) -> Result<(), Errno> {
        if special::is_changeable(file, stat)? {
            return Ok(());
        }
        let unfit = match FileType::from_raw_mode(stat.st_mode) {
            FileType::BlockDevice | FileType::CharacterDevice => Unfit::Device,
            _ => Unfit::PseudoWrite,
        };
        let real = object::real_path(file.as_raw_fd()).unwrap_or_default();
        Err(refuse(caller, operation, &real, unfit, Errno::PERM))
    }

    /// Judges a folder in which a name is to be made, moved or removed.
    pub(crate) fn judge_folder(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        folder: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        if !self.has_host_folders() || !special::is_pseudo(folder)? {
            return Ok(());
        }
        let real = object::real_path(folder.as_raw_fd()).unwrap_or_default();
        Err(refuse(
            caller,
            operation,
            &real,
            Unfit::PseudoWrite,
            Errno::PERM,
        ))
    }

    /// Whether folders have to be looked at when names in them change: procfs and sysfs refuse by
    /// themselves, and other file systems of the host kernel's are mostly not there.
    pub(crate) fn has_host_folders(&self) -> bool {
        /// File system types of proc(5) and filesystems(5) in which names can be made.
        const TYPES: &[&str] = &[
            "cgroup",
            "cgroup2",
            "debugfs",
            "tracefs",
            "securityfs",
            "bpf",
            "efivarfs",
            "configfs",
            "selinuxfs",
            "smackfs",
            "binfmt_misc",
            "fusectl",
            "pstore",
            "xenfs",
        ];
        *self.host_folders.get_or_init(|| {
            // Without a list, all have to be.
            std::fs::read_to_string("/proc/self/mountinfo").map_or(true, |mounts| {
                mounts
                    .lines()
                    .filter_map(|line| line.split_once(" - ")?.1.split(' ').next())
                    .any(|kind| TYPES.contains(&kind))
            })
        })
    }

    /// Opens a copy of what an object that is held says.
    pub(crate) fn open_copy(
        &self,
        caller: &Caller<'_>,
        private: &Private,
        held: &Held<'_>,
        kind: &copies::Kind,
        flags: u64,
    ) -> Result<i64, Errno> {
        copies::open(caller, private, held, kind, flags)
    }
}

/// Whether a mode and a device number are those of a device that guests may open.
pub(crate) fn is_device(mode: u32, device: u64) -> bool {
    const PTMX: (u32, u32) = (5, 2);
    let number = (major(device), minor(device));
    let is_character = FileType::from_raw_mode(mode) == FileType::CharacterDevice;
    is_character && (number == PTMX || special::is_harmless(number.0, number.1))
}

fn refuse(caller: &Caller<'_>, operation: &str, real: &[u8], unfit: Unfit, errno: Errno) -> Errno {
    let name = match errno {
        Errno::PERM => "EPERM",
        _ => "EACCES",
    };
    let audit = &caller.audit;
    audit.refuse(operation, real, unfit.reason(), name);
    errno
}
