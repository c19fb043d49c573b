//! Stands in front of rustc.
//!
//! `memchr` is built without its feature `std`. That feature makes it ask the processor for
//! everything that there is before the first search, some ten `cpuid` instructions, a tenth of a
//! small program's start in a virtual machine; without it, it uses SSE2. The start's one search is
//! for the end of a section's name, in wasmtime. Cargo has no way to take a feature back that a
//! dependency asks for.
//!
//! The launcher itself is linked through [`crate::link`]. Said here and not among cargo's flags,
//! since those go into the names of all symbols, and the path differs in each checkout.

use std::{env, ffi::OsString, os::unix::process::CommandExt, process::Command};

use crate::{AS_COMPILER, AS_LINKER};

/// Becomes rustc; returns only if that fails.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<(), String> {
    let (rustc, rest) = arguments.split_first().ok_or("no compiler named")?;
    let is_of = |name: &str| {
        rest.windows(2)
            .any(|pair| pair[0] == "--crate-name" && pair[1] == name)
    };
    let is_memchr = is_of("memchr");
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
    let is_program = rest
        .windows(2)
        .any(|pair| pair[0] == "--crate-type" && pair[1] == "bin");
    if is_of("vkernel_launcher") && is_program {
        let this = env::current_exe().map_err(|e| format!("finding this program: {e}"))?;
        let mut linker = OsString::from("-Clinker=");
        linker.push(this);
        let list = env::var_os(AS_COMPILER).ok_or("the list of functions is not named")?;
        command.arg(linker).env(AS_LINKER, list);
    }
    Err(format!("running {}: {}", rustc.display(), command.exec()))
}
