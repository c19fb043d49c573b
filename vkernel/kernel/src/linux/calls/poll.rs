//! Waiting for several descriptors.

use libc::*;

use super::super::{
    call::{Answer, Args, Cx, word},
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::pass(SYS_poll, "pvv").waits(),
    Row::pass(SYS_ppoll, "pvppv").waits(),
    Row::pass(SYS_select, "vpppp").waits(),
    Row::call(SYS_pselect6, pselect).waits(),
    Row::pass(SYS_epoll_create, "v"),
    Row::pass(SYS_epoll_create1, "v"),
    Row::pass(SYS_epoll_ctl, "fvfp"),
    Row::pass(SYS_epoll_wait, "fpvv").waits(),
    Row::pass(SYS_epoll_pwait, "fpvvpv").waits(),
    Row::pass(SYS_epoll_pwait2, "fpvppv").waits(),
    Row::pass(SYS_eventfd, "v"),
    Row::pass(SYS_eventfd2, "vv"),
];

/// The last argument leads to an address and a size: the address is the guest's.
fn pselect(cx: &Cx<'_>, args: &Args) -> Answer {
    let memory = cx.memory();
    let mut mask = [0_u64; 2];
    let last = match word(args[5]) {
        0 => 0,
        pointer => {
            mask = [
                memory.address(memory.u32(pointer)?),
                memory.u64(pointer + 8)?,
            ];
            mask.as_ptr() as u64
        }
    };
    let at = |i: usize| memory.address(word(args[i]));
    let host = [args[0], at(1), at(2), at(3), at(4), last];
    let answer = pass_on(cx, SYS_pselect6, true, &host);
    // The host kernel reads it, which the compiler cannot see.
    std::hint::black_box(&mask);
    answer
}
