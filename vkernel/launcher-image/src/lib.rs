//! The built launchers as bytes, so that packing needs nothing but the builder's own executable:
//! no linker, no C compiler, no file to install beside it.

/// For native code. A static-PIE ELF for x86-64; `build.rs` says how it is made.
pub static LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// For native code with modules of the Linux personality among them.
pub static LAUNCHER_LINUX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher-linux"));

/// For Pulley bytecode: the same with the interpreter in it.
pub static LAUNCHER_PULLEY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher-pulley"));

/// What is in [`LAUNCHER`], a line each: name, version, SHA-256 digest of the crate's archive or `-`,
/// licence.
pub static CRATES: &str = include_str!(concat!(env!("OUT_DIR"), "/launcher.crates"));

/// What is in [`LAUNCHER_LINUX`].
pub static CRATES_LINUX: &str = include_str!(concat!(env!("OUT_DIR"), "/launcher-linux.crates"));

/// What is in [`LAUNCHER_PULLEY`].
pub static CRATES_PULLEY: &str = include_str!(concat!(env!("OUT_DIR"), "/launcher-pulley.crates"));
