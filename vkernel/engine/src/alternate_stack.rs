//! The stack on which signal handlers run in the first thread.
//!
//! wasmtime wants 256 KiB and maps them, with a guard, unless a thread has as much already. The
//! program has them from `execve`: pages that nobody touches cost nothing, and a start makes two
//! system calls less. In place of the guard is room that nobody uses.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// What wasmtime asks for (`MIN_STACK_SIZE` in its `sys/unix/signals.rs`).
const SIZE: usize = 256 << 10;

/// More than a frame of anything that runs in a signal handler.
const UNUSED: usize = 64 << 10;

#[repr(C, align(4096))]
struct Room(UnsafeCell<[u8; UNUSED + SIZE]>);

// SAFETY: nothing here reads or writes it; one thread has it as its stack.
unsafe impl Sync for Room {}

static ROOM: Room = Room(UnsafeCell::new([0; UNUSED + SIZE]));
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the calling thread its alternate stack, if it is the first to ask; wasmtime sees to the
/// others.
pub(crate) fn install() {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return;
    }
    let stack = libc::stack_t {
        ss_sp: ROOM.0.get().cast::<u8>().wrapping_add(UNUSED).cast(),
        ss_flags: 0,
        ss_size: SIZE,
    };
    // SAFETY: the range is in a static that only this thread gets, by `TAKEN`, and it lives as
    // long as the process. A failure leaves the thread to wasmtime.
    unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
}
