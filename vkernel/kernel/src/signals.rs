//! Signals of the host that concern the vkernel as a process: ending promptly, and the wall-clock
//! limit.
//!
//! Why it is needed: the first process of a container is PID 1 of its namespace, for which the
//! host kernel discards every signal whose action is the default (`pid_namespaces(7)`), so that
//! `docker stop` would wait its ten seconds. Not for: delivering signals to guests; WASI has none.
//!
//! Invariant: handlers call async-signal-safe functions only (`signal-safety(7)`), allocate
//! nothing and take no lock; what they need was put in place before they were installed. Handlers
//! have no context argument, so the wall-clock limit is the one piece of process-wide state here.

#![allow(unsafe_code)]

mod wall;

use std::{io, mem, ptr};

pub(crate) use wall::ended_by;
pub use wall::{arm_cpu_time, arm_wall_time};

/// Signals that ask a process to end, and end it.
const ENDING: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Takes over the process's signals; call it once at start, before wasmtime installs its handlers
/// and before threads are started (they inherit the mask).
///
/// - SIGTERM, SIGINT, SIGHUP, SIGQUIT end the process at once: as PID 1 with the exit status
///   128 + n, otherwise by the signal itself, so that the parent sees what happened. One of them
///   that was inherited as ignored stays ignored, as `nohup` and background jobs of a shell
///   without job control expect; except in PID 1 and except SIGTERM.
/// - SIGPIPE and SIGXFSZ are ignored: writes give EPIPE, and EFBIG beyond RLIMIT_FSIZE, which the
///   guest gets (WASI has no signals).
/// - What a parent may have left blocked is unblocked: the mask does survive `execve`.
///
/// Of other signals, what a parent left ignored stays so, and changes nothing: the host kernel
/// forces the signal of a fault or of the seccomp filter on a process that ignores it, abort(3)
/// resets SIGABRT itself, [`arm_wall_time`] sets SIGALRM, and there are no children.
pub fn install() -> io::Result<()> {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        set(signal, libc::SIG_IGN, 0)?;
    }
    for signal in ENDING {
        let handler: extern "C" fn(libc::c_int) = end_process;
        // The action is the default again, and the signal not blocked, when the handler runs.
        let flags = libc::SA_RESETHAND | libc::SA_NODEFER;
        let before = set(signal, handler as libc::sighandler_t, flags)?;
        if before == libc::SIG_IGN
            && signal != libc::SIGTERM
            && !rustix::process::getpid().is_init()
        {
            set(signal, libc::SIG_IGN, 0)?;
        }
    }
    unblock_all()
}

/// Makes `signal` end PID 1 as it ends every other process by default. `None` if this is not PID 1
/// or not a signal that asks a process to end.
pub(crate) fn end_first_process(signal: libc::c_int) -> Option<io::Result<()>> {
    if !ENDING.contains(&signal) || !rustix::process::getpid().is_init() {
        return None;
    }
    let handler: extern "C" fn(libc::c_int) = end_process;
    let flags = libc::SA_RESETHAND | libc::SA_NODEFER;
    Some(set(signal, handler as libc::sighandler_t, flags).map(drop))
}

/// Ends the process as `signal` would.
extern "C" fn end_process(signal: libc::c_int) {
    // SAFETY: getpid, _exit and raise are async-signal-safe (`signal-safety(7)`). raise comes
    // back only if the host kernel discards the signal, which it does for PID 1 alone.
    unsafe {
        if libc::getpid() != 1 {
            libc::raise(signal);
        }
        libc::_exit(vkernel_abi::exit::SIGNAL_BASE + signal);
    }
}

/// Sets an action; returns the handler before.
fn set(
    signal: libc::c_int,
    handler: libc::sighandler_t,
    flags: libc::c_int,
) -> io::Result<libc::sighandler_t> {
    // SAFETY: `sigaction` is a plain C structure for which zeroes are valid (empty mask).
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    // SA_ONSTACK: wasmtime gives threads an alternative stack, and guest stacks may be full.
    action.sa_flags = flags | libc::SA_ONSTACK;
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: `before` is valid for writing; `handler` is SIG_IGN or an `extern "C" fn(c_int)` of this module, which is
    // what `sa_flags` without SA_SIGINFO says.
    if unsafe { libc::sigaction(signal, &raw const action, &raw mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(before.sa_sigaction)
}

/// Empties the calling thread's signal mask, which `execve` keeps.
fn unblock_all() -> io::Result<()> {
    // SAFETY: sigemptyset initialises the set that pthread_sigmask reads.
    let error = unsafe {
        let mut none = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut())
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    Ok(())
}
