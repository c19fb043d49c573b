//! Finds functions of a core module by the names its source code gave them.
//!
//! For whoever extends a module that was built elsewhere (see [`crate::graft`]). A name is looked
//! up in the exports, then in the `name` section, then in DWARF (`DW_TAG_subprogram` whose
//! `DW_AT_low_pc` lies in a function body). What it deliberately does not do: guess. A name that
//! several functions bear is an error that lists how to tell them apart (`file.c:name`).
//!
//! Invariant: any bytes give a value or a [`SymbolError`], never a panic.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{
    ExternalKind, FuncType, GlobalType, KnownCustom, Name, Operator, Parser, Payload, TypeRef,
};

/// Why a symbol could not be found.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The module itself cannot be read.
    #[error("cannot read the module: {0}")]
    Malformed(#[from] wasmparser::BinaryReaderError),
    /// Its debug information cannot be read.
    #[error("cannot read the module's DWARF: {0}")]
    Dwarf(#[from] gimli::Error),
    /// A feature that this reader does not handle.
    #[error("the module uses {0}, which symbol lookup does not support")]
    Unsupported(&'static str),
    /// Nothing bears the name.
    #[error(
        "no function named `{name}` in exports, name section or DWARF{}",
        similar(.near)
    )]
    Missing {
        /// The name that was asked for.
        name: String,
        /// Names that resemble it.
        near: Vec<String>,
    },
    /// The name is in DWARF, but the addresses there are dead.
    #[error(
        "`{name}` is in the DWARF without an address (a tool rewrote the code after linking); \
         select it by a pattern instead"
    )]
    NoAddress {
        /// The name that was asked for.
        name: String,
    },
    /// Several functions bear the name.
    #[error("`{name}` names {count} functions; say which one as `file.c:name`: {}", .files.join(", "))]
    Ambiguous {
        /// The name that was asked for.
        name: String,
        /// How many bear it.
        count: usize,
        /// The source files that define one each.
        files: Vec<String>,
    },
}

fn similar(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("; similar: {}", names.join(", "))
    }
}

/// A module, read far enough to find things in it.
pub struct Symbols<'a> {
    pub(crate) types: Vec<FuncType>,
    /// Type index of every function, imports first.
    pub(crate) functions: Vec<u32>,
    /// Module and field of every imported function, in index order.
    pub(crate) imports: Vec<(&'a str, &'a str)>,
    pub(crate) globals: Vec<GlobalType>,
    pub(crate) tables: u32,
    pub(crate) memories: u32,
    pub(crate) exports: BTreeMap<&'a str, (ExternalKind, u32)>,
    /// Active data of memory 0: address and bytes.
    pub(crate) data: Vec<(u32, &'a [u8])>,
    bytes: &'a [u8],
    names: BTreeMap<&'a str, Vec<u32>>,
    global_names: BTreeMap<&'a str, u32>,
    code_start: usize,
    bodies: Vec<Range<usize>>,
    debug: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> Symbols<'a> {
    /// Reads a core module. Cheap: function bodies and DWARF are looked at only when asked.
    pub fn read(bytes: &'a [u8]) -> Result<Self, SymbolError> {
        let mut s = Symbols {
            types: Vec::new(),
            functions: Vec::new(),
            imports: Vec::new(),
            globals: Vec::new(),
            tables: 0,
            memories: 0,
            exports: BTreeMap::new(),
            data: Vec::new(),
            bytes,
            names: BTreeMap::new(),
            global_names: BTreeMap::new(),
            code_start: 0,
            bodies: Vec::new(),
            debug: BTreeMap::new(),
        };
        for payload in Parser::new(0).parse_all(bytes) {
            s.take(payload?)?;
        }
        s.drop_names_of_nothing();
        Ok(s)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), SymbolError> {
        match payload {
            Payload::Version {
                encoding: wasmparser::Encoding::Component,
                ..
            } => {
                return Err(SymbolError::Unsupported("components"));
            }
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) => {
                            self.functions.push(ty);
                            self.imports.push((import.module, import.name));
                        }
                        TypeRef::Global(ty) => self.globals.push(ty),
                        TypeRef::Table(_) => self.tables += 1,
                        TypeRef::Memory(_) => self.memories += 1,
                        _ => return Err(SymbolError::Unsupported("tags or exact function types")),
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => self.tables += section.count(),
            Payload::MemorySection(section) => self.memories += section.count(),
            Payload::GlobalSection(section) => {
                for global in section {
                    self.globals.push(global?.ty);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports
                        .insert(export.name, (export.kind, export.index));
                }
            }
            Payload::CodeSectionStart { range, .. } => self.code_start = range.start,
            Payload::CodeSectionEntry(body) => self.bodies.push(body.range()),
            Payload::DataSection(section) => {
                for segment in section {
                    let segment = segment?;
                    if let wasmparser::DataKind::Active {
                        memory_index: 0,
                        offset_expr,
                    } = segment.kind
                    {
                        let mut ops = offset_expr.get_operators_reader();
                        if let Operator::I32Const { value } = ops.read()? {
                            self.data.push((value as u32, segment.data));
                        }
                    }
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(reader) => self.take_names(reader),
                _ if section.name().starts_with(".debug_") => {
                    self.debug.insert(section.name(), section.data());
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// A damaged `name` section is not an error of the module (core specification, 7.4.1).
    fn take_names(&mut self, reader: wasmparser::NameSectionReader<'a>) {
        for subsection in reader.into_iter().map_while(Result::ok) {
            match subsection {
                Name::Function(map) => {
                    for naming in map.into_iter().map_while(Result::ok) {
                        self.names
                            .entry(naming.name)
                            .or_default()
                            .push(naming.index);
                    }
                }
                Name::Global(map) => {
                    for naming in map.into_iter().map_while(Result::ok) {
                        self.global_names.insert(naming.name, naming.index);
                    }
                }
                _ => {}
            }
        }
    }

    /// No validator looks at a `name` section: it may name what the module does not have.
    fn drop_names_of_nothing(&mut self) {
        let functions = self.functions.len();
        for named in self.names.values_mut() {
            named.retain(|index| (*index as usize) < functions);
        }
        self.names.retain(|_, named| !named.is_empty());
        let globals = self.globals.len();
        self.global_names
            .retain(|_, index| (*index as usize) < globals);
    }

    /// Finds a function by the name of its source: `name`, or `file.c:name` where `file.c` is
    /// the end of the path of the file that defines it.
    pub fn function(&self, name: &str) -> Result<u32, SymbolError> {
        let (file, base) = match name.rsplit_once(':') {
            Some((file, base)) => (Some(file), base),
            None => (None, name),
        };
        if file.is_none() {
            if let Some((ExternalKind::Func, index)) = self.exports.get(base) {
                return Ok(*index);
            }
            match self.names.get(base).map(Vec::as_slice) {
                Some([one]) => return Ok(*one),
                Some(several) if self.debug.is_empty() => {
                    return Err(SymbolError::Ambiguous {
                        name: name.to_owned(),
                        count: several.len(),
                        files: Vec::new(),
                    });
                }
                _ => {}
            }
        }
        self.in_dwarf(name, file, base)
    }

    fn in_dwarf(&self, name: &str, file: Option<&str>, base: &str) -> Result<u32, SymbolError> {
        let dwarf = self.dwarf()?;
        let mut found: BTreeMap<u32, String> = BTreeMap::new();
        let mut dead = false;
        let mut near: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut units = dwarf.units();
        while let Some(header) = units.next()? {
            let unit = dwarf.unit(header)?;
            let unit = unit.unit_ref(&dwarf);
            let source = unit
                .name
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if entry.tag() != gimli::DW_TAG_subprogram {
                    continue;
                }
                let (Some(entry_name), Some(low)) = (
                    entry.attr_value(gimli::DW_AT_name),
                    entry.attr_value(gimli::DW_AT_low_pc),
                ) else {
                    continue;
                };
                let entry_name = unit.attr_string(entry_name)?.to_string_lossy();
                if entry_name != base {
                    let distance = distance(&entry_name, base);
                    if distance <= 1 + base.len() / 4 {
                        near.entry(distance)
                            .or_default()
                            .push(entry_name.into_owned());
                    }
                    continue;
                }
                if file.is_some_and(|f| !ends_with_path(&source, f)) {
                    continue;
                }
                // Address 0 is the linker's mark for code that it dropped.
                match unit.attr_address(low)? {
                    Some(low) if low != 0 => {
                        if let Some(index) = self.body_at(low) {
                            found.insert(index, source.clone());
                        }
                    }
                    _ => dead = true,
                }
            }
        }
        match (found.len(), found.first_key_value()) {
            (1, Some((index, _))) => Ok(*index),
            (0, _) if dead => Err(SymbolError::NoAddress {
                name: name.to_owned(),
            }),
            (0, _) => {
                let mut near: Vec<String> = near
                    .into_values()
                    .flatten()
                    .chain(
                        self.names
                            .keys()
                            .chain(self.exports.keys())
                            .filter(|n| distance(n, base) <= 1 + base.len() / 4)
                            .map(|n| (*n).to_owned()),
                    )
                    .collect();
                let mut seen = std::collections::BTreeSet::new();
                near.retain(|n| seen.insert(n.clone()));
                near.truncate(5);
                Err(SymbolError::Missing {
                    name: name.to_owned(),
                    near,
                })
            }
            (count, _) => Err(SymbolError::Ambiguous {
                name: name.to_owned(),
                count,
                files: found.into_values().collect(),
            }),
        }
    }

    /// The function whose body holds this offset into the code section.
    fn body_at(&self, low: u64) -> Option<u32> {
        let at = self.code_start.checked_add(usize::try_from(low).ok()?)?;
        // `low_pc` is the body's first byte or, in older LLVM, that of its size field.
        let position = self
            .bodies
            .iter()
            .position(|body| at < body.end && at + 6 > body.start)?;
        u32::try_from(position + self.imports.len()).ok()
    }

    /// Finds a global by export or name; `__stack_pointer` also as LLVM's only mutable `i32`.
    pub fn global(&self, name: &str) -> Option<u32> {
        if let Some((ExternalKind::Global, index)) = self.exports.get(name) {
            return Some(*index);
        }
        if let Some(index) = self.global_names.get(name) {
            return Some(*index);
        }
        let mut mutable = self
            .globals
            .iter()
            .enumerate()
            .filter(|(_, g)| g.mutable && g.content_type == wasmparser::ValType::I32);
        match (name, mutable.next(), mutable.next()) {
            ("__stack_pointer", Some((index, _)), None) => u32::try_from(index).ok(),
            _ => None,
        }
    }

    /// The type of a function.
    pub fn signature(&self, function: u32) -> Option<&FuncType> {
        let ty = *self.functions.get(function as usize)?;
        self.types.get(ty as usize)
    }

    /// Every defined function: its index and its body.
    pub(crate) fn defined(&self) -> impl Iterator<Item = (u32, &Range<usize>)> {
        (self.imports.len() as u32..).zip(&self.bodies)
    }

    /// The operators of a defined function.
    pub(crate) fn operators(
        &self,
        function: u32,
    ) -> Result<Option<Vec<Operator<'a>>>, SymbolError> {
        let Some(range) = (function as usize)
            .checked_sub(self.imports.len())
            .and_then(|i| self.bodies.get(i))
        else {
            return Ok(None);
        };
        let Some(bytes) = self.bytes.get(range.clone()) else {
            return Ok(None);
        };
        let body = wasmparser::FunctionBody::new(wasmparser::BinaryReader::new(bytes, range.start));
        let mut out = Vec::new();
        for op in body.get_operators_reader()? {
            out.push(op?);
        }
        Ok(Some(out))
    }

    /// The module's debug information; empty when it has none.
    pub(crate) fn dwarf(
        &self,
    ) -> Result<gimli::Dwarf<gimli::EndianSlice<'a, gimli::LittleEndian>>, SymbolError> {
        let dwarf = gimli::Dwarf::load(|id| {
            let bytes = self.debug.get(id.name()).copied().unwrap_or_default();
            Ok::<_, gimli::Error>(gimli::EndianSlice::new(bytes, gimli::LittleEndian))
        })?;
        Ok(dwarf)
    }
}

/// True if the path `source` ends with the components of `file`.
fn ends_with_path(source: &str, file: &str) -> bool {
    source
        .strip_suffix(file)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Edit distance, with a cheap way out for lengths that differ much.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 4 {
        return usize::MAX;
    }
    strsim::levenshtein(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wat: &str, name: &str, expected: Result<u32, &str>) {
        let bytes = wat::parse_str(wat).unwrap();
        let symbols = Symbols::read(&bytes).unwrap();
        match (symbols.function(name), expected) {
            (Ok(index), Ok(wanted)) => assert_eq!(index, wanted, "{name}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{name}: {error}");
            }
            (got, wanted) => panic!("{name}: got {got:?}, expected {wanted:?}"),
        }
    }

    #[test]
    fn names_of_a_module() {
        let m = r#"(module
            (import "w" "i" (func $imported))
            (func $inner) (func (export "outer")) (func $outer2))"#;
        check(m, "inner", Ok(1));
        check(m, "outer", Ok(2));
        check(m, "imported", Ok(0));
        check(m, "iner", Err("similar: inner"));
        check(m, "nothing_like_it", Err("no function named"));
    }

    #[test]
    fn names_in_dwarf() {
        let bytes = crate::graft::testdwarf::module();
        let symbols = Symbols::read(&bytes).unwrap();
        let find = |name: &str| symbols.function(name).map_err(|e| e.to_string());
        assert_eq!(find("twin"), Ok(0));
        assert_eq!(find("only"), Ok(1));
        assert_eq!(find("one.c:only"), Ok(1));
        assert_eq!(find("lib/one.c:only"), Ok(1));
        assert!(find("ne.c:only").unwrap_err().contains("no function"));
        assert!(find("dropped").unwrap_err().contains("without an address"));
        assert!(find("onyl").unwrap_err().contains("similar: only"));
    }

    /// Found by fuzzing: such a name was an index that nobody has.
    #[test]
    fn names_of_nothing_are_no_names() {
        let mut bytes = wat::parse_str("(module (func))").unwrap();
        let mut names = wasm_encoder::NameMap::new();
        names.append(0, "real");
        names.append(1, "ghost");
        let mut section = wasm_encoder::NameSection::new();
        section.functions(&names);
        section.globals(&names);
        wasm_encoder::Section::append_to(&section, &mut bytes);
        let symbols = Symbols::read(&bytes).unwrap();
        assert_eq!(symbols.function("real").ok(), Some(0));
        assert!(symbols.function("ghost").is_err());
        assert_eq!(symbols.global("real"), None);
        assert_eq!(symbols.global("ghost"), None);
    }

    #[test]
    fn addresses_at_the_end_of_the_address_space_are_in_no_body() {
        let bytes = wat::parse_str("(module (func))").unwrap();
        let symbols = Symbols::read(&bytes).unwrap();
        for low in (0..64).map(|n| u64::MAX - n) {
            assert_eq!(symbols.body_at(low), None);
        }
    }

    #[test]
    fn hostile_bytes_are_errors() {
        for bytes in [
            &b""[..],
            b"\0asm",
            b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f",
        ] {
            assert!(Symbols::read(bytes).is_err());
        }
    }
}
