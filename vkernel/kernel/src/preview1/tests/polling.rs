//! `poll_oneoff`.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    Source,
    preview1::types::{Event, Eventrwflags, Eventtype},
};

/// A subscription as it lies in memory: `(userdata, tag, body)`.
enum Sub {
    /// Clock, timeout in nanoseconds, absolute or not.
    Clock(u32, u64, bool),
    Read(u32),
    Write(u32),
}
use Sub::*;

fn poll(s: &mut Sandbox, subs: &[Sub]) -> Outcome<Vec<Event>> {
    let mut raw = Vec::new();
    for (number, sub) in (100_u64..).zip(subs) {
        let mut one = [0; 48];
        one[..8].copy_from_slice(&number.to_le_bytes());
        match sub {
            Clock(id, timeout, absolute) => {
                one[16..20].copy_from_slice(&id.to_le_bytes());
                one[24..32].copy_from_slice(&timeout.to_le_bytes());
                one[40] = u8::from(*absolute);
            }
            Read(fd) | Write(fd) => {
                one[8] = if matches!(sub, Read(_)) { 1 } else { 2 };
                one[16..20].copy_from_slice(&fd.to_le_bytes());
            }
        }
        raw.extend(one);
    }
    let (at, _) = s.put(&raw);
    let count = subs.len() as i32;
    s.call(|p, m| wasi::poll_oneoff(p, m, at, 32768, count, 64))?;
    let count: u32 = s.load(64);
    Ok((0..count).map(|n| s.load(32768 + 32 * n)).collect())
}

fn summary(events: &[Event]) -> Vec<(u64, Eventtype, Errno)> {
    let one = |event: &Event| (event.userdata, event.type_, event.error);
    events.iter().map(one).collect()
}

const MS: u64 = 1_000_000;

#[test]
fn clocks() {
    let mut s = Sandbox::bare(builder());
    let clock = [(100, Eventtype::Clock, Errno::Success)];
    for id in [0, 1] {
        let start = Instant::now();
        let events = poll(&mut s, &[Clock(id, 20 * MS, false)]).unwrap();
        assert_eq!(summary(&events), clock);
        let took = start.elapsed();
        assert!(
            took >= Duration::from_millis(20) && took < Duration::from_secs(5),
            "{took:?}"
        );
        // Absolute: long past, and a little ahead.
        let events = poll(&mut s, &[Clock(id, 1, true)]).unwrap();
        assert_eq!(summary(&events), clock);
        s.call(|p, m| wasi::clock_time_get(p, m, id as i32, 0, 8))
            .unwrap();
        let now = s.load::<u64>(8);
        let start = Instant::now();
        poll(&mut s, &[Clock(id, now + 20 * MS, true)]).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(15));
    }
    // The earliest comes first; those that are due come in their order.
    let events = poll(&mut s, &[Clock(1, u64::MAX, false), Clock(1, MS, false)]).unwrap();
    assert_eq!(summary(&events), [(101, Eventtype::Clock, Errno::Success)]);
    let events = poll(&mut s, &[Clock(1, 0, false), Clock(0, 0, false)]).unwrap();
    assert_eq!(
        events.iter().map(|e| e.userdata).collect::<Vec<_>>(),
        [100, 101]
    );
    assert_eq!(
        poll(&mut s, &[Clock(2, 0, false)]).err(),
        Some(Errno::Inval)
    );
    assert_eq!(
        poll(&mut s, &[Clock(9, 0, false)]).err(),
        Some(Errno::Inval)
    );
    assert_eq!(poll(&mut s, &[]).err(), Some(Errno::Inval));
}

#[test]
fn descriptors() {
    let (input, mut feed) = std::io::pipe().unwrap();
    let null = || {
        File::options()
            .write(true)
            .open("/dev/null")
            .unwrap()
            .into()
    };
    let stdio = Stdio::Given([input.into(), null(), null()]);
    let mut s = Sandbox::bare(ProcessBuilder::new().stdio(stdio));
    let events = poll(&mut s, &[Read(0), Write(1), Clock(1, 0, false)]).unwrap();
    assert_eq!(
        summary(&events),
        [
            (101, Eventtype::FdWrite, Errno::Success),
            (102, Eventtype::Clock, Errno::Success)
        ]
    );
    let events = poll(&mut s, &[Read(0), Clock(1, 5 * MS, false)]).unwrap();
    assert_eq!(
        summary(&events),
        [(101, Eventtype::Clock, Errno::Success)],
        "nothing to read"
    );
    feed.write_all(b"12345").unwrap();
    let events = poll(&mut s, &[Clock(1, 1000 * MS, false), Read(0)]).unwrap();
    assert_eq!(summary(&events), [(101, Eventtype::FdRead, Errno::Success)]);
    assert_eq!(events[0].fd_readwrite.nbytes, 5);
    assert_eq!(events[0].fd_readwrite.flags, Eventrwflags::empty());
    drop(feed);
    s.read(0, 5).unwrap();
    let events = poll(&mut s, &[Read(0)]).unwrap();
    assert_eq!(events[0].fd_readwrite.nbytes, 0);
    assert_eq!(
        events[0].fd_readwrite.flags,
        Eventrwflags::FD_READWRITE_HANGUP
    );
    assert_eq!(
        poll(&mut s, &[Read(99), Clock(1, 0, false)]).err(),
        Some(Errno::Badf)
    );
    assert_eq!(poll(&mut s, &[Write(99)]).err(), Some(Errno::Badf));
}

#[test]
fn files() {
    both(|s| {
        std::fs::write(s.host("f"), b"12345").unwrap();
        let fd = s.open(ROOT, "f", WRITE).unwrap();
        let events = poll(s, &[Read(fd), Write(fd)]).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].fd_readwrite.nbytes, 5);
        s.seek(fd, 0, 2).unwrap();
        let events = poll(s, &[Read(fd)]).unwrap();
        assert_eq!(
            events[0].fd_readwrite.flags,
            Eventrwflags::FD_READWRITE_HANGUP
        );
        assert_eq!(poll(s, &[Read(ROOT)]).err(), Some(Errno::Badf));
    });
}

#[test]
fn woken_by_another_thread() {
    let (input, mut feed) = std::io::pipe().unwrap();
    let null = || {
        File::options()
            .write(true)
            .open("/dev/null")
            .unwrap()
            .into()
    };
    let mut s =
        Sandbox::bare(ProcessBuilder::new().stdio(Stdio::Given([input.into(), null(), null()])));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            feed.write_all(b"x").unwrap();
        });
        let start = Instant::now();
        let events = poll(&mut s, &[Read(0), Clock(1, 60_000 * MS, false)]).unwrap();
        assert_eq!(summary(&events), [(100, Eventtype::FdRead, Errno::Success)]);
        assert!(start.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn fixed_time_does_not_wait() {
    let source = Source::Fixed {
        seed: 0,
        time_ns: 1,
    };
    let mut s = Sandbox::bare(builder().source(source));
    let start = Instant::now();
    let hour = 3_600_000 * MS;
    poll(&mut s, &[Clock(1, hour, false)]).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    s.call(|p, m| wasi::clock_time_get(p, m, 1, 0, 8)).unwrap();
    let now = s.load::<u64>(8);
    assert!(now > hour && now < hour + MS, "{now}");
}

#[test]
fn hostile() {
    let mut s = Sandbox::bare(builder());
    let end = SIZE as i32;
    for (subs, events, count) in [(end, 0, 1), (-48, 0, 1), (0, end, 1), (0, 0, 2000)] {
        let got = s.call(|p, m| wasi::poll_oneoff(p, m, subs, events, count, 64));
        assert_eq!(got, Err(Errno::Fault), "{subs} {events} {count}");
    }
    let got = s.call(|p, m| wasi::poll_oneoff(p, m, 0, 0, -1, 64));
    assert_eq!(got, Err(Errno::Nomem));
    let (at, _) = s.put(&[0, 0, 0, 0, 0, 0, 0, 0, 9]);
    let got = s.call(|p, m| wasi::poll_oneoff(p, m, at, 0, 1, 64));
    assert_eq!(got, Err(Errno::Inval), "unknown kind of event");
}
