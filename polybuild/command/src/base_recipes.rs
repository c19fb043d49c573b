//! The recipes that come with the program.
//!
//! They are handed to [`crate::run`], as the launchers are, and laid out in the cache when a recipe is taken
//! from them: `CACHE/recipes/DIGEST/`, where `DIGEST` is that of all of them, so that two releases do not
//! meet. What is laid out is verified whenever it is used.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use polybuild_recipe::Shelf;

use crate::{
    failure::{Failure, IoContext, Result},
    pipeline::cached,
    scratch::Scratch,
    ui::Ui,
};

/// A file: its path, whether it can be executed, its content.
pub type File = (&'static str, bool, &'static [u8]);

static FILES: OnceLock<&'static [File]> = OnceLock::new();

/// Takes them; the first that are given stay.
pub(crate) fn set(files: &'static [File]) {
    let _ = FILES.set(files);
}

fn given() -> &'static [File] {
    FILES.get().copied().unwrap_or_default()
}

/// The recipes, and where they are laid out.
pub(crate) struct BaseRecipes<'a> {
    ui: &'a Ui,
    cache: &'a Path,
}

/// Where in a cache they are laid out.
const PLACE: &str = "recipes";

/// The file of each recipe in its folder.
const RECIPE: &str = "/recipe.toml";

impl BaseRecipes<'_> {
    /// Those of this program, in a cache.
    pub(crate) fn new<'a>(ui: &'a Ui, cache: &'a Path) -> BaseRecipes<'a> {
        BaseRecipes { ui, cache }
    }

    /// The file of the recipe `NAME/TAG` that a user means by `path`, where no such file is; images come
    /// first.
    pub(crate) fn meant(&self, path: &Path) -> Result<Option<PathBuf>> {
        let Some(name) = path.to_str().filter(|name| !name.ends_with(".toml")) else {
            return Ok(None);
        };
        if path.exists() {
            return Ok(None);
        }
        let recipes = self.recipes();
        for folder in ["base-images", "recipes"] {
            let path = format!("{folder}/{name}{RECIPE}");
            if recipes.contains(&path.as_str()) {
                return Ok(Some(self.lay_out()?.join(path)));
            }
        }
        Ok(None)
    }

    /// Whether a file is one of them.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.starts_with(self.cache.join(PLACE))
    }

    fn lay_out(&self) -> Result<PathBuf> {
        let mut parts = vec!["base recipes 1".to_owned()];
        for (path, executable, bytes) in given() {
            let digest = megabinary_format::Digest::of(bytes);
            parts.push(format!("{path} {executable} {digest}"));
        }
        let key = cached::key(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        let entry = self.cache.join(PLACE).join(key.hex());
        let what = "the recipes that come with polybuild";
        if let Some(tree) = cached::get(self.ui, &entry, what) {
            return Ok(tree);
        }
        let scratch = Scratch::folder_in(&self.cache.join(PLACE))?;
        let tree = cached::tree(scratch.path());
        for (path, executable, bytes) in given() {
            let mode = if *executable { 0o755 } else { 0o644 };
            let path = tree.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).doing("creating", parent)?;
            }
            // Not one by one made durable: what is laid out is verified when it is used.
            fs::write(&path, bytes)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
                .doing("writing", &path)?;
        }
        cached::put(self.ui, scratch.path(), &entry, what)
    }
}

impl Shelf for BaseRecipes<'_> {
    fn recipes(&self) -> Vec<&str> {
        let paths = given().iter().map(|(path, ..)| *path);
        paths.filter(|path| path.ends_with(RECIPE)).collect()
    }

    fn folder(&self) -> std::result::Result<PathBuf, String> {
        self.lay_out().map_err(|failure: Failure| failure.text())
    }
}

/// Tags of the images of this name that come with the program, sorted.
pub(crate) fn tags(image: &str) -> Vec<&'static str> {
    given()
        .iter()
        .filter_map(|(path, ..)| {
            let path = path.strip_prefix("base-images/")?.strip_suffix(RECIPE)?;
            let (name, tag) = path.split_once('/')?;
            (name == image).then_some(tag)
        })
        .collect()
}

/// The `package` of the extension of Python of this name that comes with the program: `markupsafe==3.0.2`.
pub(crate) fn extension(name: &str) -> Option<&'static str> {
    let wanted = format!("recipes/python-extensions/{name}{RECIPE}");
    let (.., bytes) = given().iter().find(|(path, ..)| *path == wanted)?;
    let lines = std::str::from_utf8(bytes).ok()?.lines();
    lines
        .rev()
        .find_map(|line| line.strip_prefix("package = \"")?.strip_suffix('"'))
}
