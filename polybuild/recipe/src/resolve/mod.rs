//! From TOML to meaning, in passes:
//!
//! 1. *parse* (`parse`): text → [`RecipeFile`](crate::RecipeFile); unknown keys, wrong types.
//! 2. *lower* (`lower`): each value by itself → a `Layer`; bad paths, sizes, addresses.
//! 3. *inherit* (`inherit`): the layers of `from` and `uses` → one `Layer`; duplicates, circles.
//! 4. *check* (`check`): the whole → [`Recipe`]; unknown references, two things at one path.
//!
//! A pass reports everything it finds; the next one runs only on what is sound.

mod check;
mod content;
mod extension;
mod find;
mod inherit;
mod layer;
mod lower;
mod parse;
mod python;

use std::path::Path;

use crate::{Recipe, RecipeError, RecipeFile, Shelf};

/// Parses the text of one recipe without following what it refers to; `name` is shown in errors.
pub fn parse(name: &str, text: &str) -> Result<RecipeFile, RecipeError> {
    let text = std::sync::Arc::new(miette::NamedSource::new(name, text.to_owned()));
    parse::parse(&text).map_err(|problems| RecipeError {
        recipe: name.into(),
        problems,
    })
}

/// Loads a recipe and all that it inherits and uses. Reads files, writes none.
pub fn load(path: &Path) -> Result<Recipe, RecipeError> {
    load_with(path, &())
}

/// The same, where a `NAME/TAG` that no folder around a recipe has is taken from a shelf.
pub fn load_with(path: &Path, shelf: &dyn Shelf) -> Result<Recipe, RecipeError> {
    let mut loader = inherit::Loader::new(shelf);
    let recipe = loader
        .layer(path, None)
        .and_then(|layer| check::check(layer, &mut loader.problems));
    match recipe {
        Some(mut recipe) if loader.problems.is_empty() => {
            recipe.path = path.into();
            recipe.parts = loader.parts;
            Ok(recipe)
        }
        _ => {
            let mut problems = loader.problems;
            // In the order of the files and the lines, whichever pass found them.
            problems.sort_by_key(|p| {
                let place = p.place.as_ref();
                let file = place.and_then(|at| {
                    loader
                        .parts
                        .iter()
                        .position(|p| p.path == Path::new(at.file()))
                });
                (file, place.map(|at| at.span.start))
            });
            Err(RecipeError {
                recipe: path.into(),
                problems,
            })
        }
    }
}
