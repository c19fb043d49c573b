//! Shared libraries, and what programs say of those that they use (`vkernel_abi::library`).
//!
//! A library has nothing of its own but code, data and slots: memory, table and stack are the program's, and whatever it
//! calls is a function of the program. So it needs no permission, and the program's imports stay all that it can do.

use std::ops::Range;

use vkernel_abi::{
    library::{self as abi, Description},
    personality::Personality,
};
use wasmparser::{
    DataKind, ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValType, Validator,
};

use super::{FEATURES_LINUX, Facts, Memory, Problem};
use megabinary_format::Digest;

/// What is known about a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// What programs rely on.
    pub identity: String,
    /// Where its data are.
    pub memory: Range<u32>,
    /// Its slots.
    pub slots: Range<u32>,
    /// Libraries that it calls, with their identities.
    pub needs: Vec<(String, String)>,
    /// Functions that it offers.
    pub functions: u32,
    /// Functions of the program that it calls.
    pub imports: Vec<(String, FuncType)>,
}

/// Whether a module says that it is a library.
pub fn is_one(wasm: &[u8]) -> bool {
    section(wasm, abi::SECTION).is_some()
}

/// The libraries that a program says it uses, with their identities.
pub(crate) fn uses(wasm: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let Some(data) = section(wasm, abi::USES) else {
        return Ok(Vec::new());
    };
    let text = std::str::from_utf8(data).ok();
    let all = text
        .and_then(abi::uses)
        .ok_or_else(|| wrong("its list of shared libraries cannot be read".to_owned()))?;
    let mut all: Vec<(String, String)> = all
        .map(|(name, identity)| (name.to_owned(), identity.to_owned()))
        .collect();
    all.sort();
    match all.is_sorted_by(|a, b| a.0 < b.0) {
        true => Ok(all),
        false => Err(wrong("it lists a shared library twice".to_owned())),
    }
}

fn section<'a>(wasm: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Parser::new(0)
        .parse_all(wasm)
        .find_map(|payload| match payload {
            Ok(Payload::CustomSection(custom)) if custom.name() == name => Some(custom.data()),
            _ => None,
        })
}

fn wrong(problem: String) -> Problem {
    Problem::Library { problem }
}

/// Validates a library and collects what is known about it.
pub(crate) fn collect(wasm: &[u8]) -> Result<Facts, Problem> {
    let text = section(wasm, abi::SECTION).and_then(|data| std::str::from_utf8(data).ok());
    let described = text.and_then(Description::read).ok_or_else(|| {
        wrong("what it says of itself as a shared library cannot be read".to_owned())
    })?;
    Validator::new_with_features(FEATURES_LINUX).validate_all(wasm)?;
    let mut found = Found {
        slots: described.slots.clone(),
        memory: described.memory.clone(),
        ..Found::default()
    };
    for payload in Parser::new(0).parse_all(wasm) {
        found.see(payload?)?;
    }
    let [place, slots] = [&described.memory, &described.slots]
        .map(|range| format!("{} {}", range.start, range.len()));
    let mut lines = format!("{}\n{}\n{place} {slots}\n", abi::IDENTITY, described.name);
    for (name, ty) in &found.exports {
        let [params, results] = [ty.params(), ty.results()].map(letters);
        lines.push_str(&format!("{name} {params}>{results}\n"));
    }
    let identity = format!("sha256:{}", Digest::of(lines.as_bytes()).hex());
    if identity != described.identity {
        return Err(wrong(format!(
            "the shared library offers other functions than it says: they are {identity}, it says {}",
            described.identity
        )));
    }
    if found.exports.len() > described.slots.len() || !found.has_memory {
        return Err(wrong(
            "the shared library has no memory, or more functions than slots".to_owned(),
        ));
    }
    Ok(Facts {
        imports: Vec::new(),
        exports: Vec::new(),
        memory: Some(Memory {
            minimum: u64::from(described.memory.end) / megabinary_format::WASM_PAGE,
            maximum: None,
        }),
        defines_shared: false,
        start: None,
        entry: None,
        mutable_globals: Vec::new(),
        table_write: None,
        passive_segments: 0,
        names_data: false,
        functions: found.functions,
        personality: Personality::Linux,
        uses: Vec::new(),
        exported_types: Default::default(),
        library: Some(Box::new(Library {
            name: described.name.to_owned(),
            identity,
            memory: described.memory.clone(),
            slots: described.slots.clone(),
            needs: described
                .needs()
                .map(|(name, identity)| (name.to_owned(), identity.to_owned()))
                .collect(),
            functions: found.exports.len() as u32,
            imports: found.imports,
        })),
    })
}

#[derive(Default)]
struct Found {
    types: Vec<FuncType>,
    of: Vec<u32>,
    exports: Vec<(String, FuncType)>,
    imports: Vec<(String, FuncType)>,
    functions: u32,
    slots: Range<u32>,
    memory: Range<u32>,
    has_memory: bool,
}

impl Found {
    fn ty(&self, function: u32) -> Result<FuncType, Problem> {
        let ty = self.of.get(function as usize);
        let ty = ty.and_then(|ty| self.types.get(*ty as usize));
        ty.cloned()
            .ok_or_else(|| wrong("a function of the shared library has no type".to_owned()))
    }

    fn see(&mut self, payload: Payload<'_>) -> Result<(), Problem> {
        let refuse = |what: &str| Err(wrong(format!("a shared library cannot have {what}")));
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group?.into_types() {
                        match ty.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(ty) => self.types.push(ty),
                            _ => return refuse("types of objects"),
                        }
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let known = match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.of.push(ty);
                            let ty = self.ty(self.of.len() as u32 - 1)?;
                            self.imports.push((import.name.to_owned(), ty));
                            true
                        }
                        TypeRef::Memory(memory) => {
                            let known = import.name == abi::MEMORY && memory.shared;
                            let is_first = !std::mem::replace(&mut self.has_memory, true);
                            known && is_first && !memory.memory64 && memory.page_size_log2.is_none()
                        }
                        TypeRef::Table(table) => {
                            import.name == abi::TABLE && table.initial <= self.slots.end.into()
                        }
                        TypeRef::Global(global) => {
                            let is_i32 = global.content_type == ValType::I32 && global.mutable;
                            import.name == abi::STACK_POINTER && is_i32
                        }
                        TypeRef::Tag(_) => false,
                    };
                    if !known || import.module != abi::ENV {
                        return refuse(&format!("the import `{}.{}`", import.module, import.name));
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.of.push(ty?);
                    self.functions += 1;
                }
            }
            Payload::MemorySection(_) => return refuse("a memory of its own"),
            Payload::TableSection(_) => return refuse("a table of its own"),
            Payload::TagSection(_) => return refuse("exceptions"),
            Payload::StartSection { .. } => return refuse("a start function"),
            Payload::GlobalSection(section) => {
                for global in section {
                    if global?.ty.mutable {
                        return refuse("variables of WebAssembly's");
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind != ExternalKind::Func {
                        return refuse("exports that are no functions");
                    }
                    self.exports
                        .push((export.name.to_owned(), self.ty(export.index)?));
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    let wasmparser::ElementKind::Active { offset_expr, .. } = element.kind else {
                        continue;
                    };
                    let count = match &element.items {
                        wasmparser::ElementItems::Functions(items) => items.count(),
                        wasmparser::ElementItems::Expressions(_, items) => items.count(),
                    };
                    let start = constant(&offset_expr)?;
                    let end = u64::from(start) + u64::from(count);
                    if start < self.slots.start || end > self.slots.end.into() {
                        return refuse("functions in slots that are not its own");
                    }
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    let DataKind::Active { offset_expr, .. } = data.kind else {
                        return refuse("data that are nowhere");
                    };
                    let start = constant(&offset_expr)?;
                    let end = u64::from(start) + data.data.len() as u64;
                    if start < self.memory.start || end > self.memory.end.into() {
                        return refuse("data outside of its place in memory");
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    if matches!(
                        operator?,
                        Operator::TableSet { .. }
                            | Operator::TableGrow { .. }
                            | Operator::TableFill { .. }
                            | Operator::TableCopy { .. }
                            | Operator::TableInit { .. }
                            | Operator::MemoryInit { .. }
                            | Operator::DataDrop { .. }
                    ) {
                        return refuse("instructions that change tables or copy segments");
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn constant(expression: &wasmparser::ConstExpr<'_>) -> Result<u32, Problem> {
    let mut operators = expression.get_operators_reader();
    match (operators.read()?, operators.read()?) {
        (Operator::I32Const { value }, Operator::End) => Ok(value.cast_unsigned()),
        _ => Err(wrong(
            "a shared library cannot have a place that is computed".to_owned(),
        )),
    }
}

/// As `vkcc` writes types; `?` for those that C has none of, so that no identity fits.
fn letters(types: &[ValType]) -> String {
    let letter = |ty: &ValType| match ty {
        ValType::I32 => 'i',
        ValType::I64 => 'I',
        ValType::F32 => 'f',
        ValType::F64 => 'F',
        _ => '?',
    };
    types.iter().map(letter).collect()
}
