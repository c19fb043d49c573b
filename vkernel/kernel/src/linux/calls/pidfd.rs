//! Descriptors of processes (`pidfd_open(2)`).
//!
//! They lead to no other process than its number does. What reaches further by them is refused:
//! another process's descriptors (`pidfd_getfd`), memory (`process_madvise`) and namespaces (`setns`).

use libc::*;

use super::super::{
    answer::{Answer, Args, Errno, int, word},
    context::Cx,
    signals::queued,
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_pidfd_send_signal, send_signal),
    Handler::new(SYS_waitid, waitid),
];

fn send_signal(cx: &Cx<'_>, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    let pointer = word(args[2]);
    let mut info = [0_u8; 128];
    if pointer != 0 {
        cx.memory()
            .read(pointer, &mut info[..queued::KERNEL_SIZE])?;
        // The host takes it from a thread for itself, and then it would look like a fault.
        if queued::claims_a_fault(int(args[1]), &info) {
            return Err(Errno::PERM.into());
        }
    }
    let info = match pointer {
        0 => Arg::NONE,
        _ => Arg::input(&info),
    };
    let (signal, flags) = (args[1].into(), args[3].into());
    cx.host(SYS_pidfd_send_signal, [descriptor, signal, info, flags])
}

/// What is waited for may be named by a descriptor (P_PIDFD).
fn waitid(cx: &Cx<'_>, args: &Args) -> Answer {
    const BY_DESCRIPTOR: i32 = P_PIDFD as i32;
    let id = match int(args[0]) {
        BY_DESCRIPTOR if int(args[1]) >= 0 => cx.process.descriptors().check(args[1])?,
        _ => args[1].into(),
    };
    let [kind, _, _, options, ..] = args.map(Arg::from);
    cx.host_waiting(
        SYS_waitid,
        [kind, id, cx.at(args[2]), options, cx.at(args[4])],
    )
}
