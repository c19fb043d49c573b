//! Descriptors: the guest's numbers are the host's.
//!
//! The few that the vkernel itself needs open lie above the guest's limit (RLIMIT_NOFILE, soft),
//! where the host gives out no number and where the guest's arguments are refused.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// How many descriptors the vkernel may keep for itself: its few own, and one or two for each call
/// that threads have judged at the same time.
const OWN: u64 = 64;

/// Most descriptors of a guest, whatever the host would allow.
const MOST: u64 = 1 << 20;

/// Number of the first descriptor that is not the guest's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(i32);

impl Limit {
    /// Lowers the soft limit so that there is room above it; at most `wanted` are left for guests.
    pub(super) fn establish(wanted: Option<u32>) -> io::Result<Limit> {
        let now = getrlimit(Resource::Nofile);
        let hard = now.maximum.unwrap_or(MOST).min(MOST);
        let soft = now.current.unwrap_or(MOST).min(hard.saturating_sub(OWN));
        let limit = wanted.map_or(soft, |w| soft.min(u64::from(w)));
        let new = Rlimit {
            current: Some(limit),
            maximum: now.maximum,
        };
        setrlimit(Resource::Nofile, new)?;
        Ok(Limit(i32::try_from(limit).unwrap_or(i32::MAX)))
    }

    /// Number of the first descriptor that is not the guest's.
    pub(super) fn first_own(self) -> i32 {
        self.0
    }

    /// An argument that names a descriptor: EBADF if it is none that the guest could have.
    pub(super) fn check(self, argument: u64) -> Result<u64, Errno> {
        let number = argument as i32;
        match (0..self.0).contains(&number) {
            true => Ok(number as u64),
            false => Err(Errno::BADF),
        }
    }

    /// A folder that may be `AT_FDCWD`. A number that the guest cannot have becomes one that
    /// nobody can have: with an absolute path the host does not look at it.
    pub(super) fn folder(self, argument: u64) -> u64 {
        match argument as i32 {
            libc::AT_FDCWD => i64::from(libc::AT_FDCWD) as u64,
            _ => self.check(argument).unwrap_or(u64::MAX),
        }
    }

    /// As [`Limit::check`], where a negative number means none.
    pub(super) fn check_optional(self, argument: u64) -> Result<u64, Errno> {
        match argument as i32 {
            number if number < 0 => Ok(i64::from(number) as u64),
            _ => self.check(argument),
        }
    }

    /// Moves a descriptor of the vkernel out of the guest's reach.
    pub(super) fn own(self, descriptor: OwnedFd) -> io::Result<OwnedFd> {
        let _lifted = self.lift()?;
        duplicate_above(&descriptor, self.0)
    }

    /// Lets new numbers of the vkernel lie above the limit, until the value is dropped.
    pub(super) fn lift(self) -> Result<Lifted, Errno> {
        let before = getrlimit(Resource::Nofile);
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(self.0 as u64 + OWN),
                maximum: before.maximum,
            },
        )?;
        Ok(Lifted(before))
    }
}

/// The limit is out of the way for the vkernel's own descriptors.
pub(super) struct Lifted(Rlimit);

impl Drop for Lifted {
    fn drop(&mut self) {
        // It was the limit before, so that it can be again.
        let _ = setrlimit(Resource::Nofile, self.0);
    }
}

fn duplicate_above(descriptor: &OwnedFd, least: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_DUPFD_CLOEXEC takes no pointer.
    let new = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    match new {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: a new descriptor that nobody else knows.
        new => Ok(unsafe { OwnedFd::from_raw_fd(new) }),
    }
}

/// Closes what is marked close-on-exec, as `execve` does; the vkernel's own stay.
pub(super) fn close_on_exec(first_own: i32) {
    // The list saves asking for every number; a root without procfs has none.
    let numbers: Vec<i32> = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|number| (0..first_own).contains(number))
            .collect(),
        Err(_) => (0..first_own).collect(),
    };
    for number in numbers {
        // SAFETY: fcntl and close take any number. What is closed here is
        // the guest's: no Rust value owns a number below `first_own`.
        unsafe {
            let flags = rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(number));
            if flags.is_ok_and(|f| f.contains(rustix::io::FdFlags::CLOEXEC)) {
                libc::close(number);
            }
        }
    }
}
