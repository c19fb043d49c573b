//! The content-addressed cache.
//!
//! ```text
//! sha256/HEX       a file of that digest, mode 0444
//! partial/KEY/     the work folder of one source while it is fetched
//! locks/KEY        held (flock) by whoever fetches that source
//! corrupt/HEX.N    a file that did not have its digest any more, kept for a look
//! apt/SUITE-ARCH/  package lists
//! ```
//!
//! `KEY` is the SHA-256 of the source's address. Invariant: what [`Cache::get`] returns was hashed
//! in that call; a file in `sha256/` is put there by rename after it was written to the disk.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use polybuild_recipe::digest_path;

use crate::error::{FetchError, io};

/// A cache in a folder. Several processes may use one folder at a time.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// What [`Cache::get`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The file, and its size in bytes.
    Found(PathBuf, u64),
    /// A file with another content, which is now at this path.
    Corrupt(PathBuf),
    /// Nothing.
    Missing,
}

/// The right to fetch one source, held until dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Work folder of the source; may hold what an interrupted fetch left.
    pub(crate) work: PathBuf,
    _lock: Lock,
}

/// An exclusive lock (flock) on a file, released when dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Waits for the lock on a file, which is created if need be.
    pub(crate) fn wait(path: &Path) -> Result<Lock, FetchError> {
        let file = File::create(path).map_err(io("create", path))?;
        file.lock().map_err(io("lock", path))?;
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has the descriptor
        // too until its `execve`, and would hold the lock on. An error here means that there is
        // no lock any more.
        let _ = self.0.unlock();
    }
}

impl Cache {
    /// A cache in `root`, which is created when it is first written to.
    pub fn new(root: impl Into<PathBuf>) -> Cache {
        Cache { root: root.into() }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file of this digest is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join("sha256").join(digest.hex())
    }

    /// Looks a digest up and hashes the file again.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Lookup, FetchError> {
        let path = self.path(digest);
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Lookup::Missing),
            Err(error) => return Err(io("read", path)(error)),
            Ok(_) => {}
        }
        if let Ok((found, size)) = digest_path(&path)
            && found == *digest
        {
            return Ok(Lookup::Found(path, size));
        }
        let aside = self.move_aside(&path, digest)?;
        Ok(Lookup::Corrupt(aside))
    }

    /// Moves a corrupt file out of the way.
    fn move_aside(&self, path: &Path, digest: &Digest) -> Result<PathBuf, FetchError> {
        let folder = self.folder("corrupt")?;
        let hex = digest.hex();
        let aside = (0_u32..)
            .map(|n| folder.join(format!("{hex}.{n}")))
            .find(|p| fs::symlink_metadata(p).is_err())
            .unwrap_or_else(|| folder.join(hex));
        match fs::rename(path, &aside) {
            // Another process was faster.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(aside),
            Err(error) => Err(io("move aside", path)(error)),
            Ok(()) => Ok(aside),
        }
    }

    /// Moves a file of a work folder into the cache, under the digest that it has.
    pub(crate) fn insert(&self, file: &Path, digest: &Digest) -> Result<PathBuf, FetchError> {
        let path = self.path(digest);
        let folder = self.folder("sha256")?;
        fs::set_permissions(file, Permissions::from_mode(0o444))
            .map_err(io("set the permissions of", file))?;
        File::open(file)
            .and_then(|f| f.sync_all())
            .map_err(io("write", file))?;
        fs::rename(file, &path).map_err(io("write", &path))?;
        File::open(&folder)
            .and_then(|f| f.sync_all())
            .map_err(io("write", &folder))?;
        Ok(path)
    }

    /// Waits for the right to fetch the source with this address.
    pub(crate) fn guard(&self, address: &str) -> Result<Guard, FetchError> {
        let key = Digest::of(address.as_bytes()).hex();
        let path = self.folder("locks")?.join(&key);
        let lock = Lock::wait(&path)?;
        let work = self.folder("partial")?.join(&key);
        fs::create_dir_all(&work).map_err(io("create", &work))?;
        Ok(Guard { work, _lock: lock })
    }

    /// Removes what interrupted fetches left and nobody works on. Returns how many there were.
    pub fn remove_partials(&self) -> Result<usize, FetchError> {
        let folder = self.root.join("partial");
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            other => other.map_err(io("read", &folder))?,
        };
        let locks = self.folder("locks")?;
        let mut removed = 0;
        for entry in entries {
            let entry = entry.map_err(io("read", &folder))?;
            let path = locks.join(entry.file_name());
            let lock = File::create(&path).map_err(io("create", &path))?;
            if lock.try_lock().is_ok() {
                let _lock = Lock(lock);
                fs::remove_dir_all(entry.path()).map_err(io("remove", entry.path()))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// A folder of the cache, created if need be.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, FetchError> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).map_err(io("create", &path))?;
        Ok(path)
    }
}

impl Guard {
    /// Empties the work folder.
    pub(crate) fn clear(&self) -> Result<(), FetchError> {
        fs::remove_dir_all(&self.work)
            .and_then(|()| fs::create_dir(&self.work))
            .map_err(io("empty", &self.work))
    }

    /// Removes the work folder.
    pub(crate) fn done(self) -> Result<(), FetchError> {
        fs::remove_dir_all(&self.work).map_err(io("remove", &self.work))
    }
}
