//! Temporary folders, none of which outlives the command for long.
//!
//! Everything that is made goes to a name of this process first, in the folder where it is to
//! appear, and is renamed when it is whole. What ends early takes its names with it: an error by
//! `Drop`, a signal by [`remove_all`], and what `kill -9` or a power cut leaves is removed by the
//! next command that works in the same folder.
//!
//! Names are `.polybuild-PID-RANDOM`. A [`Scratch`] folder has `-locked-` in its name and is
//! locked (flock) by its owner, so that one without a lock is known to be abandoned, across
//! containers too, where process ids mean nothing.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustix::fs::{FlockOperation, flock};

use crate::failure::{IoContext, Result};

const PREFIX: &str = ".polybuild-";
const LOCKED: &str = "-locked-";

/// What carries no lock is abandoned when it has not changed for this long.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Folders in which this process makes temporary names.
static WATCHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Start of all temporary names of this process.
pub fn prefix() -> String {
    format!("{PREFIX}{}-", std::process::id())
}

/// Remembers that temporary names are made in `folder`.
pub fn watch(folder: &Path) {
    making(folder, || {});
}

/// Makes a temporary name in `folder`, which an interruption will find and remove.
pub(crate) fn making<T>(folder: &Path, make: impl FnOnce() -> T) -> T {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.insert(folder);
    make()
}

/// A temporary folder; removed when dropped.
pub struct Scratch {
    dir: tempfile::TempDir,
    _lock: Option<File>,
    // After the folder itself: fields are dropped in this order.
    _parents: Parents,
}

/// Folders that were made for one to lie in, the deepest first; when dropped, those that are
/// empty by then are removed.
struct Parents(Vec<PathBuf>);

impl Parents {
    fn missing(folder: &Path) -> Parents {
        let missing = folder
            .ancestors()
            .take_while(|f| !f.as_os_str().is_empty() && !f.exists());
        Parents(missing.map(Path::to_owned).collect())
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Refused for one with anything in it.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Scratch {
    /// A new one in `parent`, which is made if need be; abandoned ones there are removed.
    pub fn folder_in(parent: &Path) -> Result<Scratch> {
        let parents = Parents::missing(parent);
        fs::create_dir_all(parent).doing("creating the folder", parent)?;
        sweep(parent);
        // Shared by all who create, exclusive for who removes: nobody sees a folder that has a
        // name but no lock yet. Where files cannot be locked, nothing is removed either.
        let gate = lock(parent, FlockOperation::LockShared);
        let prefix = format!("{PREFIX}{}{LOCKED}", std::process::id());
        let dir = making(parent, || {
            tempfile::Builder::new().prefix(&prefix).tempdir_in(parent)
        })
        .doing("creating a temporary folder in", parent)?;
        let own = lock(dir.path(), FlockOperation::LockExclusive);
        drop(gate);
        Ok(Scratch {
            dir,
            _lock: own,
            _parents: parents,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the folder where it is, for the caller to rename.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }
}

fn lock(folder: &Path, how: FlockOperation) -> Option<File> {
    let file = File::open(folder).ok()?;
    flock(&file, how).ok()?;
    Some(file)
}

/// Removes what abandoned commands left in `folder`. Tidying up never fails a command.
fn sweep(folder: &Path) {
    let Some(_gate) = lock(folder, FlockOperation::NonBlockingLockExclusive) else {
        return;
    };
    for (name, path) in ours(folder, PREFIX) {
        let abandoned = match name.contains(LOCKED) {
            true => lock(&path, FlockOperation::NonBlockingLockExclusive).is_some(),
            false => is_old(&path),
        };
        if abandoned {
            tracing::debug!(path = %path.display(), "removing what an interrupted command left");
            remove(&path);
        }
    }
}

fn is_old(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .and_then(|m| m.modified())
        .is_ok_and(|t| {
            SystemTime::now()
                .duration_since(t)
                .is_ok_and(|age| age > ABANDONED)
        })
}

fn ours(folder: &Path, prefix: &str) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|e| e.ok())
        .filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect()
}

/// From now on nothing new is made; returns the folders in which something may be in the making.
/// The caller ends the process.
pub(crate) fn close() -> Vec<PathBuf> {
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let folders = watched.iter().cloned().collect();
    // Others that want to begin something wait here until the process ends.
    std::mem::forget(watched);
    folders
}

/// Removes everything that this process, whose other threads are gone, had in the making in
/// `folders`.
pub(crate) fn remove_all(folders: &[PathBuf]) {
    for folder in folders {
        for (_, path) in ours(folder, &prefix()) {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    // A build step's process that is just ending may add a file to a folder that was just emptied.
    for _ in 0..20 {
        let result = match fs::symlink_metadata(path) {
            Ok(m) if m.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => return,
        };
        if result.is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abandoned_folders_go_and_live_ones_stay() {
        let home = tempfile::tempdir().unwrap();
        let live = Scratch::folder_in(home.path()).unwrap();
        let dead = home.path().join(format!("{PREFIX}1{LOCKED}x"));
        fs::create_dir_all(dead.join("deep/er")).unwrap();
        let recent = home.path().join(format!("{PREFIX}1-y"));
        fs::write(&recent, "").unwrap();
        let foreign = home.path().join("kept");
        fs::write(&foreign, "").unwrap();
        let second = Scratch::folder_in(home.path()).unwrap();
        assert!(live.path().is_dir() && second.path().is_dir());
        assert!(!dead.exists());
        assert!(recent.exists() && foreign.exists());
    }

    #[test]
    fn folders_made_on_the_way_go_too_unless_something_stays() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b");
        drop(Scratch::folder_in(&deep).unwrap());
        assert!(!home.path().join("a").exists());
        let kept = Scratch::folder_in(&deep).unwrap().keep();
        assert!(kept.is_dir());
        drop(Scratch::folder_in(&deep).unwrap());
        assert!(deep.is_dir());
    }

    #[test]
    fn dropped_is_gone_and_kept_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = Scratch::folder_in(home.path()).unwrap().path().to_owned();
        assert!(!path.exists());
        let kept = Scratch::folder_in(home.path()).unwrap().keep();
        assert!(kept.is_dir());
    }
}
