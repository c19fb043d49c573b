//! The recipes of this repository load, and their lock files, where they have one, are readable.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use polybuild_recipe::{Lock, load};

fn recipes(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            recipes(&path, found);
        } else if path.file_name().unwrap() == "recipe.toml" {
            found.push(path);
        }
    }
}

#[test]
fn all_recipes_load() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    recipes(&root.join("recipes"), &mut found);
    recipes(&root.join("base-images"), &mut found);
    assert!(found.len() >= 3, "the repository's recipes were not found");
    for path in found {
        let recipe = load(&path).unwrap_or_else(|e| panic!("{}: {e}\n{e:?}", path.display()));
        for part in &recipe.parts {
            Lock::read(&part.lock_path()).unwrap();
        }
    }
}
