//! Where a process gets the time and randomness from.
//!
//! Two sources: the host's, and a fixed one for snapshots, whose every answer follows from a seed
//! and a start time, so that building an image twice gives the same bytes. Not here: waiting.
//!
//! Invariant: with [`Source::Fixed`] no answer depends on the host.

use rustix::{
    io::Errno,
    rand::GetRandomFlags,
    time::{ClockId, Timespec},
};

use crate::fs::retry;

/// Which source to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The host's clocks and its random number generator.
    #[default]
    Host,
    /// Reproducible: every clock starts at `time_ns`, advances by a microsecond each time it is
    /// asked and by what the guest waits; random bytes follow from `seed`.
    Fixed {
        /// Seed of the random bytes.
        seed: u64,
        /// Start time in nanoseconds since 1970-01-01 UTC.
        time_ns: u64,
    },
}

/// A clock of POSIX clock_gettime(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    Realtime,
    Monotonic,
    ProcessCpu,
    ThreadCpu,
}

/// The state of a source.
#[derive(Debug)]
pub(crate) enum Sources {
    Host,
    Fixed { random: u64, now: u64 },
}

/// What one question costs in fixed time: so that a guest which waits by asking gets somewhere.
const STEP_NS: u64 = 1_000;

impl Sources {
    pub(crate) fn new(source: Source) -> Sources {
        match source {
            Source::Host => Sources::Host,
            Source::Fixed { seed, time_ns } => Sources::Fixed {
                random: seed,
                now: time_ns,
            },
        }
    }

    /// Whether answers must not depend on the host.
    pub(crate) fn fixed(&self) -> bool {
        matches!(self, Sources::Fixed { .. })
    }

    /// The time in nanoseconds.
    pub(crate) fn now(&mut self, clock: Clock) -> u64 {
        match self {
            Sources::Host => nanoseconds(rustix::time::clock_gettime(id(clock))),
            Sources::Fixed { now, .. } => {
                *now = now.saturating_add(STEP_NS);
                *now
            }
        }
    }

    /// The resolution in nanoseconds.
    pub(crate) fn resolution(&self, clock: Clock) -> u64 {
        match self {
            Sources::Host => nanoseconds(rustix::time::clock_getres(id(clock))),
            Sources::Fixed { .. } => STEP_NS,
        }
    }

    /// Whether waiting is simulated: then this moves the clock and nothing sleeps.
    pub(crate) fn skip(&mut self, nanoseconds: u64) -> bool {
        match self {
            Sources::Host => false,
            Sources::Fixed { now, .. } => {
                *now = now.saturating_add(nanoseconds);
                true
            }
        }
    }

    /// Fills `bytes` with random ones.
    pub(crate) fn random(&mut self, mut bytes: &mut [u8]) -> Result<(), Errno> {
        match self {
            Sources::Host => {
                while !bytes.is_empty() {
                    let got =
                        retry(|| rustix::rand::getrandom(&mut *bytes, GetRandomFlags::empty()))?;
                    bytes = bytes.get_mut(got..).unwrap_or_default();
                }
            }
            Sources::Fixed { random, .. } => {
                for chunk in bytes.chunks_mut(8) {
                    let word = split_mix(random).to_le_bytes();
                    chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
                }
            }
        }
        Ok(())
    }
}

fn id(clock: Clock) -> ClockId {
    match clock {
        Clock::Realtime => ClockId::Realtime,
        Clock::Monotonic => ClockId::Monotonic,
        Clock::ProcessCpu => ClockId::ProcessCPUTime,
        Clock::ThreadCpu => ClockId::ThreadCPUTime,
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    let all = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(all.max(0)).unwrap_or(u64::MAX)
}

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014): not
/// for secrets, which a snapshot cannot have anyway.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_is_reproducible() {
        let run = || {
            let mut sources = Sources::new(Source::Fixed {
                seed: 1,
                time_ns: 5,
            });
            let mut bytes = [0; 13];
            sources.random(&mut bytes).unwrap();
            assert!(sources.skip(100));
            (
                bytes,
                sources.now(Clock::Realtime),
                sources.now(Clock::Monotonic),
            )
        };
        assert_eq!(run(), run());
        let (bytes, first, second) = run();
        assert_ne!(bytes, [0; 13]);
        assert_eq!((first, second), (1_105, 2_105));
    }

    #[test]
    fn host_moves_on() {
        let mut sources = Sources::new(Source::Host);
        let first = sources.now(Clock::Monotonic);
        assert!(sources.now(Clock::Monotonic) >= first);
        assert!(sources.now(Clock::Realtime) > 1_500_000_000_000_000_000);
        assert!(!sources.skip(1));
        let mut bytes = [0; 64];
        sources.random(&mut bytes).unwrap();
        assert_ne!(bytes, [0; 64]);
    }
}
