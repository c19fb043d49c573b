//! The size of files: a limit of the host's, which holds for all that the process writes.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lowers the size of files that can be written, for good: the hard limit too (setrlimit(2),
/// RLIMIT_FSIZE). Beyond it a write gives EFBIG, and SIGXFSZ where that is not ignored.
pub fn limit_size(most: u64) -> io::Result<()> {
    let now = getrlimit(Resource::Fsize);
    let lower = |limit: Option<u64>| Some(limit.unwrap_or(u64::MAX).min(most));
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: lower(now.current),
            maximum: lower(now.maximum),
        },
    )?;
    Ok(())
}
