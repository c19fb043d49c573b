//! POSIX message queues (`mq_overview(7)`): the host's own, in the sandbox's IPC namespace, as System V's
//! objects are (`sysv`). Their names are no paths of the file system.

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, word},
    event::HostEvent,
    ipc::{NAMESPACE, call},
    table::Row,
};

pub(super) const ROWS: &[Row] = &[
    Row::call(SYS_mq_open, |cx, args| {
        let at = |i: usize| cx.memory().address(word(args[i]));
        call(cx, SYS_mq_open, false, &[at(0), args[1], args[2], at(3), 0, 0])
    })
    .partial(NAMESPACE),
    Row::call(SYS_mq_unlink, |cx, args| {
        let name = cx.memory().address(word(args[0]));
        call(cx, SYS_mq_unlink, false, &[name, 0, 0, 0, 0, 0])
    })
    .partial(NAMESPACE),
    Row::call(SYS_mq_timedsend, |cx, args| {
        let at = |i: usize| cx.memory().address(word(args[i]));
        let queue = cx.process.descriptors().check(args[0])?;
        call(cx, SYS_mq_timedsend, true, &[queue, at(1), args[2], args[3], at(4), 0])
    })
    .restarts()
    .partial(NAMESPACE),
    Row::call(SYS_mq_timedreceive, |cx, args| {
        let at = |i: usize| cx.memory().address(word(args[i]));
        let queue = cx.process.descriptors().check(args[0])?;
        call(cx, SYS_mq_timedreceive, true, &[queue, at(1), args[2], at(3), at(4), 0])
    })
    .restarts()
    .partial(NAMESPACE),
    Row::call(SYS_mq_notify, notify)
        .partial("SIGEV_SIGNAL and SIGEV_NONE; SIGEV_THREAD gives EINVAL; ENOSYS in the machine's own IPC namespace"),
    Row::call(SYS_mq_getsetattr, |cx, args| {
        let at = |i: usize| cx.memory().address(word(args[i]));
        let queue = cx.process.descriptors().check(args[0])?;
        call(cx, SYS_mq_getsetattr, false, &[queue, at(1), at(2), 0, 0, 0])
    })
    .partial(NAMESPACE),
];

fn notify(cx: &Cx<'_>, args: &Args) -> Answer {
    let queue = cx.process.descriptors().check(args[0])?;
    let event = match word(args[1]) {
        0 => None,
        pointer => Some(HostEvent::read(cx.memory(), pointer)?),
    };
    if event
        .as_ref()
        .is_some_and(|event| ![SIGEV_SIGNAL, SIGEV_NONE].contains(&event.notify()))
    {
        return Err(Errno::INVAL.into());
    }
    let pointer = event.as_ref().map_or(0, HostEvent::address);
    let answer = call(cx, SYS_mq_notify, false, &[queue, pointer, 0, 0, 0, 0]);
    // The host kernel has read it.
    drop(event);
    answer
}
