//! The size of files: a limit of the host's, which holds for all that the process writes but the
//! audit stream: a guest may lower the limit, and must not cut its own record by that.
//!
//! So the host's hard limit stays as it is, and the soft one is out of the way while an event is
//! written ([`without_limit`]).

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
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

/// Sets the size of files that can be written.
pub(crate) fn set_size(soft: u64) -> io::Result<()> {
    let hard = getrlimit(Resource::Fsize).maximum.unwrap_or(NONE);
    HARD.store(hard, Ordering::SeqCst);
    set(soft)?;
    SOFT.store(soft, Ordering::SeqCst);
    Ok(())
}

/// Does something that the limit is not for. Async-signal-safe, as far as `act` is.
pub(crate) fn without_limit<T>(act: impl FnOnce() -> T) -> T {
    if SOFT.load(Ordering::SeqCst) == NONE {
        return act();
    }
    // Where the host itself has a limit, that is what holds.
    let _ = set(HARD.load(Ordering::SeqCst));
    let result = act();
    // Not what it was before: another thread may be here too.
    let _ = set(SOFT.load(Ordering::SeqCst));
    result
}

fn set(soft: u64) -> rustix::io::Result<()> {
    let limit = |limit: u64| (limit != NONE).then_some(limit);
    let limits = Rlimit {
        current: limit(soft),
        maximum: limit(HARD.load(Ordering::SeqCst)),
    };
    setrlimit(Resource::Fsize, limits)
}
