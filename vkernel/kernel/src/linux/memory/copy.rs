//! Copying from and to memory that may not be there.
//!
//! A guest may pass any address, and another of its threads may unmap what was just checked. So
//! copies are made by a stretch of code that the handler of faults knows (`signals::faults`): a fault
//! inside it ends the copy early instead of the process.
#![allow(unsafe_code)]

use std::arch::global_asm;

// vkernel_copy(to, from, len) -> bytes not copied.
global_asm!(
    ".pushsection .text.vkernel_copy,\"ax\",@progbits",
    ".globl vkernel_copy",
    ".type vkernel_copy,@function",
    "vkernel_copy:",
    "mov rcx, rdx",
    ".globl vkernel_copy_begin",
    "vkernel_copy_begin:",
    "rep movsb",
    ".globl vkernel_copy_end",
    "vkernel_copy_end:",
    "mov rax, rcx",
    "ret",
    ".size vkernel_copy, . - vkernel_copy",
    ".popsection",
);

// vkernel_exchange(at, expected, new) -> what was there, or -1 if nothing was.
global_asm!(
    ".pushsection .text.vkernel_exchange,\"ax\",@progbits",
    ".globl vkernel_exchange",
    ".type vkernel_exchange,@function",
    "vkernel_exchange:",
    "mov eax, esi",
    "mov r8, -1",
    ".globl vkernel_exchange_begin",
    "vkernel_exchange_begin:",
    "lock cmpxchg dword ptr [rdi], edx",
    "mov r8d, eax",
    ".globl vkernel_exchange_end",
    "vkernel_exchange_end:",
    "mov rax, r8",
    "ret",
    ".size vkernel_exchange, . - vkernel_exchange",
    ".popsection",
);

unsafe extern "C" {
    fn vkernel_exchange(at: *mut u8, expected: u32, new: u32) -> i64;
    static vkernel_exchange_begin: u8;
    static vkernel_exchange_end: u8;
    fn vkernel_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    static vkernel_copy_begin: u8;
    static vkernel_copy_end: u8;
}

/// Copies `len` bytes; whether all of them could be copied.
///
/// # Safety
///
/// The ranges do not overlap and are either not mapped or memory that nobody but the guest has
/// references into; the handler of faults has been installed in this process.
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> bool {
    // SAFETY: the caller's contract; faults inside end the copy (see [`end_of_copy`]).
    unsafe { vkernel_copy(to, from, len) == 0 }
}

/// Puts `new` into the word at `at` if it is `expected`; what was there. `None` if there is no
/// memory that could be written. `at` is a multiple of 4 in guest memory.
pub(crate) fn exchange(at: *mut u8, expected: u32, new: u32) -> Option<u32> {
    // SAFETY: guest memory, of which Rust knows nothing; faults inside end the call (see
    // `on_fault`).
    u32::try_from(unsafe { vkernel_exchange(at, expected, new) }).ok()
}

/// Where a thread with these registers goes on after a fault at `address`, if it copies from or to guest
/// memory.
pub(crate) fn end_of_copy(registers: &[i64], address: usize) -> Option<i64> {
    let value = |register: i32| registers.get(register as usize).map(|v| *v as usize);
    let (at, to) = (value(libc::REG_RIP)?, value(libc::REG_RDI)?);
    let reaches = |from: usize, len: usize| address.wrapping_sub(from) < len;
    if at == (&raw const vkernel_copy_begin) as usize {
        let (from, len) = (value(libc::REG_RSI)?, value(libc::REG_RCX)?);
        let fits = reaches(to, len) || reaches(from, len);
        return fits.then_some((&raw const vkernel_copy_end) as i64);
    }
    let exchanges = at == (&raw const vkernel_exchange_begin) as usize && reaches(to, 4);
    exchanges.then_some((&raw const vkernel_exchange_end) as i64)
}
