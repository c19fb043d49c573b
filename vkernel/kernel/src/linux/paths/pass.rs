//! Calls that the host answers, their paths judged first and replaced by what was judged.

use std::ffi::CString;

use libc::*;
use rustix::{
    fs::{AtFlags, CWD, statat},
    io::Errno,
};

use super::{
    super::{
        call::{Answer, Args, Cx, word},
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
    let mut passed = [0; 6];
    translate(cx, kinds, args, &mut passed)?;
    let mut call = Call {
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
            b'g' => paths.descriptor(cx, &call, args[at] as i32, Act::Change)?,
            b'h' => paths.descriptor(cx, &call, args[at] as i32, Act::Look)?,
            letter => {
                if let Some(asked) = asked(letter) {
                    paths.argument(cx, &mut call, args, at, &asked, nth)?;
                    nth += 1;
                }
            }
        }
    }
    let answer = pass_on(cx, row.number, row.waits, &call.passed);
    // The host kernel has read them.
    drop(call);
    answer
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
    /// Judges a descriptor of the guest's.
    fn descriptor(&self, cx: &Cx<'_>, call: &Call<'_>, number: i32, act: Act) -> Result<(), Errno> {
        if act == Act::Look && self.reach < Reach::Everything {
            return Ok(());
        }
        // Looked at where it is: it was judged when it was opened, so that this is only about
        // changes of what was opened for reading, and about descriptors on their way.
        let number = cx.process.descriptors().check(number as u64)? as i32;
        // SAFETY: looked at; a number that is not open gives an error.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        let stat = rustix::fs::fstat(file)?;
        self.judge_object(cx, call.operation, number, &stat, act)
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
                    number => self.descriptor(cx, call, number, act),
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
        if self.reach == Reach::Programs && self.is_plain(cx.alone(), path::trim_end(name)) {
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
            self.judge_object(cx, call.operation, -1, &stat, asked.act)?;
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
