//! Calls that the host answers, their paths judged first and replaced by what was judged.

#![allow(unsafe_code)]
#![expect(
    non_upper_case_globals,
    reason = "libc's names of system calls, in patterns"
)]

use std::ffi::CString;

use libc::*;
use rustix::{
    fs::{AtFlags, CWD, statat},
    io::Errno,
};

use super::{
    super::{
        call::{Answer, Args, Cx, word},
        objects::is_device,
        table::{Row, pass_on, translate},
    },
    Held, Paths, Reach,
    object::{Act, is_dots, path_in, path_of, split},
};
use crate::fs::path;

/// What a letter of [`super::arguments`] says about a path.
struct Asked {
    act: Act,
    follow: bool,
}

fn asked(letter: u8) -> Option<Asked> {
    let (act, follow) = match letter {
        b'l' => (Act::Look, true),
        b'L' => (Act::Look, false),
        b'c' => (Act::Change, true),
        b'C' | b'k' => (Act::Change, false),
        b'n' => (Act::Name, false),
        b'r' => (Act::Move, false),
        _ => return None,
    };
    Some(Asked { act, follow })
}

/// A host call in the making; what its arguments lead to lives here.
struct Call<'a> {
    number: i64,
    operation: &'static str,
    kinds: &'a [u8],
    letters: &'a [u8],
    passed: Args,
    held: [Option<Held<'a>>; 2],
    strings: [Option<CString>; 2],
}

/// Makes the host's call of a row with paths; `kinds` are the row's.
pub(in super::super) fn pass(cx: &Cx<'_>, row: &Row, kinds: &str, args: &Args) -> Answer {
    let paths = &cx.process.host.paths;
    judge_node(cx, row, args)?;
    let mut passed = [0; 6];
    translate(cx, kinds, args, &mut passed)?;
    let mut call = Call {
        number: row.number,
        operation: row.name,
        kinds: kinds.as_bytes(),
        letters: row.paths.as_bytes(),
        passed,
        held: [None, None],
        strings: [None, None],
    };
    let mut nth = 0;
    for (at, letter) in row.paths.bytes().enumerate() {
        match letter {
            b'g' => {
                if let Some(number) = paths.changed(cx, &mut call, args[at] as i32)? {
                    return pass_on(cx, number, false, &call.passed);
                }
            }
            b'h' => paths.looked_at(cx, &mut call, at, args[at] as i32)?,
            letter => {
                if let Some(asked) = asked(letter) {
                    paths.argument(cx, &mut call, args, at, &asked, nth)?;
                    nth += 1;
                }
            }
        }
    }
    let answer = pass_on(cx, call.number, row.waits, &call.passed);
    // The host kernel has read them.
    drop(call);
    answer
}

/// The call that does by path what another one does by descriptor; their arguments are the same
/// otherwise.
fn by_path(number: i64) -> Option<i64> {
    Some(match number {
        SYS_fchmod => SYS_chmod,
        SYS_fchown => SYS_chown,
        SYS_fsetxattr => SYS_setxattr,
        SYS_fremovexattr => SYS_removexattr,
        _ => return None,
    })
}

/// The call that does to what a last link leads to what this one does to the link.
fn following(number: i64) -> i64 {
    match number {
        SYS_lchown => SYS_chown,
        SYS_lsetxattr => SYS_setxattr,
        SYS_lremovexattr => SYS_removexattr,
        number => number,
    }
}

/// Refuses device nodes that guests could not open.
fn judge_node(cx: &Cx<'_>, row: &Row, args: &Args) -> Result<(), Errno> {
    let (mode, device) = match row.number {
        SYS_mknod => (args[1], args[2]),
        SYS_mknodat => (args[2], args[3]),
        _ => return Ok(()),
    };
    // The host kernel looks at 32 bits of it.
    let (mode, device) = (mode as u32, u64::from(device as u32));
    if ![S_IFCHR, S_IFBLK].contains(&(mode & S_IFMT)) || is_device(mode, device) {
        return Ok(());
    }
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let what = format!("device {major}:{minor}");
    let reason = "device is not on the vkernel's list";
    let audit = &cx.process.host.audit;
    audit.refuse(row.name, what.as_bytes(), reason, "EPERM");
    Err(Errno::PERM)
}

impl Call<'_> {
    /// The folder that the path at `at` is relative to.
    fn folder(&self, at: usize) -> i32 {
        match at.checked_sub(1).map(|before| self.kinds[before]) {
            Some(b'd') => self.passed[at - 1] as i32,
            _ => AT_FDCWD,
        }
    }

    /// The flags that concern paths, whose argument's letter is `letter`.
    fn flags(&self, letter: u8) -> i32 {
        let at = self.letters.iter().position(|l| *l == letter);
        at.map_or(0, |at| self.passed[at] as i32)
    }

    /// Puts a path of ours in an argument's place.
    fn set(&mut self, at: usize, nth: usize, string: CString) {
        self.passed[at] = string.as_ptr() as u64;
        self.strings[nth] = Some(string);
    }
}

impl Paths {
    /// Judges the object of a descriptor of the guest's, the call's first argument, which the call
    /// changes. In a process with threads, another one could put another object there meanwhile: so the
    /// object is held as a place, and the call by path that does the same is made on what is held; its
    /// number.
    fn changed<'a>(
        &'a self,
        cx: &Cx<'_>,
        call: &mut Call<'a>,
        number: i32,
    ) -> Result<Option<i64>, Errno> {
        let number = cx.process.descriptors().check(number as u64)? as i32;
        // SAFETY: looked at; a number that is not open gives an error.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        if cx.alone() {
            let stat = rustix::fs::fstat(file)?;
            self.judge_metadata(cx, call.operation, number, &stat, Act::Change)?;
            return Ok(None);
        }
        self.can_be_held(call.operation)?;
        // A place is no file that is open (open(2), O_PATH).
        if rustix::fs::fcntl_getfl(file)?.contains(rustix::fs::OFlags::PATH) {
            return Err(Errno::BADF);
        }
        let by_path = by_path(call.number).ok_or(Errno::NOSYS)?;
        let held = self.object_of(cx, number)?;
        self.judge(cx, call.operation, &held, Act::Change)?;
        call.set(0, 0, path_of(&held));
        call.held[0] = Some(held);
        Ok(Some(by_path))
    }

    /// Without `/proc` there is no path to what is held, and so no change of it beside other threads.
    fn can_be_held(&self, operation: &str) -> Result<(), Errno> {
        if self.has_proc {
            return Ok(());
        }
        let reason = "without /proc in the root, threads cannot change files by descriptor";
        Err(self.guard.refuse(operation, b"", reason, Errno::PERM))
    }

    /// Judges the object of a descriptor of the guest's, which the call looks at; then the call is made on
    /// what was judged.
    fn looked_at<'a>(
        &'a self,
        cx: &Cx<'_>,
        call: &mut Call<'a>,
        at: usize,
        number: i32,
    ) -> Result<(), Errno> {
        if self.reach < Reach::Everything {
            return Ok(());
        }
        let number = cx.process.descriptors().check(number as u64)? as i32;
        if cx.alone() {
            // SAFETY: looked at; a number that is not open gives an error.
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            let stat = rustix::fs::fstat(file)?;
            return self.judge_metadata(cx, call.operation, number, &stat, Act::Look);
        }
        let held = self.object_of(cx, number)?;
        self.judge(cx, call.operation, &held, Act::Look)?;
        call.passed[at] = held.argument();
        call.held[0] = Some(held);
        Ok(())
    }

    /// Judges the object of a descriptor that a call of a path gets without a path: utimensat(2) as
    /// futimens(3) makes it, statx(2). The call is made on what was judged.
    fn without_path<'a>(
        &'a self,
        cx: &Cx<'_>,
        call: &mut Call<'a>,
        (at, nth): (usize, usize),
        number: i32,
        act: Act,
    ) -> Result<(), Errno> {
        let number = cx.process.descriptors().check(number as u64)? as i32;
        // SAFETY: looked at; a number that is not open gives an error.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        if cx.alone() || act == Act::Look && self.reach < Reach::Everything {
            let stat = rustix::fs::fstat(file)?;
            return self.judge_metadata(cx, call.operation, number, &stat, act);
        }
        self.can_be_held(call.operation)?;
        let flags = rustix::fs::fcntl_getfl(file)?;
        let held = self.object_of(cx, number)?;
        self.judge(cx, call.operation, &held, act)?;
        if act == Act::Look {
            call.passed[at - 1] = held.argument();
        } else if flags.contains(rustix::fs::OFlags::PATH) {
            return Err(Errno::BADF);
        } else {
            call.set(at, nth, path_of(&held));
        }
        call.held[nth] = Some(held);
        Ok(())
    }

    /// Judges the path at `at`, and replaces it by what was judged.
    fn argument<'a>(
        &'a self,
        cx: &Cx<'_>,
        call: &mut Call<'a>,
        args: &Args,
        at: usize,
        asked: &Asked,
        nth: usize,
    ) -> Result<(), Errno> {
        let empty = call.flags(b'F') & AT_EMPTY_PATH | call.flags(b'G') & AT_EMPTY_PATH != 0;
        let folder = call.folder(at);
        let string = match (word(args[at]), asked.act) {
            // The descriptor itself: utimensat(2) as futimens(3) makes it, statx(2).
            (0, act) if call.letters.contains(&b'F') => {
                return match folder {
                    AT_FDCWD => Ok(()),
                    number => self.without_path(cx, call, (at, nth), number, act),
                };
            }
            (pointer, _) => cx.memory().path(pointer)?,
        };
        if string.is_empty() {
            if empty && (nth == 0) {
                let held = self.object_of(cx, folder)?;
                self.judge(cx, call.operation, &held, asked.act)?;
                call.passed[at - 1] = held.argument();
                call.held[nth] = Some(held);
            }
            call.set(at, nth, CString::default());
            return Ok(());
        }
        let follow = match asked.follow {
            true => {
                call.flags(b'F') & AT_SYMLINK_NOFOLLOW == 0
                    && call.flags(b'W') & IN_DONT_FOLLOW_ == 0
            }
            false => call.letters[at] == b'k' && call.flags(b'G') & AT_SYMLINK_FOLLOW != 0,
        };
        match (follow, split(&string)) {
            // The root: no link leads there.
            (false, None) => call.set(at, nth, CString::new(string).map_err(|_| Errno::INVAL)?),
            (false, Some((above, name))) => {
                self.name(cx, call, (at, nth), folder, (above, name), asked)?;
            }
            (true, _) => self.followed(cx, call, (at, nth), folder, &string, asked)?,
        }
        Ok(())
    }

    /// A path whose last component is not followed: by the folder that holds it.
    fn name<'a>(
        &'a self,
        cx: &Cx<'_>,
        call: &mut Call<'a>,
        (at, nth): (usize, usize),
        folder: i32,
        (above, name): (&[u8], &[u8]),
        asked: &Asked,
    ) -> Result<(), Errno> {
        let changes_name = matches!(asked.act, Act::Name | Act::Move);
        // A slash at its end makes a path lead through a link, where that is no name.
        if !changes_name && (name.ends_with(b"/") || is_dots(name)) {
            let whole = [if above == b"." { b"" } else { above }, name].concat();
            let held = self.object(cx, folder, &whole, true)?;
            self.judge(cx, call.operation, &held, asked.act)?;
            if self.has_proc {
                call.set(at, nth, path_in(&held, b".")?);
                call.held[nth] = Some(held);
            } else {
                call.set(at, nth, CString::new(whole).map_err(|_| Errno::INVAL)?);
            }
            return Ok(());
        }
        let is_link = call.letters[at] == b'k';
        if asked.act == Act::Change && !is_link && self.has_proc {
            return self.changed_in_place(cx, call, (at, nth), folder, (above, name));
        }
        // Names of the host kernel's own file systems are judged, where there are any.
        let is_free = asked.act == Act::Look || !self.objects.has_host_folders();
        let plain =
            self.reach == Reach::Programs && self.is_plain(cx.alone(), path::trim_end(name));
        if plain && is_free {
            let whole = [if above == b"." { b"" } else { above }, name].concat();
            call.set(at, nth, CString::new(whole).map_err(|_| Errno::INVAL)?);
            return Ok(());
        }
        let held = self.object(cx, folder, above, true)?;
        self.judge_name(cx, call.operation, &held, name, asked.act)?;
        if self.has_proc {
            call.set(at, nth, path_in(&held, name)?);
        } else {
            let whole = [if above == b"." { b"" } else { above }, name].concat();
            call.set(at, nth, CString::new(whole).map_err(|_| Errno::INVAL)?);
        }
        call.held[nth] = Some(held);
        Ok(())
    }

    /// A path whose last component is not followed, to something that the call changes: by the object
    /// itself, which is held, so that the call is one that follows.
    fn changed_in_place<'a>(
        &'a self,
        cx: &Cx<'_>,
        call: &mut Call<'a>,
        (at, nth): (usize, usize),
        folder: i32,
        (above, name): (&[u8], &[u8]),
    ) -> Result<(), Errno> {
        let whole = [if above == b"." { b"" } else { above }, name].concat();
        let held = self.object(cx, folder, &whole, false)?;
        self.judge(cx, call.operation, &held, Act::Change)?;
        call.number = following(call.number);
        if let Some(flags) = call.letters.iter().position(|l| *l == b'F') {
            call.passed[flags] &= !(AT_SYMLINK_NOFOLLOW as u64);
        }
        call.set(at, nth, path_of(&held));
        call.held[nth] = Some(held);
        Ok(())
    }

    /// A path whose last component is followed: by the object that it leads to.
    fn followed<'a>(
        &'a self,
        cx: &Cx<'_>,
        call: &mut Call<'a>,
        (at, nth): (usize, usize),
        folder: i32,
        string: &[u8],
        asked: &Asked,
    ) -> Result<(), Errno> {
        if !self.has_proc {
            // It cannot be held and then named; what it is now decides.
            let start = match folder {
                AT_FDCWD => CWD,
                number if number < 0 => return Err(Errno::BADF),
                // SAFETY: looked at only; a number that is not open gives an error.
                number => unsafe { std::os::fd::BorrowedFd::borrow_raw(number) },
            };
            let stat = statat(start, string, AtFlags::empty())?;
            self.judge_metadata(cx, call.operation, -1, &stat, asked.act)?;
            call.set(at, nth, CString::new(string).map_err(|_| Errno::INVAL)?);
            return Ok(());
        }
        let held = self.object(cx, folder, string, true)?;
        self.judge(cx, call.operation, &held, asked.act)?;
        call.set(at, nth, path_of(&held));
        call.held[nth] = Some(held);
        Ok(())
    }
}

/// IN_DONT_FOLLOW of inotify(7), as flags are signed here.
const IN_DONT_FOLLOW_: i32 = IN_DONT_FOLLOW as i32;
