//! Values to start from, made by the writers that the readers under test belong to where there are
//! such.

mod archive;
mod elf;
mod exec;
mod megabinary;
mod module;
mod recipe;
mod signing;

pub(crate) use archive::docker_archive;
pub use archive::{archives, images};
pub use exec::{command_lines, executables};
pub use megabinary::{elves, portables, stubs, tails};
pub(crate) use module::MAIN;
pub use module::modules;
pub use recipe::{LOCK, locks, recipes};
pub use signing::keys;
