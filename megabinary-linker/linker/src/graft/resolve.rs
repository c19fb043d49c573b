//! Decides what every import and export of the glue means in the combined index spaces.
//!
//! Functions of the result, in this order: main's imports, new imports, main's functions, the
//! glue's functions, data writers. Globals: main's, then constants for the glue's imports, then
//! the glue's own. Types: main's, the glue's, one for the writers.

use std::collections::BTreeMap;

use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

use super::pattern::{Capture, SelectError, is_path, select};
use super::{GraftError, layout};
use crate::symbols::Symbols;

/// Everything that re-encoding needs to know.
pub(super) struct Plan<'a> {
    pub(super) main: Base,
    /// Imports to append: module, field, type index in the glue.
    pub(super) imports: Vec<(&'a str, &'a str, u32)>,
    /// Final index of each function that the glue imports.
    pub(super) glue_functions: Vec<u32>,
    /// Final index of the first function that the glue defines.
    pub(super) glue_defined: u32,
    /// Final index of each global that the glue imports, and of its own after them.
    pub(super) glue_globals: Vec<u32>,
    /// Values of the constants appended to main's globals.
    pub(super) constants: Vec<i32>,
    /// Bytes of each data writer.
    pub(super) writers: Vec<&'a [u8]>,
    /// Main's function index to the final index of its replacement.
    pub(super) replace: BTreeMap<u32, u32>,
    /// Exports of the glue to add.
    pub(super) exports: Vec<(&'a str, ExternalKind, u32)>,
}

/// Sizes of main's index spaces.
pub(super) struct Base {
    pub(super) types: u32,
    pub(super) imported_functions: u32,
}

impl Plan<'_> {
    /// Final index of a function of main, before replacement.
    pub(super) fn main_function(&self, index: u32) -> u32 {
        if index < self.main.imported_functions {
            index
        } else {
            index + self.imports.len() as u32
        }
    }

    /// Final index of a function of the glue.
    pub(super) fn glue_function(&self, index: u32) -> u32 {
        let imported = self.glue_functions.len() as u32;
        match self.glue_functions.get(index as usize) {
            Some(index) => *index,
            None => self.glue_defined + (index - imported),
        }
    }
}

/// An import of the glue as it was resolved, before final indices are known.
enum Meaning {
    Main(u32),
    New(u32),
    Writer(u32),
}

pub(super) fn plan<'a>(
    main: &Symbols<'a>,
    glue: &Symbols<'a>,
    glue_bytes: &'a [u8],
    data: &[(&'a str, &'a [u8])],
) -> Result<Plan<'a>, GraftError> {
    let mut plan = Plan {
        main: Base {
            types: main.types.len() as u32,
            imported_functions: main.imports.len() as u32,
        },
        imports: Vec::new(),
        glue_functions: Vec::new(),
        glue_defined: 0,
        glue_globals: Vec::new(),
        constants: Vec::new(),
        writers: Vec::new(),
        replace: BTreeMap::new(),
        exports: Vec::new(),
    };
    let mut meanings = Vec::new();
    let main_globals = main.globals.len() as u32;
    for payload in Parser::new(0).parse_all(glue_bytes) {
        let payload = payload.map_err(|e| GraftError::Glue(e.to_string()))?;
        match payload {
            Payload::MemorySection(_) => return Err(GraftError::Forbidden("a memory")),
            Payload::TableSection(_) => return Err(GraftError::Forbidden("a table")),
            Payload::DataSection(s) if s.count() > 0 => {
                return Err(GraftError::Forbidden("data segments"));
            }
            Payload::ElementSection(_) => return Err(GraftError::Forbidden("element segments")),
            Payload::StartSection { .. } => return Err(GraftError::Forbidden("a start function")),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(|e| GraftError::Glue(e.to_string()))?;
                    match import.ty {
                        TypeRef::Func(ty) => {
                            let from = (import.module, import.name);
                            let meaning = function(main, glue, &mut plan, data, from, ty)?;
                            meanings.push(meaning);
                        }
                        TypeRef::Global(ty) => {
                            let number = match import.module {
                                "data" => Some(blob(data, import.name)?.len() as i32),
                                "main" if !ty.mutable => Some(constant(main, import.name)?),
                                "main" => None,
                                _ => return Err(GraftError::Forbidden("an imported global")),
                            };
                            match number {
                                Some(number) => {
                                    if ty.content_type != ValType::I32 || ty.mutable {
                                        return Err(GraftError::Type {
                                            name: import.name.to_owned(),
                                            found: "an immutable i32".to_owned(),
                                            declared: format!("{ty:?}"),
                                        });
                                    }
                                    plan.glue_globals
                                        .push(main_globals + plan.constants.len() as u32);
                                    plan.constants.push(number);
                                }
                                None => plan.glue_globals.push(variable(main, import.name, &ty)?),
                            }
                        }
                        TypeRef::Memory(_) if main.memories == 1 => {}
                        TypeRef::Table(_) if main.tables == 1 => {}
                        _ => {
                            return Err(GraftError::Missing {
                                name: format!("{}.{}", import.module, import.name),
                                reason: "the main module must have exactly one of these",
                            });
                        }
                    }
                }
            }
            _ => {}
        }
    }
    finish(main, glue, plan, &meanings)
}

/// Second half: final indices, exports, replacements.
fn finish<'a>(
    main: &Symbols<'a>,
    glue: &Symbols<'a>,
    mut plan: Plan<'a>,
    meanings: &[Meaning],
) -> Result<Plan<'a>, GraftError> {
    let shift = plan.imports.len() as u32;
    plan.glue_defined = main.functions.len() as u32 + shift;
    let glue_count = (glue.functions.len() - glue.imports.len()) as u32;
    let first_writer = plan.glue_defined + glue_count;
    for meaning in meanings {
        let index = match meaning {
            Meaning::Main(index) => plan.main_function(*index),
            Meaning::New(nth) => plan.main.imported_functions + nth,
            Meaning::Writer(nth) => first_writer + nth,
        };
        plan.glue_functions.push(index);
    }
    let own = main.globals.len() + plan.constants.len();
    let imported = plan.glue_globals.len();
    for nth in 0..glue.globals.len().saturating_sub(imported) {
        plan.glue_globals.push((own + nth) as u32);
    }
    for (name, (kind, index)) in &glue.exports {
        if let Some(target) = name.strip_prefix("replace:") {
            let original = match target.strip_prefix("import:") {
                Some(import) => imported_by(main, import)?,
                None => selected(main, target)?,
            };
            if *kind != ExternalKind::Func {
                return Err(GraftError::Forbidden(
                    "a replacement that is not a function",
                ));
            }
            same_type(name, main.signature(original), glue.signature(*index))?;
            let replacement = plan.glue_function(*index);
            plan.replace.insert(original, replacement);
            continue;
        }
        if main.exports.contains_key(name) {
            return Err(GraftError::Export((*name).to_owned()));
        }
        let index = match kind {
            ExternalKind::Func => plan.glue_function(*index),
            ExternalKind::Global => plan.glue_globals.get(*index as usize).copied().unwrap_or(0),
            _ => *index,
        };
        plan.exports.push((name, *kind, index));
    }
    Ok(plan)
}

fn function<'a>(
    main: &Symbols<'a>,
    glue: &Symbols<'a>,
    plan: &mut Plan<'a>,
    data: &[(&'a str, &'a [u8])],
    (module, name): (&'a str, &'a str),
    ty: u32,
) -> Result<Meaning, GraftError> {
    let declared = glue.types.get(ty as usize);
    match module {
        "data" => {
            same_type(name, Some(&FuncType::new([ValType::I32], [])), declared)?;
            plan.writers.push(blob(data, name)?);
            Ok(Meaning::Writer(plan.writers.len() as u32 - 1))
        }
        "main" => {
            let index = selected(main, name)?;
            same_type(name, main.signature(index), declared)?;
            Ok(Meaning::Main(index))
        }
        _ => {
            if let Some(index) = main.imports.iter().position(|i| *i == (module, name)) {
                same_type(name, main.signature(index as u32), declared)?;
                return Ok(Meaning::Main(index as u32));
            }
            plan.imports.push((module, name, ty));
            Ok(Meaning::New(plan.imports.len() as u32 - 1))
        }
    }
}

fn selected(main: &Symbols<'_>, name: &str) -> Result<u32, GraftError> {
    let found = if is_path(name) {
        select(main, name).map_err(|source| GraftError::Select {
            name: name.to_owned(),
            source,
        })?
    } else {
        Capture::Function(main.function(name)?)
    };
    match found {
        Capture::Function(index) => Ok(index),
        Capture::Number(_) => Err(GraftError::Missing {
            name: name.to_owned(),
            reason: "the pattern captures a number where a function is needed",
        }),
    }
}

fn imported_by(main: &Symbols<'_>, import: &str) -> Result<u32, GraftError> {
    main.imports
        .iter()
        .position(|(module, field)| {
            import
                .strip_prefix(module)
                .and_then(|rest| rest.strip_prefix('.'))
                == Some(field)
        })
        .map(|index| index as u32)
        .ok_or_else(|| GraftError::Missing {
            name: import.to_owned(),
            reason: "the main module has no such import",
        })
}

fn constant(main: &Symbols<'_>, name: &str) -> Result<i32, GraftError> {
    let layout = |found: Result<u32, layout::LayoutError>| {
        found
            .map(|n| n as i32)
            .map_err(|source| GraftError::Layout {
                name: name.to_owned(),
                source,
            })
    };
    if let Some(path) = name.strip_prefix("address ") {
        return layout(layout::address(main, path));
    }
    if let Some(path) = name.strip_prefix("offset ") {
        return layout(layout::offset(main, path));
    }
    match select(main, name) {
        Ok(Capture::Number(number)) => Ok(number),
        Ok(Capture::Function(_)) => Err(GraftError::Select {
            name: name.to_owned(),
            source: SelectError::Syntax(name.to_owned()),
        }),
        Err(source) => Err(GraftError::Select {
            name: name.to_owned(),
            source,
        }),
    }
}

fn variable(
    main: &Symbols<'_>,
    name: &str,
    declared: &wasmparser::GlobalType,
) -> Result<u32, GraftError> {
    let index = main.global(name).ok_or_else(|| GraftError::Missing {
        name: name.to_owned(),
        reason: "the main module has no global of that name",
    })?;
    match main.globals.get(index as usize) {
        Some(found) if found == declared => Ok(index),
        found => Err(GraftError::Type {
            name: name.to_owned(),
            found: format!("{found:?}"),
            declared: format!("{declared:?}"),
        }),
    }
}

fn blob<'a>(data: &[(&'a str, &'a [u8])], name: &str) -> Result<&'a [u8], GraftError> {
    data.iter()
        .find(|(n, _)| *n == name)
        .map(|(_, bytes)| *bytes)
        .ok_or_else(|| GraftError::Missing {
            name: name.to_owned(),
            reason: "no data of that name was provided",
        })
}

fn same_type(
    name: &str,
    found: Option<&FuncType>,
    declared: Option<&FuncType>,
) -> Result<(), GraftError> {
    if found.is_some() && found == declared {
        return Ok(());
    }
    let text = |ty: Option<&FuncType>| ty.map_or_else(|| "unknown".to_owned(), signature);
    Err(GraftError::Type {
        name: name.to_owned(),
        found: text(found),
        declared: text(declared),
    })
}

fn signature(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        let words: Vec<String> = types.iter().map(ToString::to_string).collect();
        words.join(" ")
    };
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}
