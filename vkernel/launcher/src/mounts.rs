//! What a guest of the Linux personality finds in its root outside of a container: the folders of
//! `--dir`, and, where the root has empty folders for them, `/proc` and the usual devices.
//!
//! All of it is mounted in a namespace of this process's own: nobody else sees it, and it ends with
//! the process. Invariant: what is mounted upon is resolved inside the root, whatever links the
//! root has.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, mkdirat, open, openat2, symlinkat},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change,
        move_mount, open_tree,
    },
    thread::{UnshareFlags, unshare_unsafe},
};
use vkernel_kernel::exec::{DirMapping, Printable};

use crate::failure::Failure;

/// Devices that every program may have.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in `/dev` (`proc(5)`).
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "fd/0"),
    ("stdout", "fd/1"),
    ("stderr", "fd/2"),
];

/// Mounts what the guest is to find in `root`; gives the root as the new namespace has it.
pub(crate) fn furnish(root: &Path, dirs: &[(DirMapping, OwnedFd)]) -> Result<OwnedFd, Failure> {
    // SAFETY: this process has one thread, and nothing that it shares with others depends on it.
    let entered = unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.and_then(|()| {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private)
    });
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut fd = open(root, flags, Mode::empty())
        .map_err(|errno| Failure::new(format!("opening the root {}: {errno}", root.display())))?;
    match entered {
        // Without that right there are no mounts, which a root can do without.
        Err(Errno::PERM) if dirs.is_empty() => return Ok(fd),
        result => result.map_err(|errno| {
            Failure::new(format!(
                "making a mount namespace for --dir: {errno}; programs with Linux system calls \
                 need CAP_SYS_ADMIN for it"
            ))
        })?,
    }
    // What is mounted on the root itself hides it, and so comes first.
    let (whole, parts): (Vec<_>, Vec<_>) = dirs.iter().partition(|(mapping, _)| is_root(mapping));
    for (mapping, _) in whole.into_iter().chain(parts) {
        attach(&fd, mapping)
            .and_then(|()| match is_root(mapping) {
                true => open(root, flags, Mode::empty()).map(|mounted| fd = mounted),
                false => Ok(()),
            })
            .map_err(|errno| {
                Failure::new(format!(
                    "mounting {} at {} of the root: {errno}",
                    mapping.host.display(),
                    Printable(&mapping.guest)
                ))
            })?;
    }
    for (name, mount) in [("proc", proc as fn(&OwnedFd, OwnedFd) -> _), ("dev", dev)] {
        let Some(target) = empty_folder(&fd, name) else {
            continue;
        };
        mount(&fd, target)
            .map_err(|errno| Failure::new(format!("mounting /{name} in the root: {errno}")))?;
    }
    Ok(fd)
}

/// Whether a folder is to be the root.
fn is_root(mapping: &DirMapping) -> bool {
    names(&mapping.guest).next().is_none()
}

/// The names of a path.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

fn attach(root: &OwnedFd, mapping: &DirMapping) -> rustix::io::Result<()> {
    let target = folder(root, &mapping.guest)?;
    bind(&mapping.host, &target)
}

/// The folder at a path of the root; what is missing of it is made.
fn folder(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut at = inside(root, b".")?;
    let mut so_far = Vec::new();
    for name in names(path) {
        match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        so_far.extend_from_slice(name);
        so_far.push(b'/');
        at = inside(root, &so_far)?;
    }
    Ok(at)
}

/// Opens a folder inside the root: links, absolute ones too, lead nowhere else (openat2(2)).
fn inside(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), resolve)
}

fn empty_folder(root: &OwnedFd, name: &str) -> Option<OwnedFd> {
    let target = inside(root, name.as_bytes()).ok()?;
    let listing = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = rustix::fs::openat(&target, ".", listing, Mode::empty()).ok()?;
    let mut entries = Dir::read_from(&listed).ok()?.filter_map(Result::ok);
    entries
        .all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
        .then_some(target)
}

/// Mounts what is at a host path on `target`.
fn bind(host: &Path, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    place(open_tree(CWD, host, flags)?, target)
}

fn place(mount: OwnedFd, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

fn file_system(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn proc(_: &OwnedFd, target: OwnedFd) -> rustix::io::Result<()> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    // The guest is shown its own processes only: those that it could trace, were tracing there.
    let options = [("hidepid", "ptraceable")];
    place(file_system("proc", &options, attributes)?, target)
}

fn dev(root: &OwnedFd, target: OwnedFd) -> rustix::io::Result<()> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    place(
        file_system("tmpfs", &[("mode", "755"), ("size", "64k")], attributes)?,
        target,
    )?;
    // The folder that was just mounted.
    let dev = inside(root, b"dev")?;
    for name in DEVICES {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
        let node = rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666))?;
        match bind(&Path::new("/dev").join(name), node) {
            // The host has none.
            Err(Errno::NOENT) => rustix::fs::unlinkat(&dev, name, AtFlags::empty())?,
            result => result?,
        }
    }
    for (name, goal) in LINKS {
        symlinkat(goal, &dev, name)?;
    }
    mkdirat(&dev, "shm", Mode::from_raw_mode(0o1777))
}
