//! One guest process: everything of it that guests can see or change, apart from its memory.
//!
//! A [`Process`] is a plain value made by a [`ProcessBuilder`]; personalities act on it. Nothing in
//! this crate is global, so an embedder may hold many. Not here: threads, memory, traps, limits on
//! memory and time, which are the engine's.
//!
//! Invariant: descriptors 0, 1, 2 are the standard streams; the preopened ones follow from 3: the
//! root, in which folders and internal trees appear, or without a root each folder, then each
//! internal tree; then sockets.

mod builder;

use std::{fmt, io, os::fd::OwnedFd, sync::Arc};

use megabinary_format::FileTree;

use crate::{fs::Files, sources::Sources};

pub use crate::{fs::tree::Contents, sources::Source};
pub use builder::{BuildError, ProcessBuilder};

/// The guest ended itself, with this status. Leaves a personality's function as an error, for the
/// engine to find by downcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessExit(pub i32);

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the program exited with status {}", self.0)
    }
}

impl std::error::Error for ProcessExit {}

/// Something that appears in a guest's file system.
#[derive(Debug)]
pub enum Mount {
    /// The sandbox root, at `/`: paths resolve in it as if it were the host's root.
    Root(OwnedFd),
    /// A host folder at an absolute guest path; nothing outside of it can be reached.
    Directory {
        /// Absolute guest path.
        guest_path: String,
        /// The folder; `O_PATH` suffices.
        fd: OwnedFd,
    },
    /// A read-only tree inside the megabinary, at the path that the tree names.
    Tree {
        /// Its names.
        tree: Arc<FileTree>,
        /// Its bytes.
        contents: Contents,
    },
}

/// Descriptors 0, 1 and 2.
#[derive(Debug, Default)]
pub enum Stdio {
    /// This process's own, which stay open when the guest closes its numbers.
    #[default]
    Inherit,
    /// Given ones: standard input, output, error.
    Given([OwnedFd; 3]),
}

/// The state of one guest process. See the module's comment.
#[derive(Debug)]
pub struct Process {
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) env: Vec<Vec<u8>>,
    cwd: String,
    pub(crate) files: Files,
    pub(crate) sources: Sources,
}

impl Process {
    /// The arguments, `argv[0]` first.
    pub fn args(&self) -> &[Vec<u8>] {
        &self.args
    }

    /// The environment, each entry `KEY=VALUE`.
    pub fn env(&self) -> &[Vec<u8>] {
        &self.env
    }

    /// The working directory at the start, an absolute guest path in normal form.
    pub fn cwd(&self) -> &str {
        &self.cwd
    }
}

/// What `execve` finds is what the process itself could open.
impl crate::exec::Files for Process {
    fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        Ok(self.files.open_absolute(path)?)
    }
}
