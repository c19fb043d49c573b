//! Calls on paths: `path_*`. Decoding only; see [`crate::fs`] for what they do.
//!
//! Paths are strings of UTF-8, as wasmtime has it: anything else is ILSEQ.

use rustix::fs::OFlags;
use wiggle::{GuestMemory, GuestPtr};

use super::{
    errno::Result,
    fd::status_flags,
    types::{Errno, Fdflags, Lookupflags, Oflags, Rights},
};
use crate::fs::{Files, open::How, path::PATH_MAX, resolve::Last};

/// A guest's path.
pub(super) fn path(memory: &GuestMemory<'_>, path: GuestPtr<str>) -> Result<Vec<u8>> {
    // Longer ones are refused anyway: spare the copy, but look at the bounds.
    if path.len() as usize > PATH_MAX {
        let last = GuestPtr::<u8>::new(path.offset_base()).add(path.len() - 1)?;
        memory.read(last)?;
        return Err(Errno::Nametoolong.into());
    }
    Ok(memory.as_cow_str(path)?.into_owned().into_bytes())
}

pub(super) fn last(flags: Lookupflags) -> Last {
    match flags.contains(Lookupflags::SYMLINK_FOLLOW) {
        true => Last::Follow,
        false => Last::NoFollow,
    }
}

/// What the many flags of `path_open` mean. Rights only choose between reading and writing;
/// creating and truncating imply writing, and what is not written is read (as wasmtime).
pub(super) fn how(lookup: Lookupflags, oflags: Oflags, rights: Rights, fdflags: Fdflags) -> How {
    let create = oflags.contains(Oflags::CREAT);
    let truncate = oflags.contains(Oflags::TRUNC);
    let asks_write = rights.contains(Rights::FD_WRITE);
    How {
        follow: lookup.contains(Lookupflags::SYMLINK_FOLLOW),
        create,
        exclusive: oflags.contains(Oflags::EXCL),
        directory: oflags.contains(Oflags::DIRECTORY),
        truncate,
        read: rights.contains(Rights::FD_READ) || !asks_write,
        write: asks_write || create || truncate,
        status: status_flags(fdflags) & !OFlags::RWMODE,
    }
}

pub(super) fn readlink(
    files: &Files,
    memory: &mut GuestMemory<'_>,
    dir: u32,
    path: &[u8],
    buffer: GuestPtr<[u8]>,
) -> Result<u32> {
    let target = files.readlink(dir, path)?;
    let len = u32::try_from(target.len()).map_or(buffer.len(), |len| len.min(buffer.len()));
    let part = target.get(..len as usize).unwrap_or_default();
    memory.copy_from_slice(part, buffer.as_ptr().as_array(len))?;
    Ok(len)
}
