//! The vkernel without an engine: what a guest's calls mean, and what confines the process.
//!
//! Here: the state of a guest [`process`] with its files; the [`preview1`] personality over it;
//! [`exec`] by content hash; the host-side [`confine`]ment; [`audit`] events; [`signals`]. Not
//! here: WebAssembly itself (the engine crate links these functions into instances), nor anything
//! of the build side.
//!
//! Invariants: no global state; no host path, pointer or length from a guest is used before it
//! was checked; every file access resolves inside a mount of the process.

pub mod audit;
pub mod confine;
pub mod exec;
mod fs;
pub mod linux;
pub mod narrow;
pub mod preview1;
pub mod process;
pub mod signals;
mod sources;

pub use process::{
    BuildError, Contents, Mount, Process, ProcessBuilder, ProcessExit, Source, Stdio,
};
