//! What a module is and wants, found without running it; and whether the vkernel can serve it.
//!
//! [`analyse`] validates the module, then collects [`Facts`]. It refuses what could only fail
//! later: imports that no personality offers, proposals the engine does not have, files that are
//! not core modules. It does not change the module; `normalise` does.

mod error;
mod imports;
pub(crate) mod library;

use std::collections::{BTreeMap, BTreeSet};

use vkernel_abi::{personality::Personality, snapshot, wali};
use wasmparser::{
    ExternalKind, FuncType, MemoryType, Operator, Parser, Payload, TypeRef, ValType, Validator,
    WasmFeatures,
};

pub use error::{AnalysisError, Problem};
pub use imports::ImportProblem;
pub use library::{Library, is_one as is_library};

/// The proposals that the engine is built with: wasmtime's defaults (WebAssembly 3.0) without
/// garbage collection, exceptions and threads, which its `runtime`-only build leaves out.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM3
    .difference(WasmFeatures::GC_TYPES)
    .difference(WasmFeatures::EXCEPTIONS)
    .difference(WasmFeatures::THREADS);

/// What modules of the Linux personality may use besides: exceptions, by which C's `longjmp` works,
/// and threads.
pub const FEATURES_LINUX: WasmFeatures = FEATURES
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::THREADS);

/// What is known about a valid module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Functions it imports, in the order of the import section.
    pub imports: Vec<Import>,
    /// What it exports, in the order of the export section.
    pub exports: Vec<Export>,
    /// Its memory, if it has one.
    pub memory: Option<Memory>,
    /// Whether it defines that memory as shared, as some toolchains do; others import it.
    pub defines_shared: bool,
    /// Index of its start function, if it has one.
    pub start: Option<u32>,
    /// Parameters and results of the exported function that programs are entered by
    /// ([`snapshot::START`]), if there is one.
    pub entry: Option<(Vec<ValType>, Vec<ValType>)>,
    /// Its mutable globals, in the order of their indices.
    pub mutable_globals: Vec<MutableGlobal>,
    /// The first instruction found that changes a table, with its byte offset.
    pub table_write: Option<(&'static str, u64)>,
    /// Number of passive data segments.
    pub passive_segments: u32,
    /// Whether `memory.init` or `data.drop` occurs, so that data segments keep their indices.
    pub names_data: bool,
    /// Number of functions defined in it.
    pub functions: u32,
    /// Which operating system it is written for.
    pub personality: Personality,
    /// Shared libraries that it uses, by name, with what it relies on.
    pub uses: Vec<(String, String)>,
    /// Types of the functions that it exports, if it uses libraries: these may import them.
    pub exported_types: BTreeMap<String, FuncType>,
    /// What it is if it is a shared library and no program.
    pub library: Option<Box<Library>>,
}

/// An imported function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Import module: a personality's name.
    pub module: String,
    /// Field.
    pub field: String,
    /// Byte offset of the import in the module.
    pub offset: u64,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: ExternalKind,
    /// Index in the index space of its kind.
    pub index: u32,
}

/// Limits of the memory, in WebAssembly pages of 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Initial size.
    pub minimum: u64,
    /// Largest size, if it declares one.
    pub maximum: Option<u64>,
}

/// A mutable global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MutableGlobal {
    /// Index in the module.
    pub index: u32,
    /// Type.
    pub ty: ValType,
}

impl Facts {
    /// The function exported under this name.
    pub fn exported_function(&self, name: &str) -> Option<u32> {
        self.exports
            .iter()
            .find(|e| e.name == name && e.kind == ExternalKind::Func)
            .map(|e| e.index)
    }

    /// Names `module.field` of all imports, sorted, each once.
    pub fn import_names(&self) -> Vec<String> {
        let names: BTreeSet<_> = self
            .imports
            .iter()
            .map(|i| format!("{}.{}", i.module, i.field))
            .collect();
        names.into_iter().collect()
    }

    /// Why this module cannot be started as a program, or `None` when it can.
    pub fn program_obstacle(&self) -> Option<Problem> {
        let found = match &self.entry {
            Some((parameters, results)) if parameters.is_empty() && results.is_empty() => {
                return None;
            }
            Some((parameters, results)) => {
                let list = |types: &[ValType]| {
                    let names: Vec<String> = types.iter().map(ValType::to_string).collect();
                    format!("({})", names.join(", "))
                };
                format!(
                    "`_start` has the type {} -> {}",
                    list(parameters),
                    list(results)
                )
            }
            None if self.exports.is_empty() => "it exports nothing".to_owned(),
            None => "it exports no function `_start`".to_owned(),
        };
        Some(Problem::NoProgram { found })
    }

    /// Why no snapshot of this module can be taken, or `None` when one can: a snapshot holds
    /// memory and numeric globals, so nothing else may change before it.
    pub fn snapshot_obstacle(&self) -> Option<String> {
        if self.memory.is_none() {
            return Some("it has no memory to save".into());
        }
        if let Some((instruction, offset)) = self.table_write {
            return Some(format!(
                "it changes a table (`{instruction}` at byte {offset:#x}), and tables are not \
                 part of a snapshot"
            ));
        }
        if let Some(g) = self.mutable_globals.iter().find(|g| !is_numeric(g.ty)) {
            return Some(format!(
                "its mutable global {} is a {}, and only i32, i64, f32 and f64 can be saved",
                g.index, g.ty
            ));
        }
        // A Linux program comes to its snapshot point from `_start`, by a call.
        let mut imports = self.imports.iter();
        let has_point =
            imports.any(|i| i.module == wali::MODULE && i.field == wali::SNAPSHOT_POINT);
        let entries: &[&str] = match self.personality {
            Personality::Wasi => &[snapshot::INIT, snapshot::RESUME],
            Personality::Linux if !has_point => {
                return Some(format!(
                    "it has no snapshot point: it does not call `vkernel_snapshot` of \
                     <vkernel/snapshot.h> (the import `{}.{}`)",
                    wali::MODULE,
                    wali::SNAPSHOT_POINT
                ));
            }
            Personality::Linux => &[snapshot::RESUME],
        };
        entries
            .iter()
            .find(|name| self.exported_function(name).is_none())
            .map(|name| format!("it does not export the function `{name}`"))
    }
}

/// Whether a global of this type can be saved in an index.
pub(crate) fn is_numeric(ty: ValType) -> bool {
    matches!(
        ty,
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
    )
}

/// Validates `wasm` and collects what is known about it. `name` is for messages.
pub fn analyse(name: &str, wasm: &[u8]) -> Result<Facts, AnalysisError> {
    collect(wasm).map_err(|problem| AnalysisError {
        name: name.into(),
        problem,
    })
}

fn collect(wasm: &[u8]) -> Result<Facts, Problem> {
    error::check_magic(wasm)?;
    if library::is_one(wasm) {
        return library::collect(wasm);
    }
    let mut facts = Facts {
        imports: Vec::new(),
        exports: Vec::new(),
        memory: None,
        defines_shared: false,
        start: None,
        entry: None,
        mutable_globals: Vec::new(),
        table_write: None,
        passive_segments: 0,
        names_data: false,
        functions: 0,
        personality: Personality::Wasi,
        uses: library::uses(wasm)?,
        exported_types: BTreeMap::new(),
        library: None,
    };
    let mut shared = None;
    // Before validation, for the sake of better messages than "threads are not enabled".
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::MemorySection(section) => {
                for memory in section.into_iter_with_offsets() {
                    let (offset, memory) = memory?;
                    // Imports come first (core spec 5.5.2): the personality is known.
                    let mut own = memory;
                    own.shared &= facts.personality == Personality::Wasi;
                    facts.memory = Some(check_memory(facts.memory, own, offset as u64)?);
                    facts.defines_shared = memory.shared;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    if Personality::of([import.module]) == Personality::Linux {
                        facts.personality = Personality::Linux;
                    }
                    match import.ty {
                        // Shared, it is the process's, and its threads have it in common.
                        TypeRef::Memory(memory) if memory.shared => {
                            shared = Some((offset as u64, memory));
                        }
                        TypeRef::Memory(memory) => {
                            check_memory(None, memory, offset as u64)?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if let Some((offset, memory)) = shared {
        let memory = match facts.personality {
            Personality::Linux => MemoryType {
                shared: false,
                ..memory
            },
            Personality::Wasi => memory,
        };
        facts.memory = Some(check_memory(facts.memory, memory, offset)?);
    }
    let features = match facts.personality {
        Personality::Linux => FEATURES_LINUX,
        Personality::Wasi => FEATURES,
    };
    let types = Validator::new_with_features(features).validate_all(wasm)?;
    let mut globals = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    // Function imports come first in the function index space.
                    let function = facts.imports.len() as u32;
                    if facts.personality == Personality::Linux
                        && matches!(import.ty, TypeRef::Memory(m) if m.shared)
                    {
                        continue;
                    }
                    imports::check(&import, offset as u64, function, &types)?;
                    facts.imports.push(Import {
                        module: import.module.into(),
                        field: import.name.into(),
                        offset: offset as u64,
                    });
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let ty = global?.ty;
                    if ty.mutable {
                        facts.mutable_globals.push(MutableGlobal {
                            index: globals,
                            ty: ty.content_type,
                        });
                    }
                    globals += 1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.name == snapshot::START && export.kind == ExternalKind::Func {
                        let types = types.as_ref();
                        let ty = types[types.core_function_at(export.index)].unwrap_func();
                        facts.entry = Some((ty.params().to_vec(), ty.results().to_vec()));
                    }
                    if !facts.uses.is_empty() && export.kind == ExternalKind::Func {
                        let types = types.as_ref();
                        let ty = types[types.core_function_at(export.index)].unwrap_func();
                        facts.exported_types.insert(export.name.into(), ty.clone());
                    }
                    facts.exports.push(Export {
                        name: export.name.into(),
                        kind: export.kind,
                        index: export.index,
                    });
                }
            }
            Payload::StartSection { func, .. } => facts.start = Some(func),
            Payload::DataSection(section) => {
                for data in section {
                    if matches!(data?.kind, wasmparser::DataKind::Passive) {
                        facts.passive_segments += 1;
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                facts.functions += 1;
                scan(&body, &mut facts)?;
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn check_memory(
    before: Option<Memory>,
    memory: MemoryType,
    offset: u64,
) -> Result<Memory, Problem> {
    let refused = [
        (
            before.is_some(),
            "more than one memory",
            "link the program with a single memory",
        ),
        (
            memory.shared,
            "a shared memory",
            "build the program without threads (`-matomics`)",
        ),
        (
            memory.memory64,
            "a 64-bit memory",
            "build the program for wasm32",
        ),
        (
            memory.page_size_log2.is_some(),
            "a custom page size",
            "use pages of 64 KiB",
        ),
    ];
    for (is_so, feature, hint) in refused {
        if is_so {
            return Err(Problem::NotYetSupported {
                feature,
                offset,
                hint,
            });
        }
    }
    Ok(Memory {
        minimum: memory.initial,
        maximum: memory.maximum,
    })
}

/// Looks through a function for what concerns snapshots and data segments.
fn scan(body: &wasmparser::FunctionBody<'_>, facts: &mut Facts) -> Result<(), Problem> {
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset()?;
        let table_write = match operator {
            Operator::TableSet { .. } => "table.set",
            Operator::TableGrow { .. } => "table.grow",
            Operator::TableFill { .. } => "table.fill",
            Operator::TableCopy { .. } => "table.copy",
            Operator::TableInit { .. } => "table.init",
            Operator::MemoryInit { .. } | Operator::DataDrop { .. } => {
                facts.names_data = true;
                continue;
            }
            _ => continue,
        };
        facts
            .table_write
            .get_or_insert((table_write, offset as u64));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
