//! Why something could not be executed: messages, errno values and exit statuses.

use std::{fmt, io};

use megabinary_format::Digest;
use vkernel_abi::exit;

use super::{EnvError, MAX_HASHED};

/// Bytes of a path or an argument for a message: text as it is, everything else escaped, so that
/// a name cannot play tricks on the terminal.
#[derive(Clone, Copy)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

/// Why a request could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The file cannot be opened.
    #[error("cannot execute {}: {source}", Printable(path))]
    Open {
        /// Absolute guest path.
        path: Vec<u8>,
        /// What the file system said.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {} to execute it: {source}", Printable(path))]
    Read {
        /// Absolute guest path.
        path: Vec<u8>,
        /// What the file system said.
        source: io::Error,
    },
    /// Not a regular file.
    #[error("cannot execute {}: it is {kind}", Printable(path))]
    NotRegular {
        /// Absolute guest path.
        path: Vec<u8>,
        /// What it is.
        kind: &'static str,
    },
    /// No execute permission.
    #[error(
        "cannot execute {0}: it has no execute permission (chmod +x {0}, or give it to its \
         interpreter as an argument)",
        Printable(path)
    )]
    NotExecutable {
        /// Absolute guest path.
        path: Vec<u8>,
    },
    /// A program, or a stub, without a route.
    #[error("{}", NoRoute { path, found, claimed, size: *size })]
    NoRoute {
        /// Path as it was asked for.
        path: Vec<u8>,
        /// Digest of the file; `None` if it is too large to have a route.
        found: Option<Digest>,
        /// Digest of the entry that the file names, if it has the form of a stub.
        claimed: Option<Digest>,
        /// Size of the file in bytes.
        size: u64,
    },
    /// Nothing that could be executed anywhere: no program, and no script.
    #[error(
        "cannot execute {0}: it has no `#!` line and is no program of this image; give it a first \
         line that names its interpreter, or give it to its interpreter as an argument",
        Printable(path)
    )]
    NoFormat {
        /// Path as it was asked for.
        path: Vec<u8>,
    },
    /// The stub that the host kernel ran is routed to another entry than its line said.
    #[error(
        "cannot execute {}: the host kernel ran a stub for the entry {claimed}, but the file \
         there now is routed to the entry {routed}; the file changed while it was started, or the \
         megabinary was called by hand with a wrong digest",
        Printable(path)
    )]
    StubMismatch {
        /// Path of the stub.
        path: Vec<u8>,
        /// Digest of the entry in the line that the host kernel read.
        claimed: Digest,
        /// Digest of the entry to which the file is routed.
        routed: Digest,
    },
    /// A `#!` line without a usable interpreter.
    #[error(
        "cannot execute {}: its `#!` line names no interpreter, or one whose path does not end \
         within 255 bytes",
        Printable(path)
    )]
    MalformedScript {
        /// Path of the script.
        path: Vec<u8>,
    },
    /// The interpreter that a script names cannot be executed.
    #[error(
        "cannot execute the script {}, whose `#!` line names the interpreter {}: {source}",
        Printable(script),
        Printable(interpreter)
    )]
    Interpreter {
        /// Path of the script.
        script: Vec<u8>,
        /// The interpreter as the line has it.
        interpreter: Vec<u8>,
        /// What is wrong with the interpreter.
        source: Box<ExecError>,
    },
    /// Scripts lead to each other too often.
    #[error(
        "cannot execute {}: more than {limit} scripts lead to each other through their `#!` lines",
        Printable(path)
    )]
    TooManyScripts {
        /// Path of the script that was one too many.
        path: Vec<u8>,
        /// How many are followed.
        limit: usize,
    },
    /// `env` did not find its program.
    #[error(
        "env: cannot find the program {} in PATH={}",
        Printable(name),
        Printable(path)
    )]
    NotInPath {
        /// The name looked for.
        name: Vec<u8>,
        /// Where it was looked for.
        path: Vec<u8>,
    },
    /// `env` did not understand its arguments.
    #[error(transparent)]
    Env(#[from] EnvError),
}

/// The message of [`ExecError::NoRoute`].
struct NoRoute<'a> {
    path: &'a [u8],
    found: &'a Option<Digest>,
    claimed: &'a Option<Digest>,
    size: u64,
}

impl fmt::Display for NoRoute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot execute {}: ", Printable(self.path))?;
        match (self.found, self.claimed) {
            (None, _) => write!(
                f,
                "it is not a program of this image ({} bytes; files of more than {MAX_HASHED} \
                 have no route)",
                self.size
            )?,
            (Some(found), None) => write!(
                f,
                "it is neither a program of this image (no route for its digest {found}) nor a \
                 script (no `#!` line)"
            )?,
            (Some(found), Some(claimed)) => write!(
                f,
                "its digest {found} has no route in this megabinary; the stub names the entry \
                 {claimed}"
            )?,
        }
        f.write_str(match self.claimed {
            None => {
                "; native programs do not run here: take the program from a vkernel image, or add \
                 it to the recipe and build the image again"
            }
            Some(_) => {
                ", which belongs to another build of the image: stubs and megabinary must come \
                 from the same build"
            }
        })
    }
}

impl ExecError {
    /// The errno that `execve(2)` gives the caller.
    pub fn errno(&self) -> i32 {
        match self {
            ExecError::Open { source, .. } | ExecError::Read { source, .. } => {
                source.raw_os_error().unwrap_or(libc::EIO)
            }
            ExecError::NotRegular { .. }
            | ExecError::NotExecutable { .. }
            | ExecError::NoRoute { .. }
            | ExecError::StubMismatch { .. } => libc::EACCES,
            ExecError::NoFormat { .. } | ExecError::MalformedScript { .. } => libc::ENOEXEC,
            ExecError::Interpreter { source, .. } => source.errno(),
            ExecError::TooManyScripts { .. } => libc::ELOOP,
            ExecError::NotInPath { .. } => libc::ENOENT,
            ExecError::Env(_) => libc::EINVAL,
        }
    }

    /// The exit status of a launcher, shell or `env` that reports the error.
    pub fn exit_code(&self) -> i32 {
        match self {
            // coreutils: `env` itself failed.
            ExecError::Env(_) => exit::VKERNEL,
            _ if self.errno() == libc::ENOENT => exit::NOT_FOUND,
            _ => exit::CANNOT_RUN,
        }
    }

    /// The path to name in an audit event.
    pub fn path(&self) -> &[u8] {
        match self {
            ExecError::Open { path, .. }
            | ExecError::Read { path, .. }
            | ExecError::NotRegular { path, .. }
            | ExecError::NotExecutable { path }
            | ExecError::NoRoute { path, .. }
            | ExecError::StubMismatch { path, .. }
            | ExecError::NoFormat { path }
            | ExecError::MalformedScript { path }
            | ExecError::TooManyScripts { path, .. } => path,
            ExecError::Interpreter { script, .. } => script,
            ExecError::NotInPath { name, .. } => name,
            ExecError::Env(_) => b"env",
        }
    }

    /// The name of [`ExecError::errno`], for an audit event.
    pub fn errno_name(&self) -> &'static str {
        match self.errno() {
            libc::EACCES => "EACCES",
            libc::ENOENT => "ENOENT",
            libc::ENOTDIR => "ENOTDIR",
            libc::ENOEXEC => "ENOEXEC",
            libc::ELOOP => "ELOOP",
            libc::EINVAL => "EINVAL",
            libc::ENAMETOOLONG => "ENAMETOOLONG",
            libc::EPERM => "EPERM",
            libc::EIO => "EIO",
            _ => "other",
        }
    }
}
