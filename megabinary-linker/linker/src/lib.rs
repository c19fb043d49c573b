//! Builds megabinaries: from WebAssembly modules to one signed file.
//!
//! The stages, each a value from the one before:
//!
//! ```text
//! LinkPlan ──link──▶ Megabinary ──with_snapshot──▶ Megabinary ──elf::pack──▶ SignedMegabinary
//!                        │  ▲                                         (executable form)
//!                        └──┴── portable::write / read
//! ```
//!
//! What it deliberately does not do: compile (the caller hands in compiled code, so that only the
//! engine crate knows wasmtime), run programs, read or write files, ask for passwords.
//!
//! Invariant: everything is a function of its input. No time, no randomness, no environment: the
//! same plan, launcher, code and key give the same bytes.

pub mod analysis;
pub mod elf;
mod files;
pub mod graft;
pub mod keys;
mod link;
mod megabinary;
pub mod normalise;
mod pages;
mod peek;
pub mod plan;
pub mod portable;
pub mod symbols;
pub mod verify;

pub use analysis::{AnalysisError, Facts, analyse, is_library};
pub use elf::{PackError, SignedMegabinary};
pub use keys::{KeyError, Keys};
pub use link::link;
pub use megabinary::{LinkedModule, Megabinary};
pub use megabinary_format::{PublicKey, SnapshotDump, Target};
pub use peek::{PeekError, peek};
pub use plan::{
    LinkError, LinkPlan, PlannedEntry, PlannedFile, PlannedKind, PlannedModule, PlannedNode,
    PlannedTree,
};
pub use verify::{Report, VerifyError};
