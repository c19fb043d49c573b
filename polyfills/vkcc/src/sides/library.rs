//! What a program's linker has to know of a library: read from the module.

use std::{fs, ops::Range, path::Path};

use sha2::{Digest as _, Sha256};
use vkernel_abi::library::{self as abi, Description};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

use crate::error::{Error, IoContext, Result};

/// A library.
pub(super) struct Library {
    pub(super) name: String,
    pub(super) identity: String,
    pub(super) memory: Range<u32>,
    pub(super) slots: Range<u32>,
    /// Libraries that it calls, with their identities.
    pub(super) needs: Vec<(String, String)>,
    /// Functions that it offers, in the order of their slots.
    pub(super) functions: Vec<(String, FuncType)>,
    /// Functions of the program that it calls. System calls of its own are among them, under [`call_of`] their names.
    pub(super) imports: Vec<(String, FuncType)>,
    /// Whether one of its functions is to be called before all others.
    pub(super) start: bool,
}

/// The function that prepares a library: its constructors, and the streams of the program.
pub(super) fn start_of(name: &str) -> String {
    format!("__library_start.{name}")
}

/// The program's function that makes a system call for its libraries: what they import is the program's.
pub(super) fn call_of(name: &str) -> String {
    format!("{CALL}{name}")
}

/// The system call that such a function makes.
pub(super) fn called(name: &str) -> Option<&str> {
    name.strip_prefix(CALL)
}

const CALL: &str = "__library_call.";

impl Library {
    /// Whether a file is one.
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        let mut payloads = Parser::new(0).parse_all(bytes);
        bytes.starts_with(b"\0asm")
            && payloads.any(|payload| {
                matches!(payload, Ok(Payload::CustomSection(custom)) if custom.name() == abi::SECTION)
            })
    }

    pub(super) fn read(path: &Path) -> Result<Library> {
        let bytes = fs::read(path).doing("reading", path)?;
        let unfit = |why: String| Error::Library {
            path: path.to_owned(),
            why,
        };
        let found = Library::of(&bytes)
            .map_err(|error| unfit(format!("it cannot be read: {error}")))?
            .ok_or_else(|| unfit("what it says of itself cannot be: make it again".to_owned()))?;
        match identity(&found.name, &found.memory, &found.slots, &found.functions) {
            Some(identity) if identity == found.identity => Ok(found),
            _ => Err(unfit(
                "it offers other functions than it says: make it again".to_owned(),
            )),
        }
    }

    fn of(bytes: &[u8]) -> wasmparser::Result<Option<Library>> {
        let (mut types, mut of) = (Vec::<Option<FuncType>>::new(), Vec::new());
        let (mut imports, mut functions, mut text) = (Vec::new(), Vec::new(), String::new());
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(groups) => {
                    for group in groups {
                        for ty in group?.into_types() {
                            types.push(match ty.composite_type.inner {
                                wasmparser::CompositeInnerType::Func(ty) => Some(ty),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
                            of.push(ty);
                            let ty = types.get(ty as usize).cloned().flatten();
                            imports.extend(ty.map(|ty| (import.name.to_owned(), ty)));
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        of.push(ty?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        let ty = of.get(export.index as usize);
                        let ty = ty.and_then(|ty| types.get(*ty as usize)?.clone());
                        match (export.kind, ty) {
                            (ExternalKind::Func, Some(ty)) => {
                                functions.push((export.name.to_owned(), ty));
                            }
                            _ => return Ok(None),
                        }
                    }
                }
                Payload::CustomSection(custom) if custom.name() == abi::SECTION => {
                    text = String::from_utf8_lossy(custom.data()).into_owned();
                }
                _ => {}
            }
        }
        let Some(description) = Description::read(&text) else {
            return Ok(None);
        };
        if functions.len() > description.slots.len() {
            return Ok(None);
        }
        let start = start_of(description.name);
        Ok(Some(Library {
            name: description.name.to_owned(),
            identity: description.identity.to_owned(),
            memory: description.memory.clone(),
            slots: description.slots.clone(),
            needs: description
                .needs()
                .map(|(name, identity)| (name.to_owned(), identity.to_owned()))
                .collect(),
            start: functions.iter().any(|(name, _)| *name == start),
            functions,
            imports,
        }))
    }
}

/// What programs that call a library rely on; `None` if a function has a type that C has none of.
pub(super) fn identity(
    name: &str,
    memory: &Range<u32>,
    slots: &Range<u32>,
    functions: &[(String, FuncType)],
) -> Option<String> {
    let mut digest = Sha256::new();
    let [place, slots] = [memory, slots].map(|range| format!("{} {}", range.start, range.len()));
    digest.update(format!("{}\n{name}\n{place} {slots}\n", abi::IDENTITY));
    for (name, ty) in functions {
        let [params, results] = [ty.params(), ty.results()].map(letters);
        digest.update(format!("{name} {}>{}\n", params?, results?));
    }
    let digest: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(format!("sha256:{digest}"))
}

fn letters(types: &[ValType]) -> Option<String> {
    let letter = |ty: &ValType| match ty {
        ValType::I32 => Some('i'),
        ValType::I64 => Some('I'),
        ValType::F32 => Some('f'),
        ValType::F64 => Some('F'),
        _ => None,
    };
    types.iter().map(letter).collect()
}
