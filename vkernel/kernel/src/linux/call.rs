//! What a handler of a system call gets, and what it may answer.

use std::fmt;

use rustix::io::Errno;

use super::{
    guest::Memory,
    process::{Image, LinuxProcess},
    thread::Thread,
};

/// The arguments, widened as the row's parameters say: `i` sign-extended, the rest zero-extended.
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

/// A system call in progress: who calls, and what it may touch.
pub struct Cx<'a> {
    /// The process.
    pub process: &'a LinuxProcess,
    /// The calling thread.
    pub thread: &'a Thread,
}

impl Cx<'_> {
    /// The process's memory.
    pub fn memory(&self) -> Memory {
        self.process.space.memory()
    }

    /// Whether no other guest thread runs in the process.
    pub(super) fn alone(&self) -> bool {
        self.process.threads() == 1
    }
}

/// The `i64` that the guest gets.
pub fn answer(errno: Errno) -> i64 {
    -i64::from(errno.raw_os_error())
}

/// An argument that is an `int`.
pub(super) fn int(argument: u64) -> i32 {
    argument as i32
}

/// An argument that is a pointer or a `size_t`.
pub(super) fn word(argument: u64) -> u32 {
    argument as u32
}
