//! `execve` inside the vkernel: from a path to an entry of the megabinary, by content.
//!
//! [`resolve`] opens the file at the path, hashes it and looks the digest up in the routes; `#!`
//! scripts and `env` are followed as Linux and coreutils do. No host program is involved, and no
//! file other than a routed one can become code: a script is data for a routed interpreter.
//!
//! What it does not do: start anything, or decide where paths lead ([`Files`] does, inside the
//! sandbox root).
//!
//! Invariants: a file is opened once and decided upon by the bytes read from that descriptor;
//! whatever the files hold, the result is a [`Resolution`] or an [`ExecError`] that has the errno
//! of `execve(2)`.

mod env;
mod error;
mod file;
mod script;
mod split;

use std::{io, os::fd::OwnedFd};

use megabinary_format::{Digest, Entry, EntryKind, Index};
use vkernel_abi::MEGABINARY_PATH;

pub use env::EnvError;
pub use error::{ExecError, Printable};
pub use file::MAX_HASHED;
pub use split::SplitError;

/// How many scripts may lead to each other before one leads to a program: as many as the host
/// kernel follows (`exec_binprm`, `fs/exec.c`; `execve(2)` promises four).
pub const MAX_SCRIPTS: usize = 5;

/// How many `env` may lead to each other. Natively the number is not limited; but nothing ends a
/// loop of `env env …` here, so that something has to.
const MAX_ENVS: usize = 64;

/// The shell that reads what `env` executes and nobody knows (`execvp(3)`, _PATH_BSHELL).
const SHELL: &[u8] = b"/bin/sh";

/// The guest's view of its files, as far as exec needs it.
pub trait Files {
    /// Opens the file at an absolute guest path for reading, inside the sandbox root, following
    /// symbolic links. Must not wait (O_NONBLOCK: the path may name a FIFO) and must not create.
    /// Errors carry the errno that `execve(2)` would give.
    fn open(&self, path: &[u8]) -> io::Result<OwnedFd>;
}

/// What a guest, or whoever starts one, wants to execute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Guest path, relative to `cwd` unless absolute.
    pub path: Vec<u8>,
    /// Arguments, `argv[0]` included; if empty, it becomes one empty argument as on Linux.
    pub argv: Vec<Vec<u8>>,
    /// Environment, each `NAME=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// Absolute guest path of the working directory.
    pub cwd: Vec<u8>,
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution<'i> {
    /// An entry is to be started.
    Launch(Launch<'i>),
    /// `env` without a program: print these variables, one a line, and exit with 0.
    PrintEnvironment(Vec<Vec<u8>>),
}

/// An entry to start, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch<'i> {
    /// The entry; never one of [`EntryKind::Env`].
    pub entry: &'i Entry,
    /// Position of the entry's module in the index.
    pub module: u32,
    /// Arguments for the guest, the entry's prefix included.
    pub argv: Vec<Vec<u8>>,
    /// Environment for the guest.
    pub env: Vec<Vec<u8>>,
    /// Absolute guest path of the program that was found.
    pub program: Vec<u8>,
    /// Digest of the file at that path.
    pub file: Digest,
    /// The paths that led to it, in order: scripts, and programs named to `env`.
    pub chain: Vec<Vec<u8>>,
}

/// Resolves a request.
pub fn resolve<'i>(
    index: &'i Index,
    files: &impl Files,
    request: ExecRequest,
) -> Result<Resolution<'i>, ExecError> {
    Resolver::new(index, files, None).run(request)
}

/// Resolves the request of a stub that the host kernel started: as [`resolve`], and the file at
/// the path must be routed to the entry with the digest `claimed` in the stub's line, which is
/// what the host kernel read.
pub fn resolve_stub<'i>(
    index: &'i Index,
    files: &impl Files,
    claimed: Digest,
    request: ExecRequest,
) -> Result<Resolution<'i>, ExecError> {
    Resolver::new(index, files, Some(claimed)).run(request)
}

struct Resolver<'i, 'f, F> {
    index: &'i Index,
    files: &'f F,
    /// Digest that the first file's entry must have.
    claimed: Option<Digest>,
    scripts: usize,
    envs: usize,
    /// The file that `env` executes, and its arguments: with `execvp(3)`, which has a shell read a
    /// file that has no known format.
    by_env: Option<(Vec<u8>, Vec<Vec<u8>>)>,
    chain: Vec<Vec<u8>>,
}

/// What one file came to.
enum Step<'i> {
    Done(Launch<'i>),
    Script(script::Line),
    Env(&'i Entry),
}

impl<'i, 'f, F: Files> Resolver<'i, 'f, F> {
    fn new(index: &'i Index, files: &'f F, claimed: Option<Digest>) -> Self {
        Resolver {
            index,
            files,
            claimed,
            scripts: 0,
            envs: 0,
            by_env: None,
            chain: Vec::new(),
        }
    }

    fn run(mut self, mut request: ExecRequest) -> Result<Resolution<'i>, ExecError> {
        if request.argv.is_empty() {
            request.argv.push(Vec::new());
        }
        loop {
            let step = match self.step(&mut request) {
                Err(error) if error.errno() == libc::ENOEXEC => {
                    let Some((path, argv)) = self.by_env.take() else {
                        return Err(error);
                    };
                    self.chain.push(path.clone());
                    self.scripts = 0;
                    request.path = SHELL.to_vec();
                    request.argv = vec![SHELL.to_vec(), path];
                    request.argv.extend(argv.into_iter().skip(1));
                    continue;
                }
                step => step?,
            };
            match step {
                Step::Done(mut launch) => {
                    launch.chain = self.chain;
                    return Ok(Resolution::Launch(launch));
                }
                Step::Script(line) => {
                    self.scripts += 1;
                    if self.scripts > MAX_SCRIPTS {
                        return Err(ExecError::TooManyScripts {
                            path: request.path,
                            limit: MAX_SCRIPTS,
                        });
                    }
                    self.chain.push(request.path.clone());
                    line.apply(&mut request);
                }
                Step::Env(entry) => {
                    self.envs += 1;
                    if self.envs > MAX_ENVS {
                        return Err(ExecError::TooManyScripts {
                            path: request.path,
                            limit: MAX_ENVS,
                        });
                    }
                    let prefix = prefix_of(entry);
                    request.argv.splice(1..1, prefix);
                    match env::interpret(&request.argv, request.env)? {
                        env::Command::Print(env) => return Ok(Resolution::PrintEnvironment(env)),
                        env::Command::Run { argv, env } => {
                            self.chain.push(request.path);
                            request.path = self.search(&argv, &env, &request.cwd)?;
                            request.argv = argv;
                            request.env = env;
                            // `env` has run: what follows is an execve of its own.
                            self.scripts = 0;
                            self.by_env = Some((request.path.clone(), request.argv.clone()));
                        }
                    }
                }
            }
        }
    }

    fn step(&mut self, request: &mut ExecRequest) -> Result<Step<'i>, ExecError> {
        let path = absolute(&request.path, &request.cwd);
        let found = match file::examine(self.files, &path) {
            Err(error) => return Err(self.blame(error, &request.path)),
            Ok(found) => found,
        };
        let claimed = self.claimed.take();
        let routed = found
            .digest
            .and_then(|digest| Some((digest, self.index.route(&digest)?)));
        if let (Some(claimed), Some((_, entry))) = (claimed, routed)
            && entry.digest != claimed
        {
            return Err(ExecError::StubMismatch {
                path: request.path.clone(),
                claimed,
                routed: entry.digest,
            });
        }
        let no_route = || ExecError::NoRoute {
            path: request.path.clone(),
            found: found.digest,
            claimed: claimed_by(&found.head),
            size: found.size,
        };
        // What would be a program elsewhere is refused; anything else is data, about which the
        // host kernel says that it knows no such format. A shell then reads it as its script.
        let no_format = || match is_program(&found.head) {
            true => no_route(),
            false => ExecError::NoFormat {
                path: request.path.clone(),
            },
        };
        match routed {
            Some((digest, entry)) => match entry.kind {
                EntryKind::Env => Ok(Step::Env(entry)),
                EntryKind::Module(module) => {
                    let mut argv = std::mem::take(&mut request.argv);
                    argv.splice(1..1, prefix_of(entry));
                    Ok(Step::Done(Launch {
                        entry,
                        module,
                        argv,
                        env: std::mem::take(&mut request.env),
                        program: path,
                        file: digest,
                        chain: Vec::new(),
                    }))
                }
            },
            // A stub that the host kernel ran must be routed; it must not pass as a script.
            None if claimed.is_some() => Err(no_route()),
            None => match script::parse(&found.head) {
                script::Parsed::Line(line) if line.interpreter == MEGABINARY_PATH.as_bytes() => {
                    Err(no_route())
                }
                script::Parsed::Line(line) => Ok(Step::Script(line)),
                script::Parsed::Malformed => Err(ExecError::MalformedScript {
                    path: request.path.clone(),
                }),
                script::Parsed::NoScript => Err(no_format()),
            },
        }
    }

    /// Adds to an error which script asked for the file.
    fn blame(&self, error: ExecError, path: &[u8]) -> ExecError {
        match self.chain.last() {
            Some(script) if self.scripts > 0 => ExecError::Interpreter {
                script: script.clone(),
                interpreter: path.to_vec(),
                source: Box::new(error),
            },
            _ => error,
        }
    }

    /// Finds the program that `env` shall run, as `execvp(3)` does: names without a slash are
    /// looked for along PATH, and a file that may not be executed does not end the search.
    fn search(&self, argv: &[Vec<u8>], env: &[Vec<u8>], cwd: &[u8]) -> Result<Vec<u8>, ExecError> {
        /// What glibc uses when PATH is not set (`confstr(3)`, _CS_PATH).
        const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";
        let name = argv.first().cloned().unwrap_or_default();
        if name.contains(&b'/') {
            return Ok(name);
        }
        let not_found = |path: &[u8]| ExecError::NotInPath {
            name: name.clone(),
            path: path.to_vec(),
        };
        let path = env::value_of(env, b"PATH").unwrap_or(DEFAULT_PATH);
        if name.is_empty() {
            return Err(not_found(path));
        }
        let mut refused = None;
        for folder in path.split(|b| *b == b':') {
            // An empty folder is the working directory.
            let mut candidate = folder.to_vec();
            if !candidate.is_empty() {
                candidate.push(b'/');
            }
            candidate.extend_from_slice(&name);
            match file::probe(self.files, &absolute(&candidate, cwd)) {
                Ok(()) => return Ok(candidate),
                Err(error) => match error.errno() {
                    libc::ENOENT | libc::ENOTDIR => {}
                    libc::EACCES => refused = Some(error),
                    _ => return Err(error),
                },
            }
        }
        Err(refused.unwrap_or_else(|| not_found(path)))
    }
}

fn prefix_of(entry: &Entry) -> impl Iterator<Item = Vec<u8>> {
    entry.argv_prefix.iter().map(|arg| arg.clone().into_bytes())
}

/// Whether the first bytes are those of a program for some machine: ELF, or a WebAssembly module or
/// component.
fn is_program(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF") || head.starts_with(b"\0asm")
}

/// The entry that the first line names, if that is a stub's: a stub that was added to still says
/// what it was.
fn claimed_by(head: &[u8]) -> Option<Digest> {
    let line = head.split_inclusive(|b| *b == b'\n').next()?;
    megabinary_format::stub::parse(line).ok()
}

/// `path` as seen from `cwd`. An empty path stays empty: it names nothing (ENOENT).
fn absolute(path: &[u8], cwd: &[u8]) -> Vec<u8> {
    if path.is_empty() || path.first() == Some(&b'/') {
        return path.to_vec();
    }
    let mut out = cwd.to_vec();
    if out.last() != Some(&b'/') {
        out.push(b'/');
    }
    out.extend_from_slice(path);
    out
}
