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
    /// Modules whose functions are added to it, in this order: references to `.wasm` or `.wat`
    /// files. This is how a published binary gets the snapshot's exports.
    #[serde(default)]
    pub graft: Vec<At<String>>,
    /// Run the module to its snapshot point when the image is built, and start from there.
    pub snapshot: Option<At<SnapshotTable>>,
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
