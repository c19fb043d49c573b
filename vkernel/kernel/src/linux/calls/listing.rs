//! Listings of folders without what is hidden, and of a process's descriptors without the vkernel's.

use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, word},
    context::Cx,
    policy::{object, paths::Reach},
    syscall::Arg,
};
use crate::fs::path;

/// Offsets in `linux_dirent` and `linux_dirent64` (getdents(2)): the length of the record, which
/// both have at one place, and the name.
const LENGTH: usize = 16;
const NAME: usize = 18;
const NAME_64: usize = 19;

/// Most bytes that are listed at once.
const MOST: usize = 64 << 10;

/// getdents(2) and getdents64(2).
pub(crate) fn list(cx: &Cx<'_>, number: i64, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().number(args[0])?;
    let (buffer, size) = (word(args[1]), word(args[2]) as usize);
    let paths = &cx.process.sandbox.paths;
    let pass = |to: Arg<'_>, size: usize| cx.host(number, [descriptor.into(), to, size.into()]);
    let of_descriptors = lists_descriptors(descriptor);
    if paths.reach < Reach::Everything && !of_descriptors {
        return pass(cx.memory().arg(buffer), size);
    }
    let folder = object::real_path(descriptor)?;
    if paths.reach >= Reach::Everything && paths.hides(&folder) {
        return Err(Errno::NOENT.into());
    }
    let hides_in = paths.reach >= Reach::Everything && paths.hides_in(&folder);
    if !hides_in && !of_descriptors {
        return pass(cx.memory().arg(buffer), size);
    }
    let limit = cx.process.descriptors();
    let own = |name: &[u8]| {
        let number = std::str::from_utf8(name)
            .ok()
            .and_then(|name| name.parse().ok());
        number.is_some_and(|number: u32| limit.check(number.into()).is_err())
    };
    let at = if number == libc::SYS_getdents {
        NAME
    } else {
        NAME_64
    };
    let mut records = vec![0_u8; size.min(MOST)];
    loop {
        let size = records.len();
        let filled = pass(Arg::output(records.as_mut_slice()), size)?;
        let listed = &records[..usize::try_from(filled).unwrap_or(0)];
        let shown = shown(listed, at, |name| {
            of_descriptors && own(name) || hides_in && paths.hides(&path::join(&folder, name))
        });
        // Nothing would mean that the listing has ended.
        if !shown.is_empty() || filled == 0 {
            cx.memory().write(buffer, &shown)?;
            return Ok(shown.len() as i64);
        }
    }
}

/// Whether a folder is `/proc/PID/fd` or its like: each process of the sandbox has the vkernel's own
/// descriptors at the same numbers.
fn lists_descriptors(descriptor: i32) -> bool {
    // SAFETY: looked at; a number that is not open gives an error.
    #[allow(unsafe_code)]
    let folder = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    let of_proc = rustix::fs::fstatfs(folder).is_ok_and(|fs| fs.f_type == libc::PROC_SUPER_MAGIC);
    of_proc
        && object::real_path(descriptor).is_ok_and(|path| {
            let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
            name == b"fd" || name == b"fdinfo"
        })
}

/// The records whose names are not hidden.
fn shown(records: &[u8], name_at: usize, hidden: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut shown = Vec::with_capacity(records.len());
    let mut rest = records;
    while let Some(len) = rest.get(LENGTH..).and_then(|r| r.first_chunk()) {
        let len = usize::from(u16::from_le_bytes(*len));
        let Some((record, after)) = rest.split_at_checked(len).filter(|_| len > name_at) else {
            break;
        };
        let name = &record[name_at..];
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        if !hidden(&name[..end]) {
            shown.extend_from_slice(record);
        }
        rest = after;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Vec<u8> {
        let mut record = vec![0; (NAME_64 + name.len() + 1).next_multiple_of(8)];
        let len = record.len() as u16;
        record[LENGTH..LENGTH + 2].copy_from_slice(&len.to_le_bytes());
        record[NAME_64..NAME_64 + name.len()].copy_from_slice(name.as_bytes());
        record
    }

    #[test]
    fn hidden_names_are_left_out() {
        let all = [record("a"), record("hidden"), record("bcdefghijklm")].concat();
        let got = shown(&all, NAME_64, |name| name == b"hidden");
        assert_eq!(got, [record("a"), record("bcdefghijklm")].concat());
        assert_eq!(shown(&all, NAME_64, |_| true), b"");
        // What no kernel says ends the list.
        assert_eq!(shown(&[0; 40], NAME_64, |_| false), b"");
        assert_eq!(shown(&all[..30], NAME_64, |_| false), record("a"));
    }
}
