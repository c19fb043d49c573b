//! Exit statuses that the vkernel itself can give a process, apart from the guest's own.
//!
//! They follow the shell's and Docker's conventions (POSIX XCU 2.8.2, `docker run` exit status).

/// The vkernel failed before the guest could start (damaged megabinary, host refuses a call).
pub const VKERNEL: i32 = 125;
/// The program exists but may not run: no route, wrong digest, not a program.
pub const CANNOT_RUN: i32 = 126;
/// The program named does not exist.
pub const NOT_FOUND: i32 = 127;
/// The guest trapped (128 + SIGABRT, as a native crash that aborts).
pub const TRAP: i32 = 134;
/// The guest was ended by a limit of its policy (128 + SIGKILL, as the OOM killer's).
pub const LIMIT: i32 = 137;

/// Added to a signal's number when that signal ends the process.
pub const SIGNAL_BASE: i32 = 128;
