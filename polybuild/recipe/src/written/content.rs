//! `[[file]]` and `[[tree]]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;

/// One file, folder or symbolic link in the layers of the image. Exactly one of
/// `source`, `text`, `link` and `directory` says what it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileTable {
    /// Absolute path in the image.
    pub path: At<String>,
    /// The file's content: a reference to a file, or to a folder that is copied with all that is in it.
    /// A copied folder may lie over others: folders become one, two files at one path are an error.
    pub source: Option<At<String>>,
    /// Files and folders of a copied folder to leave out: a pattern is compared with every name in a
    /// path, and `*` stands for any letters: `"__pycache__"`, `"*.md"`.
    #[serde(default)]
    pub exclude: Vec<At<String>>,
    /// The file's content, as text.
    pub text: Option<String>,
    /// Makes a symbolic link with this target.
    pub link: Option<At<String>>,
    /// Makes a folder, when `true`.
    #[serde(default)]
    pub directory: bool,
    /// Permissions in octal. Default: `"0644"` for a file, `"0755"` for a folder. What is in a copied folder
    /// has `0755` if it can be executed.
    pub mode: Option<At<String>>,
    /// Who owns it, and what is in a copied folder: `UID:GID`, in numbers. Default: `"0:0"`, root.
    pub owner: Option<At<String>>,
}

/// A read-only file tree inside the megabinary, which programs see and the layers do not contain. Only
/// programs of WASI see it: Linux programs have the files that the host's kernel has, and for these a
/// `[[file]]` copies a folder into the layers. An image of Linux programs alone has no trees.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TreeTable {
    /// Absolute path at which programs see it.
    pub mount: At<String>,
    /// What is in it. A later entry may add files to a folder of an earlier one, but not replace
    /// a file.
    pub entry: Vec<At<EntryTable>>,
}

/// Files for a tree.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EntryTable {
    /// A reference to a file, or to a folder whose contents are taken.
    pub source: At<String>,
    /// Where it goes, relative to the mount. Default: a file keeps its name, the contents of a
    /// folder go to the mount itself.
    pub to: Option<At<String>>,
    /// Files and folders to leave out: a pattern is compared with every name in a path, and `*`
    /// stands for any letters: `"*.so"`, `"tests"`.
    #[serde(default)]
    pub exclude: Vec<At<String>>,
}
