//! POSIX message queues (`mq_overview(7)`): the host's own ([`super::ipc`]). Their names are no paths of the
//! file system.

use libc::*;

use super::{
    super::{
        answer::{Answer, Args, Errno, word},
        context::Cx,
        signals::event::HostEvent,
        syscall::Arg,
        table::row::Handler,
    },
    ipc::{call, waiting},
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_mq_open, |cx, args| {
        let [_, flags, mode, ..] = args.map(Arg::from);
        call(
            cx,
            SYS_mq_open,
            [cx.at(args[0]), flags, mode, cx.at(args[3])],
        )
    }),
    Handler::new(SYS_mq_unlink, |cx, args| {
        call(cx, SYS_mq_unlink, [cx.at(args[0])])
    }),
    Handler::new(SYS_mq_timedsend, |cx, args| {
        let queue = cx.process.descriptors().check(args[0])?;
        let [_, _, size, priority, ..] = args.map(Arg::from);
        let (from, until) = (cx.at(args[1]), cx.at(args[4]));
        waiting(cx, SYS_mq_timedsend, [queue, from, size, priority, until])
    }),
    Handler::new(SYS_mq_timedreceive, |cx, args| {
        let queue = cx.process.descriptors().check(args[0])?;
        let (to, priority, until) = (cx.at(args[1]), cx.at(args[3]), cx.at(args[4]));
        let size = args[2].into();
        waiting(cx, SYS_mq_timedreceive, [queue, to, size, priority, until])
    }),
    Handler::new(SYS_mq_notify, notify),
    Handler::new(SYS_mq_getsetattr, |cx, args| {
        let queue = cx.process.descriptors().check(args[0])?;
        call(
            cx,
            SYS_mq_getsetattr,
            [queue, cx.at(args[1]), cx.at(args[2])],
        )
    }),
];

fn notify(cx: &Cx<'_>, args: &Args) -> Answer {
    let queue = cx.process.descriptors().check(args[0])?;
    let event = match word(args[1]) {
        0 => None,
        pointer => Some(HostEvent::read(cx.memory(), pointer)?),
    };
    let known = [SIGEV_SIGNAL, SIGEV_NONE];
    if event
        .as_ref()
        .is_some_and(|event| !known.contains(&event.notify()))
    {
        return Err(Errno::INVAL.into());
    }
    let event = event.as_ref().map_or(Arg::NONE, HostEvent::arg);
    call(cx, SYS_mq_notify, [queue, event])
}
