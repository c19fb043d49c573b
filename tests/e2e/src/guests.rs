//! Guest programs: WebAssembly text and C, compiled when a test first needs them.
//!
//! Compiled modules are kept in the target folder under the digest of their source. A module's
//! file is called as the guest is, because reports name a program by its file.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{polybuild, run, workspace};

/// Python of the folder that `tests/install` makes: zig's C compiler and the reference runtime.
pub fn test_tools_python() -> PathBuf {
    let path = workspace().join("target/test-tools/bin/python");
    assert!(
        path.is_file(),
        "{} is missing: run tests/install",
        path.display()
    );
    path
}

/// The module of `guests/NAME.c`.
pub fn c(name: &str) -> PathBuf {
    let source = workspace().join(format!("tests/e2e/guests/{name}.c"));
    let text = fs::read(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
    compiled(name, &text, |out| {
        let said = run(Command::new(test_tools_python())
            .args([
                "-m",
                "ziglang",
                "cc",
                "-target",
                "wasm32-wasi",
                "-O1",
                "-Wall",
                "-Werror",
            ])
            .arg("-D_WASI_EMULATED_SIGNAL")
            .arg(&source)
            .arg("-o")
            .arg(out));
        assert_eq!(
            said.status,
            0,
            "compiling {}: {}",
            source.display(),
            said.stderr
        );
    })
}

/// The module of a WebAssembly text.
pub fn wat(name: &str, text: &str) -> PathBuf {
    compiled(name, text.as_bytes(), |out| {
        let module = wat::parse_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        fs::write(out, module).unwrap();
    })
}

fn compiled(name: &str, source: &[u8], compile: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    let folder = workspace().join(format!("target/test-guests/{:016x}", hasher.finish()));
    let module = folder.join(format!("{name}.wasm"));
    if !module.is_file() {
        fs::create_dir_all(&folder).unwrap();
        // Another test may be making the same.
        let scratch = tempfile::tempdir_in(&folder).unwrap();
        let made = scratch.path().join(format!("{name}.wasm"));
        compile(&made);
        fs::rename(made, &module).unwrap();
    }
    module
}

/// `polybuild run --wasm MODULE`, for more options and then [`args`].
pub fn run_wasm(module: &Path) -> Command {
    let mut command = polybuild();
    command.args(["run", "--quiet", "--wasm"]).arg(module);
    command
}

/// The guest's arguments.
pub fn args<'c>(command: &'c mut Command, args: &[&str]) -> &'c mut Command {
    command.arg("--").args(args)
}

/// An executable megabinary of the module in `form` (`x86-64`, `pulley`).
pub fn pack(module: &Path, form: &str, folder: &Path) -> PathBuf {
    let packed = folder.join("packed");
    let said = run(polybuild()
        .args(["pack", "--quiet", "--form", form, "-o"])
        .arg(&packed)
        .arg(module));
    assert_eq!(said.status, 0, "{}", said.stderr);
    packed
}
