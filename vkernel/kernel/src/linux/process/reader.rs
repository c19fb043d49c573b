//! Reads a file of the host kernel's that the guest may not have.
//!
//! A descriptor is every thread's as soon as it is open, also if it is closed a microsecond later. So the
//! file is opened in a thread that has a table of descriptors of its own (clone(2) without CLONE_FILES):
//! a few instructions without a stack, which nobody else ever sees run. It has the calling thread's
//! thread-local storage, and so uses none; signals, those of faults too, are blocked in it.
#![allow(unsafe_code)]

use std::{
    arch::global_asm,
    ffi::CStr,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::io::Errno;

use super::super::{
    signals::mask,
    syscall::{self, Arg},
};

/// Most bytes that are read.
const MOST: usize = 8 << 20;

/// What the thread is to do. Its instructions know where the fields are.
#[repr(C)]
struct Job {
    path: *const libc::c_char,
    to: *mut u8,
    room: usize,
    /// Bytes read, or an error's number, negative.
    read: i64,
}

// vkernel_read_aside(flags, stack, gone, job) -> the thread's id, or an error's number, negative.
global_asm!(
    ".pushsection .text.vkernel_read_aside,\"ax\",@progbits",
    ".globl vkernel_read_aside",
    ".type vkernel_read_aside,@function",
    "vkernel_read_aside:",
    "push rbx",
    "mov rbx, rcx",
    "mov r10, rdx", // child_tid
    "xor edx, edx", // parent_tid
    "xor r8d, r8d", // tls
    "mov eax, {clone}",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "pop rbx",
    "ret",
    "2:", // The thread.
    "mov eax, {openat}",
    "mov edi, {here}",
    "mov rsi, [rbx]",
    "mov edx, {flags}",
    "xor r10d, r10d",
    "syscall",
    "test rax, rax",
    "js 4f",
    "mov r12, rax",
    "3:",
    "mov rdi, r12",
    "mov rsi, [rbx + 8]",
    "add rsi, [rbx + 24]",
    "mov rdx, [rbx + 16]",
    "sub rdx, [rbx + 24]",
    "jz 5f",
    "mov eax, {read}",
    "syscall",
    "test rax, rax",
    "jz 5f",
    "js 4f",
    "add [rbx + 24], rax",
    "jmp 3b",
    "4:",
    "mov [rbx + 24], rax",
    "5:",
    "xor edi, edi",
    "mov eax, {exit}",
    "syscall",
    "ud2",
    ".size vkernel_read_aside, . - vkernel_read_aside",
    ".popsection",
    clone = const libc::SYS_clone,
    openat = const libc::SYS_openat,
    read = const libc::SYS_read,
    exit = const libc::SYS_exit,
    here = const libc::AT_FDCWD,
    flags = const libc::O_RDONLY | libc::O_CLOEXEC,
);

unsafe extern "C" {
    fn vkernel_read_aside(flags: i32, stack: *mut u8, gone: *const AtomicU32, job: *mut Job)
    -> i64;
}

/// What the file at `path` says, at most [`MOST`] bytes of it.
pub(crate) fn read(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut bytes: Vec<u8> = Vec::with_capacity(MOST);
    let mut job = Job {
        path: path.as_ptr(),
        to: bytes.as_mut_ptr(),
        room: MOST,
        read: 0,
    };
    let gone = AtomicU32::new(1);
    let mut stack = [0_u128; 4];
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_CHILD_CLEARTID;
    let before = mask::mask();
    mask::set_mask_exactly(u64::MAX);
    // SAFETY: the thread touches `job`, what it leads to and `gone`, which stay until it has ended: the
    // host clears `gone` then, and the loop below waits for that. It runs the instructions above, which use
    // no stack, and takes no signal.
    let thread = unsafe {
        let top = stack.as_mut_ptr_range().end.cast::<u8>();
        vkernel_read_aside(flags, top, &raw const gone, &raw mut job)
    };
    while thread > 0 && gone.load(Ordering::Acquire) != 0 {
        let args = [Arg::input(&gone), libc::FUTEX_WAIT.into(), 1.into()];
        // SAFETY: the host looks at `gone`.
        let _ = unsafe { syscall::call(libc::SYS_futex, args) };
    }
    mask::set_mask_exactly(before);
    // SAFETY: written by the thread, which has ended.
    let read = unsafe { std::ptr::read_volatile(&raw const job.read) };
    let result = if thread < 0 { thread } else { read };
    let len = usize::try_from(result)
        .map_err(|_| Errno::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EIO)))?;
    // SAFETY: so many bytes were written.
    unsafe { bytes.set_len(len.min(MOST)) };
    bytes.shrink_to_fit();
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_opens_nothing_here() {
        let count = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let before = count();
        assert!(read(c"/proc/version").unwrap().starts_with(b"Linux"));
        assert!(read(c"/proc/thread-self/maps").unwrap().len() > 1000);
        assert_eq!(read(c"/nowhere"), Err(Errno::NOENT));
        assert_eq!(read(c"/"), Err(Errno::ISDIR));
        assert_eq!(count(), before);
    }
}
