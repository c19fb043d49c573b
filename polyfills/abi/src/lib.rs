//! Names and numbers that guest code, the linker and the vkernel agree on.
//!
//! `no_std`, no dependencies, no behaviour: only facts that two sides must share. Whoever
//! changes a value here changes the ABI of every megabinary already built; formats have versions
//! of their own (see the `megabinary-format` crate).
#![no_std]

pub mod exit;
pub mod library;
pub mod personality;
pub mod snapshot;
pub mod wali;

/// Where an image keeps its megabinary. Stubs name it as their interpreter.
pub const MEGABINARY_PATH: &str = "/.vkernel/megabinary";

/// Folder of the vkernel's own files in an image; never visible to a guest.
pub const VKERNEL_DIR: &str = "/.vkernel";
