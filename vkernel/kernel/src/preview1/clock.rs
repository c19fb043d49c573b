//! Clocks and randomness: `clock_*`, `random_get`.

use wiggle::{GuestMemory, GuestPtr};

use super::{errno::Result, types::Clockid};
use crate::sources::{Clock, Sources};

/// The clock that a guest means. The processor-time clocks, which wasmtime refuses with BADF, are
/// this host process's and thread's: one guest runs in one process.
pub(super) fn clock(id: Clockid) -> Clock {
    match id {
        Clockid::Realtime => Clock::Realtime,
        Clockid::Monotonic => Clock::Monotonic,
        Clockid::ProcessCputimeId => Clock::ProcessCpu,
        Clockid::ThreadCputimeId => Clock::ThreadCpu,
    }
}

/// Fills a guest's buffer with random bytes.
pub(super) fn random(
    sources: &mut Sources,
    memory: &mut GuestMemory<'_>,
    buffer: GuestPtr<[u8]>,
) -> Result<()> {
    if let Some(bytes) = memory.as_slice_mut(buffer)? {
        return Ok(sources.random(bytes)?);
    }
    // Shared memory: by way of a block of our own, which no other thread writes to.
    let mut block = [0; 256];
    let mut at = 0;
    while at < buffer.len() {
        let len = (buffer.len() - at).min(256);
        let bytes = block.get_mut(..len as usize).unwrap_or_default();
        sources.random(bytes)?;
        memory.copy_from_slice(bytes, buffer.as_ptr().add(at)?.as_array(len))?;
        at += len;
    }
    Ok(())
}
