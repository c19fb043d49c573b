//! Outputs that appear whole: written beside their place under a temporary name, then renamed.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// The folder in which `target` is to appear.
fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Temporary names carry the process's number, so that who ends the process can tell its own.
fn prefix() -> String {
    format!(".polybuild-{}-", std::process::id())
}

/// Writes a file by `fill` and puts it at `target`, replacing what was there. On an error nothing
/// changes. `E` is the caller's error; an I/O error is turned into it with the path concerned.
pub(crate) fn file<T, E>(
    target: &Path,
    on_io: impl Fn(PathBuf, io::Error) -> E,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    let io = |e| on_io(target.to_owned(), e);
    let temporary = tempfile::Builder::new()
        .prefix(&prefix())
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder(target))
        .map_err(io)?;
    let (file, path) = temporary.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    let value = fill(&mut writer)?;
    writer.flush().map_err(io)?;
    path.persist(target).map_err(|e| io(e.error))?;
    Ok(value)
}

/// Fills a folder by `fill` and puts it at `target`. A folder already there is replaced in one step
/// if `replaceable` accepts it or it is empty, and is refused otherwise with `EEXIST`.
pub(crate) fn dir<T, E>(
    target: &Path,
    replaceable: impl FnOnce(&Path) -> bool,
    on_io: impl Fn(PathBuf, io::Error) -> E,
    fill: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let io = |e| on_io(target.to_owned(), e);
    let exists = match fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() => {
            let empty = fs::read_dir(target).map_err(io)?.next().is_none();
            if !empty && !replaceable(target) {
                return Err(io(io::ErrorKind::AlreadyExists.into()));
            }
            true
        }
        Ok(_) => return Err(io(io::ErrorKind::NotADirectory.into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => false,
        Err(e) => return Err(io(e)),
    };
    let temporary = tempfile::Builder::new()
        .prefix(&prefix())
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(folder(target))
        .map_err(io)?;
    let value = fill(temporary.path())?;
    if exists {
        // After the exchange the temporary folder holds the old contents, and is removed below.
        renameat_with(CWD, temporary.path(), CWD, target, RenameFlags::EXCHANGE)
            .map_err(|e| io(e.into()))?;
        temporary.close().map_err(io)?;
    } else {
        fs::rename(temporary.path(), target).map_err(io)?;
        // Its path now names nothing; forget it without trying to remove it.
        let _ = temporary.keep();
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(_: PathBuf, e: io::Error) -> io::Error {
        e
    }

    #[test]
    fn nothing_is_left_of_a_failed_output() {
        let home = tempfile::tempdir().unwrap();
        let boom = || Err(io::Error::other("boom"));
        assert!(
            file(&home.path().join("f"), fail, |_| -> io::Result<()> {
                boom()
            })
            .is_err()
        );
        assert!(
            dir(
                &home.path().join("d"),
                |_| false,
                fail,
                |_| -> io::Result<()> { boom() }
            )
            .is_err()
        );
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_is_replaced_only_when_allowed() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("d");
        let put = |text: &'static str| move |p: &Path| fs::write(p.join("x"), text);
        dir(&target, |_| false, fail, put("1")).unwrap();
        let refused = dir(&target, |_| false, fail, put("2")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(target.join("x")).unwrap(), b"1");
        dir(&target, |p| p.join("x").exists(), fail, put("3")).unwrap();
        assert_eq!(fs::read(target.join("x")).unwrap(), b"3");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
