//! The only crate that knows wasmtime.
//!
//! It compiles modules ahead of time (feature `compile`, builders only) and runs compiled code in
//! place: code that `execve` mapped, memory mapped copy-on-write from the megabinary, imports
//! served by the kernel crate. It decides nothing about files, routes or policy.
//!
//! Invariant: no function here ever asks the host for executable memory at run time.

mod alternate_stack;
mod code;
#[cfg(feature = "compile")]
mod compile;
mod config;
mod error;
mod globals;
mod host;
mod link;
#[cfg(feature = "linux")]
mod linux;
mod machine;
mod memory;
mod names;
#[cfg(feature = "compile")]
mod safepoints;
mod trap;

pub use code::CodeImage;
#[cfg(feature = "compile")]
pub use compile::Compiler;
pub use config::{GUEST_STACK, GUEST_STACK_LEAST, GUEST_STACK_MOST, HOST_STACK, set_guest_stack};
pub use error::EngineError;
#[cfg(feature = "linux")]
pub use linux::{Library, LinuxMachines, LinuxOutcome, Next};
pub use machine::{Finished, Machine, Outcome, Start};
pub use memory::PageSource;
pub use trap::TrapReport;
