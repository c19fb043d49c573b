//! System V shared memory, semaphores and messages (`sysvipc(7)`): the host's own ([`super::ipc`]).
//! Structures have the host's layout.

use libc::*;

use super::{
    super::{
        answer::{Answer, Args, Errno, int, word},
        context::Cx,
        memory::space::Segment,
        syscall::Arg,
        table::row::Handler,
    },
    ipc::{call, judge, waiting},
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_shmget, shmget),
    Handler::new(SYS_shmat, shmat).host(&[SYS_shmctl, SYS_shmdt]),
    Handler::new(SYS_shmdt, shmdt),
    Handler::new(SYS_shmctl, |cx, args| {
        let [id, command, ..] = args.map(Arg::from);
        call(cx, SYS_shmctl, [id, command, cx.at(args[2])])
    }),
    Handler::new(SYS_semget, |cx, args| {
        call(cx, SYS_semget, args.map(Arg::from))
    }),
    Handler::new(SYS_semctl, semctl),
    Handler::new(SYS_semop, |cx, args| {
        let [id, _, count, ..] = args.map(Arg::from);
        waiting(cx, SYS_semop, [id, cx.at(args[1]), count])
    }),
    Handler::new(SYS_semtimedop, |cx, args| {
        let [id, _, count, ..] = args.map(Arg::from);
        let (operations, timeout) = (cx.at(args[1]), cx.at(args[3]));
        waiting(cx, SYS_semtimedop, [id, operations, count, timeout])
    }),
    Handler::new(SYS_msgget, |cx, args| {
        call(cx, SYS_msgget, args.map(Arg::from))
    }),
    Handler::new(SYS_msgctl, |cx, args| {
        let [id, command, ..] = args.map(Arg::from);
        call(cx, SYS_msgctl, [id, command, cx.at(args[2])])
    }),
    Handler::new(SYS_msgsnd, |cx, args| {
        let [id, _, size, flags, ..] = args.map(Arg::from);
        waiting(cx, SYS_msgsnd, [id, cx.at(args[1]), size, flags])
    }),
    Handler::new(SYS_msgrcv, |cx, args| {
        let [id, _, size, kind, flags, _] = args.map(Arg::from);
        waiting(cx, SYS_msgrcv, [id, cx.at(args[1]), size, kind, flags])
    }),
];

/// What is attached counts as mapped memory; what could never be attached is not made.
fn shmget(cx: &Cx<'_>, args: &Args) -> Answer {
    let size = u64::from(word(args[1]));
    if int(args[2]) & SHM_HUGETLB != 0 {
        return Err(Errno::INVAL.into());
    }
    if size > cx.process.sandbox.memory_limit() {
        return Err(Errno::NOMEM.into());
    }
    call(
        cx,
        SYS_shmget,
        [args[0].into(), size.into(), args[2].into()],
    )
}

fn shmat(cx: &Cx<'_>, args: &Args) -> Answer {
    judge(cx, SYS_shmat)?;
    let (id, address, flags) = (int(args[0]), word(args[1]), int(args[2]));
    if flags & SHM_EXEC != 0 {
        let program = &cx.process.image.program;
        let reason = "no memory becomes executable: SHM_EXEC";
        let audit = &cx.process.sandbox.audit;
        audit.refuse("shmat", program, reason, "EACCES");
        return Err(Errno::ACCESS.into());
    }
    let segment = Segment::attach(id, flags & SHM_RDONLY)?;
    Ok(cx
        .process
        .space
        .place_segment(segment, address, flags)?
        .into())
}

fn shmdt(cx: &Cx<'_>, args: &Args) -> Answer {
    judge(cx, SYS_shmdt)?;
    cx.process.space.detach(word(args[0]))?;
    Ok(0)
}

/// The fourth argument is a number or an address, by the command.
fn semctl(cx: &Cx<'_>, args: &Args) -> Answer {
    const SEM_STAT: i32 = 18;
    const SEM_INFO: i32 = 19;
    const SEM_STAT_ANY: i32 = 20;
    let argument = match int(args[2]) {
        SETVAL => args[3].into(),
        GETALL | SETALL | IPC_STAT | IPC_SET | IPC_INFO | SEM_STAT | SEM_INFO | SEM_STAT_ANY => {
            cx.at(args[3])
        }
        _ => Arg::NONE,
    };
    let [id, which, command, ..] = args.map(Arg::from);
    call(cx, SYS_semctl, [id, which, command, argument])
}
