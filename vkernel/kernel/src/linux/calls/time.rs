//! Clocks, timers and sleeping. Structures are as on x86-64.

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, word},
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::pass(SYS_clock_gettime, "vp"),
    Row::pass(SYS_clock_getres, "vp"),
    Row::pass(SYS_clock_nanosleep, "vvpp").waits(),
    Row::pass(SYS_nanosleep, "pp").waits(),
    Row::pass(SYS_gettimeofday, "pp"),
    Row::pass(SYS_time, "p"),
    Row::pass(SYS_times, "p"),
    Row::pass(SYS_alarm, "v"),
    Row::pass(SYS_getitimer, "vp"),
    Row::pass(SYS_setitimer, "vpp"),
    Row::call(SYS_timer_create, timer_create).partial(
        "SIGEV_THREAD_ID and SIGEV_SIGNAL and SIGEV_NONE; the C library makes SIGEV_THREAD of them",
    ),
    Row::pass(SYS_timer_settime, "vvpp"),
    Row::pass(SYS_timer_gettime, "vp"),
    Row::pass(SYS_timer_getoverrun, "v"),
    Row::pass(SYS_timer_delete, "v"),
    Row::pass(SYS_timerfd_create, "vv"),
    Row::pass(SYS_timerfd_settime, "fvpp"),
    Row::pass(SYS_timerfd_gettime, "fp"),
];

/// The guest's `sigevent` begins with a value of 4 bytes, the host's with one of 8.
fn timer_create(cx: &Cx<'_>, args: &Args) -> Answer {
    let memory = cx.memory();
    let mut event = [0_u8; 64];
    let host_event = match word(args[1]) {
        0 => 0,
        pointer => {
            let guest: [u8; 16] = memory.array(pointer)?;
            let notify = i32::from_le_bytes([guest[8], guest[9], guest[10], guest[11]]);
            if ![SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID].contains(&notify) {
                return Err(Errno::INVAL.into());
            }
            event[..4].copy_from_slice(&guest[..4]);
            event[8..20].copy_from_slice(&guest[4..16]);
            event.as_ptr() as u64
        }
    };
    let host = [args[0], host_event, memory.address(word(args[2])), 0, 0, 0];
    pass_on(cx, SYS_timer_create, false, &host)
}
