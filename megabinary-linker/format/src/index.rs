//! The index: what a megabinary contains and what may run, as one signed value.
//!
//! The same model serves both forms; the executable form adds [`Segment`]s with addresses.

use vkernel_abi::personality::Personality;

use crate::{Digest, Limits, NetworkRule, ProcessState};

/// Everything that a launcher or an auditor needs to know about a megabinary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Name of the image it was made for, `vkernel/python:3.12`.
    pub name: String,
    /// Digest of `recipe.lock` (or of the module, for a bare module), for provenance.
    pub provenance: Digest,
    /// The form of code in it.
    pub target: Target,
    /// Modules, in the order of their sections in the portable form.
    pub modules: Vec<Module>,
    /// Entries; routes and the default program refer to them by position.
    pub entries: Vec<Entry>,
    /// Where programs are installed, sorted by path. Guests may not change these files.
    pub programs: Vec<Program>,
    /// Routes sorted by digest, each digest once.
    pub routes: Vec<Route>,
    /// Internal, read-only file trees, sorted by mount point.
    pub trees: Vec<FileTree>,
    /// What programs may do.
    pub policy: Policy,
    /// Executable form: ranges that tile the file from offset 0 to the start of the tail, in the
    /// order launcher, code (one for each module), memory, files, headers; memory and files only
    /// when there are any. Portable form: the memory and files sections' contents, each with
    /// offset 0, so that the signature covers them.
    pub segments: Vec<Segment>,
}

/// The form of the code in a megabinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// WebAssembly, not compiled: the portable form.
    Portable,
    /// Native x86-64 text, mapped by `execve`.
    X86_64,
    /// Pulley bytecode, interpreted; no native guest code at all.
    Pulley64,
}

/// One WebAssembly core module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Name from the recipe, `python`.
    pub name: String,
    /// Digest of the module's bytes in the portable form (complete: with its data segments).
    pub digest: Digest,
    /// Where its compiled code is; `None` in the portable form.
    pub code: Option<FileRange>,
    /// Memory right after instantiation (active data applied); no globals, since the module's own
    /// initialisers set them. In the portable form its runs are empty: modules there still carry
    /// their data segments.
    pub cold: MemoryImage,
    /// Memory and globals at the snapshot point, if it has one.
    pub warm: Option<MemoryImage>,
    /// The process at its snapshot point: of modules of the Linux personality that have one.
    pub process: Option<ProcessState>,
    /// Names (`module.field`) of all functions it imports, sorted: its call allow-list.
    pub imports: Vec<String>,
    /// Which operating system it is written for: what runs it.
    pub personality: Personality,
    /// Whether it is a shared library, which runs in programs and is none.
    pub is_library: bool,
    /// Names of the libraries that it uses, sorted: all of them, for a program, and for a library those that
    /// it calls.
    pub libraries: Vec<String>,
}

/// A place in the file (and, for code, in the address space).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Offset in the file.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// Virtual address before relocation (0 where the range is not mapped by a `PT_LOAD`).
    pub vaddr: u64,
}

/// The contents of a linear memory and the values of the mutable globals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryImage {
    /// Size of the memory in WebAssembly pages of 64 KiB.
    pub pages: u64,
    /// Host-page-aligned runs of contents, sorted, not overlapping; the rest is zero.
    pub runs: Vec<Run>,
    /// Values to give to exported globals (see `vkernel_abi::snapshot::GLOBAL_PREFIX`).
    pub globals: Vec<Global>,
}

/// One run of contents of a memory image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Byte offset in the linear memory; a multiple of 4096.
    pub memory_offset: u64,
    /// Byte offset in the ELF (executable form) or in the image section (portable form); a
    /// multiple of 4096.
    pub file_offset: u64,
    /// Length in bytes; a multiple of 4096.
    pub len: u64,
}

/// The value of one mutable global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global {
    /// Index of the global in its module; exported as `GLOBAL_PREFIX` + index.
    pub index: u32,
    /// Its value.
    pub value: GlobalValue,
}

/// A numeric global's value; floats as their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the variants are WebAssembly's own value types"
)]
pub enum GlobalValue {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
}

/// Something that `execve` can end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Digest that names the entry in stubs: see [`Entry::compute_digest`].
    pub digest: Digest,
    /// Name for people, `python3`.
    pub name: String,
    /// What it does.
    pub kind: EntryKind,
    /// Arguments put between `argv[0]` and the caller's.
    pub argv_prefix: Vec<String>,
}

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Runs the module with this position.
    Module(u32),
    /// Looks up the program named by the next argument in `PATH`, as `env(1)` does, and executes
    /// that. Resolved by the vkernel; no host program is involved.
    Env,
}

/// Digest of a file at an executed path → entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Digest of the whole file (for programs: of the stub).
    pub file: Digest,
    /// Position of the entry.
    pub entry: u32,
}

/// An installed program: a path in the image that holds an entry's stub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Absolute path in the image.
    pub path: String,
    /// Position of the entry.
    pub entry: u32,
}

/// A read-only file tree inside the megabinary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTree {
    /// Absolute guest path at which it appears.
    pub mount: String,
    /// Nodes sorted by path; paths are relative to the mount, `/`-separated, without `.` or `..`.
    /// The root itself is not listed; every node's parent folder is.
    pub nodes: Vec<FileNode>,
}

/// One file, folder or symbolic link of a [`FileTree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNode {
    /// Path relative to the mount.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
}

/// Kind of a [`FileNode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A folder.
    Directory,
    /// A file: a range of the files segment (ELF) or section (portable form).
    File {
        /// Offset in the ELF or in the files section.
        offset: u64,
        /// Length in bytes.
        len: u64,
        /// Whether its mode has execute permission.
        executable: bool,
    },
    /// A symbolic link with its target as written.
    Symlink(String),
}

/// What programs may do. Only what the vkernel enforces is here.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Policy {
    /// Its limits.
    pub limits: Limits,
    /// Addresses and ports that may be talked to and listened on, sorted; `None`: all.
    pub network: Option<Vec<NetworkRule>>,
    /// Whether the whole root is read-only for guests.
    pub read_only_root: bool,
    /// Absolute paths below which nothing may be written.
    pub read_only: Vec<String>,
    /// Absolute paths that do not exist for guests.
    pub hidden: Vec<String>,
}

/// A range of the executable form's file, or a section of the portable form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What it holds.
    pub kind: SegmentKind,
    /// Offset in the file.
    pub offset: u64,
    /// Length in bytes; the next segment starts right after it.
    pub len: u64,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// What a [`Segment`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// The launcher, its ELF header rewritten.
    Launcher,
    /// The compiled code of one module.
    Code,
    /// Pages of memory images.
    Memory,
    /// Contents of internal files.
    Files,
    /// The program header table.
    Headers,
}

impl Entry {
    /// The digest that names an entry: over its name, the digest of the module's portable bytes
    /// (or `env`), and the argv prefix, each length-prefixed.
    pub fn compute_digest(name: &str, module: Option<&Digest>, argv_prefix: &[String]) -> Digest {
        let mut bytes = Vec::new();
        let mut put = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        put(b"vkernel entry 1");
        put(name.as_bytes());
        put(module.map_or(&b"env"[..], |d| &d.0));
        for arg in argv_prefix {
            put(arg.as_bytes());
        }
        Digest::of(&bytes)
    }
}

impl Index {
    /// The libraries of a module with their positions.
    pub fn libraries_of<'a>(
        &'a self,
        module: &'a Module,
    ) -> impl Iterator<Item = (u32, &'a Module)> {
        module.libraries.iter().filter_map(|name| {
            let at = self
                .modules
                .iter()
                .position(|m| m.is_library && m.name == *name)?;
            Some((u32::try_from(at).ok()?, self.modules.get(at)?))
        })
    }

    /// The entry to which a file with this digest is routed.
    pub fn route(&self, file: &Digest) -> Option<&Entry> {
        let at = self.routes.binary_search_by(|r| r.file.cmp(file)).ok()?;
        self.entries.get(self.routes.get(at)?.entry as usize)
    }
}
