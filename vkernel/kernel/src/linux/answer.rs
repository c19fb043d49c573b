//! What a guest gives with a system call, and what it may get for an answer.

use std::fmt;

use super::process::image::Image;
pub(crate) use super::syscall::Errno;

/// The guest's arguments, widened as the interface says: an `int` sign-extended, the rest zero-extended.
pub type Args = [u64; 6];

/// What a handler answers: the call's result, or why there is none.
pub type Answer = Result<i64, Stop>;

/// A call without a result.
#[derive(Debug)]
pub enum Stop {
    /// The call failed.
    Errno(Errno),
    /// The calling thread ends, with this status; the process goes on.
    Thread(i32),
    /// The process runs another program from here on.
    Exec(Box<Image>),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Errno(errno)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Errno(errno) => write!(f, "error {}", errno.raw_os_error()),
            Stop::Thread(status) => write!(f, "the thread ended with status {status}"),
            Stop::Exec(image) => write!(f, "the process became module {}", image.module),
        }
    }
}

impl std::error::Error for Stop {}

/// The `i64` that the guest gets.
pub fn answer(errno: Errno) -> i64 {
    -i64::from(errno.raw_os_error())
}

/// An argument that is an `int`.
pub(crate) fn int(argument: u64) -> i32 {
    argument as i32
}

/// An argument that is a pointer or a `size_t`.
pub(crate) fn word(argument: u64) -> u32 {
    argument as u32
}
