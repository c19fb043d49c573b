//! Numbers of the index's binary layout, version 1.4; `FORMAT.md` draws them.

pub(crate) const MAGIC: &[u8; 8] = b"VKMBIDX\0";
pub(crate) const MAJOR: u16 = 1;
pub(crate) const MINOR: u16 = 4;

/// Size of the header in bytes: ends with a value for each limit.
pub(crate) const HEADER: u64 = 124 + 8 * crate::LIMITS.len() as u64;

// Sizes of one record of each table in bytes, in the order of the tables.
pub(crate) const MODULE: u64 = 104;
pub(crate) const RUN: u64 = 24;
pub(crate) const GLOBAL: u64 = 16;
pub(crate) const STATE: u64 = 32;
pub(crate) const EXTENT: u64 = 24;
pub(crate) const ACTION: u64 = 24;
pub(crate) const ENTRY: u64 = 48;
pub(crate) const PROGRAM: u64 = 4;
pub(crate) const ROUTE: u64 = 36;
pub(crate) const TREE: u64 = 4;
pub(crate) const NODE: u64 = 20;
pub(crate) const SEGMENT: u64 = 56;
pub(crate) const STRING: u64 = 4;

pub(crate) const TARGET_PORTABLE: u32 = 1;
pub(crate) const TARGET_X86_64: u32 = 2;
pub(crate) const TARGET_PULLEY64: u32 = 3;

pub(crate) const MODULE_HAS_CODE: u32 = 1;
pub(crate) const MODULE_HAS_WARM: u32 = 2;
pub(crate) const MODULE_LINUX: u32 = 4;
pub(crate) const MODULE_LIBRARY: u32 = 8;
/// All of them.
pub(crate) const MODULE_KNOWN: u32 =
    MODULE_HAS_CODE | MODULE_HAS_WARM | MODULE_LINUX | MODULE_LIBRARY;

// A global's type, as the WebAssembly binary format numbers value types (core spec 5.3.1).
pub(crate) const GLOBAL_I32: u32 = 0x7f;
pub(crate) const GLOBAL_I64: u32 = 0x7e;
pub(crate) const GLOBAL_F32: u32 = 0x7d;
pub(crate) const GLOBAL_F64: u32 = 0x7c;

// How memory may be accessed.
pub(crate) const ACCESS_NONE: u32 = 0;
pub(crate) const ACCESS_READ: u32 = 1;
pub(crate) const ACCESS_WRITE: u32 = 2;

/// Size of the record of a stretch of a snapshot dump.
pub(crate) const STRETCH: u64 = 16;

pub(crate) const ENTRY_MODULE: u32 = 1;
pub(crate) const ENTRY_ENV: u32 = 2;

pub(crate) const NODE_DIRECTORY: u32 = 1;
pub(crate) const NODE_FILE: u32 = 2;
pub(crate) const NODE_EXECUTABLE: u32 = 3;
pub(crate) const NODE_SYMLINK: u32 = 4;

pub(crate) const SEGMENT_LAUNCHER: u32 = 1;
pub(crate) const SEGMENT_CODE: u32 = 2;
pub(crate) const SEGMENT_MEMORY: u32 = 3;
pub(crate) const SEGMENT_FILES: u32 = 4;
pub(crate) const SEGMENT_HEADERS: u32 = 5;

// The limits have the bits of their numbers.
pub(crate) const POLICY_LIMITS: u32 = (1 << crate::LIMITS.len()) - 1;
pub(crate) const POLICY_READ_ONLY_ROOT: u32 = 1 << 16;
pub(crate) const POLICY_NETWORK: u32 = 1 << 17;
/// All of them.
pub(crate) const POLICY_KNOWN: u32 = POLICY_LIMITS | POLICY_READ_ONLY_ROOT | POLICY_NETWORK;
