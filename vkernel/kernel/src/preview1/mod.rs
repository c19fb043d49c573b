//! The `wasi_snapshot_preview1` personality: all 46 functions, with the rights-free semantics of
//! wasmtime, errno for errno; where they differ, the [`TABLE`] says so.
//!
//! `wiggle` turns `witx/preview1.witx` into code that checks every pointer, length, flag and
//! enumeration that a guest passes; the files here decode what is left and act on the
//! [`Process`]. Not here: linking into instances (the engine's), and anything about paths or
//! descriptors that is not preview 1's own (see `fs`).
//!
//! Invariant: whatever a guest passes, it gets an errno; nothing panics.

mod args;
mod clock;
mod dispatch;
mod errno;
mod fd;
mod memory;
mod path;
mod poll;
mod sock;
mod table;
#[cfg(test)]
mod tests;

use wiggle::{GuestError, GuestMemory, GuestPtr};

use crate::process::Process;

pub use table::{Row, TABLE, wasi_snapshot_preview1};

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
#[allow(
    dead_code,
    reason = "the interface has members that no function here needs"
)]
mod generated {
    wiggle::from_witx!({
        witx: ["witx/preview1.witx"],
        wasmtime: false,
        tracing: false,
        errors: { errno => trappable Error },
    });
}
pub(crate) use generated::types;

/// How far a function is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As specified.
    Full,
    /// Present, and always refuses.
    Refused,
}

/// Turns what a generated function returns into what a guest gets.
trait Settle: Sized {
    fn settle(result: wiggle::error::Result<Self>) -> wiggle::error::Result<Self>;
}

impl Settle for i32 {
    /// Mistakes in arguments become errnos; other errors are not the guest's.
    fn settle(result: wiggle::error::Result<i32>) -> wiggle::error::Result<i32> {
        match result {
            Ok(errno) => Ok(errno),
            Err(error) => match error.downcast::<GuestError>() {
                Ok(mistake) => Ok(errno::from_guest(&mistake) as i32),
                Err(error) => Err(error),
            },
        }
    }
}

impl Settle for () {
    fn settle(result: wiggle::error::Result<()>) -> wiggle::error::Result<()> {
        result
    }
}

/// `cwd_get` of the `vkernel` personality: the length in bytes of the working directory's path,
/// which is written to `buf`, without a NUL, if it is no longer than `len`. A negative errno of
/// preview 1 (-21, FAULT) if `buf` leads out of the memory.
pub fn cwd_get(process: &mut Process, memory: &mut GuestMemory<'_>, buf: i32, len: i32) -> i32 {
    let path = process.cwd().as_bytes();
    // A path that does not fit in 31 bits does not fit in a process either.
    let Ok(length) = i32::try_from(path.len()) else {
        return -(types::Errno::Overflow as i32);
    };
    if length as u32 <= len as u32 {
        let buffer = GuestPtr::<u8>::new(buf as u32).as_array(length as u32);
        if let Err(mistake) = memory.copy_from_slice(path, buffer) {
            return -(errno::from_guest(&mistake) as i32);
        }
    }
    length
}
