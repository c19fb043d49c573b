//! What calls answer while a snapshot is taken: nothing of the machine and the moment, so that the same
//! program gives the same snapshot everywhere. Time is the builder's and moves on when it is asked for;
//! random numbers follow from a seed; there is one processor; files have no times and no numbers, so that
//! what a program remembers of them is looked up again.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, int, word},
    context::Cx,
    process::snapshot::Taking,
    table::row::Function,
};
use crate::sources::Clock;

/// What is done instead of a call, or after it.
#[derive(Clone, Copy)]
pub(crate) enum Fixed {
    /// The call is not made.
    Instead(Function),
    /// The call is made; if it succeeded, this changes what it wrote.
    Afterwards(Function),
}

use Fixed::{Afterwards, Instead};

const CALLS: &[(i64, Fixed)] = &[
    (SYS_clock_gettime, Instead(clock_gettime)),
    (SYS_clock_getres, Instead(clock_getres)),
    (SYS_gettimeofday, Instead(gettimeofday)),
    (SYS_time, Instead(time)),
    (SYS_times, Instead(times)),
    (SYS_getrusage, Instead(getrusage)),
    (SYS_nanosleep, Instead(nanosleep)),
    (SYS_clock_nanosleep, Instead(clock_nanosleep)),
    (SYS_getrandom, Instead(getrandom)),
    (SYS_uname, Instead(uname)),
    (SYS_sysinfo, Instead(sysinfo)),
    (SYS_sched_getaffinity, Instead(sched_getaffinity)),
    (SYS_getcpu, Instead(getcpu)),
    (SYS_stat, Afterwards(|cx, args| stat(cx, word(args[1])))),
    (SYS_lstat, Afterwards(|cx, args| stat(cx, word(args[1])))),
    (SYS_fstat, Afterwards(|cx, args| stat(cx, word(args[1])))),
    (
        SYS_newfstatat,
        Afterwards(|cx, args| stat(cx, word(args[2]))),
    ),
    (SYS_statx, Afterwards(|cx, args| statx(cx, word(args[4])))),
];

/// What is done with a call while a snapshot is taken, if it is not what is always done.
pub(crate) fn of(number: u16) -> Option<Fixed> {
    let mut calls = CALLS.iter();
    let found = calls.find(|(of, _)| *of == i64::from(number));
    found.map(|(_, fixed)| *fixed)
}

fn taking<'a>(cx: &Cx<'a>) -> Result<&'a Taking, Errno> {
    cx.process.sandbox.taking.as_ref().ok_or(Errno::NOSYS)
}

/// The time in nanoseconds.
fn now(cx: &Cx<'_>) -> Result<u64, Errno> {
    Ok(taking(cx)?.sources().now(Clock::Realtime))
}

const SECOND: u64 = 1_000_000_000;

/// Two numbers of 8 bytes: seconds, and nanoseconds divided by `unit`.
fn pair(time: u64, unit: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(time / SECOND).to_le_bytes());
    bytes[8..].copy_from_slice(&(time % SECOND / unit).to_le_bytes());
    bytes
}

fn clock_gettime(cx: &Cx<'_>, args: &Args) -> Answer {
    // Not the clocks of processes and devices, which are named by larger and by negative numbers.
    if !(0..=CLOCK_TAI).contains(&int(args[0])) {
        return Err(Errno::INVAL.into());
    }
    cx.memory().write(word(args[1]), &pair(now(cx)?, 1))?;
    Ok(0)
}

fn clock_getres(cx: &Cx<'_>, args: &Args) -> Answer {
    if !(0..=CLOCK_TAI).contains(&int(args[0])) {
        return Err(Errno::INVAL.into());
    }
    if word(args[1]) != 0 {
        cx.memory().write(word(args[1]), &pair(1, 1))?;
    }
    Ok(0)
}

fn gettimeofday(cx: &Cx<'_>, args: &Args) -> Answer {
    if word(args[0]) != 0 {
        cx.memory().write(word(args[0]), &pair(now(cx)?, 1000))?;
    }
    if word(args[1]) != 0 {
        cx.memory().write(word(args[1]), &[0; 8])?;
    }
    Ok(0)
}

fn time(cx: &Cx<'_>, args: &Args) -> Answer {
    let seconds = now(cx)? / SECOND;
    if word(args[0]) != 0 {
        cx.memory().write(word(args[0]), &seconds.to_le_bytes())?;
    }
    Ok(seconds.cast_signed())
}

fn times(cx: &Cx<'_>, args: &Args) -> Answer {
    /// A tick, of which there are 100 in a second.
    const TICK: u64 = SECOND / 100;
    if word(args[0]) != 0 {
        cx.memory().write(word(args[0]), &[0; 32])?;
    }
    Ok((now(cx)? / TICK).cast_signed())
}

fn getrusage(cx: &Cx<'_>, args: &Args) -> Answer {
    cx.memory().write(word(args[1]), &[0; 144])?;
    Ok(0)
}

/// Waits, which takes no time: the clock is put on.
fn wait(cx: &Cx<'_>, at: u32, is_absolute: bool) -> Answer {
    let memory = cx.memory();
    let (seconds, rest) = (memory.u64(at)?, memory.u64(at.wrapping_add(8))?);
    if rest >= SECOND || seconds.cast_signed() < 0 {
        return Err(Errno::INVAL.into());
    }
    let wanted = seconds.saturating_mul(SECOND).saturating_add(rest);
    let mut sources = taking(cx)?.sources();
    let wanted = match is_absolute {
        true => wanted.saturating_sub(sources.now(Clock::Realtime)),
        false => wanted,
    };
    sources.skip(wanted);
    Ok(0)
}

fn nanosleep(cx: &Cx<'_>, args: &Args) -> Answer {
    wait(cx, word(args[0]), false)
}

fn clock_nanosleep(cx: &Cx<'_>, args: &Args) -> Answer {
    wait(cx, word(args[2]), int(args[1]) & TIMER_ABSTIME != 0)
}

fn getrandom(cx: &Cx<'_>, args: &Args) -> Answer {
    /// Most bytes that are answered at once; callers ask for the rest.
    const MOST: u32 = 1 << 16;
    let mut bytes = vec![0; word(args[1]).min(MOST) as usize];
    taking(cx)?.sources().random(&mut bytes)?;
    cx.memory().write(word(args[0]), &bytes)?;
    Ok(bytes.len() as i64)
}

fn uname(cx: &Cx<'_>, args: &Args) -> Answer {
    /// Size of each of the six strings of `struct utsname`.
    const FIELD: usize = 65;
    let fields = ["Linux", "localhost", "6.1.0", "#1", "wasm32", "(none)"];
    let mut bytes = [0; 6 * FIELD];
    for (to, field) in bytes.chunks_exact_mut(FIELD).zip(fields) {
        to[..field.len()].copy_from_slice(field.as_bytes());
    }
    cx.memory().write(word(args[0]), &bytes)?;
    Ok(0)
}

fn sysinfo(cx: &Cx<'_>, args: &Args) -> Answer {
    /// Where `totalram`, `freeram`, `procs` and `mem_unit` are (sysinfo(2), x86-64).
    const TOTAL: usize = 32;
    const FREE: usize = 40;
    const PROCESSES: usize = 80;
    const UNIT: usize = 104;
    let mut bytes = [0; 112];
    bytes[TOTAL..TOTAL + 8].copy_from_slice(&(4_u64 << 30).to_le_bytes());
    bytes[FREE..FREE + 8].copy_from_slice(&(2_u64 << 30).to_le_bytes());
    bytes[PROCESSES..PROCESSES + 2].copy_from_slice(&1_u16.to_le_bytes());
    bytes[UNIT..UNIT + 4].copy_from_slice(&1_u32.to_le_bytes());
    cx.memory().write(word(args[0]), &bytes)?;
    Ok(0)
}

fn sched_getaffinity(cx: &Cx<'_>, args: &Args) -> Answer {
    if word(args[1]) < 8 || word(args[1]) % 8 != 0 {
        return Err(Errno::INVAL.into());
    }
    cx.memory().write(word(args[2]), &1_u64.to_le_bytes())?;
    Ok(8)
}

fn getcpu(cx: &Cx<'_>, args: &Args) -> Answer {
    for at in args[..2].iter().map(|at| word(*at)).filter(|at| *at != 0) {
        cx.memory().write(at, &[0; 4])?;
    }
    Ok(0)
}

/// What every file has for its device's number and its own.
const NUMBER: u64 = 1;

/// `struct stat` of x86-64: the numbers of device and file come first, the times last.
fn stat(cx: &Cx<'_>, at: u32) -> Answer {
    const TIMES: u32 = 72;
    let memory = cx.memory();
    let numbers = [NUMBER.to_le_bytes(), NUMBER.to_le_bytes()].concat();
    memory.write(at, &numbers)?;
    memory.write(at.wrapping_add(TIMES), &[0; 48])?;
    Ok(0)
}

/// `struct statx`.
fn statx(cx: &Cx<'_>, at: u32) -> Answer {
    const INODE: u32 = 32;
    const TIMES: u32 = 64;
    /// Numbers of the file system's device and of the mount.
    const DEVICE: u32 = 136;
    let memory = cx.memory();
    memory.write(at.wrapping_add(INODE), &NUMBER.to_le_bytes())?;
    memory.write(at.wrapping_add(TIMES), &[0; 64])?;
    memory.write(at.wrapping_add(DEVICE), &[0; 16])?;
    Ok(0)
}
