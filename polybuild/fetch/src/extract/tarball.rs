//! Tar archives: the entries of a decompressed stream.

use std::io::{self, Read};

use tar::{Archive, EntryType};

use super::{ExtractError, sink::Sink};

pub(super) fn unpack(stream: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), ExtractError> {
    let mut archive = Archive::new(stream);
    let mut last = Vec::new();
    let entries = archive.entries().map_err(|e| sink.read_error(&last, &e))?;
    for entry in entries {
        let mut entry = entry.map_err(|e| sink.read_error(&last, &e))?;
        let name = entry.path_bytes().into_owned();
        let target = entry.link_name_bytes().map(|t| t.into_owned());
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mode = entry.header().mode();
                let mode = mode.map_err(|e| sink.read_error(&name, &e))?;
                sink.file(&name, mode & 0o111 != 0, &mut entry)?;
            }
            EntryType::Directory => sink.folder(&name)?,
            EntryType::Symlink => sink.symlink(&name, &target.unwrap_or_default())?,
            EntryType::Link => sink.hard_link(&name, &target.unwrap_or_default())?,
            // Comments about the whole archive (pax, POSIX.1-2017 pax "Extended Header").
            EntryType::XGlobalHeader => {}
            EntryType::Block | EntryType::Char => {
                return Err(sink.refuse(&name, "is a device"));
            }
            EntryType::Fifo => return Err(sink.refuse(&name, "is a pipe")),
            _ => return Err(sink.refuse(&name, "is of an unknown kind")),
        }
        last = name;
    }
    // What follows the end of the archive is padding, and the checksum of the compression.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|e| sink.read_error(&last, &e))?;
    Ok(())
}
