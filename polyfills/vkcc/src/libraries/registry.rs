//! The object that tells a program which libraries are linked into it, and which symbols it can ask for by
//! name (`polyfills/sysroot/port/src/ldso/wasm32/dl_registry.h` has the same layout).
//!
//! One segment of data: the registry, the libraries, each one's symbols in the order of their names and its
//! constructors, then all strings. The libraries come first: they alone are written to.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::{
    CustomSection, DataCountSection, Encode as _, EntityType, ImportSection, MemoryType, Module,
    RawSection, SectionId, SymbolTable, TypeSection,
    reencode::{Reencode as _, RoundtripReencoder},
};
use wasmparser::FuncType;

use crate::libraries::symbol::Kind;

/// What a program calls it.
const NAME: &str = "__dl_registry";

/// Relocations of 32 bits: the place of a function in the table, and an address.
const TABLE_INDEX: u8 = 2;
const ADDRESS: u8 = 5;

/// Bytes of the registry, and of a library in it.
const HEAD: usize = 8;
const LIBRARY: usize = 48;

/// Bits of a library's state.
const LOADED: u32 = 1;
const GLOBAL: u32 = 2;
const CONSTRUCTED: u32 = 4;

/// One of the libraries.
#[derive(Default)]
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) digest: Option<String>,
    /// What `dlsym` is asked for, what the linker knows it as, and what it is.
    pub(crate) symbols: BTreeMap<String, (String, Kind)>,
    /// In the order in which they are called.
    pub(crate) constructors: Vec<String>,
    /// It is there from the start, as the program itself is.
    pub(crate) is_loaded: bool,
}

/// What relocations name: a function or an address, by the linker's name.
#[derive(Default)]
struct Symbols {
    functions: Vec<(String, FuncType)>,
    data: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Symbols {
    fn number(&mut self, name: &str, kind: &Kind) -> (usize, bool) {
        let is_function = matches!(kind, Kind::Function(_));
        if let Some(number) = self.numbers.get(name) {
            return (*number, is_function);
        }
        let number = match kind {
            Kind::Function(ty) => {
                self.functions.push((name.to_owned(), ty.clone()));
                self.functions.len() - 1
            }
            Kind::Data => {
                self.data.push(name.to_owned());
                self.data.len() - 1
            }
        };
        self.numbers.insert(name.to_owned(), number);
        (number, is_function)
    }
}

/// What is at a place in the data.
enum Pointer {
    Function(usize),
    Data(usize),
    /// An offset in the same segment.
    Here(usize),
}

#[derive(Default)]
struct Data {
    bytes: Vec<u8>,
    pointers: Vec<(usize, Pointer)>,
    symbols: Symbols,
    strings: BTreeMap<String, usize>,
}

impl Data {
    fn set(&mut self, at: usize, value: usize) {
        let value = u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        self.bytes[at..at + 4].copy_from_slice(&value);
    }

    fn room(&mut self, size: usize) -> usize {
        let at = self.bytes.len();
        self.bytes.resize(at + size, 0);
        at
    }

    fn point(&mut self, at: usize, to: Pointer) {
        self.pointers.push((at, to));
    }

    /// A pointer at `at` to a string that is written later.
    fn name(&mut self, at: usize, text: &str, wanted: &mut Vec<(usize, String)>) {
        wanted.push((at, text.to_owned()));
        self.strings.entry(text.to_owned()).or_default();
    }

    fn refer(&mut self, at: usize, name: &str, kind: &Kind) {
        let pointer = match self.symbols.number(name, kind) {
            (number, true) => Pointer::Function(number),
            (number, false) => Pointer::Data(number),
        };
        self.point(at, pointer);
    }
}

/// The object. Names that the linker does not know are addresses of zero, which `dlsym` does not find.
pub(crate) fn object(libraries: &[Library]) -> Vec<u8> {
    let mut data = Data::default();
    data.room(HEAD + LIBRARY * libraries.len());
    data.set(0, libraries.len());
    data.point(4, Pointer::Here(HEAD));
    let mut strings = Vec::new();
    let mut last_loaded: Option<usize> = None;
    for (at, library) in libraries.iter().enumerate() {
        let head = HEAD + LIBRARY * at;
        if library.is_loaded {
            data.name(head + 4, &library.name, &mut strings);
            if let Some(last) = last_loaded.replace(head) {
                data.point(last + 12, Pointer::Here(head));
                data.point(head + 16, Pointer::Here(last));
            }
            data.set(head + 20, (LOADED | GLOBAL | CONSTRUCTED) as usize);
        }
        data.name(head + 24, &library.name, &mut strings);
        if let Some(digest) = &library.digest {
            data.name(head + 28, digest, &mut strings);
        }
        let table = data.room(8 * library.symbols.len());
        data.point(head + 32, Pointer::Here(table));
        data.set(head + 36, library.symbols.len());
        for (index, (name, (linked, kind))) in library.symbols.iter().enumerate() {
            data.name(table + 8 * index, name, &mut strings);
            data.refer(table + 8 * index + 4, linked, kind);
        }
        let first = data.room(4 * library.constructors.len());
        data.point(head + 40, Pointer::Here(first));
        data.set(head + 44, library.constructors.len());
        for (index, name) in library.constructors.iter().enumerate() {
            let kind = Kind::Function(FuncType::new([], []));
            data.refer(first + 4 * index, name, &kind);
        }
    }
    let texts: BTreeSet<String> = std::mem::take(&mut data.strings).into_keys().collect();
    for text in texts {
        let at = data.room(text.len() + 1);
        data.bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        data.strings.insert(text, at);
    }
    for (at, text) in strings {
        let to = data.strings.get(&text).copied().unwrap_or_default();
        data.point(at, Pointer::Here(to));
    }
    data.pointers.sort_by_key(|(at, _)| *at);
    write(&data)
}

fn write(data: &Data) -> Vec<u8> {
    let mut module = Module::new();
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    imports.import(
        "env",
        "__linear_memory",
        EntityType::Memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        }),
    );
    let mut known: BTreeMap<String, u32> = BTreeMap::new();
    for (name, ty) in &data.symbols.functions {
        let index = *known.entry(format!("{ty:?}")).or_insert_with(|| {
            let value = |ty: &wasmparser::ValType| {
                RoundtripReencoder
                    .val_type(*ty)
                    .unwrap_or(wasm_encoder::ValType::I32)
            };
            types.ty().function(
                ty.params().iter().map(value).collect::<Vec<_>>(),
                ty.results().iter().map(value).collect::<Vec<_>>(),
            );
            types.len() - 1
        });
        imports.import("env", name, EntityType::Function(index));
    }
    module.section(&types).section(&imports);
    module.section(&DataCountSection { count: 1 });
    // One segment: flags, `i32.const 0`, the bytes.
    let mut contents = vec![1, 0, 0x41, 0, 0x0b];
    data.bytes.len().encode(&mut contents);
    let start = contents.len();
    contents.extend_from_slice(&data.bytes);
    module.section(&RawSection {
        id: SectionId::Data.into(),
        data: &contents,
    });
    // The sections before are types, imports, the count.
    module.section(&custom("linking", &linking(data)));
    module.section(&custom("reloc.DATA", &relocations(data, start, 3)));
    let mut bytes = module.finish();
    bytes.extend(crate::model::section());
    bytes
}

fn custom<'a>(name: &'a str, data: &'a [u8]) -> CustomSection<'a> {
    CustomSection {
        name: name.into(),
        data: data.into(),
    }
}

/// The symbols, functions first, and the segment's name and alignment.
fn linking(data: &Data) -> Vec<u8> {
    let undefined = SymbolTable::WASM_SYM_UNDEFINED | SymbolTable::WASM_SYM_BINDING_WEAK;
    let mut symbols = SymbolTable::new();
    for index in 0..data.symbols.functions.len() {
        symbols.function(undefined, u32::try_from(index).unwrap_or(u32::MAX), None);
    }
    for name in &data.symbols.data {
        symbols.data(undefined, name, None);
    }
    symbols.data(
        SymbolTable::WASM_SYM_VISIBILITY_HIDDEN,
        NAME,
        Some(wasm_encoder::DataSymbolDefinition {
            index: 0,
            offset: 0,
            size: u32::try_from(data.bytes.len()).unwrap_or(u32::MAX),
        }),
    );
    let mut linking = wasm_encoder::LinkingSection::new();
    linking.symbol_table(&symbols);
    let mut bytes = Vec::new();
    linking.encode(&mut bytes);
    // Without the section's size and name: the encoder writes whole sections.
    let mut reader = wasmparser::BinaryReader::new(&bytes, 0);
    let contents = (|| {
        reader.read_var_u32()?;
        reader.read_string()?;
        reader.read_bytes(reader.bytes_remaining())
    })();
    let mut contents = contents.unwrap_or_default().to_owned();
    let mut segment = Vec::new();
    1_u32.encode(&mut segment);
    format!(".data.{NAME}").encode(&mut segment);
    // Alignment as a power of two, and no flags.
    2_u32.encode(&mut segment);
    0_u32.encode(&mut segment);
    contents.push(5);
    segment.encode(&mut contents);
    contents
}

fn relocations(data: &Data, start: usize, section: u32) -> Vec<u8> {
    let functions = data.symbols.functions.len();
    let own = functions + data.symbols.data.len();
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    data.pointers.len().encode(&mut bytes);
    for (at, pointer) in &data.pointers {
        let (kind, symbol, addend) = match pointer {
            Pointer::Function(number) => (TABLE_INDEX, *number, None),
            Pointer::Data(number) => (ADDRESS, functions + number, Some(0)),
            Pointer::Here(offset) => (ADDRESS, own, Some(*offset)),
        };
        bytes.push(kind);
        (start + at).encode(&mut bytes);
        symbol.encode(&mut bytes);
        if let Some(addend) = addend {
            i32::try_from(addend).unwrap_or(i32::MAX).encode(&mut bytes);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libraries::object;

    #[test]
    fn an_object_that_can_be_read() {
        let function = Kind::Function(FuncType::new([wasmparser::ValType::F64], []));
        let libraries = [
            Library {
                is_loaded: true,
                ..Library::default()
            },
            Library {
                name: "liba.so".into(),
                digest: Some("sha256:0".into()),
                symbols: BTreeMap::from([
                    ("f".into(), ("f@liba.so".into(), function)),
                    ("d".into(), ("d@liba.so".into(), Kind::Data)),
                ]),
                constructors: vec!["first".into()],
                is_loaded: false,
            },
        ];
        let bytes = object(&libraries);
        let found = object::read(&bytes).unwrap();
        assert_eq!(found.defined.len(), 1);
        assert_eq!(found.defined[0].name, NAME);
        // Nothing is looked for in archives because of it.
        assert!(found.needed.is_empty());
        assert_eq!(bytes, object(&libraries));
    }
}
