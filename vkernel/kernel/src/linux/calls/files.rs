//! Files by path and by descriptor. The sandbox root is the host process's own root, so the host
//! resolves paths; what the policy says about them is in [`super::super::paths`].
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use libc::*;
use rustix::{fs::FileType, io::Errno};

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
        table::row::Handler,
    },
    listing::list,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_close_range, close_range),
    Handler::new(SYS_getdents, |cx, args| list(cx, SYS_getdents, args)),
    Handler::new(SYS_getdents64, |cx, args| list(cx, SYS_getdents64, args)),
    Handler::new(SYS_chroot, chroot).host(&[SYS_geteuid]),
    Handler::new(SYS_readlink, readlink),
    Handler::new(SYS_readlinkat, readlinkat),
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
    if len as i32 <= 0 {
        return Err(Errno::INVAL.into());
    }
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

/// The sandbox's root is fixed: who is there already may say so.
fn chroot(cx: &Cx<'_>, args: &Args) -> Answer {
    const OPERATION: &str = "chroot";
    let path = cx.memory().path(word(args[0]))?;
    let (paths, caller) = (&cx.process.sandbox.paths, cx.caller());
    let held = paths.object(&caller, AT_FDCWD, &path, true)?;
    paths.judge(&caller, OPERATION, &held, Act::Look)?;
    let (found, root) = (rustix::fs::fstat(&held)?, rustix::fs::stat("/")?);
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR.into());
    }
    let is_root = (found.st_dev, found.st_ino) == (root.st_dev, root.st_ino);
    if is_root && cx.host(SYS_geteuid, [])? == 0 {
        return Ok(0);
    }
    let audit = &cx.process.sandbox.audit;
    audit.refuse(OPERATION, &path, "the sandbox's root is fixed", "EPERM");
    Err(Errno::PERM.into())
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
