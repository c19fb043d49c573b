//! One recipe file of the several that make up a recipe.
//!
//! A lock file belongs to one recipe *file*: it pins what that file declares, and of the recipes that the
//! file is made from their digests. What those declare is pinned by their own lock files. So a patch of
//! the C library changes one lock file, and not that of everything that is compiled with it.

use std::path::{Path, PathBuf};

use megabinary_format::Digest;

use crate::{LocalPath, Source, WantedPackages, canonical, value};

/// A recipe file.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Where it is, as it was reached first.
    pub path: PathBuf,
    /// The same without links, by which it is known.
    canonical: PathBuf,
    /// Digest of what is written in it, without comments and layout.
    pub digest: Digest,
    /// The recipes that `from` and `uses` name, in this order.
    pub used: Vec<Used>,
    /// The sources that it declares itself.
    pub sources: Vec<Source>,
    /// The Python packages that it asks for itself.
    pub packages: Option<WantedPackages>,
    /// The files and folders of the machine that it names itself, by names relative to its folder,
    /// sorted; each once.
    pub locals: Vec<LocalPath>,
}

/// A recipe that another one is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its file, relative to the folder of the recipe that uses it; of one that comes with the program,
    /// its path there, after [`Used::SHELF`].
    pub path: String,
    /// Digest of what is written in it: see [`Part::digest`].
    pub digest: Digest,
}

impl Used {
    /// What stands before the path of a recipe that comes with the program. It is no place of a machine, so
    /// that a lock file means the same wherever such recipes are laid out.
    pub const SHELF: &str = "polybuild:";

    /// `part`, reached as `path` from a recipe in the folder `dir`, or by its path on the shelf.
    pub(crate) fn new(dir: &Path, path: &Path, on_shelf: Option<String>, part: &Part) -> Used {
        let beside = || value::relative_to(&value::absolute(dir), &value::absolute(path));
        Used {
            path: match on_shelf {
                Some(path) => format!("{}{path}", Used::SHELF),
                None => beside().to_string_lossy().into_owned(),
            },
            digest: part.digest,
        }
    }
}

impl Part {
    pub(crate) fn new(path: &Path, canonical: &Path, text: &str) -> Part {
        Part {
            path: path.into(),
            canonical: canonical.into(),
            digest: canonical::digest_of_file(text),
            used: Vec::new(),
            sources: Vec::new(),
            packages: None,
            locals: Vec::new(),
        }
    }

    pub(crate) fn is_at(&self, canonical: &Path) -> bool {
        self.canonical == canonical
    }

    pub(crate) fn declares(&mut self, sources: Vec<Source>, locals: Vec<LocalPath>) {
        let dir = value::absolute(self.path.parent().unwrap_or(Path::new("")));
        self.sources = sources;
        self.locals = locals
            .into_iter()
            .map(|local| LocalPath {
                name: value::relative_to(&dir, &local.path)
                    .to_string_lossy()
                    .into_owned(),
                path: local.path,
            })
            .collect();
        self.locals.sort();
        self.locals.dedup();
    }

    /// The source with this id, if this file declares it.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|s| s.id == id)
    }

    /// Where its lock file is: `recipe.lock` for `recipe.toml`, beside it.
    pub fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }
}
