//! Turns a module into the one that is compiled: same code, its state made visible.
//!
//! A normalised module has no active data segments (their bytes are the *cold contents*, mapped
//! by the engine before the first instruction), no start section (the function is exported
//! instead), and exports its memory and every mutable global under the names in
//! `vkernel_abi::snapshot`. One compiled module thus serves the cold start and every snapshot.
//!
//! A memory that is defined as shared becomes an import, as most toolchains have it: every thread has
//! an instance, and all of them the one memory.
//!
//! Its memory keeps the module's own minimum. A snapshot may need more pages: the engine's memory
//! creator provides `MemoryImage.pages` pages from the start, which is what `memory.grow` had
//! done before the snapshot was taken, and never less than the minimum.
//!
//! Invariant: no index of any index space changes, so code, elements and the name section (kept,
//! because trap reports use it) stay as they are, byte for byte. Other custom sections are dropped.

use std::collections::BTreeMap;

use megabinary_format::{PAGE, SnapshotDump, WASM_PAGE};
use vkernel_abi::snapshot;
use wasm_encoder::{Encode, ExportKind, RawSection};
use wasmparser::{
    BinaryReader, BinaryReaderError, DataKind, ExternalKind, Operator, Parser, Payload,
};

use crate::analysis::{Facts, Memory, is_numeric};

/// A normalised module with the contents that its memory starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// The module to compile.
    pub wasm: Vec<u8>,
    /// What active data segments would have written.
    pub cold: Contents,
}

/// Contents of a linear memory: its pages that are not all zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Size of the memory in WebAssembly pages of 64 KiB.
    pub pages: u64,
    /// Host pages of 4096 bytes that are not all zero, by page number.
    pub contents: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
}

/// Why a valid module cannot be normalised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NormaliseError {
    /// It already uses a name that the vkernel needs.
    #[error("it exports `{0}`, a name that the vkernel keeps for itself; rename the export")]
    ReservedExport(String),
    /// A data segment at an address that is not a plain number.
    #[error(
        "data segment {segment} (at byte {offset:#x}) starts at a computed address; only \
         `i32.const` is supported: link the program without position-independent code"
    )]
    ComputedOffset {
        /// Position in the data section.
        segment: u32,
        /// Byte offset in the module.
        offset: u64,
    },
    /// A data segment outside the initial memory.
    #[error(
        "data segment {segment} (at byte {offset:#x}) ends at address {end:#x}, beyond the \
         initial memory of {size:#x} bytes; it would trap when started"
    )]
    OutOfBounds {
        /// Position in the data section.
        segment: u32,
        /// Byte offset in the module.
        offset: u64,
        /// Address of its end.
        end: u64,
        /// Size of the initial memory in bytes.
        size: u64,
    },
    /// The module is malformed; only when it was not analysed before.
    #[error("not a valid WebAssembly module: {message} (at byte {offset:#x})")]
    Malformed {
        /// The parser's message.
        message: String,
        /// Byte offset in the module.
        offset: u64,
    },
}

impl From<BinaryReaderError> for NormaliseError {
    fn from(e: BinaryReaderError) -> NormaliseError {
        NormaliseError::Malformed {
            message: e.message().into(),
            offset: e.offset() as u64,
        }
    }
}

impl Contents {
    /// The contents of a whole memory, whose length is a multiple of 4096 bytes.
    #[cfg(test)]
    pub(crate) fn of(memory: &[u8]) -> Contents {
        let mut out = Contents {
            pages: memory.len() as u64 / WASM_PAGE,
            ..Contents::default()
        };
        for (number, page) in memory.as_chunks::<{ PAGE as usize }>().0.iter().enumerate() {
            if page.iter().any(|b| *b != 0) {
                out.contents.insert(number as u64, Box::new(*page));
            }
        }
        out
    }

    /// Writes `bytes` at `address`.
    fn write(&mut self, mut address: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let start = (address % PAGE) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE as usize - start));
            let page = self
                .contents
                .entry(address / PAGE)
                .or_insert_with(|| Box::new([0; PAGE as usize]));
            page[start..start + now.len()].copy_from_slice(now);
            address += now.len() as u64;
            bytes = later;
        }
    }
}

impl From<&SnapshotDump> for Contents {
    fn from(dump: &SnapshotDump) -> Contents {
        let mut out = Contents {
            pages: dump.pages,
            ..Contents::default()
        };
        for stretch in &dump.memory {
            let pages = stretch.bytes.as_chunks::<{ PAGE as usize }>().0;
            for (number, page) in (stretch.offset / PAGE..).zip(pages) {
                if page.iter().any(|b| *b != 0) {
                    out.contents.insert(number, Box::new(*page));
                }
            }
        }
        out
    }
}

/// Normalises a module that [`analyse`](crate::analyse) accepted with these facts.
pub fn normalise(wasm: &[u8], facts: &Facts) -> Result<Normalised, NormaliseError> {
    let mut cold = Contents {
        pages: facts.memory.map_or(0, |m| m.minimum),
        contents: BTreeMap::new(),
    };
    // The data section is needed only for passive segments and instructions that name segments.
    let keep_data = facts.passive_segments > 0 || facts.names_data;
    let mut exports = Some(exports(facts)?);
    let mut out = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        // Sections that stand after the export section (core spec 5.5.2) make sure it is there.
        let after_exports = matches!(
            payload,
            Payload::ExportSection(_)
                | Payload::StartSection { .. }
                | Payload::ElementSection(_)
                | Payload::DataCountSection { .. }
                | Payload::CodeSectionStart { .. }
                | Payload::DataSection(_)
                | Payload::End(_)
        );
        if after_exports && let Some(exports) = exports.take() {
            out.section(&exports);
        }
        match &payload {
            Payload::ExportSection(_) | Payload::StartSection { .. } => continue,
            Payload::MemorySection(_) if facts.defines_shared => continue,
            Payload::ImportSection(section) if facts.defines_shared => {
                if let (Some(data), Some(memory)) = (wasm.get(section.range()), facts.memory) {
                    let data = with_memory(data, section.count(), memory)?;
                    out.section(&RawSection { id: 2, data: &data });
                }
                continue;
            }
            Payload::DataCountSection { .. } if !keep_data => continue,
            Payload::CustomSection(section) if section.name() != "name" => continue,
            Payload::DataSection(section) => {
                let rest = data(section.clone(), &mut cold)?;
                if keep_data {
                    out.section(&rest);
                }
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && let Some(data) = wasm.get(range)
        {
            out.section(&RawSection { id, data });
        }
    }
    cold.contents.retain(|_, page| page.iter().any(|b| *b != 0));
    Ok(Normalised {
        wasm: out.finish(),
        cold,
    })
}

/// An import section's contents, and the import of a shared memory after them.
fn with_memory(imports: &[u8], count: u32, memory: Memory) -> Result<Vec<u8>, NormaliseError> {
    let mut reader = BinaryReader::new(imports, 0);
    reader.read_var_u32()?;
    let mut out = Vec::with_capacity(imports.len() + 32);
    (count + 1).encode(&mut out);
    out.extend_from_slice(reader.read_bytes(reader.bytes_remaining())?);
    "env".encode(&mut out);
    snapshot::MEMORY.encode(&mut out);
    let ty = wasm_encoder::MemoryType {
        minimum: memory.minimum,
        maximum: memory.maximum,
        memory64: false,
        shared: true,
        page_size_log2: None,
    };
    wasm_encoder::EntityType::Memory(ty).encode(&mut out);
    Ok(out)
}

/// The module's exports and the vkernel's.
fn exports(facts: &Facts) -> Result<wasm_encoder::ExportSection, NormaliseError> {
    let mut section = wasm_encoder::ExportSection::new();
    let mut has_memory = false;
    for export in &facts.exports {
        let kind = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag => ExportKind::Tag,
        };
        let is_memory = export.name == snapshot::MEMORY;
        let ours = export.name.starts_with(snapshot::GLOBAL_PREFIX)
            || export.name == snapshot::START_FUNCTION
            || is_memory && kind != ExportKind::Memory;
        if ours {
            return Err(NormaliseError::ReservedExport(export.name.clone()));
        }
        has_memory |= is_memory;
        section.export(&export.name, kind, export.index);
    }
    if facts.memory.is_some() && !has_memory {
        section.export(snapshot::MEMORY, ExportKind::Memory, 0);
    }
    for global in facts.mutable_globals.iter().filter(|g| is_numeric(g.ty)) {
        let name = format!("{}{}", snapshot::GLOBAL_PREFIX, global.index);
        section.export(&name, ExportKind::Global, global.index);
    }
    if let Some(start) = facts.start {
        section.export(snapshot::START_FUNCTION, ExportKind::Func, start);
    }
    Ok(section)
}

/// Writes active segments into `cold`; gives the data section with empty passive ones instead.
fn data(
    section: wasmparser::DataSectionReader<'_>,
    cold: &mut Contents,
) -> Result<wasm_encoder::DataSection, NormaliseError> {
    let mut rest = wasm_encoder::DataSection::new();
    let size = cold.pages * WASM_PAGE;
    for (segment, data) in section.into_iter_with_offsets().enumerate() {
        let (offset, data) = data?;
        let (segment, offset) = (segment as u32, offset as u64);
        let DataKind::Active { offset_expr, .. } = data.kind else {
            rest.passive(data.data.iter().copied());
            continue;
        };
        let mut operators = offset_expr.get_operators_reader();
        let address = match (operators.read()?, operators.read()?) {
            (Operator::I32Const { value }, Operator::End) => u64::from(value as u32),
            _ => return Err(NormaliseError::ComputedOffset { segment, offset }),
        };
        let end = address + data.data.len() as u64;
        if end > size {
            return Err(NormaliseError::OutOfBounds {
                segment,
                offset,
                end,
                size,
            });
        }
        cold.write(address, data.data);
        // An active segment is dropped once applied (core spec 4.5.4): the same as empty.
        rest.passive([]);
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse;

    fn run(text: &str) -> Result<Normalised, NormaliseError> {
        let wasm = wat::parse_str(text).unwrap();
        let facts = analyse("m", &wasm).unwrap();
        let out = normalise(&wasm, &facts)?;
        analyse("normalised", &out.wasm).expect("a normalised module is valid");
        Ok(out)
    }

    fn refused(text: &str, expected: &str) {
        let message = run(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn state_becomes_visible() {
        let out = run(r#"(module
            (memory 1) (global (mut i32) (i32.const 7)) (global i32 (i32.const 1))
            (global (mut i64) (i64.const 8)) (func $s) (start $s)
            (data (i32.const 16) "hello") (@custom ".debug_info" "x"))"#)
        .unwrap();
        let facts = analyse("m", &out.wasm).unwrap();
        let names: Vec<_> = facts.exports.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "memory",
                "vkernel.global.0",
                "vkernel.global.2",
                "vkernel.start"
            ]
        );
        assert_eq!(facts.start, None);
        assert_eq!(out.cold.pages, 1);
        assert_eq!(out.cold.contents.len(), 1);
        assert_eq!(out.cold.contents[&0][16..21], *b"hello");
        assert!(!out.wasm.windows(5).any(|w| w == b"hello"));
        assert!(!out.wasm.windows(6).any(|w| w == b".debug"));
    }

    #[test]
    fn names_are_kept() {
        let out = run("(module $prog (func $readable_name))").unwrap();
        assert!(out.wasm.windows(13).any(|w| w == b"readable_name"));
    }

    #[test]
    fn data_indices_are_kept_when_code_names_them() {
        let out = run(r#"(module (memory 1)
            (data (i32.const 0) "active") (data $p "passive")
            (func (memory.init $p (i32.const 8) (i32.const 0) (i32.const 7)) (data.drop 0)))"#)
        .unwrap();
        let facts = analyse("m", &out.wasm).unwrap();
        assert_eq!(facts.passive_segments, 2);
        assert_eq!(out.cold.contents[&0][..6], *b"active");
        assert!(out.wasm.windows(7).any(|w| w == b"passive"));
    }

    #[test]
    fn segments_cross_pages_overwrite_and_vanish_when_zero() {
        let out = run(r#"(module (memory 2)
            (data (i32.const 4094) "abcd") (data (i32.const 4095) "X")
            (data (i32.const 20000) "\00\00"))"#)
        .unwrap();
        assert_eq!(
            out.cold.contents.keys().copied().collect::<Vec<_>>(),
            [0, 1]
        );
        assert_eq!(out.cold.contents[&0][4094..], *b"aX");
        assert_eq!(out.cold.contents[&1][..3], *b"cd\0");
    }

    #[test]
    fn a_memory_that_is_defined_as_shared_is_imported() {
        let out = run(r#"(module
            (import "wali" "SYS_getpid" (func (result i64)))
            (memory (export "memory") 2 10 shared) (func (export "_start"))
            (data (i32.const 16) "hello"))"#)
        .unwrap();
        let facts = analyse("m", &out.wasm).unwrap();
        assert!(!facts.defines_shared);
        let memory = Memory {
            minimum: 2,
            maximum: Some(10),
        };
        assert_eq!(facts.memory, Some(memory));
        assert_eq!(out.cold.contents[&0][16..21], *b"hello");
    }

    #[test]
    fn an_existing_memory_export_stays() {
        let out = run("(module (memory (export \"memory\") 1))").unwrap();
        assert_eq!(analyse("m", &out.wasm).unwrap().exports.len(), 1);
        run("(module)").unwrap();
    }

    #[test]
    fn what_cannot_be_normalised() {
        refused(
            "(module (memory 1) (data (i32.const 65535) \"ab\"))",
            "ends at address 0x10001",
        );
        refused(
            "(module (memory 1) (data (i32.const -1) \"a\"))",
            "0x100000000",
        );
        refused(
            "(module (memory 1) (data (i32.add (i32.const 1) (i32.const 2)) \"a\"))",
            "computed address",
        );
        refused("(module (func (export \"memory\")))", "`memory`");
        refused(
            "(module (func (export \"vkernel.start\")))",
            "`vkernel.start`",
        );
        refused(
            "(module (func (export \"vkernel.global.0\")))",
            "`vkernel.global.0`",
        );
    }
}
