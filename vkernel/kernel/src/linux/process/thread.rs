//! One guest thread of the Linux personality: its signals on their way to handlers, its mask, its
//! end.
//!
//! Invariant: the mask here is the guest's; the host's is the same, or closed while signals wait.

use std::cell::{Cell, RefCell};

use megabinary_format::ProcessState;
use rustix::io::Errno;

use super::{
    super::{
        answer::{Answer, Stop},
        memory::{guest::Memory, space::Space},
        signals::{
            action::{Actions, DEFAULT, IGNORE, handles_faults, set_default},
            inbox::{Caught, Inbox},
            mask,
            set::{SYNCHRONOUS, UNBLOCKABLE, bit},
        },
        syscall,
    },
    robust,
};

/// One guest thread.
pub struct Thread {
    /// Signals that it caught.
    pub inbox: Inbox,
    /// Signals taken out of the box whose handlers have not been called: the guest's mask may hold
    /// them back, or the handler before them may have left by a jump.
    waiting: RefCell<Vec<Caught>>,
    /// Its signal mask, as the guest knows it.
    mask: Cell<u64>,
    /// The mask of a wait that a signal has ended (`sigsuspend(2)`): the handler begins under it.
    temporary: Cell<Option<u64>>,
    /// The alternate signal stack: address, size; 0 for none.
    pub(crate) stack: Cell<(u32, u32)>,
    /// Its stack pointer, where the engine has looked at it for the call in progress.
    stack_pointer: Cell<u32>,
    /// Head of its list of robust mutexes; 0 for none.
    pub(crate) robust: Cell<u32>,
    /// Address that is cleared and woken when the thread has ended.
    pub(crate) clear_tid: Cell<u32>,
}

/// A handler to be called.
#[derive(Clone, Copy)]
pub struct Delivery {
    /// Index in the function table.
    pub handler: u32,
    /// The signal and what the host said about it.
    pub caught: Caught,
    /// Whether the handler takes `siginfo` and `ucontext`.
    pub with_info: bool,
    /// The call that was interrupted may be begun again.
    pub restart: bool,
    /// The alternate stack, if the handler is to run there: its ends.
    pub stack: Option<(u32, u32)>,
    /// The mask to come back to.
    pub mask: u64,
}

impl Thread {
    /// A thread with the calling host thread's signal mask.
    #[expect(clippy::new_without_default, reason = "it asks the host for a mask")]
    pub fn new() -> Thread {
        Thread {
            inbox: Inbox::default(),
            waiting: RefCell::default(),
            mask: Cell::new(mask::mask()),
            temporary: Cell::new(None),
            stack: Cell::new((0, 0)),
            stack_pointer: Cell::new(0),
            robust: Cell::new(0),
            clear_tid: Cell::new(0),
        }
    }

    /// A thread that lets no signal in until [`Thread::handled`] gives it a mask.
    pub fn closed() -> Thread {
        let thread = Thread::new();
        thread.mask.set(!UNBLOCKABLE);
        mask::set_mask(u64::MAX);
        thread
    }

    /// Does something, such as starting a host thread, that must not be interrupted and whose
    /// threads must begin with all signals blocked.
    pub fn with_signals_blocked<T>(&self, act: impl FnOnce() -> T) -> T {
        mask::set_mask(u64::MAX);
        let result = act();
        self.set_mask(self.mask());
        result
    }

    /// The mask with which a thread that this one starts begins.
    pub fn mask_for_child(&self) -> u64 {
        self.mask()
    }

    /// What a snapshot holds of the thread.
    pub(crate) fn state(&self) -> ProcessState {
        ProcessState {
            mask: self.mask(),
            stack: self.stack.get(),
            clear_tid: self.clear_tid.get(),
            robust: self.robust.get(),
            ..ProcessState::default()
        }
    }

    /// Makes it the thread of a snapshot. What the process began with blocked stays so. Gives the mask
    /// before.
    pub fn resume(&self, state: &ProcessState, began_with: Option<u64>) -> u64 {
        let before = began_with.unwrap_or_else(|| self.mask());
        self.stack.set(state.stack);
        self.clear_tid.set(state.clear_tid);
        self.robust.set(state.robust);
        self.set_mask(before | state.mask);
        before
    }

    /// Lets no signal in any more: the program is given up for another start.
    pub fn give_up(&self) {
        mask::set_mask(u64::MAX);
    }

    /// The mask.
    pub(crate) fn mask(&self) -> u64 {
        self.mask.get()
    }

    /// Sets the mask. While signals wait in the box, the host's mask stays closed.
    pub(crate) fn set_mask(&self, mask: u64) {
        let mask = mask & !UNBLOCKABLE;
        self.mask.set(mask);
        self.inbox.blocks(mask);
        mask::set_mask(u64::MAX);
        if !self.inbox.has_mail() {
            mask::set_mask(mask);
        }
    }

    /// Waits with another mask: the handler of the signal that ends the wait begins under it, and leaves
    /// the thread's own behind (`sigsuspend(2)`).
    pub(crate) fn wait_under(&self, mask: u64, wait: impl FnOnce() -> Answer) -> Answer {
        self.temporary.set(Some(mask & !UNBLOCKABLE));
        // The host knows nothing of those of SYNCHRONOUS that wait here.
        let answer = match self.has_open() {
            true => Err(Errno::INTR.into()),
            false => wait(),
        };
        // What ends it without a handler, such as a stop, leaves nothing behind.
        if !matches!(answer, Err(Stop::Errno(Errno::INTR))) || !self.has_signals() {
            self.temporary.set(None);
        }
        answer
    }

    /// Signals of [`SYNCHRONOUS`] that were sent and are blocked: the host, which never blocks them, does
    /// not count them among the pending ones.
    pub(crate) fn held_back(&self) -> u64 {
        let waiting = self.waiting.borrow();
        let waiting = waiting.iter().fold(0, |all, one| all | bit(one.signal));
        (waiting & SYNCHRONOUS | self.inbox.synchronous()) & self.mask()
    }

    /// Takes one of those signals, if it is in `set`.
    pub(crate) fn take_held_back(&self, set: u64) -> Option<Caught> {
        let wanted = self.held_back() & set;
        if wanted == 0 {
            return None;
        }
        mask::set_mask(u64::MAX);
        let mut waiting = self.waiting.borrow_mut();
        let mut others = Vec::new();
        self.inbox
            .take(&mut |caught| match bit(caught.signal) & SYNCHRONOUS != 0 {
                true => self.keep(&mut waiting, caught),
                false => others.push(caught),
            });
        others
            .into_iter()
            .for_each(|caught| self.inbox.put_back(caught));
        let at = waiting
            .iter()
            .position(|caught| bit(caught.signal) & wanted != 0);
        let taken = at.map(|at| waiting.remove(at));
        drop(waiting);
        self.set_mask(self.mask());
        taken
    }

    /// Lets no signal in, for good: the thread's program ends. The mask of its next program.
    pub(crate) fn close(&self) -> u64 {
        mask::set_mask(u64::MAX);
        self.mask()
    }

    /// Gives up the robust mutexes that it holds.
    pub(crate) fn release_robust(&self, memory: Memory) {
        robust::release(memory, self.robust.take());
    }

    /// Whether there are signals whose handlers may be called now, or the thread is to leave.
    #[inline(always)]
    pub fn has_signals(&self) -> bool {
        self.inbox.has_mail() || !self.waiting.borrow().is_empty() && self.has_open()
    }

    /// Whether the guest's mask lets one of the waiting signals in.
    #[cold]
    fn has_open(&self) -> bool {
        self.waiting.borrow().iter().any(|c| self.is_open(c.signal))
    }

    /// Whether the guest's mask lets a signal in, that of a wait while it lasts.
    fn is_open(&self, signal: i32) -> bool {
        bit(signal) & self.temporary.get().unwrap_or_else(|| self.mask()) == 0
    }

    /// Keeps a signal for later. Those of [`SYNCHRONOUS`], which the host never blocks, wait here
    /// instead of there: each once, as standard signals do.
    fn keep(&self, waiting: &mut Vec<Caught>, caught: Caught) {
        let synchronous = bit(caught.signal) & SYNCHRONOUS != 0;
        if !synchronous || waiting.iter().all(|c| c.signal != caught.signal) {
            waiting.push(caught);
        }
    }

    /// In the child of a `fork`: what the parent caught is the parent's.
    pub(crate) fn forget_signals(&self) {
        self.inbox.forget_parents();
        self.waiting.borrow_mut().clear();
    }

    /// The first signal that may be handled now.
    fn next_signal(&self) -> Option<Caught> {
        let mut waiting = self.waiting.borrow_mut();
        let at = waiting.iter().position(|c| self.is_open(c.signal))?;
        Some(waiting.remove(at))
    }

    /// Takes one caught signal whose handler the engine is to call; the thread's mask is then the
    /// handler's. Default actions are taken here.
    pub(crate) fn next_delivery(&self, actions: &Actions, space: &Space) -> Option<Delivery> {
        let some = self.has_signals();
        let mut due = None;
        if self.inbox.has_mail() {
            // The mask stays closed until the handler's own is set: what else is pending must not
            // be handled before what came first.
            mask::set_mask(u64::MAX);
            let mut waiting = self.waiting.borrow_mut();
            // The host let the first one in, perhaps under the mask of a `sigsuspend` that has
            // ended since: it is due whatever the guest's mask says now. That the host let one of
            // SYNCHRONOUS in says nothing: without end, handlers would interrupt themselves.
            self.inbox.take(&mut |caught| match due.take() {
                // What the thread cannot go on without comes first.
                before if caught.fault.is_some() => {
                    due = Some(caught);
                    before
                        .into_iter()
                        .for_each(|before| self.keep(&mut waiting, before));
                }
                None if self.is_open(caught.signal) || bit(caught.signal) & SYNCHRONOUS == 0 => {
                    due = Some(caught);
                }
                before => {
                    due = before;
                    self.keep(&mut waiting, caught);
                }
            });
        }
        while let Some(mut caught) = due.take().or_else(|| self.next_signal()) {
            if let (libc::SIGSEGV, Some(at)) = (caught.signal, caught.fault) {
                caught.say_why(space.is_mapped(at));
            }
            let action = {
                let mut actions = actions.lock();
                let slot = actions.get_mut(caught.signal as usize - 1)?;
                let action = *slot;
                if action.flags & libc::SA_RESETHAND as u32 as u64 != 0 {
                    slot.handler = DEFAULT;
                    handles_faults(caught.signal, slot);
                    // The host's own handler of those that faults cause stays.
                    if bit(caught.signal) & SYNCHRONOUS == 0 {
                        let _ = set_default(caught.signal);
                    }
                }
                action
            };
            match action.handler {
                IGNORE => {}
                // Changed since the host caught it.
                DEFAULT => {
                    if set_default(caught.signal).is_ok() {
                        // SAFETY: raise has no preconditions.
                        #[allow(unsafe_code)]
                        unsafe {
                            libc::raise(caught.signal)
                        };
                    }
                }
                handler => {
                    let flag = |flag: i32| action.flags & flag as u32 as u64 != 0;
                    let before = self.mask();
                    let own = match flag(libc::SA_NODEFER) {
                        true => 0,
                        false => bit(caught.signal),
                    };
                    let under = self.temporary.take().unwrap_or(before);
                    self.set_mask(under | action.mask | own);
                    let (base, size) = self.stack.get();
                    return Some(Delivery {
                        handler,
                        caught,
                        with_info: flag(libc::SA_SIGINFO),
                        restart: flag(libc::SA_RESTART),
                        stack: (flag(libc::SA_ONSTACK) && size != 0)
                            .then(|| (base, base.saturating_add(size))),
                        mask: before,
                    });
                }
            }
        }
        self.temporary.set(None);
        if some {
            self.set_mask(self.mask());
        }
        None
    }

    /// Tells the stack pointer before a call that is about stacks.
    pub fn set_stack_pointer(&self, pointer: u32) {
        self.stack_pointer.set(pointer);
    }

    /// Whether it runs on its alternate stack.
    pub(crate) fn is_on_stack(&self) -> bool {
        let (base, size) = self.stack.get();
        let pointer = self.stack_pointer.get();
        pointer > base && pointer - base <= size
    }

    /// After the handler has returned: the mask that it left in the `ucontext`.
    pub fn handled(&self, mask: u64) {
        self.set_mask(mask);
    }

    /// The thread has ended: tells whoever waits for it.
    pub fn ended(&self, memory: Memory) {
        self.release_robust(memory);
        let address = self.clear_tid.get();
        if address == 0 {
            return;
        }
        if memory.write(address, &[0; 4]).is_ok() {
            let args = [memory.arg(address), libc::FUTEX_WAKE.into(), 1.into()];
            // SAFETY: an address of guest memory, at which the kernel only looks.
            #[allow(unsafe_code)]
            let _ = unsafe { syscall::call(libc::SYS_futex, args) };
        }
    }
}

/// Writes a handler's `siginfo` and `ucontext` below `stack`; gives their addresses, in that
/// order. Layouts: `polyfills/sysroot/README.md`.
pub fn write_frame(memory: Memory, stack: u32, delivery: &Delivery) -> Result<(u32, u32), Stop> {
    const INFO: u32 = 128;
    const CONTEXT: u32 = 216;
    const MASK_AT: u32 = 88;
    // 128 bytes below the stack pointer are a leaf function's own.
    let top = stack
        .checked_sub(128 + INFO + CONTEXT)
        .ok_or(Errno::FAULT)?
        & !15;
    let (info, context) = (top + CONTEXT.next_multiple_of(16), top);
    memory.write(info, &delivery.caught.info)?;
    memory.write(context, &[0; CONTEXT as usize])?;
    memory.write(context + MASK_AT, &delivery.mask.to_le_bytes())?;
    Ok((info, context))
}

/// The mask in a `ucontext`.
pub fn frame_mask(memory: Memory, context: u32) -> Result<u64, Stop> {
    Ok(memory.u64(context + 88)?)
}
