//! Signals of a guest thread: caught on the host, kept until the guest can take them.
//!
//! The host kernel decides which thread gets a signal and when, by masks and actions that are the
//! guest's own. The host handler only puts the signal into the thread's box and blocks all others
//! until the guest's handler has been called: at the return of the system call that it
//! interrupted, or, in a computation, at the next poll of the compiled code ([`super::polls`]).
//!
//! Invariants: the host handler is async-signal-safe and touches nothing but its thread's
//! [`Inbox`] and what that thread's polls look at; a signal that the host delivered is not lost: a
//! second one comes in before the box was emptied only if it was on its way while the mask was being
//! opened, and there is room for more.
#![allow(unsafe_code)]

use std::{
    cell::{Cell, UnsafeCell},
    io, mem, ptr,
    sync::atomic::{AtomicBool, AtomicU32, Ordering, compiler_fence},
};

use super::{polls::Poll, queued};

/// Signals that the engine needs for faults of compiled code; never blocked, and their host action
/// is never the guest's.
pub const SYNCHRONOUS: u64 = bit(libc::SIGSEGV)
    | bit(libc::SIGBUS)
    | bit(libc::SIGFPE)
    | bit(libc::SIGILL)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGSYS);

/// Signals that nobody can block or catch.
pub const UNBLOCKABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// Number of signals; numbers are 1 to 64.
pub const COUNT: usize = 64;

/// A signal's bit in a mask.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Signals that fit in a box. One suffices for what the host lets in; more come only if the
/// guest's mask is opened while one waits.
const SLOTS: usize = 8;

/// Set beside the count of a box when its thread is to leave the process.
const LEAVE: u32 = 1 << 31;

/// The host signal that makes threads leave: never blocked, and never sent to them for anything else
/// while they are to leave.
const LEAVE_SIGNAL: i32 = libc::SIGTRAP;

/// Whether threads of this process are to leave.
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Says whether threads of this process are to leave.
pub(super) fn leaving(are: bool) {
    LEAVING.store(are, Ordering::SeqCst);
}

/// Tells a thread, by the host's id, that it is to leave; [`leaving`] has been said before.
pub(super) fn leave(thread: i32) {
    let process = u64::from(std::process::id());
    let args = [process, thread as u64, LEAVE_SIGNAL as u64, 0, 0, 0];
    // SAFETY: no pointers; a thread that has ended meanwhile is an error that nobody needs.
    unsafe { super::host::call(libc::SYS_tgkill, &args) };
}

/// Whether this result of a wait for signals is the signal that makes threads leave.
pub(super) fn is_leave(signal: i64) -> bool {
    signal == i64::from(LEAVE_SIGNAL) && LEAVING.load(Ordering::SeqCst)
}

/// A caught signal: its number and `siginfo_t` as the host gave it (layout of x86-64).
#[derive(Clone, Copy)]
pub struct Caught {
    /// Number.
    pub signal: i32,
    /// What the kernel said about it.
    pub info: [u8; 128],
    /// The process that caught it: a child's box begins with what its parent caught.
    process: i32,
}

/// The signals that a thread caught and has not handled yet.
pub struct Inbox {
    count: AtomicU32,
    slots: UnsafeCell<[Caught; SLOTS]>,
    /// Whether the thread looks into the box before it computes again.
    will_look: AtomicBool,
    /// What the thread's computations look at; none before they begin.
    poll: UnsafeCell<Option<Poll>>,
}

// SAFETY: `slots` is written by the owning thread's signal handler and read by that thread with
// all signals blocked; `poll` is written by that thread before its handlers look at it; the rest is
// atomic.
unsafe impl Sync for Inbox {}
// SAFETY: as above.
unsafe impl Send for Inbox {}

thread_local! {
    /// The box of the guest thread that runs on this host thread. Constant initialisation and no
    /// destructor: a signal handler may read it at any time.
    static CURRENT: Cell<*const Inbox> = const { Cell::new(ptr::null()) };
}

impl Default for Inbox {
    fn default() -> Inbox {
        const EMPTY: Caught = Caught {
            signal: 0,
            info: [0; 128],
            process: 0,
        };
        Inbox {
            count: AtomicU32::new(0),
            slots: UnsafeCell::new([EMPTY; SLOTS]),
            will_look: AtomicBool::new(false),
            poll: UnsafeCell::new(None),
        }
    }
}

impl Inbox {
    /// Makes this the calling thread's box, and `poll` what its computations look at.
    ///
    /// # Safety
    ///
    /// This is called once, and the box stays where it is until [`Inbox::leave`].
    pub unsafe fn enter(&self, poll: Poll) {
        // SAFETY: nothing looks at it before the next line.
        unsafe { *self.poll.get() = Some(poll) };
        CURRENT.set(self);
    }

    /// What the owning thread's computations look at.
    fn poll(&self) -> Option<&Poll> {
        // SAFETY: written before this box became the thread's, and never again.
        unsafe { (*self.poll.get()).as_ref() }
    }

    /// Makes the thread's computation look here at its next poll.
    pub fn call_at_poll(&self) {
        if let Some(poll) = self.poll() {
            poll.close();
        }
    }

    /// Says whether the thread is sure to look here before it computes again: then a signal need not
    /// make its computation do so. Who takes it back looks afterwards.
    pub fn will_look(&self, will: bool) {
        self.will_look.store(will, Ordering::Relaxed);
        // The handler runs on the same thread: only the compiler could change the order.
        compiler_fence(Ordering::SeqCst);
    }

    /// Makes it look no more. Who calls this looks himself, afterwards.
    pub fn pass_polls(&self) {
        if let Some(poll) = self.poll() {
            poll.open();
        }
    }

    /// Takes the calling thread's box away.
    pub fn leave() {
        CURRENT.set(ptr::null());
    }

    /// Not zero when there is something in the box.
    pub(super) fn pending(&self) -> &AtomicU32 {
        &self.count
    }

    /// Whether there is something in the box.
    pub fn has_mail(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Whether there is a signal in it.
    pub fn has_caught(&self) -> bool {
        self.count.load(Ordering::Relaxed) & !LEAVE != 0
    }

    /// Empties the box; called with all signals blocked, by the owning thread. Those of
    /// [`SYNCHRONOUS`] may come meanwhile all the same.
    pub(super) fn take(&self, each: &mut dyn FnMut(Caught)) {
        let mut taken = 0;
        loop {
            let found = self.count.load(Ordering::Relaxed);
            let count = (found & !LEAVE) as usize;
            for at in taken..count.min(SLOTS) {
                // SAFETY: this is the owning thread; a handler that interrupts it writes beyond
                // `count` and has finished when this goes on.
                each(unsafe { (*self.slots.get())[at] });
            }
            taken = count;
            let (kept, order) = (found & LEAVE, Ordering::Relaxed);
            if self
                .count
                .compare_exchange(found, kept, order, order)
                .is_ok()
            {
                return;
            }
        }
    }

    /// In the child of a `fork`: forgets what the parent caught, and that its thread was to leave. What
    /// the child has been sent since stays; with all signals blocked.
    pub(super) fn forget_parents(&self) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut kept = [None; SLOTS];
        let mut free = kept.iter_mut();
        self.take(&mut |caught| {
            if caught.process == own
                && let Some(slot) = free.next()
            {
                *slot = Some(caught);
            }
        });
        self.count.fetch_and(!LEAVE, Ordering::Relaxed);
        kept.into_iter()
            .flatten()
            .for_each(|caught| self.put(caught));
    }

    /// Puts back what was taken and is not to be handled yet; with all signals blocked.
    pub(super) fn put_back(&self, caught: Caught) {
        self.put(caught);
    }

    /// The signals of [`SYNCHRONOUS`] in the box.
    pub(super) fn synchronous(&self) -> u64 {
        let count = (self.count.load(Ordering::Relaxed) & !LEAVE) as usize;
        // SAFETY: this is the owning thread; a handler that interrupts it writes beyond `count`.
        let slots = unsafe { &*self.slots.get() };
        let signals = slots.iter().take(count).map(|caught| bit(caught.signal));
        signals.fold(0, |all, one| all | one) & SYNCHRONOUS
    }

    fn put(&self, caught: Caught) {
        // The slot is taken first: a signal of SYNCHRONOUS may interrupt this handler.
        let at = (self.count.fetch_add(1, Ordering::Relaxed) & !LEAVE) as usize;
        if at < SLOTS {
            // SAFETY: the handler runs on the owning thread, which does not read meanwhile, and a
            // handler that interrupts this one writes to another slot.
            unsafe { (*self.slots.get())[at] = caught };
        } else {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        self.came();
    }

    /// Something has come into the box.
    fn came(&self) {
        if !self.will_look.load(Ordering::Relaxed) {
            self.call_at_poll();
        }
    }

    /// Makes the thread look for what it has to do, which is to leave.
    pub(super) fn tell_to_leave(&self) {
        self.count.fetch_or(LEAVE, Ordering::Relaxed);
        self.came();
    }
}

/// The host handler of every signal that the guest catches.
pub(super) extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let inbox = CURRENT.get();
    if inbox.is_null() {
        return;
    }
    let mut caught = Caught {
        signal,
        info: [0; 128],
        process: rustix::process::getpid().as_raw_nonzero().get(),
    };
    // SAFETY: the kernel passes a siginfo_t of 128 bytes and a ucontext_t, both this handler's
    // own; the box is alive while it is the thread's.
    unsafe {
        ptr::copy_nonoverlapping(info.cast::<u8>(), caught.info.as_mut_ptr(), 128);
        queued::as_it_was_sent(&mut caught.info);
        let context = &mut *context.cast::<libc::ucontext_t>();
        let at = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
        if let Some(missed) = super::host::missed(*at as u64) {
            *at = missed as i64;
        }
        if is_leave(signal.into()) {
            (*inbox).tell_to_leave();
            return;
        }
        // Nothing more until this one was handled.
        set_words(&mut context.uc_sigmask, !SYNCHRONOUS);
        (*inbox).put(caught);
    }
}

/// Sees to a fault, in its handler: whether it was a poll of the calling thread's.
///
/// # Safety
///
/// `context` is what the kernel gave the handler.
pub(super) unsafe fn at_poll(context: &mut libc::ucontext_t) -> bool {
    // SAFETY: the box is there while it is the thread's; its poll is what the thread's computations
    // look at.
    unsafe {
        let poll = CURRENT.get().as_ref().and_then(Inbox::poll);
        poll.is_some_and(|poll| poll.fault(context))
    }
}

/// Makes a set of signals what the mask says.
pub(super) fn set_words(set: &mut libc::sigset_t, mask: u64) {
    // SAFETY: a sigset_t begins with the kernel's 64-bit mask, which is all that the kernel looks
    // at.
    unsafe { ptr::write((set as *mut libc::sigset_t).cast::<u64>(), mask) };
}

/// How the host acts on a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostAction {
    /// SIG_DFL.
    Default,
    /// SIG_DFL of SIGCHLD, with these flags of SA_NOCLDSTOP, SA_NOCLDWAIT.
    DefaultChild(i32),
    /// SIG_IGN.
    Ignore,
    /// Catches it for the guest, with these flags of SA_NOCLDSTOP, SA_NOCLDWAIT.
    Catch(i32),
}

/// Sets the host's action. Never SA_RESTART: a call must come back so that the guest's handler can
/// run; whether it is begun again is decided then.
pub(super) fn set_action(signal: i32, to: HostAction) -> io::Result<()> {
    // SAFETY: a plain C structure for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    match to {
        HostAction::Default => action.sa_sigaction = libc::SIG_DFL,
        HostAction::DefaultChild(flags) => {
            action.sa_sigaction = libc::SIG_DFL;
            action.sa_flags = flags;
        }
        HostAction::Ignore => action.sa_sigaction = libc::SIG_IGN,
        HostAction::Catch(flags) => {
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                on_signal;
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | flags;
            set_words(&mut action.sa_mask, !SYNCHRONOUS);
        }
    }
    // The kernel's own call: the C library keeps signals 32 and 33 to itself.
    raw_action(signal, Some(&action)).map(drop)
}

/// The host's action as it is.
pub(super) fn is_ignored(signal: i32) -> bool {
    raw_action(signal, None).is_ok_and(|action| action == libc::SIG_IGN)
}

/// struct kernel_sigaction of x86-64.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// SA_RESTORER of the kernel, which x86-64 demands.
const SA_RESTORER: u64 = 0x0400_0000;

std::arch::global_asm!(
    ".pushsection .text.vkernel_restore,\"ax\",@progbits",
    ".globl vkernel_restore",
    ".type vkernel_restore,@function",
    "vkernel_restore:",
    "mov rax, 15", // rt_sigreturn
    "syscall",
    ".size vkernel_restore, . - vkernel_restore",
    ".popsection",
);

unsafe extern "C" {
    fn vkernel_restore();
}

fn raw_action(signal: i32, new: Option<&libc::sigaction>) -> io::Result<usize> {
    let new = new.map(|action| KernelAction {
        handler: action.sa_sigaction,
        flags: action.sa_flags as u32 as u64 | SA_RESTORER,
        restorer: vkernel_restore as *const () as usize,
        // SAFETY: a sigset_t begins with the kernel's mask.
        mask: unsafe { ptr::read((&raw const action.sa_mask).cast::<u64>()) },
    });
    let mut old = KernelAction {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let new = new.as_ref().map_or(ptr::null(), ptr::from_ref);
    let args = [signal as u64, new as u64, (&raw mut old) as u64, 8, 0, 0];
    // SAFETY: both structures are the kernel's layout and live; handlers are SIG_DFL, SIG_IGN or
    // `on_signal`.
    match unsafe { super::host::call(libc::SYS_rt_sigaction, &args) } {
        0 => Ok(old.handler),
        error => Err(io::Error::from_raw_os_error(-error as i32)),
    }
}

/// Sets the host mask of the calling thread; the signals of [`SYNCHRONOUS`] stay open.
pub(super) fn set_mask(mask: u64) {
    let mask = mask & !SYNCHRONOUS;
    let args = [
        libc::SIG_SETMASK as u64,
        (&raw const mask) as u64,
        0,
        8,
        0,
        0,
    ];
    // SAFETY: the kernel reads eight bytes of `mask`.
    unsafe { super::host::call(libc::SYS_rt_sigprocmask, &args) };
}

/// Opens the mask again for a program of another personality, which is to begin with this one.
pub fn restore_mask(mask: u64) {
    set_mask(mask);
}

/// As [`set_mask`], for a thread that is about to end: whatever `mask` says.
pub(super) fn set_mask_exactly(mask: u64) {
    let args = [
        libc::SIG_SETMASK as u64,
        (&raw const mask) as u64,
        0,
        8,
        0,
        0,
    ];
    // SAFETY: the kernel reads eight bytes of `mask`.
    unsafe { super::host::call(libc::SYS_rt_sigprocmask, &args) };
}

/// The host mask of the calling thread.
pub(super) fn mask() -> u64 {
    let mut mask = 0_u64;
    let args = [libc::SIG_BLOCK as u64, 0, (&raw mut mask) as u64, 8, 0, 0];
    // SAFETY: the kernel writes eight bytes to `mask`.
    unsafe { super::host::call(libc::SYS_rt_sigprocmask, &args) };
    mask
}

#[cfg(test)]
mod tests {
    use std::{ptr::NonNull, sync::Arc};

    use super::*;

    #[test]
    fn a_signal_waits_in_the_box_and_others_wait_outside() {
        let poll = Arc::new(AtomicU32::new(0));
        let own = Arc::clone(&poll);
        std::thread::spawn(move || {
            let inbox = Inbox::default();
            // SAFETY: the word and the box are there until the end of this function.
            unsafe { inbox.enter(Poll::new(NonNull::from(own.as_ref()), None)) };
            for signal in [libc::SIGUSR1, libc::SIGUSR2] {
                set_action(signal, HostAction::Catch(0)).unwrap();
            }
            let before = mask();
            // SAFETY: both signals are caught.
            unsafe {
                libc::raise(libc::SIGUSR1);
                libc::raise(libc::SIGUSR2);
            }
            let mut got = Vec::new();
            inbox.take(&mut |caught| got.push(caught.signal));
            assert_eq!(got, [libc::SIGUSR1]);
            // The second one comes in when the mask is opened.
            set_mask(before);
            inbox.take(&mut |caught| got.push(caught.signal));
            assert_eq!(got, [libc::SIGUSR1, libc::SIGUSR2]);
            set_mask(before);
            Inbox::leave();
        })
        .join()
        .unwrap();
        assert_eq!(poll.load(Ordering::Relaxed), 1);
    }
}
