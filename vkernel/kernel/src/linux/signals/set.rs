//! Signals and sets of them, as the host kernel counts them (signal(7)).
#![allow(unsafe_code)]

use std::ptr;

/// Signals that the engine needs for faults of compiled code; never blocked, and their host action
/// is never the guest's.
pub(crate) const SYNCHRONOUS: u64 = bit(libc::SIGSEGV)
    | bit(libc::SIGBUS)
    | bit(libc::SIGFPE)
    | bit(libc::SIGILL)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGSYS);

/// Signals that nobody can block or catch.
pub(crate) const UNBLOCKABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// Number of signals; numbers are 1 to 64.
pub(crate) const COUNT: usize = 64;

/// A signal's bit in a mask.
pub(crate) const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Makes a set of signals what the mask says.
pub(crate) fn set_words(set: &mut libc::sigset_t, mask: u64) {
    // SAFETY: a sigset_t begins with the kernel's 64-bit mask, which is all that the kernel looks
    // at.
    unsafe { ptr::write((set as *mut libc::sigset_t).cast::<u64>(), mask) };
}
