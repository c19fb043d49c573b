//! Looking at one file that is to be executed.

use std::{fs::File, io::Read};

use megabinary_format::Digest;

use super::{ExecError, Files, script};

/// Largest file, in bytes, whose digest is looked up. Stubs are smaller than a page; the room is
/// for scripts and for native programs that an image routes to a replacement. A larger file has
/// no route; it may still be a script, for which its first bytes are enough.
pub const MAX_HASHED: u64 = 64 << 20;

/// What was found at a path.
pub(super) struct Found {
    /// Digest of the contents; `None` if there are more than [`MAX_HASHED`] bytes.
    pub(super) digest: Option<Digest>,
    /// The first bytes: the whole file if it is no longer than a script's line may be.
    pub(super) head: Vec<u8>,
    /// Size in bytes.
    pub(super) size: u64,
}

/// Opens the file at `path`, an absolute guest path, checks it as `execve(2)` does, and reads it.
pub(super) fn examine(files: &impl Files, path: &[u8]) -> Result<Found, ExecError> {
    let (file, size) = open(files, path)?;
    let failed = |source| ExecError::Read {
        path: path.to_vec(),
        source,
    };
    let mut bytes = Vec::new();
    if size > MAX_HASHED {
        file.take(script::MAX_LINE as u64)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        return Ok(Found {
            digest: None,
            head: bytes,
            size,
        });
    }
    // The file may grow while it is read: one byte more than allowed tells.
    file.take(MAX_HASHED + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let size = bytes.len() as u64;
    let digest = (size <= MAX_HASHED).then(|| Digest::of(&bytes));
    bytes.truncate(script::MAX_LINE);
    Ok(Found {
        digest,
        head: bytes,
        size,
    })
}

/// Whether a file that may be executed is at `path`.
pub(super) fn probe(files: &impl Files, path: &[u8]) -> Result<(), ExecError> {
    open(files, path).map(|_| ())
}

fn open(files: &impl Files, path: &[u8]) -> Result<(File, u64), ExecError> {
    let file: File = match files.open(path) {
        Ok(fd) => fd.into(),
        Err(source) => {
            return Err(ExecError::Open {
                path: path.to_vec(),
                source,
            });
        }
    };
    let stat = rustix::fs::fstat(&file).map_err(|e| ExecError::Read {
        path: path.to_vec(),
        source: e.into(),
    })?;
    let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
    if kind != rustix::fs::FileType::RegularFile {
        return Err(ExecError::NotRegular {
            path: path.to_vec(),
            kind: match kind {
                rustix::fs::FileType::Directory => "a directory",
                rustix::fs::FileType::Fifo => "a named pipe",
                rustix::fs::FileType::Socket => "a socket",
                rustix::fs::FileType::CharacterDevice => "a character device",
                rustix::fs::FileType::BlockDevice => "a block device",
                _ => "no regular file",
            },
        });
    }
    // Any of the three bits will do: here they tell programs from data. Who may read a script may
    // hand it to its interpreter anyway, so which of the three it is protects nothing.
    if stat.st_mode & 0o111 == 0 {
        return Err(ExecError::NotExecutable {
            path: path.to_vec(),
        });
    }
    Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
}
