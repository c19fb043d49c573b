//! Results in the cache that are folders, each with the digest that it had when it was stored.
//!
//! ```text
//! KEY/tree/     the result
//! KEY/digest    `sha256:…` over its names, kinds, execute permissions, link targets and contents
//! ```
//!
//! A result is verified whenever it is used; one that was changed since, or that has no digest, is
//! as good as none. This notices damage and what other programs did to the cache, not somebody who
//! may write to the cache and knows what this page says: keep the cache yours.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use polybuild_recipe::digest_path;

use crate::{
    failure::{Failure, IoContext, Result},
    files,
    ui::Ui,
};

const TREE: &str = "tree";
const DIGEST: &str = "digest";

/// Digest over texts, each length-prefixed: the key of a cache entry.
pub(crate) fn key(parts: &[&str]) -> Digest {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::of(&bytes)
}

/// The result stored at `entry`, if it is there and as it was stored. `what` is for the warning.
pub(crate) fn get(ui: &Ui, entry: &Path, what: &str) -> Option<PathBuf> {
    if fs::symlink_metadata(entry).is_err() {
        return None;
    }
    match check(entry) {
        Ok(tree) => Some(tree),
        Err(why) => {
            ui.warn(&format!(
                "{what} in the cache cannot be trusted ({why}); it is made again"
            ));
            None
        }
    }
}

fn check(entry: &Path) -> std::result::Result<PathBuf, String> {
    let tree = entry.join(TREE);
    // Links would lead to something that is not the cache's.
    let real = |path: &Path| fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    if !real(entry) || !real(&tree) {
        return Err("it is not a folder".into());
    }
    let stored = fs::read_to_string(entry.join(DIGEST))
        .map_err(|error| format!("its digest cannot be read: {error}"))?;
    let (found, _) = digest_path(&tree).map_err(|error| error.to_string())?;
    match found.to_string() == stored.trim() {
        true => Ok(tree),
        false => Err(format!(
            "its digest was {} when it was stored and is {found}",
            stored.trim()
        )),
    }
}

/// Where a new result is to be made in a scratch folder, before [`put`].
pub(crate) fn tree(scratch: &Path) -> PathBuf {
    scratch.join("entry").join(TREE)
}

/// Stores the result that was made at [`tree`] of the scratch folder; gives its place.
pub(crate) fn put(ui: &Ui, scratch: &Path, entry: &Path, what: &str) -> Result<PathBuf> {
    let fresh = scratch.join("entry");
    let (digest, _) = digest_path(&fresh.join(TREE)).map_err(Failure::recipe)?;
    files::write_whole(&fresh.join(DIGEST), format!("{digest}\n").as_bytes(), 0o444)?;
    if let Some(parent) = entry.parent() {
        fs::create_dir_all(parent).doing("creating", parent)?;
    }
    for turn in 0.. {
        let error = match fs::rename(&fresh, entry) {
            Ok(()) => return Ok(entry.join(TREE)),
            Err(error) => error,
        };
        // Another build may have been faster; what is there may also be what cannot be trusted.
        if turn > 8 || fs::symlink_metadata(entry).is_err() {
            return Err(error).doing("putting into place", entry);
        }
        if let Some(tree) = get(ui, entry, what) {
            return Ok(tree);
        }
        set_aside(entry, &scratch.join(format!("before-{turn}")))?;
    }
    Ok(entry.join(TREE))
}

/// Moves a stored result away, to a place that is going to be removed.
pub(crate) fn set_aside(entry: &Path, to: &Path) -> Result<()> {
    match fs::rename(entry, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.doing("moving aside", entry),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{PermissionsExt, symlink},
        path::PathBuf,
    };

    use super::*;

    struct Stored {
        _dir: tempfile::TempDir,
        entry: PathBuf,
    }

    fn ui() -> Ui {
        Ui::new(true, false)
    }

    fn stored() -> Stored {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("scratch");
        let fresh = tree(&scratch);
        fs::create_dir_all(fresh.join("lib")).unwrap();
        fs::write(fresh.join("lib/a"), "contents").unwrap();
        fs::write(fresh.join("tool"), "#!/bin/sh\n").unwrap();
        symlink("lib/a", fresh.join("link")).unwrap();
        let entry = dir.path().join("cache/key");
        let tree = put(&ui(), &scratch, &entry, "it").unwrap();
        assert_eq!(get(&ui(), &entry, "it"), Some(tree));
        Stored { _dir: dir, entry }
    }

    #[test]
    fn what_was_changed_is_not_used() {
        type Change = fn(&Path);
        let changes: &[(&str, Change)] = &[
            ("a byte", |t| {
                fs::write(t.join("tree/lib/a"), "Contents").unwrap()
            }),
            ("shorter", |t| {
                fs::write(t.join("tree/lib/a"), "content").unwrap()
            }),
            ("a new file", |t| {
                fs::write(t.join("tree/lib/b"), "").unwrap()
            }),
            ("a new empty folder", |t| {
                fs::create_dir(t.join("tree/b")).unwrap()
            }),
            ("a file less", |t| {
                fs::remove_file(t.join("tree/lib/a")).unwrap()
            }),
            ("a link's target", |t| {
                fs::remove_file(t.join("tree/link")).unwrap();
                symlink("/etc/passwd", t.join("tree/link")).unwrap();
            }),
            ("a link for a file", |t| {
                fs::rename(t.join("tree/lib/a"), t.join("kept")).unwrap();
                symlink("../../kept", t.join("tree/lib/a")).unwrap();
            }),
            ("a file for a link", |t| {
                fs::remove_file(t.join("tree/link")).unwrap();
                fs::write(t.join("tree/link"), "contents").unwrap();
            }),
            ("a permission", |t| {
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(t.join("tree/tool"), mode).unwrap();
            }),
            ("another name", |t| {
                fs::rename(t.join("tree/tool"), t.join("tree/took")).unwrap();
            }),
            ("a link for the tree", |t| {
                fs::rename(t.join("tree"), t.join("elsewhere")).unwrap();
                symlink("elsewhere", t.join("tree")).unwrap();
            }),
            ("no digest", |t| fs::remove_file(t.join("digest")).unwrap()),
            ("another digest", |t| {
                fs::remove_file(t.join("digest")).unwrap();
                fs::write(t.join("digest"), "sha256:00\n").unwrap();
            }),
            ("a pipe", |t| {
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    t.join("tree/pipe"),
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR,
                    0,
                )
                .unwrap();
            }),
            ("nothing of it", |t| {
                fs::remove_dir_all(t.join("tree")).unwrap()
            }),
        ];
        for (what, change) in changes {
            let stored = stored();
            change(&stored.entry);
            assert_eq!(get(&ui(), &stored.entry, "it"), None, "{what}");
            // And it can be stored anew.
            let scratch = stored._dir.path().join("again");
            fs::create_dir_all(tree(&scratch)).unwrap();
            fs::write(tree(&scratch).join("new"), "").unwrap();
            let put = put(&ui(), &scratch, &stored.entry, "it").unwrap();
            assert!(put.join("new").is_file(), "{what}");
            assert_eq!(get(&ui(), &stored.entry, "it"), Some(put), "{what}");
        }
    }

    #[test]
    fn who_was_faster_is_believed_only_when_it_is_whole() {
        let stored = stored();
        let scratch = stored._dir.path().join("slower");
        fs::create_dir_all(tree(&scratch)).unwrap();
        let there = put(&ui(), &scratch, &stored.entry, "it").unwrap();
        assert!(there.join("tool").is_file());
    }
}
