//! Files by path and by descriptor. The sandbox root is the host process's own root, so the host
//! resolves paths; what was opened for writing is judged afterwards, by the object itself.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, word},
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::pass(SYS_read, "fpv").restarts(),
    Row::pass(SYS_write, "fpv").restarts(),
    Row::pass(SYS_pread64, "fpvv").restarts(),
    Row::pass(SYS_pwrite64, "fpvv").restarts(),
    Row::call(SYS_open, open).restarts().host(&[SYS_openat]),
    Row::call(SYS_openat, openat).restarts(),
    Row::call(SYS_creat, creat).restarts().host(&[SYS_openat]),
    Row::call(SYS_openat2, openat2).restarts(),
    Row::pass(SYS_close, "f"),
    Row::call(SYS_close_range, close_range),
    Row::pass(SYS_lseek, "fvv"),
    Row::pass(SYS_stat, "pp"),
    Row::pass(SYS_lstat, "pp"),
    Row::pass(SYS_fstat, "fp"),
    Row::pass(SYS_newfstatat, "dppv"),
    Row::pass(SYS_statx, "dpvvp"),
    Row::pass(SYS_statfs, "pp"),
    Row::pass(SYS_fstatfs, "fp"),
    Row::pass(SYS_access, "pv"),
    Row::pass(SYS_faccessat, "dpv"),
    Row::pass(SYS_faccessat2, "dpvv"),
    Row::pass(SYS_getdents, "fpv"),
    Row::pass(SYS_getdents64, "fpv"),
    Row::pass(SYS_getcwd, "pv"),
    Row::pass(SYS_chdir, "p"),
    Row::pass(SYS_fchdir, "f"),
    Row::pass(SYS_mkdir, "pv"),
    Row::pass(SYS_mkdirat, "dpv"),
    Row::pass(SYS_rmdir, "p"),
    Row::pass(SYS_mknod, "pvv"),
    Row::pass(SYS_mknodat, "dpvv"),
    Row::pass(SYS_rename, "pp"),
    Row::pass(SYS_renameat, "dpdp"),
    Row::pass(SYS_renameat2, "dpdpv"),
    Row::pass(SYS_link, "pp"),
    Row::pass(SYS_linkat, "dpdpv"),
    Row::pass(SYS_symlink, "pp"),
    Row::pass(SYS_symlinkat, "pdp"),
    Row::call(SYS_readlink, readlink),
    Row::call(SYS_readlinkat, readlinkat),
    Row::pass(SYS_unlink, "p"),
    Row::pass(SYS_unlinkat, "dpv"),
    Row::pass(SYS_chmod, "pv"),
    Row::pass(SYS_fchmod, "fv"),
    Row::pass(SYS_fchmodat, "dpv"),
    Row::pass(SYS_fchmodat2, "dpvv"),
    Row::pass(SYS_chown, "pvv"),
    Row::pass(SYS_lchown, "pvv"),
    Row::pass(SYS_fchown, "fvv"),
    Row::pass(SYS_fchownat, "dpvvv"),
    Row::pass(SYS_umask, "v"),
    Row::pass(SYS_utime, "pp"),
    Row::pass(SYS_utimes, "pp"),
    Row::pass(SYS_futimesat, "dpp"),
    Row::pass(SYS_utimensat, "dppv"),
    Row::pass(SYS_truncate, "pv"),
    Row::pass(SYS_ftruncate, "fv"),
    Row::pass(SYS_fallocate, "fvvv").restarts(),
    Row::pass(SYS_fadvise64, "fvvv"),
    Row::pass(SYS_readahead, "fvv"),
    Row::pass(SYS_fsync, "f"),
    Row::pass(SYS_fdatasync, "f"),
    Row::pass(SYS_sync_file_range, "fvvv"),
    Row::pass(SYS_syncfs, "f"),
    Row::pass(SYS_sync, ""),
    Row::pass(SYS_flock, "fv").restarts(),
    Row::pass(SYS_memfd_create, "pv"),
    Row::pass(SYS_dup, "f"),
    Row::pass(SYS_dup2, "ff"),
    Row::pass(SYS_dup3, "ffv"),
    Row::pass(SYS_pipe, "p"),
    Row::pass(SYS_pipe2, "pv"),
    Row::pass(SYS_sendfile, "ffpv").restarts(),
    Row::pass(SYS_copy_file_range, "fpfpvv").restarts(),
    Row::pass(SYS_splice, "fpfpvv").restarts(),
    Row::pass(SYS_tee, "ffvv").restarts(),
    Row::pass(SYS_setxattr, "pppvv"),
    Row::pass(SYS_lsetxattr, "pppvv"),
    Row::pass(SYS_fsetxattr, "fppvv"),
    Row::pass(SYS_getxattr, "pppv"),
    Row::pass(SYS_lgetxattr, "pppv"),
    Row::pass(SYS_fgetxattr, "fppv"),
    Row::pass(SYS_listxattr, "ppv"),
    Row::pass(SYS_llistxattr, "ppv"),
    Row::pass(SYS_flistxattr, "fpv"),
    Row::pass(SYS_removexattr, "pp"),
    Row::pass(SYS_lremovexattr, "pp"),
    Row::pass(SYS_fremovexattr, "fp"),
    Row::pass(SYS_inotify_init, ""),
    Row::pass(SYS_inotify_init1, "v"),
    Row::pass(SYS_inotify_add_watch, "fpv"),
    Row::pass(SYS_inotify_rm_watch, "fv"),
];

/// Magic numbers of file systems that speak for the host kernel (statfs(2)): a write there acts on
/// processes or on the machine, and not through the system call that the policy sees.
const KERNEL_FILE_SYSTEMS: &[i64] = &[
    PROC_SUPER_MAGIC,
    SYSFS_MAGIC,
    0x6462_6720,            // debugfs
    0x7472_6163,            // tracefs
    0x7363_6673,            // securityfs
    0xcafe_4a11_u32 as i64, // bpffs
];

/// Files of procfs that a process may write about itself.
const WRITABLE: &[&str] = &["comm", "oom_score_adj", "coredump_filter"];

fn open(cx: &Cx<'_>, args: &Args) -> Answer {
    let at = i64::from(AT_FDCWD) as u64;
    opened(cx, at, args[0], args[1], args[2])
}

fn creat(cx: &Cx<'_>, args: &Args) -> Answer {
    let at = i64::from(AT_FDCWD) as u64;
    let flags = (O_CREAT | O_WRONLY | O_TRUNC) as u64;
    opened(cx, at, args[0], flags, args[1])
}

fn openat(cx: &Cx<'_>, args: &Args) -> Answer {
    opened(cx, args[0], args[1], args[2], args[3])
}

fn opened(cx: &Cx<'_>, at: u64, path: u64, flags: u64, mode: u64) -> Answer {
    let at = cx.process.descriptors().folder(at);
    let host = [at, cx.memory().address(word(path)), flags, mode, 0, 0];
    let descriptor = pass_on(cx, SYS_openat, true, &host)?;
    judge(cx, descriptor, flags as i32)
}

fn openat2(cx: &Cx<'_>, args: &Args) -> Answer {
    let at = cx.process.descriptors().folder(args[0]);
    let memory = cx.memory();
    let flags = memory.u64(word(args[2]))?;
    let host = [
        at,
        memory.address(word(args[1])),
        memory.address(word(args[2])),
        args[3],
        0,
        0,
    ];
    let descriptor = pass_on(cx, SYS_openat2, true, &host)?;
    judge(cx, descriptor, flags as i32)
}

/// Takes back what may not be written.
fn judge(cx: &Cx<'_>, descriptor: i64, flags: i32) -> Answer {
    if flags & O_ACCMODE == O_RDONLY || flags & O_PATH != 0 {
        return Ok(descriptor);
    }
    // SAFETY: the host has just opened it for the guest.
    let file = unsafe { BorrowedFd::borrow_raw(descriptor as i32) };
    let kind = rustix::fs::fstatfs(file)?.f_type;
    if !KERNEL_FILE_SYSTEMS.contains(&kind) || kind == PROC_SUPER_MAGIC && may_write(file) {
        return Ok(descriptor);
    }
    let path = rustix::fs::readlink(format!("/proc/self/fd/{descriptor}"), Vec::new());
    let path = path.map(|p| p.into_bytes()).unwrap_or_default();
    cx.process.host.audit.refuse(
        "open",
        &path,
        "files of the host kernel's own file systems are read-only",
        "EACCES",
    );
    // SAFETY: opened above; nobody has been told of it.
    unsafe { close(descriptor as i32) };
    Err(Errno::ACCESS.into())
}

/// Whether it is one of the few files of procfs that are harmless. By its name there, which the
/// host kernel tells of the open file: nobody can rename in procfs.
fn may_write(file: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let Ok(path) = rustix::fs::readlink(link, Vec::new()) else {
        return false;
    };
    path.to_str()
        .ok()
        .and_then(|path| path.rsplit('/').next())
        .is_some_and(|name| WRITABLE.contains(&name))
}

fn readlink(cx: &Cx<'_>, args: &Args) -> Answer {
    let at = i64::from(AT_FDCWD) as u64;
    link(cx, at, args[0], args[1], args[2])
}

fn readlinkat(cx: &Cx<'_>, args: &Args) -> Answer {
    link(cx, args[0], args[1], args[2], args[3])
}

/// The guest's program is not the file that the host executes.
fn link(cx: &Cx<'_>, at: u64, path: u64, buffer: u64, len: u64) -> Answer {
    let at = cx.process.descriptors().folder(at);
    let memory = cx.memory();
    let name = memory.path(word(path))?;
    if name == b"/proc/self/exe" || name == format!("/proc/{}/exe", std::process::id()).as_bytes() {
        return program(cx, buffer, len);
    }
    let host = [
        at,
        memory.address(word(path)),
        memory.address(word(buffer)),
        len,
        0,
        0,
    ];
    if name.ends_with(b"exe") && is_own_executable(at, &name) {
        return program(cx, buffer, len);
    }
    pass_on(cx, SYS_readlinkat, false, &host)
}

fn program(cx: &Cx<'_>, buffer: u64, len: u64) -> Answer {
    let program = &cx.process.image.program;
    let len = program.len().min(len as usize);
    if len == 0 {
        return Err(Errno::INVAL.into());
    }
    cx.memory().write(word(buffer), &program[..len])?;
    Ok(len as i64)
}

/// Whether a path leads to `/proc/self/exe` by another way, such as from an open `/proc/self`.
fn is_own_executable(at: u64, path: &[u8]) -> bool {
    use rustix::fs::{AtFlags, CWD, statat};
    let at = match at as i32 {
        AT_FDCWD => CWD,
        // SAFETY: looked at only; a number that is not open gives an error.
        at if at >= 0 => unsafe { BorrowedFd::borrow_raw(at) },
        _ => return false,
    };
    let found = statat(at, path, AtFlags::SYMLINK_NOFOLLOW);
    let own = statat(CWD, "/proc/self/exe", AtFlags::SYMLINK_NOFOLLOW);
    matches!((found, own), (Ok(f), Ok(o)) if (f.st_dev, f.st_ino) == (o.st_dev, o.st_ino))
}

/// The vkernel's own descriptors are beyond the range that is closed.
fn close_range(cx: &Cx<'_>, args: &Args) -> Answer {
    let (first, last) = (word(args[0]), word(args[1]));
    if first > last {
        return Err(Errno::INVAL.into());
    }
    let most = cx.process.descriptors().first_own() as u32 - 1;
    if first > most {
        return Ok(0);
    }
    let host = [first.into(), last.min(most).into(), args[2], 0, 0, 0];
    pass_on(cx, SYS_close_range, false, &host)
}
