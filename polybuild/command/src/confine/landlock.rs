//! Landlock and seccomp, for hosts that allow no namespaces (landlock(7)).
//!
//! The job opens only the system's programs, its tools and its folder; it signals and traces only
//! what it has started; there are no sockets, because Landlock does not judge those with paths.
//!
//! What it does not do: hide names. A job can find out *whether* a file exists. As an ordinary
//! user's process it could change modes and times of that user's files by path, which Landlock does
//! not judge either: the filter refuses those calls then, so that a build that needs them ends.
//!
//! Everything is required: a host kernel without the scopes for signals and sockets (before 6.12)
//! is refused.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait},
};

use super::{
    DEVICES, Report, SETTINGS, SYSTEM, Spec,
    helper::{Channel, become_user, doing, drop_capabilities, empty_bounding_set, start_and_wait},
};

/// The interface that has all that is needed.
const NEEDED: ABI = ABI::V6;

/// How long what the job left behind may take to end once it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the job; gives the helper's exit status, or why this way cannot be had.
pub(super) fn supervise(spec: &Spec, channel: &mut Channel) -> Result<i32, String> {
    // What the job starts and leaves becomes ours.
    doing(set_child_subreaper(Some(getpid())), "adopting processes")?;
    let report = start_and_wait(spec, channel, || {
        // Root opens the rules' files, some of which the other user may not reach.
        let rules = rules(spec).map_err(|error| format!("Landlock: {}", causes(&*error)))?;
        empty_bounding_set();
        match spec.user {
            Some(user) => become_user(user)?,
            None => drop_capabilities()?,
        }
        let status = rules
            .restrict_self()
            .map_err(|error| format!("Landlock: {}", causes(&error)))?;
        match status.ruleset {
            landlock::RulesetStatus::FullyEnforced => Ok(()),
            other => Err(format!("Landlock: only {other:?}")),
        }
    })?;
    let left = end_all();
    match (report, left) {
        (Some(_), Err(what)) => channel.report(&Report::Left(what)),
        (Some(report), Ok(())) => channel.report(&report),
        (None, _) => {}
    }
    Ok(0)
}

type Any = Box<dyn std::error::Error>;

fn rules(spec: &Spec) -> Result<RulesetCreated, Any> {
    let run = AccessFs::from_read(NEEDED);
    let files = AccessFs::from_file(NEEDED);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let all = AccessFs::from_all(NEEDED);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(NEEDED))?
        .scope(Scope::from_all(NEEDED))?
        .create()?;
    let mut wanted = Vec::new();
    for path in SYSTEM.iter().chain(&SETTINGS).map(Path::new) {
        if path.exists() {
            wanted.push((path.to_owned(), run));
        }
    }
    wanted.extend(spec.tools.iter().map(|tool| (tool.clone(), run)));
    for name in DEVICES {
        wanted.push((Path::new("/dev").join(name), device));
    }
    for (name, access) in [("work", all), ("home", all), ("bin", run)] {
        wanted.push((spec.folder.join(name), access));
    }
    for (path, access) in wanted {
        // Rights that only folders have are an error for a file.
        let access = match path.is_dir() {
            true => access,
            false => access & files,
        };
        rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
    }
    Ok(rules)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Kills whatever the job has left, and what that leaves, until nobody is there.
fn end_all() -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Err(Errno::CHILD) => return Ok(()),
            Ok(None) | Err(_) => {}
        }
        if begun.elapsed() > PATIENCE {
            return Err(
                "it left processes behind that start others faster than they can be ended".into(),
            );
        }
        let own = getpid().as_raw_pid();
        let children =
            std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
        for pid in children
            .split_whitespace()
            .filter_map(|p| Pid::from_raw(p.parse().ok()?))
        {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
}
