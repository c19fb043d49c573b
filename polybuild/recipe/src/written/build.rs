//! `[[build]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;

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
    /// Environment of the command, no name of which begins with `VKERNEL_`. Besides these it has
    /// `PATH`, `HOME` and `TMPDIR` (folders of its own), `LC_ALL=C`, `TZ=UTC` and
    /// `SOURCE_DATE_EPOCH`.
    #[serde(default)]
    pub env: BTreeMap<At<String>, String>,
    /// Commands of this machine that the step may run, by name. `vkcc`, `vkc++`, `vkar` and
    /// `vkranlib` are the compiler driver of the Linux personality, installed beside polybuild;
    /// `polybuild` runs, in the vkernel, what a configure script has made to try it.
    #[serde(default)]
    pub tools: Vec<At<String>>,
    /// What the step reads: path in its folder = reference.
    #[serde(default)]
    pub inputs: BTreeMap<At<String>, At<String>>,
    /// What the step must have made when it ends: paths in its folder. One that ends in `/` is a
    /// folder with everything in it; references name it, or something in it, without that `/`.
    pub outputs: Vec<At<String>>,
}
