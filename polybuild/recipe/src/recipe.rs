//! What a recipe means: inherited, composed, checked. The only form that later stages read.
//!
//! Invariant (kept by `resolve`): every [`Ref`] names a source, a build output or a local file
//! that exists; every program of kind `module` names a module; names are unique; paths in the
//! image are absolute and normal; no two programs or files share a path.
//!
//! The serialised form is what the recipe's digest covers (see `canonical`): it holds no path of
//! the machine. Changing the order or the names of fields changes every digest.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use megabinary_format::{Digest, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Part, Python, SourceUrl};

/// A recipe with everything that it inherits and uses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// The file it was loaded from, as given to [`crate::load`].
    #[serde(skip)]
    pub path: PathBuf,
    /// Every recipe file that was read, the first being `path`: at least that one.
    #[serde(skip)]
    pub parts: Vec<Part>,
    /// Name, `python`.
    pub name: String,
    /// Version of what it makes.
    pub version: String,
    /// One line for people.
    pub description: Option<String>,
    /// What it makes.
    pub kind: Kind,
    /// Things to fetch, in the order of declaration.
    pub sources: Vec<Source>,
    /// Build steps, each after the steps whose outputs it reads.
    pub builds: Vec<Build>,
    /// Modules.
    pub modules: Vec<Module>,
    /// Programs.
    pub programs: Vec<Program>,
    /// Files, folders and links in the layers.
    pub image_files: Vec<ImageFile>,
    /// Read-only trees inside the megabinary.
    pub trees: Vec<Tree>,
    /// The image's Python, where a recipe says which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<Python>,
    /// Its extensions, which are linked into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    /// Image settings.
    pub image: Image,
    /// What programs may do.
    pub policy: Policy,
    /// For the bill of materials.
    pub components: Vec<Component>,
}

/// What a recipe makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A language runtime, for images to use.
    Runtime,
    /// A library, for runtimes and tools to use.
    Library,
    /// Command-line programs, for images to use.
    Tool,
    /// An extension of Python, for images to use that have one.
    Extension,
    /// An image with somebody's program inside.
    App,
    /// A curated base image.
    Image,
}

/// A file of the machine that a recipe names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalPath {
    /// Relative to the folder of the recipe that says so, `/`-separated: the same on every machine, and
    /// wherever the loaded recipe lies.
    pub name: String,
    /// Where it is on this machine.
    pub path: PathBuf,
}

impl Serialize for LocalPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

/// A reference to a file or folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ref {
    /// `ID` or `ID:PATH`: a source, or a path in the unpacked source.
    Source {
        /// Id of the source.
        id: String,
        /// Relative path in it; `None`: the file that was fetched or, unpacked, the whole folder.
        path: Option<String>,
    },
    /// `build:STEP/OUTPUT`.
    Build {
        /// Id of the step.
        step: String,
        /// One of its outputs, or a path in one that is a folder.
        output: String,
    },
    /// `path:PATH`: a file or folder of this machine.
    Local(LocalPath),
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ref::Source { id, path: None } => f.write_str(id),
            Ref::Source { id, path: Some(p) } => write!(f, "{id}:{p}"),
            Ref::Build { step, output } => write!(f, "build:{step}/{output}"),
            Ref::Local(local) => write!(f, "path:{}", local.name),
        }
    }
}

/// Something to fetch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Name in the recipe.
    pub id: String,
    /// Where it comes from.
    pub url: SourceUrl,
    /// The file, for `path:`.
    pub local: Option<LocalPath>,
    /// The digest that the recipe demands.
    pub sha256: Option<Digest>,
    /// Whether to unpack it.
    pub extract: bool,
    /// Leading folders to remove from the paths in the archive.
    pub strip_components: u32,
    /// Unified diffs to apply, in order.
    pub patches: Vec<LocalPath>,
    /// Of a Debian source package, and only of one: what is done with the distribution's patches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
}

impl Source {
    /// Whether it has an entry in the lock file. What lies beside the recipe has none, nor have crates, which are
    /// locked by the source whose lock file names them.
    pub fn is_locked(&self) -> bool {
        self.local.is_none() && !matches!(self.url, SourceUrl::CargoLock { .. })
    }
}

/// What is done with the patches of a distribution's source package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Series {
    /// They are applied: the source is the distribution's.
    Applied,
    /// They are left out, for this reason: the source is upstream's.
    None(String),
}

/// A build step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Build {
    /// Name in the recipe.
    pub id: String,
    /// What to run.
    pub command: Command,
    /// Environment besides the fixed part; see [`Build::FOLDER`].
    pub env: BTreeMap<String, String>,
    /// Commands of the machine that the step may run.
    pub tools: Vec<String>,
    /// Relative path in the step's folder → what is put there.
    pub inputs: BTreeMap<String, Ref>,
    /// What it makes.
    pub outputs: Vec<Output>,
}

impl Build {
    /// What stands for the step's folder in a value of its environment.
    pub const FOLDER: &str = "{folder}";
}

/// What build steps have in common that name it: it is part of each such [`Build`] of a recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Toolchain {
    /// Name.
    pub name: String,
    /// Commands of the machine.
    pub tools: Vec<String>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Relative path in the step's folder → what is put there.
    pub inputs: BTreeMap<String, Ref>,
}

/// Something that a build step makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Relative path in the step's folder.
    pub path: String,
    /// Whether it is a folder, of which everything belongs to the output.
    pub folder: bool,
}

impl Output {
    /// Whether a reference to `path` means this output, or something in it.
    pub fn holds(&self, path: &str) -> bool {
        match path.strip_prefix(self.path.as_str()) {
            Some("") => true,
            Some(rest) => self.folder && rest.starts_with('/'),
            None => false,
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        f.write_str(if self.folder { "/" } else { "" })
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a build step runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// A command and its arguments, at least one.
    Run(Vec<String>),
    /// A script for `/bin/sh -eu`.
    Script(String),
}

/// A core module of the megabinary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Module {
    /// Name.
    pub name: String,
    /// The module's file.
    pub file: Ref,
    /// Code to add to it, in order.
    pub graft: Vec<Graft>,
    /// Absolute path at which the ZIP archive in its data becomes a read-only file; `None`: it
    /// stays where it is.
    pub embedded_zip: Option<String>,
    /// How to run it to its snapshot point, if it has one.
    pub snapshot: Option<Snapshot>,
}

/// A small module to be made one with another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graft {
    /// Its file.
    pub file: Ref,
    /// Name in its `data` imports → the file meant.
    pub data: BTreeMap<String, Ref>,
}

/// What a module sees while it runs to its snapshot point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its arguments, `argv[0]` first.
    pub args: Vec<String>,
    /// Seconds since the epoch; `None`: `SOURCE_DATE_EPOCH`.
    pub time: Option<i64>,
    /// Paths of the image's files that it sees.
    pub files: Vec<String>,
    /// What the runtime imports first.
    pub preload: Option<Preload>,
}

/// What a runtime imports before its snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preload {
    /// Module of the megabinary that is the runtime.
    pub module: String,
    /// Names in the runtime's language, at least one.
    pub names: Vec<String>,
    /// Absolute paths of folders to look in first.
    pub path: Vec<String>,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Program {
    /// Name.
    pub name: String,
    /// What it does.
    pub entry: Entry,
    /// Arguments between `argv[0]` and the caller's.
    pub args: Vec<String>,
    /// Absolute paths in the image, at least one.
    pub paths: Vec<String>,
}

/// What a program does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// Runs the module of this name.
    Module(String),
    /// Executes the program named by its next argument, found in `PATH`, as `env(1)` does.
    Env,
}

/// The kinds of programs that a recipe can write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramKind {
    /// Runs a module.
    #[default]
    Module,
    /// Built in: executes the program named by its next argument, found in `PATH`, as `env(1)`
    /// does.
    Env,
}

/// A file, folder or link in the layers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageFile {
    /// Absolute path.
    pub path: String,
    /// What it is.
    pub content: Content,
    /// What to leave out of a folder that is copied.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub exclude: Patterns,
    /// Permission bits; 0o777 for links.
    pub mode: u32,
    /// User and group; `None`: root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<(u32, u32)>,
}

/// What an [`ImageFile`] is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A copy of a file.
    Copy(Ref),
    /// This text.
    Text(String),
    /// A symbolic link with this target.
    Link(String),
    /// An empty folder.
    Directory,
}

/// A read-only file tree inside the megabinary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tree {
    /// Absolute path.
    pub mount: String,
    /// Its files, at least one entry.
    pub entries: Vec<TreeEntry>,
}

/// Files for a tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TreeEntry {
    /// A file, or a folder whose contents are meant.
    pub source: Ref,
    /// Where it goes, relative to the mount; `None`: a file's own name, or the mount itself.
    pub to: Option<String>,
    /// What to leave out.
    pub exclude: Patterns,
}

/// Patterns of names in a folder, of which `*` stands for any letters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Patterns(pub Vec<String>);

impl Patterns {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a path in the folder is meant: some name in it matches some pattern.
    pub fn cover(&self, path: &Path) -> bool {
        path.components().any(|c| {
            let name = c.as_os_str().as_encoded_bytes();
            self.0
                .iter()
                .any(|p| crate::value::matches_pattern(p.as_bytes(), name))
        })
    }
}

/// Image settings, as the OCI image configuration has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Image {
    /// Name without tag.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// `Entrypoint`.
    pub entrypoint: Option<Vec<String>>,
    /// `Cmd`.
    pub cmd: Option<Vec<String>>,
    /// `User`.
    pub user: Option<String>,
    /// `WorkingDir`.
    pub workdir: Option<String>,
    /// `Labels`.
    pub labels: BTreeMap<String, String>,
    /// `ExposedPorts`, each `PORT/PROTOCOL`.
    pub expose: Vec<String>,
    /// `Volumes`.
    pub volumes: Vec<String>,
    /// `StopSignal`.
    pub stop_signal: Option<String>,
}

/// What programs may do. The same shape as the policy in a megabinary's index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Its limits.
    pub limits: Limits,
    /// Rules of the network, `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Vec<String>>,
    /// Whether the whole root is read-only.
    pub read_only_root: bool,
    /// Absolute paths below which nothing may be written.
    pub read_only: Vec<String>,
    /// Absolute paths that do not exist for programs.
    pub hidden: Vec<String>,
}

/// A Python package whose code is linked into the interpreter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extension {
    /// Its name, normalised.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The folder that was made of it: a wheel, and what the stubs in that stand for.
    pub built: Ref,
    /// Lines of a requirements file.
    pub depends: Vec<String>,
}

/// Something that the image contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Name.
    pub name: String,
    /// Id of the source that it is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Version; `None`: that of the source, which the lock file says.
    pub version: Option<String>,
    /// Package URL; `None`: that of the source.
    pub purl: Option<String>,
    /// SPDX licence expression.
    pub license: Option<String>,
}

impl Recipe {
    /// The source with this id.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|s| s.id == id)
    }

    /// The module with this name.
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|m| m.name == name)
    }
}

impl Recipe {
    /// Every reference in modules, files, trees and build steps.
    pub fn refs(&self) -> impl Iterator<Item = &Ref> {
        let modules = self.modules.iter().map(|m| &m.file);
        let grafts = self.modules.iter().flat_map(|m| &m.graft);
        let grafts = grafts.flat_map(|g| std::iter::once(&g.file).chain(g.data.values()));
        let files = self.image_files.iter().filter_map(|f| match &f.content {
            Content::Copy(r) => Some(r),
            _ => None,
        });
        let trees = self
            .trees
            .iter()
            .flat_map(|t| t.entries.iter().map(|e| &e.source));
        let builds = self.builds.iter().flat_map(|b| b.inputs.values());
        modules
            .chain(grafts)
            .chain(files)
            .chain(trees)
            .chain(builds)
    }
}
