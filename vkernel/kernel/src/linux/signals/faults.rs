//! The host's handler of faults: those of copies from and to guest memory ([`copy`]), of the safepoints of
//! compiled code ([`super::safepoints`]), and of compiled code itself, which are the engine's.
//!
//! [`copy`]: crate::linux::memory::copy
#![allow(unsafe_code)]

use std::{
    cell::Cell,
    io, mem,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::{
    super::memory::{copy::end_of_copy, guest::Memory},
    action::handles_fault,
    inbox,
    set::{SYNCHRONOUS, bit, set_words},
};

/// The handlers that were there before, by signal: the engine's, if [`install`] was called again
/// after it had been set up. 0 for none.
static BEFORE: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];

/// The base of the guest's memory, 0 for none.
static MEMORY: AtomicUsize = AtomicUsize::new(0);

/// Whether faults in it end the process here.
static SHARED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether the earlier handler is asked already: it hands on what it does not know.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Installs the handler of the signals that faults cause. Once before the engine's, for copies;
/// once after it, which makes this one the first to be asked.
pub fn install() -> io::Result<()> {
    for signal in (1..32).filter(|signal| SYNCHRONOUS & bit(*signal) != 0) {
        // SAFETY: `sigaction` is a plain C structure for which zeroes are valid.
        let (mut action, mut old): (libc::sigaction, libc::sigaction) = unsafe { mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // One at a time: processes may send them faster than they are handled, and the stack of
        // handlers is small. No other signal either: what closes the mask until it was handled must
        // not be undone when this handler returns. A fault in the handler itself ends the process.
        set_words(&mut action.sa_mask, u64::MAX);
        // SAFETY: the handler has the signature that SA_SIGINFO demands and is
        // async-signal-safe.
        if unsafe { libc::sigaction(signal, &raw const action, &raw mut old) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let known = [libc::SIG_DFL, libc::SIG_IGN, action.sa_sigaction];
        if !known.contains(&old.sa_sigaction) && old.sa_flags & libc::SA_SIGINFO != 0 {
            BEFORE[signal as usize].store(old.sa_sigaction, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Says where the guest's memory is. Faults in one that is `shared` end the process here as they do
/// natively: the engine knows the memories that an instance defines, but takes a fault in one that it
/// shares for a mistake of its own.
pub fn expect_faults_in(memory: Memory, shared: bool) {
    MEMORY.store(memory.at(0) as usize, Ordering::Relaxed);
    SHARED.store(shared, Ordering::Relaxed);
}

/// Where in the guest's memory a host address is.
fn guest_address(address: usize) -> Option<u32> {
    let base = MEMORY.load(Ordering::Relaxed);
    if base == 0 {
        return None;
    }
    u32::try_from(address.checked_sub(base)?).ok()
}

/// What a fault is to the guest, if it has a handler for it: the address.
fn of_guest(signal: libc::c_int, address: usize) -> Option<u32> {
    let of_memory = [libc::SIGSEGV, libc::SIGBUS].contains(&signal);
    (of_memory && handles_fault(signal)).then(|| guest_address(address))?
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes a ucontext_t and a siginfo_t that are this handler's own.
    let (ucontext, code, address) = unsafe {
        let address = (*info).si_addr() as usize;
        let ucontext = &mut *context.cast::<libc::ucontext_t>();
        (ucontext, (*info).si_code, address)
    };
    if code <= 0 {
        // Sent by a process, not a fault, wherever it found the thread.
        inbox::on_signal(signal, info, context);
        return;
    }
    // Nothing that was sent comes here (`super::queued`). The state of the machine must fit all the same:
    // the thread stopped at an instruction that reaches into guest memory, at an address that it reaches.
    if let Some(end) = end_of_copy(&ucontext.uc_mcontext.gregs, address) {
        ucontext.uc_mcontext.gregs[libc::REG_RIP as usize] = end;
        return;
    }
    // SAFETY: the kernel's own context.
    if signal == libc::SIGSEGV && unsafe { inbox::at_safepoint(ucontext) } {
        return;
    }
    if let Some(at) = of_guest(signal, address) {
        // SAFETY: the kernel's own context and information, of an instruction that faulted: of compiled
        // code, only those in the bodies of functions do so.
        if unsafe { inbox::at_fault(signal, &*info, ucontext, at) } {
            return;
        }
    }
    let shared = SHARED.load(Ordering::Relaxed) && guest_address(address).is_some();
    let before = BEFORE[signal as usize & 31].load(Ordering::Relaxed);
    if !shared && before != 0 && !ASKED.get() {
        ASKED.set(true);
        // SAFETY: the address of a handler with SA_SIGINFO, as `install` found it.
        unsafe {
            let before: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                mem::transmute(before);
            before(signal, info, context);
        }
        ASKED.set(false);
        return;
    }
    if shared {
        let text = b"vkernel: the program used memory that is not mapped: segmentation fault\n";
        // SAFETY: async-signal-safe (signal-safety(7)).
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }
    // End as the host would, which runs the instruction again; what the host does not run again
    // is raised.
    // SAFETY: async-signal-safe (signal-safety(7)).
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        if signal == libc::SIGSYS || signal == libc::SIGTRAP {
            libc::raise(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ptr,
        time::{Duration, Instant},
    };

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

    use super::*;
    use crate::linux::memory::copy::copy;

    #[test]
    fn a_signal_that_is_sent_ends_no_copy() {
        install().unwrap();
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let copies = scope.spawn(|| {
                let tell = tell;
                // SAFETY: no preconditions.
                tell.send(unsafe { libc::gettid() }).unwrap();
                let (from, mut to) = (vec![1_u8; 1 << 16], vec![0_u8; 1 << 16]);
                let mut short = 0;
                while done.load(Ordering::Relaxed) == 0 {
                    // SAFETY: two buffers of this length.
                    let whole = unsafe { copy(to.as_mut_ptr(), from.as_ptr(), to.len()) };
                    short += usize::from(!whole);
                }
                short
            });
            let thread = told.recv().unwrap();
            let end = Instant::now() + Duration::from_millis(100);
            while Instant::now() < end {
                // SAFETY: a thread of this process, which waits for `done`.
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGSEGV) };
                std::thread::yield_now();
            }
            done.store(1, Ordering::Relaxed);
            assert_eq!(copies.join().unwrap(), 0);
        });
    }

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
