//! Namespaces of a run: of processes, IPC, host name, mounts and, if wanted, the network.
//!
//! A process that has CAP_SYS_ADMIN makes them as it is. Any other makes a user namespace first, in
//! which it keeps its own ids and nobody else has any: it gains rights over the new namespaces only.
#![allow(unsafe_code)]

use std::{fs, io};

use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, unshare_unsafe};

use crate::{Doing, Error};

/// Makes this process one that may make namespaces.
pub fn gain_rights() -> Result<(), Error> {
    let now = capabilities(None).doing(|| "reading this process's capabilities".into())?;
    if now.effective.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    enter(UnshareFlags::NEWUSER)
        .doing(|| "making a user namespace, without CAP_SYS_ADMIN".into())?;
    // Once this is said, the group may be mapped without a right of the host's (user_namespaces(7)).
    map("setgroups", "deny")?;
    map("uid_map", &format!("{} {} 1", user.as_raw(), user.as_raw()))?;
    map(
        "gid_map",
        &format!("{} {} 1", group.as_raw(), group.as_raw()),
    )
}

fn map(file: &str, text: &str) -> Result<(), Error> {
    let path = format!("/proc/self/{file}");
    fs::write(&path, text).doing(|| format!("writing {path}"))
}

/// Processes that this one makes from now on are in a new namespace of processes; the first is its
/// PID 1.
pub fn begin_processes() -> Result<(), Error> {
    enter(UnshareFlags::NEWPID).doing(|| "making a namespace of processes".into())
}

/// Puts this process into namespaces of mounts, IPC and host name; with `network`, into one of
/// networks that has nothing but a loopback interface that is down.
pub fn enter_others(network: bool) -> Result<(), Error> {
    enter(UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS)
        .doing(|| "making namespaces of mounts, IPC and host name".into())?;
    if network {
        enter(UnshareFlags::NEWNET).doing(|| "making a network namespace".into())?;
    }
    Ok(())
}

/// Puts this process into a namespace of mounts alone.
pub fn enter_mounts() -> Result<(), Error> {
    enter(UnshareFlags::NEWNS).doing(|| "making a mount namespace".into())
}

pub(crate) fn enter(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the table of descriptors is not unshared, and nothing here shares anything else with
    // another thread: user and mount namespaces are refused to processes that have one.
    unsafe { unshare_unsafe(flags) }.map_err(io::Error::from)
}
