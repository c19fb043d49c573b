//! Digests of files and folders that a recipe takes from the machine itself.
//!
//! A folder's digest covers the names, the kinds, the execute permission and the contents of
//! everything in it, in the order of the names, and nothing else: not times, owners or other
//! permissions, which differ between clones.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use sha2::Digest as _;

/// Why a local input has no digest.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// It is a device, pipe or socket.
    #[error("{} is neither a file nor a folder nor a symbolic link", .path.display())]
    Special {
        /// The node.
        path: PathBuf,
    },
}

/// What keeps a path from being read, as the rest of a sentence about it; `None` if nothing does.
pub fn trouble(path: &Path) -> Option<String> {
    let error = fs::metadata(path).err()?;
    let link = fs::read_link(path).ok();
    Some(match (error.raw_os_error(), link) {
        (Some(LOOP), Some(_)) => "is a symbolic link that leads back to itself".to_owned(),
        (Some(LOOP), None) => "is reached by a symbolic link that leads back to itself".to_owned(),
        _ if error.kind() != io::ErrorKind::NotFound => format!("cannot be read: {error}"),
        (_, Some(to)) => format!(
            "is a symbolic link to {}, which does not exist",
            to.display()
        ),
        _ => "does not exist".to_owned(),
    })
}

/// `ELOOP` of Linux, for which the standard library has no stable name.
const LOOP: i32 = 40;

/// Digest and size in bytes of a file, or of a folder and all that is in it. A symbolic link is
/// followed when it is `path` itself, and recorded as a link inside a folder.
pub fn digest_path(path: &Path) -> Result<(Digest, u64), LocalError> {
    let meta = fs::metadata(path).map_err(|error| read_error(path, error))?;
    if meta.is_dir() {
        let mut folder = Folder {
            hash: sha2::Sha256::new(),
            size: 0,
        };
        folder.hash.update(b"polybuild folder 1\n");
        folder.add_children(path, Path::new(""))?;
        Ok((Digest(folder.hash.finalize().into()), folder.size))
    } else if meta.is_file() {
        file_digest(path)
    } else {
        Err(LocalError::Special { path: path.into() })
    }
}

fn read_error(path: &Path, error: io::Error) -> LocalError {
    LocalError::Read {
        path: path.into(),
        error,
    }
}

fn file_digest(path: &Path) -> Result<(Digest, u64), LocalError> {
    let hashed = || -> io::Result<(Digest, u64)> {
        let mut file = File::open(path)?;
        let mut hash = sha2::Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match file.read(&mut buffer) {
                Ok(0) => return Ok((Digest(hash.finalize().into()), size)),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            hash.update(buffer.get(..n).unwrap_or_default());
            size += n as u64;
        }
    };
    hashed().map_err(|error| read_error(path, error))
}

struct Folder {
    hash: sha2::Sha256,
    size: u64,
}

impl Folder {
    fn add_children(&mut self, folder: &Path, name: &Path) -> Result<(), LocalError> {
        let names = || -> io::Result<Vec<_>> {
            fs::read_dir(folder)?
                .map(|entry| Ok(entry?.file_name()))
                .collect()
        };
        let mut names = names().map_err(|error| read_error(folder, error))?;
        names.sort();
        for child in names {
            self.add(&folder.join(&child), &name.join(&child))?;
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, name: &Path) -> Result<(), LocalError> {
        let meta = fs::symlink_metadata(path).map_err(|error| read_error(path, error))?;
        if meta.is_dir() {
            self.record(b'd', name, b"");
            self.add_children(path, name)
        } else if meta.is_file() {
            let (digest, size) = file_digest(path)?;
            let executable = meta.permissions().mode() & 0o111 != 0;
            self.size += size;
            self.record(if executable { b'x' } else { b'f' }, name, &digest.0);
            Ok(())
        } else if meta.is_symlink() {
            let target = fs::read_link(path).map_err(|error| read_error(path, error))?;
            self.record(b'l', name, target.as_os_str().as_bytes());
            Ok(())
        } else {
            Err(LocalError::Special { path: path.into() })
        }
    }

    /// Lengths go before texts, so that no two folders give the same bytes.
    fn record(&mut self, kind: u8, name: &Path, content: &[u8]) {
        let name = name.as_os_str().as_bytes();
        self.hash.update([kind]);
        self.hash.update((name.len() as u64).to_le_bytes());
        self.hash.update(name);
        self.hash.update((content.len() as u64).to_le_bytes());
        self.hash.update(content);
    }
}
