//! The recipe model: `recipe.toml` as it is written, what it means, and `recipe.lock`.
//!
//! Two types for one input. [`RecipeFile`] mirrors the TOML; [`Recipe`] is what the file means
//! after inheritance, composition and every check, and is the only one that the rest of the
//! project reads. The JSON schema and the reference page are generated from the first
//! ([`json_schema`], [`reference_page`]).
//!
//! What this crate does not do: fetch, build, or write anything but a lock file; it reads recipes
//! and the local files that they name, and no environment.
//!
//! Invariant: [`load`] is total. Any bytes in a recipe give a [`Recipe`] whose references all
//! resolve, or a [`RecipeError`] that shows each wrong place; never a panic.

mod canonical;
mod error;
mod keys;
mod local;
mod lock;
mod nearest;
mod package;
mod part;
mod pins;
mod place;
mod python;
mod recipe;
mod reference;
mod requirement;
mod resolve;
mod shelf;
mod tool_set;
mod url;
mod value;
pub mod written;

pub use error::{Problem, ProblemKind, RecipeError};
pub use local::{LocalError, digest_path, trouble};
pub use lock::{Lock, LockError, LockStatus, LockedInput, LockedLocal, LockedUse, StaleReason};
pub use package::{LockedPackage, LockedPart, LockedPatch};
pub use part::{Part, Used};
pub use pins::Pins;
pub use place::Place;
pub use python::{LockedPython, LockedWheel, Offered, Python, WantedPackages, normal_package_name};
pub use recipe::*;
pub use reference::{json_schema, reference_page};
pub use resolve::{load, load_with, parse};
pub use shelf::Shelf;
pub use tool_set::ToolSet;
pub use url::{PypiKind, SourceUrl, UrlError};
pub use value::{image_name, image_tag};
pub use written::RecipeFile;
