//! What can be wrong with a recipe, and how it is shown: each problem with its line underlined.
//!
//! A [`RecipeError`] carries every problem found in one pass, so that a user mends them together.

use std::{fmt, io, path::PathBuf};

use megabinary_format::DigestError;
use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::{Place, UrlError, nearest::nearest};

/// Why a recipe could not be loaded.
#[derive(Debug)]
pub struct RecipeError {
    /// The recipe that was to be loaded.
    pub recipe: PathBuf,
    /// What is wrong; at least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// What it is.
    pub kind: ProblemKind,
    /// Where it stands; `None` when the recipe itself could not be read.
    pub place: Option<Place>,
}

/// The kinds of [`Problem`]s.
#[derive(Debug, thiserror::Error)]
pub enum ProblemKind {
    /// A recipe cannot be read.
    #[error("cannot read the recipe {}: {error}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Not TOML.
    #[error("this is not TOML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A key that the table does not have.
    #[error("unknown key `{key}` in {table}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The table, as recipes write it.
        table: String,
        /// What was probably meant.
        nearest: Option<String>,
        /// What to know about this very key.
        note: Option<&'static str>,
    },
    /// A value of the wrong type, or a missing key.
    #[error("{message}")]
    Type {
        /// What was found and what was expected.
        message: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// Two items with one name.
    #[error("{what} `{name}` is declared twice")]
    Duplicate {
        /// `source`, `module`, …
        what: &'static str,
        /// The name.
        name: String,
        /// Where it was declared first.
        first: Place,
    },
    /// Two recipes that are used together set one variable to different values.
    #[error("the recipes used here set `{name}` to different values")]
    Conflict {
        /// The environment variable.
        name: String,
        /// One value and where it was set.
        first: (String, Place),
    },
    /// A name that nothing has.
    #[error("there is no {what} `{name}`")]
    UnknownReference {
        /// `source`, `module`, …
        what: &'static str,
        /// The name.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
        /// Every name that would do.
        known: Vec<String>,
    },
    /// `from` or `uses` leads back to a recipe that is being read.
    #[error("recipes inherit from each other in a circle: {chain}")]
    Cycle {
        /// The files, from the first to its repetition.
        chain: String,
    },
    /// Build steps wait for each other.
    #[error("build steps read each other's outputs in a circle: {chain}")]
    BuildCycle {
        /// The steps, from the first to its repetition.
        chain: String,
    },
    /// `NAME/TAG` names no recipe.
    #[error("no recipe `{name}` in the {folders} folders from here upwards")]
    NoSuchRecipe {
        /// What was written.
        name: String,
        /// Folders that were searched.
        folders: &'static str,
        /// What the program itself has.
        known: Vec<String>,
    },
    /// The recipes that come with the program cannot be laid out.
    #[error("the recipe `{name}` comes with polybuild and cannot be used: {why}")]
    Shelf {
        /// What was written.
        name: String,
        /// The reason.
        why: String,
    },
    /// Two things at one path of the image.
    #[error("{what} and {other} are both at {path}")]
    PathClash {
        /// The path.
        path: String,
        /// This one.
        what: String,
        /// The one before.
        other: String,
        /// Where the one before stands.
        first: Place,
    },
    /// A path that cannot be used.
    #[error("`{path}` is not {wanted}: {why}")]
    BadPath {
        /// The path.
        path: String,
        /// What was wanted: "a path in the image", …
        wanted: &'static str,
        /// The reason.
        why: &'static str,
    },
    /// A digest that is none.
    #[error("`{text}` is not a digest: {error}")]
    BadDigest {
        /// What was written.
        text: String,
        /// The reason.
        #[source]
        error: DigestError,
    },
    /// A digest is missing where nothing else pins the content.
    #[error("an `https:` source needs its digest")]
    MissingDigest,
    /// An address that cannot be read.
    #[error("`{url}` is not a source address: {error}")]
    BadUrl {
        /// What was written.
        url: String,
        /// The reason.
        #[source]
        error: UrlError,
    },
    /// A local file that is not there, or cannot be looked at.
    #[error("the file {} {trouble}", .path.display())]
    MissingFile {
        /// Where it was looked for.
        path: PathBuf,
        /// What keeps it from being read ([`crate::trouble`]).
        trouble: String,
    },
    /// A requirement of a Python package that cannot be used.
    #[error("the requirement {what} cannot be used: {why}")]
    Requirement {
        /// The requirement, and where it stands if that is in a file of its own.
        what: String,
        /// The reason.
        why: &'static str,
    },
    /// Any other value that does not mean anything.
    #[error("`{value}` is not {wanted}")]
    BadValue {
        /// What was written.
        value: String,
        /// What was wanted.
        wanted: &'static str,
    },
    /// An extension of another version than the known one.
    #[error(
        "how `{name}` is built is known of another version than this{}",
        .known.as_ref().map(|version| format!(": of {version}")).unwrap_or_default()
    )]
    ExtensionVersion {
        /// Its name.
        name: String,
        /// The version that is known.
        known: Option<String>,
    },
    /// Keys that exclude or need each other.
    #[error("{message}")]
    Keys {
        /// Which, and how.
        message: &'static str,
    },
}

impl ProblemKind {
    fn help(&self) -> Option<String> {
        let mean = |n: &Option<String>| n.as_ref().map(|n| format!("did you mean `{n}`?"));
        match self {
            ProblemKind::UnknownKey { note: Some(n), .. } => Some((*n).into()),
            ProblemKind::UnknownKey { nearest, .. } | ProblemKind::Type { nearest, .. } => {
                mean(nearest)
            }
            ProblemKind::UnknownReference {
                what: "toolchain",
                known,
                ..
            } if known.is_empty() => Some(
                "the recipe that declares it belongs in `uses`, as `uses = [\"musl/1.2.5\"]`"
                    .into(),
            ),
            ProblemKind::UnknownReference { nearest, known, .. } => mean(nearest).or_else(|| {
                (!known.is_empty()).then(|| format!("there are: {}", known.join(", ")))
            }),
            ProblemKind::Duplicate { first, .. } => {
                Some(format!("first declared in {first}; rename one of the two"))
            }
            ProblemKind::Conflict { first: (v, at), .. } => Some(format!(
                "it is `{v}` in {at}; set it in this recipe's own `[image]` to decide"
            )),
            ProblemKind::PathClash { first, .. } => Some(format!(
                "the other is in {first}; give one of them another path"
            )),
            ProblemKind::MissingDigest => Some(
                "add `sha256 = \"…\"` with the 64 digits that `sha256sum FILE` prints, taken from \
                 a source that you trust"
                    .into(),
            ),
            ProblemKind::BadUrl { error, .. } => error.help(),
            ProblemKind::ExtensionVersion { known, .. } => Some(match known {
                Some(version) => format!(
                    "write `=={version}`, or say how this version is built: `requires = [\"setuptools==80.9.0\"]`, \
                     what its build needs"
                ),
                None => "its recipe is not one of an extension".into(),
            }),
            ProblemKind::NoSuchRecipe { name, known, .. }
                if name.starts_with("python-extensions/") =>
            {
                let how = "say how it is built: `requires = [\"setuptools==80.9.0\"]`, what its build needs";
                let known: Vec<&str> = known
                    .iter()
                    .filter_map(|name| name.strip_prefix("python-extensions/"))
                    .collect();
                Some(match known.is_empty() {
                    true => how.to_owned(),
                    false => format!("{how}. Known by their names are: {}", known.join(", ")),
                })
            }
            ProblemKind::NoSuchRecipe { known, .. } if known.is_empty() => Some(
                "write NAME/TAG as its folder is called, or a path that ends in `.toml`".into(),
            ),
            ProblemKind::NoSuchRecipe { name, known, .. } => {
                mean(&nearest(name, known.iter().map(String::as_str))).or_else(|| {
                    let known = known.join(", ");
                    Some(format!(
                        "with polybuild come: {known}; or write a path that ends in `.toml`"
                    ))
                })
            }
            ProblemKind::MissingFile { .. } => {
                Some("paths in a recipe are relative to the folder of the recipe".into())
            }
            ProblemKind::Requirement { .. } => Some(
                "write packages of the index as `flask==3.1.2`; where they come from is for pip's own \
                 settings"
                    .into(),
            ),
            ProblemKind::Read { .. } => Some("give the path of a recipe.toml".into()),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.kind.help()?))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.place.as_ref()?.text.as_ref())
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.place.as_ref()?.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => fmt::Display::fmt(one, f),
            all => write!(f, "{} problems in {}", all.len(), self.recipe.display()),
        }
    }
}

impl std::error::Error for RecipeError {}

/// One problem is shown as itself; several are listed one after the other.
impl Diagnostic for RecipeError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only()?.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.only()?.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only()?.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.only().is_some() {
            return None;
        }
        Some(Box::new(self.problems.iter().map(|p| p as &dyn Diagnostic)))
    }
}

impl RecipeError {
    fn only(&self) -> Option<&Problem> {
        match self.problems.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}
