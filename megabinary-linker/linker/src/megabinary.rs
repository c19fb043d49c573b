//! The linked megabinary, before it has a form: modules with their states, entries, trees.
//!
//! It knows nothing of file offsets; `elf` and `portable` lay it out, and make its index with
//! [`Megabinary::index`].

use megabinary_format::{
    Digest, Entry, FileKind, FileNode, FileRange, FileTree, GlobalValue, Index, MemoryImage,
    Module, PAGE, Policy, ProcessState, Program, Route, Run, Segment, SnapshotDump, Target, stub,
};
use vkernel_abi::personality::Personality;
use wasmparser::ValType;

use crate::{
    Facts, LinkError, PlannedTree, files::FilesLayout, normalise::Contents, plan::PlannedFile,
};

/// A linked megabinary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Megabinary {
    parts: Parts,
}

/// What [`link`](crate::link) and `portable::read` make it of; consistent by their checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) provenance: Digest,
    pub(crate) modules: Vec<LinkedModule>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) programs: Vec<Program>,
    pub(crate) routes: Vec<Route>,
    pub(crate) trees: Vec<PlannedTree>,
    pub(crate) policy: Policy,
}

/// A module of a megabinary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedModule {
    /// Name.
    pub name: String,
    /// Digest of `wasm`.
    pub digest: Digest,
    /// The module as planned, as the portable form holds it.
    pub wasm: Vec<u8>,
    /// What is known about it.
    pub facts: Facts,
    /// The module to compile; see `normalise`.
    pub normalised: Vec<u8>,
    /// Contents of its memory at a cold start.
    pub cold: Contents,
    /// Memory and globals at its snapshot point.
    pub warm: Option<Warm>,
    /// Names of the shared libraries that it uses, sorted.
    pub libraries: Vec<String>,
}

/// State at a snapshot point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warm {
    /// Memory.
    pub contents: Contents,
    /// Mutable globals, sorted by index.
    pub globals: Vec<megabinary_format::Global>,
    /// The process, of modules of the Linux personality.
    pub process: Option<ProcessState>,
}

/// Where a form puts things; all in the order of the megabinary's own lists.
pub(crate) struct Placement {
    pub(crate) target: Target,
    pub(crate) code: Vec<Option<FileRange>>,
    pub(crate) cold: Vec<Vec<Run>>,
    pub(crate) warm: Vec<Vec<Run>>,
    pub(crate) files: FilesLayout,
    pub(crate) files_offset: u64,
    pub(crate) segments: Vec<Segment>,
}

impl Megabinary {
    pub(crate) fn new(parts: Parts) -> Megabinary {
        Megabinary { parts }
    }

    /// Name of the image.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The modules.
    pub fn modules(&self) -> &[LinkedModule] {
        &self.parts.modules
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.parts.entries
    }

    /// The routes, sorted by digest.
    pub fn routes(&self) -> &[Route] {
        &self.parts.routes
    }

    /// The internal trees, sorted by mount point, their nodes by path.
    pub fn trees(&self) -> &[PlannedTree] {
        &self.parts.trees
    }

    /// What programs may do.
    pub fn policy(&self) -> &Policy {
        &self.parts.policy
    }

    /// Installed programs, sorted by path: the path, the entry, the text of the stub to put there.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &Entry, String)> {
        self.parts.programs.iter().filter_map(|program| {
            let entry = self.parts.entries.get(program.entry as usize)?;
            Some((program.path.as_str(), entry, stub::text(&entry.digest)))
        })
    }

    /// The same megabinary with a snapshot for one of its modules.
    pub fn with_snapshot(
        mut self,
        module: usize,
        dump: SnapshotDump,
    ) -> Result<Megabinary, LinkError> {
        let linked = self
            .parts
            .modules
            .get_mut(module)
            .ok_or(LinkError::NoSuchModule(module))?;
        let warm = check_snapshot(&linked.facts, dump).map_err(|problem| LinkError::Snapshot {
            module: linked.name.clone(),
            problem,
        })?;
        linked.warm = Some(warm);
        Ok(self)
    }

    /// The index of this megabinary, laid out so.
    pub(crate) fn index(&self, at: &Placement) -> Index {
        let modules = self
            .parts
            .modules
            .iter()
            .enumerate()
            .map(|(i, module)| Module {
                name: module.name.clone(),
                digest: module.digest,
                code: at.code.get(i).copied().flatten(),
                cold: MemoryImage {
                    pages: module.cold.pages,
                    runs: at.cold.get(i).cloned().unwrap_or_default(),
                    globals: Vec::new(),
                },
                warm: module.warm.as_ref().map(|warm| MemoryImage {
                    pages: warm.contents.pages,
                    runs: at.warm.get(i).cloned().unwrap_or_default(),
                    globals: warm.globals.clone(),
                }),
                process: module.warm.as_ref().and_then(|warm| warm.process.clone()),
                imports: module.facts.import_names(),
                personality: module.facts.personality,
                is_library: module.facts.library.is_some(),
                libraries: module.libraries.clone(),
            });
        Index {
            name: self.parts.name.clone(),
            provenance: self.parts.provenance,
            target: at.target,
            modules: modules.collect(),
            entries: self.parts.entries.clone(),
            programs: self.parts.programs.clone(),
            routes: self.parts.routes.clone(),
            trees: self
                .parts
                .trees
                .iter()
                .map(|tree| placed_tree(tree, at))
                .collect(),
            policy: self.parts.policy.clone(),
            segments: at.segments.clone(),
        }
    }
}

fn placed_tree(tree: &PlannedTree, at: &Placement) -> FileTree {
    let nodes = tree.nodes.iter().map(|node| FileNode {
        path: node.path.clone(),
        kind: match &node.kind {
            PlannedFile::Directory => FileKind::Directory,
            PlannedFile::Symlink(target) => FileKind::Symlink(target.clone()),
            PlannedFile::File { bytes, executable } => FileKind::File {
                offset: match bytes.is_empty() {
                    true => 0,
                    false => at.files_offset + at.files.offset_of(bytes),
                },
                len: bytes.len() as u64,
                executable: *executable,
            },
        },
    });
    FileTree {
        mount: tree.mount.clone(),
        nodes: nodes.collect(),
    }
}

/// Whether a dump fits the module; gives what is kept of it.
pub(crate) fn check_snapshot(facts: &Facts, dump: SnapshotDump) -> Result<Warm, String> {
    if let Some(obstacle) = facts.snapshot_obstacle() {
        return Err(obstacle);
    }
    let contents = Contents::from(&dump);
    check_warm(facts, contents, dump.globals, dump.process)
}

/// As [`check_snapshot`], for contents that are already cut into pages.
pub(crate) fn check_warm(
    facts: &Facts,
    contents: Contents,
    globals: Vec<megabinary_format::Global>,
    process: Option<ProcessState>,
) -> Result<Warm, String> {
    if let Some(obstacle) = facts.snapshot_obstacle() {
        return Err(obstacle);
    }
    let (minimum, maximum) = facts
        .memory
        .map_or((0, None), |memory| (memory.minimum, memory.maximum));
    let maximum = maximum.unwrap_or(megabinary_format::WASM_PAGES_MAX);
    if contents.pages < minimum || contents.pages > maximum {
        return Err(format!(
            "the snapshot has {} pages of memory, the module allows {minimum} to {maximum}",
            contents.pages
        ));
    }
    let expected = facts.mutable_globals.iter().map(|g| (g.index, g.ty));
    let found = globals.iter().map(|g| {
        let ty = match g.value {
            GlobalValue::I32(_) => ValType::I32,
            GlobalValue::I64(_) => ValType::I64,
            GlobalValue::F32(_) => ValType::F32,
            GlobalValue::F64(_) => ValType::F64,
        };
        (g.index, ty)
    });
    if !expected.eq(found) {
        return Err(format!(
            "the snapshot has {} globals, which are not the module's {} mutable ones",
            globals.len(),
            facts.mutable_globals.len()
        ));
    }
    let is_linux = facts.personality == Personality::Linux;
    if process.is_some() != is_linux {
        return Err("the snapshot is one of a program of another personality".into());
    }
    if let Some(process) = &process {
        process.check(contents.pages)?;
        let mut pages = contents.contents.keys();
        if !pages.all(|page| process.maps(page * PAGE, (page + 1) * PAGE)) {
            return Err("the snapshot has contents where nothing is mapped".into());
        }
    }
    Ok(Warm {
        contents,
        globals,
        process,
    })
}
