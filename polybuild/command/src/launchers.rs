//! The programs that a megabinary begins with, and which one an image gets.
//!
//! They are handed to [`crate::run`], which is given them once: this crate is built and tested without
//! them.

use std::sync::OnceLock;

use megabinary_format::Target;
use vkernel_abi::personality::Personality;

use crate::{
    exit,
    failure::{Failure, Result},
};

/// A built launcher.
#[derive(Debug)]
pub struct Launcher {
    /// A static-PIE ELF for x86-64.
    pub program: &'static [u8],
    /// What is in it, a line each: name, version, SHA-256 digest of the crate's archive or `-`,
    /// licence.
    pub crates: &'static str,
}

/// All that there are.
#[derive(Debug)]
pub struct Launchers {
    /// For native code of WASI's modules.
    pub wasi: Launcher,
    /// For native code with modules of the Linux personality among them.
    pub linux: Launcher,
    /// For Pulley bytecode: with the interpreter in it.
    pub pulley: Launcher,
}

static LAUNCHERS: OnceLock<&'static Launchers> = OnceLock::new();

/// Takes them; the first that are given stay.
pub(crate) fn set(launchers: &'static Launchers) {
    let _ = LAUNCHERS.set(launchers);
}

/// The one for modules of a personality, in a form. An error where this crate is used without
/// [`crate::run`], as its own tests do.
pub(crate) fn launcher(target: Target, personality: Personality) -> Result<&'static Launcher> {
    let launchers = LAUNCHERS
        .get()
        .ok_or_else(|| Failure::message(exit::INTERNAL, "this build has no launchers"))?;
    Ok(match (target, personality) {
        (Target::Pulley64, _) => &launchers.pulley,
        (_, Personality::Wasi) => &launchers.wasi,
        (_, Personality::Linux) => &launchers.linux,
    })
}
