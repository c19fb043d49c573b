//! What is done on each signal: what the guest wants, and how the host acts so that it is done.
#![allow(unsafe_code)]

use std::{
    io, mem, ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use megabinary_format::SignalAction;

use super::{
    super::syscall::{self, Arg},
    inbox::on_signal,
    set::{COUNT, SYNCHRONOUS, UNBLOCKABLE, bit, set_words},
};

/// What the guest wants done on a signal; as the kernel's `sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Action {
    /// Index in the function table, or [`DEFAULT`] or [`IGNORE`].
    pub(crate) handler: u32,
    /// SA_* flags.
    pub(crate) flags: u64,
    /// Signals blocked meanwhile.
    pub(crate) mask: u64,
}

/// SIG_DFL.
pub(crate) const DEFAULT: u32 = 0;
/// SIG_IGN.
pub(crate) const IGNORE: u32 = 1;

/// The actions of a process, by signal; the first is that of signal 1.
#[derive(Debug)]
pub(crate) struct Actions(Mutex<[Action; COUNT]>);

impl Actions {
    /// All default, but for what the host ignores.
    ///
    /// The launcher had two ignored for other personalities, and others end the process in its own way.
    /// What was `ignored` when the process was started stays so.
    pub(crate) fn of_host(ignored: &dyn Fn(i32) -> bool) -> io::Result<Actions> {
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            set_action(signal, HostAction::Default)?;
        }
        for signal in (1..=COUNT as i32).filter(|signal| ignored(*signal)) {
            if (SYNCHRONOUS | UNBLOCKABLE) & bit(signal) == 0 {
                set_action(signal, HostAction::Ignore)?;
            }
        }
        let mut actions = [Action::default(); COUNT];
        for (signal, action) in (1..).zip(&mut actions) {
            if is_ignored(signal) {
                action.handler = IGNORE;
            }
        }
        Ok(Actions(Mutex::new(actions)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, [Action; COUNT]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What execve(2) does to them: what is ignored stays so; everything else gets its default.
    pub(crate) fn enter_program(&self) {
        for (signal, action) in (1..).zip(self.lock().iter_mut()) {
            let before = mem::take(action);
            handles_faults(signal, action);
            if before.handler == IGNORE {
                action.handler = IGNORE;
            } else if before != Action::default() && bit(signal) & SYNCHRONOUS == 0 {
                let _ = set_default(signal);
            }
        }
    }
}

/// The actions of a process before those of a snapshot were set.
#[derive(Debug)]
pub struct Before([Action; COUNT]);

impl Actions {
    /// Makes default what is ignored: nobody but the host's own processes had it so.
    pub(crate) fn forget_ignored(&self) -> io::Result<()> {
        for (signal, action) in (1..).zip(self.lock().iter_mut()) {
            if action.handler == IGNORE {
                set_default(signal)?;
                *action = Action::default();
            }
        }
        Ok(())
    }

    /// The actions that are not the default, as a snapshot has them.
    pub(crate) fn state(&self) -> Vec<SignalAction> {
        let actions = *self.lock();
        let all = (1..).zip(actions);
        all.filter(|(_, action)| *action != Action::default())
            .map(|(signal, action)| SignalAction {
                signal,
                handler: action.handler,
                flags: action.flags,
                mask: action.mask,
            })
            .collect()
    }

    /// Sets the actions of a snapshot; gives those before. What the process was started with ignored stays
    /// so: programs ask before they catch a signal.
    pub(crate) fn resume(&self, state: &[SignalAction]) -> Before {
        let mut actions = self.lock();
        let before = Before(*actions);
        for wanted in state {
            let Some(slot) = (wanted.signal as usize)
                .checked_sub(1)
                .and_then(|at| actions.get_mut(at))
            else {
                continue;
            };
            if slot.handler == IGNORE {
                continue;
            }
            let action = Action {
                handler: wanted.handler,
                flags: wanted.flags,
                mask: wanted.mask,
            };
            set(wanted.signal as i32, slot, action);
        }
        before
    }

    /// Sets what [`Actions::resume`] gave.
    pub(crate) fn put_back(&self, before: &Before) {
        for ((signal, slot), action) in (1..).zip(self.lock().iter_mut()).zip(before.0) {
            if *slot != action {
                set(signal, slot, action);
            }
        }
    }
}

/// Sets an action that the host has agreed to before, in this process or in the snapshot's.
fn set(signal: i32, slot: &mut Action, action: Action) {
    let settable = match bit(signal) {
        bit if bit & UNBLOCKABLE != 0 => false,
        bit if bit & SYNCHRONOUS != 0 => true,
        _ => on_host(signal, &action).is_ok(),
    };
    if settable {
        handles_faults(signal, &action);
        *slot = action;
    }
}

/// The signals of [`SYNCHRONOUS`] that the guest has handlers for: a bit each. Handlers of faults look.
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Whether the guest has a handler for a fault.
pub(crate) fn handles_fault(signal: i32) -> bool {
    FAULTS.load(Ordering::SeqCst) & bit(signal) != 0
}

/// Takes note of an action, if it is that of a signal of [`SYNCHRONOUS`]: the host's never changes.
pub(crate) fn handles_faults(signal: i32, action: &Action) {
    let own = bit(signal) & SYNCHRONOUS;
    match action.handler {
        DEFAULT | IGNORE => FAULTS.fetch_and(!own, Ordering::SeqCst),
        _ => FAULTS.fetch_or(own, Ordering::SeqCst),
    };
}

/// Has the host act on a signal as the guest wants it; none of [`SYNCHRONOUS`].
pub(crate) fn on_host(signal: i32, action: &Action) -> io::Result<()> {
    let keep = action.flags as i32 & (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT);
    match action.handler {
        DEFAULT if signal == libc::SIGCHLD => set_action(signal, HostAction::DefaultChild(keep)),
        DEFAULT => set_default(signal),
        IGNORE => set_action(signal, HostAction::Ignore),
        _ => set_action(signal, HostAction::Catch(keep)),
    }
}

/// Sets a signal's default action. Signals that ask a process to end must end PID 1 of a container
/// too, for which the host kernel discards them.
pub(crate) fn set_default(signal: i32) -> io::Result<()> {
    match crate::signals::end_first_process(signal) {
        Some(result) => result,
        None => set_action(signal, HostAction::Default),
    }
}

/// How the host acts on a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostAction {
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
pub(crate) fn set_action(signal: i32, to: HostAction) -> io::Result<()> {
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
fn is_ignored(signal: i32) -> bool {
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
    let new = new.as_ref().map_or(Arg::NONE, Arg::input);
    let args = [
        signal.into(),
        new,
        Arg::output(&mut old),
        size_of::<u64>().into(),
    ];
    // SAFETY: both structures have the kernel's layout; handlers are SIG_DFL, SIG_IGN or `on_signal`.
    unsafe { syscall::call(libc::SYS_rt_sigaction, args) }?;
    Ok(old.handler)
}
