//! A root of a run's own: what is in it is mounted in a namespace that nobody else sees, then it
//! becomes the process's root by `pivot_root`, and everything else is unmounted there.
//!
//! Invariants: what is mounted upon is resolved inside the new root, whatever links it has; no mount
//! of the host is left in the namespace but those that were asked for; none of them honours
//! set-user-ID bits or device nodes, but the usual devices.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chmodat, chownat, fstat,
        mkdirat, open, openat, openat2, statat, symlinkat,
    },
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
        fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
    },
    process::{chdir, fchdir, pivot_root},
};

use crate::{Doing, Error, check};

/// Devices that every program may have.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Size of `/dev/shm`.
const SHARED_MEMORY: &str = "64m";

/// Links in `/dev` (`proc(5)`).
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "fd/0"),
    ("stdout", "fd/1"),
    ("stderr", "fd/2"),
];

/// Files of procfs that tell of the machine; container engines mask them as well.
const MASKED: [&str; 15] = [
    "iomem",
    "ioports",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "slabinfo",
    "timer_list",
    "vmallocinfo",
];

/// Where the work on the new root is done, in the namespace; the first that there is.
const STAGES: [&str; 5] = ["/tmp", "/run", "/mnt", "/sys", "/proc"];

/// What `pivot_root` makes the process's root.
#[derive(Debug)]
pub enum Base<'a> {
    /// A folder; what is written stays there.
    Kept(&'a Path),
    /// What a folder holds; what is written goes with the run.
    Fresh(&'a Path),
    /// Nothing.
    Empty,
}

/// A folder of the host and where it appears.
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    /// The path on the host.
    pub host: &'a Path,
    /// The path in the new root; what is missing of it is made.
    pub guest: &'a [u8],
}

/// Paths of the policy, each with the folder of the new root that it begins in.
#[derive(Clone, Debug, Default)]
pub struct Guarded {
    /// Paths of what is to be covered.
    pub hidden: Vec<Vec<u8>>,
    /// Paths of what cannot be changed.
    pub read_only: Vec<Vec<u8>>,
    /// Nothing can be changed.
    pub all_read_only: bool,
}

/// What is to be mounted.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The root itself.
    pub base: Base<'a>,
    /// Folders of the host in it.
    pub folders: &'a [Folder<'a>],
    /// What of all that is guarded by mounts too.
    pub guarded: &'a Guarded,
    /// Whether `/proc` and `/dev` are made where they are missing; else they are filled only where the
    /// root has empty folders for them.
    pub make_usual: bool,
}

/// Makes the plan this process's root, and its working directory `/`. The process is in a mount
/// namespace of its own already, and has one thread.
pub fn enter(plan: &Plan<'_>) -> Result<(), Error> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).doing(|| "separating the mount namespace".into())?;
    // Everything of the host that is needed is taken hold of first: the stage covers a folder.
    let taken = Taken::new(plan)?;
    let stage = Stage::new()?;
    let mut root = stage.base(&plan.base, taken.base)?;
    for (folder, mount) in taken.folders {
        let shown = || {
            let guest = String::from_utf8_lossy(folder.guest);
            format!("mounting {} at {guest} of the root", folder.host.display())
        };
        if is_root(folder.guest) {
            place(mount, &root).doing(shown)?;
            root = stage.open_root().doing(shown)?;
        } else {
            let target = make_folder(&root, folder.guest).doing(shown)?;
            place(mount, target).doing(shown)?;
        }
    }
    let usual = |name| match plan.make_usual {
        true => make_folder(&root, name).map(Some),
        false => Ok(empty_folder(&root, name)),
    };
    if let Some(target) = usual(b"proc").doing(|| "making /proc in the root".into())? {
        proc(&root, target, &taken.null).doing(|| "mounting /proc in the root".into())?;
    }
    if let Some(target) = usual(b"dev").doing(|| "making /dev in the root".into())? {
        dev(&root, target, taken.devices).doing(|| "mounting /dev in the root".into())?;
    }
    guard(&root, plan.guarded)?;
    pivot(&root)
}

/// Mounts of the host, copied before the stage covers anything.
struct Taken<'a> {
    base: Option<OwnedFd>,
    folders: Vec<(Folder<'a>, OwnedFd)>,
    devices: Vec<(&'static str, OwnedFd)>,
    null: Option<OwnedFd>,
}

impl<'a> Taken<'a> {
    fn new(plan: &Plan<'a>) -> Result<Taken<'a>, Error> {
        let base = match plan.base {
            Base::Empty => None,
            Base::Kept(path) => {
                let mount =
                    copied(path).doing(|| format!("opening the root {}", path.display()))?;
                Some(mount)
            }
            Base::Fresh(path) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let folder = open(path, flags, Mode::empty())
                    .doing(|| format!("opening the root {}", path.display()))?;
                Some(folder)
            }
        };
        // What is the root hides it, and so comes first.
        let (whole, parts): (Vec<Folder<'a>>, Vec<Folder<'a>>) =
            plan.folders.iter().partition(|f| is_root(f.guest));
        let mut folders = Vec::new();
        for folder in whole.into_iter().chain(parts) {
            let mount = copied(folder.host)
                .doing(|| format!("opening the folder {}", folder.host.display()))?;
            folders.push((folder, mount));
        }
        let mut devices = Vec::new();
        for name in DEVICES {
            let path = Path::new("/dev").join(name);
            match tree(&path, OpenTreeFlags::empty()) {
                // The host has none.
                Err(Errno::NOENT) => {}
                mount => {
                    let taking = || format!("taking the device {}", path.display());
                    let mount = mount.doing(taking)?;
                    // It can be written to all the same; its mode and owner are the host's.
                    set_attributes(&mount, MountAttrFlags::MOUNT_ATTR_RDONLY).doing(taking)?;
                    devices.push((name, mount));
                }
            }
        }
        Ok(Taken {
            base,
            folders,
            devices,
            // Masks are this device; its mode and owner are the host's, too.
            null: tree(Path::new("/dev/null"), OpenTreeFlags::empty())
                .and_then(|mount| {
                    set_attributes(&mount, MountAttrFlags::MOUNT_ATTR_RDONLY).map(|()| mount)
                })
                .ok(),
        })
    }
}

/// Where the new root is put together: a file system in memory that ends with the namespace.
struct Stage {
    folder: OwnedFd,
}

impl Stage {
    fn new() -> Result<Stage, Error> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let memory = file_system("tmpfs", &[("mode", "755")], &[], attributes)
            .doing(|| "making a file system in memory".into())?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let target = STAGES
            .iter()
            .find_map(|path| open(*path, flags, Mode::empty()).ok())
            .ok_or(Errno::NOENT)
            .doing(|| format!("finding one of the folders {}", STAGES.join(", ")))?;
        let folder = memory;
        let copy = folder.try_clone().doing(|| "copying a descriptor".into())?;
        place(copy, target).doing(|| "mounting a file system in memory".into())?;
        Ok(Stage { folder })
    }

    /// Mounts the base as `root` of the stage, and opens that.
    fn base(&self, base: &Base<'_>, taken: Option<OwnedFd>) -> Result<OwnedFd, Error> {
        let doing = || "making the run's root".to_owned();
        mkdirat(&self.folder, "root", Mode::from_raw_mode(0o755)).doing(doing)?;
        let target = self.open_root().doing(doing)?;
        let mount = match (base, taken) {
            (Base::Kept(_), Some(mount)) => mount,
            (Base::Fresh(path), Some(lower)) => self.overlay(lower).doing(|| {
                format!(
                    "laying a file system in memory over {} (overlayfs)",
                    path.display()
                )
            })?,
            _ => {
                let attributes =
                    MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
                file_system("tmpfs", &[("mode", "755")], &[], attributes).doing(doing)?
            }
        };
        place(mount, target).doing(doing)?;
        self.open_root().doing(doing)
    }

    fn open_root(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.folder, "root", flags, Mode::empty())
    }

    /// The files of `lower`, with what is changed in the stage.
    fn overlay(&self, lower: OwnedFd) -> rustix::io::Result<OwnedFd> {
        for name in ["upper", "work"] {
            mkdirat(&self.folder, name, Mode::from_raw_mode(0o755))?;
        }
        // The upper folder's owner and mode are the root's.
        let stat = fstat(&lower)?;
        let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        match chownat(
            &self.folder,
            "upper",
            Some(user),
            Some(group),
            AtFlags::empty(),
        ) {
            // In a user namespace that does not know the owner.
            Err(Errno::INVAL | Errno::PERM) => {}
            result => result?,
        }
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        chmodat(&self.folder, "upper", mode, AtFlags::empty())?;
        // Paths that nobody can put something else at, and that need no quoting.
        let number = |fd: BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd());
        let (lower, own) = (number(lower.as_fd()), number(self.folder.as_fd()));
        let options = [
            ("lowerdir", lower.as_str()),
            ("upperdir", &format!("{own}/upper")),
            ("workdir", &format!("{own}/work")),
        ];
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        match file_system("overlay", &options, &[], attributes) {
            // In a user namespace its notes are attributes that users may set.
            Err(Errno::PERM) => file_system("overlay", &options, &["userxattr"], attributes),
            result => result,
        }
    }
}

/// A copy of what is mounted at a path of the host, without set-user-ID bits and device nodes.
fn copied(path: &Path) -> rustix::io::Result<OwnedFd> {
    let mount = tree(path, OpenTreeFlags::AT_RECURSIVE)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    set_attributes(&mount, attributes)?;
    Ok(mount)
}

fn tree(path: &Path, more: OpenTreeFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | more;
    open_tree(CWD, path, flags)
}

/// Adds attributes to a mount and all below it (`mount_setattr(2)`).
fn set_attributes(mount: impl AsFd, attributes: MountAttrFlags) -> rustix::io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: attributes.bits().into(),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the kernel reads an empty string and as many bytes as are said of `attributes`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result)
        .map(drop)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn file_system(
    kind: &str,
    options: &[(&str, &str)],
    switches: &[&str],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    for switch in switches {
        fsconfig_set_flag(context.as_fd(), *switch)?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn place(mount: OwnedFd, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

/// Whether a folder is to be the root.
fn is_root(path: &[u8]) -> bool {
    names(path).next().is_none()
}

/// The names of a path.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

/// The folder at a path of the root; what is missing of it is made.
fn make_folder(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut at = inside(root, b".", OFlags::DIRECTORY)?;
    let mut so_far = Vec::new();
    for name in names(path) {
        match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
            // A root that cannot be written may have it all the same; else opening it fails.
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
            Err(errno) => return Err(errno),
        }
        so_far.extend_from_slice(name);
        so_far.push(b'/');
        at = inside(root, &so_far, OFlags::DIRECTORY)?;
    }
    Ok(at)
}

/// Opens what a path of the root leads to: links, absolute ones too, lead nowhere else (openat2(2)).
fn inside(root: &OwnedFd, path: &[u8], more: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | more;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), resolve)
}

fn empty_folder(root: &OwnedFd, name: &[u8]) -> Option<OwnedFd> {
    let target = inside(root, name, OFlags::DIRECTORY).ok()?;
    let listing = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = openat(&target, ".", listing, Mode::empty()).ok()?;
    let mut entries = rustix::fs::Dir::read_from(&listed)
        .ok()?
        .filter_map(Result::ok);
    entries
        .all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
        .then_some(target)
}

fn proc(root: &OwnedFd, target: OwnedFd, null: &Option<OwnedFd>) -> rustix::io::Result<()> {
    // Read-only: nothing of a guest's, nor of the machine's, is set by writing there.
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_RDONLY;
    // The guest is shown its own processes only: those that it could trace, were tracing there.
    let options = [("hidepid", "ptraceable")];
    place(file_system("proc", &options, &[], attributes)?, target)?;
    let proc = inside(root, b"proc", OFlags::DIRECTORY)?;
    for name in MASKED {
        match (inside(&proc, name.as_bytes(), OFlags::empty()), null) {
            (Ok(file), Some(null)) => place(again(null)?, file)?,
            // Without the device, a host that has such a file shows it: refuse.
            (Ok(_), None) => return Err(Errno::NODEV),
            (Err(Errno::NOENT), _) => {}
            (Err(errno), _) => return Err(errno),
        }
    }
    Ok(())
}

/// Another copy of a copied mount.
fn again(mount: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(mount, "", flags)
}

fn dev(
    root: &OwnedFd,
    target: OwnedFd,
    devices: Vec<(&'static str, OwnedFd)>,
) -> rustix::io::Result<()> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = [("mode", "755"), ("size", "64k")];
    place(file_system("tmpfs", &options, &[], attributes)?, target)?;
    // The folder that was just mounted.
    let dev = inside(root, b"dev", OFlags::DIRECTORY)?;
    for (name, mount) in devices {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
        let node = openat(&dev, name, flags, Mode::from_raw_mode(0o666))?;
        place(mount, node)?;
    }
    for (name, goal) in LINKS {
        symlinkat(goal, &dev, name)?;
    }
    // What programs share memory by, and terminals; as container engines mount them.
    let mounts = [
        ("shm", "tmpfs", [("mode", "1777"), ("size", SHARED_MEMORY)]),
        ("pts", "devpts", [("mode", "620"), ("ptmxmode", "666")]),
    ];
    for (name, kind, options) in mounts {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
        let target = inside(&dev, name.as_bytes(), OFlags::DIRECTORY)?;
        place(file_system(kind, &options, &[], attributes)?, target)?;
    }
    symlinkat("pts/ptmx", &dev, "ptmx")
}

/// Covers what is hidden, and makes what is read-only so for the host kernel as well.
fn guard(root: &OwnedFd, guarded: &Guarded) -> Result<(), Error> {
    if guarded.all_read_only {
        let all = inside(root, b".", OFlags::DIRECTORY);
        all.and_then(|all| set_attributes(all, MountAttrFlags::MOUNT_ATTR_RDONLY))
            .doing(|| "making the root read-only".into())?;
    }
    for path in &guarded.read_only {
        let shown = || format!("making {} read-only", String::from_utf8_lossy(path));
        let Some(target) = found(root, path).doing(shown)? else {
            continue;
        };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_EMPTY_PATH;
        let mount = open_tree(&target, "", flags).doing(shown)?;
        set_attributes(&mount, MountAttrFlags::MOUNT_ATTR_RDONLY).doing(shown)?;
        place(mount, target).doing(shown)?;
    }
    // Hidden ones last: what is read-only may hold some.
    let mut nothing = None;
    for path in &guarded.hidden {
        let shown = || format!("hiding {}", String::from_utf8_lossy(path));
        let Some(target) = found(root, path).doing(shown)? else {
            continue;
        };
        let nothing = match &nothing {
            Some(nothing) => nothing,
            None => nothing.insert(Nothing::new().doing(shown)?),
        };
        let stat = fstat(&target).doing(shown)?;
        let cover = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => &nothing.folder,
            _ => &nothing.file,
        };
        again(cover)
            .and_then(|cover| place(cover, target))
            .doing(shown)?;
    }
    Ok(())
}

/// What is at a path of the policy now, if anything is.
fn found(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<Option<OwnedFd>> {
    match inside(root, path, OFlags::empty()) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What covers a hidden object: an empty file and an empty folder without any permission, which
/// nobody can change.
struct Nothing {
    file: OwnedFd,
    folder: OwnedFd,
}

impl Nothing {
    fn new() -> rustix::io::Result<Nothing> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let memory = || file_system("tmpfs", &[("mode", "000"), ("size", "4k")], &[], attributes);
        let (file_holder, folder) = (memory()?, memory()?);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
        openat(&file_holder, "file", flags, Mode::empty())?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let file = open_tree(&file_holder, "file", clone)?;
        for mount in [&file, &folder] {
            set_attributes(mount, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
        }
        Ok(Nothing { file, folder })
    }
}

/// Makes the mount the process's root, and unmounts what was there (pivot_root(2), NOTES).
fn pivot(root: &OwnedFd) -> Result<(), Error> {
    let doing = || "making the run's root the process's (pivot_root)".to_owned();
    fchdir(root).doing(doing)?;
    pivot_root(".", ".").doing(doing)?;
    unmount(".", UnmountFlags::DETACH).doing(|| "unmounting the host's root".into())?;
    chdir("/").doing(doing)?;
    // It is a root of its own, with nothing above it.
    let (here, above) = (
        statat(CWD, "/", AtFlags::empty()).doing(doing)?,
        statat(CWD, "/..", AtFlags::empty()).doing(doing)?,
    );
    match (here.st_dev, here.st_ino) == (above.st_dev, above.st_ino) {
        true => Ok(()),
        false => Err(Errno::INVAL).doing(doing),
    }
}
