//! Shared libraries as modules of their own (`docs/side-modules.md`): one copy of the code for all programs of a
//! megabinary.
//!
//! `-shared -mside-module=…` links a library, not as position-independent code but at its place, which is the same in
//! every program ([`make`]). A program that names it gets a function for each of the library's, which calls through
//! the slot of the table that the library has it in ([`trampolines`]); it exports what the library takes from
//! libc, keeps the library's place in memory and table free, and says which libraries it uses. So the program is
//! linked without the library's code, and a library that offers the same functions takes another's place without it.

mod library;
mod make;
mod trampolines;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use vkernel_abi::library as abi;
use wasm_encoder::{CustomSection, RawSection, Section as _};
use wasmparser::{FuncType, Parser, Payload};

use crate::{
    command::{Command, Item},
    environment::{Environment, Variant},
    error::{Error, IoContext, Result},
    model::Traced,
};
use library::Library;
pub(crate) use make::make;

/// Libraries that a command line names.
#[derive(Default)]
pub(crate) struct Sides {
    all: Vec<Library>,
    /// Which of them the program calls.
    used: Vec<bool>,
}

impl Sides {
    /// Takes the libraries out of the items; archives with the functions that call them are there instead.
    pub(crate) fn read(
        environment: &Environment,
        command: &Command,
        variant: Variant,
        items: &[Item],
        folder: &Path,
    ) -> Result<(Sides, Vec<Item>)> {
        let mut sides = Sides::default();
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            let Some(path) = named(command, item) else {
                left.push(item.clone());
                continue;
            };
            let library = Library::read(&path)?;
            if sides.all.iter().any(|known| known.name == library.name) {
                continue;
            }
            if variant == Variant::Single {
                return Err(Error::Library {
                    path,
                    why: "it is for programs with threads: compile and link with -pthread, or set VKCC_THREADS=1"
                        .to_owned(),
                });
            }
            let archive = trampolines::archive(environment, variant, &library, folder)?;
            left.push(Item::Object(archive.to_string_lossy().into_owned()));
            sides.all.push(library);
        }
        sides.used = vec![false; sides.all.len()];
        Ok((sides, left))
    }

    /// Sees which of them the linker took functions of; whether there are any. What they call is used, too.
    pub(crate) fn are_used<'a>(
        &mut self,
        objects: impl Iterator<Item = &'a Traced> + Clone,
        output: &Path,
    ) -> Result<bool> {
        for (library, used) in self.all.iter().zip(&mut self.used) {
            let member = trampolines::member(&library.name);
            *used |= objects.clone().any(|object| object.is_member(&member));
        }
        let mut at = 0;
        while let Some(library) = self.all.get(at) {
            at += 1;
            if self.used.get(at - 1) != Some(&true) {
                continue;
            }
            let mut begin_again = false;
            for (name, identity) in &library.needs {
                let needed = self.all.iter().position(|known| known.name == *name);
                let Some(needed) = needed else {
                    return Err(Error::Library {
                        path: output.to_owned(),
                        why: format!("{} needs the library {name}: link with it", library.name),
                    });
                };
                if self.all.get(needed).map(|known| &known.identity) != Some(identity) {
                    return Err(Error::Library {
                        path: output.to_owned(),
                        why: format!(
                            "{} was linked with another {name}, which offers other functions: link it again",
                            library.name
                        ),
                    });
                }
                if let Some(used) = self.used.get_mut(needed) {
                    begin_again |= !*used;
                    *used = true;
                }
            }
            if begin_again {
                at = 0;
            }
        }
        self.are_apart(output)?;
        Ok(self.used().next().is_some())
    }

    /// Those whose slots a library calls that was linked with all of them.
    fn needed_by(&self, called: &BTreeSet<u32>) -> Vec<(&str, &str)> {
        let all = self.all.iter();
        all.filter(|library| called.range(library.slots.clone()).next().is_some())
            .map(|library| (library.name.as_str(), library.identity.as_str()))
            .collect()
    }

    fn used(&self) -> impl Iterator<Item = &Library> + Clone {
        let both = self.all.iter().zip(&self.used);
        both.filter(|(_, used)| **used).map(|(library, _)| library)
    }

    /// No two of them have one place.
    fn are_apart(&self, output: &Path) -> Result<()> {
        for (at, one) in self.used().enumerate() {
            for other in self.used().skip(at + 1) {
                if overlap(&one.memory, &other.memory) || overlap(&one.slots, &other.slots) {
                    return Err(Error::Library {
                        path: output.to_owned(),
                        why: format!(
                            "{} and {} have one place in memory or table: make one of them with another \
                             -mside-module",
                            one.name, other.name
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    /// What else the linker is to take: libraries are prepared before the program's own constructors.
    pub(crate) fn items(
        &self,
        environment: &Environment,
        variant: Variant,
        folder: &Path,
    ) -> Result<Vec<Item>> {
        let starts: Vec<&Library> = self.used().filter(|library| library.start).collect();
        let calls: BTreeMap<&str, &FuncType> = self
            .used()
            .flat_map(|library| &library.imports)
            .filter_map(|(name, ty)| Some((library::called(name)?, ty)))
            .collect();
        let mut objects = Vec::new();
        if !starts.is_empty() {
            objects.push(trampolines::starts(environment, variant, &starts, folder)?);
        }
        if !calls.is_empty() {
            objects.push(trampolines::calls(environment, variant, &calls, folder)?);
        }
        let item = |object: PathBuf| Item::Object(object.to_string_lossy().into_owned());
        Ok(objects.into_iter().map(item).collect())
    }

    /// What the linker is told: where the program's data begin, and what libraries take from the program.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let end = self.used().map(|library| library.memory.end).max();
        let Some(end) = end else { return Vec::new() };
        let imports = self.used().flat_map(|library| &library.imports);
        let names: BTreeSet<&String> = imports.map(|(name, _)| name).collect();
        let exports = names.into_iter().map(|name| format!("--export={name}"));
        [format!("--global-base={end}")]
            .into_iter()
            .chain(exports)
            .collect()
    }

    /// The linked program with room in its table, and a section that names the libraries.
    pub(crate) fn finish(&self, module: &[u8], output: &Path) -> Result<Vec<u8>> {
        let Some(end) = self.used().map(|library| library.slots.end).max() else {
            return Ok(module.to_vec());
        };
        let first = self
            .used()
            .map(|library| library.slots.start)
            .min()
            .unwrap_or(end);
        let refused = |why: String| Error::Module {
            path: output.to_owned(),
            why,
        };
        let unreadable = |error: wasmparser::BinaryReaderError| {
            refused(format!(
                "the linker wrote a module that cannot be read: {error}"
            ))
        };
        let mut out = module.get(..8).unwrap_or_default().to_vec();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload.map_err(unreadable)?;
            if let Payload::TableSection(tables) = &payload {
                let mut section = wasm_encoder::TableSection::new();
                for table in tables.clone() {
                    let table = table.map_err(unreadable)?;
                    if table.ty.initial > u64::from(first) {
                        return Err(refused(format!(
                            "it has {} functions that pointers name; a program with shared libraries can have {first}",
                            table.ty.initial
                        )));
                    }
                    section.table(wasm_encoder::TableType {
                        element_type: wasm_encoder::RefType::FUNCREF,
                        table64: false,
                        minimum: end.into(),
                        maximum: Some(end.into()),
                        shared: false,
                    });
                }
                section.append_to(&mut out);
            } else if let Some((id, range)) = payload.as_section() {
                let data = module.get(range).unwrap_or_default();
                RawSection { id, data }.append_to(&mut out);
            }
        }
        let text: String = self
            .used()
            .map(|library| format!("{} {}\n", library.name, library.identity))
            .collect();
        let custom = CustomSection {
            name: abi::USES.into(),
            data: text.as_bytes().into(),
        };
        custom.append_to(&mut out);
        Ok(out)
    }
}

fn overlap(a: &std::ops::Range<u32>, b: &std::ops::Range<u32>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The library that an item names, if it names one.
fn named(command: &Command, item: &Item) -> Option<PathBuf> {
    match item {
        Item::Object(path) if path.contains(".so") => {
            Some(PathBuf::from(path)).filter(|path| is_library(path))
        }
        Item::Library(name) => {
            for folder in &command.folders {
                let folder = Path::new(folder);
                let path = folder.join(format!("lib{name}.so"));
                if is_library(&path) {
                    return Some(path);
                }
                if folder.join(format!("lib{name}.a")).exists() {
                    return None;
                }
            }
            None
        }
        _ => None,
    }
}

fn is_library(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| Library::is_one(&bytes))
}

/// A file's contents.
fn contents(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).doing("reading", path)
}
