//! The contract between a snapshotted program and the vkernel.
//!
//! A module that wants to be snapshotted exports two functions. At image time the vkernel calls
//! [`INIT`] in a fresh instance whose clocks and random numbers are fixed, then saves memory and
//! mutable globals. At run time it maps that memory and calls [`RESUME`].

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
