//! The built launchers as bytes, so that packing needs nothing but the builder's own executable:
//! no linker, no C compiler, no file to install beside it.

/// For native code. A static-PIE ELF for x86-64; `build.rs` says how it is made.
pub static LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// For native code with modules of the Linux personality among them.
pub static LAUNCHER_LINUX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher-linux"));

/// For Pulley bytecode: the same with the interpreter in it.
pub static LAUNCHER_PULLEY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher-pulley"));
