//! `execve`: by content, inside this process. No host program is ever executed.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    io::{self, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use libc::*;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};

use super::super::{
    answer::{Answer, Args, Stop, word},
    context::Cx,
    policy::{judge::Act, object, paths::Reach},
    process::image::Image,
    table::row::Handler,
};
use crate::exec::{self, ExecRequest, Files, Resolution};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_execve, execve).host(&[SYS_openat, SYS_getcwd, SYS_getdents64]),
    Handler::new(SYS_execveat, execveat).host(&[
        SYS_openat,
        SYS_getcwd,
        SYS_getdents64,
        SYS_readlink,
    ]),
];

/// Most bytes of arguments and environment together: what Linux gives with a stack of 8 MiB, a
/// quarter of it (execve(2)).
const MOST: usize = 2 << 20;

/// What leads to a process's own program.
const OWN_PROGRAM: &[u8] = b"/proc/self/exe";

/// The host process's root is the sandbox's.
struct HostRoot<'a>(&'a Cx<'a>);

impl Files for HostRoot<'_> {
    fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let HostRoot(cx) = self;
        let paths = &cx.process.sandbox.paths;
        if paths.reach == Reach::Everything {
            let held = paths.object(&cx.caller(), AT_FDCWD, path, true)?;
            paths.judge(&cx.caller(), "execve", &held, Act::Look)?;
            return open(object::path_of(&held));
        }
        // Absolute: a request's paths are joined to its working directory.
        open(CString::new(path)?)
    }
}

fn open(path: CString) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

fn execve(cx: &Cx<'_>, args: &Args) -> Answer {
    let path = cx.memory().path(word(args[0]))?;
    run(cx, path, None, word(args[1]), word(args[2]))
}

fn execveat(cx: &Cx<'_>, args: &Args) -> Answer {
    let at = cx.process.descriptors().folder(args[0]);
    let name = cx.memory().path(word(args[1]))?;
    let flags = args[4] as i32;
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::INVAL.into());
    }
    let name_is_empty = name.is_empty();
    let path = match (name.first(), at) {
        (None, _) if flags & AT_EMPTY_PATH == 0 => return Err(Errno::NOENT.into()),
        (None, ..0) if at != AT_FDCWD => return Err(Errno::BADF.into()),
        (None, _) => format!("/proc/self/fd/{at}").into_bytes(),
        (Some(b'/'), _) | (_, AT_FDCWD) => name,
        (_, ..0) => return Err(Errno::BADF.into()),
        _ => [format!("/proc/self/fd/{at}/").into_bytes(), name].concat(),
    };
    if flags & AT_SYMLINK_NOFOLLOW != 0 {
        let stat = rustix::fs::statat(CWD, path.as_slice(), AtFlags::SYMLINK_NOFOLLOW)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink {
            return Err(Errno::LOOP.into());
        }
    }
    // What a descriptor leads to has a name of its own.
    let shown = match name_is_empty {
        true => rustix::fs::readlink(path.as_slice(), Vec::new()).ok(),
        false => None,
    };
    let shown = shown.map(|path| path.into_bytes());
    run(cx, path, shown, word(args[2]), word(args[3]))
}

/// Executes `path`, which is called `shown` if that is another name.
fn run(cx: &Cx<'_>, path: Vec<u8>, shown: Option<Vec<u8>>, argv: u32, env: u32) -> Answer {
    let memory = cx.memory();
    let argv = memory.strings(argv, MOST)?;
    let env = memory.strings(env, MOST)?;
    let cwd = rustix::process::getcwd(Vec::new())?.into_bytes();
    let sandbox = &cx.process.sandbox;
    // The guest's program is not the file that the host executes.
    let (path, itself) = match path == OWN_PROGRAM {
        true => (cx.process.image.program.clone(), Some(path)),
        false => (path, None),
    };
    let request = ExecRequest {
        path,
        argv,
        env,
        cwd,
    };
    match exec::resolve(&sandbox.index, &HostRoot(cx), request.clone()) {
        Ok(Resolution::Launch(launch)) => {
            let mut image = Image::from(launch);
            image.executed = itself.unwrap_or(image.executed);
            if let Some(shown) = shown {
                if image.program == image.executed {
                    image.program.clone_from(&shown);
                }
                image.executed = shown;
            }
            let module = sandbox.index.modules.get(image.module as usize);
            let initial = module.map_or(0, |m| sandbox.needed(m));
            if sandbox.has_room_for(initial).is_err() {
                let reason = "the program needs more memory to start than the limit allows";
                let audit = &sandbox.audit;
                audit.refuse("execve", &image.program, reason, "ENOMEM");
                return Err(Errno::NOMEM.into());
            }
            // From here on there is no way back.
            let mask = cx.thread.close();
            cx.process.end_others()?;
            cx.thread.release_robust(memory);
            image.mask = Some(mask);
            Err(Stop::Exec(Box::new(image)))
        }
        Ok(Resolution::PrintEnvironment(variables)) => {
            cx.process.exit(print(&variables));
        }
        Err(error) => {
            let errno = error.errno();
            // A search along PATH looks for files that are not there, and a shell executes its
            // scripts to learn that they are some: the host kernel says no more. No refusals.
            if ![ENOENT, ENOTDIR, ENOEXEC].contains(&errno) {
                let reason = error.to_string();
                sandbox
                    .audit
                    .refuse("execve", error.path(), &reason, error.errno_name());
            }
            Err(Errno::from_raw_os_error(errno).into())
        }
    }
}

/// `env` without a program.
fn print(variables: &[Vec<u8>]) -> i32 {
    // SAFETY: descriptor 1 is looked at and left as it is.
    let stdout = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(1) });
    debug_assert_eq!(stdout.as_raw_fd(), 1);
    let mut text = variables.join(&b'\n');
    text.push(b'\n');
    match (&*stdout).write_all(&text) {
        Ok(()) => 0,
        Err(_) => 125,
    }
}
