//! A guest about to run: its module, its view of the world, and how it is started.

use std::{
    fs::File,
    io::{BufWriter, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
};

use megabinary_format::{Digest, Limit, Module, Target};
use rustix::process::{Resource, Rlimit, getrlimit};
use vkernel_abi::{exit, personality::PREVIEW1};
use vkernel_engine::{
    CodeImage, GUEST_STACK_LEAST, GUEST_STACK_MOST, HOST_STACK, Machine, Outcome, PageSource,
    Start, TrapReport, set_guest_stack,
};
use vkernel_kernel::{
    Contents, Mount, Process, ProcessBuilder, Source,
    audit::Audit,
    confine::{self, Directories},
    exec::Printable,
    preview1,
};
use vkernel_sandbox::Accepted;

use crate::{
    command_line::DirMapping,
    failure::{self, Failure},
    payload::{self, Payload},
    settings::Settings,
};

/// What the guest is run for.
#[derive(Debug)]
pub(crate) enum Role {
    /// Its own sake.
    Program,
    /// Its snapshot, to be written to this host file; clocks start at this many seconds.
    Snapshot { out: PathBuf, time: u64 },
}

/// A guest, resolved.
pub(crate) struct Guest<'p> {
    pub(crate) module: &'p Module,
    pub(crate) entry_name: String,
    pub(crate) entry_digest: Digest,
    pub(crate) program: Vec<u8>,
    /// Digest of the file that was executed, if there was one.
    pub(crate) file: Option<Digest>,
    pub(crate) argv: Vec<Vec<u8>>,
    pub(crate) dirs: Vec<(DirMapping, OwnedFd)>,
    pub(crate) role: Role,
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) cwd: Vec<u8>,
    /// The root, and its host path if it is not the launcher's own.
    pub(crate) root: Option<(OwnedFd, Option<PathBuf>)>,
    /// Whether this process is in namespaces of its own, with `/` as the guest's root.
    #[cfg_attr(not(feature = "linux"), allow(dead_code))]
    pub(crate) isolated: bool,
    /// What the operator gave up.
    pub(crate) accepted: Rc<Accepted>,
}

/// How a guest ended.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) trap: Option<Box<TrapReport>>,
}

impl Ran {
    /// Tells how the program ended: a trap to people, all of it to the audit. Gives its status.
    pub(crate) fn report(self, program: &[u8], audit: &Audit) -> i32 {
        if let Some(report) = self.trap {
            report_trap(program, &report, audit);
        }
        audit.exit(program, self.status);
        self.status
    }
}

/// Tells people and the audit that a program trapped.
pub(crate) fn report_trap(program: &[u8], report: &TrapReport, audit: &Audit) {
    audit.trap(program, &report.reason, report.innermost());
    failure::say(&format!("{} trapped in {report}", Printable(program)));
}

impl<'p> Guest<'p> {
    pub(crate) fn new(
        payload: &'p Payload,
        module: usize,
        argv: Vec<Vec<u8>>,
        env: Vec<Vec<u8>>,
        cwd: Vec<u8>,
        root: Option<(OwnedFd, Option<PathBuf>)>,
    ) -> Result<Guest<'p>, Failure> {
        let module = payload
            .index
            .modules
            .get(module)
            .ok_or_else(|| Failure::new("the index names a module that it does not have"))?;
        Ok(Guest {
            module,
            entry_name: module.name.clone(),
            entry_digest: module.digest,
            program: module.name.clone().into_bytes(),
            file: None,
            argv,
            dirs: Vec::new(),
            role: Role::Program,
            env,
            cwd,
            root,
            isolated: false,
            accepted: Rc::default(),
        })
    }

    /// Host folders that the guest is confined to; `None` in a container, where its root is ours.
    pub(crate) fn directories(&self) -> Option<Directories> {
        if matches!(&self.root, Some((_, None))) {
            return None;
        }
        let root = self.root.iter().filter_map(|(_, path)| path.clone());
        let dirs = self.dirs.iter().map(|(mapping, _)| mapping.host.clone());
        Some(Directories {
            read_only: Vec::new(),
            read_write: root.chain(dirs).collect(),
        })
    }

    /// Opens everything that needs this process's full authority. `own` is the megabinary, if it
    /// is open already.
    pub(crate) fn prepare(
        self,
        payload: &Payload,
        settings: &Settings,
        own: Option<Arc<OwnedFd>>,
    ) -> Result<Prepared<'p>, Failure> {
        let index = &payload.index;
        reserve_stack()?;
        let range = self
            .module
            .code
            .ok_or_else(|| Failure::new("the index has no code for the module"))?;
        let (file, pages) = match payload.memory_pages() {
            Some((offset, bytes)) if index.trees.is_empty() => {
                (None, PageSource::Mapped { offset, bytes })
            }
            _ => {
                let file = match own {
                    Some(file) => file,
                    None => Arc::new(payload::own_file()?),
                };
                (Some(Arc::clone(&file)), PageSource::File(file))
            }
        };
        let mut builder = ProcessBuilder::new()
            .args(self.argv)
            .env(self.env)
            .cwd(String::from_utf8_lossy(&self.cwd))
            .policy(index.policy.clone())
            .programs(index.programs.clone())
            .audit(settings.audit.clone());
        if let Some((root, _)) = self.root {
            builder = builder.mount(Mount::Root(root));
        }
        for (mapping, fd) in self.dirs {
            let guest_path = String::from_utf8_lossy(&mapping.guest).into_owned();
            builder = builder.mount(Mount::Directory { guest_path, fd });
        }
        // With trees, the file is open.
        if let Some(file) = file {
            for tree in &index.trees {
                builder = builder.mount(Mount::Tree {
                    tree: Arc::new(tree.clone()),
                    contents: Contents::File(Arc::clone(&file)),
                });
            }
        }
        let mut dump = None;
        if let Role::Snapshot { out, time } = &self.role {
            builder = builder.source(fixed_source(self.module, *time));
            dump =
                Some(File::create(out).map_err(|error| {
                    Failure::new(format!("creating {}: {error}", out.display()))
                })?);
        }
        Ok(Prepared {
            module: self.module,
            target: index.target,
            memory_max: index.policy.limits.get(Limit::Memory),
            code: payload.code(range)?,
            pages,
            process: builder.build()?,
            start: if dump.is_some() {
                Start::ToSnapshot
            } else {
                Start::Warm
            },
            dump,
            audit: settings.audit.clone(),
            program: self.program,
        })
    }
}

/// Clocks that start at so many seconds, and random numbers, for the snapshot of a module.
pub(crate) fn fixed_source(module: &Module, time: u64) -> Source {
    Source::Fixed {
        // Any seed serves, as long as the same module always gets the same one.
        seed: module
            .digest
            .0
            .first_chunk()
            .map_or(0, |b| u64::from_le_bytes(*b)),
        time_ns: time.saturating_mul(1_000_000_000),
    }
}

/// Makes room on the main thread's stack for the deepest guest; gives the limit as it was.
pub(crate) fn reserve_stack() -> Result<Rlimit, Failure> {
    let before = getrlimit(Resource::Stack);
    let needed = (GUEST_STACK_MOST + HOST_STACK) as u64;
    let stack = confine::stack::reserve(needed).map_err(Failure::host("reserving stack"))?;
    // With 8 MiB, the limit that every Linux has, the deepest guest traps a little earlier.
    let left = stack.saturating_sub(HOST_STACK as u64) as usize;
    if left < GUEST_STACK_LEAST {
        return Err(Failure::new(format!(
            "guests need at least {} bytes of stack and the hard limit leaves {stack}: raise it \
             (ulimit -Hs, docker run --ulimit stack=)",
            GUEST_STACK_LEAST + HOST_STACK
        )));
    }
    set_guest_stack(left);
    Ok(before)
}

/// Host calls that the module can cause: those behind the functions that it imports.
pub(crate) fn host_calls(module: &Module) -> Vec<&'static [i64]> {
    preview1::TABLE
        .iter()
        .filter(|row| {
            module.imports.iter().any(|import| {
                import
                    .strip_prefix(PREVIEW1.module)
                    .and_then(|rest| rest.strip_prefix('.'))
                    .is_some_and(|name| name == row.name)
            })
        })
        .map(|row| row.host_calls)
        .collect()
}

/// A guest with everything open; it can be run in the confined process.
pub(crate) struct Prepared<'p> {
    module: &'p Module,
    target: Target,
    memory_max: Option<u64>,
    code: CodeImage,
    pages: PageSource,
    process: Process,
    start: Start,
    dump: Option<File>,
    audit: Audit,
    program: Vec<u8>,
}

impl Prepared<'_> {
    pub(crate) fn run(self) -> Result<Ran, Failure> {
        let machine = Machine::load(
            self.target,
            self.module,
            self.code,
            self.pages,
            self.memory_max,
        )?;
        let mut finished = machine.run(self.process, self.start)?;
        if let Outcome::ColdWanted = finished.outcome {
            self.audit.cold_start(&self.program);
            finished = machine.run(finished.into_process(), Start::Cold)?;
        }
        let outcome = finished.leak();
        std::mem::forget(machine);
        match outcome {
            Outcome::Exit(status) => Ok(Ran { status, trap: None }),
            Outcome::Trap(report) => Ok(Ran {
                status: exit::TRAP,
                trap: Some(report),
            }),
            Outcome::ColdWanted => Err(Failure::new("a cold start asked for a cold start")),
            Outcome::Snapshot(dump) => {
                let file = self
                    .dump
                    .ok_or_else(|| Failure::new("no file for the snapshot"))?;
                let mut out = BufWriter::new(file);
                dump.write(&mut out)
                    .and_then(|()| out.flush())
                    .map_err(Failure::host("writing the snapshot"))?;
                Ok(Ran {
                    status: 0,
                    trap: None,
                })
            }
        }
    }
}
