//! Stands in front of rustc.
//!
//! `memchr` is built without its feature `std`. That feature makes it ask the processor for
//! everything that there is before the first search, some ten `cpuid` instructions, a tenth of a
//! small program's start in a virtual machine; without it, it uses SSE2. The start's one search is
//! for the end of a section's name, in wasmtime. Cargo has no way to take a feature back that a
//! dependency asks for.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

/// Becomes rustc; returns only if that fails.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<(), String> {
    let (rustc, rest) = arguments.split_first().ok_or("no compiler named")?;
    let is_memchr = rest
        .windows(2)
        .any(|pair| pair[0] == "--crate-name" && pair[1] == "memchr");
    let mut passed: Vec<&OsString> = Vec::with_capacity(rest.len());
    for argument in rest {
        if is_memchr
            && argument == "feature=\"std\""
            && passed.last().is_some_and(|a| *a == "--cfg")
        {
            passed.pop();
        } else {
            passed.push(argument);
        }
    }
    let mut command = Command::new(rustc);
    command.args(passed);
    Err(format!("running {}: {}", rustc.display(), command.exec()))
}
