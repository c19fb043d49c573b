//! Host system calls, made directly: the guest's errno is the host's, and a call that may block
//! must not miss a signal that arrives just before it.
//!
//! [`interruptible`] looks for pending signals and enters the host kernel in a stretch of code
//! that the signal handler knows: a signal that arrives inside it, before the kernel is entered,
//! makes it answer EINTR instead (the same trick as cancellation points in C libraries).
#![allow(unsafe_code)]

use std::{arch::global_asm, sync::atomic::AtomicU32};

use super::call::Args;

// vkernel_interruptible(number, *const [u64; 6], *const u32) -> i64.
global_asm!(
    ".pushsection .text.vkernel_interruptible,\"ax\",@progbits",
    ".globl vkernel_interruptible",
    ".type vkernel_interruptible,@function",
    "vkernel_interruptible:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "mov r11, rsi",
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]",
    "mov r8, [r11 + 32]",
    "mov r9, [r11 + 40]",
    ".globl vkernel_interruptible_check",
    "vkernel_interruptible_check:",
    "cmp dword ptr [rcx], 0",
    "jne 2f",
    ".globl vkernel_interruptible_enter",
    "vkernel_interruptible_enter:",
    "syscall",
    "ret",
    ".globl vkernel_interruptible_missed",
    "vkernel_interruptible_missed:",
    "2:",
    "mov rax, -4", // -EINTR
    "ret",
    ".size vkernel_interruptible, . - vkernel_interruptible",
    ".popsection",
);

unsafe extern "C" {
    fn vkernel_interruptible(number: i64, args: *const Args, pending: *const AtomicU32) -> i64;
    static vkernel_interruptible_check: u8;
    static vkernel_interruptible_enter: u8;
    static vkernel_interruptible_missed: u8;
}

/// Makes a host call. The result is the kernel's: negative errors between -4095 and -1.
///
/// # Safety
///
/// The call with these arguments must be sound for this process: pointers lead into guest memory
/// or to values that live long enough, nothing that Rust code relies on is unmapped or closed.
pub(super) unsafe fn call(number: i64, args: &Args) -> i64 {
    let result: i64;
    // SAFETY: the caller's contract; the kernel clobbers rcx and r11 and nothing else.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// As [`call`], but answers EINTR without entering the host kernel if `pending` is not zero, also
/// if it becomes so at the last moment.
///
/// # Safety
///
/// As for [`call`].
pub(super) unsafe fn interruptible(number: i64, args: &Args, pending: &AtomicU32) -> i64 {
    // SAFETY: the caller's contract; the function keeps to the C calling convention.
    unsafe { vkernel_interruptible(number, args, pending) }
}

/// For the signal handler: where to go on if the signal found the thread at `at`, in the stretch
/// before the host kernel is entered.
pub(super) fn missed(at: u64) -> Option<u64> {
    let check = (&raw const vkernel_interruptible_check) as u64;
    let enter = (&raw const vkernel_interruptible_enter) as u64;
    let missed = (&raw const vkernel_interruptible_missed) as u64;
    (check..=enter).contains(&at).then_some(missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_the_kernels_result() {
        let args = [0; 6];
        let pending = AtomicU32::new(0);
        // SAFETY: getpid has no arguments.
        let (plain, other) = unsafe {
            (
                call(libc::SYS_getpid, &args),
                interruptible(libc::SYS_getpid, &args, &pending),
            )
        };
        assert_eq!(plain, i64::from(std::process::id()));
        assert_eq!(other, plain);
        // SAFETY: closing a descriptor that cannot exist.
        let bad = unsafe { call(libc::SYS_close, &[u64::MAX, 0, 0, 0, 0, 0]) };
        assert_eq!(bad, -i64::from(libc::EBADF));
    }

    #[test]
    fn a_pending_signal_keeps_it_from_entering() {
        let pending = AtomicU32::new(1);
        // SAFETY: getpid has no arguments.
        let result = unsafe { interruptible(libc::SYS_getpid, &[0; 6], &pending) };
        assert_eq!(result, -i64::from(libc::EINTR));
    }
}
