//! Opening. What is opened for reading is opened by the host; what can be changed through the
//! descriptor is judged by the object itself, before anything is truncated.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use libc::*;
use rustix::{
    fs::{AtFlags, FileType, Stat, fstat, fstatfs},
    io::Errno,
    time::{ClockId, clock_gettime},
};

use super::super::{
    answer::{Answer, Args, Stop, word},
    context::Cx,
    policy::{
        held::Held,
        judge::Act,
        object::{self, split},
        objects::Opening,
        paths::Reach,
    },
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_open, open).host(&[SYS_openat, SYS_ftruncate]),
    Handler::new(SYS_openat, openat).host(&[SYS_ftruncate]),
    Handler::new(SYS_creat, creat).host(&[SYS_openat, SYS_ftruncate]),
    Handler::new(SYS_openat2, openat2).host(&[SYS_openat, SYS_ftruncate]),
];

/// Name of the operation in refusals.
const OPERATION: &str = "open";

/// How often a file may come and go while it is opened.
const ROUNDS: u32 = 64;

/// Most symbolic links at a path's end (path_resolution(7)).
const LINKS: u32 = 40;

/// As `struct open_how` (openat2(2)), in its first version.
#[repr(C)]
#[derive(Clone, Copy)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

impl How {
    fn has(&self, flags: i32) -> bool {
        self.flags & flags as u64 == flags as u64
    }

    fn without(mut self, flags: i32) -> How {
        self.flags &= !(flags as u64);
        self
    }

    /// Only a place in the file system is opened (O_PATH of open(2)).
    fn is_place(&self) -> bool {
        self.has(O_PATH)
    }

    /// Whether contents can be changed by it.
    fn writes(&self) -> bool {
        !self.is_place() && (self.flags & O_ACCMODE as u64 != O_RDONLY as u64 || self.has(O_TRUNC))
    }

    /// What ftruncate(2) could not do afterwards.
    fn truncates_for_reading(&self) -> bool {
        self.has(O_TRUNC) && self.flags & O_ACCMODE as u64 == O_RDONLY as u64
    }

    fn creates(&self) -> bool {
        !self.is_place() && self.has(O_CREAT)
    }

    fn makes_nameless(&self) -> bool {
        !self.is_place() && self.has(O_TMPFILE)
    }
}

fn open(cx: &Cx<'_>, args: &Args) -> Answer {
    opened(cx, AT_FDCWD, args[0], args[1], args[2])
}

fn creat(cx: &Cx<'_>, args: &Args) -> Answer {
    let flags = (O_CREAT | O_WRONLY | O_TRUNC) as u64;
    opened(cx, AT_FDCWD, args[0], flags, args[1])
}

fn openat(cx: &Cx<'_>, args: &Args) -> Answer {
    let at = cx.process.descriptors().folder(args[0]);
    opened(cx, at, args[1], args[2], args[3])
}

fn opened(cx: &Cx<'_>, at: i32, path: u64, flags: u64, mode: u64) -> Answer {
    let how = How {
        // An int of the guest's: what widening added is no flag.
        flags: u64::from(flags as u32),
        mode,
        resolve: 0,
    };
    run(cx, at, path, how, SYS_openat)
}

fn openat2(cx: &Cx<'_>, args: &Args) -> Answer {
    const FIRST: usize = size_of::<How>();
    /// A page, as Linux has it.
    const MOST: usize = 4096;
    let (pointer, size) = (word(args[2]), args[3] as usize);
    match size {
        ..FIRST => return Err(Errno::INVAL.into()),
        MOST.. if size > MOST => return Err(Errno::TOOBIG.into()),
        _ => {}
    }
    let mut bytes = vec![0; size];
    cx.memory().read(pointer, &mut bytes)?;
    if bytes[FIRST..].iter().any(|b| *b != 0) {
        return Err(Errno::TOOBIG.into());
    }
    let number = |at: usize| {
        bytes[at..]
            .first_chunk()
            .map_or(0, |b| u64::from_le_bytes(*b))
    };
    let how = How {
        flags: number(0),
        mode: number(8),
        resolve: number(16),
    };
    let at = cx.process.descriptors().folder(args[0]);
    run(cx, at, args[1], how, SYS_openat2)
}

fn run(cx: &Cx<'_>, at: i32, path: u64, how: How, number: i64) -> Answer {
    let special = special(cx, word(path));
    if special == Some(Special::Program) {
        return program(cx, how);
    }
    let answer = by_path(cx, at, path, how, number);
    match (special, &answer) {
        (Some(Special::Descriptor(number)), Err(Stop::Errno(Errno::ACCESS))) => {
            again(cx, number, &how).or(answer)
        }
        _ => answer,
    }
}

/// A path that leads to what a process has, not to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    /// Its program.
    Program,
    /// A descriptor of its own.
    Descriptor(i32),
}

/// What a path is by its name alone (`proc(5)`).
fn special(cx: &Cx<'_>, pointer: u32) -> Option<Special> {
    // Nearly all paths are others, which the first bytes tell.
    let start: [u8; 6] = cx.memory().array(pointer).ok()?;
    match &start {
        b"/proc/" | b"/dev/s" | b"/dev/f" => {
            special_name(&cx.memory().path(pointer).ok()?, cx.process.id())
        }
        _ => None,
    }
}

fn special_name(path: &[u8], process: i32) -> Option<Special> {
    let path = std::str::from_utf8(path).ok()?;
    let number = match path {
        "/dev/stdin" => "0",
        "/dev/stdout" => "1",
        "/dev/stderr" => "2",
        _ => match path.strip_prefix("/dev/fd/") {
            Some(number) => number,
            None => {
                let (whose, what) = path.strip_prefix("/proc/")?.split_once('/')?;
                let own = ["self", "thread-self"].contains(&whose);
                if !own && whose != process.to_string() {
                    return None;
                }
                match what {
                    "exe" => return Some(Special::Program),
                    what => what.strip_prefix("fd/")?,
                }
            }
        },
    };
    number.parse().ok().map(Special::Descriptor)
}

/// Opens the program's own file: the one that the host executes is another.
fn program(cx: &Cx<'_>, how: How) -> Answer {
    if how.creates() && how.has(O_EXCL) {
        return Err(Errno::EXIST.into());
    }
    if how.has(O_NOFOLLOW) && !how.is_place() {
        return Err(Errno::LOOP.into());
    }
    if how.writes() {
        return Err(Errno::TXTBSY.into());
    }
    let how = How {
        resolve: 0,
        ..how.without(O_CREAT | O_NOFOLLOW)
    };
    by_name(cx, AT_FDCWD, &cx.process.image.program, &how)
}

/// Another descriptor of what one of the guest's own leads to, if that allows no more than this one: as
/// `dup(2)`, and so nothing that the guest could not have.
fn again(cx: &Cx<'_>, number: i32, how: &How) -> Answer {
    let descriptor = cx.process.descriptors().check(number as u64)?;
    // What lies in the root can be asked for by its own name.
    // SAFETY: looked at only; a number that is not open gives an error.
    let held = fstat(unsafe { BorrowedFd::borrow_raw(number) })?;
    let path = object::real_path(number)?;
    let place = rustix::fs::statat(rustix::fs::CWD, path.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
    if place.is_ok_and(|place| (place.st_dev, place.st_ino) == (held.st_dev, held.st_ino)) {
        // The descriptor may have come by another mount, `/dev/null` of the host's, say. The name is
        // judged like any other, whatever has become of it by now.
        let how = How {
            resolve: 0,
            ..how.without(O_NOFOLLOW)
        };
        return by_name(cx, AT_FDCWD, &path, &how);
    }
    let has = cx.host(SYS_fcntl, [descriptor, F_GETFL.into()])? as i32;
    let (wanted, given) = (how.flags as i32 & O_ACCMODE, has & O_ACCMODE);
    let same_end = how.flags as i32 & O_APPEND == has & O_APPEND;
    let fits = given == O_RDWR || given == wanted;
    if !fits || !same_end || has & O_PATH != 0 || how.is_place() || how.has(O_DIRECTORY) {
        return Err(Errno::ACCESS.into());
    }
    if how.creates() && how.has(O_EXCL) {
        return Err(Errno::EXIST.into());
    }
    if how.has(O_TRUNC) {
        cx.host(SYS_ftruncate, [descriptor, Arg::NONE])?;
    }
    let command = match how.has(O_CLOEXEC) {
        true => F_DUPFD_CLOEXEC,
        false => F_DUPFD,
    };
    cx.host(SYS_fcntl, [descriptor, command.into(), Arg::NONE])
}

fn by_path(cx: &Cx<'_>, at: i32, path: u64, how: How, number: i64) -> Answer {
    let paths = &cx.process.sandbox.paths;
    let changes = how.writes() || how.creates() || how.makes_nameless();
    let by_host = match paths.reach {
        Reach::Everything => false,
        _ if paths.audit_is_pipe && !how.is_place() && !cx.alone() => false,
        Reach::Changes => !changes,
        // Other threads must not get hold of a descriptor that is to be refused.
        Reach::Programs => {
            !how.writes() || !paths.has_proc || cx.alone() && !how.truncates_for_reading()
        }
    };
    if by_host && !how.writes() {
        if how.is_place() {
            return host(cx, at, cx.at(path), &how, number);
        }
        if let Some(answer) = for_reading(cx, at, word(path), &how, number) {
            return answer;
        }
    } else if by_host {
        // A shorter way to the same: truncated when it has been judged.
        match host(cx, at, cx.at(path), &how.without(O_TRUNC), number) {
            // The megabinary runs, which is reason enough for the host; the audit is to know.
            Err(Stop::Errno(Errno::TXTBSY)) if paths.has_proc => {}
            opened => {
                let descriptor = opened?;
                return judged_afterwards(cx, descriptor as i32, &how)
                    .inspect_err(|_| close(descriptor));
            }
        }
    }
    let path = cx.memory().path(word(path))?;
    by_name(cx, at, &path, &how)
}

/// Opens what is at a path that was read once, held and judged before it is opened.
fn by_name(cx: &Cx<'_>, at: i32, path: &[u8], how: &How) -> Answer {
    if path.is_empty() {
        return Err(Errno::NOENT.into());
    }
    if how.flags > u64::from(u32::MAX) {
        return Err(Errno::INVAL.into());
    }
    for _ in 0..ROUNDS {
        let follow = !(how.has(O_NOFOLLOW) || how.creates() && how.has(O_EXCL));
        match held(cx, at, path, how, follow) {
            Ok(held) => return open_held(cx, &held, how),
            Err(Errno::NOENT) if how.creates() => match create(cx, at, path, how, follow) {
                Err(Stop::Errno(Errno::EXIST)) if !how.has(O_EXCL) => {}
                created => return created,
            },
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

/// The host's own call. openat(2) passes over flags that it does not know, openat2(2) refuses
/// them: each is asked in its own way.
fn host(cx: &Cx<'_>, at: i32, path: Arg<'_>, how: &How, number: i64) -> Answer {
    match number == SYS_openat2 {
        true => {
            let args = [at.into(), path, Arg::input(how), size_of::<How>().into()];
            cx.host_waiting(number, args)
        }
        false => cx.host_waiting(number, [at.into(), path, how.flags.into(), how.mode.into()]),
    }
}

/// Flags of open(2) that openat2(2) takes without O_PATH; openat(2) passes over all others.
const KNOWN: u64 = (O_ACCMODE
    | O_CREAT
    | O_EXCL
    | O_NOCTTY
    | O_TRUNC
    | O_APPEND
    | O_NONBLOCK
    | O_DSYNC
    | O_SYNC
    | O_ASYNC
    | O_DIRECT
    | O_LARGEFILE_
    | O_DIRECTORY
    | O_NOFOLLOW
    | O_NOATIME
    | O_CLOEXEC) as u64;

/// O_LARGEFILE as the host kernel has it, which C libraries for x86-64 define as 0.
const O_LARGEFILE_: i32 = 0o100_000;

/// Opens for reading by the host's own resolution of the path, the shorter way: what is opened is judged
/// before anybody can read it. `None` if it has to be held first.
///
/// With one guest thread, that is afterwards. With more, another one could read what is still to be judged.
/// Then the host is asked for what lies on the mount of the root itself (RESOLVE_NO_XDEV of openat2(2)): it
/// is not the host kernel's, and has no devices but the image's.
fn for_reading(cx: &Cx<'_>, at: i32, path: u32, how: &How, number: i64) -> Option<Answer> {
    let paths = &cx.process.sandbox.paths;
    if cx.alone() {
        let opened = host(cx, at, cx.memory().arg(path), how, number);
        let descriptor = match opened {
            Ok(descriptor) => descriptor,
            error => return Some(error),
        };
        return match is_fit(cx, descriptor as i32) {
            Ok(true) => Some(Ok(descriptor)),
            Ok(false) => {
                close(descriptor);
                None
            }
            Err(errno) => {
                close(descriptor);
                Some(Err(errno.into()))
            }
        };
    }
    if how.resolve != 0 || how.makes_nameless() || how.creates() {
        return None;
    }
    // Copied once: another thread may change it.
    let path = match cx.memory().path(path) {
        Ok(path) => path,
        Err(errno) => return Some(Err(errno.into())),
    };
    // From anywhere else it could begin in procfs.
    if path.first() != Some(&b'/') || paths.root_is_pseudo() {
        return None;
    }
    let path = CString::new(path).ok()?;
    let how = How {
        flags: how.flags & KNOWN,
        mode: 0,
        resolve: RESOLVE_NO_XDEV,
    };
    match host(cx, 0, path.as_c_str().into(), &how, SYS_openat2) {
        // On another mount; or a host kernel that cannot tell.
        Err(Stop::Errno(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::AGAIN)) => None,
        answer => Some(answer),
    }
}

/// Whether the guest may have what was opened for reading; not as it is if there is a copy for it.
fn is_fit(cx: &Cx<'_>, descriptor: i32) -> Result<bool, Errno> {
    let paths = &cx.process.sandbox.paths;
    // SAFETY: the host has just opened it for the guest.
    let file = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let stat = fstat(file)?;
    judge_own(cx, descriptor, &stat)?;
    if paths.objects.is_plainly_read(&stat) {
        return Ok(true);
    }
    let opening = paths
        .objects
        .judge(&cx.caller(), OPERATION, file, &stat, false)?;
    Ok(matches!(opening, Opening::Itself))
}

/// EACCES for the audit's stream, which only the vkernel's descriptor leads to; and where it is a pipe, for
/// what else is the vkernel's own.
fn judge_own(cx: &Cx<'_>, number: i32, stat: &Stat) -> Result<(), Errno> {
    let paths = &cx.process.sandbox.paths;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let regular = matches!(kind, FileType::RegularFile | FileType::Directory);
    let taken = !regular && paths.is_own(stat);
    if !taken && !paths.is_foreign_audit(number, stat) {
        return Ok(());
    }
    let reason = "it is the audit's own stream";
    let audit = &cx.process.sandbox.audit;
    audit.refuse(OPERATION, b"", reason, "EACCES");
    Err(Errno::ACCESS)
}

/// Takes back what may not be written.
fn judged_afterwards(cx: &Cx<'_>, descriptor: i32, how: &How) -> Answer {
    // SAFETY: the host has just opened it for the guest.
    let file = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let stat = fstat(file)?;
    judge(cx, file, &stat)?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if regular && how.has(O_TRUNC) && !how.makes_nameless() && !is_new(&stat) {
        truncate(cx, descriptor, file)?;
    }
    Ok(descriptor.into())
}

/// Whether the file was made by opening it: then nothing is truncated, and nobody is told so. A file
/// that somebody else made empty in the same instant keeps the times that it has from there.
fn is_new(stat: &Stat) -> bool {
    const INSTANT: i64 = 20_000_000;
    let changed = (stat.st_mtime, stat.st_mtime_nsec);
    let now = clock_gettime(ClockId::Realtime);
    let age = (now.tv_sec - stat.st_mtime)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec - stat.st_mtime_nsec as i64);
    stat.st_size == 0
        && changed == (stat.st_ctime, stat.st_ctime_nsec)
        && changed == (stat.st_atime, stat.st_atime_nsec)
        && (0..INSTANT).contains(&age)
}

/// What O_TRUNC would have done.
fn truncate(cx: &Cx<'_>, descriptor: i32, file: BorrowedFd<'_>) -> Result<(), Stop> {
    match cx.host(SYS_ftruncate, [descriptor.into(), Arg::NONE]) {
        // Opened for reading, or a file of the host kernel that has no length.
        Err(Stop::Errno(Errno::INVAL | Errno::BADF))
            if fstatfs(file)?.f_type != PROC_SUPER_MAGIC =>
        {
            Err(Errno::ACCESS.into())
        }
        Err(Stop::Errno(Errno::INVAL | Errno::BADF)) => Ok(()),
        result => result.map(drop),
    }
}

/// Judges an object that is to be written.
fn judge(cx: &Cx<'_>, file: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
    let number = file.as_raw_fd();
    let objects = &cx.process.sandbox.paths.objects;
    objects.judge(&cx.caller(), OPERATION, file, stat, true)?;
    judge_own(cx, number, stat)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        let paths = &cx.process.sandbox.paths;
        paths.judge_object(&cx.caller(), OPERATION, number, stat, Act::Change)?;
    }
    let is_program = stat.st_mode & 0o111 != 0;
    if is_program && cx.process.sandbox.programs.is_running(stat) {
        return Err(Errno::TXTBSY);
    }
    Ok(())
}

/// Holds what is at a path.
fn held<'a>(cx: &Cx<'a>, at: i32, path: &[u8], how: &How, follow: bool) -> Result<Held<'a>, Errno> {
    let paths = &cx.process.sandbox.paths;
    if how.resolve == 0 {
        return paths.object_aside(at, path, follow);
    }
    let nofollow = if follow { 0 } else { O_NOFOLLOW };
    paths.object_within(at, path, O_PATH | O_CLOEXEC | nofollow, how.resolve)
}

/// Opens for use what is held.
fn open_held(cx: &Cx<'_>, held: &Held<'_>, how: &How) -> Answer {
    let paths = &cx.process.sandbox.paths;
    let stat = fstat(held)?;
    paths.judge_object(&cx.caller(), OPERATION, held.number(), &stat, Act::Look)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if how.creates() && how.has(O_EXCL) {
        return Err(Errno::EXIST.into());
    }
    if kind == FileType::Symlink && !how.is_place() {
        return Err(Errno::LOOP.into());
    }
    if how.creates() && kind == FileType::Directory {
        return Err(Errno::ISDIR.into());
    }
    if how.makes_nameless() {
        paths.judge_object(&cx.caller(), OPERATION, held.number(), &stat, Act::Change)?;
    } else if how.writes() {
        judge(cx, held.as_fd(), &stat)?;
    } else if !how.is_place() {
        judge_own(cx, held.number(), &stat)?;
        let objects = &paths.objects;
        match objects.judge(&cx.caller(), OPERATION, held.as_fd(), &stat, false)? {
            Opening::Itself => {}
            Opening::Copy(_) if how.has(O_DIRECTORY) => return Err(Errno::NOTDIR.into()),
            Opening::Copy(kind) => {
                return Ok(objects.open_copy(
                    &cx.caller(),
                    &paths.private,
                    held,
                    &kind,
                    how.flags,
                )?);
            }
        }
    }
    let how = how.without(O_CREAT | O_EXCL | O_NOFOLLOW);
    let path = object::path_of(held);
    let how = How { resolve: 0, ..how };
    host(cx, AT_FDCWD, path.as_c_str().into(), &how, SYS_openat)
}

/// Creates a file where there is none, behind the links at the path's end.
fn create(cx: &Cx<'_>, at: i32, path: &[u8], how: &How, follow: bool) -> Answer {
    let paths = &cx.process.sandbox.paths;
    let (mut at, mut path) = (at, path.to_vec());
    let mut folder: Held<'_>;
    for _ in 0..LINKS {
        let (above, name) = split(&path).ok_or(Errno::ISDIR)?;
        folder = match how.resolve {
            0 => paths.object_aside(at, above, true)?,
            resolve => paths.object_within(at, above, O_PATH | O_CLOEXEC, resolve)?,
        };
        if name.ends_with(b"/") || object::is_dots(name) {
            return Err(Errno::ISDIR.into());
        }
        let link = match follow && how.resolve == 0 {
            true => rustix::fs::readlinkat(&folder, name, Vec::new()).ok(),
            false => None,
        };
        if let Some(target) = link {
            // The link's own folder is where it starts.
            let next = [above, b"/", target.as_bytes()].concat();
            path = match target.as_bytes().first() {
                Some(b'/') => target.into_bytes(),
                _ => next,
            };
            at = match path.first() {
                Some(b'/') => AT_FDCWD,
                _ => at,
            };
            continue;
        }
        paths.judge_name(&cx.caller(), OPERATION, &folder, name, Act::Name)?;
        let place = object::path_in(&folder, name)?;
        let how = How {
            flags: how.flags | (O_EXCL | O_NOFOLLOW) as u64,
            mode: how.mode,
            resolve: 0,
        };
        return host(cx, AT_FDCWD, place.as_c_str().into(), &how, SYS_openat);
    }
    Err(Errno::LOOP.into())
}

/// Closes what nobody has been told of.
fn close(descriptor: i64) {
    // SAFETY: the caller has opened it.
    unsafe {
        libc::close(descriptor as i32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_is_known_by_its_name() {
        for (path, expected) in [
            ("/proc/self/exe", Some(Special::Program)),
            ("/proc/17/exe", Some(Special::Program)),
            ("/proc/18/exe", None),
            ("/proc/thread-self/fd/3", Some(Special::Descriptor(3))),
            ("/dev/stdin", Some(Special::Descriptor(0))),
            ("/dev/fd/12", Some(Special::Descriptor(12))),
            ("/dev/fd/x", None),
            ("/dev/full", None),
            ("/proc/self/fd", None),
            ("/proc/self/maps", None),
        ] {
            assert_eq!(special_name(path.as_bytes(), 17), expected, "{path}");
        }
    }
}
