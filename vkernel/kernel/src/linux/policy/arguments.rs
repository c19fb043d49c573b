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
use vkernel_abi::wali::{Param, PathUse, Syscall};

use super::{
    super::{
        answer::{Args, word},
        syscall::{Arg, HostArgs},
    },
    caller::Caller,
    held::Held,
    judge::Act,
    object::{is_dots, path_in, path_of, split},
    objects::is_device,
    paths::{Paths, Reach},
};
use crate::fs::path;

/// What is asked about a path.
struct Asked {
    act: Act,
    follow: bool,
}

fn asked(param: Param) -> Option<Asked> {
    let Param::Path(of) = param else {
        return None;
    };
    let (act, follow) = match of {
        PathUse::Look => (Act::Look, true),
        PathUse::LookAtLink => (Act::Look, false),
        PathUse::Change => (Act::Change, true),
        PathUse::ChangeLink | PathUse::Link => (Act::Change, false),
        PathUse::Name => (Act::Name, false),
        PathUse::Rename => (Act::Move, false),
        // A function of the vkernel's judges it.
        PathUse::Open => return None,
    };
    Some(Asked { act, follow })
}

/// A host call in the making, with what its arguments lead to.
pub(crate) struct Call<'a> {
    /// Its number.
    pub(crate) number: i64,
    operation: &'static str,
    params: &'static [Param],
    args: [Argument<'a>; 6],
}

/// What the host is given for one argument.
enum Argument<'a> {
    /// What the guest gave, translated.
    Given(Arg<'static>),
    /// What was judged, in the place of a descriptor.
    Object(Held<'a>),
    /// A path of the vkernel's, and what it begins at.
    Path {
        path: CString,
        _held: Option<Held<'a>>,
    },
}

/// Judges the arguments of a call: the host call that is to be made for it. `args` are the guest's
/// arguments, `host` what they are for the host.
pub(crate) fn judged<'a>(
    paths: &'a Paths,
    caller: &Caller<'_>,
    of: &'static Syscall,
    args: &Args,
    host: &HostArgs<'static>,
) -> Result<Call<'a>, Errno> {
    let mut call = Call {
        number: of.number.into(),
        operation: of.name,
        params: of.params,
        args: host.map(Argument::Given),
    };
    judge_node(caller, &call, args)?;
    for (at, param) in of.params.iter().enumerate() {
        match param {
            Param::FdChange => paths.changed(caller, &mut call, at, args[at] as i32)?,
            Param::FdLook => paths.looked_at(caller, &mut call, at, args[at] as i32)?,
            param => {
                if let Some(asked) = asked(*param) {
                    paths.argument(caller, &mut call, args, at, &asked)?;
                }
            }
        }
    }
    Ok(call)
}

/// The call that may be made instead of one, on what was judged.
pub(crate) fn instead(number: i64) -> Option<i64> {
    by_path(number).or_else(|| match following(number) {
        same if same == number => None,
        other => Some(other),
    })
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
fn judge_node(caller: &Caller<'_>, call: &Call<'_>, args: &Args) -> Result<(), Errno> {
    let (mode, device) = match call.number {
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
    caller
        .audit
        .refuse(call.operation, what.as_bytes(), reason, "EPERM");
    Err(Errno::PERM)
}

impl<'a> Call<'a> {
    /// Its arguments.
    pub(crate) fn args(&self) -> HostArgs<'_> {
        self.args.each_ref().map(|argument| match argument {
            Argument::Given(arg) => *arg,
            Argument::Object(held) => held.arg(),
            Argument::Path { path, .. } => path.as_c_str().into(),
        })
    }

    /// An argument that the guest gave, as an `int`.
    fn given(&self, at: usize) -> i32 {
        match &self.args[at] {
            Argument::Given(arg) => arg.int(),
            Argument::Object(held) => held.number(),
            Argument::Path { .. } => 0,
        }
    }

    /// The folder that the path at `at` is relative to.
    fn folder(&self, at: usize) -> i32 {
        match at.checked_sub(1).map(|before| self.params[before]) {
            Some(Param::Folder) => self.given(at - 1),
            _ => AT_FDCWD,
        }
    }

    /// The flags of a kind that concern paths, 0 if the call has none.
    fn flags(&self, kind: Param) -> i32 {
        let at = self.params.iter().position(|param| *param == kind);
        at.map_or(0, |at| self.given(at))
    }

    /// Whether no path comes before the one at `at`.
    fn is_first_path(&self, at: usize) -> bool {
        let before = self.params.iter().take(at);
        before.copied().filter_map(asked).next().is_none()
    }

    /// Puts a path of ours in an argument's place, with what it begins at.
    fn set(&mut self, at: usize, path: CString, held: Option<Held<'a>>) {
        self.args[at] = Argument::Path { path, _held: held };
    }
}

impl Paths {
    /// Judges the object of a descriptor of the guest's, which the call
    /// changes. In a process with threads, another one could put another object there meanwhile: so the
    /// object is held as a place, and the call by path that does the same is made on what is held.
    fn changed<'a>(
        &'a self,
        caller: &Caller<'_>,
        call: &mut Call<'a>,
        at: usize,
        number: i32,
    ) -> Result<(), Errno> {
        let number = caller.descriptors.number(number as u64)?;
        // SAFETY: looked at; a number that is not open gives an error.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        if caller.alone() {
            let stat = rustix::fs::fstat(file)?;
            return self.judge_metadata(caller, call.operation, number, &stat, Act::Change);
        }
        self.can_be_held(call.operation)?;
        // A place is no file that is open (open(2), O_PATH).
        if rustix::fs::fcntl_getfl(file)?.contains(rustix::fs::OFlags::PATH) {
            return Err(Errno::BADF);
        }
        let by_path = by_path(call.number).ok_or(Errno::NOSYS)?;
        let held = self.object_of(caller, number)?;
        self.judge(caller, call.operation, &held, Act::Change)?;
        call.number = by_path;
        call.set(at, path_of(&held), Some(held));
        Ok(())
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
        caller: &Caller<'_>,
        call: &mut Call<'a>,
        at: usize,
        number: i32,
    ) -> Result<(), Errno> {
        if self.reach < Reach::Everything {
            return Ok(());
        }
        let number = caller.descriptors.number(number as u64)?;
        if caller.alone() {
            // SAFETY: looked at; a number that is not open gives an error.
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            let stat = rustix::fs::fstat(file)?;
            return self.judge_metadata(caller, call.operation, number, &stat, Act::Look);
        }
        let held = self.object_of(caller, number)?;
        self.judge(caller, call.operation, &held, Act::Look)?;
        call.args[at] = Argument::Object(held);
        Ok(())
    }

    /// Judges the object of a descriptor that a call of a path gets without a path: utimensat(2) as
    /// futimens(3) makes it, statx(2). The call is made on what was judged.
    fn without_path<'a>(
        &'a self,
        caller: &Caller<'_>,
        call: &mut Call<'a>,
        at: usize,
        number: i32,
        act: Act,
    ) -> Result<(), Errno> {
        let number = caller.descriptors.number(number as u64)?;
        // SAFETY: looked at; a number that is not open gives an error.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        if caller.alone() || act == Act::Look && self.reach < Reach::Everything {
            let stat = rustix::fs::fstat(file)?;
            return self.judge_metadata(caller, call.operation, number, &stat, act);
        }
        self.can_be_held(call.operation)?;
        let flags = rustix::fs::fcntl_getfl(file)?;
        let held = self.object_of(caller, number)?;
        self.judge(caller, call.operation, &held, act)?;
        if act == Act::Look {
            call.args[at - 1] = Argument::Object(held);
        } else if flags.contains(rustix::fs::OFlags::PATH) {
            return Err(Errno::BADF);
        } else {
            call.set(at, path_of(&held), Some(held));
        }
        Ok(())
    }

    /// Judges the path at `at`, and replaces it by what was judged.
    fn argument<'a>(
        &'a self,
        caller: &Caller<'_>,
        call: &mut Call<'a>,
        args: &Args,
        at: usize,
        asked: &Asked,
    ) -> Result<(), Errno> {
        let empty = call.flags(Param::AtFlags) & AT_EMPTY_PATH
            | call.flags(Param::LinkFlags) & AT_EMPTY_PATH
            != 0;
        let folder = call.folder(at);
        let string = match (word(args[at]), asked.act) {
            // The descriptor itself: utimensat(2) as futimens(3) makes it, statx(2).
            (0, act) if call.params.contains(&Param::AtFlags) => {
                return match folder {
                    AT_FDCWD => Ok(()),
                    number => self.without_path(caller, call, at, number, act),
                };
            }
            (pointer, _) => caller.memory().path(pointer)?,
        };
        if string.is_empty() {
            if empty && call.is_first_path(at) {
                let held = self.object_of(caller, folder)?;
                self.judge(caller, call.operation, &held, asked.act)?;
                call.args[at - 1] = Argument::Object(held);
            }
            call.set(at, CString::default(), None);
            return Ok(());
        }
        let follow = match asked.follow {
            true => {
                call.flags(Param::AtFlags) & AT_SYMLINK_NOFOLLOW == 0
                    && call.flags(Param::WatchFlags) & IN_DONT_FOLLOW_ == 0
            }
            false => {
                call.params[at] == Param::Path(PathUse::Link)
                    && call.flags(Param::LinkFlags) & AT_SYMLINK_FOLLOW != 0
            }
        };
        match (follow, split(&string)) {
            // The root: no link leads there.
            (false, None) => call.set(at, CString::new(string).map_err(|_| Errno::INVAL)?, None),
            (false, Some((above, name))) => {
                self.name(caller, call, at, folder, (above, name), asked)?;
            }
            (true, _) => self.followed(caller, call, at, folder, &string, asked)?,
        }
        Ok(())
    }

    /// A path whose last component is not followed: by the folder that holds it.
    fn name<'a>(
        &'a self,
        caller: &Caller<'_>,
        call: &mut Call<'a>,
        at: usize,
        folder: i32,
        (above, name): (&[u8], &[u8]),
        asked: &Asked,
    ) -> Result<(), Errno> {
        let changes_name = matches!(asked.act, Act::Name | Act::Move);
        // A slash at its end makes a path lead through a link, where that is no name.
        if !changes_name && (name.ends_with(b"/") || is_dots(name)) {
            let whole = [if above == b"." { b"" } else { above }, name].concat();
            let held = self.object(caller, folder, &whole, true)?;
            self.judge(caller, call.operation, &held, asked.act)?;
            if self.has_proc {
                call.set(at, path_in(&held, b".")?, Some(held));
            } else {
                call.set(at, CString::new(whole).map_err(|_| Errno::INVAL)?, None);
            }
            return Ok(());
        }
        let is_link = call.params[at] == Param::Path(PathUse::Link);
        if asked.act == Act::Change && !is_link && self.has_proc {
            return self.changed_in_place(caller, call, at, folder, (above, name));
        }
        // Names of the host kernel's own file systems are judged, where there are any.
        let is_free = asked.act == Act::Look || !self.objects.has_host_folders();
        let plain =
            self.reach == Reach::Programs && self.is_plain(caller.alone(), path::trim_end(name));
        if plain && is_free {
            let whole = [if above == b"." { b"" } else { above }, name].concat();
            call.set(at, CString::new(whole).map_err(|_| Errno::INVAL)?, None);
            return Ok(());
        }
        let held = self.object(caller, folder, above, true)?;
        self.judge_name(caller, call.operation, &held, name, asked.act)?;
        if self.has_proc {
            call.set(at, path_in(&held, name)?, Some(held));
        } else {
            let whole = [if above == b"." { b"" } else { above }, name].concat();
            call.set(
                at,
                CString::new(whole).map_err(|_| Errno::INVAL)?,
                Some(held),
            );
        }
        Ok(())
    }

    /// A path whose last component is not followed, to something that the call changes: by the object
    /// itself, which is held, so that the call is one that follows.
    fn changed_in_place<'a>(
        &'a self,
        caller: &Caller<'_>,
        call: &mut Call<'a>,
        at: usize,
        folder: i32,
        (above, name): (&[u8], &[u8]),
    ) -> Result<(), Errno> {
        let whole = [if above == b"." { b"" } else { above }, name].concat();
        let held = self.object(caller, folder, &whole, false)?;
        self.judge(caller, call.operation, &held, Act::Change)?;
        call.number = following(call.number);
        if let Some(flags) = call
            .params
            .iter()
            .position(|param| *param == Param::AtFlags)
        {
            let follows = call.given(flags) & !AT_SYMLINK_NOFOLLOW;
            call.args[flags] = Argument::Given(follows.into());
        }
        call.set(at, path_of(&held), Some(held));
        Ok(())
    }

    /// A path whose last component is followed: by the object that it leads to.
    fn followed<'a>(
        &'a self,
        caller: &Caller<'_>,
        call: &mut Call<'a>,
        at: usize,
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
            self.judge_metadata(caller, call.operation, -1, &stat, asked.act)?;
            call.set(at, CString::new(string).map_err(|_| Errno::INVAL)?, None);
            return Ok(());
        }
        let held = self.object(caller, folder, string, true)?;
        self.judge(caller, call.operation, &held, asked.act)?;
        call.set(at, path_of(&held), Some(held));
        Ok(())
    }
}

/// IN_DONT_FOLLOW of inotify(7), as flags are signed here.
const IN_DONT_FOLLOW_: i32 = IN_DONT_FOLLOW as i32;

#[cfg(test)]
mod tests {
    use vkernel_abi::wali::{By, Judged, SYSCALLS};

    /// The guest that tries every call on what a policy guards.
    const POLICY_CASES: &str = include_str!("../../../../../tests/e2e/guests/linux/policy.c");

    #[test]
    fn every_call_that_is_judged_has_its_policy_case() {
        for call in SYSCALLS {
            let is_answered = matches!(call.by, By::Host | By::Vkernel);
            if call.judged() == Judged::Nothing || !is_answered {
                continue;
            }
            // Descriptors are opened first, and then looked at in what the case prints.
            let (by_call, by_name) = (format!("T({},", call.name), format!("TRY({}(", call.name));
            let by_number = format!("SYS_{},", call.name);
            assert!(
                [by_call, by_name, by_number]
                    .iter()
                    .any(|c| POLICY_CASES.contains(c.as_str())),
                "tests/e2e/guests/linux/policy.c does not try {}",
                call.name
            );
        }
    }
}
