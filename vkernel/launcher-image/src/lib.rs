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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_crates_are_listed() {
        for list in [CRATES, CRATES_LINUX, CRATES_PULLEY] {
            let lines: Vec<Vec<_>> = list
                .lines()
                .map(|line| line.splitn(4, ' ').collect())
                .collect();
            let has = |name: &str| lines.iter().any(|words| words[0] == name);
            assert!(lines.iter().all(|words| words.len() == 4), "{list}");
            for name in ["wasmtime", "rustix", "vkernel-kernel", "rust-std"] {
                assert!(has(name), "{name}");
            }
            // No compiler, and nothing that only runs while compiling.
            for name in ["cranelift-codegen", "syn", "serde_derive", "clap"] {
                assert!(!has(name), "{name}");
            }
            let wasmtime = lines.iter().find(|words| words[0] == "wasmtime").unwrap();
            assert!(
                wasmtime[2].len() == 64 && !wasmtime[3].is_empty(),
                "{wasmtime:?}"
            );
        }
    }
}
