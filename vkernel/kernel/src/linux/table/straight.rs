//! Calls that are passed straight on: the host answers them and nobody judges their arguments, so
//! that all that there is to know about them is known when their import is linked.
//!
//! These are the calls that programs make most, `read` and `write` among them. What a call adds to
//! the host's is some tens of nanoseconds, which decides how this is written: each argument is
//! looked at once, at its own width (a processor cannot read as 64 bits what was just written as
//! 32), and the answer is the host's number, which stays in a register where an [`Answer`] would
//! not.
//!
//! [`Answer`]: crate::linux::Answer

use rustix::io::Errno;

use super::{
    super::{
        answer::{Args, answer},
        context::Cx,
        memory::guest::Memory,
        process::descriptors::Limit,
        syscall::{Arg, HostArgs},
    },
    row::{Handler, Row, leads_to},
};

/// How a call is passed on whose import has a certain type.
#[derive(Clone, Copy)]
pub struct Straight {
    number: i64,
    waits: bool,
    shape: Shape,
}

/// A letter for each argument of a call, the first in the lowest byte: one of those below, or, where
/// the host is given something else than the value, of [`Handler::Pass`].
pub type Shape = u64;

/// The shape of `read` and `write` where a word has 32 bits.
pub const READ: Shape = u64::from_le_bytes(*b"fpu\0\0\0\0\0");
/// Any shape.
pub const ANY: Shape = 0;

/// A value of 64 bits.
const WIDE: u8 = b'v';
/// A value of 32 bits with a sign.
const SIGNED: u8 = b's';
/// A value of 32 bits without a sign.
const UNSIGNED: u8 = b'u';

/// The shape of an import's arguments as they are. `params` are the interface's letters, `wide`
/// says which arguments the import gives as 64 bits: toolchains differ in that for words.
pub fn as_they_are(params: &str, wide: impl IntoIterator<Item = bool>) -> Shape {
    let mut letters = [0; 8];
    for (letter, (param, wide)) in letters.iter_mut().zip(params.bytes().zip(wide)) {
        *letter = match (wide, param) {
            (true, _) => WIDE,
            (false, b'i') => SIGNED,
            (false, _) => UNSIGNED,
        };
    }
    Shape::from_le_bytes(letters)
}

/// The arguments of a call of this shape, as they are. `low` reads one's lower 32 bits, `whole` all
/// 64 where it has so many.
pub fn arguments<V>(
    shape: Shape,
    values: &[V],
    low: impl Fn(&V) -> u32,
    whole: impl Fn(&V) -> u64,
) -> Args {
    let mut args = [0; 6];
    for ((to, value), letter) in args.iter_mut().zip(values).zip(shape.to_le_bytes()) {
        *to = match letter {
            0 => break,
            letter => widened(letter, value, &low, &whole),
        };
    }
    args
}

#[inline(always)]
fn widened<V>(letter: u8, value: &V, low: impl Fn(&V) -> u32, whole: impl Fn(&V) -> u64) -> u64 {
    match letter {
        WIDE => whole(value),
        SIGNED => i64::from(low(value).cast_signed()).cast_unsigned(),
        _ => low(value).into(),
    }
}

impl Straight {
    /// The way of a row's calls, if they are passed straight on; `shape` is the import's.
    pub fn new(row: &Row, shape: Shape) -> Option<Straight> {
        let Handler::Pass(kinds) = row.handler else {
            return None;
        };
        if !row.paths.is_empty() || row.about_stacks {
            return None;
        }
        let mut letters = shape.to_le_bytes();
        for (letter, kind) in letters.iter_mut().zip(kinds.bytes()) {
            if *letter != 0 && kind != b'v' {
                *letter = kind;
            }
        }
        Some(Straight {
            number: row.number,
            waits: row.waits,
            shape: Shape::from_le_bytes(letters),
        })
    }

    /// The shape of the calls.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Makes the host's call: its result, or the number of an error, negative. `SHAPE` is the calls'
    /// shape where code is to be made for it alone, or [`ANY`]; the rest is as for [`arguments`].
    #[inline(always)]
    pub fn pass<const SHAPE: Shape, V>(
        &self,
        cx: &Cx<'_>,
        values: &[V],
        low: impl Fn(&V) -> u32,
        whole: impl Fn(&V) -> u64,
    ) -> i64 {
        let shape = match SHAPE {
            ANY => self.shape,
            shape => shape,
        };
        match host_arguments(cx, shape.to_le_bytes(), values, low, whole) {
            Ok(args) => cx.raw(self.number, self.waits, &args),
            Err(errno) => answer(errno),
        }
    }
}

/// What the host is given for arguments with these letters.
#[inline(always)]
fn host_arguments<V>(
    cx: &Cx<'_>,
    letters: [u8; 8],
    values: &[V],
    low: impl Fn(&V) -> u32,
    whole: impl Fn(&V) -> u64,
) -> Result<HostArgs<'static>, Errno> {
    let (memory, descriptors) = (cx.memory(), cx.process.descriptors());
    let [a, b, c, d, e, f, ..] = letters;
    // No loop and no closure: where the letters are known, nothing of them is left in the code.
    Ok([
        host_argument(memory, descriptors, a, values.first(), &low, &whole)?,
        host_argument(memory, descriptors, b, values.get(1), &low, &whole)?,
        host_argument(memory, descriptors, c, values.get(2), &low, &whole)?,
        host_argument(memory, descriptors, d, values.get(3), &low, &whole)?,
        host_argument(memory, descriptors, e, values.get(4), &low, &whole)?,
        host_argument(memory, descriptors, f, values.get(5), &low, &whole)?,
    ])
}

/// What the host is given for an argument with this letter, 0 for one that is not there.
#[inline(always)]
fn host_argument<V>(
    memory: Memory,
    descriptors: Limit,
    letter: u8,
    value: Option<&V>,
    low: impl Fn(&V) -> u32,
    whole: impl Fn(&V) -> u64,
) -> Result<Arg<'static>, Errno> {
    match (letter, value) {
        (0, _) | (_, None) => Ok(Arg::NONE),
        (WIDE | SIGNED | UNSIGNED, Some(value)) => Ok(widened(letter, value, low, whole).into()),
        (kind, Some(value)) => leads_to(memory, descriptors, kind, low(value)),
    }
}

#[cfg(test)]
mod tests {
    use vkernel_abi::wali;

    use super::*;
    use crate::linux::row;

    /// The letters for a call whose import gives all arguments at one width.
    fn letters(name: &str, wide: bool) -> Option<String> {
        let call = wali::SYSCALLS.iter().find(|call| call.name == name)?;
        let shape = as_they_are(call.params, call.params.chars().map(|_| wide));
        let straight = Straight::new(row(call.number)?, shape)?;
        let letters = String::from_utf8(straight.shape.to_le_bytes().to_vec()).unwrap();
        Some(letters.trim_end_matches('\0').to_owned())
    }

    #[test]
    fn arguments_are_widened_as_the_interface_says() {
        let values = [u64::MAX; 3];
        let read = |shape| arguments(shape, &values, |v| *v as u32, |v| *v);
        let narrow = u64::from(u32::MAX);
        let shape = as_they_are("ipu", [false; 3]);
        assert_eq!(read(shape), [u64::MAX, narrow, narrow, 0, 0, 0]);
        let shape = as_they_are("pi", [true; 2]);
        assert_eq!(read(shape), [u64::MAX, u64::MAX, 0, 0, 0, 0]);
    }

    #[test]
    fn values_are_taken_at_the_width_of_the_import() {
        assert_eq!(letters("read", false).unwrap(), "fpu");
        assert_eq!(letters("read", true).unwrap(), "fpv");
        assert_eq!(letters("shutdown", false).unwrap(), "fs");
        assert_eq!(letters("sched_yield", false).unwrap(), "");
    }

    #[test]
    fn what_is_judged_or_ours_does_not_go_straight() {
        for name in ["openat", "unlinkat", "clone", "rt_sigaction", "ptrace"] {
            assert_eq!(letters(name, false), None, "{name}");
        }
    }
}
