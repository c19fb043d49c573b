//! Processes: the host's own, with its ids, groups, sessions and waiting.
#![allow(unsafe_code)]

use libc::*;

use super::super::{
    answer::{Answer, Args, Errno, Stop, int, word},
    context::Cx,
    process::population::Population,
    signals::mask,
    table::row::Row,
};

pub(crate) const ROWS: &[Row] = &[
    Row::call(SYS_fork, fork).host(&[SYS_clone, SYS_kill]),
    Row::call(SYS_vfork, fork)
        .host(&[SYS_clone, SYS_kill])
        .partial("a fork: the child has its own memory"),
    Row::call(SYS_clone, clone)
        .host(&[SYS_clone, SYS_kill])
        .partial("with the flags of fork and vfork; threads have their own call; else ENOSYS"),
    Row::call(SYS_exit_group, exit_group),
    Row::pass(SYS_wait4, "vpvp").restarts(),
    Row::pass(SYS_waitid, "vvpvp").restarts(),
    Row::call(SYS_getpid, |cx, _| Ok(cx.process.id().into())),
    Row::pass(SYS_getppid, ""),
    Row::pass(SYS_gettid, ""),
    Row::pass(SYS_getpgid, "v"),
    Row::pass(SYS_getpgrp, ""),
    Row::pass(SYS_setpgid, "vv"),
    Row::pass(SYS_getsid, "v"),
    Row::pass(SYS_setsid, ""),
    Row::pass(SYS_getuid, ""),
    Row::pass(SYS_geteuid, ""),
    Row::pass(SYS_getgid, ""),
    Row::pass(SYS_getegid, ""),
    Row::pass(SYS_getresuid, "ppp"),
    Row::pass(SYS_getresgid, "ppp"),
    Row::pass(SYS_getgroups, "vp"),
    Row::pass(SYS_setuid, "v"),
    Row::pass(SYS_setgid, "v"),
    Row::pass(SYS_setreuid, "vv"),
    Row::pass(SYS_setregid, "vv"),
    Row::pass(SYS_setresuid, "vvv"),
    Row::pass(SYS_setresgid, "vvv"),
    Row::pass(SYS_setfsuid, "v"),
    Row::pass(SYS_setfsgid, "v"),
    Row::pass(SYS_setgroups, "vp"),
    Row::pass(SYS_capget, "pp"),
    Row::pass(SYS_capset, "pp"),
    Row::pass(SYS_uname, "p"),
    Row::pass(SYS_sysinfo, "p"),
    Row::pass(SYS_getpriority, "vv"),
    Row::pass(SYS_setpriority, "vvv"),
    Row::pass(SYS_sched_yield, ""),
    Row::pass(SYS_sched_getaffinity, "vvp"),
    Row::pass(SYS_sched_setaffinity, "vvp"),
    Row::pass(SYS_sched_getscheduler, "v"),
    Row::pass(SYS_sched_setscheduler, "vvp"),
    Row::pass(SYS_sched_getparam, "vp"),
    Row::pass(SYS_sched_setparam, "vp"),
    Row::pass(SYS_sched_get_priority_max, "v"),
    Row::pass(SYS_sched_get_priority_min, "v"),
    Row::pass(SYS_sched_rr_get_interval, "vp"),
    Row::pass(SYS_getcpu, "ppp"),
    Row::pass(SYS_getrandom, "pvv").restarts(),
];

fn fork(cx: &Cx<'_>, _: &Args) -> Answer {
    let (process, thread) = (cx.process, cx.thread);
    let population = process.sandbox.population.as_ref();
    let slot = match population.map(Population::reserve).transpose() {
        Err(_) => {
            process.sandbox.refuse_another("fork", "processes_max");
            return Err(Errno::AGAIN.into());
        }
        Ok(slot) => population.zip(slot),
    };
    // Nothing of the vkernel's is half-done in the child: its locks are held by this thread, and
    // no handler runs on either side until both are in order. The C library does the same for its
    // own. If there is no other guest thread, nobody holds any (the watchdog takes none): then they
    // are not touched, since what one of the two processes writes after the fork is copied first, a
    // page for a lock.
    let alone = cx.alone();
    let locks = (!alone).then(|| {
        (
            process.space.lock(),
            process.actions(),
            process.sandbox.paths.private.settled(),
        )
    });
    let threads = process.before_fork();
    let timers = &process.sandbox.timers;
    let mut timers = (!alone || timers.are_used()).then(|| timers.lock());
    mask::set_mask(u64::MAX);
    // SAFETY: the child goes on in this very thread; see above for locks.
    let child = unsafe { libc::fork() };
    let error = Errno::from_io_error(&std::io::Error::last_os_error());
    if child == 0 {
        // The host gives it none (fork(2)).
        if let Some(timers) = &mut timers {
            timers.clear();
        }
    }
    drop((locks, timers));
    if let Some((population, slot)) = slot {
        match child {
            -1 => population.settle(slot, 0),
            0 => population.settle_own(slot),
            child => population.settle_child(slot, child),
        }
    }
    match child {
        0 => {
            process.after_fork(threads);
            thread.forget_signals();
        }
        _ => drop(threads),
    }
    thread.set_mask(thread.mask());
    match child {
        -1 => Err(error.unwrap_or(Errno::AGAIN).into()),
        child => Ok(child.into()),
    }
}

fn clone(cx: &Cx<'_>, args: &Args) -> Answer {
    let flags = args[0].cast_signed();
    let plain = i64::from(CLONE_VM | CLONE_VFORK);
    // A child on a stack of its own would need a second stack of compiled code.
    if flags & !plain != i64::from(SIGCHLD) || word(args[1]) != 0 {
        return Err(Errno::NOSYS.into());
    }
    fork(cx, args)
}

fn exit_group(cx: &Cx<'_>, args: &Args) -> Result<i64, Stop> {
    cx.process.exit_group(cx.thread, int(args[0]))
}
