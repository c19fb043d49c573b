//! The TOML as written. Nothing outside this crate's `resolve` reads these types.
//!
//! The doc comments here are user documentation: the JSON schema and `docs/recipe-reference.md`
//! are generated from them, so they speak of keys, not of Rust. Every table refuses keys that it
//! does not know.
//!
//! Values that have a syntax of their own (source addresses, sizes, paths in the image) are plain
//! text here and are parsed, with their place, by `resolve`.

mod at;
mod build;
mod content;
mod extension;
mod image;
mod module;
mod python;
mod source;

pub use at::At;
pub use build::{BuildTable, ToolchainTable};
pub use content::{EntryTable, FileTable, TreeTable};
pub use extension::ExtensionTable;
pub use image::{Amount, ComponentTable, ImageTable, NetworkValue, PolicyTable};
pub use module::{
    GraftTable, LibraryTable, ModuleTable, PreloadTable, ProgramTable, SnapshotTable,
};
pub use python::PythonTable;
pub use source::{SeriesChoice, SourceTable};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Kind, ProgramKind};

/// A recipe declares a runtime, a library, a tool, an app or a whole image: where its sources come
/// from, how it is built, which programs it installs, its image settings and its policy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecipeFile {
    /// What the recipe is, and what it is made from.
    pub recipe: RecipeTable,
    /// Things to fetch. Each is pinned by digest in `recipe.lock`.
    #[serde(default)]
    pub source: Vec<At<SourceTable>>,
    /// Commands that make files from sources.
    #[serde(default)]
    pub build: Vec<At<BuildTable>>,
    /// What steps that compile have in common.
    #[serde(default)]
    pub toolchain: Vec<At<ToolchainTable>>,
    /// WebAssembly core modules that go into the megabinary.
    #[serde(default)]
    pub module: Vec<At<ModuleTable>>,
    /// Shared libraries.
    #[serde(default)]
    pub library: Vec<At<LibraryTable>>,
    /// What goes into a module's snapshot besides.
    #[serde(default)]
    pub preload: Vec<At<PreloadTable>>,
    /// Programs that the image installs.
    #[serde(default)]
    pub program: Vec<At<ProgramTable>>,
    /// Single files, folders and links in the layers of the image.
    #[serde(default)]
    pub file: Vec<At<FileTable>>,
    /// Read-only file trees inside the megabinary.
    #[serde(default)]
    pub tree: Vec<At<TreeTable>>,
    /// Extensions of Python that are linked into it.
    #[serde(default)]
    pub extension: Vec<At<ExtensionTable>>,
    /// The image's Python, and the packages that are installed for it.
    #[serde(default)]
    pub python: Option<At<PythonTable>>,
    /// Settings of the image.
    #[serde(default)]
    pub image: Option<At<ImageTable>>,
    /// What the programs may do.
    #[serde(default)]
    pub policy: Option<At<PolicyTable>>,
    /// What the image contains, for its bill of materials (SBOM).
    #[serde(default)]
    pub component: Vec<At<ComponentTable>>,
}

/// What the recipe is, and what it is made from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecipeTable {
    /// Name, `python`. Letters, digits and `._+-/`.
    pub name: At<String>,
    /// Version of what the recipe makes, `3.12.0`.
    pub version: At<String>,
    /// One line for people.
    pub description: Option<String>,
    /// What the recipe makes.
    pub kind: Kind,
    /// The recipe that this one extends: a path that ends in `.toml`, relative to this file, or
    /// `NAME/TAG`, looked for as `base-images/NAME/TAG/recipe.toml` and then
    /// `recipes/NAME/TAG/recipe.toml` in this file's folder and every folder above it, and then among the
    /// recipes that come with polybuild.
    pub from: Option<At<String>>,
    /// Recipes that this one puts together: paths that end in `.toml`, or `NAME/TAG`, looked for
    /// as `recipes/NAME/TAG/recipe.toml` in this file's folder and every folder above it, and then among
    /// the recipes that come with polybuild.
    #[serde(default)]
    pub uses: Vec<At<String>>,
}

impl ProgramKind {
    pub(crate) fn is_module(&self) -> bool {
        matches!(self, ProgramKind::Module)
    }
}
