//! The size of files: a limit of the host's, which holds for all that the process writes but the
//! audit stream: a guest may lower the limit, and must not cut its own record by that.
//!
//! So the host's hard limit stays as it is, and the soft one is out of the way while an event is
//! written ([`without_limit`]).

use std::{
    io,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// No limit.
const NONE: u64 = u64::MAX;

/// The soft limit that was set here; [`NONE`] if none was.
static SOFT: AtomicU64 = AtomicU64::new(NONE);

/// The host's hard limit when one was.
static HARD: AtomicU64 = AtomicU64::new(NONE);

/// What [`without_limit`] calls where there is a limit.
pub const HOST_CALLS: &[i64] = &[libc::SYS_prlimit64];

/// Lowers the size of files that can be written (setrlimit(2), RLIMIT_FSIZE). Beyond it a write
/// gives EFBIG, and SIGXFSZ where that is not ignored.
pub fn limit_size(most: u64) -> io::Result<()> {
    let now = getrlimit(Resource::Fsize).current;
    set_size(now.unwrap_or(NONE).min(most))
}

/// The thread that changes the limit, as [`here`] says it; 0 for none.
static CHANGES: AtomicUsize = AtomicUsize::new(0);

/// What no other live thread of the process has.
fn here() -> usize {
    thread_local! {
        static OWN: u8 = const { 0 };
    }
    OWN.with(|own| std::ptr::from_ref(own) as usize)
}

/// Does something while no other thread changes the limit: one that is done would else cut what
/// another still writes. Not if the caller is in here already, which a signal has interrupted.
///
/// Spins, for as long as one event is written: handlers of signals may not wait for locks.
fn alone<T>(act: impl FnOnce(bool) -> T) -> T {
    let own = here();
    if CHANGES.load(Ordering::SeqCst) == own {
        return act(false);
    }
    let order = Ordering::SeqCst;
    while CHANGES.compare_exchange(0, own, order, order).is_err() {
        std::hint::spin_loop();
    }
    let result = act(true);
    CHANGES.store(0, order);
    result
}

/// In the child of a `fork`, whose only thread calls: others may have been changing the limit.
pub(crate) fn after_fork() {
    CHANGES.store(0, Ordering::SeqCst);
    let soft = SOFT.load(Ordering::SeqCst);
    if soft != NONE {
        let _ = set(soft);
    }
}

/// Sets the size of files that can be written.
pub(crate) fn set_size(soft: u64) -> io::Result<()> {
    alone(|_| {
        let hard = getrlimit(Resource::Fsize).maximum.unwrap_or(NONE);
        HARD.store(hard, Ordering::SeqCst);
        set(soft)?;
        SOFT.store(soft, Ordering::SeqCst);
        Ok(())
    })
}

/// Does something that the limit is not for. Async-signal-safe, as far as `act` is; a handler that
/// has interrupted this leaves the process without the limit, and is to end it.
pub(crate) fn without_limit<T>(act: impl FnOnce() -> T) -> T {
    if SOFT.load(Ordering::SeqCst) == NONE {
        return act();
    }
    alone(|first| {
        // Where the host itself has a limit, that is what holds.
        let _ = set(HARD.load(Ordering::SeqCst));
        let result = act();
        if first {
            let _ = set(SOFT.load(Ordering::SeqCst));
        }
        result
    })
}

fn set(soft: u64) -> rustix::io::Result<()> {
    let limit = |limit: u64| (limit != NONE).then_some(limit);
    let limits = Rlimit {
        current: limit(soft),
        maximum: limit(HARD.load(Ordering::SeqCst)),
    };
    setrlimit(Resource::Fsize, limits)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn one_thread_at_a_time_and_again_in_itself() {
        static INSIDE: AtomicU32 = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        alone(|first| {
                            assert!(first);
                            assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0);
                            alone(|first| assert!(!first));
                            std::hint::black_box(());
                            INSIDE.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                });
            }
        });
    }
}
