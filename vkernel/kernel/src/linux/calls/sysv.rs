//! System V shared memory, semaphores and messages (`sysvipc(7)`). The host's own, in the namespace that
//! the sandbox has for itself: in the machine's they would lead out of it, and then there are none
//! (ENOSYS). Structures have the host's layout.
#![allow(unsafe_code)]

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, int, word},
    ipc::{NAMESPACE, call},
    space::Segment,
    table::Row,
};

pub(super) const ROWS: &[Row] = &[
    Row::call(SYS_shmget, shmget).partial("SHM_HUGETLB gives EINVAL; ENOSYS in the machine's own IPC namespace"),
    Row::call(SYS_shmat, shmat)
        .host(&[SYS_shmctl, SYS_shmdt])
        .partial("SHM_EXEC is refused (EACCES) and audited; an attachment that mremap(2) has moved is no longer one; ENOSYS in the machine's own IPC namespace"),
    Row::call(SYS_shmdt, shmdt).partial(NAMESPACE),
    Row::call(SYS_shmctl, |cx, args| {
        let to = cx.memory().address(word(args[2]));
        call(cx, SYS_shmctl, false, &[args[0], args[1], to, 0, 0, 0])
    })
    .partial(NAMESPACE),
    Row::call(SYS_semget, |cx, args| call(cx, SYS_semget, false, args)).partial(NAMESPACE),
    Row::call(SYS_semctl, semctl).partial(NAMESPACE),
    Row::call(SYS_semop, |cx, args| {
        let operations = cx.memory().address(word(args[1]));
        call(cx, SYS_semop, true, &[args[0], operations, args[2], 0, 0, 0])
    })
    .waits()
    .partial(NAMESPACE),
    Row::call(SYS_semtimedop, |cx, args| {
        let at = |i: usize| cx.memory().address(word(args[i]));
        call(cx, SYS_semtimedop, true, &[args[0], at(1), args[2], at(3), 0, 0])
    })
    .waits()
    .partial(NAMESPACE),
    Row::call(SYS_msgget, |cx, args| call(cx, SYS_msgget, false, args)).partial(NAMESPACE),
    Row::call(SYS_msgctl, |cx, args| {
        let to = cx.memory().address(word(args[2]));
        call(cx, SYS_msgctl, false, &[args[0], args[1], to, 0, 0, 0])
    })
    .partial(NAMESPACE),
    Row::call(SYS_msgsnd, |cx, args| {
        let from = cx.memory().address(word(args[1]));
        call(cx, SYS_msgsnd, true, &[args[0], from, args[2], args[3], 0, 0])
    })
    .waits()
    .partial(NAMESPACE),
    Row::call(SYS_msgrcv, |cx, args| {
        let to = cx.memory().address(word(args[1]));
        call(cx, SYS_msgrcv, true, &[args[0], to, args[2], args[3], args[4], 0])
    })
    .waits()
    .partial(NAMESPACE),
];

/// What is attached counts as mapped memory; what could never be attached is not made.
fn shmget(cx: &Cx<'_>, args: &Args) -> Answer {
    if int(args[2]) & SHM_HUGETLB != 0 {
        return Err(Errno::INVAL.into());
    }
    let size = u64::from(word(args[1]));
    if size > cx.process.host.memory_limit() {
        return Err(Errno::NOMEM.into());
    }
    call(cx, SYS_shmget, false, &[args[0], size, args[2], 0, 0, 0])
}

fn shmat(cx: &Cx<'_>, args: &Args) -> Answer {
    const KNOWN: i32 = SHM_RDONLY | SHM_RND | SHM_REMAP;
    cx.process.host.ipc.judge(cx, SYS_shmat)?;
    let (id, address, flags) = (int(args[0]), word(args[1]), int(args[2]));
    if flags & SHM_EXEC != 0 {
        let program = &cx.process.image.program;
        let reason = "shared memory that can be executed";
        cx.process
            .host
            .audit
            .refuse("shmat", program, reason, "EACCES");
        return Err(Errno::ACCESS.into());
    }
    let segment = Segment::attach(id, flags & SHM_RDONLY)?;
    // What Linux does not know it passes over.
    Ok(cx
        .process
        .space
        .place_segment(segment, address, flags & KNOWN)?
        .into())
}

fn shmdt(cx: &Cx<'_>, args: &Args) -> Answer {
    cx.process.host.ipc.judge(cx, SYS_shmdt)?;
    cx.process.space.detach(word(args[0]))?;
    Ok(0)
}

/// The fourth argument is a number or an address, by the command.
fn semctl(cx: &Cx<'_>, args: &Args) -> Answer {
    const SEM_STAT: i32 = 18;
    const SEM_INFO: i32 = 19;
    const SEM_STAT_ANY: i32 = 20;
    let argument = match int(args[2]) {
        SETVAL => args[3],
        GETALL | SETALL | IPC_STAT | IPC_SET | IPC_INFO | SEM_STAT | SEM_INFO | SEM_STAT_ANY => {
            cx.memory().address(word(args[3]))
        }
        _ => 0,
    };
    call(
        cx,
        SYS_semctl,
        false,
        &[args[0], args[1], args[2], argument, 0, 0],
    )
}
