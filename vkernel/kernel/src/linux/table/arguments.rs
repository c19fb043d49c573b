//! The arguments of an import on their way to the host: each is translated once, as its [`Param`] says.
//!
//! What a call adds to the host's is some tens of nanoseconds, which decides how this is written: each
//! argument is looked at once, at its own width (a processor cannot read as 64 bits what was just written as
//! 32), and where a shape is known when this is compiled, nothing of it is left in the code.

use vkernel_abi::wali::Param;

use crate::linux::{
    answer::Args,
    context::Cx,
    memory::guest::Memory,
    process::descriptors::Descriptors,
    syscall::{Arg, Errno, HostArgs},
};

/// What is done with an argument. Toolchains differ in the width of words, so that this depends on the
/// import too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// There is none.
    Absent,
    /// A value of 64 bits.
    Wide,
    /// A value of 32 bits, sign-extended.
    Signed,
    /// A value of 32 bits, zero-extended.
    Unsigned,
    /// An address of the guest's becomes the host's.
    Address,
    /// A descriptor that the guest can have.
    Descriptor,
    /// The same, or a negative number.
    DescriptorOrNone,
    /// A folder's descriptor, or AT_FDCWD.
    Folder,
}

/// What is done with each argument.
pub(crate) type Slots = [Slot; 6];

/// The arguments as the guest gives them; `wide` says which there are, and which of them are of 64 bits.
pub(crate) const fn given(params: &[Param], wide: [Option<bool>; 6]) -> Slots {
    let mut slots = [Slot::Absent; 6];
    let mut at = 0;
    while at < params.len() && at < slots.len() {
        slots[at] = match wide[at] {
            None => Slot::Absent,
            Some(true) => Slot::Wide,
            Some(false) if params[at].is_signed() => Slot::Signed,
            Some(false) => Slot::Unsigned,
        };
        at += 1;
    }
    slots
}

/// The arguments as the host gets them, of a call that the host answers.
pub(crate) const fn for_host(params: &[Param], given: Slots) -> Slots {
    let mut slots = given;
    let mut at = 0;
    while at < params.len() && at < slots.len() {
        slots[at] = match params[at] {
            _ if matches!(slots[at], Slot::Absent) => Slot::Absent,
            Param::Folder => Slot::Folder,
            Param::FdOrNone => Slot::DescriptorOrNone,
            param if param.is_descriptor() => Slot::Descriptor,
            param if param.is_address() => Slot::Address,
            _ => slots[at],
        };
        at += 1;
    }
    slots
}

/// The guest's arguments, each widened. `low` reads one's lower 32 bits, `whole` all 64 where it has so
/// many.
pub(crate) fn widened<V>(
    slots: &Slots,
    values: &[V],
    low: impl Fn(&V) -> u32,
    whole: impl Fn(&V) -> u64,
) -> Args {
    let mut args = [0; 6];
    for ((to, value), slot) in args.iter_mut().zip(values).zip(slots) {
        *to = match slot {
            Slot::Absent => break,
            slot => value_of(*slot, value, &low, &whole),
        };
    }
    args
}

#[inline(always)]
fn value_of<V>(slot: Slot, value: &V, low: impl Fn(&V) -> u32, whole: impl Fn(&V) -> u64) -> u64 {
    match slot {
        Slot::Wide => whole(value),
        Slot::Signed => i64::from(low(value).cast_signed()).cast_unsigned(),
        _ => low(value).into(),
    }
}

/// What the host is given for the guest's arguments; EBADF if one names a descriptor that the guest cannot
/// have. `low` and `whole` are as for [`widened`].
#[inline(always)]
pub(crate) fn translated<V>(
    cx: &Cx<'_>,
    slots: &Slots,
    values: &[V],
    low: impl Fn(&V) -> u32,
    whole: impl Fn(&V) -> u64,
) -> Result<HostArgs<'static>, Errno> {
    let (memory, descriptors) = (cx.memory(), cx.process.descriptors());
    let one = |at: usize| {
        let value = values.get(at);
        argument(memory, descriptors, slots[at], value, &low, &whole)
    };
    Ok([one(0)?, one(1)?, one(2)?, one(3)?, one(4)?, one(5)?])
}

#[inline(always)]
fn argument<V>(
    memory: Memory,
    descriptors: Descriptors,
    slot: Slot,
    value: Option<&V>,
    low: impl Fn(&V) -> u32,
    whole: impl Fn(&V) -> u64,
) -> Result<Arg<'static>, Errno> {
    let Some(value) = value else {
        return Ok(Arg::NONE);
    };
    match slot {
        Slot::Absent => Ok(Arg::NONE),
        Slot::Wide | Slot::Signed | Slot::Unsigned => Ok(value_of(slot, value, low, whole).into()),
        Slot::Address => Ok(memory.arg(low(value))),
        Slot::Descriptor => descriptors.check(low(value).into()),
        Slot::DescriptorOrNone => descriptors.check_optional(low(value).into()),
        Slot::Folder => Ok(descriptors.folder(low(value).into()).into()),
    }
}

#[cfg(test)]
mod tests {
    use vkernel_abi::wali::{SYSCALLS, Syscall};

    use super::*;

    fn call(name: &str) -> &'static Syscall {
        SYSCALLS.iter().find(|call| call.name == name).unwrap()
    }

    #[test]
    fn arguments_are_widened_as_the_interface_says() {
        let values = [u64::MAX; 3];
        let read = |name: &str, wide| {
            let slots = given(call(name).params, [Some(wide); 6]);
            widened(&slots, &values, |v| *v as u32, |v| *v)
        };
        let narrow = u64::from(u32::MAX);
        assert_eq!(read("read", false), [u64::MAX, narrow, narrow, 0, 0, 0]);
        assert_eq!(read("access", true), [u64::MAX, u64::MAX, 0, 0, 0, 0]);
    }

    #[test]
    fn the_host_gets_values_at_the_width_of_the_import() {
        use Slot::*;
        let slots = |name: &str, wide| {
            let params = call(name).params;
            let slots = for_host(params, given(params, [Some(wide); 6]));
            slots[..params.len()].to_vec()
        };
        assert_eq!(slots("read", false), [Descriptor, Address, Unsigned]);
        assert_eq!(slots("read", true), [Descriptor, Address, Wide]);
        assert_eq!(slots("shutdown", false), [Descriptor, Signed]);
        assert_eq!(slots("sched_yield", false), []);
        let openat2 = [Folder, Address, Address, Unsigned];
        assert_eq!(slots("openat2", false), openat2);
        assert_eq!(slots("signalfd", false)[0], DescriptorOrNone);
    }
}
