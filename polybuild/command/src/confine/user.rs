//! Whom jobs run as.
//!
//! An ordinary user's jobs stay that user's: there is nobody else whom they could become. A builder
//! that runs as root gives its jobs to a user who owns nothing: root in a namespace still is
//! the owner of root's files to the host kernel, `/proc/sys` included.

use std::{fs, os::unix::fs::lchown, path::Path};

use crate::failure::{Failure, IoContext, Result};

/// A user id that nobody has: distributions leave 65520 to 65533 unused (systemd's table of user
/// ids), and it exists in containers that have 65536 of them.
const NOBODYS: u32 = 65533;

/// The user to become; `None` to stay. The error says why neither is safe.
pub(super) fn for_jobs() -> std::result::Result<Option<u32>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match ids(&map) {
        Ids::All => Ok(Some(NOBODYS)),
        // Root of a container of one user's: no more than that user to the host.
        Ids::One => Ok(None),
        Ids::Unknown => Err(
            "it runs as root of a user namespace that has no other user to run build steps as"
                .into(),
        ),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ids {
    /// Ours is there.
    All,
    /// Only root, who is somebody else outside.
    One,
    Unknown,
}

/// What `/proc/self/uid_map` says: lines of first id inside, first id outside, number.
fn ids(map: &str) -> Ids {
    let ranges: Vec<[u64; 3]> = map
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|n| n.parse().ok());
            Some([numbers.next()??, numbers.next()??, numbers.next()??])
        })
        .collect();
    let ours = u64::from(NOBODYS);
    let has = |[inside, _, n]: &[u64; 3]| (*inside..inside.saturating_add(*n)).contains(&ours);
    match ranges.as_slice() {
        ranges if ranges.iter().any(has) => Ids::All,
        [[0, outside, 1]] if *outside != 0 => Ids::One,
        _ => Ids::Unknown,
    }
}

/// Whether somebody who owns nothing can get to a folder; else, which one on the way is closed.
pub(super) fn reaches(folder: &Path) -> std::result::Result<(), String> {
    let way = folder.ancestors().skip(1);
    let closed = |above: &&Path| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(above).is_ok_and(|m| m.permissions().mode() & 0o001 == 0)
    };
    match way.filter(|a| !a.as_os_str().is_empty()).find(closed) {
        None => Ok(()),
        Some(closed) => Err(format!(
            "the cache lies in {}, which the user who runs build steps for root may not enter \
             (choose another place with --cache)",
            closed.display()
        )),
    }
}

/// Makes the user the owner of a folder and all that is in it.
pub(super) fn give(folder: &Path, user: u32) -> Result<()> {
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.map_err(Failure::environment)?;
        lchown(entry.path(), Some(user), Some(user)).doing("giving away", entry.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_folders_on_the_way() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let open = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        open(dir.path(), 0o711);
        assert_eq!(reaches(&deep), Ok(()));
        open(&dir.path().join("a"), 0o700);
        assert!(reaches(&deep).unwrap_err().contains("/a, which"));
        // The folder itself is given to the user.
        assert_eq!(reaches(&dir.path().join("a")), Ok(()));
    }

    #[test]
    fn ids_of_hosts_and_containers() {
        assert_eq!(ids("         0          0 4294967295\n"), Ids::All);
        assert_eq!(ids("0 100000 65536\n"), Ids::All);
        assert_eq!(ids("0 1000 1\n1 100000 65536\n"), Ids::All);
        assert_eq!(ids("0 1000 1\n"), Ids::One);
        assert_eq!(ids("0 0 1\n"), Ids::Unknown);
        assert_eq!(ids("0 1000 10\n"), Ids::Unknown);
        assert_eq!(ids("nonsense"), Ids::Unknown);
        assert_eq!(ids(""), Ids::Unknown);
    }
}
