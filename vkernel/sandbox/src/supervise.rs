//! The processes around a guest that has a namespace of processes of its own.
//!
//! ```text
//! supervisor        the process that was started: outside; waits, passes signals on, ends as the guest did
//! ├─ PID 1          of the namespace: collects orphans, nothing else; the namespace lives as long as it
//! └─ PID 2          the guest
//! ```
//!
//! The guest is not PID 1, because the host kernel takes signals whose action is the default from
//! PID 1, and a guest is to be stopped and ended by them as anywhere. It is the supervisor's child
//! and of its process group, so that a terminal's job control reaches it as if it were the only
//! process: Ctrl-C and Ctrl-Z come to both, and the supervisor stops when the guest was stopped so.
//!
//! Invariants: no process of the namespace outlives the supervisor, whatever it is killed by (PID 1
//! has asked the host kernel to be killed with it, and cannot be reached by the guest); the
//! supervisor holds none of the guest's standard streams open.
#![allow(unsafe_code)]

use std::{io, mem, os::fd::OwnedFd, ptr};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{DumpableBehavior, Pid, PidfdFlags, getpid, pidfd_open, set_dumpable_behavior},
    time::Timespec,
};

use crate::{Doing, Error, check, namespaces};

/// Exit status of a first process that could not become one.
const UNFIT: i32 = 125;

/// Forks into a new namespace of processes. Comes back in the guest alone; the calling process is the
/// supervisor from here on and ends with the guest's status.
///
/// `confine` takes from the namespace's first process what it does not need; it is called there, and
/// must leave it `wait4` and `rt_sigtimedwait`.
///
/// The calling process has one thread.
pub fn enter(confine: impl FnOnce() -> Result<(), String>) -> Result<(), Error> {
    // Nothing that arrives meanwhile is lost, and none of the handlers of this program runs in the
    // supervisor.
    let before = block_all().doing(|| "blocking signals".into())?;
    // Who ignores this signal gets no statuses (waitpid(2)).
    let children = default_action(libc::SIGCHLD).doing(|| "taking over SIGCHLD".into())?;
    let supervisor = pidfd_open(getpid(), PidfdFlags::empty())
        .doing(|| "opening this process as a descriptor".into())?;
    namespaces::begin_processes()?;
    let first = fork().doing(|| "making the namespace's first process".into())?;
    let Some(first) = first else {
        first_process(supervisor, confine)
    };
    let guest = match fork() {
        Ok(guest) => guest,
        Err(error) => {
            kill(first, libc::SIGKILL);
            return Err(error).doing(|| "making the guest's process".into());
        }
    };
    let Some(guest) = guest else {
        // The first process is what holds the promise; this covers the time until it can.
        die_with(&supervisor).doing(|| "tying this process to its supervisor".into())?;
        drop(supervisor);
        set_action(libc::SIGCHLD, &children).doing(|| "giving SIGCHLD back".into())?;
        return set_mask(&before).doing(|| "unblocking signals".into());
    };
    drop(supervisor);
    Supervisor {
        guest,
        first,
        terminal: Terminal::of_this_process(),
    }
    .run()
}

/// The host kernel kills this process when its supervisor ends; also if it has already.
fn die_with(supervisor: &OwnedFd) -> io::Result<()> {
    // SAFETY: takes integers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }.into())?;
    let mut ended = [PollFd::new(supervisor, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut ended, Some(&now))? != 0 {
        return Err(io::Error::other("it has ended"));
    }
    Ok(())
}

/// PID 1: collects the orphans of the namespace until it is killed.
fn first_process(supervisor: OwnedFd, confine: impl FnOnce() -> Result<(), String>) -> ! {
    let tied = die_with(&supervisor).map_err(|error| error.to_string());
    drop(supervisor);
    // Nobody else may look into it: what it has is the host's.
    let closed = tied.and_then(|()| {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| error.to_string())
    });
    if let Err(what) = closed.and_then(|()| confine()) {
        eprintln!("vkernel: preparing the first process of the sandbox: {what}; nothing was run");
        exit(UNFIT);
    }
    // SAFETY: nothing of this process is used again but its stack.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
    loop {
        // SAFETY: a null status is allowed.
        while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
        let _ = wait_signal();
    }
}

/// A terminal that this process's group was in the foreground of.
struct Terminal(Option<OwnedFd>);

impl Terminal {
    fn of_this_process() -> Terminal {
        let group = rustix::process::getpgrp();
        let owns = |fd: &OwnedFd| rustix::termios::tcgetpgrp(fd).is_ok_and(|g| g == group);
        let streams = [
            rustix::stdio::stdin(),
            rustix::stdio::stdout(),
            rustix::stdio::stderr(),
        ];
        let copies = streams
            .into_iter()
            .filter_map(|s| rustix::io::fcntl_dupfd_cloexec(s, 3).ok());
        Terminal(copies.into_iter().find(owns))
    }

    /// A guest that is a shell may have put another group there, which has ended with it.
    fn take_back(&self) {
        if let Terminal(Some(terminal)) = self {
            let group = rustix::process::getpgrp();
            // SIGTTOU is blocked, so that this is allowed from the background; a terminal that is
            // gone is nobody's.
            let _ = rustix::termios::tcsetpgrp(terminal, group);
        }
    }
}

struct Supervisor {
    guest: Pid,
    first: Pid,
    terminal: Terminal,
}

impl Supervisor {
    fn run(self) -> ! {
        // The guest's reader is to see its end when the guest closes a stream.
        for stream in 0..=2 {
            // SAFETY: nothing is said or read by this process from here on.
            unsafe { libc::close(stream) };
        }
        loop {
            match wait_signal() {
                Ok(info) if info.si_signo == libc::SIGCHLD => self.children(),
                // What a terminal sends came to the guest too, which is of the same group.
                Ok(info) if info.si_code > 0 => {}
                Ok(info) => kill(self.guest, info.si_signo),
                Err(_) => {}
            }
        }
    }

    fn children(&self) {
        loop {
            let mut status = 0;
            let flags = libc::WNOHANG | libc::WUNTRACED;
            // SAFETY: `status` is valid for writing.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
            if pid <= 0 {
                return;
            }
            if pid != self.guest.as_raw_nonzero().get() {
                continue;
            }
            if !libc::WIFSTOPPED(status) {
                self.end(status);
            }
            // The shell that started this is to know that its job stands. A guest that stops itself in
            // other ways is nothing to a shell.
            let by = libc::WSTOPSIG(status);
            if matches!(by, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) {
                kill(getpid(), libc::SIGSTOP);
            }
        }
    }

    /// Ends as the guest did, once nothing is left of its namespace.
    fn end(&self, status: i32) -> ! {
        kill(self.first, libc::SIGKILL);
        let first = self.first.as_raw_nonzero().get();
        // SAFETY: a null status is allowed. It ends when every process of the namespace has.
        unsafe { libc::waitpid(first, ptr::null_mut(), 0) };
        self.terminal.take_back();
        if !libc::WIFSIGNALED(status) {
            exit(libc::WEXITSTATUS(status));
        }
        let signal = libc::WTERMSIG(status);
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the structures are valid; the guest has left its own core file, if any.
        unsafe {
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            let _ = default_action(signal);
            libc::raise(signal);
            let mut only: libc::sigset_t = mem::zeroed();
            libc::sigaddset(&raw mut only, signal);
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const only, ptr::null_mut());
        }
        // PID 1 of another namespace is not ended so.
        exit(128 + signal)
    }
}

fn exit(status: i32) -> ! {
    // SAFETY: has no preconditions.
    unsafe { libc::_exit(status) }
}

fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread, by the contract of `enter`.
    let pid = check(unsafe { libc::fork() }.into())?;
    Ok(Pid::from_raw(pid as i32))
}

fn kill(process: Pid, signal: i32) {
    // SAFETY: takes integers only; a process that has ended meanwhile needs no signal.
    unsafe { libc::kill(process.as_raw_nonzero().get(), signal) };
}

/// Waits for any signal; all are blocked.
fn wait_signal() -> io::Result<libc::siginfo_t> {
    // SAFETY: both structures are valid, zeroes included; `sigfillset` initialises the set.
    unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&raw mut all);
        let mut info: libc::siginfo_t = mem::zeroed();
        check(libc::sigwaitinfo(&raw const all, &raw mut info).into())?;
        Ok(info)
    }
}

fn block_all() -> io::Result<libc::sigset_t> {
    // SAFETY: both sets are valid; `sigfillset` initialises the first.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) =
            (mem::zeroed(), mem::zeroed());
        libc::sigfillset(&raw mut all);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before).into())?;
        Ok(before)
    }
}

fn set_mask(mask: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is valid.
    let result = unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
    check(result.into()).map(drop)
}

/// Sets the default action; gives the one before.
fn default_action(signal: i32) -> io::Result<libc::sigaction> {
    // SAFETY: zeroes are the default action without flags; both structures are valid.
    unsafe {
        let action: libc::sigaction = mem::zeroed();
        let mut before: libc::sigaction = mem::zeroed();
        check(libc::sigaction(signal, &raw const action, &raw mut before).into())?;
        Ok(before)
    }
}

fn set_action(signal: i32, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: an action that this process had.
    check(unsafe { libc::sigaction(signal, action, ptr::null_mut()) }.into()).map(drop)
}
