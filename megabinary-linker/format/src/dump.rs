//! The snapshot dump: how a program stopped at its snapshot point is handed to the builder.
//!
//! A private file between two parts of the same build: header, globals, then the raw memory. It
//! is not signed; the builder starts the process that writes it.

use std::io;

use crate::{
    FormatError, Global, GlobalValue, WASM_PAGE, WASM_PAGES_MAX, cursor::Cursor, layout::*,
};

const WHAT: &str = "snapshot dump";
const MAGIC: &[u8; 8] = b"VKMBDMP\0";
const MAJOR: u16 = 1;

/// A memory and the mutable globals at the snapshot point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotDump {
    /// Size of the memory in WebAssembly pages of 64 KiB.
    pub pages: u64,
    /// All of the memory: `pages` times 64 KiB.
    pub memory: Vec<u8>,
    /// Mutable globals, sorted by index.
    pub globals: Vec<Global>,
}

/// Writes a dump without holding a second copy of the memory. `memory` must be a whole number of
/// WebAssembly pages, at most 65536; otherwise `InvalidInput`.
pub fn write_dump(out: &mut dyn io::Write, globals: &[Global], memory: &[u8]) -> io::Result<()> {
    let pages = memory.len() as u64 / WASM_PAGE;
    let whole = (memory.len() as u64).is_multiple_of(WASM_PAGE) && pages <= WASM_PAGES_MAX;
    let count = u32::try_from(globals.len())
        .ok()
        .filter(|_| whole)
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a memory that is not whole pages of 64 KiB",
            )
        })?;
    let mut head = Vec::with_capacity(24 + globals.len() * GLOBAL as usize);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&MAJOR.to_le_bytes());
    head.extend_from_slice(&0u16.to_le_bytes());
    head.extend_from_slice(&count.to_le_bytes());
    head.extend_from_slice(&pages.to_le_bytes());
    for global in globals {
        put_global(&mut head, global);
    }
    out.write_all(&head)?;
    out.write_all(memory)
}

impl SnapshotDump {
    /// Reads a dump; total.
    pub fn decode(bytes: &[u8]) -> Result<SnapshotDump, FormatError> {
        let mut c = Cursor::new(WHAT, bytes);
        c.magic_version(MAGIC, (MAJOR, 0), "1.0")?;
        let (count, pages) = (c.u32()?, c.u64()?);
        if pages > WASM_PAGES_MAX {
            return Err(c.unknown("number of pages", pages));
        }
        let mut table = Cursor::new(WHAT, c.take(u64::from(count) * GLOBAL)?);
        let mut globals = Vec::with_capacity(count as usize);
        for _ in 0..count {
            globals.push(take_global(&mut table)?);
        }
        if !globals.is_sorted_by(|a, b| a.index < b.index) {
            return Err(c.inconsistent("globals are not sorted by index, each once"));
        }
        let memory = c.take(pages * WASM_PAGE)?.to_vec();
        c.finish()?;
        Ok(SnapshotDump {
            pages,
            memory,
            globals,
        })
    }
}

/// Reads one record of a table of globals.
pub(crate) fn take_global(c: &mut Cursor<'_>) -> Result<Global, FormatError> {
    let (index, kind, value) = (c.u32()?, c.u32()?, c.u64()?);
    let narrow = || u32::try_from(value).map_err(|_| c.unknown("value of a 32-bit global", value));
    let value = match kind {
        GLOBAL_I32 => GlobalValue::I32(narrow()?),
        GLOBAL_I64 => GlobalValue::I64(value),
        GLOBAL_F32 => GlobalValue::F32(narrow()?),
        GLOBAL_F64 => GlobalValue::F64(value),
        other => return Err(c.unknown("type of a global", u64::from(other))),
    };
    Ok(Global { index, value })
}

/// Writes one record of a table of globals.
pub(crate) fn put_global(out: &mut Vec<u8>, global: &Global) {
    let (kind, value) = match global.value {
        GlobalValue::I32(v) => (GLOBAL_I32, u64::from(v)),
        GlobalValue::I64(v) => (GLOBAL_I64, v),
        GlobalValue::F32(v) => (GLOBAL_F32, u64::from(v)),
        GlobalValue::F64(v) => (GLOBAL_F64, v),
    };
    out.extend_from_slice(&global.index.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&value.to_le_bytes());
}
