//! Where `from` and `uses` lead.

use std::path::{Path, PathBuf};

use crate::{ProblemKind, value};

/// Which folders a `NAME/TAG` is looked for in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search {
    /// `from`: images first.
    From,
    /// `uses`: never images.
    Uses,
}

impl Search {
    fn folders(self) -> &'static [&'static str] {
        match self {
            Search::From => &["base-images", "recipes"],
            Search::Uses => &["recipes"],
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Search::From => "`base-images` and `recipes`",
            Search::Uses => "`recipes`",
        }
    }
}

/// The recipe that `reference` means in a recipe of the folder `dir`.
pub(super) fn find(dir: &Path, reference: &str, search: Search) -> Result<PathBuf, ProblemKind> {
    if reference.ends_with(".toml") {
        return Ok(value::normalise(&dir.join(reference)));
    }
    let bad = |why| ProblemKind::BadPath {
        path: reference.to_owned(),
        wanted: "NAME/TAG or a path that ends in `.toml`",
        why,
    };
    value::relative_path(reference).map_err(bad)?;
    let depth = std::path::absolute(dir).map_or(0, |d| d.components().count());
    let mut up = dir.to_owned();
    for _ in 0..=depth {
        for folder in search.folders() {
            let path = up.join(folder).join(reference).join("recipe.toml");
            let path = value::normalise(&path);
            if path.is_file() {
                return Ok(path);
            }
        }
        up.push("..");
    }
    Err(ProblemKind::NoSuchRecipe {
        name: reference.to_owned(),
        folders: search.shown(),
    })
}
