//! The host's signal mask of the calling thread. All of it is async-signal-safe.
#![allow(unsafe_code)]

use super::{
    super::syscall::{self, Arg},
    set::SYNCHRONOUS,
};

/// Sets the host mask of the calling thread; the signals of [`SYNCHRONOUS`] stay open.
pub(crate) fn set_mask(mask: u64) {
    let mask = mask & !SYNCHRONOUS;
    change(Arg::input(&mask), Arg::NONE);
}

/// Opens the mask again for a program of another personality, which is to begin with this one.
pub fn restore_mask(mask: u64) {
    set_mask(mask);
}

/// As [`set_mask`], for a thread that is about to end: whatever `mask` says.
pub(crate) fn set_mask_exactly(mask: u64) {
    change(Arg::input(&mask), Arg::NONE);
}

/// The host mask of the calling thread.
pub(crate) fn mask() -> u64 {
    let mut mask = 0_u64;
    change(Arg::NONE, Arg::output(&mut mask));
    mask
}

/// Sets the mask to `new` and writes the one before to `old`, if they are given.
fn change(new: Arg<'_>, old: Arg<'_>) {
    let args = [libc::SIG_SETMASK.into(), new, old, size_of::<u64>().into()];
    // SAFETY: the kernel reads and writes eight bytes, which the callers' masks have.
    let _ = unsafe { syscall::call(libc::SYS_rt_sigprocmask, args) };
}
