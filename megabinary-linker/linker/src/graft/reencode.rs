//! Writes the combined module.
//!
//! Every section of main is re-encoded with its function indices mapped, and the glue's items are
//! appended to it. The `name` section of main is kept, other custom sections are dropped: DWARF
//! and source maps speak of code offsets, which change.

use std::ops::Range;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, EntityType, ExportKind,
    ExportSection, FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection,
    Module, StartSection, TableSection, TypeSection, ValType,
};
use wasmparser::{ExternalKind, KnownCustom, Parser, Payload};

use super::resolve::Plan;
use super::{GraftError, blob};

type Fault = Error<std::convert::Infallible>;

impl From<Fault> for GraftError {
    fn from(error: Fault) -> Self {
        Self::Encode(error.to_string())
    }
}

fn malformed(error: wasmparser::BinaryReaderError) -> GraftError {
    GraftError::Encode(error.to_string())
}

/// Maps main's indices.
struct Main<'p, 'a> {
    plan: &'p Plan<'a>,
    /// Names belong to the function they were given to, not to its replacement.
    naming: bool,
}

impl Reencode for Main<'_, '_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Fault> {
        Ok(match self.plan.replace.get(&index) {
            Some(replacement) if !self.naming => *replacement,
            _ => self.plan.main_function(index),
        })
    }
}

/// Maps the glue's indices.
struct Glue<'p, 'a>(&'p Plan<'a>);

impl Reencode for Glue<'_, '_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Fault> {
        Ok(self.0.glue_function(index))
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Fault> {
        // An index out of range is left for the validator to refuse.
        Ok(self
            .0
            .glue_globals
            .get(index as usize)
            .copied()
            .unwrap_or(u32::MAX))
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Fault> {
        Ok(self.0.main.types + index)
    }
}

#[derive(Default)]
struct Sections {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    start: Option<u32>,
    elements: ElementSection,
    data_count: Option<u32>,
    code: CodeSection,
    data: DataSection,
    names: Option<wasm_encoder::NameSection>,
}

pub(super) fn combine(
    main: &[u8],
    glue: &[u8],
    plan: &Plan<'_>,
    without: &[Range<u32>],
) -> Result<Vec<u8>, GraftError> {
    let mut out = Sections::default();
    take_main(&mut out, main, plan, without)?;
    for (module, field, ty) in &plan.imports {
        out.imports
            .import(module, field, EntityType::Function(plan.main.types + ty));
    }
    for number in &plan.constants {
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: false,
            shared: false,
        };
        out.globals.global(ty, &ConstExpr::i32_const(*number));
    }
    take_glue(&mut out, glue, plan)?;
    let writer = plan.main.types + count_types(glue)?;
    if !plan.writers.is_empty() {
        out.types.ty().function([ValType::I32], []);
    }
    for bytes in &plan.writers {
        out.functions.function(writer);
        out.code.function(&blob::writer(bytes));
    }
    for (name, kind, index) in &plan.exports {
        let kind = match kind {
            ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag => ExportKind::Tag,
        };
        out.exports.export(name, kind, *index);
    }
    Ok(write(&out))
}

fn take_main(
    out: &mut Sections,
    main: &[u8],
    plan: &Plan<'_>,
    without: &[Range<u32>],
) -> Result<(), GraftError> {
    let mut map = Main {
        plan,
        naming: false,
    };
    for payload in Parser::new(0).parse_all(main) {
        match payload.map_err(malformed)? {
            Payload::TypeSection(s) => map.parse_type_section(&mut out.types, s)?,
            Payload::ImportSection(s) => map.parse_import_section(&mut out.imports, s)?,
            Payload::FunctionSection(s) => map.parse_function_section(&mut out.functions, s)?,
            Payload::TableSection(s) => map.parse_table_section(&mut out.tables, s)?,
            Payload::MemorySection(s) => map.parse_memory_section(&mut out.memories, s)?,
            Payload::GlobalSection(s) => map.parse_global_section(&mut out.globals, s)?,
            Payload::ExportSection(s) => map.parse_export_section(&mut out.exports, s)?,
            Payload::StartSection { func, .. } => out.start = Some(map.function_index(func)?),
            Payload::ElementSection(s) => map.parse_element_section(&mut out.elements, s)?,
            Payload::DataCountSection { count, .. } => out.data_count = Some(count),
            Payload::DataSection(s) if without.is_empty() => {
                map.parse_data_section(&mut out.data, s)?;
            }
            Payload::DataSection(s) => trimmed_data(out, &mut map, s, without)?,
            Payload::CodeSectionEntry(body) => map.parse_function_body(&mut out.code, body)?,
            Payload::CustomSection(s) => {
                if let KnownCustom::Name(reader) = s.as_known() {
                    map.naming = true;
                    // A damaged name section is dropped: it is no part of the semantics.
                    out.names = map.custom_name_section(reader).ok();
                    map.naming = false;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn take_glue(out: &mut Sections, glue: &[u8], plan: &Plan<'_>) -> Result<(), GraftError> {
    let mut map = Glue(plan);
    for payload in Parser::new(0).parse_all(glue) {
        match payload.map_err(malformed)? {
            Payload::TypeSection(s) => map.parse_type_section(&mut out.types, s)?,
            Payload::FunctionSection(s) => map.parse_function_section(&mut out.functions, s)?,
            Payload::GlobalSection(s) => map.parse_global_section(&mut out.globals, s)?,
            Payload::CodeSectionEntry(body) => map.parse_function_body(&mut out.code, body)?,
            _ => {}
        }
    }
    Ok(())
}

fn count_types(module: &[u8]) -> Result<u32, GraftError> {
    let mut count = 0;
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::TypeSection(s) = payload.map_err(malformed)? {
            count += s.into_iter_err_on_gc_types().count() as u32;
        }
    }
    Ok(count)
}

/// Copies main's data except for the ranges that become zero.
fn trimmed_data(
    out: &mut Sections,
    map: &mut Main<'_, '_>,
    section: wasmparser::DataSectionReader<'_>,
    without: &[Range<u32>],
) -> Result<(), GraftError> {
    if out.data_count.is_some() {
        return Err(GraftError::Encode(
            "data cannot be left out of a module that numbers its data segments".to_owned(),
        ));
    }
    for segment in section {
        let segment = segment.map_err(malformed)?;
        let start = match &segment.kind {
            wasmparser::DataKind::Active {
                memory_index: 0,
                offset_expr,
            } => match offset_expr.get_operators_reader().read() {
                Ok(wasmparser::Operator::I32Const { value }) => Some(value as u32),
                _ => None,
            },
            _ => None,
        };
        let Some(start) = start else {
            map.parse_data(&mut out.data, segment)?;
            continue;
        };
        for (at, bytes) in keep(start, segment.data, without) {
            let offset = ConstExpr::i32_const(at as i32);
            out.data.active(0, &offset, bytes.iter().copied());
        }
    }
    Ok(())
}

/// The parts of a segment outside the given ranges.
fn keep<'d>(start: u32, bytes: &'d [u8], without: &[Range<u32>]) -> Vec<(u32, &'d [u8])> {
    let mut parts = vec![(u64::from(start), bytes)];
    for range in without {
        let (from, to) = (u64::from(range.start), u64::from(range.end));
        parts = parts
            .into_iter()
            .flat_map(|(at, bytes)| {
                let end = at + bytes.len() as u64;
                let head = from.clamp(at, end) - at;
                let tail = to.clamp(at, end).max(at + head) - at;
                let (before, rest) = bytes.split_at(head as usize);
                let after = rest.get((tail - head) as usize..).unwrap_or_default();
                [(at, before), (at + tail, after)]
            })
            .filter(|(_, bytes)| !bytes.is_empty())
            .collect();
    }
    parts
        .into_iter()
        .map(|(at, bytes)| (at as u32, bytes))
        .collect()
}

fn write(out: &Sections) -> Vec<u8> {
    let mut module = Module::new();
    module.section(&out.types);
    if !out.imports.is_empty() {
        module.section(&out.imports);
    }
    module.section(&out.functions);
    if !out.tables.is_empty() {
        module.section(&out.tables);
    }
    if !out.memories.is_empty() {
        module.section(&out.memories);
    }
    if !out.globals.is_empty() {
        module.section(&out.globals);
    }
    if !out.exports.is_empty() {
        module.section(&out.exports);
    }
    if let Some(function_index) = out.start {
        module.section(&StartSection { function_index });
    }
    if !out.elements.is_empty() {
        module.section(&out.elements);
    }
    if let Some(count) = out.data_count {
        module.section(&DataCountSection { count });
    }
    module.section(&out.code);
    if !out.data.is_empty() {
        module.section(&out.data);
    }
    if let Some(names) = &out.names {
        module.section(names);
    }
    module.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    // One range really is one range here.
    #[allow(clippy::single_range_in_vec_init)]
    fn parts_kept() {
        let check = |without: &[Range<u32>], expected: &[(u32, &[u8])]| {
            assert_eq!(keep(10, b"abcdef", without), expected, "{without:?}");
        };
        check(&[], &[(10, b"abcdef")]);
        check(&[0..10, 16..99], &[(10, b"abcdef")]);
        check(&[0..12], &[(12, b"cdef")]);
        check(&[14..99], &[(10, b"abcd")]);
        check(&[12..14], &[(10, b"ab"), (14, b"ef")]);
        check(&[11..12, 13..14], &[(10, b"a"), (12, b"c"), (14, b"ef")]);
        check(&[0..99], &[]);
        check(&[12..12], &[(10, b"ab"), (12, b"cdef")]);
    }
}
