//! Where `from` and `uses` lead.

use std::path::{Path, PathBuf};

use crate::{ProblemKind, Shelf, value};

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

/// A recipe that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its file.
    pub(super) path: PathBuf,
    /// Its path on the shelf, if it was taken from there.
    pub(super) on_shelf: Option<String>,
}

impl Found {
    fn beside(path: PathBuf) -> Found {
        Found {
            path,
            on_shelf: None,
        }
    }
}

/// The recipe that `reference` means in a recipe of the folder `dir`.
pub(super) fn find(
    dir: &Path,
    reference: &str,
    search: Search,
    shelf: &dyn Shelf,
) -> Result<Found, ProblemKind> {
    if reference.ends_with(".toml") {
        return Ok(Found::beside(value::normalise(&dir.join(reference))));
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
                return Ok(Found::beside(path));
            }
        }
        up.push("..");
    }
    let known = shelf.recipes();
    for folder in search.folders() {
        let path = format!("{folder}/{reference}/recipe.toml");
        if known.contains(&path.as_str()) {
            let base = shelf.folder().map_err(|why| ProblemKind::Shelf {
                name: reference.to_owned(),
                why,
            })?;
            return Ok(Found {
                path: base.join(&path),
                on_shelf: Some(path),
            });
        }
    }
    let names = known.into_iter().filter_map(|path| {
        let (folder, rest) = path.split_once('/')?;
        let name = rest.strip_suffix("/recipe.toml")?;
        search.folders().contains(&folder).then(|| name.to_owned())
    });
    Err(ProblemKind::NoSuchRecipe {
        name: reference.to_owned(),
        folders: search.shown(),
        known: names.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upwards_from_the_working_directory() {
        // Tests run in the crate's folder, `polybuild/recipe`.
        let found = find(Path::new(""), "python/3.12", Search::Uses, &()).ok();
        let expected = Found::beside("../../recipes/python/3.12/recipe.toml".into());
        assert_eq!(found, Some(expected));
        assert!(find(Path::new(""), "python/none", Search::Uses, &()).is_err());
    }

    struct Three;

    impl Shelf for Three {
        fn recipes(&self) -> Vec<&str> {
            vec![
                "base-images/python/9/recipe.toml",
                "recipes/python/3.12/recipe.toml",
                "recipes/python/9/recipe.toml",
            ]
        }

        fn folder(&self) -> Result<PathBuf, String> {
            Ok("/shelf".into())
        }
    }

    #[test]
    fn the_shelf_is_looked_at_last() {
        let at = |name: &str, search| find(Path::new(""), name, search, &Three);
        let path = |name, search| at(name, search).map(|found| found.path).ok();
        assert_eq!(
            path("python/3.12", Search::Uses),
            Some("../../recipes/python/3.12/recipe.toml".into())
        );
        let image = "/shelf/base-images/python/9/recipe.toml";
        assert_eq!(path("python/9", Search::From), Some(image.into()));
        let runtime = "/shelf/recipes/python/9/recipe.toml";
        assert_eq!(path("python/9", Search::Uses), Some(runtime.into()));
        let missing = at("pyton/9", Search::From).err().map(|e| e.to_string());
        assert!(missing.is_some_and(|m| m.contains("pyton/9")));
    }
}
