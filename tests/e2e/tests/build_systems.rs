//! CMake and Meson build for the vkernel: the same project in C and C++, with threads and with checks
//! that must run a program, from the recipes of both examples.
//!
//! Needs root (programs with Linux system calls run in a root of their own). The sysroot is the one
//! that `tests/run` has built, by the builder's cache.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use polybuild_e2e::{polybuild, run, workspace};

#[track_caller]
fn counts(example: &str) {
    let dir = tempfile::tempdir().unwrap();
    let recipe = format!("recipes/examples/{example}/recipe.toml");
    let built = run(polybuild()
        // Meson wants Python itself, and version managers put scripts in front of it.
        .env("PATH", "/usr/bin:/bin")
        .args(["build", "--locked", "--quiet", "-o"])
        .arg(dir.path())
        .arg(workspace().join(recipe)));
    assert_eq!(built.status, 0, "{}", built.stderr);
    let said = run(polybuild().args(["run", "--quiet"]).arg(dir.path()).args([
        "--",
        "counter",
        "one two",
        " three",
        "",
        "four five six",
    ]));
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (0, "6\n", "")
    );
}

#[test]
fn cmake() {
    counts("cmake");
}

#[test]
fn meson() {
    counts("meson");
}
