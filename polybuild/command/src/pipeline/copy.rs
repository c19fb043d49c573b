//! Copying what a build step made, or is to see, without ever following a link.
//!
//! What is copied was made by programs that came with a recipe, and the copying is done by the
//! builder, who may read and write far more than they: a link that was followed would let them
//! read a key into an image, or write outside of the folder.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
};

use crate::{
    exit,
    failure::{Failure, IoContext, Result},
};

/// Copies a file, or a folder with everything in it, to `to` inside of `base`. Links stay links;
/// files keep of their mode whether they can be executed, and are writable for their owner.
pub(crate) fn copy(from: &Path, base: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        folder(base, parent)?;
    }
    for entry in walkdir::WalkDir::new(from).follow_root_links(false) {
        let entry = entry.map_err(Failure::environment)?;
        let relative = entry.path().strip_prefix(from).map_err(Failure::internal)?;
        let target = match relative.as_os_str().is_empty() {
            true => base.join(to),
            false => base.join(to).join(relative),
        };
        let there = fs::symlink_metadata(&target).ok();
        let kind = entry.file_type();
        if kind.is_dir() {
            match there {
                Some(there) if there.is_dir() => {}
                Some(_) => return Err(in_the_way(&target)),
                None => fs::create_dir(&target).doing("creating", &target)?,
            }
        } else if there.is_some() {
            return Err(in_the_way(&target));
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path()).doing("reading the link", entry.path())?;
            symlink(link, &target).doing("creating the link", &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).doing("copying", entry.path())?;
            let mode = entry
                .metadata()
                .map_err(Failure::environment)?
                .permissions()
                .mode();
            let mode = if mode & 0o111 != 0 { 0o755 } else { 0o644 };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode))
                .doing("setting the mode of", &target)?;
        } else {
            return Err(Failure::message(
                exit::RECIPE,
                format!(
                    "{} is neither a file nor a folder nor a link",
                    entry.path().display()
                ),
            ));
        }
    }
    Ok(())
}

fn in_the_way(target: &Path) -> Failure {
    Failure::message(
        exit::RECIPE,
        format!("two inputs of a build step meet at {}", target.display()),
    )
    .hint("give them names of their own")
}

/// Makes the folders of a path inside of `base`, none of which may be a link.
fn folder(base: &Path, path: &Path) -> Result<()> {
    let mut at = base.to_owned();
    let parts = std::iter::once(Component::CurDir).chain(path.components());
    for part in parts {
        match part {
            Component::Normal(name) => at.push(name),
            Component::CurDir => {}
            _ => return Err(outside(&at)),
        }
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(in_the_way(&at)),
            Err(_) if at == base => fs::create_dir_all(&at).doing("creating", &at)?,
            Err(_) => fs::create_dir(&at).doing("creating", &at)?,
        }
    }
    Ok(())
}

/// `base/path` with its links followed, which must not lead out of `base`.
pub(crate) fn beneath(base: &Path, path: &Path) -> Result<PathBuf> {
    let whole = base.join(path);
    let real = |path: &Path| fs::canonicalize(path).doing("finding", path);
    let (base, found) = (real(base)?, real(&whole)?);
    match found.starts_with(&base) {
        true => Ok(found),
        false => Err(outside(&whole)),
    }
}

fn outside(path: &Path) -> Failure {
    Failure::message(
        exit::RECIPE,
        format!(
            "{} leads out of what a recipe may refer to, through a link",
            path.display()
        ),
    )
    .hint("a source or build step must not hold such links where the recipe refers to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (from, base) = (dir.path().join("from"), dir.path().join("base"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&base).unwrap();
        fs::create_dir(dir.path().join("victim")).unwrap();
        fs::write(dir.path().join("victim/key"), "secret").unwrap();
        (dir, from, base)
    }

    #[test]
    fn links_are_copied_and_not_followed() {
        let (dir, from, base) = world();
        symlink(dir.path().join("victim"), from.join("folder")).unwrap();
        symlink(dir.path().join("victim/key"), from.join("file")).unwrap();
        copy(&from, &base, Path::new("to")).unwrap();
        assert!(base.join("to/folder").is_symlink() && base.join("to/file").is_symlink());
        // The root of what is copied, too.
        copy(&from.join("folder"), &base, Path::new("folder")).unwrap();
        assert!(base.join("folder").is_symlink());
        assert_eq!(fs::read_dir(dir.path().join("victim")).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (dir, from, base) = world();
        fs::create_dir(from.join("in")).unwrap();
        fs::write(from.join("in/key"), "forged").unwrap();
        symlink(dir.path().join("victim"), base.join("in")).unwrap();
        symlink(dir.path().join("victim/key"), base.join("key")).unwrap();
        for (what, to) in [
            (from.join("in"), "in"),
            (from.join("in/key"), "in/key"),
            (from.join("in/key"), "in/new"),
            (from.join("in"), "in/new/er"),
            (from.join("in/key"), "key"),
            (from.join("in/key"), "../victim/key"),
        ] {
            copy(&what, &base, Path::new(to)).unwrap_err();
        }
        let key = fs::read_to_string(dir.path().join("victim/key")).unwrap();
        assert_eq!(key, "secret");
        assert_eq!(fs::read_dir(dir.path().join("victim")).unwrap().count(), 1);
    }

    #[test]
    fn modes_are_two() {
        let (_dir, from, base) = world();
        for (name, mode, expected) in [
            ("a", 0o4711, 0o755),
            ("b", 0o666, 0o644),
            ("c", 0o2400, 0o644),
        ] {
            fs::write(from.join(name), "").unwrap();
            fs::set_permissions(from.join(name), fs::Permissions::from_mode(mode)).unwrap();
            copy(&from.join(name), &base, Path::new(name)).unwrap();
            let found = fs::metadata(base.join(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, expected, "{name}");
        }
    }

    #[test]
    fn pipes_are_refused_rather_than_waited_for() {
        let (_dir, from, base) = world();
        let mode = rustix::fs::Mode::RUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, from.join("pipe"), kind, mode, 0).unwrap();
        copy(&from, &base, Path::new("to")).unwrap_err();
    }

    #[test]
    fn references_stay_beneath() {
        let (dir, from, _base) = world();
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/b/c"), "").unwrap();
        symlink("a", from.join("inner")).unwrap();
        symlink(dir.path().join("victim"), from.join("a/outer")).unwrap();
        symlink("../../../victim/key", from.join("a/b/up")).unwrap();
        assert!(beneath(&from, Path::new("a/b/c")).is_ok());
        assert!(beneath(&from, Path::new("inner/b/c")).is_ok());
        for path in [
            "a/outer",
            "a/outer/key",
            "inner/outer/key",
            "a/b/up",
            "../victim/key",
        ] {
            let error = beneath(&from, Path::new(path)).unwrap_err();
            assert!(
                error.text().contains("leads out of"),
                "{path}: {}",
                error.text()
            );
        }
    }
}
