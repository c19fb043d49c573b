//! One system call, described.

use super::{Param, PathUse};
use crate::personality::Type;

/// One system call: a row of [`super::SYSCALLS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syscall {
    /// Linux's name.
    pub name: &'static str,
    /// Number on x86-64.
    pub number: u16,
    /// What each parameter is, six at most.
    pub params: &'static [Param],
    /// Who answers it.
    pub by: By,
    /// Whether it may wait, and what a signal does to the wait.
    pub waits: Waits,
    /// What of it is missing, or why it is refused. Empty where it is as on Linux, and where nobody answers.
    pub note: &'static str,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Nobody: ENOSYS, and an audit event.
    Nobody,
    /// The host kernel's own call, with the arguments translated as [`Param`] says and judged.
    Host,
    /// A function of the vkernel's, which may use the host's.
    Vkernel,
    /// Nobody, on purpose: EPERM, and an audit event that gives the note as the reason.
    Refused,
}

/// Whether a call may wait, and what a signal does to the wait (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It does not.
    Never,
    /// It may; a signal ends the wait for good.
    UntilSignal,
    /// It may; it is begun again after handlers with SA_RESTART.
    Restarts,
}

/// What of a call's arguments the policy judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judged {
    /// Nothing.
    Nothing,
    /// Objects that are only looked at: matters only where something is hidden.
    Looks,
    /// Objects or names that change.
    Changes,
}

impl Syscall {
    /// A call that nobody answers.
    pub(super) const fn new(name: &'static str, number: u16, params: &'static [Param]) -> Syscall {
        Syscall {
            name,
            number,
            params,
            by: By::Nobody,
            waits: Waits::Never,
            note: "",
        }
    }

    /// The host answers it.
    pub(super) const fn host(mut self) -> Syscall {
        self.by = By::Host;
        self
    }

    /// The vkernel answers it.
    pub(super) const fn vkernel(mut self) -> Syscall {
        self.by = By::Vkernel;
        self
    }

    /// It is always refused, and why.
    pub(super) const fn refused(mut self, why: &'static str) -> Syscall {
        self.by = By::Refused;
        self.note = why;
        self
    }

    /// What of it is missing.
    pub(super) const fn partial(mut self, what: &'static str) -> Syscall {
        self.note = what;
        self
    }

    /// It may wait; a signal ends the wait for good.
    pub(super) const fn waits(mut self) -> Syscall {
        self.waits = Waits::UntilSignal;
        self
    }

    /// It may wait, and is begun again after handlers with SA_RESTART.
    pub(super) const fn restarts(mut self) -> Syscall {
        self.waits = Waits::Restarts;
        self
    }

    /// The core WebAssembly types of the parameters.
    pub fn types(&self) -> impl Iterator<Item = Type> {
        self.params.iter().map(|param| param.ty())
    }

    /// Whether it may wait.
    pub const fn may_wait(&self) -> bool {
        !matches!(self.waits, Waits::Never)
    }

    /// What of its arguments the policy judges.
    pub const fn judged(&self) -> Judged {
        let mut judged = Judged::Nothing;
        let mut at = 0;
        while at < self.params.len() {
            match self.params[at] {
                Param::Path(PathUse::Look | PathUse::LookAtLink) | Param::FdLook => {
                    if matches!(judged, Judged::Nothing) {
                        judged = Judged::Looks;
                    }
                }
                Param::Path(_) | Param::SocketAddress | Param::FdChange | Param::FdList => {
                    judged = Judged::Changes;
                }
                _ => {}
            }
            at += 1;
        }
        judged
    }
}
