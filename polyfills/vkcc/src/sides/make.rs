//! `-shared -mside-module=ADDRESS:BYTES:SLOT:COUNT`: links a library.
//!
//! It is linked as a program is, at the place that it is to have in every program, and then made a library: its
//! memory, table and stack become the program's, its functions go to the first of its slots, and what the
//! linker exported is all that it offers. Functions of the C library that it calls are imports, to be had from the
//! program, but for those that do nothing except to look at what they are given: the library has its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use vkernel_abi::{library as abi, wali};
use wasm_encoder::{
    CustomSection, Elements, EntityType, ExportKind, GlobalType, MemoryType, RawSection, RefType,
    Section as _, TableType,
    reencode::{Reencode as _, RoundtripReencoder},
};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef};

use super::{
    library::{Library, call_of, identity, start_of},
    trampolines,
};
use crate::{
    command::{Command, Item},
    compile, conversions,
    environment::{Environment, Variant},
    error::{Error, IoContext, Result},
    libraries::{Kind, Offered, objects_of},
    model,
    place::Place,
    process::execute,
};

/// Functions of libc that do nothing but look at what they are given, or write there.
const PURE: &[&str] = &[
    "memccpy",
    "memchr",
    "memcmp",
    "memcpy",
    "memmem",
    "memmove",
    "mempcpy",
    "memrchr",
    "memset",
    "stpcpy",
    "stpncpy",
    "strcasecmp",
    "strcat",
    "strchr",
    "strchrnul",
    "strcmp",
    "strcpy",
    "strcspn",
    "strlcat",
    "strlcpy",
    "strlen",
    "strncasecmp",
    "strncat",
    "strncmp",
    "strncpy",
    "strnlen",
    "strpbrk",
    "strrchr",
    "strspn",
    "strstr",
    "tolower",
    "toupper",
    "isupper",
    "islower",
];

/// Variables of libc's that never change: a library gets their values when it starts. It can have no others of the
/// program.
const STREAMS: &[&str] = &["stdin", "stdout", "stderr"];

/// Makes the library.
pub(crate) fn make(
    environment: &Environment,
    command: &Command,
    variant: Variant,
    place: &Place,
    items: &[Item],
) -> Result<u8> {
    let output = command
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from("a.out"));
    let refused = |why: String| Error::Library {
        path: output.clone(),
        why,
    };
    let file_name = output
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let name = command.soname.clone().unwrap_or(file_name);
    if !abi::is_name(&name) {
        return Err(refused(format!("a library cannot be called `{name}`")));
    }
    if variant == Variant::Single {
        return Err(refused(
            "side modules are for programs with threads: add -pthread".to_owned(),
        ));
    }
    if command.show_only {
        return Ok(0);
    }
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let made = tempfile::Builder::new()
        .prefix(".vkcc-")
        .tempdir_in(&folder)
        .doing("making a folder in", &folder)?;

    // Other libraries that this one calls; the rest of what `-l` names is the program's.
    let (sides, items) = super::Sides::read(environment, command, variant, items, made.path())?;
    let items: Vec<Item> = items
        .into_iter()
        .filter(|item| !matches!(item, Item::Library(_)))
        .collect();
    let (archives, items): (Vec<Item>, Vec<Item>) = items.into_iter().partition(
        |item| matches!(item, Item::Object(path) if Path::new(path).starts_with(made.path())),
    );
    let Offered {
        objects,
        symbols,
        needed,
        has_constructors,
    } = objects_of(environment, &items, made.path())?;
    for (name, _, of_threads) in &symbols {
        if *of_threads {
            return Err(refused(format!(
                "its variable {name} is one of which each thread has its own (__thread): a side module cannot \
                 have these, use pthread_getspecific"
            )));
        }
    }
    let wanted = match &command.exports {
        Some(list) => Some(read_list(Path::new(list))?),
        None => None,
    };
    let mut offered: BTreeSet<String> = symbols
        .iter()
        .filter(|(_, kind, _)| matches!(kind, Kind::Function(_)))
        .map(|(name, ..)| name.clone())
        .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted.contains(name)))
        .collect();
    if offered.is_empty() {
        return Err(refused("it offers no function".to_owned()));
    }
    let start = start_of(&name);
    let starts = has_constructors || STREAMS.iter().any(|name| needed.contains(*name));
    if starts {
        offered.insert(start.clone());
    }
    let first_own = place.slots.start.saturating_add(offered.len() as u32);
    if first_own >= place.slots.end {
        return Err(refused(format!(
            "it offers {} functions, and has {} slots: make it with another -mside-module",
            offered.len(),
            place.slots.len()
        )));
    }

    let start_object = match starts {
        true => Some(start_object(environment, variant, &start, made.path())?),
        false => None,
    };
    let pure = pure(environment, variant, made.path())?;
    let module = made.path().join("module.wasm");
    let mut linker = environment.tool("wasm-ld");
    linker
        .arg("-o")
        .arg(&module)
        .args(["--no-entry", "--import-table", "--stack-first"])
        .args(["-z", "stack-size=16", "--import-undefined"])
        .arg(format!("--global-base={}", place.memory.start))
        .arg(format!("--table-base={first_own}"))
        .args(compile::EXCEPTIONS)
        .args(offered.iter().map(|name| format!("--export={name}")))
        .args(start_object)
        .args(&objects)
        .args(pure);
    for item in archives {
        if let Item::Object(path) = item {
            linker.arg(path);
        }
    }
    linker.arg(
        environment
            .libraries(variant)
            .join("libclang_rt.builtins.a"),
    );
    let failed = execute(linker, command)?;
    if failed != 0 {
        return Ok(failed);
    }
    let mut bytes = fs::read(&module).doing("reading", &module)?;
    let unreadable = |error: &dyn std::fmt::Display| {
        refused(format!(
            "the linker wrote a module that cannot be read: {error}"
        ))
    };
    if let Some(converted) = conversions::rewrite(&bytes).map_err(|error| unreadable(&error))? {
        bytes = converted;
    }
    let linked = Linked::read(&bytes).map_err(|error| unreadable(&error))?;
    linked.check(place).map_err(&refused)?;
    let functions = linked.functions(&offered).map_err(&refused)?;
    let with_types: Vec<(String, FuncType)> = functions
        .iter()
        .map(|(name, (_, ty))| (name.clone(), ty.clone()))
        .collect();
    let identity = identity(&name, &place.memory, &place.slots, &with_types)
        .ok_or_else(|| refused("it offers a function of a type that C has none of".to_owned()))?;
    let needs = sides.needed_by(&linked.slots_called);
    let text = describe(&name, &identity, place, &needs);
    let indices: Vec<u32> = functions.values().map(|(index, _)| *index).collect();
    let names: Vec<&String> = functions.keys().collect();
    let bytes =
        dressed(&bytes, place, (&names, &indices), &text).map_err(|error| unreadable(&error))?;
    let bytes = model::once(&bytes).map_err(|error| unreadable(&error))?;
    fs::write(&module, &bytes).doing("writing", &module)?;
    Library::read(&module)?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&module, mode).doing("making executable", &module)?;
    fs::rename(&module, &output).doing("putting into place", &output)?;
    Ok(0)
}

/// The names in a file, one in a line; what follows a space is a comment.
fn read_list(path: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(path).doing("reading", path)?;
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    Ok(text.lines().filter_map(first).collect())
}

/// The function that prepares the library.
fn start_object(
    environment: &Environment,
    variant: Variant,
    name: &str,
    folder: &Path,
) -> Result<PathBuf> {
    let (source, object) = (folder.join("start.c"), folder.join("start.o"));
    let text = format!(
        "#define OWN __attribute__((visibility(\"hidden\")))\n\
         OWN void *stdin, *stdout, *stderr;\n\
         void __wasm_call_ctors(void);\n\
         void start(void *, void *, void *) __asm__(\"{name}\");\n\
         void start(void *in, void *out, void *err)\n\
         {{\n\tstdin = in;\n\tstdout = out;\n\tstderr = err;\n\t__wasm_call_ctors();\n}}\n"
    );
    fs::write(&source, text).doing("writing", &source)?;
    trampolines::compiled(environment, variant, &source, &object)?;
    Ok(object)
}

/// Objects of libc's that the library may have for itself.
fn pure(environment: &Environment, variant: Variant, folder: &Path) -> Result<Vec<PathBuf>> {
    let archive = environment.libraries(variant).join("libc.a");
    let bytes = super::contents(&archive)?;
    let mut files = Vec::new();
    for (name, contents) in crate::libraries::members(&archive, &bytes)? {
        if name
            .strip_suffix(".o")
            .is_some_and(|name| PURE.contains(&name))
        {
            let file = folder.join(format!("libc.{name}"));
            fs::write(&file, contents).doing("writing", &file)?;
            files.push(file);
        }
    }
    Ok(files)
}

fn describe(name: &str, identity: &str, place: &Place, needs: &[(&str, &str)]) -> String {
    let mut text = format!(
        "{}\nname {name}\nidentity {identity}\nmemory {} {}\nslots {} {}\n",
        abi::FIRST_LINE,
        place.memory.start,
        place.memory.len(),
        place.slots.start,
        place.slots.len()
    );
    for (name, identity) in needs {
        text.push_str(&format!("needs {name} {identity}\n"));
    }
    text
}

/// What the linker made.
#[derive(Default)]
struct Linked {
    types: Vec<Option<FuncType>>,
    of: Vec<u32>,
    exports: BTreeMap<String, u32>,
    /// Mutable globals among its own, and whether the first one is.
    mutable: u32,
    first_is_mutable: bool,
    /// What it imports or has that a library cannot.
    odd: Option<&'static str>,
    table: u64,
    pages: u64,
    data_end: u64,
    data_start: u64,
    /// Slots of other libraries that it calls.
    slots_called: BTreeSet<u32>,
}

impl Linked {
    fn read(bytes: &[u8]) -> wasmparser::Result<Linked> {
        let mut linked = Linked {
            data_start: u64::MAX,
            ..Linked::default()
        };
        for payload in Parser::new(0).parse_all(bytes) {
            linked.see(payload?)?;
        }
        Ok(linked)
    }

    fn see(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group?.into_types() {
                        self.types.push(match ty.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(ty) => Some(ty),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => self.of.push(ty),
                        TypeRef::Table(table) => self.table = table.initial,
                        TypeRef::Memory(_) => self.odd = Some("a memory that it shares"),
                        TypeRef::Global(_) => self.odd = Some("variables of the program"),
                        TypeRef::Tag(_) => self.odd = Some("exceptions of the program"),
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.of.push(ty?);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.pages = self.pages.max(memory?.initial);
                }
            }
            Payload::TagSection(_) => self.odd = Some("exceptions, or longjmp"),
            Payload::StartSection { .. } => self.odd = Some("a start function"),
            Payload::GlobalSection(section) => {
                for (at, global) in section.into_iter().enumerate() {
                    let mutable = global?.ty.mutable;
                    self.mutable += u32::from(mutable);
                    self.first_is_mutable |= at == 0 && mutable;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.exports.insert(export.name.to_owned(), export.index);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                // A trampoline has its slot in the instruction before the call.
                let mut before = None;
                for operator in body.get_operators_reader()? {
                    match operator? {
                        wasmparser::Operator::I32Const { value } => {
                            before = Some(value.cast_unsigned())
                        }
                        wasmparser::Operator::CallIndirect { .. } => {
                            self.slots_called.extend(before.take())
                        }
                        _ => before = None,
                    }
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    let wasmparser::DataKind::Active { offset_expr, .. } = data.kind else {
                        self.odd = Some("data that are nowhere");
                        continue;
                    };
                    if let wasmparser::Operator::I32Const { value } =
                        offset_expr.get_operators_reader().read()?
                    {
                        let start = u64::from(value.cast_unsigned());
                        self.data_start = self.data_start.min(start);
                        self.data_end = self.data_end.max(start + data.data.len() as u64);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self, place: &Place) -> std::result::Result<(), String> {
        if let Some(odd) = self.odd {
            return Err(format!("it has {odd}, which a side module cannot"));
        }
        if self.mutable != 1 || !self.first_is_mutable {
            return Err("it has variables of WebAssembly's, which a side module cannot".to_owned());
        }
        // Variables without a value are not among the data: the pages of the memory count them.
        let end = self.data_end.max(self.pages * 65536);
        if self.data_start < place.memory.start.into() || end > place.memory.end.into() {
            return Err(format!(
                "its data take {} bytes, and it has {}: make it with another -mside-module",
                end - u64::from(place.memory.start),
                place.memory.len()
            ));
        }
        if self.table > place.slots.end.into() {
            return Err(format!(
                "it needs {} slots, and has {}: make it with another -mside-module",
                self.table - u64::from(place.slots.start),
                place.slots.len()
            ));
        }
        Ok(())
    }

    /// What it offers, with the functions' indices and types.
    fn functions(
        &self,
        offered: &BTreeSet<String>,
    ) -> std::result::Result<BTreeMap<String, (u32, FuncType)>, String> {
        offered
            .iter()
            .map(|name| {
                let found = self.exports.get(name).and_then(|index| {
                    let ty = self.of.get(*index as usize)?;
                    Some((*index, self.types.get(*ty as usize)?.clone()?))
                });
                let found = found.ok_or_else(|| format!("the linker left {name} out"))?;
                Ok((name.clone(), found))
            })
            .collect()
    }
}

/// The module as a library.
fn dressed(
    bytes: &[u8],
    place: &Place,
    (names, indices): (&[&String], &[u32]),
    text: &str,
) -> std::result::Result<Vec<u8>, wasm_encoder::reencode::Error> {
    let mut same = RoundtripReencoder;
    let mut out = bytes.get(..8).unwrap_or_default().to_vec();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(section) => {
                let mut imports = wasm_encoder::ImportSection::new();
                for import in section.clone().into_imports() {
                    let import = import?;
                    let ty = match same.entity_type(import.ty)? {
                        EntityType::Table(_) => EntityType::Table(TableType {
                            element_type: RefType::FUNCREF,
                            table64: false,
                            minimum: place.slots.end.into(),
                            maximum: None,
                            shared: false,
                        }),
                        other => other,
                    };
                    match import.module {
                        wali::MODULE => imports.import(abi::ENV, &call_of(import.name), ty),
                        module => imports.import(module, import.name, ty),
                    };
                }
                let stack = GlobalType {
                    val_type: wasm_encoder::ValType::I32,
                    mutable: true,
                    shared: false,
                };
                imports.import(abi::ENV, abi::STACK_POINTER, EntityType::Global(stack));
                let memory = MemoryType {
                    minimum: u64::from(place.memory.end / 65536),
                    maximum: Some(65536),
                    memory64: false,
                    shared: true,
                    page_size_log2: None,
                };
                imports.import(abi::ENV, abi::MEMORY, EntityType::Memory(memory));
                imports.append_to(&mut out);
            }
            Payload::MemorySection(_) => {}
            // The first one, which is the stack pointer, is an import now: no index changes.
            Payload::GlobalSection(section) => {
                let mut globals = wasm_encoder::GlobalSection::new();
                for global in section.clone().into_iter().skip(1) {
                    same.parse_global(&mut globals, global?)?;
                }
                if !globals.is_empty() {
                    globals.append_to(&mut out);
                }
            }
            Payload::ExportSection(_) => {
                let mut exports = wasm_encoder::ExportSection::new();
                for (name, index) in names.iter().zip(indices) {
                    exports.export(name, ExportKind::Func, *index);
                }
                exports.append_to(&mut out);
                if !has_elements(bytes) {
                    elements(place, indices, None)?.append_to(&mut out);
                }
            }
            Payload::ElementSection(section) => {
                elements(place, indices, Some(section.clone()))?.append_to(&mut out);
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    let data = bytes.get(range).unwrap_or_default();
                    RawSection { id, data }.append_to(&mut out);
                }
            }
        }
    }
    let custom = CustomSection {
        name: abi::SECTION.into(),
        data: text.as_bytes().into(),
    };
    custom.append_to(&mut out);
    Ok(out)
}

fn has_elements(bytes: &[u8]) -> bool {
    let mut payloads = Parser::new(0).parse_all(bytes);
    payloads.any(|payload| matches!(payload, Ok(Payload::ElementSection(_))))
}

/// The functions that are offered, in the first slots; and what the linker put into others.
fn elements(
    place: &Place,
    indices: &[u32],
    others: Option<wasmparser::ElementSectionReader<'_>>,
) -> std::result::Result<wasm_encoder::ElementSection, wasm_encoder::reencode::Error> {
    let mut section = wasm_encoder::ElementSection::new();
    let offset = wasm_encoder::ConstExpr::i32_const(place.slots.start.cast_signed());
    section.active(None, &offset, Elements::Functions(indices.into()));
    for element in others.into_iter().flatten() {
        RoundtripReencoder.parse_element(&mut section, element?)?;
    }
    Ok(section)
}
