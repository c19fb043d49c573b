//! The `polybuild` program: the command of `polybuild-command`, with the launchers and the base recipes
//! in it.
//!
//! A crate of its own, so that the command's tests do not wait until three launchers are built, and a
//! changed recipe does not compile the command again.

use polybuild_command::launchers::{Launcher, Launchers};
use vkernel_launcher_image as image;

static LAUNCHERS: Launchers = Launchers {
    wasi: Launcher {
        program: image::LAUNCHER,
        crates: image::CRATES,
    },
    linux: Launcher {
        program: image::LAUNCHER_LINUX,
        crates: image::CRATES_LINUX,
    },
    pulley: Launcher {
        program: image::LAUNCHER_PULLEY,
        crates: image::CRATES_PULLEY,
    },
};

fn main() {
    let arguments = std::env::args_os().collect();
    std::process::exit(polybuild_command::run(
        arguments,
        &LAUNCHERS,
        polybuild_base_recipes::FILES,
    ));
}
