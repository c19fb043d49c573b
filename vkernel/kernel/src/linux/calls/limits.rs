//! Limits and usage. The descriptor limit is special: above it are the vkernel's own.

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, word},
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::pass(SYS_getrlimit, "vp"),
    Row::call(SYS_setrlimit, setrlimit).partial("RLIMIT_NOFILE can be lowered, not raised"),
    Row::call(SYS_prlimit64, prlimit)
        .partial("of the process itself; RLIMIT_NOFILE can be lowered, not raised"),
    Row::pass(SYS_getrusage, "vp"),
];

fn setrlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    set(cx, args[0], word(args[1]), 0)
}

fn prlimit(cx: &Cx<'_>, args: &Args) -> Answer {
    let pid = args[0] as i32;
    if pid != 0 && pid != std::process::id() as i32 {
        return Err(Errno::PERM.into());
    }
    let old = cx.memory().address(word(args[3]));
    match word(args[2]) {
        0 => pass_on(cx, SYS_prlimit64, false, &[0, args[1], 0, old, 0, 0]),
        new => set(cx, args[1], new, old),
    }
}

fn set(cx: &Cx<'_>, resource: u64, new: u32, old: u64) -> Answer {
    let memory = cx.memory();
    let limits = [memory.u64(new)?, memory.u64(new.wrapping_add(8))?];
    let most = cx.process.descriptors().first_own() as u64;
    if resource == u64::from(RLIMIT_NOFILE) && limits[0] > most {
        return Err(Errno::PERM.into());
    }
    let host = [0, resource, limits.as_ptr() as u64, old, 0, 0];
    let answer = pass_on(cx, SYS_prlimit64, false, &host);
    std::hint::black_box(&limits);
    answer
}
