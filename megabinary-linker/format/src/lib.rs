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

mod base64;
mod check;
mod cursor;
mod decode;
mod digest;
mod dump;
mod encode;
mod error;
mod index;
mod layout;
mod limits;
mod network;
mod process;
pub mod sections;
mod signature;
pub mod stub;
pub mod tail;

pub use check::{PAGE, WASM_PAGE, WASM_PAGES_MAX, is_absolute, is_relative};
pub use digest::{Digest, DigestError};
pub use dump::{SnapshotDump, Stretch};
pub use error::FormatError;
pub use index::*;
pub use limits::{Limit, LimitRow, Limits, TABLE as LIMITS, Unit};
pub use network::{NetworkRule, RuleError};
pub use process::{Access, Extent, ProcessState, SignalAction};
pub use signature::{COMMENT_MAX, KeyId, PublicKey, PublicKeyError, Signature, SignatureError};
pub use tail::{PT_VKERNEL, Tail};
