//! Files that appear whole or not at all.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    scratch,
};

/// Writes `path` through a temporary file beside it, makes it durable, and renames it into place.
/// Parent folders are made.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(parent).doing("creating the folder", parent)?;
    let prefix = scratch::prefix();
    let make = || tempfile::Builder::new().prefix(&prefix).tempfile_in(parent);
    let mut file = scratch::making(parent, make).doing("creating a temporary file in", parent)?;
    file.write_all(bytes).doing("writing", path)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| file.as_file().sync_all())
        .doing("writing", path)?;
    // Closed first: a program that somebody holds open for writing cannot be run (ETXTBSY).
    file.into_temp_path()
        .persist(path)
        .doing("putting into place", path)
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).doing("reading", path)
}

/// Reads a file that was named on the command line: a wrong name is a wrong command line.
pub fn read_given(path: &Path) -> Result<Vec<u8>> {
    if let Some(trouble) = polybuild_recipe::trouble(path) {
        return Err(Failure::message(
            exit::USAGE,
            format!("{} {trouble}", path.display()),
        ));
    }
    read(path)
}

/// Opens a file for reading.
pub fn open(path: &Path) -> Result<File> {
    File::open(path).doing("opening", path)
}
