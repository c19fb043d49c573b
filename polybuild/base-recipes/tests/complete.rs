//! Every recipe that comes with the program loads from where it is laid out, away from this repository, and
//! its lock file is fresh there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{fs, os::unix::fs::PermissionsExt as _};

use polybuild_base_recipes::FILES;
use polybuild_recipe::{Lock, LockStatus, load};

#[test]
fn all_that_is_needed_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for (path, executable, bytes) in FILES {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let mode = if *executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let recipes = FILES
        .iter()
        .filter(|(path, ..)| path.ends_with("/recipe.toml"));
    let mut images = 0;
    for (path, ..) in recipes {
        assert!(!path.contains("examples"), "{path}");
        images += usize::from(path.starts_with("base-images/"));
        let recipe = load(&folder.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e:?}"));
        for part in &recipe.parts {
            assert!(part.path.starts_with(folder.path()), "{path}");
            let lock = Lock::read(&part.lock_path()).unwrap().unwrap();
            assert_eq!(lock.check(part).unwrap(), LockStatus::Fresh, "{path}");
        }
    }
    assert!(images > 3, "the base images are missing");
}
