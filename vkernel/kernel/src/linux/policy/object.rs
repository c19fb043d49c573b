//! Objects and names: found by the host kernel, and held.
#![allow(unsafe_code)]

use std::ffi::CString;

use rustix::{
    fs::{CWD, readlinkat},
    io::Errno,
};

use super::{
    super::syscall::{self, Arg},
    held::{Held, Private},
};
use crate::fs::path;

/// Where descriptors of the calling thread are links. Not `self`: the first thread may have ended,
/// and then has none.
pub(crate) const DESCRIPTORS: &str = "/proc/thread-self/fd";

/// Opens an object as an `O_PATH` descriptor.
pub(crate) fn open<'a>(
    private: &'a Private,
    alone: bool,
    at: i32,
    path: &[u8],
    follow: bool,
) -> Result<Held<'a>, Errno> {
    let nofollow = if follow { 0 } else { libc::O_NOFOLLOW };
    let flags = libc::O_PATH | libc::O_CLOEXEC | nofollow;
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    let args = [at.into(), path.as_c_str().into(), flags.into()];
    private.hold(alone, || {
        // SAFETY: the host reads a path.
        syscall::descriptor(unsafe { syscall::call(libc::SYS_openat, args) }?)
    })
}

/// The real path of an open object. Not every object has one: a pipe's does not begin with `/`.
pub(crate) fn real_path(number: i32) -> Result<Vec<u8>, Errno> {
    let link = format!("{DESCRIPTORS}/{number}");
    let path = readlinkat(CWD, link, Vec::with_capacity(256))?;
    Ok(path.into_bytes())
}

/// A path that leads to the object itself, for calls that follow a last link.
pub(crate) fn path_of(held: &Held<'_>) -> CString {
    CString::new(format!("{DESCRIPTORS}/{}", held.number())).unwrap_or_default()
}

/// Opens for reading what is held, for the guest, with its flags of open(2) that are about the descriptor.
pub(crate) fn open_again(held: &Held<'_>, flags: u64) -> Result<i64, Errno> {
    let kept = flags & (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    let path = path_of(held);
    let args = [libc::AT_FDCWD.into(), path.as_c_str().into(), kept.into()];
    // SAFETY: the host reads a path.
    unsafe { syscall::call(libc::SYS_openat, args) }
}

/// A path that leads to a name in an open folder.
pub(crate) fn path_in(folder: &Held<'_>, name: &[u8]) -> Result<CString, Errno> {
    let mut path = format!("{DESCRIPTORS}/{}/", folder.number()).into_bytes();
    path.extend_from_slice(name);
    CString::new(path).map_err(|_| Errno::INVAL)
}

/// Splits a path into the folder, `.` if none is named, and the last component with its trailing
/// slashes. `None` for a path of slashes only.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let trimmed = path::trim_end(path);
    if trimmed.is_empty() {
        return None;
    }
    Some(match trimmed.iter().rposition(|b| *b == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (b".", path),
    })
}

/// Whether a last component names a folder by its place, not by a name in another folder.
pub(crate) fn is_dots(name: &[u8]) -> bool {
    matches!(path::trim_end(name), b"." | b"..")
}

/// As [`open`], as openat2(2) with `resolve` finds it; by a number that is none of the guest's.
pub(crate) fn open_within<'a>(
    private: &'a Private,
    at: i32,
    path: &[u8],
    flags: i32,
    resolve: u64,
) -> Result<Held<'a>, Errno> {
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    // `struct open_how`: flags, mode, resolve.
    let how = [i64::from(flags).cast_unsigned(), 0, resolve];
    let size = size_of_val(&how).into();
    let args = [at.into(), path.as_c_str().into(), Arg::input(&how), size];
    private.hold(false, || {
        // SAFETY: the host reads a path and a structure of this size.
        syscall::descriptor(unsafe { syscall::call(libc::SYS_openat2, args) }?)
    })
}
