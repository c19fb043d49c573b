//! What the program inside every megabinary does; the program itself is `main.rs`.
//!
//! One screen of steps: find the payload and verify its index, resolve what to run by content,
//! confine this process for good, run the guest, exit with its status. Everything it knows comes
//! from the signed index, its arguments and `VKERNEL_*` variables; it contains no compiler.
//!
//! Invariant: no guest instruction runs before the index is verified and the process confined.

pub mod command_line;
mod failure;
mod guest;
mod info;
mod isolation;
#[cfg(feature = "linux")]
mod linux;
mod payload;
mod request;
mod settings;

use std::{collections::BTreeSet, sync::Arc};

use megabinary_format::Limit;
use vkernel_kernel::{audit::LaunchEvent, confine, narrow::narrow, signals};
use vkernel_sandbox::descriptors;

pub use failure::end;

use crate::{
    command_line::CommandLine,
    failure::Failure,
    guest::{Guest, Role},
    payload::Payload,
    request::Request,
    settings::Settings,
};

/// Does what the arguments and the environment of this process say, and gives its exit status. The
/// process is to end with it at once ([`end`]): the guest's own exit handlers have run, ours are not
/// needed.
pub fn launch() -> i32 {
    run().unwrap_or_else(|failure| {
        failure.print();
        failure.status()
    })
}

fn run() -> Result<i32, Failure> {
    let line = CommandLine::parse(std::env::args_os().collect())?;
    // Before anything is opened here.
    let inherited = Inherited::of(&line)?;
    signals::install().map_err(Failure::host("taking over signals"))?;
    let settings = Settings::from_environment()?;
    inherited.close_the_audits();
    let settings: &Settings = Box::leak(Box::new(settings));
    let mut payload = Payload::of_this_process()?;
    payload.verify(settings.trusted_key)?;
    if settings.verify_all {
        payload.verify_segments()?;
    }
    if let Some(text) = &settings.policy {
        narrow(&mut Arc::make_mut(&mut payload.index).policy, text).map_err(Failure::new)?;
    }
    // For as long as the process: its programs may go on in any of its threads.
    let payload: &Payload = Box::leak(Box::new(payload));
    let mut request = Request::new(&payload.index, line)?;
    request.isolate(&payload.index.policy)?;
    match request.resolve(payload, settings) {
        Ok(Some(guest)) => start(payload, settings, guest),
        Ok(None) => Ok(0),
        Err(failure) => {
            failure.audit(&settings.audit);
            Err(failure)
        }
    }
}

/// The descriptors that this process was started with, and that are still open.
struct Inherited {
    kept: BTreeSet<i32>,
}

impl Inherited {
    /// Closes all of them but the standard streams, those that the operator names, and the audit's.
    fn of(line: &CommandLine) -> Result<Inherited, Failure> {
        let kept: BTreeSet<i32> = match line {
            CommandLine::Stub(_) => BTreeSet::new(),
            CommandLine::Direct(direct) => direct.keep_fds.iter().copied().collect(),
        };
        let mut open = kept.clone();
        open.extend(settings::audit_descriptor());
        descriptors::close_inherited(&open)
            .map_err(|error| Failure::new(format!("{error}; nothing was run")))?;
        Ok(Inherited { kept })
    }

    /// The audit has a copy by now.
    fn close_the_audits(&self) {
        if let Some(number) = settings::audit_descriptor()
            && number > 2
            && !self.kept.contains(&number)
        {
            descriptors::close(number);
        }
    }
}

fn start(
    payload: &'static Payload,
    settings: &'static Settings,
    guest: Guest<'_>,
) -> Result<i32, Failure> {
    settings.audit.launch(&LaunchEvent {
        program: &guest.program,
        entry: &guest.entry_name,
        stub: guest.file.as_ref(),
        entry_digest: &guest.entry_digest,
        module: &guest.module.digest,
        argv: &guest.argv,
    });
    let limits = payload.index.policy.limits;
    if let Some(most) = limits.get(Limit::FileSize) {
        confine::files::limit_size(most).map_err(Failure::host("limiting the size of files"))?;
    }
    #[cfg(feature = "linux")]
    if linux::wanted(guest.module) {
        return linux::run(payload, settings, guest);
    }
    let (mut calls, directories) = (guest::host_calls(guest.module), guest.directories());
    // Where a snapshot is taken, the builder decides what is enough.
    let accepted = match guest.role {
        Role::Program if directories.is_some() => Some(guest.accepted.clone()),
        _ => None,
    };
    if limits.get(Limit::FileSize).is_some() && settings.audit.is_on() {
        calls.push(confine::files::HOST_CALLS);
    }
    let audit = settings.audit.clone();
    let program = guest.program.clone();
    let prepared = guest.prepare(payload, settings, None)?;
    if let Some(limit) = limits.get(Limit::WallTime) {
        signals::arm_wall_time(limit, &audit)
            .map_err(Failure::host("arming the wall-clock limit"))?;
    }
    if let Some(limit) = limits.get(Limit::CpuTime) {
        signals::arm_cpu_time(limit, &audit).map_err(Failure::host("arming the CPU-time limit"))?;
    }
    let confinement = confine::apply(confine::Surface::Wasi, &calls, directories.as_ref())
        .map_err(Failure::confine)?;
    if let Some(accepted) = accepted {
        isolation::check(&accepted, &confinement)?;
    }
    let ran = prepared
        .run()
        .inspect_err(|failure| failure.audit(&audit))?;
    Ok(ran.report(&program, &audit))
}
