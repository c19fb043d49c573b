//! The snapshot dump: how a program stopped at its snapshot point is handed to the builder.
//!
//! A private file between two parts of the same build: header, tables, then what the memory holds
//! besides zeros. It is not signed; the builder starts the process that writes it. The program in that
//! process is as hostile as any: what it can influence is read as such.

use std::io;

use crate::{
    FormatError, Global, GlobalValue, PAGE, ProcessState, WASM_PAGE, WASM_PAGES_MAX,
    cursor::Cursor,
    layout::*,
    process::{StateTables, States},
};

const WHAT: &str = "snapshot dump";
const MAGIC: &[u8; 8] = b"VKMBDMP\0";
const MAJOR: u16 = 2;

/// A memory, the mutable globals and, of the Linux personality, the process at the snapshot point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotDump {
    /// Size of the memory in WebAssembly pages of 64 KiB.
    pub pages: u64,
    /// What of the memory is not zero, sorted, with something between them.
    pub memory: Vec<Stretch>,
    /// Mutable globals, sorted by index.
    pub globals: Vec<Global>,
    /// What the vkernel knows of a process of the Linux personality.
    pub process: Option<ProcessState>,
}

/// Contents of a memory from one place on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where they begin; a multiple of 4096.
    pub offset: u64,
    /// A multiple of 4096 bytes, at least one.
    pub bytes: Vec<u8>,
}

impl SnapshotDump {
    /// Of a program of which there is nothing else to know. What follows the last whole page of 64 KiB is
    /// left out.
    pub fn of(memory: &[u8], globals: Vec<Global>) -> SnapshotDump {
        let mut dump = SnapshotDump {
            pages: memory.len() as u64 / WASM_PAGE,
            globals,
            ..SnapshotDump::default()
        };
        for (number, page) in (0..).zip(memory.as_chunks::<{ PAGE as usize }>().0) {
            dump.add_page(number * PAGE, page);
        }
        dump
    }

    /// Adds a page behind all others, unless it is zero.
    pub fn add_page(&mut self, offset: u64, page: &[u8; PAGE as usize]) {
        if page.iter().all(|b| *b == 0) {
            return;
        }
        match self.memory.last_mut() {
            Some(last) if last.offset + last.bytes.len() as u64 == offset => {
                last.bytes.extend_from_slice(page);
            }
            _ => self.memory.push(Stretch {
                offset,
                bytes: page.to_vec(),
            }),
        }
    }

    /// Bytes of the memory that are written.
    pub fn stored(&self) -> u64 {
        self.memory.iter().map(|s| s.bytes.len() as u64).sum()
    }

    /// Writes a dump. Nothing is checked; [`SnapshotDump::decode`] does.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let count = |len: usize| {
            u32::try_from(len).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "a snapshot of too many parts")
            })
        };
        let mut tables = StateTables::default();
        if let Some(state) = &self.process {
            tables.put(state);
        }
        let mut head = Vec::new();
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&MAJOR.to_le_bytes());
        head.extend_from_slice(&0u16.to_le_bytes());
        head.extend_from_slice(&count(self.globals.len())?.to_le_bytes());
        head.extend_from_slice(&self.pages.to_le_bytes());
        for (table, record) in [
            (&tables.states, STATE),
            (&tables.extents, EXTENT),
            (&tables.actions, ACTION),
        ] {
            head.extend_from_slice(&count(table.len() / record as usize)?.to_le_bytes());
        }
        head.extend_from_slice(&count(self.memory.len())?.to_le_bytes());
        for global in &self.globals {
            put_global(&mut head, global);
        }
        for table in [&tables.states, &tables.extents, &tables.actions] {
            head.extend_from_slice(table);
        }
        for stretch in &self.memory {
            head.extend_from_slice(&stretch.offset.to_le_bytes());
            head.extend_from_slice(&(stretch.bytes.len() as u64).to_le_bytes());
        }
        out.write_all(&head)?;
        self.memory
            .iter()
            .try_for_each(|stretch| out.write_all(&stretch.bytes))
    }

    /// Reads a dump; total.
    pub fn decode(bytes: &[u8]) -> Result<SnapshotDump, FormatError> {
        let mut c = Cursor::new(WHAT, bytes);
        c.magic_version(MAGIC, (MAJOR, 0), "2.0")?;
        let (count, pages) = (c.u32()?, c.u64()?);
        if pages > WASM_PAGES_MAX {
            return Err(c.unknown("number of pages", pages));
        }
        let (states, extents, actions, stretches) = (c.u32()?, c.u32()?, c.u32()?, c.u32()?);
        let mut table = |count: u32, record: u64| {
            c.take(u64::from(count) * record)
                .map(|bytes| Cursor::new(WHAT, bytes))
        };
        let mut globals_table = table(count, GLOBAL)?;
        let mut states_tables = States {
            states: table(states, STATE)?,
            extents: table(extents, EXTENT)?,
            actions: table(actions, ACTION)?,
        };
        let mut stretches_table = table(stretches, STRETCH)?;
        let mut globals = Vec::with_capacity(count as usize);
        for _ in 0..count {
            globals.push(take_global(&mut globals_table)?);
        }
        if !globals.is_sorted_by(|a, b| a.index < b.index) {
            return Err(c.inconsistent("globals are not sorted by index, each once"));
        }
        let process = match states {
            0 => None,
            1 => Some(states_tables.next()?),
            more => return Err(c.unknown("number of processes", more.into())),
        };
        states_tables.finish()?;
        let mut memory = Vec::with_capacity(stretches as usize);
        // Between two stretches is at least a page.
        let mut free_from = 0;
        for _ in 0..stretches {
            let (offset, len) = (stretches_table.u64()?, stretches_table.u64()?);
            let end = offset
                .checked_add(len)
                .filter(|end| *end <= pages * WASM_PAGE)
                .filter(|_| offset % PAGE == 0 && len % PAGE == 0 && len > 0)
                .filter(|_| offset >= free_from);
            let Some(end) = end else {
                return Err(c.inconsistent(format!(
                    "a stretch of {len:#x} bytes at {offset:#x} is empty, not of whole pages, overlaps or \
                     continues the one before, or leaves the memory"
                )));
            };
            free_from = end + PAGE;
            let bytes = c.take(len)?.to_vec();
            memory.push(Stretch { offset, bytes });
        }
        c.finish()?;
        if let Some(process) = &process {
            let inside = memory
                .iter()
                .map(|s| (s.offset, s.offset + s.bytes.len() as u64));
            process.check(pages).map_err(|p| c.inconsistent(p))?;
            if !process.has_room_for(inside) {
                return Err(c.inconsistent("memory has contents where nothing is mapped"));
            }
        }
        Ok(SnapshotDump {
            pages,
            memory,
            globals,
            process,
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
