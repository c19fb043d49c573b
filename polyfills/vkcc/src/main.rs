//! `vkcc` and `vkc++`: gcc's command line for the Linux personality.
//!
//! Configure scripts, make and cmake run a C compiler and expect gcc's manners. This driver takes
//! such a command line apart, and calls clang and wasm-ld with our sysroot and nothing of the
//! machine's: no header and no library of the host can get in. What it links is checked: a module
//! imports what the personality offers, or there is no output.
//!
//! The name it is called by decides what it is: a name ending in `++` compiles C++, one ending in
//! `ar` or `ranlib` handles archives. [`command`] is what a command line means; [`options`] is the
//! table it is read by. It does not search `PATH`, read the host's compiler variables, or write a
//! time or a path of this machine into its output.

mod archive;
mod calls;
mod casts;
mod check;
mod checkpoints;
mod command;
mod compile;
mod conversions;
mod environment;
mod error;
mod freestanding;
mod hermetic;
mod libraries;
mod link;
mod lto;
mod model;
mod options;
mod place;
mod print;
mod process;
mod response;
mod run;
mod sides;
mod wrapper;

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("vkcc"));
    let arguments: Vec<OsString> = arguments.collect();
    match run::run(&name, arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("vkcc: error: {error}");
            ExitCode::FAILURE
        }
    }
}
