//! `-shared`: a library's objects, put together without being linked.
//!
//! All objects of the command line are in it, and those members of the archives on it that they need. What
//! `-l` names is not in it but in the list of what it needs: the program has it once.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use object::read::archive::ArchiveFile;

use super::{
    NEEDS, OFFERS,
    object::{self as objects, Object},
    stub::{self, Stub},
    symbol::Kind,
};
use crate::{
    command::{Command, Item},
    environment::Environment,
    error::{Error, IoContext, Result},
    lto,
    process::status,
};

/// Makes the library.
pub(crate) fn make(environment: &Environment, command: &Command, items: &[Item]) -> Result<u8> {
    let output = command
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from("a.out"));
    let file_name = output.file_name().unwrap_or_default().to_string_lossy();
    let name = command.soname.as_deref().unwrap_or(&file_name);
    if !stub::is_name(name) {
        return Err(Error::Library {
            path: output.clone(),
            why: format!("a library cannot be called `{name}`"),
        });
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
    let mut parts = Parts {
        trusts: command.trust_objects,
        ..Parts::default()
    };
    parts.read(environment, items, made.path())?;
    let archive = made.path().join("library.a");
    let mut archiver = environment.tool("ar");
    archiver.arg("qcSD").arg(&archive);
    for (at, (name, bytes)) in parts.taken.iter().enumerate() {
        let file = made.path().join(format!("{at}-{name}"));
        fs::write(&file, bytes).doing("writing", &file)?;
        archiver.arg(file);
    }
    let needs = made.path().join(NEEDS);
    let list: String = parts.needs.iter().map(|name| format!("{name}\n")).collect();
    fs::write(&needs, list).doing("writing", &needs)?;
    archiver.arg(&needs);
    if !parts.exported.is_empty() {
        let offers = made.path().join(OFFERS);
        let list: String = parts.exported.iter().map(|n| format!("{n}\n")).collect();
        fs::write(&offers, list).doing("writing", &offers)?;
        archiver.arg(offers);
    }
    if let Some(name) = parts.exported.difference(&parts.defined).next() {
        return Err(Error::Library {
            path: output.clone(),
            why: format!("it is to export `{name}`, which no object of it defines"),
        });
    }
    let failed = status(&mut archiver)?;
    if failed != 0 {
        return Ok(failed);
    }
    let bytes = fs::read(&archive).doing("reading", &archive)?;
    let text = made.path().join("library.so");
    fs::write(&text, Stub::of(name, &bytes).text()).doing("writing", &text)?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&text, mode).doing("making executable", &text)?;
    let special = fs::metadata(&output).is_ok_and(|kind| !kind.is_file());
    if !special {
        let beside = stub::archive(&output);
        fs::rename(&archive, &beside).doing("putting into place", &beside)?;
        fs::rename(&text, &output).doing("putting into place", &output)?;
    }
    Ok(0)
}

/// A library's objects, and what of them other objects can see: name, kind, and whether each thread has its own.
pub(crate) struct Offered {
    pub(crate) objects: Vec<PathBuf>,
    pub(crate) symbols: Vec<(String, Kind, bool)>,
    /// Names that the objects cannot be without.
    pub(crate) needed: BTreeSet<String>,
    /// Whether some function is to be called before any other.
    pub(crate) has_constructors: bool,
}

/// The objects that items name; they are written to `folder`.
pub(crate) fn objects_of(
    environment: &Environment,
    items: &[Item],
    folder: &Path,
) -> Result<Offered> {
    let mut parts = Parts::default();
    parts.read(environment, items, folder)?;
    let mut offered = Offered {
        objects: Vec::new(),
        symbols: Vec::new(),
        needed: BTreeSet::new(),
        has_constructors: false,
    };
    for (at, (name, bytes)) in parts.taken.iter().enumerate() {
        let file = folder.join(format!("{at}-{name}"));
        fs::write(&file, bytes).doing("writing", &file)?;
        let object = objects::read(bytes).map_err(|error| Error::Library {
            path: file.clone(),
            why: format!("it cannot be read: {error}"),
        })?;
        offered.needed.extend(object.needed);
        offered.has_constructors |= object.has_constructors;
        let symbols = object.defined.into_iter().filter(|symbol| !symbol.hidden);
        offered
            .symbols
            .extend(symbols.map(|symbol| (symbol.name, symbol.kind, symbol.of_threads)));
        offered.objects.push(file);
    }
    Ok(offered)
}

/// What a library is made of.
#[derive(Default)]
struct Parts {
    taken: Vec<(String, Vec<u8>)>,
    defined: BTreeSet<String>,
    wanted: VecDeque<String>,
    /// Members of archives that nobody needed yet, and by name which one has it.
    waiting: Vec<Option<(String, Vec<u8>, Object)>>,
    offers: BTreeMap<String, usize>,
    needs: Vec<String>,
    /// Whether objects that do not say how they were compiled are taken for ours: other compilers' than `vkcc`.
    trusts: bool,
    /// What it offers, if it offers nothing else: `--export=NAME`.
    exported: BTreeSet<String>,
}

impl Parts {
    fn read(&mut self, environment: &Environment, items: &[Item], scratch: &Path) -> Result<()> {
        let mut whole = false;
        for item in items {
            match item {
                Item::Linker(words) => {
                    let mut words = words.iter().map(String::as_str);
                    match (words.next(), words.next()) {
                        (Some("--whole-archive"), _) => whole = true,
                        (Some("--no-whole-archive"), _) => whole = false,
                        // What is wanted though no object of the command line needs it.
                        (Some("-u"), Some(name)) => self.wanted.push_back(name.to_owned()),
                        (Some(word), _) => {
                            if let Some(name) = word.strip_prefix("--undefined=") {
                                self.wanted.push_back(name.to_owned());
                            } else if let Some(name) = word.strip_prefix("--export=") {
                                self.wanted.push_back(name.to_owned());
                                self.exported.insert(name.to_owned());
                            }
                        }
                        _ => {}
                    }
                }
                Item::Library(name) => self.needs.push(name.clone()),
                Item::Source(path, _) | Item::Object(path) => {
                    let path = Path::new(path);
                    let bytes = fs::read(path).doing("reading", path)?;
                    if Stub::read(&bytes).is_some() {
                        return Err(Error::Library {
                            path: path.to_owned(),
                            why: "a library cannot be part of another one: name it when the program is linked"
                                .to_owned(),
                        });
                    }
                    let is_archive = bytes.starts_with(b"!<arch>") || bytes.starts_with(b"!<thin>");
                    let contents = match is_archive {
                        true => members(path, &bytes)?,
                        false => vec![(
                            path.file_name()
                                .unwrap_or_default()
                                .to_string_lossy()
                                .into_owned(),
                            Cow::Borrowed(bytes.as_slice()),
                        )],
                    };
                    for (name, bytes) in contents {
                        let Some(bytes) = compiled(environment, path, &name, bytes, scratch)?
                        else {
                            continue;
                        };
                        let object = objects::read(&bytes).map_err(|error| Error::Library {
                            path: path.to_owned(),
                            why: format!("its object {name} cannot be read: {error}"),
                        })?;
                        match is_archive && !whole {
                            true => self.offer(name, bytes, object),
                            false => self.take(name, bytes, &object),
                        }
                    }
                }
            }
        }
        while let Some(name) = self.wanted.pop_front() {
            if self.defined.contains(&name) {
                continue;
            }
            let at = self.offers.get(&name).copied();
            if let Some((member, bytes, object)) =
                at.and_then(|at| self.waiting.get_mut(at)?.take())
            {
                self.take(member, bytes, &object);
            }
        }
        Ok(())
    }

    fn offer(&mut self, name: String, bytes: Vec<u8>, object: Object) {
        for symbol in &object.defined {
            self.offers
                .entry(symbol.name.clone())
                .or_insert(self.waiting.len());
        }
        self.waiting.push(Some((name, bytes, object)));
    }

    fn take(&mut self, name: String, bytes: Vec<u8>, object: &Object) {
        self.defined.extend(object.names());
        self.wanted.extend(
            object
                .needed
                .iter()
                .filter(|name| !self.defined.contains(*name))
                .cloned(),
        );
        let mut bytes = bytes;
        if self.trusts && bytes.starts_with(b"\0asm") && !crate::model::is_marked(&bytes) {
            bytes.extend(crate::model::section());
        }
        self.taken.push((name, bytes));
    }
}

/// An object in WebAssembly, whatever form it was in; `None` if it is no object.
fn compiled(
    environment: &Environment,
    path: &Path,
    name: &str,
    bytes: Cow<'_, [u8]>,
    scratch: &Path,
) -> Result<Option<Vec<u8>>> {
    if bytes.starts_with(b"\0asm") {
        return Ok(Some(bytes.into_owned()));
    }
    if !lto::is_bitcode(&bytes) {
        return Ok(None);
    }
    let (from, to) = (scratch.join("object.bc"), scratch.join("object.o"));
    fs::write(&from, &bytes).doing("writing", &from)?;
    let failed = status(&mut crate::compile::of_intermediate(
        environment,
        &from,
        &to,
    ))?;
    if failed != 0 {
        return Err(Error::Library {
            path: path.to_owned(),
            why: format!(
                "its object {name}, which was compiled with -flto, cannot be compiled to an end"
            ),
        });
    }
    crate::model::mark(&to)?;
    fs::read(&to).doing("reading", &to).map(Some)
}

/// The members of an archive with their names, thin ones too.
pub(crate) fn members<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<(String, Cow<'a, [u8]>)>> {
    let unreadable = |error: object::Error| Error::Io {
        doing: "reading the archive",
        path: path.to_owned(),
        error: std::io::Error::other(error),
    };
    let archive = ArchiveFile::parse(bytes).map_err(unreadable)?;
    let mut found = Vec::new();
    for member in archive.members() {
        let member = member.map_err(unreadable)?;
        let full = String::from_utf8_lossy(member.name()).into_owned();
        let contents = if member.is_thin() {
            let file = path.parent().unwrap_or(Path::new(".")).join(&full);
            Cow::Owned(fs::read(&file).doing("reading", file)?)
        } else {
            Cow::Borrowed(member.data(bytes).map_err(unreadable)?)
        };
        let name = Path::new(&full).file_name().unwrap_or_default();
        found.push((name.to_string_lossy().into_owned(), contents));
    }
    Ok(found)
}

/// The names that an archive's objects define.
pub(crate) fn names(path: &Path) -> Result<BTreeSet<String>> {
    let bytes = fs::read(path).doing("reading", path)?;
    let mut found = BTreeSet::new();
    for (_, bytes) in members(path, &bytes)? {
        if let Ok(object) = objects::read(&bytes) {
            found.extend(object.names());
        }
    }
    Ok(found)
}
