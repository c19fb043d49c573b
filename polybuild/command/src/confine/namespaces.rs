//! A root, processes, network and names of the job's own (namespaces(7)).
//!
//! ```text
//! builder ─▶ helper ─▶ init ─▶ job          init: process 1 of the job's processes
//!                        └▶ inner init ─▶ job, where the job runs polybuild in its turn
//! ```
//!
//! Of the host's files the root has the system's programs, read-only, and the job's folder. When
//! init ends, the host kernel ends all that the job has started.
//!
//! A job that runs polybuild gets capabilities, to make roots and namespaces, in a *second* user
//! namespace: the mounts that it finds are locked for it (mount_namespaces(7)), and no object of
//! the host's belongs to anybody there.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use rustix::{
    fs::CWD,
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
        unmount,
    },
    process::{
        DumpableBehavior, Signal, chdir, getegid, geteuid, pivot_root, set_dumpable_behavior,
        set_parent_process_death_signal,
    },
    system::sethostname,
    thread::{UnshareFlags, unshare_unsafe},
};

use super::{
    BUILD, DEVICES, Report, SETTINGS, SYSTEM, Spec,
    helper::{
        Channel, become_user, doing, drop_capabilities, empty_bounding_set, relay, start_and_wait,
    },
    is_systems, sys,
};

/// Whom the job sees itself as.
const USER: u32 = 1000;

const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
const NODEV: u64 = libc::MOUNT_ATTR_NODEV;

/// Runs the job; gives the helper's exit status, or why this way cannot be had.
pub(super) fn enter(spec: &Spec, channel: &mut Channel) -> Result<i32, String> {
    if spec.user.is_none() {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        unshare(UnshareFlags::NEWUSER, "making a user namespace")?;
        map(USER, uid, gid)?;
    }
    unshare(
        UnshareFlags::NEWNS
            | UnshareFlags::NEWPID
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWIPC
            | UnshareFlags::NEWUTS,
        "making namespaces",
    )?;
    as_init(channel, |channel| {
        doing(sethostname(b"build"), "naming the host")?;
        root(spec)?;
        if spec.nested {
            return nested(spec, channel);
        }
        empty_bounding_set();
        if let Some(user) = spec.user {
            become_user(user)?;
        }
        finish(spec, channel, drop_capabilities)
    })
}

/// The second user namespace, with process ids of its own, for a job that makes namespaces.
fn nested(spec: &Spec, channel: &mut Channel) -> Result<i32, String> {
    if let Some(user) = spec.user {
        become_user(user)?;
        // Else /proc/self would be root's after the change of user, `uid_map` included.
        doing(
            set_dumpable_behavior(DumpableBehavior::Dumpable),
            "becoming dumpable",
        )?;
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(
        UnshareFlags::NEWUSER
            | UnshareFlags::NEWNS
            | UnshareFlags::NEWPID
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWIPC
            | UnshareFlags::NEWUTS,
        "making a user namespace for a job that runs polybuild",
    )?;
    map(0, uid, gid)?;
    as_init(channel, |channel| {
        // Over the one for the outer process ids, which has nothing but our own init.
        proc(Path::new("/proc"))?;
        finish(spec, channel, || Ok(()))
    })
}

fn finish(
    spec: &Spec,
    channel: &mut Channel,
    confine: impl FnOnce() -> Result<(), String>,
) -> Result<i32, String> {
    // A helper that is killed takes its init along, and that takes everything. Changing the
    // user has undone it.
    die_with_parent()?;
    if let Some(report) = start_and_wait(spec, channel, confine)? {
        channel.report(&report);
    }
    Ok(0)
}

/// Forks: the child is process 1 of the namespace that was just made, and does `work`.
fn as_init(
    channel: &mut Channel,
    work: impl FnOnce(&mut Channel) -> Result<i32, String>,
) -> Result<i32, String> {
    if let Some(init) = doing(sys::fork(), "starting a process")? {
        return relay(init);
    }
    let status = die_with_parent()
        .and_then(|()| work(channel))
        .unwrap_or_else(|reason| {
            channel.report(&Report::Unavailable(reason));
            1
        });
    std::process::exit(status);
}

fn die_with_parent() -> Result<(), String> {
    doing(
        set_parent_process_death_signal(Some(Signal::KILL)),
        "asking to end with the helper",
    )
}

fn unshare(flags: UnshareFlags, what: &str) -> Result<(), String> {
    // The descriptors stay shared with nobody: this process has one thread.
    doing(unshare_all(flags), what)
}

#[allow(unsafe_code)]
fn unshare_all(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: none of the flags is NEWFILES-like (`FILES`), which is what makes the call unsafe;
    // and there is one thread.
    unsafe { unshare_unsafe(flags) }
}

/// Says who the one user of the user namespace is (user_namespaces(7)).
fn map(inside: u32, uid: u32, gid: u32) -> Result<(), String> {
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/gid_map", format!("{inside} {gid} 1")),
        ("/proc/self/uid_map", format!("{inside} {uid} 1")),
    ] {
        doing(fs::write(file, text), &format!("writing {file}"))?;
    }
    Ok(())
}

/// Makes the root and enters it.
fn root(spec: &Spec) -> Result<(), String> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    doing(mount_change("/", private), "making mounts private")?;
    let root = spec.folder.join("root");
    tmpfs(&root, "mode=0755,size=16m")?;
    for folder in SYSTEM {
        let folder = Path::new(folder);
        match fs::symlink_metadata(folder) {
            Ok(found) if found.is_symlink() => {
                let goal = doing(fs::read_link(folder), "reading a link of the system")?;
                let link = below(&root, folder);
                doing(symlink(goal, &link), "making a link of the system")?;
            }
            Ok(found) if found.is_dir() => show(&root, folder, folder, true)?,
            _ => {}
        }
    }
    for file in SETTINGS.map(Path::new) {
        if file.exists() {
            show(&root, file, file, true)?;
        }
    }
    // First, since tools may lie in it: whoever clones into /tmp has the compiler driver there.
    tmpfs(&root.join("tmp"), "mode=1777,size=1g")?;
    for tool in spec.tools.iter().filter(|tool| !is_systems(tool)) {
        show(&root, tool, tool, true)?;
    }
    for (name, writable) in [("work", true), ("home", true), ("bin", false)] {
        let inside = Path::new(BUILD).join(name);
        show(&root, &spec.folder.join(name), &inside, !writable)?;
    }
    names(&root, spec.user.unwrap_or(USER))?;
    devices(&root)?;
    tmpfs(&root.join("dev/shm"), "mode=1777,size=256m")?;
    proc(&root.join("proc"))?;
    doing(
        sys::restrict_mount(&root, RDONLY, false),
        "making the root read-only",
    )?;
    doing(chdir(&root), "entering the root")?;
    doing(pivot_root(".", "."), "changing the root")?;
    doing(unmount(".", UnmountFlags::DETACH), "leaving the old root")?;
    doing(chdir("/"), "entering the root")
}

/// Where an absolute path is in the root.
fn below(root: &Path, path: &Path) -> std::path::PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Makes a file or folder of the host visible in the root.
fn show(root: &Path, from: &Path, to: &Path, read_only: bool) -> Result<(), String> {
    let at = below(root, to);
    let said = |what: &str| format!("{what} {}", to.display());
    let parent = at.parent().unwrap_or(root);
    doing(fs::create_dir_all(parent), &said("making a place for"))?;
    if from.is_dir() {
        doing(fs::create_dir_all(&at), &said("making a place for"))?;
    } else if !at.exists() {
        doing(File::create(&at).map(drop), &said("making a place for"))?;
    }
    doing(mount_bind_recursive(from, &at), &said("mounting"))?;
    let attributes = NOSUID | NODEV | if read_only { RDONLY } else { 0 };
    doing(
        sys::restrict_mount(&at, attributes, true),
        &said("restricting the mount of"),
    )
}

fn tmpfs(at: &Path, options: &str) -> Result<(), String> {
    let what = || format!("mounting a tmpfs at {}", at.display());
    doing(fs::create_dir_all(at), &what())?;
    let options = std::ffi::CString::new(options).map_err(|e| e.to_string())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    doing(
        mount("tmpfs", at, "tmpfs", flags, Some(options.as_c_str())),
        &what(),
    )
}

fn proc(at: &Path) -> Result<(), String> {
    doing(fs::create_dir_all(at), "making /proc")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    doing(mount("proc", at, "proc", flags, None), "mounting /proc")
}

/// Who there is: programs ask for their user's name.
fn names(root: &Path, user: u32) -> Result<(), String> {
    for (file, text) in [
        (
            "etc/passwd",
            format!(
                "root:x:0:0:root:{BUILD}/home:/bin/sh\nbuild:x:{user}:{user}::{BUILD}/home:/bin/sh\n\
                 nobody:x:65534:65534::/:/bin/false\n"
            ),
        ),
        (
            "etc/group",
            format!("root:x:0:\nbuild:x:{user}:\nnogroup:x:65534:\n"),
        ),
        ("etc/hosts", "127.0.0.1 localhost build\n".into()),
    ] {
        let path = root.join(file);
        doing(fs::create_dir_all(root.join("etc")), "making /etc")?;
        doing(fs::write(&path, text), &format!("writing /{file}"))?;
        doing(
            fs::set_permissions(&path, Permissions::from_mode(0o644)),
            &format!("writing /{file}"),
        )?;
    }
    Ok(())
}

fn devices(root: &Path) -> Result<(), String> {
    let dev = root.join("dev");
    doing(fs::create_dir_all(&dev), "making /dev")?;
    for name in DEVICES {
        let (from, to) = (Path::new("/dev").join(name), dev.join(name));
        doing(File::create(&to).map(drop), "making a place for a device")?;
        doing(
            mount_bind_recursive(&from, &to),
            &format!("mounting /dev/{name}"),
        )?;
        doing(
            sys::restrict_mount(&to, NOSUID, false),
            "restricting the mount of a device",
        )?;
    }
    for (name, goal) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        doing(
            rustix::fs::symlinkat(goal, CWD, dev.join(name)),
            "making a link in /dev",
        )?;
    }
    Ok(())
}
