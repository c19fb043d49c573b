//! Descriptors that whoever started this process had open: closed before anything else, but the
//! standard streams and those that the operator names. A folder of the host that stays open is a
//! way around the root, whatever else confines the process.
#![allow(unsafe_code)]

use std::{collections::BTreeSet, fs, io, os::fd::RawFd};

use rustix::process::{Resource, getrlimit};

use crate::{Doing, Error, check};

/// Closes every descriptor from 3 on that is not one of `kept`.
///
/// Call it before this process opens anything: what it has open itself would be closed too.
pub fn close_inherited(kept: &BTreeSet<RawFd>) -> Result<(), Error> {
    each_gap(kept, |first, last| close_range(first, last, 0))
}

/// Marks the same to be closed when another program is executed.
pub fn close_at_exec(kept: &BTreeSet<RawFd>) -> Result<(), Error> {
    each_gap(kept, |first, last| {
        close_range(first, last, libc::CLOSE_RANGE_CLOEXEC)
    })
}

/// Has these stay open when another program is executed; EBADF for one that is not open.
pub fn keep_at_exec(kept: &BTreeSet<RawFd>) -> Result<(), Error> {
    for number in kept {
        // SAFETY: fcntl with F_SETFD takes numbers only.
        check(unsafe { libc::fcntl(*number, libc::F_SETFD, 0) }.into())
            .map(drop)
            .doing(|| format!("keeping descriptor {number}"))?;
    }
    Ok(())
}

fn each_gap(kept: &BTreeSet<RawFd>, act: impl Fn(u32, u32) -> io::Result<()>) -> Result<(), Error> {
    gaps(kept)
        .into_iter()
        .try_for_each(|(first, last)| act(first, last))
        .doing(|| "closing the descriptors that this process was started with".into())
}

/// The ranges of numbers from 3 on without `kept`; both ends belong to them.
fn gaps(kept: &BTreeSet<RawFd>) -> Vec<(u32, u32)> {
    let mut gaps = Vec::new();
    let mut next = 3;
    for kept in kept.iter().filter_map(|fd| u32::try_from(*fd).ok()) {
        if kept < next {
            continue;
        }
        if kept > next {
            gaps.push((next, kept - 1));
        }
        next = kept.saturating_add(1);
    }
    gaps.push((next, u32::MAX));
    gaps
}

fn close_range(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: takes numbers only. By the callers' contract no value of this process owns one of them,
    // or they stay open until another program is executed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    match check(result) {
        // Linux before 5.9, or an engine's filter that does not know the call.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            one_by_one(first, last, flags)
        }
        result => result.map(drop),
    }
}

fn one_by_one(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    let numbers: Vec<u32> = match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect(),
        // A limit that was lowered after a number was given out leaves that number open, so the hard
        // one, which this process cannot have been above.
        Err(_) => match getrlimit(Resource::Nofile).maximum {
            Some(most) => (3..u32::try_from(most).unwrap_or(1 << 20)).collect(),
            None => return Err(io::Error::other("neither close_range nor /proc is there")),
        },
    };
    for number in numbers.into_iter().filter(|n| (first..=last).contains(n)) {
        // SAFETY: as for `close_range`. Numbers that are not open give EBADF, which is what is wanted.
        unsafe {
            match flags {
                0 => libc::close(number as RawFd),
                _ => libc::fcntl(number as RawFd, libc::F_SETFD, libc::FD_CLOEXEC),
            };
        }
    }
    Ok(())
}

/// Closes one descriptor that this process was started with; it is not used again.
pub fn close(number: RawFd) {
    // SAFETY: takes a number; by the callers' contract no value of this process owns it.
    unsafe { libc::close(number) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_gaps(kept: &[RawFd], expected: &[(u32, u32)]) {
        assert_eq!(gaps(&kept.iter().copied().collect()), expected, "{kept:?}");
    }

    #[test]
    fn ranges_between_what_is_kept() {
        check_gaps(&[], &[(3, u32::MAX)]);
        check_gaps(&[3], &[(4, u32::MAX)]);
        check_gaps(&[5], &[(3, 4), (6, u32::MAX)]);
        check_gaps(&[0, 2, 4, 5, 1000], &[(3, 3), (6, 999), (1001, u32::MAX)]);
        check_gaps(&[-1, 2], &[(3, u32::MAX)]);
        let last = i32::MAX as u32;
        check_gaps(&[i32::MAX], &[(3, last - 1), (last + 1, u32::MAX)]);
    }
}
