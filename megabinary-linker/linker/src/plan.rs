//! What the recipe wants in a megabinary, in names and paths, and why that cannot be linked.

use megabinary_format::{Digest, Policy};

use crate::{analysis::AnalysisError, normalise::NormaliseError};

/// What a megabinary is to contain.
#[derive(Clone, Debug, Default)]
pub struct LinkPlan {
    /// Name of the image, `vkernel/python:3.12`.
    pub name: String,
    /// Digest of `recipe.lock`, or of the module for a bare module.
    pub provenance: Option<Digest>,
    /// Core modules.
    pub modules: Vec<PlannedModule>,
    /// Entries.
    pub entries: Vec<PlannedEntry>,
    /// Installed programs: absolute path in the image, name of the entry.
    pub programs: Vec<(String, String)>,
    /// Further files that start an entry: digest of the whole file, name of the entry.
    pub extra_routes: Vec<(Digest, String)>,
    /// Internal file trees.
    pub trees: Vec<PlannedTree>,
    /// What programs may do.
    pub policy: Policy,
}

/// A core module as built (and grafted).
#[derive(Clone, Debug)]
pub struct PlannedModule {
    /// Name, `python`.
    pub name: String,
    /// The module.
    pub wasm: Vec<u8>,
}

/// An entry.
#[derive(Clone, Debug)]
pub struct PlannedEntry {
    /// Name, `python3`.
    pub name: String,
    /// What it does.
    pub kind: PlannedKind,
    /// Arguments put between `argv[0]` and the caller's.
    pub argv_prefix: Vec<String>,
}

/// What an entry does.
#[derive(Clone, Debug)]
pub enum PlannedKind {
    /// Runs the module of this name.
    Module(String),
    /// Behaves as `env(1)`.
    Env,
}

/// A read-only file tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTree {
    /// Absolute guest path.
    pub mount: String,
    /// Nodes in any order; folders that are only implied by paths are added.
    pub nodes: Vec<PlannedNode>,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedNode {
    /// Path relative to the mount point.
    pub path: String,
    /// What it is.
    pub kind: PlannedFile,
}

/// What a node of a tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannedFile {
    /// A folder.
    Directory,
    /// A file.
    File {
        /// Contents.
        bytes: Vec<u8>,
        /// Whether its mode has execute permission.
        executable: bool,
    },
    /// A symbolic link.
    Symlink(String),
}

/// Why a plan cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A module is not one the vkernel can run.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// A module cannot be normalised.
    #[error("module `{name}`: {source}")]
    Normalise {
        /// The module.
        name: String,
        /// Why.
        source: NormaliseError,
    },
    /// A name that is empty or has control characters.
    #[error("{what} is named `{name}`: a name is not empty and has no control characters")]
    BadName {
        /// What is named so.
        what: &'static str,
        /// The name, control characters escaped.
        name: String,
    },
    /// Two things of one kind with one name.
    #[error("two {what} are named `{name}`; rename one of them")]
    DuplicateName {
        /// Kind, in the plural.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A shared library under another name than its own.
    #[error("module `{module}` is the shared library `{name}`: call it so")]
    LibraryName {
        /// The module.
        module: String,
        /// Its name as a library.
        name: String,
    },
    /// A program uses a shared library that is not there.
    #[error(
        "module `{module}` uses the shared library `{library}`, which no recipe of the image has: add the recipe \
         with its `[[library]]` to `uses`"
    )]
    NoLibrary {
        /// The program.
        module: String,
        /// The library.
        library: String,
    },
    /// A program was linked with another version of a library's functions.
    #[error(
        "module `{module}` was linked with a shared library `{library}` that offers {wanted}; the image's offers \
         {found}: build the module again"
    )]
    OtherLibrary {
        /// The program.
        module: String,
        /// The library.
        library: String,
        /// What the program relies on.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// A program cannot use a library.
    #[error(
        "module `{module}` cannot use the shared library `{library}`: {problem}; link it again"
    )]
    Unfit {
        /// The program.
        module: String,
        /// The library.
        library: String,
        /// Why.
        problem: String,
    },
    /// Two programs at one path.
    #[error(
        "two programs are installed at `{path}`: `{first}` and `{second}`; give one of them \
         another path"
    )]
    DuplicateProgram {
        /// The path.
        path: String,
        /// Entry of the first.
        first: String,
        /// Entry of the second.
        second: String,
    },
    /// An unknown entry or module.
    #[error("{user} names the {what} `{name}`, which does not exist{hint}")]
    UnknownName {
        /// What refers to it.
        user: String,
        /// `entry` or `module`.
        what: &'static str,
        /// The name.
        name: String,
        /// Closest name there is, as the end of the sentence; may be empty.
        hint: String,
    },
    /// One file that would start two entries.
    #[error("the file {file} is routed to two entries, `{first}` and `{second}`")]
    AmbiguousRoute {
        /// Digest of the file.
        file: Digest,
        /// First entry.
        first: String,
        /// Second entry.
        second: String,
    },
    /// A path that is not plain.
    #[error("{what} `{path}`: {problem}")]
    BadPath {
        /// What has the path.
        what: &'static str,
        /// The path, control characters escaped.
        path: String,
        /// What is wrong, and what is right.
        problem: &'static str,
    },
    /// A node below something that is not a folder, or twice.
    #[error("in the tree at `{mount}`, `{path}` is listed twice or lies below a file")]
    TreeConflict {
        /// Mount point.
        mount: String,
        /// Path in it.
        path: String,
    },
    /// There is no module with this position.
    #[error("there is no module {0} to give a snapshot to")]
    NoSuchModule(usize),
    /// The module cannot have a snapshot.
    #[error("module `{module}` cannot be snapshotted: {problem}")]
    Snapshot {
        /// The module.
        module: String,
        /// Why.
        problem: String,
    },
}
