//! Shared libraries that are linked into the program (`docs/shared-objects.md`).
//!
//! Code cannot be loaded into a program that runs. So `-shared` makes a text that stands for a library, and an
//! archive of its objects ([`shared`]). A program that is to load it names it with `-mloadable=FILE`: the
//! objects are linked in under names of their own ([`object`]), and the program gets a table by which its
//! `dlopen` and `dlsym` find them ([`registry`]). With `-rdynamic` the table has the program's own symbols too.
//!
//! A library that is named as an input, as `foo.so` or `-lfoo`, is part of the program from the start: its
//! objects are linked under their own names.

mod object;
mod registry;
mod shared;
mod stub;
mod symbol;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use object::Object;
use registry::Library;
pub(crate) use shared::{Offered, make, members, objects_of};
use stub::Stub;
pub(crate) use symbol::Kind;
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef};

use crate::{
    command::{Command, Item},
    error::{Error, IoContext, Result},
    model::Traced,
};

/// Where a library's list of the libraries that it needs is: one `-l` in a line.
const NEEDS: &str = "needs.txt";

/// Where the list of the names is that a library offers, one in a line, if it offers no others.
const OFFERS: &str = "offers.txt";

/// The object of libc's that looks for the table.
const USER: &str = "dl_registry.o";

/// What libc is called.
const LIBC: &str = "libc.so.6";

/// Libraries that are linked into a program.
pub(crate) struct Linked {
    libraries: Vec<Library>,
    /// For the linker, after the program's own.
    objects: Vec<PathBuf>,
    needs: Vec<String>,
    /// The linker's names of what the libraries define.
    own: BTreeSet<String>,
    folder: PathBuf,
}

impl Linked {
    /// The libraries that a command line names; their objects go to `folder`. What is left of the items are
    /// no libraries.
    pub(crate) fn read(
        command: &Command,
        items: &[Item],
        folder: &Path,
    ) -> Result<(Linked, Vec<Item>)> {
        let mut linked = Linked {
            libraries: Vec::new(),
            objects: Vec::new(),
            needs: Vec::new(),
            own: BTreeSet::new(),
            folder: folder.to_owned(),
        };
        for path in &command.loadable {
            linked.add(Path::new(path), false)?;
        }
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            match named(command, item) {
                Some(path) => linked.add(&path, true)?,
                None => left.push(item.clone()),
            }
        }
        Ok((linked, left))
    }

    /// What the linker takes besides.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let objects = self.objects.iter();
        objects
            .map(|path| Item::Object(path.to_string_lossy().into_owned()))
            .chain(self.needs.iter().cloned().map(Item::Library))
    }

    /// The types of the functions that `dlsym` finds in them.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &FuncType> {
        let symbols = self.libraries.iter().flat_map(|l| l.symbols.values());
        symbols.filter_map(|(_, kind)| match kind {
            Kind::Function(ty) => Some(ty),
            Kind::Data => None,
        })
    }

    fn is_empty(&self) -> bool {
        self.libraries.is_empty()
    }

    fn add(&mut self, path: &Path, is_loaded: bool) -> Result<()> {
        let unfit = |why| Error::Library {
            path: path.to_owned(),
            why,
        };
        let text = fs::read(path).doing("reading", path)?;
        let stub = Stub::read(&text)
            .ok_or_else(|| unfit("it is no library that `vkcc -shared` made".to_owned()))?;
        let archive = stub::archive(path);
        let bytes = fs::read(&archive).doing("reading the library's objects in", &archive)?;
        if Stub::of(&stub.name, &bytes) != stub {
            return Err(unfit(format!(
                "it does not belong to {}: make both again",
                archive.display()
            )));
        }
        if self
            .libraries
            .iter()
            .any(|l| l.digest.as_ref() == Some(&stub.digest))
        {
            return Ok(());
        }
        let members = members(&archive, &bytes)?;
        let broken = |error: &dyn std::fmt::Display| {
            unfit(format!("an object in it cannot be read: {error}"))
        };
        let mut library = Library {
            name: stub.name.clone(),
            digest: Some(stub.digest),
            is_loaded,
            ..Library::default()
        };
        let mut objects = Vec::new();
        let mut offered: Option<BTreeSet<String>> = None;
        for (name, bytes) in &members {
            if name == OFFERS {
                let text = String::from_utf8_lossy(bytes);
                offered = Some(text.lines().map(str::to_owned).collect());
                continue;
            }
            if name == NEEDS {
                let text = String::from_utf8_lossy(bytes);
                self.needs.extend(text.lines().map(str::to_owned));
                continue;
            }
            let object = object::read(bytes).map_err(|error| broken(&error))?;
            objects.push((name, bytes, object));
        }
        let own: BTreeSet<String> = match is_loaded {
            true => BTreeSet::new(),
            false => objects.iter().flat_map(|(.., o)| o.names()).collect(),
        };
        // Libraries of one name there may be several.
        let place = self.libraries.len();
        let suffix = match self.libraries.iter().any(|l| l.name == stub.name) {
            true => format!("@{place}.{}", stub.name),
            false => format!("@{}", stub.name),
        };
        let folder = self.folder.join(format!("{place}.{}", stub.name));
        fs::create_dir_all(&folder).doing("making", &folder)?;
        let mut constructors = Vec::new();
        for (at, (name, bytes, object)) in objects.iter().enumerate() {
            let file = folder.join(format!("{at}.{name}"));
            if is_loaded {
                fs::write(&file, bytes).doing("writing", &file)?;
            } else {
                let renamed = object::rename(bytes, &own, &suffix, at, offered.as_ref())
                    .map_err(|error| broken(&error))?;
                fs::write(&file, &renamed.bytes).doing("writing", &file)?;
                constructors.extend(renamed.constructors);
            }
            self.objects.push(file);
            for symbol in &object.defined {
                let linked = match is_loaded {
                    true => symbol.name.clone(),
                    false => format!("{}{suffix}", symbol.name),
                };
                self.own.insert(linked.clone());
                let is_named = offered.as_ref().is_none_or(|o| o.contains(&symbol.name));
                if is_named && symbol.is_offered() {
                    let entry = (linked, symbol.kind.clone());
                    library.symbols.insert(symbol.name.clone(), entry);
                }
            }
        }
        constructors.sort_by_key(|(priority, _)| *priority);
        library.constructors = constructors.into_iter().map(|(_, name)| name).collect();
        self.libraries.push(library);
        Ok(())
    }

    /// The object that tells the program of its libraries. `module` was linked with all that can be found by
    /// name exported, if the program's own symbols are to be found.
    pub(crate) fn registry(self, module: Option<&[u8]>, libc: &Path) -> Result<Vec<u8>> {
        let mut program = Library {
            is_loaded: true,
            ..Library::default()
        };
        let mut c = Library {
            name: LIBC.to_owned(),
            is_loaded: true,
            ..Library::default()
        };
        if let Some(module) = module {
            let exports = exports(module).map_err(|error| Error::Library {
                path: PathBuf::from("the program"),
                why: format!("the linker wrote a module that cannot be read: {error}"),
            })?;
            let of_libc = shared::names(libc)?;
            for (name, kind) in exports {
                if self.own.contains(&name) {
                    continue;
                }
                let library = match of_libc.contains(&name) {
                    true => &mut c,
                    false => &mut program,
                };
                library.symbols.insert(name.clone(), (name, kind));
            }
        }
        let mut libraries = vec![program, c];
        libraries.extend(self.libraries);
        Ok(registry::object(&libraries))
    }

    /// Whether the program is to have a table of its libraries: whether it looks for one, and has something to
    /// tell.
    pub(crate) fn are_asked_for<'a>(
        &self,
        command: &Command,
        mut objects: impl Iterator<Item = &'a Traced>,
    ) -> bool {
        (command.dynamic_symbols || !self.is_empty())
            && objects.any(|object| object.is_member(USER))
    }
}

impl Object {
    fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.defined.iter().map(|symbol| symbol.name.clone())
    }
}

/// The stub that an item names, if it names one.
fn named(command: &Command, item: &Item) -> Option<PathBuf> {
    let is_stub = |path: &Path| fs::read(path).is_ok_and(|text| Stub::read(&text).is_some());
    match item {
        Item::Object(path) if path.contains(".so") => {
            Some(PathBuf::from(path)).filter(|path| is_stub(path))
        }
        Item::Library(name) => {
            for folder in &command.folders {
                let folder = Path::new(folder);
                let path = folder.join(format!("lib{name}.so"));
                if is_stub(&path) {
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

/// What a module exports that is a function or an address: not what the personality has exported.
fn exports(module: &[u8]) -> wasmparser::Result<BTreeMap<String, Kind>> {
    let mut types: Vec<Option<FuncType>> = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    // Whether each global is one of the linker's own, which change.
    let mut changes: Vec<bool> = Vec::new();
    let mut found = BTreeMap::new();
    for payload in Parser::new(0).parse_all(module) {
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
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => functions.push(ty),
                        TypeRef::Global(ty) => changes.push(ty.mutable),
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.push(ty?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    changes.push(global?.ty.mutable);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let index = export.index as usize;
                    let kind = match export.kind {
                        ExternalKind::Func => functions
                            .get(index)
                            .and_then(|ty| types.get(*ty as usize)?.clone())
                            .map(Kind::Function),
                        ExternalKind::Global if changes.get(index) == Some(&false) => {
                            Some(Kind::Data)
                        }
                        _ => None,
                    };
                    if let Some(kind) = kind {
                        found.insert(export.name.to_owned(), kind);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
