//! Unpacks a source package, as `dpkg-source --extract` does: the upstream archive, those of
//! components into their folders, the folder `debian/`, and the patches in their order.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{Extract, ExtractError, error, sink, unpack, whole};
use crate::{SourcePackage, patch};

/// Where the archive of `debian/` is unpacked before it is moved into its place.
const ASIDE: &str = ".polybuild-debian";

/// Unpacks a package into the new folder `to`, which must not exist; its parent must. The package's
/// patches come before those of `how`, which are the recipe's own.
pub fn extract_package(
    package: &SourcePackage,
    to: &Path,
    how: &Extract,
) -> Result<(), ExtractError> {
    whole(to, |folder| {
        unpack(&package.upstream, folder, how)?;
        for (name, archive) in &package.components {
            let place = folder.join(name);
            clear(&place)?;
            unpack(archive, &place, how)?;
        }
        if let Some(archive) = &package.debian {
            debian(archive, folder, how)?;
        }
        // Each archive was looked at by itself; together their links may lead elsewhere.
        check_links(&package.upstream, folder)?;
        for patch in &package.patches {
            let name = Path::new("debian/patches").join(&patch.name);
            patch::apply_of_series(&patch.bytes, &name, folder, patch.strip)?;
        }
        how.apply(folder)
    })
}

/// Unpacks the folder `debian/`, in the place of one that upstream may have.
fn debian(archive: &Path, folder: &Path, how: &Extract) -> Result<(), ExtractError> {
    let (aside, place) = (folder.join(ASIDE), folder.join("debian"));
    clear(&aside)?;
    let how = Extract {
        strip_components: 0,
        ..how.clone()
    };
    unpack(archive, &aside, &how)?;
    let entries = fs::read_dir(&aside).map_err(error::io("read", &aside))?;
    let names: Vec<_> = entries.filter_map(|e| Some(e.ok()?.file_name())).collect();
    let from = aside.join("debian");
    let is_folder = fs::symlink_metadata(&from).is_ok_and(|m| m.is_dir());
    if names != ["debian"] || !is_folder {
        return Err(ExtractError::Refused {
            archive: archive.into(),
            entry: "debian".into(),
            why: "is not a folder, or not all that there is",
        });
    }
    clear(&place)?;
    fs::rename(&from, &place).map_err(error::io("move into place", &place))?;
    fs::remove_dir(&aside).map_err(error::io("remove", &aside))?;
    let rules = place.join("rules");
    match fs::symlink_metadata(&rules) {
        Ok(metadata) if metadata.is_file() => {
            let mode = fs::Permissions::from_mode(metadata.permissions().mode() | 0o111);
            fs::set_permissions(&rules, mode).map_err(error::io("set the permissions of", &rules))
        }
        _ => Ok(()),
    }
}

/// Removes what upstream has at a place, whatever it is; a link itself, not what it leads to.
fn clear(path: &Path) -> Result<(), ExtractError> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(metadata) if metadata.is_dir() => {
            fs::remove_dir_all(path).map_err(error::io("remove", path))
        }
        Ok(_) => fs::remove_file(path).map_err(error::io("remove", path)),
    }
}

/// Checks that no link in the folder leads out of it.
fn check_links(archive: &Path, folder: &Path) -> Result<(), ExtractError> {
    let mut links = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(at) = folders.pop() {
        let full = folder.join(&at);
        for entry in fs::read_dir(&full).map_err(error::io("read", &full))? {
            let entry = entry.map_err(error::io("read", &full))?;
            let kind = entry.file_type().map_err(error::io("read", entry.path()))?;
            let path = at.join(entry.file_name());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path());
                links.insert(path, target.map_err(error::io("read", entry.path()))?);
            }
        }
    }
    match sink::first_that_leaves(&links) {
        None => Ok(()),
        Some(path) => Err(ExtractError::Refused {
            archive: archive.into(),
            entry: path.display().to_string(),
            why: "is a link that leads out of the package",
        }),
    }
}
