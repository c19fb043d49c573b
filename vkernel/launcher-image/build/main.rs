//! Builds the launchers as static-PIE programs, for `include_bytes!`: one for native code, one
//! for native code with the Linux personality, one with the Pulley interpreter, so that none carries
//! what only another needs.
//!
//! The launcher needs other settings than whatever is being built around it: a profile of its
//! own, a static C library, and above all none of the features that cargo would unify with the
//! builder's (the launcher must contain no compiler). So it is built by a cargo of its own, in a
//! target folder of its own that all profiles share. Paths are remapped so that the same sources
//! give the same bytes in every checkout.
//!
//! That cargo's compiler is this program again, in front of rustc ([`compile`]).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

mod compile;
mod crates;

/// Files to make, and the features of the launcher that each is built with.
const LAUNCHERS: &[(&str, &[&str])] = &[
    ("launcher", &[]),
    ("launcher-linux", &["--features", "linux"]),
    ("launcher-pulley", &["--features", "pulley"]),
];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What the launcher is made from, relative to the workspace.
const INPUTS: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "polyfills/abi",
    "megabinary-linker/format",
    "vkernel",
];

/// Set for this program where it stands in front of rustc.
const AS_COMPILER: &str = "VKERNEL_LAUNCHER_IMAGE_AS_COMPILER";

fn main() -> ExitCode {
    let done = match env::var_os(AS_COMPILER) {
        Some(_) => compile::run(env::args_os().skip(1).collect()),
        None => build(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("building the launcher: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let var = |name: &str| env::var(name).map_err(|e| format!("{name}: {e}"));
    let workspace = Path::new(&var("CARGO_MANIFEST_DIR")?)
        .ancestors()
        .nth(2)
        .map(Path::to_owned)
        .ok_or("this crate is not two folders below its workspace")?;
    for input in INPUTS {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    let out_dir = PathBuf::from(var("OUT_DIR")?);
    // OUT_DIR is TARGET_DIR/PROFILE/build/PACKAGE-HASH/out.
    let target_dir = out_dir
        .ancestors()
        .nth(4)
        .ok_or("an unexpected OUT_DIR")?
        .join("launcher");

    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    // The vector code of the signature check saves less than asking the processor whether it may be
    // used costs: `cpuid` traps to the hypervisor in a virtual machine, some five microseconds each.
    flags.push("--cfg=curve25519_dalek_backend=\"serial\"".to_owned());
    // The same for the hashes of a start, which are short; whole files are hashed by an older
    // release of that crate, which does not know this setting and asks when it is first used.
    flags.push("--cfg=sha2_backend=\"soft\"".to_owned());
    // The addresses that a start relocates, as a bit map: 1 KiB of the file to read instead of 80.
    if c_library_reads_relr() {
        flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    }
    flags.push(format!(
        "--remap-path-prefix={}=/vkernel",
        workspace.display()
    ));
    if let Some(home) = cargo_home() {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    let wrapper = env::current_exe().map_err(|e| format!("finding this program: {e}"))?;
    for (name, features) in LAUNCHERS {
        let mut cargo = Command::new(var("CARGO")?);
        cargo
            .current_dir(&workspace)
            .args([
                "build",
                "--locked",
                "--quiet",
                "--package",
                "vkernel-launcher",
            ])
            .args(["--profile", "launcher", "--target", TARGET, "--target-dir"])
            .arg(&target_dir)
            .args(*features)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("RUSTC_WRAPPER", &wrapper)
            .env(AS_COMPILER, "1");
        // Neither clippy's wrapper nor a caller's flags may change the launcher.
        for name in [
            "RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_RUSTFLAGS",
        ] {
            cargo.env_remove(name);
        }
        let status = cargo.status().map_err(|e| format!("running cargo: {e}"))?;
        if !status.success() {
            return Err(format!("cargo ended with {status} ({name})"));
        }
        let built = target_dir
            .join(TARGET)
            .join("launcher")
            .join("vkernel-launcher");
        let copy = out_dir.join(name);
        fs::copy(&built, &copy)
            .map_err(|e| format!("copying {} to {}: {e}", built.display(), copy.display()))?;
        let list = crates::list(&workspace, features)?;
        let path = out_dir.join(format!("{name}.crates"));
        fs::write(&path, list).map_err(|e| format!("writing {}: {e}", path.display()))?;
    }
    Ok(())
}

/// Whether the C library's start-up code in static programs knows `DT_RELR`: glibc does since 2.36.
fn c_library_reads_relr() -> bool {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    // `glibc 2.36`
    let answer = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    answer.is_ok_and(|answer| {
        let version = answer.split_whitespace().nth(1).unwrap_or_default();
        let mut parts = version.split('.').map_while(|part| part.parse().ok());
        (parts.next(), parts.next()) >= (Some(2_u32), Some(36_u32))
    })
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
}
