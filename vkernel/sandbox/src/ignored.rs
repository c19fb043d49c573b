//! Which signals were ignored when the process was started.
//!
//! `execve(2)` keeps what is ignored, and programs rely on it: `nohup`, a shell's `trap '' INT`. Rust's
//! standard library ignores SIGPIPE before `main`, so that it cannot be seen there any more; so it is
//! looked at before, by a function that the dynamic linker or the C library's start calls.
#![allow(unsafe_code)]

use std::{
    os::unix::process::CommandExt,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

/// A bit for each signal, the first for signal 1.
static AT_START: AtomicU64 = AtomicU64::new(0);

/// Number of the last signal.
const LAST: i32 = 64;

// SAFETY: the section holds addresses of functions that are called before `main`, once, with arguments
// that C functions without parameters pass over.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let ignored = (1..=LAST).filter(|signal| is_ignored(*signal));
    let mask = ignored.fold(0, |mask, signal| mask | bit(signal));
    AT_START.store(mask, Ordering::Relaxed);
}

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: `sigaction` is a plain C structure for which zeroes are valid; the call only writes it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Whether a signal was ignored when the process was started.
pub fn at_start(signal: i32) -> bool {
    (1..=LAST).contains(&signal) && AT_START.load(Ordering::Relaxed) & bit(signal) != 0
}

/// Has a command begin with what this process began with: the standard library gives SIGPIPE its default.
pub fn keep(command: &mut Command) {
    if !at_start(libc::SIGPIPE) {
        return;
    }
    // SAFETY: signal(2) is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_seen() {
        // Rust ignores SIGPIPE; whoever has started the test may have ignored others, but not this one.
        assert!(is_ignored(libc::SIGPIPE));
        assert!(!is_ignored(libc::SIGCHLD) && !is_ignored(libc::SIGKILL));
        assert!(!at_start(0) && !at_start(LAST + 1) && !at_start(libc::SIGKILL));
    }
}
