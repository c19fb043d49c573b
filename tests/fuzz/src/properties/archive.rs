//! Archives of sources: nothing outside the folder, and no way out of it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use polybuild_fetch::{Extract, Limits, extract};

use crate::scratch::Scratch;

/// Whatever an archive holds (tar, compressed or not, zip, deb), the folder appears whole or not at
/// all, nothing else appears or changes, every link in it stays in it, and no mode has more than
/// permission bits.
pub fn archive(data: &[u8]) {
    let scratch = Scratch::new();
    let beside = scratch.outer().join("secret");
    fs::write(&beside, "untouched").unwrap();
    let archive = scratch.write("archive", data);
    let to = scratch.path("out");
    let how = Extract {
        strip_components: u32::from(data.len().is_multiple_of(7)),
        limits: Limits {
            bytes: 1 << 20,
            entries: 1000,
        },
        ..Extract::default()
    };
    let expected: &[&str] = match extract(&archive, &to, &how) {
        Ok(()) => {
            check_folder(&to, &fs::canonicalize(&to).unwrap());
            &["archive", "out"]
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            &["archive"]
        }
    };
    assert_eq!(names(&scratch.path("")), expected);
    assert_eq!(names(scratch.outer()), ["in", "secret"]);
    assert_eq!(fs::read(&beside).unwrap(), b"untouched");
    assert_eq!(fs::read(&archive).unwrap(), data);
}

/// Nothing but files, folders and links that stay inside `root`.
pub(super) fn check_folder(folder: &Path, root: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_symlink() {
            // One that leads nowhere, or in a circle, leads nowhere outside either.
            if let Ok(target) = fs::canonicalize(&path) {
                assert!(target.starts_with(root), "{path:?} leads to {target:?}");
            }
        } else {
            assert!(meta.is_file() || meta.is_dir(), "{path:?}");
            assert_eq!(meta.permissions().mode() & 0o7000, 0, "{path:?}");
        }
        if meta.is_dir() {
            check_folder(&path, root);
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
