//! The properties; each file says what it holds and for which bytes.

mod archive;
mod elf;
mod exec;
mod image;
mod index;
mod module;
mod portable;
mod recipe;
mod resign;
mod stub;

pub use archive::archive;
pub use elf::elf;
pub use exec::{command_line, exec};
pub use image::image;
pub use index::index;
pub use module::module;
pub use portable::portable;
pub use recipe::{lock, recipe};
pub use stub::stub;
