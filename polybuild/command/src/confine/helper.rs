//! The helper: this program executed again, which confines itself and becomes the job.
//!
//! It runs before anything else in `main` does: one thread, no descriptor but what [`begin`]
//! knows of.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::Command,
};

use rustix::{
    process::{
        Pid, Signal, WaitOptions, getppid, set_parent_process_death_signal, setsid, wait, waitpid,
    },
    stdio::dup2_stdin,
    thread::{
        CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
        set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::{Report, Spec, Way, filter, landlock, namespaces, sys};

/// First argument of a helper.
pub(super) const WORD: &str = "--confined-job";

/// Status of a helper that has reported why it did nothing.
const NOTHING_RUN: i32 = 125;

/// The way back to the builder. A job never has it: it is closed on `execve`.
pub(super) struct Channel(UnixStream);

impl Channel {
    pub(super) fn report(&mut self, report: &Report) {
        // Without a builder there is nobody to tell.
        let _ = serde_json::to_vec(report).map(|bytes| self.0.write_all(&bytes));
    }
}

/// The helper's work, if `arguments` are a helper's; returns the exit status.
pub(crate) fn succeeded(arguments: &[OsString]) -> Option<i32> {
    let [_, first] = arguments else {
        return None;
    };
    if first != WORD {
        return None;
    }
    let (spec, mut channel) = match begin() {
        Ok(begun) => begun,
        // Typed by somebody, or the builder is gone.
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "polybuild {WORD} is for polybuild itself: {error}"
            );
            return Some(NOTHING_RUN);
        }
    };
    let result = match spec.way {
        Way::Namespaces => namespaces::enter(&spec, &mut channel),
        Way::Landlock => landlock::supervise(&spec, &mut channel),
    };
    Some(match result {
        Ok(status) => status,
        Err(reason) => {
            channel.report(&Report::Unavailable(reason));
            NOTHING_RUN
        }
    })
}

/// Takes the instructions, and lets go of everything else.
fn begin() -> io::Result<(Spec, Channel)> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    dup2_stdin(File::open("/dev/null")?)?;
    sys::close_others(channel.as_raw_fd())?;
    let mut text = Vec::new();
    channel.read_to_end(&mut text)?;
    let spec: Spec = serde_json::from_slice(&text)?;
    // It may have ended before the first line.
    if getppid() != Pid::from_raw(spec.builder) {
        return Err(io::Error::other("its builder has ended"));
    }
    Ok((spec, Channel(channel)))
}

/// Says what was being done when it failed.
pub(super) fn doing<T, E: std::fmt::Display>(
    result: Result<T, E>,
    doing: &str,
) -> Result<T, String> {
    result.map_err(|error| format!("{doing}: {error}"))
}

/// Becomes the user who owns nothing.
pub(super) fn become_user(user: u32) -> Result<(), String> {
    use rustix::process::{Gid, Uid};
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    doing(set_thread_groups(&[]), "leaving the groups of root")?;
    doing(set_thread_res_gid(gid, gid, gid), "taking another group")?;
    doing(set_thread_res_uid(uid, uid, uid), "taking another user")
}

/// Gives up the right to ever have a capability.
pub(super) fn empty_bounding_set() {
    for bit in 0..64 {
        // The last ones do not exist; without CAP_SETPCAP there is nothing to give up either, and
        // no-new-privs keeps programs from gaining any.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
}

/// Gives up the capabilities that it has.
pub(super) fn drop_capabilities() -> Result<(), String> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    doing(set_capabilities(None, none), "dropping capabilities")
}

/// Becomes the job. Returns what kept it from starting.
pub(super) fn execute(spec: &Spec) -> Report {
    let environment: &BTreeMap<String, String> = &spec.environment;
    // A session of its own: no terminal, and nobody to get its signals.
    let _ = setsid();
    let error = Command::new(&spec.program)
        .args(&spec.arguments)
        .env_clear()
        .envs(environment)
        .current_dir(&spec.directory)
        .exec();
    Report::NotStarted(format!("starting {:?}: {error}", spec.program))
}

/// Starts the job as a child, confined by `confine`, and waits for it; children that come to this
/// process from elsewhere are waited for too. Gives how it ended, unless the child has reported.
pub(super) fn start_and_wait(
    spec: &Spec,
    channel: &mut Channel,
    confine: impl FnOnce() -> Result<(), String>,
) -> Result<Option<Report>, String> {
    // What waits is the job's own user, and in its namespace visible: nothing of it is to be read or
    // written through /proc. `execve` undoes this for the job.
    sys::hide_memory();
    let Some(job) = doing(sys::fork(), "starting a process")? else {
        let report = match confine().and_then(|()| doing(filter::apply(spec), "seccomp")) {
            Ok(()) => execute(spec),
            Err(reason) => Report::Unavailable(reason),
        };
        channel.report(&report);
        std::process::exit(NOTHING_RUN);
    };
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == job => {
                let (code, signal) = (status.exit_status(), status.terminating_signal());
                // Both say 125: the builder reads one report, the first.
                return Ok(Some(Report::Ended { code, signal }));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(format!("waiting for the job: {errno}")),
        }
    }
}

/// Waits for one child and passes its exit status on.
pub(super) fn relay(child: Pid) -> Result<i32, String> {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status.exit_status().unwrap_or(NOTHING_RUN)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(format!("waiting for a helper: {errno}")),
        }
    }
}
