//! Clocks, timers and sleeping. Structures are as on x86-64.

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, int, word},
    event::HostEvent,
    table::{Row, pass_on},
    timers,
};

pub(super) const ROWS: &[Row] = &[
    Row::call(SYS_clock_gettime, clock_gettime),
    Row::pass(SYS_clock_getres, "vp"),
    Row::pass(SYS_clock_nanosleep, "vvpp").waits(),
    Row::pass(SYS_nanosleep, "pp").waits(),
    Row::call(SYS_gettimeofday, gettimeofday).host(&[SYS_clock_gettime]),
    Row::call(SYS_time, time).host(&[SYS_clock_gettime]),
    Row::pass(SYS_times, "p"),
    Row::pass(SYS_alarm, "v"),
    Row::pass(SYS_getitimer, "vp"),
    Row::pass(SYS_setitimer, "vpp"),
    Row::call(SYS_timer_create, timer_create).host(&[SYS_timer_delete]).partial(
        "SIGEV_THREAD_ID and SIGEV_SIGNAL and SIGEV_NONE; the C library makes SIGEV_THREAD of them",
    ),
    Row::call(SYS_timer_settime, |cx, args| {
        let at = |i: usize| cx.memory().address(word(args[i]));
        timer(cx, SYS_timer_settime, &[args[0], args[1], at(2), at(3), 0, 0])
    }),
    Row::call(SYS_timer_gettime, |cx, args| {
        let to = cx.memory().address(word(args[1]));
        timer(cx, SYS_timer_gettime, &[args[0], to, 0, 0, 0, 0])
    }),
    Row::call(SYS_timer_getoverrun, |cx, args| {
        timer(cx, SYS_timer_getoverrun, args)
    }),
    Row::call(SYS_timer_delete, timer_delete),
    Row::pass(SYS_timerfd_create, "vv"),
    Row::pass(SYS_timerfd_settime, "fvpp"),
    Row::pass(SYS_timerfd_gettime, "fp"),
];

/// A clock's time, by the host's C library, which reads most clocks without entering the host kernel
/// (vdso(7)): programs look at the time before and after all that they do.
fn now(clock: i32) -> Result<timespec, Errno> {
    let mut time = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: any number may be given as a clock; the result is this function's own.
    #[allow(unsafe_code)]
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    match result {
        0 => Ok(time),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}

/// Two numbers of 8 bytes, as `timespec` and `timeval` have.
fn pair(first: i64, second: i64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    bytes
}

fn clock_gettime(cx: &Cx<'_>, args: &Args) -> Answer {
    let time = now(int(args[0]))?;
    let bytes = pair(time.tv_sec, time.tv_nsec);
    cx.memory().write(word(args[1]), &bytes)?;
    Ok(0)
}

fn gettimeofday(cx: &Cx<'_>, args: &Args) -> Answer {
    let (time, zone) = (word(args[0]), word(args[1]));
    if zone != 0 {
        let memory = cx.memory();
        let host = [memory.address(time), memory.address(zone), 0, 0, 0, 0];
        return pass_on(cx, SYS_gettimeofday, false, &host);
    }
    if time != 0 {
        let now = now(CLOCK_REALTIME)?;
        let bytes = pair(now.tv_sec, now.tv_nsec / 1000);
        cx.memory().write(time, &bytes)?;
    }
    Ok(0)
}

fn time(cx: &Cx<'_>, args: &Args) -> Answer {
    // The host's own call counts ticks, too.
    let seconds = now(CLOCK_REALTIME_COARSE)?.tv_sec;
    if word(args[0]) != 0 {
        cx.memory().write(word(args[0]), &seconds.to_le_bytes())?;
    }
    Ok(seconds)
}

fn timer_create(cx: &Cx<'_>, args: &Args) -> Answer {
    let memory = cx.memory();
    let event = match word(args[1]) {
        0 => None,
        pointer => Some(HostEvent::read(memory, pointer)?),
    };
    let known = [SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID];
    if event
        .as_ref()
        .is_some_and(|event| !known.contains(&event.notify()))
    {
        return Err(Errno::INVAL.into());
    }
    let host_event = event.as_ref().map_or(0, HostEvent::address);
    let mut id = 0_i32;
    let host = [args[0], host_event, &raw mut id as u64, 0, 0, 0];
    let mut timers = cx.process.host.timers.lock();
    let made = pass_on(cx, SYS_timer_create, false, &host);
    // The host kernel has read it.
    drop(event);
    made?;
    let told = memory.write(word(args[2]), &id.to_le_bytes());
    match told {
        Ok(()) => timers.push(id),
        Err(_) => timers::delete(id),
    }
    told?;
    Ok(0)
}

/// A call about a timer, which must be one of the guest's.
fn timer(cx: &Cx<'_>, number: i64, host: &Args) -> Answer {
    if cx.process.host.timers.is_own(int(host[0])) {
        return Err(Errno::INVAL.into());
    }
    pass_on(cx, number, false, host)
}

fn timer_delete(cx: &Cx<'_>, args: &Args) -> Answer {
    if cx.process.host.timers.is_own(int(args[0])) {
        return Err(Errno::INVAL.into());
    }
    let mut timers = cx.process.host.timers.lock();
    let deleted = pass_on(cx, SYS_timer_delete, false, args)?;
    timers.retain(|id| *id != int(args[0]));
    Ok(deleted)
}
