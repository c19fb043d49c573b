//! The built launcher as bytes, so that packing needs nothing but the builder's own executable:
//! no linker, no C compiler, no file to install beside it.

/// A static-PIE ELF for x86-64; `build.rs` says how it is made.
pub static LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));
