//! `[[extension]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;

/// A Python package with code in C, C++ or Rust, from its source distribution. It is compiled for the image and linked
/// into the image's Python, where its modules are found as elsewhere. See
/// [Extensions of Python](#extensions-of-python).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtensionTable {
    /// Name and version on PyPI, `"markupsafe==3.0.2"`. If nothing else is said, polybuild knows how it is built:
    /// `recipes/python-extensions/NAME/recipe.toml` says it.
    pub package: At<String>,
    /// What its build needs, each as `"setuptools==80.9.0"`: wheels of pure Python. An empty list, if it needs nothing.
    pub requires: Option<Vec<At<String>>>,
    /// Packages that it requires when it is used, each as pip has it. They are installed with it.
    #[serde(default)]
    pub depends: Vec<At<String>>,
    /// C libraries: name = reference to a folder with `include/` and `threads/lib/`, `"build:zlib/zlib"`.
    #[serde(default)]
    pub libraries: BTreeMap<At<String>, At<String>>,
    /// What the build reads besides: path in the step's folder, where `source/` is the source distribution = reference.
    #[serde(default)]
    pub inputs: BTreeMap<At<String>, At<String>>,
    /// Variables of the build. `EXTENSION_CFLAGS` is for the compiler; `EXTENSION_CONFIG`, lines of `name=value`, for the
    /// build backend; `{folder}` stands for the step's folder.
    #[serde(default)]
    pub env: BTreeMap<At<String>, String>,
    /// Unified diffs for the source distribution: `path:` references.
    #[serde(default)]
    pub patches: Vec<At<String>>,
    /// Of a project in Rust: the path of its lock file in the source distribution, `"Cargo.lock"`. All crates that it
    /// names are fetched, each by the checksum there. The recipe has `uses = ["rust/1.97"]`.
    pub crates: Option<At<String>>,
    /// Unified diffs for the crates, whose paths begin with `NAME-VERSION/`: `path:` references.
    #[serde(default)]
    pub crate_patches: Vec<At<String>>,
    /// Commands of this machine that the build may run, besides the set `unix`.
    #[serde(default)]
    pub tools: Vec<At<String>>,
    /// A folder that a build step of the recipe's own has made as `polyfills/python/extension/build.sh` does, instead of
    /// everything but `package` and `depends`: `"build:numpy/extension"`.
    pub built: Option<At<String>>,
    /// SPDX licence expression, for the bill of materials.
    pub license: Option<String>,
}
