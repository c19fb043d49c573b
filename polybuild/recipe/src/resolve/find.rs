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
    // `absolute` refuses an empty path, which is the folder of a recipe named by its bare name.
    let whole = std::path::absolute(Path::new(".").join(dir));
    let depth = whole.map_or(0, |d| d.components().count());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upwards_from_the_working_directory() {
        // Tests run in the crate's folder, `polybuild/recipe`.
        let found = find(Path::new(""), "python/3.12", Search::Uses).ok();
        assert_eq!(found, Some("../../recipes/python/3.12/recipe.toml".into()));
        assert!(find(Path::new(""), "python/none", Search::Uses).is_err());
    }
}
