//! An object's table of symbols: read, and written with other names.
//!
//! Libraries that are linked into one program may have functions of the same name. So each library's own
//! names get a suffix before they are linked, in every object of the library: `helper` of `_x.so` becomes
//! `helper@_x.so`. Code and data stay as they are; relocations name symbols by number, and no number changes.

use std::collections::BTreeSet;

use wasm_encoder::{CustomSection, Encode as _, RawSection, Section as _};
use wasmparser::{
    BinaryReader, ComdatSymbolKind, FuncType, Linking, LinkingSectionReader, Parser, Payload,
    SymbolFlags, SymbolInfo, TypeRef,
};

use crate::libraries::symbol::{Kind, Symbol};

/// The section that has the symbols, and its version.
const SECTION: &str = "linking";
const VERSION: u32 = 2;

/// Its parts that have names or numbers of symbols in them.
const INIT_FUNCTIONS: u8 = 6;
const COMDATS: u8 = 7;
const SYMBOLS: u8 = 8;

/// What there is to know of an object.
#[derive(Default)]
pub(crate) struct Object {
    /// What it defines for other objects.
    pub(crate) defined: Vec<Symbol>,
    /// Names that it cannot be without.
    pub(crate) needed: BTreeSet<String>,
    /// Whether some of its functions are to be called before any other.
    pub(crate) has_constructors: bool,
}

/// An object with other names.
pub(crate) struct Renamed {
    pub(crate) bytes: Vec<u8>,
    /// Its functions that are to be called before any other, by their new names.
    pub(crate) constructors: Vec<(u32, String)>,
}

/// What the sections before the symbols say.
#[derive(Default)]
struct Functions<'a> {
    types: Vec<Option<FuncType>>,
    /// The type of each function, those imported first.
    of: Vec<u32>,
    /// Names of what is imported, by its kind.
    imported: Vec<&'a str>,
    globals: Vec<&'a str>,
    tables: Vec<&'a str>,
    tags: Vec<&'a str>,
}

impl<'a> Functions<'a> {
    /// Takes what a section has.
    fn see(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
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
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.of.push(ty);
                            self.imported.push(import.name);
                        }
                        TypeRef::Global(_) => self.globals.push(import.name),
                        TypeRef::Table(_) => self.tables.push(import.name),
                        TypeRef::Tag(_) => self.tags.push(import.name),
                        TypeRef::Memory(_) => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.of.push(ty?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ty(&self, function: u32) -> Option<&FuncType> {
        let ty = self.of.get(function as usize)?;
        self.types.get(*ty as usize)?.as_ref()
    }
}

/// Reads an object; none of its symbols if it has no table of them.
pub(crate) fn read(object: &[u8]) -> wasmparser::Result<Object> {
    let mut found = Object::default();
    let mut functions = Functions::default();
    for payload in Parser::new(0).parse_all(object) {
        match payload? {
            Payload::CustomSection(section) if section.name() == SECTION => {
                let reader = BinaryReader::new(section.data(), section.data_offset());
                for part in LinkingSectionReader::new(reader)?.subsections() {
                    match part? {
                        Linking::SymbolTable(symbols) => {
                            for symbol in symbols {
                                found.take(&functions, symbol?);
                            }
                        }
                        Linking::InitFuncs(list) => found.has_constructors |= list.count() > 0,
                        _ => {}
                    }
                }
            }
            payload => functions.see(payload)?,
        }
    }
    Ok(found)
}

impl Object {
    fn take(&mut self, functions: &Functions<'_>, symbol: SymbolInfo<'_>) {
        let (flags, name, kind) = match symbol {
            SymbolInfo::Func { flags, index, name } => {
                let name = name.or_else(|| functions.imported.get(index as usize).copied());
                let Some(ty) = functions.ty(index) else {
                    return;
                };
                (flags, name, Kind::Function(ty.clone()))
            }
            SymbolInfo::Data { flags, name, .. } => (flags, Some(name), Kind::Data),
            _ => return,
        };
        let Some(name) = name else { return };
        if flags.contains(SymbolFlags::UNDEFINED) {
            if !flags.contains(SymbolFlags::BINDING_WEAK) {
                self.needed.insert(name.to_owned());
            }
        } else if !flags.contains(SymbolFlags::BINDING_LOCAL) {
            self.defined.push(Symbol {
                name: name.to_owned(),
                hidden: flags.contains(SymbolFlags::VISIBILITY_HIDDEN),
                // Where it is depends on the thread that asks.
                of_threads: flags.contains(SymbolFlags::TLS),
                kind,
            });
        }
    }
}

/// The object with `suffix` behind every name that is among `own`, and without functions that are called when
/// the program starts: they are `constructors`, and have names with `unique` in them. Of what it defines only
/// the names among `offered` stay visible, if there is such a list.
pub(crate) fn rename(
    object: &[u8],
    own: &BTreeSet<String>,
    suffix: &str,
    unique: usize,
    offered: Option<&BTreeSet<String>>,
) -> wasmparser::Result<Renamed> {
    let mut bytes = object.get(..8).unwrap_or_default().to_vec();
    let mut functions = Functions::default();
    let mut constructors = Vec::new();
    for payload in Parser::new(0).parse_all(object) {
        let payload = payload?;
        let section = payload.as_section();
        match payload {
            Payload::CustomSection(custom) if custom.name() == SECTION => {
                let mut names = Names {
                    functions: &functions,
                    own,
                    suffix,
                    unique,
                    offered,
                    first: Vec::new(),
                };
                let data = names.linking(custom.data())?;
                constructors = names.constructors(custom.data())?;
                let custom = CustomSection {
                    name: SECTION.into(),
                    data: data.into(),
                };
                bytes.push(custom.id());
                custom.encode(&mut bytes);
                continue;
            }
            payload => functions.see(payload)?,
        }
        if let Some((id, range)) = section {
            RawSection {
                id,
                data: &object[range],
            }
            .append_to(&mut bytes);
        }
    }
    Ok(Renamed {
        bytes,
        constructors,
    })
}

struct Names<'a> {
    functions: &'a Functions<'a>,
    own: &'a BTreeSet<String>,
    suffix: &'a str,
    unique: usize,
    offered: Option<&'a BTreeSet<String>>,
    /// Symbols of the constructors: priority and number.
    first: Vec<(u32, u32)>,
}

impl Names<'_> {
    /// The section that has the symbols, with other names.
    fn linking(&mut self, data: &[u8]) -> wasmparser::Result<Vec<u8>> {
        // Which symbols are constructors is said after the symbols.
        for (id, part) in parts(data)? {
            if id == INIT_FUNCTIONS {
                let mut reader = BinaryReader::new(part, 0);
                for _ in 0..reader.read_var_u32()? {
                    self.first
                        .push((reader.read_var_u32()?, reader.read_var_u32()?));
                }
            }
        }
        let mut out = Vec::new();
        VERSION.encode(&mut out);
        for (id, part) in parts(data)? {
            let part = match id {
                SYMBOLS => self.symbols(part)?,
                COMDATS => self.comdats(part)?,
                INIT_FUNCTIONS => continue,
                _ => part.to_owned(),
            };
            out.push(id);
            part.encode(&mut out);
        }
        Ok(out)
    }

    fn is_first(&self, symbol: usize) -> bool {
        self.first.iter().any(|(_, at)| *at as usize == symbol)
    }

    fn symbols(&self, part: &[u8]) -> wasmparser::Result<Vec<u8>> {
        let mut reader = BinaryReader::new(part, 0);
        let count = reader.read_var_u32()?;
        let mut out = Vec::with_capacity(2 * part.len());
        count.encode(&mut out);
        for at in 0..count as usize {
            self.symbol(at, reader.read()?, &mut out);
        }
        Ok(out)
    }

    fn symbol(&self, at: usize, symbol: SymbolInfo<'_>, out: &mut Vec<u8>) {
        let (kind, imported) = match symbol {
            SymbolInfo::Func { .. } => (0_u8, self.functions.imported.as_slice()),
            SymbolInfo::Data { .. } => (1, [].as_slice()),
            SymbolInfo::Global { .. } => (2, self.functions.globals.as_slice()),
            SymbolInfo::Section { .. } => (3, [].as_slice()),
            SymbolInfo::Event { .. } => (4, self.functions.tags.as_slice()),
            SymbolInfo::Table { .. } => (5, self.functions.tables.as_slice()),
        };
        out.push(kind);
        match symbol {
            SymbolInfo::Section { flags, section } => {
                flags.bits().encode(out);
                section.encode(out);
            }
            SymbolInfo::Data {
                flags,
                name,
                symbol,
            } => {
                self.visibility(name, flags).bits().encode(out);
                self.name(name, flags).encode(out);
                if let Some(symbol) = symbol {
                    symbol.index.encode(out);
                    symbol.offset.encode(out);
                    symbol.size.encode(out);
                }
            }
            SymbolInfo::Global { flags, index, name }
            | SymbolInfo::Event { flags, index, name }
            | SymbolInfo::Table { flags, index, name } => {
                let name = name.or_else(|| imported.get(index as usize).copied());
                self.indexed(flags, index, name, out);
            }
            SymbolInfo::Func { flags, index, name } if self.is_first(at) => {
                let flags = (flags - SymbolFlags::BINDING_LOCAL) | SymbolFlags::VISIBILITY_HIDDEN;
                let name = self.constructor(at, name.unwrap_or_default());
                self.indexed(flags, index, Some(&name), out);
            }
            SymbolInfo::Func { flags, index, name } => {
                let name = name.or_else(|| imported.get(index as usize).copied());
                let flags = self.visibility(name.unwrap_or_default(), flags);
                let name = name.map(|name| self.name(name, flags));
                self.indexed(flags, index, name.as_deref(), out);
            }
        }
    }

    /// A symbol that has an index.
    fn indexed(&self, flags: SymbolFlags, index: u32, name: Option<&str>, out: &mut Vec<u8>) {
        let named = match name {
            // An import need not say its name, but one with another name than the import's must.
            Some(_) if flags.contains(SymbolFlags::UNDEFINED) => SymbolFlags::EXPLICIT_NAME,
            _ => SymbolFlags::empty(),
        };
        (flags | named).bits().encode(out);
        index.encode(out);
        if let Some(name) = name {
            name.encode(out);
        }
    }

    fn visibility(&self, name: &str, flags: SymbolFlags) -> SymbolFlags {
        let is_kept = match self.offered {
            Some(offered) => {
                flags.intersects(SymbolFlags::UNDEFINED | SymbolFlags::BINDING_LOCAL)
                    || offered.contains(name)
            }
            None => true,
        };
        match is_kept {
            true => flags,
            false => (flags - SymbolFlags::EXPORTED) | SymbolFlags::VISIBILITY_HIDDEN,
        }
    }

    fn name(&self, name: &str, flags: SymbolFlags) -> String {
        match self.own.contains(name) && !flags.contains(SymbolFlags::BINDING_LOCAL) {
            true => format!("{name}{}", self.suffix),
            false => name.to_owned(),
        }
    }

    fn constructor(&self, symbol: usize, name: &str) -> String {
        format!("{name}{}#{}.{symbol}", self.suffix, self.unique)
    }

    /// The names of the constructors, and their priorities.
    fn constructors(&self, data: &[u8]) -> wasmparser::Result<Vec<(u32, String)>> {
        let mut found = Vec::new();
        for (id, part) in parts(data)? {
            if id != SYMBOLS {
                continue;
            }
            let mut reader = BinaryReader::new(part, 0);
            for at in 0..reader.read_var_u32()? {
                let symbol = reader.read()?;
                let first = self.first.iter().find(|(_, first)| *first == at);
                if let (Some((priority, _)), SymbolInfo::Func { name, .. }) = (first, symbol) {
                    let name = self.constructor(at as usize, name.unwrap_or_default());
                    found.push((*priority, name));
                }
            }
        }
        Ok(found)
    }

    /// Groups of which the linker takes one of each name: those of other libraries are others.
    fn comdats(&self, part: &[u8]) -> wasmparser::Result<Vec<u8>> {
        let mut reader = BinaryReader::new(part, 0);
        let count = reader.read_var_u32()?;
        let mut out = Vec::with_capacity(2 * part.len());
        count.encode(&mut out);
        for _ in 0..count {
            format!("{}{}", reader.read_string()?, self.suffix).encode(&mut out);
            reader.read_var_u32()?.encode(&mut out);
            let entries = reader.read_var_u32()?;
            entries.encode(&mut out);
            for _ in 0..entries {
                let kind: ComdatSymbolKind = reader.read()?;
                out.push(match kind {
                    ComdatSymbolKind::Data => 0,
                    ComdatSymbolKind::Func => 1,
                    ComdatSymbolKind::Global => 2,
                    ComdatSymbolKind::Event => 3,
                    ComdatSymbolKind::Table => 4,
                    ComdatSymbolKind::Section => 5,
                });
                reader.read_var_u32()?.encode(&mut out);
            }
        }
        Ok(out)
    }
}

/// The parts of the section: what each is, and what it holds.
fn parts(data: &[u8]) -> wasmparser::Result<Vec<(u8, &[u8])>> {
    let mut reader = BinaryReader::new(data, 0);
    let mut parts = Vec::new();
    reader.read_var_u32()?;
    while !reader.eof() {
        let id = reader.read_u8()?;
        let size = reader.read_var_u32()?;
        parts.push((id, reader.read_bytes(size as usize)?));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_an_error_or_nothing() {
        let section = |data: &[u8]| {
            let mut bytes = b"\0asm\x01\0\0\0".to_vec();
            CustomSection {
                name: SECTION.into(),
                data: data.into(),
            }
            .append_to(&mut bytes);
            bytes
        };
        for bytes in [
            Vec::new(),
            b"\0asm".to_vec(),
            section(b""),
            section(b"\x02\x08\xff\xff\xff\xff\x0f"),
            section(b"\x02\x08\x02\x05\x00"),
            section(b"\x02\x06\x02\x05\x00"),
            section(b"\x02\x07\x01\x01"),
        ] {
            if let Ok(object) = read(&bytes) {
                assert!(object.defined.is_empty());
            }
            if let Ok(renamed) = rename(&bytes, &BTreeSet::new(), "@x", 0, None) {
                assert!(renamed.constructors.is_empty());
            }
        }
    }
}
