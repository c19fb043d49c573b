//! Recipes that come with the program, for names that no folder around a recipe has.
//!
//! This crate knows no place of its own: whoever loads a recipe says what is on the shelf, and lays it out
//! in a folder when a recipe is really taken from there.

use std::path::PathBuf;

/// Recipes by the path that they have in a folder: `recipes/zlib/1.3.1/recipe.toml`.
pub trait Shelf {
    /// Paths of all its recipes, sorted.
    fn recipes(&self) -> Vec<&str>;

    /// The folder in which they lie, with their lock files and the files that they name. An error is the
    /// rest of a sentence about them.
    fn folder(&self) -> Result<PathBuf, String>;
}

/// Nothing.
impl Shelf for () {
    fn recipes(&self) -> Vec<&str> {
        Vec::new()
    }

    fn folder(&self) -> Result<PathBuf, String> {
        Err("there are none".to_owned())
    }
}
