//! `[[build]]` and `[[toolchain]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;
use crate::ToolSet;

/// A command that makes files from others. It runs in an empty folder that holds its inputs and
/// nothing else, with the environment listed here and a `PATH` of the tools listed here. Of the
/// machine it sees the system's programs, read-only: see [build steps](build-steps.md).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuildTable {
    /// Name of the step; its results are `build:ID/OUTPUT`.
    pub id: At<String>,
    /// The command and its arguments; no shell is involved. Either this or `script`.
    pub run: Option<At<Vec<String>>>,
    /// A script for `/bin/sh -eu`. Either this or `run`.
    pub script: Option<At<String>>,
    /// Name of a `[[toolchain]]`: the step has its tools, its inputs and its environment, besides what is
    /// listed here. Where both say something of one variable or one path, the step's word counts.
    pub toolchain: Option<At<String>>,
    /// Environment of the command, no name of which begins with `VKERNEL_`. Besides these it has
    /// `PATH`, `HOME` and `TMPDIR` (folders of its own), `LC_ALL=C`, `TZ=UTC` and
    /// `SOURCE_DATE_EPOCH`. In a value `{folder}` stands for the absolute path of the step's folder.
    #[serde(default)]
    pub env: BTreeMap<At<String>, String>,
    /// Commands of this machine that the step may run, by name. `vkcc`, `vkc++`, `vkar` and
    /// `vkranlib` are the compiler driver of the Linux personality, installed beside polybuild;
    /// `polybuild` runs, in the vkernel, what a configure script has made to try it.
    #[serde(default)]
    pub tools: Vec<At<String>>,
    /// Sets of commands of this machine that the step may run besides its `tools`, by the set's name.
    #[serde(default)]
    pub tool_sets: Vec<ToolSet>,
    /// What the step reads: path in its folder = reference.
    #[serde(default)]
    pub inputs: BTreeMap<At<String>, At<String>>,
    /// What the step must have made when it ends: paths in its folder. One that ends in `/` is a
    /// folder with everything in it; references name it, or something in it, without that `/`.
    pub outputs: Vec<At<String>>,
}

/// What steps that compile have in common. A step takes it with `toolchain = "NAME"`. Like everything
/// with a name it is inherited: a recipe that makes a compiler or a C library declares it, and those
/// that use this recipe do not repeat it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ToolchainTable {
    /// Its name.
    pub name: At<String>,
    /// Commands that the step may run, as in a step's `tools`.
    #[serde(default)]
    pub tools: Vec<At<String>>,
    /// Variables of the step, as in a step's `env`.
    #[serde(default)]
    pub env: BTreeMap<At<String>, String>,
    /// What the step reads, as in a step's `inputs`.
    #[serde(default)]
    pub inputs: BTreeMap<At<String>, At<String>>,
}
