//! A system call in progress, as the function that answers it sees it.
#![allow(unsafe_code)]

use super::{
    answer::Answer,
    memory::guest::Memory,
    policy::caller::Caller,
    process::{LinuxProcess, thread::Thread},
    syscall::{self, Arg, HostArgs, padded},
};

/// Who calls, and what the call may touch.
pub struct Cx<'a> {
    /// The process.
    pub process: &'a LinuxProcess,
    /// The calling thread.
    pub thread: &'a Thread,
}

impl<'a> Cx<'a> {
    /// The process's memory.
    pub fn memory(&self) -> Memory {
        self.process.space.memory()
    }

    /// Whether no other guest thread runs in the process.
    pub(crate) fn alone(&self) -> bool {
        self.process.threads() == 1
    }

    /// What a judgement has to know of who calls.
    pub(crate) fn caller(&self) -> Caller<'a> {
        self.process.caller()
    }

    /// The host's address of a guest's.
    pub(crate) fn at(&self, pointer: u64) -> Arg<'static> {
        self.memory().arg(pointer as u32)
    }

    /// Makes a host call that does not wait.
    pub(crate) fn host<const N: usize>(&self, number: i64, args: [Arg<'_>; N]) -> Answer {
        self.call(number, false, &padded(args))
    }

    /// Makes a host call that may wait: a pending signal keeps it from being begun.
    pub(crate) fn host_waiting<const N: usize>(&self, number: i64, args: [Arg<'_>; N]) -> Answer {
        self.call(number, true, &padded(args))
    }

    /// Makes a host call; `waits` as in [`Cx::host_waiting`].
    pub(crate) fn call(&self, number: i64, waits: bool, args: &HostArgs<'_>) -> Answer {
        Ok(syscall::understood(self.raw(number, waits, args))?)
    }

    /// As [`Cx::call`], with the host's number for a result.
    #[inline(always)]
    pub(crate) fn raw(&self, number: i64, waits: bool, args: &HostArgs<'_>) -> i64 {
        // SAFETY: addresses lead into guest memory or to values of the caller, descriptors are the
        // guest's or held by the caller: the table and the handlers say which argument is which.
        unsafe {
            match waits {
                true => syscall::interruptible(number, args, self.thread.inbox.pending()),
                false => syscall::raw(number, args),
            }
        }
    }
}
