//! A process whose snapshot is being taken (`vkernel_abi::snapshot`): where its clocks and random numbers
//! come from, and what it may not have at its snapshot point, since no snapshot can hold it.
//!
//! Invariant: what is found is asked of the host, not of the program. A process that has something that is
//! not looked for here is started without it, as a child of `fork` is: locks of memory and files, a priority.
#![allow(unsafe_code)]

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

use super::super::syscall::{self, Arg};
use crate::sources::{Source, Sources};

/// The taking of a snapshot of the process's first program.
#[derive(Debug)]
pub(crate) struct Taking {
    /// Position of the module whose snapshot is wanted.
    module: u32,
    /// The process: its children take none.
    process: i32,
    sources: Mutex<Sources>,
    began: Surroundings,
}

/// Host calls that are made here, besides the runtime's.
pub const HOST_CALLS: &[i64] = &[
    libc::SYS_getcwd,
    libc::SYS_umask,
    libc::SYS_getsid,
    libc::SYS_getpgid,
    libc::SYS_waitid,
    libc::SYS_getitimer,
    libc::SYS_rt_sigpending,
];

/// What a program can change of what it was started in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Surroundings {
    directory: Vec<u8>,
    creation_mask: u32,
    session: i64,
    group: i64,
}

impl Surroundings {
    fn now() -> io::Result<Surroundings> {
        let id = |number| {
            // SAFETY: neither takes a pointer.
            unsafe { syscall::call(number, [Arg::NONE]) }
        };
        // SAFETY: the mask is put back at once; nothing else runs in the process.
        let creation_mask = unsafe {
            let mask = libc::umask(0o022);
            libc::umask(mask);
            mask
        };
        Ok(Surroundings {
            directory: rustix::process::getcwd(Vec::new())?.into_bytes(),
            creation_mask,
            session: id(libc::SYS_getsid)?,
            group: id(libc::SYS_getpgid)?,
        })
    }

    /// What is not as it was.
    fn difference(&self, now: &Surroundings) -> Option<&'static str> {
        let differences = [
            (
                self.directory != now.directory,
                "another working directory than it was started in",
            ),
            (
                self.creation_mask != now.creation_mask,
                "another creation mask (umask) than it was started with",
            ),
            (
                self.session != now.session,
                "another session than it was started in",
            ),
            (
                self.group != now.group,
                "another process group than it was started in",
            ),
        ];
        let mut different = differences.into_iter().filter(|(differs, _)| *differs);
        different.next().map(|(_, what)| what)
    }
}

impl Taking {
    /// Of `module`, in the calling process as it is now.
    pub(crate) fn begin(module: u32, source: Source) -> io::Result<Taking> {
        Ok(Taking {
            module,
            process: own_id(),
            sources: Mutex::new(Sources::new(source)),
            began: Surroundings::now()?,
        })
    }

    /// Whether the calling process, which runs `module`, is the one whose snapshot is wanted.
    pub(crate) fn concerns(&self, module: u32) -> bool {
        self.module == module && self.process == own_id()
    }

    /// Where the time and random numbers come from.
    pub(crate) fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the host has for the process that no snapshot can hold. `numbers` are the descriptors that
    /// the guest can have.
    pub(crate) fn obstacle(&self, numbers: impl Iterator<Item = i32>) -> Result<(), String> {
        let now = Surroundings::now()
            .map_err(|error| format!("surroundings that cannot be looked at: {error}"))?;
        if let Some(what) = self.began.difference(&now) {
            return Err(what.to_owned());
        }
        for number in 0..3 {
            if !is_open(number) {
                return Err(format!(
                    "a closed descriptor {number}, one of the standard streams"
                ));
            }
        }
        if let Some(open) = numbers.filter(|n| *n > 2).find(|number| is_open(*number)) {
            return Err(format!("the open descriptor {open}"));
        }
        if has_children() {
            return Err("a child process".to_owned());
        }
        for (which, name) in [
            (libc::ITIMER_REAL, "a running timer (alarm, setitimer)"),
            (libc::ITIMER_VIRTUAL, "a running timer of its own CPU time"),
            (libc::ITIMER_PROF, "a running timer of CPU time"),
        ] {
            if is_running(which) {
                return Err(name.to_owned());
            }
        }
        match pending() {
            0 => Ok(()),
            set => Err(format!("the pending signal {}", set.trailing_zeros() + 1)),
        }
    }
}

fn own_id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn is_open(number: i32) -> bool {
    let args = [number.into(), libc::F_GETFD.into()];
    // SAFETY: fcntl with F_GETFD takes no pointer.
    unsafe { syscall::call(libc::SYS_fcntl, args) }.is_ok()
}

/// Also those that have ended and were not waited for.
fn has_children() -> bool {
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let args = [libc::P_ALL.into(), 0.into(), Arg::NONE, how.into()];
    // SAFETY: without a place for it nothing is written.
    let asked = unsafe { syscall::call(libc::SYS_waitid, args) };
    asked != Err(Errno::CHILD)
}

fn is_running(which: i32) -> bool {
    let mut value = [0_i64; 4];
    let args = [which.into(), Arg::output(&mut value)];
    // SAFETY: the host writes one itimerval, which is four numbers of 64 bits.
    let asked = unsafe { syscall::call(libc::SYS_getitimer, args) };
    asked.is_err() || value[2..] != [0, 0]
}

/// The pending signals, a bit each.
fn pending() -> u64 {
    let mut set = 0_u64;
    let args = [Arg::output(&mut set), size_of::<u64>().into()];
    // SAFETY: the host writes eight bytes.
    let _ = unsafe { syscall::call(libc::SYS_rt_sigpending, args) };
    set
}
