//! Descriptors: the guest's numbers are the host's.
//!
//! The few that the vkernel itself needs open have numbers of their own, which the guest's arguments
//! may not name. They lie above the guest's limit (RLIMIT_NOFILE, soft), where the host gives out no
//! number. That limit may be a million, and the host makes a table that reaches to the highest number
//! at every start and copies it at every `fork`; so the host's limit is at most 1024, as on most systems,
//! until the guest comes to it. Then the vkernel's numbers are all filled,
//! so that the host gives none of them to the guest, and the host's limit becomes what the guest takes
//! it for ([`Descriptors::grow`]). Processes have that done before their second guest thread begins: while
//! numbers are being filled, another thread could get one.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::super::syscall::{self, Arg};

/// How many descriptors the vkernel may keep for itself: its few own, and one or two for each call
/// that threads have judged at the same time.
pub(crate) const OWN: i32 = 64;

/// The first number of the vkernel's, unless the guest's limit is below it: the usual limit, so that a
/// guest with that one has all of its numbers.
const FIRST: u64 = 1024;

/// Most descriptors of a guest, whatever the host would allow.
const MOST: u64 = 1 << 20;

/// Whether the numbers above the vkernel's are the guest's too. One process has one table.
static GROWN: AtomicBool = AtomicBool::new(false);

/// The numbers that are not the guest's: [`OWN`] of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    first: i32,
    soft: u64,
    most: u64,
}

impl Descriptors {
    /// Lowers the soft limit so that there is room above it; at most `wanted` are left for guests.
    pub(crate) fn establish(wanted: Option<u32>) -> io::Result<Descriptors> {
        let now = getrlimit(Resource::Nofile);
        let hard = now.maximum.unwrap_or(MOST).min(MOST);
        // The vkernel's own are above what the guest can ever have, or below what it has.
        let hard = hard.saturating_sub(OWN as u64);
        let soft = now.current.unwrap_or(MOST).min(hard);
        let (first, soft, most) = match wanted.map(|wanted| soft.min(wanted.into())) {
            // Exactly as many as the policy says.
            Some(wanted) => (wanted, wanted, wanted),
            None => (soft.min(FIRST), soft, hard),
        };
        match wanted {
            // Also for who takes the vkernel over: only an administrator raises a hard limit.
            Some(_) => setrlimit(
                Resource::Nofile,
                Rlimit {
                    current: Some(first),
                    maximum: Some(first + OWN as u64),
                },
            )?,
            None => set_limit(first)?,
        }
        GROWN.store(false, Ordering::SeqCst);
        Ok(Descriptors {
            first: i32::try_from(first).unwrap_or(i32::MAX),
            soft,
            most,
        })
    }

    /// Number of the first descriptor that is not the guest's.
    pub(crate) fn first_own(self) -> i32 {
        self.first
    }

    /// Number of the first descriptor above the vkernel's.
    pub(crate) fn after_own(self) -> i32 {
        self.first.saturating_add(OWN)
    }

    /// All numbers that the guest can have.
    pub(crate) fn guests(self) -> impl Iterator<Item = i32> {
        let above = match self.has_grown() {
            true => i32::try_from(self.most).unwrap_or(i32::MAX),
            false => self.after_own(),
        };
        (0..self.first).chain(self.after_own()..above)
    }

    /// The guest's soft limit at first.
    pub(crate) fn begins_with(self) -> u64 {
        self.soft
    }

    /// The guest's hard limit at first.
    pub(crate) fn most(self) -> u64 {
        self.most
    }

    /// Whether numbers above the vkernel's are the guest's.
    pub(crate) fn has_grown(self) -> bool {
        GROWN.load(Ordering::SeqCst)
    }

    /// What the host's soft limit is to be when the guest's is `soft`.
    pub(crate) fn on_host(self, soft: u64) -> u64 {
        match self.has_grown() {
            true => soft,
            false => soft.min(self.first as u64),
        }
    }

    /// Gives the guest the numbers above the vkernel's, up to its limit, `soft`; whether it has them
    /// now and did not before. Called when there is one guest thread, or where it has been called;
    /// which numbers of the vkernel's are in use is said to `used`.
    pub(crate) fn grow(self, soft: u64, used: &mut dyn FnMut(i32)) -> Result<bool, Errno> {
        if self.has_grown() || self.most <= self.after_own() as u64 {
            return Ok(false);
        }
        // The vkernel's own were moved here from below: the first number is one of them.
        let mut filled = Vec::new();
        let lifted = self.lift()?;
        let end = loop {
            match duplicate(self.first, self.first) {
                Ok(number) => filled.push(number),
                Err(errno) => break errno,
            }
        };
        drop(lifted);
        let set = match end {
            Errno::MFILE => set_limit(soft),
            errno => Err(errno),
        };
        if let Err(errno) = set {
            // As it was: the host's limit is below these.
            filled.iter().for_each(|number| close(*number));
            return Err(errno);
        }
        (self.first..self.after_own())
            .filter(|number| !filled.contains(number))
            .for_each(used);
        GROWN.store(true, Ordering::SeqCst);
        Ok(soft > self.first as u64)
    }

    /// Makes a number of the vkernel's, which it does not use, one that is taken.
    pub(crate) fn fill(self, number: i32) -> Result<(), Errno> {
        replace(self.first, number)
    }

    /// An argument that names a descriptor: EBADF if it is none that the guest could have.
    #[inline(always)]
    pub(crate) fn check(self, argument: u64) -> Result<Arg<'static>, Errno> {
        self.number(argument).map(Arg::from)
    }

    /// As [`Descriptors::check`]: the number.
    #[inline(always)]
    pub(crate) fn number(self, argument: u64) -> Result<i32, Errno> {
        let number = argument as i32;
        match number >= 0 && !(self.first..self.after_own()).contains(&number) {
            true => Ok(number),
            false => Err(Errno::BADF),
        }
    }

    /// A folder that may be `AT_FDCWD`. A number that the guest cannot have becomes one that
    /// nobody can have: with an absolute path the host does not look at it.
    pub(crate) fn folder(self, argument: u64) -> i32 {
        match argument as i32 {
            libc::AT_FDCWD => libc::AT_FDCWD,
            _ => self.number(argument).unwrap_or(-1),
        }
    }

    /// As [`Descriptors::check`], where a negative number means none.
    pub(crate) fn check_optional(self, argument: u64) -> Result<Arg<'static>, Errno> {
        match argument as i32 {
            number if number < 0 => Ok(number.into()),
            _ => self.check(argument),
        }
    }

    /// Moves a descriptor of the vkernel out of the guest's reach. Before there is a guest.
    pub(crate) fn own(self, descriptor: OwnedFd) -> io::Result<OwnedFd> {
        let _lifted = self.lift()?;
        let own = duplicate(descriptor.as_raw_fd(), self.first)?;
        // SAFETY: a new descriptor that nobody else knows.
        Ok(unsafe { OwnedFd::from_raw_fd(own) })
    }

    /// Lets new numbers of the vkernel lie above the limit, until the value is dropped.
    pub(crate) fn lift(self) -> Result<Lifted, Errno> {
        let before = getrlimit(Resource::Nofile);
        let current = before.current.unwrap_or(MOST).max(self.first as u64);
        set_limit(current + OWN as u64)?;
        Ok(Lifted(before))
    }
}

/// The limit is out of the way for the vkernel's own descriptors.
pub(crate) struct Lifted(Rlimit);

impl Drop for Lifted {
    fn drop(&mut self) {
        // It was the limit before, so that it can be again.
        let _ = setrlimit(Resource::Nofile, self.0);
    }
}

/// Sets the host's soft limit.
pub(crate) fn set_limit(soft: u64) -> Result<(), Errno> {
    let new = Rlimit {
        current: Some(soft),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, new)
}

/// A second descriptor of the same open file, not below `least`.
pub(crate) fn duplicate(number: i32, least: i32) -> Result<i32, Errno> {
    let args = [number.into(), libc::F_DUPFD_CLOEXEC.into(), least.into()];
    // SAFETY: fcntl with F_DUPFD_CLOEXEC takes no pointer.
    syscall::descriptor(unsafe { syscall::call(libc::SYS_fcntl, args) }?)
}

/// Makes `to` a duplicate of `from`, close-on-exec, whatever it was.
pub(crate) fn replace(from: i32, to: i32) -> Result<(), Errno> {
    let args = [from.into(), to.into(), libc::O_CLOEXEC.into()];
    // SAFETY: dup3 takes no pointer; `to` is a number that no Rust value owns.
    unsafe { syscall::call(libc::SYS_dup3, args) }.map(drop)
}

/// Closes a number that no Rust value owns.
pub(crate) fn close(number: i32) {
    // SAFETY: the callers have opened it.
    let _ = unsafe { syscall::call(libc::SYS_close, [number.into()]) };
}

/// Closes what is marked close-on-exec, as `execve` does; the vkernel's own stay.
pub(crate) fn close_on_exec(limit: Descriptors) {
    let own = limit.first..limit.after_own();
    // The list saves asking for every number; a root without procfs has none.
    let numbers: Vec<i32> = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect(),
        Err(_) if limit.has_grown() => (0..i32::try_from(limit.most).unwrap_or(i32::MAX)).collect(),
        Err(_) => (0..limit.first).collect(),
    };
    for number in numbers.into_iter().filter(|number| !own.contains(number)) {
        // SAFETY: fcntl and close take any number. What is closed here is
        // the guest's: no Rust value owns a number that is not one of `own`.
        unsafe {
            let flags = rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(number));
            if flags.is_ok_and(|f| f.contains(rustix::io::FdFlags::CLOEXEC)) {
                libc::close(number);
            }
        }
    }
}
