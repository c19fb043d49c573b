//! Waiting: `poll_oneoff` on clocks and descriptors, by ppoll(2).
//!
//! All times are turned into points on the monotonic clock when the call starts, so that neither
//! interruptions nor changes of the host's date stretch a wait. Events come in the order of their
//! subscriptions. Invariant: returns with at least one event or with an error.

use std::os::fd::BorrowedFd;

use rustix::{
    event::{PollFd, PollFlags},
    fs::Timespec,
    io::Errno as Host,
};
use wiggle::{GuestMemory, GuestPtr};

use super::{
    errno::Result,
    types::{
        Clockid, Errno, Event, EventFdReadwrite, Eventrwflags, Eventtype, Subclockflags,
        Subscription, SubscriptionClock, SubscriptionU,
    },
};
use crate::{
    fs::{Files, table::Object},
    sources::{Clock, Sources},
};

/// Most subscriptions in one call; wasmtime bounds them too, also with NOMEM.
const SUBSCRIPTIONS_MAX: u32 = 1 << 16;

/// What a subscription waits for.
enum Wait<'f> {
    /// A point on the monotonic clock, in nanoseconds.
    Until(u64),
    /// A host descriptor, ready for reading or writing.
    Host(BorrowedFd<'f>, Direction),
    /// An internal file, which is always ready: this much is left to read.
    Ready(u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

pub(super) fn oneoff(
    files: &Files,
    sources: &mut Sources,
    memory: &mut GuestMemory<'_>,
    subscriptions: GuestPtr<Subscription>,
    events: GuestPtr<Event>,
    count: u32,
) -> Result<u32> {
    if count == 0 {
        return Err(Errno::Inval.into());
    }
    if count > SUBSCRIPTIONS_MAX {
        return Err(Errno::Nomem.into());
    }
    let now = sources.now(Clock::Monotonic);
    let mut waits = Vec::new();
    for number in 0..count {
        let subscription = memory.read(subscriptions.add(number)?)?;
        let wait = match subscription.u {
            SubscriptionU::Clock(clock) => Wait::Until(deadline(sources, now, &clock)?),
            SubscriptionU::FdRead(fd) => {
                on_descriptor(files, fd.file_descriptor.into(), Direction::Read)?
            }
            SubscriptionU::FdWrite(fd) => {
                on_descriptor(files, fd.file_descriptor.into(), Direction::Write)?
            }
        };
        waits.push((subscription.userdata, wait));
    }
    let mut written = 0;
    for event in wait(sources, &waits)? {
        memory.write(events.add(written)?, event)?;
        written += 1;
    }
    Ok(written)
}

fn deadline(sources: &mut Sources, now: u64, clock: &SubscriptionClock) -> Result<u64> {
    let absolute = clock
        .flags
        .contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
    match (clock.id, absolute) {
        (Clockid::Realtime | Clockid::Monotonic, false) => Ok(now.saturating_add(clock.timeout)),
        (Clockid::Monotonic, true) => Ok(clock.timeout),
        (Clockid::Realtime, true) => {
            let date = sources.now(Clock::Realtime);
            Ok(now.saturating_add(clock.timeout.saturating_sub(date)))
        }
        // Nothing can wait on the processor-time clocks.
        _ => Err(Errno::Inval.into()),
    }
}

fn on_descriptor(files: &Files, fd: u32, direction: Direction) -> Result<Wait<'_>> {
    match (&files.table.get(fd)?.object, direction) {
        (Object::File(_), _) => Ok(Wait::Host(files.host_file(fd)?, direction)),
        (
            Object::TreeFile {
                tree,
                node,
                position,
            },
            Direction::Read,
        ) => Ok(Wait::Ready(
            tree.len(Some(*node))?.saturating_sub(*position),
        )),
        _ => Err(Errno::Badf.into()),
    }
}

/// Waits until something happened, and tells what.
fn wait(sources: &mut Sources, waits: &[(u64, Wait<'_>)]) -> Result<Vec<Event>> {
    let mut polled: Vec<PollFd<'_>> = Vec::new();
    let mut earliest: Option<u64> = None;
    for (_, wait) in waits {
        match wait {
            Wait::Until(time) => {
                earliest = Some(earliest.map_or(*time, |other| other.min(*time)));
            }
            Wait::Ready(_) => earliest = Some(0),
            Wait::Host(fd, direction) => {
                let interest = match direction {
                    Direction::Read => PollFlags::IN,
                    Direction::Write => PollFlags::OUT,
                };
                polled.push(PollFd::from_borrowed_fd(*fd, interest));
            }
        }
    }
    loop {
        let now = sources.now(Clock::Monotonic);
        let rest = earliest.map(|time| time.saturating_sub(now));
        let simulated = matches!(sources, Sources::Fixed { .. });
        let timeout = rest.map(|rest| timespec(if simulated { 0 } else { rest }));
        let ready = match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Err(Host::INTR) => continue,
            ready => ready?,
        };
        if ready == 0
            && let Some(rest) = rest
        {
            sources.skip(rest);
        }
        let now = sources.now(Clock::Monotonic);
        let events = collect(waits, &polled, now);
        if !events.is_empty() {
            return Ok(events);
        }
    }
}

fn collect(waits: &[(u64, Wait<'_>)], polled: &[PollFd<'_>], now: u64) -> Vec<Event> {
    let mut polled = polled.iter();
    let mut events = Vec::new();
    for (userdata, wait) in waits {
        let none = Eventrwflags::empty();
        let hangup = Eventrwflags::FD_READWRITE_HANGUP;
        let found = match wait {
            Wait::Until(time) if *time <= now => Some((Errno::Success, Eventtype::Clock, 0, none)),
            Wait::Until(_) => None,
            Wait::Ready(left) => {
                let flags = if *left == 0 { hangup } else { none };
                Some((Errno::Success, Eventtype::FdRead, *left, flags))
            }
            Wait::Host(fd, direction) => {
                let result = polled.next().map_or(PollFlags::empty(), PollFd::revents);
                (!result.is_empty()).then(|| on_host(*fd, *direction, result))
            }
        };
        if let Some((error, type_, nbytes, flags)) = found {
            events.push(Event {
                userdata: *userdata,
                error,
                type_,
                fd_readwrite: EventFdReadwrite { nbytes, flags },
            });
        }
    }
    events
}

fn on_host(
    fd: BorrowedFd<'_>,
    direction: Direction,
    result: PollFlags,
) -> (Errno, Eventtype, u64, Eventrwflags) {
    let error = match result.contains(PollFlags::NVAL) {
        true => Errno::Badf,
        false => Errno::Success,
    };
    let mut flags = Eventrwflags::empty();
    if result.contains(PollFlags::HUP) {
        flags |= Eventrwflags::FD_READWRITE_HANGUP;
    }
    if direction == Direction::Write {
        // How much would fit is not known: something does.
        return (error, Eventtype::FdWrite, 1, flags);
    }
    // Listening sockets and some devices cannot say how much there is.
    let bytes = rustix::io::ioctl_fionread(fd);
    if bytes == Ok(0) && is_regular(fd) {
        flags |= Eventrwflags::FD_READWRITE_HANGUP;
    }
    (error, Eventtype::FdRead, bytes.unwrap_or(1), flags)
}

fn is_regular(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
    })
}

/// Longer waits than the kernel counts are as good as endless: cut to a century.
fn timespec(nanoseconds: u64) -> Timespec {
    const CENTURY: u64 = 3_155_760_000;
    Timespec {
        tv_sec: (nanoseconds / 1_000_000_000).min(CENTURY) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as _,
    }
}
