//! Files by path and by descriptor. The sandbox root is the host process's own root, so the host
//! resolves paths; what the policy says about them is in [`super::super::paths`].
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use libc::*;
use rustix::io::Errno;

use super::{
    super::{
        answer::{Answer, Args, Stop, word},
        context::Cx,
        policy::{
            judge::Act,
            object::{is_dots, split},
            paths::Reach,
        },
        syscall::Arg,
        table::row::Row,
    },
    listing::list,
};

/// What is not as on Linux where the guest chooses a number (`descriptors`).
const OWN: &str =
    "64 numbers are the vkernel's and give EBADF: from 960, or from the limit if it is lower";

/// All threads have one table of descriptors, in which each call has numbers of the vkernel's for a moment
/// (`paths::private`): a copy would keep what was held when it was made.
const UNSHARE: &str = "CLOSE_RANGE_UNSHARE gives EINVAL in a process with several threads";

/// Which device nodes there can be.
const NODES: &str = "device nodes other than null, zero, full, random, urandom, tty, ptmx and terminals of \
                     devpts give EPERM";

pub(crate) const ROWS: &[Row] = &[
    Row::pass(SYS_read, "fpv").restarts(),
    Row::pass(SYS_write, "fpv").restarts(),
    Row::pass(SYS_pread64, "fpvv").restarts(),
    Row::pass(SYS_pwrite64, "fpvv").restarts(),
    Row::pass(SYS_close, "f"),
    Row::call(SYS_close_range, close_range).partial(UNSHARE),
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
    Row::call(SYS_getdents, |cx, args| list(cx, SYS_getdents, args)),
    Row::call(SYS_getdents64, |cx, args| list(cx, SYS_getdents64, args)),
    Row::pass(SYS_getcwd, "pv"),
    Row::pass(SYS_chdir, "p"),
    Row::pass(SYS_fchdir, "f"),
    Row::pass(SYS_mkdir, "pv"),
    Row::pass(SYS_mkdirat, "dpv"),
    Row::pass(SYS_rmdir, "p"),
    Row::pass(SYS_mknod, "pvv").partial(NODES),
    Row::pass(SYS_mknodat, "dpvv").partial(NODES),
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
    Row::pass(SYS_fchmod, "fv").host(&[SYS_chmod]),
    Row::pass(SYS_fchmodat, "dpv"),
    Row::pass(SYS_fchmodat2, "dpvv"),
    Row::pass(SYS_chown, "pvv"),
    Row::pass(SYS_lchown, "pvv").host(&[SYS_chown]),
    Row::pass(SYS_fchown, "fvv").host(&[SYS_chown]),
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
    Row::pass(SYS_dup2, "ff").partial(OWN),
    Row::pass(SYS_dup3, "ffv").partial(OWN),
    Row::pass(SYS_pipe, "p"),
    Row::pass(SYS_pipe2, "pv"),
    Row::pass(SYS_sendfile, "ffpv").restarts(),
    Row::pass(SYS_copy_file_range, "fpfpvv").restarts(),
    Row::pass(SYS_splice, "fpfpvv").restarts(),
    Row::pass(SYS_tee, "ffvv").restarts(),
    Row::pass(SYS_setxattr, "pppvv"),
    Row::pass(SYS_lsetxattr, "pppvv").host(&[SYS_setxattr]),
    Row::pass(SYS_fsetxattr, "fppvv").host(&[SYS_setxattr]),
    Row::pass(SYS_getxattr, "pppv"),
    Row::pass(SYS_lgetxattr, "pppv"),
    Row::pass(SYS_fgetxattr, "fppv"),
    Row::pass(SYS_listxattr, "ppv"),
    Row::pass(SYS_llistxattr, "ppv"),
    Row::pass(SYS_flistxattr, "fpv"),
    Row::pass(SYS_removexattr, "pp"),
    Row::pass(SYS_lremovexattr, "pp").host(&[SYS_removexattr]),
    Row::pass(SYS_fremovexattr, "fp").host(&[SYS_removexattr]),
    Row::pass(SYS_inotify_init, ""),
    Row::pass(SYS_inotify_init1, "v"),
    Row::pass(SYS_inotify_add_watch, "fpv"),
    Row::pass(SYS_inotify_rm_watch, "fv"),
];

fn readlink(cx: &Cx<'_>, args: &Args) -> Answer {
    link(cx, AT_FDCWD, args[0], args[1], args[2])
}

fn readlinkat(cx: &Cx<'_>, args: &Args) -> Answer {
    let at = cx.process.descriptors().folder(args[0]);
    link(cx, at, args[1], args[2], args[3])
}

/// The guest's program is not the file that the host executes.
fn link(cx: &Cx<'_>, at: i32, path: u64, buffer: u64, len: u64) -> Answer {
    let name = cx.memory().path(word(path))?;
    if name == b"/proc/self/exe" || name == format!("/proc/{}/exe", std::process::id()).as_bytes() {
        return program(cx, buffer, len);
    }
    if name.ends_with(b"exe") && is_own_executable(at, &name) {
        return program(cx, buffer, len);
    }
    let (to, len) = (cx.at(buffer), len.into());
    if cx.process.sandbox.paths.reach == Reach::Everything {
        return link_in_view(cx, at, &name, [to, len]);
    }
    cx.host(SYS_readlinkat, [at.into(), cx.at(path), to, len])
}

/// Reads a link to a buffer of the guest's unless it is hidden.
fn link_in_view(cx: &Cx<'_>, at: i32, name: &[u8], [to, len]: [Arg<'_>; 2]) -> Answer {
    const OPERATION: &str = "readlink";
    let (paths, caller) = (&cx.process.sandbox.paths, cx.caller());
    // A name that cannot be a link's, or the descriptor itself.
    let follows = name.ends_with(b"/") || is_dots(name) || split(name).is_none();
    let held = match name.is_empty() {
        true => paths.object_of(&caller, at)?,
        false => paths.object(&caller, at, name, follows)?,
    };
    paths.judge(&caller, OPERATION, &held, Act::Look)?;
    match cx.host(SYS_readlinkat, [held.arg(), c"".into(), to, len]) {
        // It is no link; an empty name says so in another way (readlink(2)).
        Err(Stop::Errno(Errno::NOENT)) if !name.is_empty() => Err(Errno::INVAL.into()),
        answer => answer,
    }
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
fn is_own_executable(at: i32, path: &[u8]) -> bool {
    use rustix::fs::{AtFlags, CWD, statat};
    let at = match at {
        AT_FDCWD => CWD,
        // SAFETY: looked at only; a number that is not open gives an error.
        at if at >= 0 => unsafe { BorrowedFd::borrow_raw(at) },
        _ => return false,
    };
    let found = statat(at, path, AtFlags::SYMLINK_NOFOLLOW);
    let own = statat(CWD, "/proc/self/exe", AtFlags::SYMLINK_NOFOLLOW);
    matches!((found, own), (Ok(f), Ok(o)) if (f.st_dev, f.st_ino) == (o.st_dev, o.st_ino))
}

/// The vkernel's own descriptors are not in the ranges that are closed.
fn close_range(cx: &Cx<'_>, args: &Args) -> Answer {
    /// `CLOSE_RANGE_UNSHARE` and `CLOSE_RANGE_CLOEXEC`.
    const FLAGS: u64 = (CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) as u64;
    let (first, last, flags) = (word(args[0]), word(args[1]), u64::from(word(args[2])));
    if first > last || flags & !FLAGS != 0 {
        return Err(Errno::INVAL.into());
    }
    let unshare = flags & u64::from(CLOSE_RANGE_UNSHARE) != 0;
    if unshare && !cx.alone() {
        return Err(Errno::INVAL.into());
    }
    // A process with one thread shares its table with nobody.
    let flags = flags & !u64::from(CLOSE_RANGE_UNSHARE);
    let limit = cx.process.descriptors();
    let (own, after) = (limit.first_own() as u32, limit.after_own() as u32);
    let below = [first.min(own).into(), last.min(own - 1).into(), flags];
    let above = [first.max(after).into(), last.into(), flags];
    for [first, last, flags] in [below, above] {
        if first <= last {
            cx.host(SYS_close_range, [first, last, flags].map(Arg::from))?;
        }
    }
    Ok(0)
}
