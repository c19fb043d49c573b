//! A system call as a module imports it: the one way from the guest's values to an answer.
//!
//! All that there is to know about a call is known when its import is linked. Then there are two doors,
//! and one way behind them: [`Import::call`] makes the host's call of what the host answers and nobody
//! judges, which is what programs do most, and leaves its result a number in a register;
//! [`Import::run`] makes every call, with all that may come of it. Both translate arguments in
//! [`super::arguments`] and enter the host in [`Cx::raw`].

use vkernel_abi::wali::{By, Judged, Syscall};

use super::{
    arguments::{self, Slot, Slots},
    row,
    row::Row,
};
use crate::linux::{
    answer::{Answer, Args, answer},
    calls::fixed::{self, Fixed},
    context::Cx,
    syscall::Errno,
};

/// A system call as a module imports it.
#[derive(Clone, Copy)]
pub struct Import {
    call: &'static Syscall,
    row: Option<&'static Row>,
    given: Slots,
    host: Slots,
    /// What is done while a snapshot is taken.
    fixed: Option<Fixed>,
}

/// A shape of arguments that code may be made for by itself.
pub trait Shape {
    /// Which shape; `None` for any.
    #[doc(hidden)]
    const SLOTS: Option<Slotted>;
}

/// A shape that is known when the code is made.
#[derive(Clone, Copy)]
pub struct Slotted(Slots);

/// That of `read` and `write`, where a word has 32 bits.
pub enum ReadOrWrite {}

impl Shape for ReadOrWrite {
    const SLOTS: Option<Slotted> = Some(Slotted([
        Slot::Descriptor,
        Slot::Address,
        Slot::Unsigned,
        Slot::Absent,
        Slot::Absent,
        Slot::Absent,
    ]));
}

/// Any shape.
pub enum AnyShape {}

impl Shape for AnyShape {
    const SLOTS: Option<Slotted> = None;
}

impl Import {
    /// The import of a call; `wide` says which of its arguments it gives as 64 bits: toolchains differ
    /// in that for words.
    pub fn new(call: &'static Syscall, wide: impl IntoIterator<Item = bool>) -> Import {
        let mut are_wide = [None; 6];
        for (to, wide) in are_wide.iter_mut().zip(wide) {
            *to = Some(wide);
        }
        let given = arguments::given(call.params, are_wide);
        Import {
            call,
            row: row(call.number),
            given,
            host: arguments::for_host(call.params, given),
            fixed: None,
        }
    }

    /// The same in a process whose snapshot is being taken.
    pub fn for_snapshot(self) -> Import {
        Import {
            fixed: fixed::of(self.call.number),
            ..self
        }
    }

    /// Whether the host answers it and nobody judges its arguments: then [`Import::call`] makes it.
    pub fn is_direct(&self) -> bool {
        self.fixed.is_none() && self.call.by == By::Host && self.call.judged() == Judged::Nothing
    }

    /// Whether the arguments have the shape `S`.
    pub fn has<S: Shape>(&self) -> bool {
        S::SLOTS.is_none_or(|Slotted(slots)| slots == self.host)
    }

    /// Makes the host's call of an import that [`Import::is_direct`] and that [`Import::has`] the shape: its
    /// result, or the number of an error, negative. `low` reads a value's lower 32 bits, `whole` all 64
    /// where it has so many.
    #[inline(always)]
    pub fn call<S: Shape, V>(
        &self,
        cx: &Cx<'_>,
        values: &[V],
        low: impl Fn(&V) -> u32,
        whole: impl Fn(&V) -> u64,
    ) -> i64 {
        let slots = match S::SLOTS {
            Some(Slotted(slots)) => slots,
            None => self.host,
        };
        match arguments::translated(cx, &slots, values, low, whole) {
            Ok(args) => cx.raw(self.call.number.into(), self.call.may_wait(), &args),
            Err(errno) => answer(errno),
        }
    }

    /// The guest's arguments; `low` and `whole` as for [`Import::call`].
    pub fn args<V>(
        &self,
        values: &[V],
        low: impl Fn(&V) -> u32,
        whole: impl Fn(&V) -> u64,
    ) -> Args {
        arguments::widened(&self.given, values, low, whole)
    }

    /// Makes the call. `result` is the host's result where [`Import::call`] has made it.
    pub fn run(&self, cx: &Cx<'_>, args: &Args, result: Option<i64>) -> Answer {
        if let Some(Fixed::Instead(function)) = self.fixed {
            return function(cx, args);
        }
        let answer = match (self.row, result) {
            (Some(row), None) => row.run(cx, args),
            (Some(row), Some(result)) => row.finish(cx, args, result),
            (None, _) => {
                cx.process.unsupported(self.call.name, args);
                Err(Errno::NOSYS.into())
            }
        };
        match (self.fixed, answer) {
            (Some(Fixed::Afterwards(function)), Ok(answer)) => {
                function(cx, args)?;
                Ok(answer)
            }
            (_, answer) => answer,
        }
    }

    /// Whether it needs to know where the thread's stack pointer is.
    pub fn is_about_stacks(&self) -> bool {
        self.row.is_some_and(|row| row.about_stacks)
    }

    /// Whether the call, ended by a signal, is begun again after handlers with SA_RESTART.
    pub fn begins_again(&self, args: &Args) -> bool {
        self.row.is_some_and(|row| row.begins_again(args))
    }
}

#[cfg(test)]
mod tests {
    use vkernel_abi::wali::syscall;

    use super::*;

    fn import(field: &str, wide: bool) -> Import {
        Import::new(syscall(field).unwrap(), [wide; 6])
    }

    #[test]
    fn what_an_import_does_not_give_is_not_read() {
        let few = Import::new(syscall("SYS_read").unwrap(), [false]);
        assert!(!few.has::<ReadOrWrite>());
        assert_eq!(few.host[1..], [Slot::Absent; 5]);
        assert_eq!(
            few.args(&[7_u64, 8], |v| *v as u32, |v| *v),
            [7, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn code_is_made_for_reads_and_writes() {
        for field in ["SYS_read", "SYS_write"] {
            assert!(import(field, false).has::<ReadOrWrite>());
            assert!(!import(field, true).has::<ReadOrWrite>());
        }
        assert!(!import("SYS_pread64", false).has::<ReadOrWrite>());
        assert!(import("SYS_pread64", false).has::<AnyShape>());
    }

    #[test]
    fn what_is_judged_or_the_vkernels_is_not_direct() {
        assert!(import("SYS_read", false).is_direct());
        for name in [
            "openat",
            "unlinkat",
            "clone",
            "rt_sigaction",
            "ptrace",
            "acct",
        ] {
            assert!(!import(&format!("SYS_{name}"), false).is_direct(), "{name}");
        }
    }
}
