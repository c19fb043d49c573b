//! Listings of folders without what is hidden.

use rustix::io::Errno;

use super::{
    super::{
        call::{Answer, Args, Cx, word},
        table::pass_on,
    },
    Reach, object,
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
pub(in super::super) fn list(cx: &Cx<'_>, number: i64, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    let (buffer, size) = (word(args[1]), word(args[2]) as usize);
    let paths = &cx.process.host.paths;
    let pass = |to: u64, size: usize| {
        let host = [descriptor, to, size as u64, 0, 0, 0];
        pass_on(cx, number, false, &host)
    };
    if paths.reach < Reach::Everything {
        return pass(cx.memory().address(buffer), size);
    }
    let folder = object::real_path(descriptor as i32)?;
    if paths.hides(&folder) {
        return Err(Errno::NOENT.into());
    }
    if !paths.hides_in(&folder) {
        return pass(cx.memory().address(buffer), size);
    }
    let at = if number == libc::SYS_getdents {
        NAME
    } else {
        NAME_64
    };
    let mut records = vec![0_u8; size.min(MOST)];
    loop {
        let filled = pass(records.as_mut_ptr() as u64, records.len())?;
        let listed = std::hint::black_box(&records[..usize::try_from(filled).unwrap_or(0)]);
        let shown = shown(listed, at, |name| paths.hides(&path::join(&folder, name)));
        // Nothing would mean that the listing has ended.
        if !shown.is_empty() || filled == 0 {
            cx.memory().write(buffer, &shown)?;
            return Ok(shown.len() as i64);
        }
    }
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
