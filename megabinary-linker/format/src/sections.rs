//! Names of the custom sections of the portable form, and the order in which they stand.
//!
//! The component's top level is, in this order and nothing else: [`INDEX`]; one core module
//! section for each module of the index; [`MEMORY`] if any module has a snapshot; [`FILES`] if
//! there are internal files; [`SIGNATURE`], last.

/// The encoded index, with target `Portable`.
pub const INDEX: &str = "vkernel.index";

/// Pages of memory images; the `file_offset` of a run counts from the start of its contents.
pub const MEMORY: &str = "vkernel.memory";

/// Contents of internal files, one after another; offsets count from the start of its contents.
pub const FILES: &str = "vkernel.files";

/// The encoded signature over the contents of [`INDEX`].
pub const SIGNATURE: &str = "vkernel.signature";

/// All of them.
pub const ALL: &[&str] = &[INDEX, MEMORY, FILES, SIGNATURE];
