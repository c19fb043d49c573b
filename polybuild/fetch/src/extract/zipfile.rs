//! Zip archives, wheels among them.

use std::{
    fs::File,
    io::{self, Read as _},
};

use zip::{ZipArchive, result::ZipError};

use super::{ExtractError, sink::Sink};

/// Longest target of a link, in bytes (`PATH_MAX`, `limits.h`).
const LINK_MAX: u64 = 4096;

pub(super) fn unpack(file: File, sink: &mut Sink<'_>) -> Result<(), ExtractError> {
    let mut archive = ZipArchive::new(file).map_err(|e| zip_error(sink, b"", e))?;
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(|e| zip_error(sink, b"", e))?;
        let name = entry.name_raw().to_owned();
        if name.contains(&b'\\') {
            return Err(sink.refuse(&name, "has a backslash in its name"));
        }
        let mode = entry.unix_mode().unwrap_or(0);
        if entry.is_dir() {
            sink.folder(&name)?;
        } else if entry.is_symlink() {
            let mut target = Vec::new();
            entry
                .by_ref()
                .take(LINK_MAX)
                .read_to_end(&mut target)
                .map_err(|e| sink.read_error(&name, &e))?;
            sink.symlink(&name, &target)?;
        } else {
            sink.file(&name, mode & 0o111 != 0, &mut entry)?;
        }
    }
    Ok(())
}

fn zip_error(sink: &Sink<'_>, within: &[u8], error: ZipError) -> ExtractError {
    match error {
        ZipError::Io(error) => sink.read_error(within, &error),
        // The directory of a zip archive is at its end (APPNOTE.TXT 4.3.16, "end of central
        // directory record").
        ZipError::InvalidArchive(what)
            if what.contains("EOCD") || what.contains("Unexpected end") =>
        {
            sink.read_error(within, &io::ErrorKind::UnexpectedEof.into())
        }
        other => sink.damaged(other.to_string()),
    }
}
