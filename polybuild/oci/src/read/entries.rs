//! The entries of a tar from an untrusted source.
//!
//! Long names (GNU `L`/`K`, PAX `path`/`linkpath`) are applied here rather than by the `tar` crate,
//! which would hold them in memory whatever their length. Extensions that change *which bytes* an
//! entry has (PAX `size`, sparse files) are refused: readers disagree on them, and a file that
//! Docker sees otherwise than `polybuild verify` is exactly what an attacker wants.

use std::io::{self, Read};

use tar::{Entry, EntryType, PaxExtensions};

/// Longest name extension that is read; Linux allows paths of 4095 bytes.
const EXTENSION_MAX: u64 = 1 << 20;

/// What an entry says about itself.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Path as written.
    pub(super) path: Vec<u8>,
    /// Target of a link as written.
    pub(super) link: Vec<u8>,
    pub(super) kind: EntryType,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: u64,
}

/// Why a tar was refused.
pub(super) enum Refused<E> {
    /// It could not be read, or is no tar.
    Io(io::Error),
    /// An extension that readers understand differently.
    Extension(Vec<u8>, &'static str),
    /// The visitor refused.
    Visitor(E),
}

impl<E> From<io::Error> for Refused<E> {
    fn from(cause: io::Error) -> Self {
        Refused::Io(cause)
    }
}

/// Visits the entries of `entries`, which must have been made by `tar::Archive::entries`.
pub(super) fn walk<R: Read, E>(
    entries: tar::Entries<'_, R>,
    mut visit: impl FnMut(&Head, &mut Entry<'_, R>) -> Result<(), E>,
) -> Result<(), Refused<E>> {
    let (mut long_path, mut long_link) = (None, None);
    for entry in entries.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        match kind.as_byte() {
            b'L' => long_path = Some(long_name(&mut entry)?),
            b'K' => long_link = Some(long_name(&mut entry)?),
            b'x' => {
                let records = extension(&mut entry)?;
                let refused = |what| Refused::Extension(entry.path_bytes().into_owned(), what);
                for record in PaxExtensions::new(&records) {
                    let record = record?;
                    match record.key_bytes() {
                        b"path" => long_path = Some(record.value_bytes().to_vec()),
                        b"linkpath" => long_link = Some(record.value_bytes().to_vec()),
                        b"size" => return Err(refused("a PAX record that changes its size")),
                        key if key.starts_with(b"GNU.sparse.") => {
                            return Err(refused("a sparse file"));
                        }
                        _ => {}
                    }
                }
            }
            // Applies to all that follows; container engines ignore it (git archive writes one).
            b'g' => drop(extension(&mut entry)?),
            _ => {
                let header = entry.header();
                let path = long_path
                    .take()
                    .unwrap_or_else(|| header.path_bytes().into_owned());
                let link = long_link
                    .take()
                    .or_else(|| Some(header.link_name_bytes()?.into_owned()));
                // Before POSIX a folder was a regular file whose name ends in a slash.
                let old_folder = kind.as_byte() == 0 && path.ends_with(b"/");
                let head = Head {
                    link: link.unwrap_or_default(),
                    kind: if old_folder {
                        EntryType::Directory
                    } else {
                        kind
                    },
                    size: header.entry_size()?,
                    mode: header.mode()?,
                    uid: header.uid()?,
                    gid: header.gid()?,
                    mtime: header.mtime()?,
                    path,
                };
                visit(&head, &mut entry).map_err(Refused::Visitor)?;
            }
        }
    }
    Ok(())
}

fn extension<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    let size = entry.header().entry_size()?;
    if size > EXTENSION_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a tar extension of {size} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// A GNU long name ends at its first NUL.
fn long_name<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    let mut bytes = extension(entry)?;
    if let Some(end) = bytes.iter().position(|b| *b == 0) {
        bytes.truncate(end);
    }
    Ok(bytes)
}
