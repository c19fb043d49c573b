//! `[python]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;

/// The image's Python, and the packages that are installed for it. The recipe of a runtime says which Python it is;
/// recipes that extend or use it say which packages. See [Python packages](#python-packages).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PythonTable {
    /// Version of the interpreter, `3.12.0`; the recipe of a runtime says it.
    pub version: Option<At<String>>,
    /// Folder under which it is installed. Packages go to `PREFIX/lib/python3.12/site-packages` and
    /// their commands to `PREFIX/bin`, where `python3` is their interpreter. Default: `/usr/local`.
    pub prefix: Option<At<String>>,
    /// What its `sys.platform` is, for requirements that depend on it. Default: `linux`.
    pub platform: Option<At<String>>,
    /// What its `platform.machine()` is, likewise. Default: `wasm32`.
    pub machine: Option<At<String>>,
    /// The module that is linked again when the image has extensions; the recipe of a runtime says it, and has the
    /// toolchains `python-extension` and `python-link`.
    pub module: Option<At<String>>,
    /// A folder of the image for the wheels of all extensions. They are linked into Python and not installed: pip installs
    /// them from there.
    pub wheels: Option<At<String>>,
    /// Packages to install with all that they require, each as pip has it: `"flask==3.1.2"`,
    /// `"uvicorn[standard]>=0.30"`. The lock file pins every one.
    #[serde(default)]
    pub packages: Vec<At<String>>,
    /// A file of such requirements besides: a `path:` reference, `"path:requirements.txt"`.
    pub requirements: Option<At<String>>,
    /// Folders of the image whose `.py` files are compiled as those of packages are. What is compiled
    /// is not compared with its source when it is imported: of files that somebody changes in a
    /// running container or a derived image, Python would run what they were.
    #[serde(default)]
    pub compile: Vec<At<String>>,
}
