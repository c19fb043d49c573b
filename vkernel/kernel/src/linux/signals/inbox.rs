//! Signals of a guest thread: caught on the host, kept until the guest can take them.
//!
//! The host kernel decides which thread gets a signal and when, by masks and actions that are the
//! guest's own. The host handler only puts the signal into the thread's box and blocks all others
//! until the guest's handler has been called: at the return of the system call that it
//! interrupted, or, in a computation, at the next safepoint of the compiled code ([`super::safepoints`]).
//!
//! Invariants: the host handler is async-signal-safe and touches nothing but its thread's
//! [`Inbox`] and what that thread's safepoints look at; a signal that the host delivered is not lost: a
//! second one comes in before the box was emptied only if it was on its way while the mask was being
//! opened, and there is room for more.
#![allow(unsafe_code)]

use std::{
    cell::{Cell, UnsafeCell},
    ptr,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, compiler_fence},
};

use super::{
    super::syscall,
    queued,
    safepoints::Safepoint,
    set::{SYNCHRONOUS, bit, set_words},
};

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
pub(crate) fn leaving(are: bool) {
    LEAVING.store(are, Ordering::SeqCst);
}

/// Tells a thread, by the host's id, that it is to leave; [`leaving`] has been said before.
pub(crate) fn leave(thread: i32) {
    let args = [
        std::process::id().into(),
        thread.into(),
        LEAVE_SIGNAL.into(),
    ];
    // SAFETY: no pointers; a thread that has ended meanwhile is an error that nobody needs.
    let _ = unsafe { syscall::call(libc::SYS_tgkill, args) };
}

/// Whether this result of a wait for signals is the signal that makes threads leave.
pub(crate) fn is_leave(signal: i64) -> bool {
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
    /// It is a fault of the thread's own, at this address of its memory (`si_addr`).
    pub(crate) fault: Option<u32>,
}

impl Caught {
    /// Says of a SIGSEGV whether something is mapped where the fault was. The host cannot tell: all of a
    /// guest's memory is mapped to it.
    pub(crate) fn say_why(&mut self, is_mapped: bool) {
        const SEGV_MAPERR: i32 = 1;
        const SEGV_ACCERR: i32 = 2;
        let code = if is_mapped { SEGV_ACCERR } else { SEGV_MAPERR };
        self.info[8..12].copy_from_slice(&code.to_le_bytes());
    }
}

/// The signals that a thread caught and has not handled yet.
pub struct Inbox {
    count: AtomicU32,
    slots: UnsafeCell<[Caught; SLOTS]>,
    /// Whether the thread looks into the box before it computes again.
    will_look: AtomicBool,
    /// What the thread's computations look at; none before they begin.
    safepoint: UnsafeCell<Option<Safepoint>>,
    /// The signals of [`SYNCHRONOUS`] that the guest blocks.
    blocked: AtomicU64,
}

// SAFETY: `slots` is written by the owning thread's signal handler and read by that thread with
// all signals blocked; `safepoint` is written by that thread before its handlers look at it; the rest is
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
            fault: None,
        };
        Inbox {
            blocked: AtomicU64::new(0),
            count: AtomicU32::new(0),
            slots: UnsafeCell::new([EMPTY; SLOTS]),
            will_look: AtomicBool::new(false),
            safepoint: UnsafeCell::new(None),
        }
    }
}

impl Inbox {
    /// Makes this the calling thread's box, and `safepoint` what its computations look at.
    ///
    /// # Safety
    ///
    /// This is called once, and the box stays where it is until [`Inbox::leave`].
    pub unsafe fn enter(&self, safepoint: Safepoint) {
        // SAFETY: nothing looks at it before the next line.
        unsafe { *self.safepoint.get() = Some(safepoint) };
        CURRENT.set(self);
    }

    /// What the owning thread's computations look at.
    fn safepoint(&self) -> Option<&Safepoint> {
        // SAFETY: written before this box became the thread's, and never again.
        unsafe { (*self.safepoint.get()).as_ref() }
    }

    /// Makes the thread's computation look here at its next safepoint.
    pub fn call_at_safepoint(&self) {
        if let Some(safepoint) = self.safepoint() {
            safepoint.close();
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
    pub fn pass_safepoints(&self) {
        if let Some(safepoint) = self.safepoint() {
            safepoint.open();
        }
    }

    /// Takes the calling thread's box away.
    pub fn leave() {
        CURRENT.set(ptr::null());
    }

    /// Says which signals the guest blocks: a fault that is blocked ends the process.
    pub(crate) fn blocks(&self, mask: u64) {
        self.blocked.store(mask & SYNCHRONOUS, Ordering::Relaxed);
    }

    /// Not zero when there is something in the box.
    pub(crate) fn pending(&self) -> &AtomicU32 {
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
    pub(crate) fn take(&self, each: &mut dyn FnMut(Caught)) {
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
    pub(crate) fn forget_parents(&self) {
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
    pub(crate) fn put_back(&self, caught: Caught) {
        self.put(caught);
    }

    /// The signals of [`SYNCHRONOUS`] in the box.
    pub(crate) fn synchronous(&self) -> u64 {
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
            self.call_at_safepoint();
        }
    }

    /// Makes the thread look for what it has to do, which is to leave.
    pub(crate) fn tell_to_leave(&self) {
        self.count.fetch_or(LEAVE, Ordering::Relaxed);
        self.came();
    }
}

/// The host handler of every signal that the guest catches.
pub(crate) extern "C" fn on_signal(
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
        fault: None,
    };
    // SAFETY: the kernel passes a siginfo_t of 128 bytes and a ucontext_t, both this handler's
    // own; the box is alive while it is the thread's.
    unsafe {
        ptr::copy_nonoverlapping(info.cast::<u8>(), caught.info.as_mut_ptr(), 128);
        queued::as_it_was_sent(&mut caught.info);
        let context = &mut *context.cast::<libc::ucontext_t>();
        let at = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
        if let Some(missed) = syscall::missed(*at as u64) {
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

/// Sees to a fault, in its handler: whether it was a safepoint of the calling thread's.
///
/// # Safety
///
/// `context` is what the kernel gave the handler.
pub(crate) unsafe fn at_safepoint(context: &mut libc::ucontext_t) -> bool {
    // SAFETY: the box is there while it is the thread's; its safepoint is what the thread's computations
    // look at.
    unsafe {
        let safepoint = CURRENT.get().as_ref().and_then(Inbox::safepoint);
        safepoint.is_some_and(|safepoint| safepoint.fault(context))
    }
}

/// Has a fault of the calling thread's computation handled by the guest, in the handler of the fault;
/// whether it is.
///
/// # Safety
///
/// `info` and `context` are what the kernel gave the handler, for an instruction that faulted.
pub(crate) unsafe fn at_fault(
    signal: i32,
    info: &libc::siginfo_t,
    context: &mut libc::ucontext_t,
    address: u32,
) -> bool {
    // SAFETY: the box is there while it is the thread's; its safepoint is what the thread's computations
    // look at.
    let Some((inbox, safepoint)) =
        (unsafe { CURRENT.get().as_ref() }).and_then(|inbox| Some((inbox, inbox.safepoint()?)))
    else {
        return false;
    };
    if inbox.blocked.load(Ordering::Relaxed) & bit(signal) != 0 {
        return false;
    }
    // SAFETY: the caller's contract.
    if !unsafe { safepoint.interrupt(context) } {
        return false;
    }
    let mut caught = Caught {
        signal,
        info: [0; 128],
        process: rustix::process::getpid().as_raw_nonzero().get(),
        fault: Some(address),
    };
    let head = [info.si_signo, info.si_errno, info.si_code, 0].map(i32::to_le_bytes);
    caught.info[..16].copy_from_slice(head.as_flattened());
    caught.info[16..20].copy_from_slice(&address.to_le_bytes());
    // Nothing more until this one was handled.
    set_words(&mut context.uc_sigmask, !SYNCHRONOUS);
    inbox.put(caught);
    true
}

#[cfg(test)]
mod tests {
    use std::{ptr::NonNull, sync::Arc};

    use super::{
        super::{
            action::{HostAction, set_action},
            mask::{mask, set_mask},
        },
        *,
    };

    #[test]
    fn a_signal_waits_in_the_box_and_others_wait_outside() {
        let safepoint = Arc::new(AtomicU32::new(0));
        let own = Arc::clone(&safepoint);
        std::thread::spawn(move || {
            let inbox = Inbox::default();
            // SAFETY: the word and the box are there until the end of this function.
            unsafe { inbox.enter(Safepoint::new(NonNull::from(own.as_ref()), None)) };
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
        assert_eq!(safepoint.load(Ordering::Relaxed), 1);
    }
}
