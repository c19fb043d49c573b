//! The contract between a snapshotted program and the vkernel.
//!
//! A module of WASI's that wants to be snapshotted exports two functions. At image time the vkernel calls
//! [`INIT`] in a fresh instance whose clocks and random numbers are fixed, then saves memory and
//! mutable globals. At run time it maps that memory and calls [`RESUME`].
//!
//! A module of the Linux personality is started by [`START`] at image time, too, with the arguments and the
//! environment that its recipe says. Where it calls [`SNAPSHOT_POINT`](crate::wali::SNAPSHOT_POINT), the
//! vkernel saves memory and mutable globals (the stack pointer is one, so that what lies on the stack of C
//! stays), which pages are mapped and how, the actions of signals, the mask, the alternate stack,
//! and the addresses of `set_tid_address` and `set_robust_list`. What else a process may have is refused then: other threads,
//! descriptors beyond the standard ones, maps of files and of shared memory, children, timers, pending signals,
//! another working directory, session, process group or creation mask than it began with. At run time, also after
//! `execve`, all of that is put back, and [`RESUME`] called; a signal that the process was started with
//! ignored stays so, and what either the snapshot or the start blocks is blocked.

/// Export `() -> ()`: run to the snapshot point and return.
pub const INIT: &str = "vkernel_snapshot_init";

/// Variable that [`INIT`] may find in its environment: what a recipe wants imported before the
/// snapshot (`[[preload]]`), names of the runtime's language separated by blanks.
pub const PRELOAD: &str = "VKERNEL_PRELOAD";

/// Variable beside [`PRELOAD`]: absolute paths of folders to look in first, separated by `:`. They
/// lie in internal trees.
pub const PRELOAD_PATH: &str = "VKERNEL_PRELOAD_PATH";

/// Export `() -> i32`: take up a new command line, environment and working directory, run the
/// program, return its exit status; or [`COLD`].
pub const RESUME: &str = "vkernel_snapshot_resume";

/// Returned by [`RESUME`], before any visible effect, to say that this invocation cannot be
/// served by the snapshot; the vkernel then starts the program afresh. Among the reasons must be
/// preopened descriptors that differ from those at the snapshot point, which C libraries remember.
/// Of the Linux personality, what is to be seen of it may be memory, signal actions and masks: they are put
/// back. [`RESUME`] may end in `exit_group` as well.
pub const COLD: i32 = -1;

/// Export `() -> ()`: the ordinary entry of a WASI command.
pub const START: &str = "_start";

/// Export `() -> ()`: preferred to [`START`] in a cold start when present. Glue grafted onto a
/// WASI command uses it to enter the working directory before it calls `_start`.
pub const COLD_START: &str = "vkernel_cold_start";

/// Prefix under which the linker exports every mutable global of a normalised module, followed
/// by the global's index in decimal.
pub const GLOBAL_PREFIX: &str = "vkernel.global.";

/// Name under which the linker exports a module's start function, if it has one; a normalised
/// module has no start section, so that a resumed snapshot does not run it again.
pub const START_FUNCTION: &str = "vkernel.start";

/// Name under which the linker exports a module's only memory.
pub const MEMORY: &str = "memory";
