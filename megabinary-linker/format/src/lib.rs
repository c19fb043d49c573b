//! The megabinary's formats, shared by the linker that writes them and the vkernel that reads
//! them.
//!
//! What lives here: the [`Index`] (routes, entries, modules, memory images, internal file trees,
//! policy, segments), its binary encoding, the [`Signature`] over it, the tail that ties an ELF to
//! its index, the custom sections of the portable form, and the [`stub`] text.
//!
//! What does not: laying segments out in an ELF, building a component, compiling, running.
//!
//! Invariant: **readers are total.** Any bytes give a value or a [`FormatError`], never a panic,
//! and never an allocation larger than the input justifies. A reader refuses every version, flag
//! or kind that it does not know. `FORMAT.md` beside this crate has the byte diagrams.

mod digest;
mod index;
pub mod stub;

pub use digest::{Digest, DigestError};
pub use index::*;
