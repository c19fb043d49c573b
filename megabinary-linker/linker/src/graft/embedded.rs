//! Takes a ZIP archive out of a module's initial memory.
//!
//! Runtimes packed by `wasi-vfs` carry their library inside their data. Where a real file serves
//! better (it can be seen, replaced and shared), the archive is cut out here and the addresses
//! are given to [`super::Graft::without`].
//!
//! Invariant: only a complete archive is returned: its end record, its directory and its first
//! entry are where the format says (APPNOTE.TXT 4.3.16).

use std::ops::Range;

use crate::symbols::{SymbolError, Symbols};

/// An archive found in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Where it lies in the initial memory.
    pub addresses: Range<u32>,
    /// The archive.
    pub bytes: Vec<u8>,
}

/// Why no archive was found.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The module cannot be read.
    #[error(transparent)]
    Module(#[from] SymbolError),
    /// There is none, or more than one.
    #[error("the module's data holds {0} ZIP archives; exactly one was expected")]
    Count(usize),
}

/// The largest memory that is worth laying out: wasm32's limit is 4 GiB.
const LIMIT: usize = 1 << 30;
const END: &[u8] = b"PK\x05\x06";
const END_SIZE: usize = 22;

/// Finds the only ZIP archive in the module's active data.
pub fn embedded_zip(module: &[u8]) -> Result<Embedded, EmbeddedError> {
    let symbols = Symbols::read(module)?;
    let mut memory: Vec<u8> = Vec::new();
    for (address, bytes) in &symbols.data {
        let start = *address as usize;
        let Some(end) = start.checked_add(bytes.len()).filter(|e| *e <= LIMIT) else {
            continue;
        };
        if memory.len() < end {
            memory.resize(end, 0);
        }
        if let Some(place) = memory.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
    }
    let mut found: Vec<Range<usize>> = memory
        .windows(END.len())
        .enumerate()
        .filter(|(_, window)| *window == END)
        .filter_map(|(at, _)| archive_ending(&memory, at))
        .collect();
    match (found.len(), found.pop()) {
        (1, Some(range)) => Ok(Embedded {
            bytes: memory.get(range.clone()).unwrap_or_default().to_vec(),
            addresses: range.start as u32..range.end as u32,
        }),
        (count, _) => Err(EmbeddedError::Count(count)),
    }
}

/// The archive whose end record is at `end`, if one is there.
fn archive_ending(memory: &[u8], end: usize) -> Option<Range<usize>> {
    // End record: signature 4, disks 2+2, entries here 2, entries 2, directory size 4, offset 4,
    // comment length 2. Trailing zeros may be missing from the last segment, hence no `get`.
    let byte = |at: usize| memory.get(end + at).copied().unwrap_or(0);
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([byte(at), byte(at + 1)]));
    let u32_at = |at: usize| {
        u32::from_le_bytes([byte(at), byte(at + 1), byte(at + 2), byte(at + 3)]) as usize
    };
    let (entries, size, offset, comment) = (u16_at(10), u32_at(12), u32_at(16), u16_at(20));
    let directory = end.checked_sub(size)?;
    let start = directory.checked_sub(offset)?;
    if entries == 0 || comment != 0 || end + END_SIZE > memory.len() {
        return None;
    }
    let starts = |at: usize, magic: &[u8]| memory.get(at..).is_some_and(|m| m.starts_with(magic));
    (starts(directory, b"PK\x01\x02") && starts(start, b"PK\x03\x04"))
        .then_some(start..end + END_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ZIP of one empty stored file `a`.
    fn zip() -> Vec<u8> {
        let mut z = b"PK\x03\x04".to_vec();
        z.extend_from_slice(&[0; 22]);
        z.extend_from_slice(&[1, 0, 0, 0, b'a']);
        let directory = z.len();
        z.extend_from_slice(b"PK\x01\x02");
        z.extend_from_slice(&[0; 24]);
        z.extend_from_slice(&[1, 0]);
        z.extend_from_slice(&[0; 16]);
        z.push(b'a');
        let size = z.len() - directory;
        z.extend_from_slice(END);
        z.extend_from_slice(&[0, 0, 0, 0, 1, 0, 1, 0]);
        z.extend_from_slice(&(size as u32).to_le_bytes());
        z.extend_from_slice(&(directory as u32).to_le_bytes());
        z.extend_from_slice(&[0, 0]);
        z
    }

    fn module(data: &[u8]) -> Vec<u8> {
        let text: String = data.iter().map(|b| format!("\\{b:02x}")).collect();
        wat::parse_str(format!(
            r#"(module (memory 1) (data (i32.const 100) "{text}") (data (i32.const 900) "PK\05\06..."))"#
        ))
        .unwrap()
    }

    #[test]
    fn finds_the_archive() {
        let found = embedded_zip(&module(&zip())).unwrap();
        assert_eq!(found.bytes, zip());
        assert_eq!(found.addresses, 100..100 + zip().len() as u32);
    }

    #[test]
    fn half_an_archive_is_none() {
        let half = zip().split_off(10);
        assert!(matches!(
            embedded_zip(&module(&half)),
            Err(EmbeddedError::Count(0))
        ));
    }
}
