//! The recipes of this repository, so that `from = "python/3.12"` means something in a recipe that lies
//! anywhere: recipes, their lock files, and the local files that these list.
//!
//! Examples are not among them. What is taken is decided by the lock files, in `build.rs`: a recipe without
//! one is left out.

/// A file: its path in this repository, whether it can be executed, its content. Sorted by path.
pub type File = (&'static str, bool, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/files.rs"));
