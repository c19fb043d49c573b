//! Runs guests of the Linux personality: enters their root, confines the process for all programs
//! that it may ever execute, and runs one after the other.
//!
//! Invariant: after confinement only files inside the root are opened, and the megabinary's own.

use std::{
    fs::File,
    io::{BufWriter, Write},
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
};

use megabinary_format::{Index, Module, Policy};
use vkernel_abi::personality::Personality;
use vkernel_engine::{Library, LinuxMachines, LinuxOutcome, Next};
use vkernel_kernel::{
    Source,
    audit::LaunchEvent,
    confine::{self, Directories, Surface},
    exec::Printable,
    linux::{self, Image, Sandbox, Title},
    signals,
};
use vkernel_sandbox::Accepted;

use crate::{
    failure::{self, Failure},
    guest::{self, Guest, Role, reserve_stack},
    isolation,
    payload::{self, Payload},
    settings::Settings,
};

/// Whether a module is of this personality.
pub(crate) fn wanted(module: &Module) -> bool {
    module.personality == Personality::Linux
}

/// Runs a guest and the programs that it executes; returns the exit status of a last program that
/// is not of this personality. Others end the process themselves.
pub(crate) fn run(
    payload: &'static Payload,
    settings: &'static Settings,
    guest: Guest<'_>,
) -> Result<i32, Failure> {
    let mut stack = reserve_stack()?;
    let mut image = image(payload, &guest)?;
    let dump = Dump::wanted(&guest)?;
    if dump.is_some() {
        // What a shell has by default, wherever the image is built.
        stack.current = Some(vkernel_engine::GUEST_STACK as u64);
        image.mask = Some(0);
    }
    let file = payload::own_file()?;
    let title = Title::of_this_process();
    let policy = &payload.index.policy;
    let directories = enter_root(&guest, policy)?;
    let accepted = Rc::clone(&guest.accepted);
    // Its descriptor of the root is not for the program.
    drop(guest);
    let mut host = Sandbox::new(
        Arc::clone(&payload.index),
        settings.audit.clone(),
        title,
        &vkernel_sandbox::ignored::at_start,
        stack,
    )
    .map_err(Failure::host("taking the process over"))?;
    // In a container the host kernel started the program or its script, and knows its name.
    if directories.is_some() {
        host.name(&image);
    }
    host.show(&image);
    host.runs(&image);
    let dump = match dump {
        Some(dump) => Some(dump.begin(&mut host, image.module)?),
        None => None,
    };
    let host = Arc::new(host);
    let file = host
        .own(file)
        .map_err(Failure::host("keeping the megabinary open"))?;
    let file: Arc<OwnedFd> = Arc::new(file);
    isolation::limit_ports(&accepted, policy, directories.is_some())?;
    confine(
        &payload.index,
        directories.as_ref(),
        &accepted,
        dump.is_some(),
    )?;
    host.watch()
        .map_err(Failure::host("watching the limits of time"))?;
    let programs = Arc::new(Programs {
        payload,
        settings,
        host,
        file,
        machines: LinuxMachines::default(),
        dump,
    });
    programs.run(image)
}

/// What every program of the process runs on.
struct Programs {
    payload: &'static Payload,
    settings: &'static Settings,
    host: Arc<Sandbox>,
    file: Arc<OwnedFd>,
    machines: LinuxMachines,
    /// Where the snapshot goes that the process is there for.
    dump: Option<File>,
}

/// A snapshot that is wanted: its file, and what the program's clocks and random numbers begin with.
struct Dump {
    file: File,
    source: Source,
}

impl Dump {
    /// Opens the file, as long as that is not in the guest's root.
    fn wanted(guest: &Guest<'_>) -> Result<Option<Dump>, Failure> {
        let Role::Snapshot { out, time } = &guest.role else {
            return Ok(None);
        };
        let file = File::create(out)
            .map_err(|error| Failure::new(format!("creating {}: {error}", out.display())))?;
        let source = guest::fixed_source(guest.module, *time);
        Ok(Some(Dump { file, source }))
    }

    /// Has the process be there for it; the file is where the guest does not reach.
    fn begin(self, host: &mut Sandbox, module: u32) -> Result<File, Failure> {
        host.take_snapshot(module, self.source)
            .map_err(Failure::host("preparing the process for a snapshot"))?;
        let file = host.keep(self.file.into());
        Ok(file
            .map_err(Failure::host("keeping the snapshot's file open"))?
            .into())
    }
}

impl Programs {
    /// Runs a program, and those that it executes, in the calling thread, the process's first.
    fn run(self: &Arc<Self>, mut image: Image) -> Result<i32, Failure> {
        let (payload, settings, host) = (self.payload, self.settings, &self.host);
        let again = Arc::clone(self);
        let next: Next = Arc::new(move |image| again.run_on(*image));
        loop {
            let module = module(&payload.index, image.module)?;
            if !wanted(module) {
                let file = Arc::clone(&self.file);
                return wasi(payload, settings, image, file);
            }
            let range = module
                .code
                .ok_or_else(|| Failure::new("the index has no code for the module"))?;
            let code = payload.code(range)?;
            let mut libraries = Vec::with_capacity(module.libraries.len());
            for (at, library) in payload.index.libraries_of(module) {
                let range = library
                    .code
                    .ok_or_else(|| Failure::new("the index has no code for a shared library"))?;
                libraries.push(Library {
                    at,
                    module: library,
                    code: payload.code(range)?,
                });
            }
            let program = image.program.clone();
            let target = payload.index.target;
            match self.machines.run(
                target, module, code, libraries, &self.file, image, host, &next,
            )? {
                LinuxOutcome::Exec(next) => {
                    image = *next;
                    self.begins(&image);
                }
                LinuxOutcome::Cold(again) => {
                    settings.audit.cold_start(&again.program);
                    image = *again;
                }
                LinuxOutcome::Snapshot(Ok(dump)) => {
                    let file = self.dump.as_ref();
                    let file = file.ok_or_else(|| Failure::new("no file for the snapshot"))?;
                    let mut out = BufWriter::new(file);
                    dump.write(&mut out)
                        .and_then(|()| out.flush())
                        .map_err(Failure::host("writing the snapshot"))?;
                    return Ok(0);
                }
                LinuxOutcome::Snapshot(Err(has)) => {
                    return Err(Failure::new(format!(
                        "module `{}` has at its snapshot point what no snapshot can hold: {has}; end or \
                         undo it before vkernel_snapshot(), or begin it in vkernel_resume()",
                        module.name
                    )));
                }
                LinuxOutcome::Trap(report, signal) => {
                    guest::report_trap(&program, &report, &settings.audit);
                    host.die(&program, signal);
                }
            }
        }
    }

    /// The process becomes another program.
    fn begins(&self, image: &Image) {
        self.host.enter_program(image);
        launched(self.settings, image, self.payload);
    }

    /// Goes on with another program, to the end of the process.
    fn run_on(self: &Arc<Self>, image: Image) -> ! {
        self.begins(&image);
        let status = self.run(image).unwrap_or_else(|failure| {
            failure.print();
            failure.status()
        });
        failure::end(status)
    }
}

fn image(payload: &Payload, guest: &Guest<'_>) -> Result<Image, Failure> {
    let at = payload
        .index
        .modules
        .iter()
        .position(|m| std::ptr::eq(m, guest.module))
        .and_then(|at| u32::try_from(at).ok())
        .ok_or_else(|| Failure::new("the guest's module is none of the index"))?;
    Ok(Image {
        module: at,
        entry: guest.entry_name.clone(),
        entry_digest: guest.entry_digest,
        file: guest.file,
        program: guest.program.clone(),
        executed: guest.program.clone(),
        argv: guest.argv.clone(),
        env: guest.env.clone(),
        mask: None,
        cold: false,
    })
}

fn module(index: &Index, at: u32) -> Result<&Module, Failure> {
    index
        .modules
        .get(at as usize)
        .ok_or_else(|| Failure::new("the index names a module that it does not have"))
}

/// Makes the guest's root the process's own, so that the host kernel resolves paths in it. Outside
/// of a container nothing else stands between a guest that is root and the machine: there, what it
/// would not have in a container is taken away too, and it is locked into its root once more.
fn enter_root(guest: &Guest<'_>, policy: &Policy) -> Result<Option<Directories>, Failure> {
    match &guest.root {
        // A container's root is the process's already, and so is the working directory.
        Some((_, None)) => {
            if !guest.dirs.is_empty() {
                return Err(Failure::new(
                    "in a container folders are mounted by its engine, not by --dir",
                ));
            }
            return Ok(None);
        }
        Some(_) if guest.isolated => {}
        Some((_, Some(path))) => {
            let dirs: Vec<_> = guest.dirs.iter().map(|(dir, _)| dir.clone()).collect();
            isolation::enter_root(path, &dirs, &guest.accepted, policy)?;
        }
        None => {
            return Err(Failure::new(
                "programs with Linux system calls need a root: give one with --root DIR",
            ));
        }
    }
    rustix::process::chdir(guest.cwd.as_slice()).map_err(|errno| {
        Failure::new(format!(
            "entering the working directory {}: {errno}",
            Printable(&guest.cwd)
        ))
    })?;
    Ok(Some(Directories {
        read_only: Vec::new(),
        read_write: vec!["/".into()],
    }))
}

/// Confines the process for every program of the megabinary: any may be executed later, and a
/// filter cannot be widened.
fn confine(
    index: &Index,
    directories: Option<&Directories>,
    accepted: &Accepted,
    snapshot: bool,
) -> Result<(), Failure> {
    let linux = linux::host_calls(index.modules.iter().flat_map(|m| &m.imports));
    let mut calls: Vec<&[i64]> = vec![&linux];
    if snapshot {
        calls.push(linux::SNAPSHOT_CALLS);
    }
    for module in index.modules.iter().filter(|m| !wanted(m)) {
        calls.extend(guest::host_calls(module));
    }
    // An empty list of rules is no network at all.
    let internet = index
        .policy
        .network
        .as_ref()
        .is_none_or(|rules| !rules.is_empty());
    let confinement = confine::apply(Surface::Linux { internet }, &calls, directories)
        .map_err(Failure::confine)?;
    match directories {
        // Where a snapshot is taken, the builder decides what is enough.
        Some(_) if !snapshot => Ok(isolation::check(accepted, &confinement)?),
        _ => Ok(()),
    }
}

fn launched(settings: &Settings, image: &Image, payload: &Payload) {
    let Ok(module) = module(&payload.index, image.module) else {
        return;
    };
    settings.audit.launch(&LaunchEvent {
        program: &image.program,
        entry: &image.entry,
        stub: image.file.as_ref(),
        entry_digest: &image.entry_digest,
        module: &module.digest,
        argv: &image.argv,
    });
}

/// A program of another personality, executed by one of this: it is the process's last.
fn wasi(
    payload: &Payload,
    settings: &Settings,
    image: Image,
    file: Arc<OwnedFd>,
) -> Result<i32, Failure> {
    signals::install().map_err(Failure::host("taking over signals"))?;
    if let Some(mask) = image.mask {
        linux::restore_mask(mask);
    }
    let cwd = rustix::process::getcwd(Vec::new())
        .map_err(|errno| Failure::host("finding the working directory")(errno.into()))?
        .into_bytes();
    let root = rustix::fs::open(
        "/",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|errno| Failure::host("opening the root directory")(errno.into()))?;
    let guest = Guest::new(
        payload,
        image.module as usize,
        image.argv,
        image.env,
        cwd,
        Some((root, None)),
    )?;
    let ran = guest.prepare(payload, settings, Some(file))?.run()?;
    Ok(ran.report(&image.program, &settings.audit))
}
