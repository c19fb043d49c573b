//! Calls about objects that processes share by keys and names: made where the sandbox has some
//! ([`super::super::policy`]).

use vkernel_abi::wali::SYSCALLS;

use super::super::{
    answer::Answer,
    context::Cx,
    syscall::{Arg, Errno, padded},
};

/// ENOSYS, if the sandbox has no such objects.
pub(crate) fn judge(cx: &Cx<'_>, number: i64) -> Result<(), Errno> {
    let call = SYSCALLS
        .iter()
        .find(|call| i64::from(call.number) == number);
    let sandbox = &cx.process.sandbox;
    let name = call.map_or("ipc", |call| call.name);
    sandbox
        .ipc
        .judge(&sandbox.audit, name, &cx.process.image.program)
}

/// Makes a host call that does not wait, if the sandbox has such objects.
pub(crate) fn call<const N: usize>(cx: &Cx<'_>, number: i64, args: [Arg<'_>; N]) -> Answer {
    judge(cx, number)?;
    cx.call(number, false, &padded(args))
}

/// The same of one that may wait.
pub(crate) fn waiting<const N: usize>(cx: &Cx<'_>, number: i64, args: [Arg<'_>; N]) -> Answer {
    judge(cx, number)?;
    cx.call(number, true, &padded(args))
}
