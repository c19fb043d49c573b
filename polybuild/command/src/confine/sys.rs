//! System calls that have no safe form in the libraries at hand, each wrapped so that callers need
//! no `unsafe`.
#![allow(unsafe_code)]

use std::{collections::BTreeSet, io, path::Path, sync::OnceLock};

use rustix::{
    fs::{CWD, OFlags},
    process::{DumpableBehavior, Pid, set_dumpable_behavior},
};

static INHERITED: OnceLock<BTreeSet<i32>> = OnceLock::new();

/// The descriptors beyond the standard three that this process was started with. One more may be among
/// them: that of the folder in which they were found, which is closed.
pub fn inherited() -> &'static BTreeSet<i32> {
    INHERITED.get_or_init(BTreeSet::new)
}

/// Closes on `execve` all descriptors that whoever started this process left open beyond the
/// standard three: no client, no build step, no program inherits them from us.
///
/// Called before this process opens anything; which there were is what [`inherited`] says.
pub fn keep_descriptors() {
    let numbers = std::fs::read_dir("/proc/self/fd").map(|entries| {
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter(|number| *number > 2).collect()
    });
    let _ = INHERITED.set(numbers.unwrap_or_default());
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: it changes a flag of descriptors and closes none. Before Linux 5.11 it fails, and
    // nothing changes: confined jobs close everything themselves.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, flags) };
}

/// Keeps other processes of the same user from reading the memory of this one, which is going to
/// hold a secret key (PR_SET_DUMPABLE: no ptrace, no /proc/PID/mem, no core file).
pub fn hide_memory() {
    // It cannot fail with this argument (prctl(2)).
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Closes all descriptors of the helper but the standard three and `kept`, which is above them.
pub(super) fn close_others(kept: i32) -> io::Result<()> {
    let close = |first: i32, last: libc::c_uint| match u32::try_from(first) {
        Ok(first) if first <= last => {
            // SAFETY: the helper owns no object whose descriptor lies in these ranges: it has just
            // begun and holds nothing but `kept`.
            match unsafe { libc::close_range(first, last, 0) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
        _ => Ok(()),
    };
    close(3, libc::c_uint::try_from(kept - 1).unwrap_or(0))?;
    close(kept + 1, libc::c_uint::MAX)
}

/// `fork`: `None` in the child. Only for the helper, which has one thread.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the helper has started no thread, so that the child is a whole copy in which no lock
    // is held by somebody who is not there.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        n => match Pid::from_raw(n) {
            Some(pid) if n > 0 => Ok(Some(pid)),
            _ => Err(io::Error::last_os_error()),
        },
    }
}

/// Adds attributes to the mount at `path`, and if `all` to those below it (mount_setattr(2)):
/// unlike a remount, it never takes one away.
pub(super) fn restrict_mount(path: &Path, attributes: u64, all: bool) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let mount = rustix::fs::openat(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        rustix::fs::Mode::empty(),
    )?;
    let attr = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if all { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty string, the structure is whole and its size is given; both
    // outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
