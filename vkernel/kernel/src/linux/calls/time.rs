//! Clocks, timers and sleeping. Structures are as on x86-64.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, int, word},
    context::Cx,
    process::timers,
    signals::event::HostEvent,
    syscall::{Arg, HostArgs},
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_clock_gettime, clock_gettime),
    Handler::new(SYS_gettimeofday, gettimeofday).host(&[SYS_clock_gettime]),
    Handler::new(SYS_time, time).host(&[SYS_clock_gettime]),
    Handler::new(SYS_timer_create, timer_create).host(&[SYS_timer_delete]),
    Handler::new(SYS_timer_settime, |cx, args| {
        let (flags, new, old) = (args[1].into(), cx.at(args[2]), cx.at(args[3]));
        timer(cx, SYS_timer_settime, args[0], [flags, new, old])
    }),
    Handler::new(SYS_timer_gettime, |cx, args| {
        timer(cx, SYS_timer_gettime, args[0], [cx.at(args[1])])
    }),
    Handler::new(SYS_timer_getoverrun, |cx, args| {
        timer(cx, SYS_timer_getoverrun, args[0], [])
    }),
    Handler::new(SYS_timer_delete, timer_delete),
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
        return cx.host(SYS_gettimeofday, [memory.arg(time), memory.arg(zone)]);
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
    let host_event = event.as_ref().map_or(Arg::NONE, HostEvent::arg);
    let mut id = 0_i32;
    let mut timers = cx.process.sandbox.timers.lock();
    let host = [args[0].into(), host_event, Arg::output(&mut id)];
    cx.host(SYS_timer_create, host)?;
    let told = memory.write(word(args[2]), &id.to_le_bytes());
    match told {
        Ok(()) => timers.push(id),
        Err(_) => timers::delete(id),
    }
    told?;
    Ok(0)
}

/// A call about a timer, which must be one of the guest's.
fn timer<const N: usize>(cx: &Cx<'_>, number: i64, id: u64, rest: [Arg<'_>; N]) -> Answer {
    if cx.process.sandbox.timers.is_own(int(id)) {
        return Err(Errno::INVAL.into());
    }
    let mut host: HostArgs<'_> = [Arg::NONE; 6];
    host[0] = id.into();
    host[1..=N].copy_from_slice(&rest);
    cx.call(number, false, &host)
}

fn timer_delete(cx: &Cx<'_>, args: &Args) -> Answer {
    if cx.process.sandbox.timers.is_own(int(args[0])) {
        return Err(Errno::INVAL.into());
    }
    let mut timers = cx.process.sandbox.timers.lock();
    let deleted = cx.host(SYS_timer_delete, [args[0].into()])?;
    timers.retain(|id| *id != int(args[0]));
    Ok(deleted)
}
