//! The limits of time: a thread of the vkernel's own in each process, which no guest can reach,
//! stop or outlive.
//!
//! The host's means alone would not do: its timers and signals are the guest's own to set and to block,
//! and RLIMIT_CPU ends a process without a word. Wall-clock time counts from the start of the
//! first process, CPU time for each process.
//!
//! Nothing that the guest can block comes before the end: the last words, which go to descriptors that may
//! be full pipes, are written by another thread, which is given [`LAST_WORDS`] to write them. And a process
//! that is stopped has no thread that could end it, so that the host ends it, by a timer
//! with SIGKILL, [`GRACE`] later. (The first process of a container gets no such signal; but it is not
//! stopped either, as long as it is the guest who wants that: pid_namespaces(7).)

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use megabinary_format::Limit;

use crate::audit::Audit;

/// Stack of the thread.
const STACK: usize = 64 << 10;

/// How long last words may take.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How much later the host ends a process that is still there.
const GRACE: Duration = Duration::from_secs(1);

/// Shortest sleep.
const LEAST: Duration = Duration::from_millis(2);

/// The limits of a sandbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When it ends, on the monotonic clock, and the limit in milliseconds.
    wall: Option<(Duration, u64)>,
    /// Milliseconds of CPU time.
    cpu: Option<u64>,
    /// How many may work for a process at a time.
    processors: u32,
}

impl Times {
    /// Limits in milliseconds that begin now.
    pub(crate) fn new(wall: Option<u64>, cpu: Option<u64>) -> Times {
        let end = |ms| now(ClockId::Monotonic).saturating_add(Duration::from_millis(ms));
        Times {
            wall: wall.map(|ms| (end(ms), ms)),
            cpu,
            processors: thread::available_parallelism().map_or(1, |n| n.get() as u32),
        }
    }

    /// Whether there is something to watch.
    pub(crate) fn are_limited(&self) -> bool {
        self.wall.is_some() || self.cpu.is_some()
    }

    /// The host's timers for them: a clock and a time on it.
    pub(crate) fn timers(&self) -> Vec<(i32, Duration)> {
        let wall = self.wall.map(|(end, _)| (libc::CLOCK_MONOTONIC, end));
        let cpu = self.cpu.map(Duration::from_millis);
        let cpu = cpu.map(|limit| (libc::CLOCK_PROCESS_CPUTIME_ID, limit));
        let all = wall.into_iter().chain(cpu);
        all.map(|(clock, end)| (clock, end.saturating_add(GRACE)))
            .collect()
    }

    /// The limit that is reached and its value, or how long none can be.
    fn reached(&self) -> Result<Duration, (Limit, u64)> {
        let mut rest = Duration::MAX;
        if let Some((end, ms)) = self.wall {
            rest = end.saturating_sub(now(ClockId::Monotonic));
            if rest.is_zero() {
                return Err((Limit::WallTime, ms));
            }
        }
        if let Some(ms) = self.cpu {
            let left = Duration::from_millis(ms).saturating_sub(now(ClockId::ProcessCPUTime));
            if left.is_zero() {
                return Err((Limit::CpuTime, ms));
            }
            rest = rest.min(left / self.processors);
        }
        Ok(rest.max(LEAST))
    }
}

fn now(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// Starts the thread. The calling thread has all signals blocked,
/// and so has the new one. `leave` is what a process does when it ends.
pub(crate) fn start(
    times: Times,
    audit: Audit,
    leave: impl Fn() + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            loop {
                match times.reached() {
                    Ok(rest) => thread::sleep(rest),
                    Err((limit, value)) => end(&audit, &leave, limit, value),
                }
            }
        })
        .map(drop)
}

fn end(audit: &Audit, leave: &dyn Fn(), limit: Limit, value: u64) -> ! {
    let said = Arc::new((Mutex::new(false), Condvar::new()));
    let speaker = {
        let (audit, said) = (audit.clone(), Arc::clone(&said));
        thread::Builder::new().stack_size(STACK).spawn(move || {
            last_words(&audit, limit, value);
            *said.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            said.1.notify_one();
        })
    };
    if speaker.is_ok() {
        let done = said.0.lock().unwrap_or_else(PoisonError::into_inner);
        // However that ends, the process does.
        let _ = said.1.wait_timeout_while(done, LAST_WORDS, |done| !*done);
    }
    leave();
    // SAFETY: _exit has no preconditions.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(vkernel_abi::exit::LIMIT)
    }
}

fn last_words(audit: &Audit, limit: Limit, value: u64) {
    // The audit first: nobody else may have its stream.
    audit.limit(limit, value);
    // Nobody else is left to tell if standard error is closed.
    let _ = io::stderr().write_all(crate::signals::ended_by(limit, value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let rest = Times::new(Some(60_000), None).reached().unwrap();
        assert!(rest > Duration::from_secs(59) && rest <= Duration::from_secs(60));
        assert_eq!(
            Times::new(Some(0), None).reached(),
            Err((Limit::WallTime, 0))
        );
        assert_eq!(
            Times::new(None, Some(0)).reached(),
            Err((Limit::CpuTime, 0))
        );
        let rest = Times::new(None, Some(3_600_000)).reached().unwrap();
        assert!(rest < Duration::from_secs(3600));
    }
}
