//! Copying from and to memory that may not be there.
//!
//! A guest may pass any address, and another of its threads may unmap what was just checked. So
//! copies are made by a stretch of code that the fault handler knows: a fault inside it ends the
//! copy early instead of the process.
#![allow(unsafe_code)]

use std::{arch::global_asm, io, mem, ptr};

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

unsafe extern "C" {
    fn vkernel_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    static vkernel_copy_begin: u8;
    static vkernel_copy_end: u8;
}

/// Copies `len` bytes; whether all of them could be copied.
///
/// # Safety
///
/// The ranges do not overlap and are either not mapped or memory that nobody but the guest has
/// references into; [`install`] has been called in this process.
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> bool {
    // SAFETY: the caller's contract; faults inside end the copy (see `on_fault`).
    unsafe { vkernel_copy(to, from, len) == 0 }
}

/// Installs the handler of SIGSEGV and SIGBUS. Before the engine's: that one asks for its own
/// faults first and hands on the rest.
pub(super) fn install() -> io::Result<()> {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: `sigaction` is a plain C structure for which zeroes are valid.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the handler has the signature that SA_SIGINFO demands and is
        // async-signal-safe.
        if unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let begin = (&raw const vkernel_copy_begin) as i64;
    let end = (&raw const vkernel_copy_end) as i64;
    // SAFETY: the kernel passes a ucontext_t and a siginfo_t that are this handler's own.
    let (registers, code) = unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        (&mut context.uc_mcontext.gregs, (*info).si_code)
    };
    let at = &mut registers[libc::REG_RIP as usize];
    if (begin..end).contains(at) {
        *at = end;
        return;
    }
    if code <= 0 {
        // Sent by a process, not a fault.
        super::signals::on_signal(signal, info, context);
        return;
    }
    // A fault of the vkernel's own code: end as the host would, which runs the instruction again.
    // SAFETY: async-signal-safe (signal-safety(7)).
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

#[cfg(test)]
mod tests {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

    use super::*;

    #[test]
    fn a_fault_ends_the_copy_and_not_the_process() {
        install().unwrap();
        // SAFETY: a fresh mapping that this test alone uses; its second page is inaccessible.
        unsafe {
            let pages = mmap_anonymous(
                ptr::null_mut(),
                8192,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
            .unwrap()
            .cast::<u8>();
            mprotect(pages.add(4096).cast(), 4096, MprotectFlags::empty()).unwrap();
            pages.add(4095).write(7);
            let mut buffer = [0_u8; 16];
            assert!(!copy(buffer.as_mut_ptr(), pages.add(4090), 16));
            assert!(copy(buffer.as_mut_ptr(), pages.add(4080), 16));
            assert_eq!(buffer[15], 7);
            assert!(!copy(pages.add(8192 - 8), buffer.as_ptr(), 8));
            assert!(!copy(buffer.as_mut_ptr(), ptr::null(), 1));
        }
    }
}
