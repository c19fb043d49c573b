//! Rust for the vkernel: std and a program are built from their recipes, and the program does what it does
//! natively. The types that Rust hands to the C library are the C library's.
//!
//! Needs root (programs with Linux system calls run in a root of their own).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{path::Path, process::Command};

use polybuild_e2e::{polybuild, run, workspace};

fn build(recipe: &str, to: &Path) {
    let built = run(polybuild()
        .args(["build", "--locked", "--quiet", "-o"])
        .arg(to)
        .arg(workspace().join(recipe)));
    assert_eq!(built.status, 0, "{}", built.stderr);
}

#[test]
#[ignore = "fetches 51 packages of Debian, newest versions of some, and builds std: six minutes"]
fn a_program_does_what_it_does_natively() {
    let dir = tempfile::tempdir().unwrap();
    build(
        "recipes/examples/rust/recipe.toml",
        &dir.path().join("image"),
    );
    let native = run(Command::new("cargo")
        .args(["build", "--release", "--offline", "--locked", "--quiet"])
        .arg("--manifest-path")
        .arg(workspace().join("recipes/examples/rust/project/Cargo.toml"))
        .arg("--target-dir")
        .arg(dir.path().join("native")));
    assert_eq!(native.status, 0, "{}", native.stderr);
    let arguments = ["one", "two words"];
    let expected = run(Command::new(dir.path().join("native/release/observe"))
        .env("SETTING", "of the image")
        .args(arguments));
    assert_eq!(expected.status, 0, "{}", expected.stderr);
    let said = run(polybuild()
        .args(["run", "--quiet"])
        .arg(dir.path().join("image"))
        .args(["--", "observe"])
        .args(arguments));
    assert_eq!(
        (said.status, said.stdout, said.stderr),
        (0, expected.stdout, String::new())
    );
}

#[test]
#[ignore = "fetches 51 packages of Debian, newest versions of some, and builds std: six minutes"]
fn types_are_those_of_the_c_library() {
    let dir = tempfile::tempdir().unwrap();
    build("polyfills/rust/layouts/recipe.toml", dir.path());
    let layouts = |program| {
        let said = run(polybuild()
            .args(["run", "--quiet"])
            .arg(dir.path())
            .args(["--", program]));
        assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{program}");
        said.stdout
    };
    let (c, rust) = (layouts("layouts-c"), layouts("layouts-rust"));
    assert!(c.lines().count() > 100, "{c}");
    for (c, rust) in c.lines().zip(rust.lines()) {
        assert_eq!(rust, c);
    }
    assert_eq!(c.lines().count(), rust.lines().count());
}
