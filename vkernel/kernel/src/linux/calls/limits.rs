//! Limits and usage. The descriptor limit is special: above it are the vkernel's own, so that the
//! host's hard limit stays where it is and the guest's is only remembered.

use std::sync::atomic::Ordering;

use libc::*;
use rustix::{
    io::Errno,
    process::{self, Resource, Rlimit},
};

use super::super::{
    call::{Answer, Args, Cx, word},
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::call(SYS_getrlimit, getrlimit),
    Row::call(SYS_setrlimit, setrlimit).partial("RLIMIT_NOFILE can be lowered, not raised"),
    Row::call(SYS_prlimit64, prlimit)
        .partial("of the process itself; RLIMIT_NOFILE can be lowered, not raised"),
    Row::pass(SYS_getrusage, "vp"),
];

fn getrlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    let to = word(args[1]);
    if args[0] as u32 == RLIMIT_NOFILE {
        cx.memory()
            .write(to, &files(cx).map(u64::to_le_bytes).concat())?;
        return Ok(0);
    }
    pass_on(
        cx,
        SYS_getrlimit,
        false,
        &[args[0], cx.memory().address(to), 0, 0, 0, 0],
    )
}

fn setrlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    set(cx, args[0], word(args[1]), 0)
}

fn prlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    let pid = args[0] as i32;
    if pid != 0 && pid != std::process::id() as i32 {
        return Err(Errno::PERM.into());
    }
    match (word(args[2]), word(args[3])) {
        (0, 0) => pass_on(cx, SYS_prlimit64, false, &[0, args[1], 0, 0, 0, 0]),
        (0, old) => getrlimit(cx, &[args[1], old.into(), 0, 0, 0, 0]),
        (new, old) => set(cx, args[1], new, old),
    }
}

fn set(cx: &Cx<'_>, resource: u64, new: u32, old: u32) -> Answer {
    let memory = cx.memory();
    let limits = [memory.u64(new)?, memory.u64(new.wrapping_add(8))?];
    if resource as u32 == RLIMIT_NOFILE {
        return set_files(cx, limits, old);
    }
    let most = cx.process.host.index.policy.file_size_max;
    if resource as u32 == RLIMIT_FSIZE && most.is_some_and(|most| limits[1] > most) {
        return Err(Errno::PERM.into());
    }
    let old = memory.address(old);
    let host = [0, resource, limits.as_ptr() as u64, old, 0, 0];
    let answer = pass_on(cx, SYS_prlimit64, false, &host);
    std::hint::black_box(&limits);
    answer
}

/// The guest's limits of descriptors: soft, hard.
fn files(cx: &Cx<'_>) -> [u64; 2] {
    let _settled = cx.process.host.paths.private.settled();
    let soft = getrlimit_of_host().current.unwrap_or(u64::MAX);
    [soft, cx.process.host.files_hard.load(Ordering::SeqCst)]
}

fn set_files(cx: &Cx<'_>, [soft, hard]: [u64; 2], old: u32) -> Answer {
    let before = files(cx);
    let most = cx.process.descriptors().first_own() as u64;
    if soft > hard {
        return Err(Errno::INVAL.into());
    }
    if soft > most || hard > before[1] {
        return Err(Errno::PERM.into());
    }
    if old != 0 {
        cx.memory()
            .write(old, &before.map(u64::to_le_bytes).concat())?;
    }
    let _settled = cx.process.host.paths.private.settled();
    let new = Rlimit {
        current: Some(soft),
        maximum: getrlimit_of_host().maximum,
    };
    process::setrlimit(Resource::Nofile, new)?;
    cx.process.host.files_hard.store(hard, Ordering::SeqCst);
    Ok(0)
}

fn getrlimit_of_host() -> Rlimit {
    process::getrlimit(Resource::Nofile)
}
