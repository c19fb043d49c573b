//! Names of guest functions, for trap reports, and which of them have checkpoints.
//!
//! wasmtime decodes the names of all functions at every start, into 12 bytes of private memory
//! each, for the sake of programs that trap. So modules are compiled without them; they follow
//! wasmtime's ELF in the code image and are looked at when there is a trap. Little-endian, at the
//! image's end:
//!
//! ```text
//! names, one after the other, UTF-8
//! count × { function index: u32, end of its name from the first name's beginning: u32 }
//! count: u32
//! marks × { function index: u32 }
//! marks: u32
//! ```
//!
//! Marked are the functions that call [`CHECKPOINT`], which `polyfills/vkcc` makes functions do that
//! call setjmp.
//!
//! Invariant: entries and marks are sorted by function index; their ends do not decrease.

use crate::EngineError;

/// Bytes of an entry, and of a mark.
const ENTRY: usize = 8;
const MARK: usize = 4;

/// The function at whose beginning signals are handled for those that call it
/// (`polyfills/sysroot/port/src/setjmp/wasm32/checkpoint.c`).
#[cfg(feature = "compile")]
const CHECKPOINT: &str = "__sanitizer_cov_trace_pc";

/// The names of a code image.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names {
    text: &'static [u8],
    entries: &'static [u8],
    marks: &'static [u8],
}

impl Names {
    /// Splits a code image into wasmtime's part and the names.
    pub(crate) fn split(image: &'static [u8]) -> Result<(&'static [u8], Names), EngineError> {
        Names::try_split(image).ok_or(EngineError::BadNames { len: image.len() })
    }

    fn try_split(image: &'static [u8]) -> Option<(&'static [u8], Names)> {
        let (rest, count) = image.split_last_chunk()?;
        let marks = (u32::from_le_bytes(*count) as usize).checked_mul(MARK)?;
        let (rest, marks) = rest.split_at_checked(rest.len().checked_sub(marks)?)?;
        let (rest, count) = rest.split_last_chunk()?;
        let entries = (u32::from_le_bytes(*count) as usize).checked_mul(ENTRY)?;
        let (rest, entries) = rest.split_at_checked(rest.len().checked_sub(entries)?)?;
        let text = match entries.last_chunk() {
            Some(end) => u32::from_le_bytes(*end) as usize,
            None => 0,
        };
        let (elf, text) = rest.split_at_checked(rest.len().checked_sub(text)?)?;
        let names = Names {
            text,
            entries,
            marks,
        };
        Some((elf, names))
    }

    /// Whether a function has checkpoints.
    #[cfg(feature = "linux")]
    pub(crate) fn has_checkpoints(&self, function: u32) -> bool {
        let (marks, _) = self.marks.as_chunks::<MARK>();
        marks
            .binary_search_by_key(&function, |mark| u32::from_le_bytes(*mark))
            .is_ok()
    }

    /// The name of a function.
    pub(crate) fn get(&self, function: u32) -> Option<String> {
        let (entries, _) = self.entries.as_chunks::<ENTRY>();
        let index = |entry: &[u8; ENTRY]| entry.first_chunk().map(|b| u32::from_le_bytes(*b));
        let end = |entry: &[u8; ENTRY]| entry.last_chunk().map(|b| u32::from_le_bytes(*b) as usize);
        let at = entries.binary_search_by_key(&Some(function), index).ok()?;
        let start = match at.checked_sub(1) {
            Some(before) => end(entries.get(before)?)?,
            None => 0,
        };
        let name = self.text.get(start..end(entries.get(at)?)?)?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

/// Takes the `name` section out of a module, which keeps all else as it is, and appends the names
/// of functions to what `compile` makes of the rest.
#[cfg(feature = "compile")]
pub(crate) fn compile_without(
    wasm: &[u8],
    compile: impl FnOnce(&[u8]) -> wasmtime::Result<Vec<u8>>,
) -> wasmtime::Result<Vec<u8>> {
    use wasmparser::{KnownCustom, Parser, Payload};

    let (mut rest, mut kept) = (Vec::with_capacity(wasm.len()), 0);
    let mut names: Vec<(u32, &str)> = Vec::new();
    // Custom sections have a one-byte id and a length before what the parser calls their range.
    let mut before = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload
            && let KnownCustom::Name(subsections) = section.as_known()
        {
            rest.extend_from_slice(&wasm[kept..before]);
            kept = section.range().end;
            names.extend(function_names(subsections));
        }
        if let Some((_, range)) = payload.as_section() {
            before = range.end;
        } else if let Payload::Version { range, .. } = &payload {
            before = range.end;
        }
    }
    rest.extend_from_slice(&wasm[kept..]);
    names.sort_by_key(|(index, _)| *index);
    names.dedup_by_key(|(index, _)| *index);
    let checkpoint = names.iter().find(|(_, name)| *name == CHECKPOINT);
    let marks = match checkpoint {
        Some((checkpoint, _)) => callers(wasm, *checkpoint)?,
        None => Vec::new(),
    };
    let mut image = compile(&rest)?;
    append(&mut image, &names)?;
    for mark in &marks {
        image.extend_from_slice(&mark.to_le_bytes());
    }
    image.extend_from_slice(&(marks.len() as u32).to_le_bytes());
    Ok(image)
}

/// The functions that call `callee`, in order.
#[cfg(feature = "compile")]
fn callers(wasm: &[u8], callee: u32) -> wasmtime::Result<Vec<u32>> {
    use wasmparser::{Operator, Parser, Payload, TypeRef};

    let mut function = 0_u32;
    let mut callers = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if matches!(import?.ty, TypeRef::Func(_)) {
                        function += 1;
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    if matches!(operator?, Operator::Call { function_index }
                        if function_index == callee)
                    {
                        callers.push(function);
                        break;
                    }
                }
                function += 1;
            }
            _ => {}
        }
    }
    Ok(callers)
}

/// The function names of a name section; those of a malformed one are as many as can be read, for
/// the section does not bear on what the module does.
#[cfg(feature = "compile")]
fn function_names<'a>(subsections: wasmparser::NameSectionReader<'a>) -> Vec<(u32, &'a str)> {
    subsections
        .into_iter()
        .map_while(Result::ok)
        .filter_map(|name| match name {
            wasmparser::Name::Function(map) => Some(map),
            _ => None,
        })
        .flat_map(|map| map.into_iter().map_while(Result::ok))
        .map(|naming| (naming.index, naming.name))
        .collect()
}

#[cfg(feature = "compile")]
fn append(image: &mut Vec<u8>, names: &[(u32, &str)]) -> wasmtime::Result<()> {
    let mut entries = Vec::with_capacity(names.len() * ENTRY);
    let mut end = 0_u32;
    for (index, name) in names {
        image.extend_from_slice(name.as_bytes());
        end = u32::try_from(name.len())
            .ok()
            .and_then(|len| end.checked_add(len))
            .ok_or_else(|| wasmtime::format_err!("4 GiB of function names"))?;
        entries.extend_from_slice(&index.to_le_bytes());
        entries.extend_from_slice(&end.to_le_bytes());
    }
    image.extend_from_slice(&entries);
    image.extend_from_slice(&(names.len() as u32).to_le_bytes());
    Ok(())
}

#[cfg(all(test, feature = "compile"))]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0\
        \x01\x04\x01\x60\0\0\
        \x03\x03\x02\0\0\
        \x0a\x07\x02\x02\0\x0b\x02\0\x0b\
        \0\x11\x04name\x01\x0a\x02\x00\x01a\x01\x04main\
        \0\x04\x03xyz";

    fn image(wasm: &[u8]) -> wasmtime::Result<(Vec<u8>, &'static [u8])> {
        let mut compiled = Vec::new();
        let image = compile_without(wasm, |rest| {
            compiled = rest.to_vec();
            Ok(b"ELF".to_vec())
        })?;
        Ok((compiled, image.leak()))
    }

    #[test]
    fn names_leave_the_module_and_are_found_again() {
        let (compiled, image) = image(MODULE).unwrap();
        let mut rest = MODULE.to_vec();
        let section = MODULE.windows(4).position(|w| w == b"name").unwrap() - 3;
        rest.drain(section..section + 19);
        assert_eq!(compiled, rest);
        let (elf, names) = Names::split(image).unwrap();
        assert_eq!(elf, b"ELF");
        assert_eq!(names.get(0).as_deref(), Some("a"));
        assert_eq!(names.get(1).as_deref(), Some("main"));
        assert_eq!(names.get(2), None);
    }

    #[test]
    fn functions_with_checkpoints_are_marked() {
        // Function 2 calls function 1, and function 0, which has the name.
        const CALLS: &[u8] = b"\0asm\x01\0\0\0\
            \x01\x04\x01\x60\0\0\
            \x03\x04\x03\0\0\0\
            \x0a\x0e\x03\x02\0\x0b\x02\0\x0b\x06\0\x10\x01\x10\0\x0b\
            \0\x22\x04name\x01\x1b\x01\0\x18__sanitizer_cov_trace_pc";
        let (_, image) = image(CALLS).unwrap();
        let (_, names) = Names::split(image).unwrap();
        assert_eq!(names.get(0).as_deref(), Some(CHECKPOINT));
        let marked = [0, 1, 2, 3].map(|function| names.has_checkpoints(function));
        assert_eq!(marked, [false, false, true, false]);
    }

    #[test]
    fn a_module_without_names() {
        let (compiled, image) = image(&MODULE[..8]).unwrap();
        assert_eq!(compiled, &MODULE[..8]);
        let (elf, names) = Names::split(image).unwrap();
        assert_eq!((elf, names.get(0)), (&b"ELF"[..], None));
    }

    #[test]
    fn damaged_images_are_refused_or_nameless() {
        let (_, image) = image(MODULE).unwrap();
        for len in 0..image.len() {
            // Whatever it takes for names, it stays inside.
            if let Ok((_, names)) = Names::split(&image[..len]) {
                (0..3).for_each(|index| drop(names.get(index)));
            }
        }
        assert!(Names::split(&[]).is_err());
        assert!(Names::split(&[0xff; 64]).is_err());
    }
}
