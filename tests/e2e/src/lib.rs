//! What the end-to-end tests share: the built command, the built image, scratch folders.
//!
//! The tests run what a user runs. `cargo build --release` and a build of the Python image come
//! first (`tests/run` does both); a missing one is a failure that says so, never a skip.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helper fails the test"
)]

pub mod guests;
pub mod interface;
pub mod linux;
pub mod root;
pub mod sequences;
pub mod support_page;
pub mod trace;

pub mod sandbox;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The workspace's root.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

/// The release build of the command.
pub fn polybuild_path() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from);
    let path = target.join("release/polybuild");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --release`",
        path.display()
    );
    path
}

/// The command, with a quiet terminal.
pub fn polybuild() -> Command {
    let mut command = Command::new(polybuild_path());
    command.env("NO_COLOR", "1");
    command
}

/// The folder of the built Python image.
pub fn python_image() -> PathBuf {
    built("vkernel-python-3.12", "base-images/python/3.12/recipe.toml")
}

/// The folder of the image of Python that is compiled from source.
pub fn python_from_source() -> PathBuf {
    built("vkernel-python-3.13", "base-images/python/3.13/recipe.toml")
}

/// An image in `out`.
fn built(name: &str, recipe: &str) -> PathBuf {
    let path = workspace().join("out").join(name);
    assert!(
        path.join("build.json").is_file(),
        "{0} is missing: run `polybuild {recipe} -o {0}`",
        path.display()
    );
    path
}

/// What a command said and how it ended, as text.
#[derive(Debug)]
pub struct Said {
    /// Exit status; signals as 128 + n.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Said {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
    said(&output)
}

/// The text of an output.
pub fn said(output: &Output) -> Said {
    use std::os::unix::process::ExitStatusExt;
    let status = output
        .status
        .code()
        .or(output.status.signal().map(|s| 128 + s));
    Said {
        status: status.unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command to its end with `input` as its standard input.
pub fn run_with(command: &mut Command, input: &[u8]) -> Said {
    said(&output_with(command, input))
}

/// The same, with the output as bytes.
pub fn output_with(command: &mut Command, input: &[u8]) -> Output {
    use std::{io::Write, process::Stdio};
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Written beside the reading, or both sides could wait for each other's pipe. A program may
    // end without reading it all.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}
