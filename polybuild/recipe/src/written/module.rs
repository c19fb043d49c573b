//! `[[module]]` and `[[program]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;
use crate::ProgramKind;

/// A WebAssembly core module that goes into the megabinary.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModuleTable {
    /// Name of the module, `python`.
    pub name: At<String>,
    /// The module: a reference to a `.wasm` or `.wat` file.
    pub file: At<String>,
    /// Code that is added to it, in this order.
    #[serde(default)]
    pub graft: Vec<At<GraftTable>>,
    /// Takes the only ZIP archive out of the module's data, where `wasi-vfs` packs a runtime's
    /// library, and makes it a read-only file of the megabinary: its absolute path.
    pub embedded_zip: Option<At<String>>,
    /// Run the module to its snapshot point when the image is built, and start from there.
    pub snapshot: Option<At<SnapshotTable>>,
}

/// A shared library: a module that `vkcc -shared -mside-module=…` made. The megabinary has it once for all programs
/// that were linked with it, and not at all if there are none.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LibraryTable {
    /// Its name (`-soname`), `libz.so.1`.
    pub name: At<String>,
    /// The library: a reference to the module.
    pub file: At<String>,
}

/// Glue: a small module that uses the functions and the state of the module as if the two had been
/// linked together. This is how a published binary gets the exports that a snapshot needs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GraftTable {
    /// The glue: a reference to a `.wat` or `.wasm` file.
    pub file: At<String>,
    /// Files that the glue carries: name in its `data` imports = reference.
    #[serde(default)]
    pub data: BTreeMap<At<String>, At<String>>,
}

/// What the module sees while it runs to its snapshot point.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SnapshotTable {
    /// Its whole environment.
    #[serde(default)]
    pub env: BTreeMap<At<String>, String>,
    /// Its arguments, the program's name first.
    #[serde(default)]
    pub args: Vec<String>,
    /// The time that its clocks show, in seconds since 1970-01-01T00:00:00Z. Default:
    /// `SOURCE_DATE_EPOCH`.
    pub time: Option<At<i64>>,
    /// What it sees of the image besides read-only trees: paths of `[[file]]`, as they are spelt there. The snapshot is
    /// taken anew when one of these changes. They are owned by root and have no times.
    #[serde(default)]
    pub files: Vec<At<String>>,
}

/// What a language's runtime imports before its snapshot is taken, besides what it chooses itself:
/// programs that use it then start with it in memory. A program sees no difference as long as what
/// is imported holds no file open, prints nothing, and looks at neither environment nor files of
/// the container: that is for the recipe's author to know. Read-only trees are in place meanwhile;
/// the image's files and environment are not.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PreloadTable {
    /// Name of the `[[module]]` that is the runtime; it needs a `snapshot`, and a runtime that
    /// knows what to do (`python` does).
    pub module: At<String>,
    /// What to import, as the language names it: `jinja2`, `email.mime.text`.
    pub names: Vec<At<String>>,
    /// Folders in which to look first, in a read-only tree of the image: absolute paths, spelt as
    /// the programs will have them (for Python in `PYTHONPATH`).
    #[serde(default)]
    pub path: Vec<At<String>>,
}

/// A program: something that can be executed by a path.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProgramTable {
    /// Name of the program, `python3`.
    pub name: At<String>,
    /// What it does.
    #[serde(default)]
    pub kind: ProgramKind,
    /// Name of the module that it runs; for `kind = "module"`.
    pub module: Option<At<String>>,
    /// Arguments put between the program's name and the caller's arguments.
    #[serde(default)]
    pub args: Vec<At<String>>,
    /// Where the image installs it: absolute paths.
    pub paths: Vec<At<String>>,
}
