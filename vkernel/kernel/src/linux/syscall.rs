//! Host system calls, made directly: the guest's errno is the host's, and a call that may block
//! must not miss a signal that arrives just before it.
//!
//! An [`Arg`] is what the host kernel gets in a register. If that is an address, the argument's lifetime is
//! the borrow of what lies there, so that the compiler keeps it until the call has been made and, where
//! the host writes, lets nobody look at it meanwhile. A call is a piece of machine code that the
//! compiler takes to read and write all memory whose address it was given.
//!
//! [`interruptible`] looks for pending signals and enters the host kernel in a stretch of code
//! that the signal handler knows: a signal that arrives inside it, before the kernel is entered,
//! makes it answer EINTR instead (the same trick as cancellation points in C libraries).
//!
//! This module imports nothing else of `linux`: everything else imports it.
#![allow(unsafe_code)]

use std::{
    arch::global_asm,
    ffi::CStr,
    marker::PhantomData,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
    sync::atomic::AtomicU32,
};

pub(crate) use rustix::io::Errno;

/// One argument of a host call: a value, or the address of something that lives for `'a`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Arg<'a> {
    register: u64,
    of: PhantomData<&'a ()>,
}

/// All arguments of a host call; those that it does not have are [`Arg::NONE`].
pub(crate) type HostArgs<'a> = [Arg<'a>; 6];

impl<'a> Arg<'a> {
    /// No argument, a null pointer, or the number 0.
    pub(crate) const NONE: Arg<'static> = Arg::word(0);

    const fn word(register: u64) -> Arg<'a> {
        Arg {
            register,
            of: PhantomData,
        }
    }

    /// The address of something that the host reads.
    pub(crate) fn input<T: ?Sized>(what: &'a T) -> Arg<'a> {
        Arg::word(ptr::from_ref(what).cast::<()>() as u64)
    }

    /// The address of something that the host writes.
    pub(crate) fn output<T: ?Sized>(what: &'a mut T) -> Arg<'a> {
        Arg::word(ptr::from_mut(what).cast::<()>() as u64)
    }

    /// An address that Rust has no reference to: in guest memory, or of a mapping that is being made or
    /// moved.
    pub(crate) const fn address(address: u64) -> Arg<'static> {
        Arg::word(address)
    }

    /// What the host gets in the register.
    pub(crate) fn register(self) -> u64 {
        self.register
    }

    /// What the host reads if it takes the argument for an `int`.
    pub(crate) fn int(self) -> i32 {
        self.register as i32
    }
}

impl From<u64> for Arg<'static> {
    fn from(value: u64) -> Self {
        Arg::word(value)
    }
}

impl From<u32> for Arg<'static> {
    fn from(value: u32) -> Self {
        Arg::word(value.into())
    }
}

impl From<usize> for Arg<'static> {
    fn from(value: usize) -> Self {
        Arg::word(value as u64)
    }
}

impl From<i64> for Arg<'static> {
    fn from(value: i64) -> Self {
        Arg::word(value.cast_unsigned())
    }
}

/// Sign-extended, as C does it.
impl From<i32> for Arg<'static> {
    fn from(value: i32) -> Self {
        i64::from(value).into()
    }
}

impl<'a> From<&'a CStr> for Arg<'a> {
    fn from(string: &'a CStr) -> Self {
        Arg::input(string.to_bytes_with_nul())
    }
}

impl<'a> From<BorrowedFd<'a>> for Arg<'a> {
    fn from(descriptor: BorrowedFd<'a>) -> Self {
        Arg::word(i64::from(descriptor.as_raw_fd()).cast_unsigned())
    }
}

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
    fn vkernel_interruptible(
        number: i64,
        args: *const HostArgs<'_>,
        pending: *const AtomicU32,
    ) -> i64;
    static vkernel_interruptible_check: u8;
    static vkernel_interruptible_enter: u8;
    static vkernel_interruptible_missed: u8;
}

/// Makes a host call: its result, or its error.
///
/// # Safety
///
/// The call with these arguments must be sound for this process: what it reads is of the size that it
/// reads, what it writes has been given as [`Arg::output`] and keeps to its type, addresses that are
/// no references lead into guest memory or to mappings of the caller's, and nothing that Rust code
/// relies on is unmapped or closed.
pub(crate) unsafe fn call<const N: usize>(number: i64, args: [Arg<'_>; N]) -> Result<i64, Errno> {
    // SAFETY: the caller's contract.
    understood(unsafe { raw(number, &padded(args)) })
}

/// Six arguments, of at most so many.
pub(crate) fn padded<const N: usize>(args: [Arg<'_>; N]) -> HostArgs<'_> {
    const { assert!(N <= 6, "a call has six arguments at most") };
    let mut all = [Arg::NONE; 6];
    all[..N].copy_from_slice(&args);
    all
}

/// As [`call`], with the kernel's own result: negative errors between -4095 and -1.
///
/// # Safety
///
/// As for [`call`].
#[inline(always)]
pub(crate) unsafe fn raw(number: i64, args: &HostArgs<'_>) -> i64 {
    let result: i64;
    // SAFETY: the caller's contract; the kernel clobbers rcx and r11 and nothing else.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0].register,
            in("rsi") args[1].register,
            in("rdx") args[2].register,
            in("r10") args[3].register,
            in("r8") args[4].register,
            in("r9") args[5].register,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// As [`raw`], but answers EINTR without entering the host kernel if `pending` is not zero, also
/// if it becomes so at the last moment.
///
/// # Safety
///
/// As for [`call`].
#[inline(always)]
pub(crate) unsafe fn interruptible(number: i64, args: &HostArgs<'_>, pending: &AtomicU32) -> i64 {
    // SAFETY: the caller's contract; the function keeps to the C calling convention.
    unsafe { vkernel_interruptible(number, args, pending) }
}

/// For the signal handler: where to go on if the signal found the thread at `at`, in the stretch
/// before the host kernel is entered.
pub(crate) fn missed(at: u64) -> Option<u64> {
    let check = (&raw const vkernel_interruptible_check) as u64;
    let enter = (&raw const vkernel_interruptible_enter) as u64;
    let missed = (&raw const vkernel_interruptible_missed) as u64;
    (check..=enter).contains(&at).then_some(missed)
}

/// Whether a result of the host's is the number of an error.
#[inline(always)]
pub fn is_error(result: i64) -> bool {
    (-4095..0).contains(&result)
}

/// What a result of the host's says.
#[inline(always)]
pub(crate) fn understood(result: i64) -> Result<i64, Errno> {
    match is_error(result) {
        true => Err(Errno::from_raw_os_error(-result as i32)),
        false => Ok(result),
    }
}

/// A result that is a descriptor.
pub(crate) fn descriptor(result: i64) -> Result<i32, Errno> {
    i32::try_from(result).map_err(|_| Errno::OVERFLOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_the_kernels_result() {
        let pending = AtomicU32::new(0);
        // SAFETY: getpid has no arguments.
        let (plain, other) = unsafe {
            (
                call(libc::SYS_getpid, []),
                interruptible(libc::SYS_getpid, &padded([]), &pending),
            )
        };
        assert_eq!(plain, Ok(i64::from(std::process::id())));
        assert_eq!(Ok(other), plain);
        // SAFETY: closing a descriptor that cannot exist.
        let bad = unsafe { call(libc::SYS_close, [u64::MAX.into()]) };
        assert_eq!(bad, Err(Errno::BADF));
    }

    #[test]
    fn a_pending_signal_keeps_it_from_entering() {
        let pending = AtomicU32::new(1);
        // SAFETY: getpid has no arguments.
        let result = unsafe { interruptible(libc::SYS_getpid, &padded([]), &pending) };
        assert_eq!(result, -i64::from(libc::EINTR));
    }

    #[test]
    fn the_host_reads_and_writes_what_arguments_lead_to() {
        let mut ends = [-1_i32; 2];
        // SAFETY: the host writes two descriptors, which are looked at and closed here.
        unsafe { call(libc::SYS_pipe2, [Arg::output(&mut ends), Arg::NONE]) }.unwrap();
        let (from, to) = (*b"abc", &mut [0_u8; 3]);
        // SAFETY: three bytes are read, and then written.
        unsafe {
            let write = [ends[1].into(), Arg::input(&from), 3_u32.into()];
            assert_eq!(call(libc::SYS_write, write), Ok(3));
            let read = [ends[0].into(), Arg::output(to), 3_u32.into()];
            assert_eq!(call(libc::SYS_read, read), Ok(3));
        }
        assert_eq!(*to, from);
        for end in ends {
            // SAFETY: opened above.
            unsafe { call(libc::SYS_close, [end.into()]) }.unwrap();
        }
    }

    #[test]
    fn values_are_widened_as_c_does_it() {
        assert_eq!(Arg::from(-1_i32).register(), u64::MAX);
        assert_eq!(Arg::from(u32::MAX).register(), u64::from(u32::MAX));
        assert_eq!(Arg::from(-100_i32).int(), -100);
    }
}
