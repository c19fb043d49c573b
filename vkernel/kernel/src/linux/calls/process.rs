//! Processes: the host's own, with its ids, groups, sessions and waiting.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering;

use libc::*;
use megabinary_format::Limit;

use super::super::{
    answer::{Answer, Args, Errno, Stop, int, word},
    context::Cx,
    process::population::Population,
    signals::mask,
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_fork, fork).host(&[SYS_clone, SYS_kill]),
    Handler::new(SYS_vfork, fork).host(&[SYS_clone, SYS_kill]),
    Handler::new(SYS_clone, clone).host(&[SYS_clone, SYS_kill]),
    Handler::new(SYS_exit_group, exit_group),
    Handler::new(SYS_setpgid, setpgid).host(&[SYS_waitid, SYS_getsid]),
    Handler::new(SYS_personality, personality),
    Handler::new(SYS_uname, uname),
    Handler::new(SYS_getpid, |cx, _| Ok(cx.process.id().into())),
];

/// The host does not know which children have executed a program.
fn setpgid(cx: &Cx<'_>, args: &Args) -> Answer {
    let child = int(args[0]);
    let programs = &cx.process.sandbox.programs;
    if int(args[1]) >= 0 && programs.has_executed(child) && is_child(cx, child) {
        let session = |process: i32| cx.host(SYS_getsid, [process.into()]).ok();
        if session(child).is_some_and(|of_child| session(0) == Some(of_child)) {
            return Err(Errno::ACCESS.into());
        }
    }
    cx.host(SYS_setpgid, [args[0].into(), args[1].into()])
}

fn is_child(cx: &Cx<'_>, process: i32) -> bool {
    let how = WEXITED | WNOHANG | WNOWAIT;
    let args = [P_PID.into(), process.into(), Arg::NONE, how.into()];
    cx.host(SYS_waitid, args).is_ok()
}

fn personality(cx: &Cx<'_>, args: &Args) -> Answer {
    /// Only asks.
    const ASKS: u32 = u32::MAX;
    /// Addresses of guests are never chosen at random.
    const HARMLESS: u32 = ADDR_NO_RANDOMIZE as u32;
    let persona = &cx.process.sandbox.persona;
    let before = match word(args[0]) {
        ASKS => persona.load(Ordering::SeqCst),
        wanted if wanted & !HARMLESS == 0 => persona.swap(wanted, Ordering::SeqCst),
        _ => return Err(Errno::INVAL.into()),
    };
    Ok(before.into())
}

/// The host's answer (uname(2)), but for the machine: programs choose by it which machine code they fetch and
/// which they can run.
fn uname(cx: &Cx<'_>, args: &Args) -> Answer {
    const MACHINE: &[u8] = b"wasm32\0";
    /// Bytes of each of the names in `struct utsname`.
    const NAME: usize = 65;
    let mut names = [[0_u8; NAME]; 6];
    cx.host(SYS_uname, [Arg::output(&mut names)])?;
    names[4] = [0; NAME];
    names[4][..MACHINE.len()].copy_from_slice(MACHINE);
    cx.memory().write(word(args[0]), names.as_flattened())?;
    Ok(0)
}

fn fork(cx: &Cx<'_>, _: &Args) -> Answer {
    let (process, thread) = (cx.process, cx.thread);
    let population = process.sandbox.population.as_ref();
    let slot = match population.map(Population::reserve).transpose() {
        Err(_) => {
            process.sandbox.refuse_another("fork", Limit::Processes);
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
