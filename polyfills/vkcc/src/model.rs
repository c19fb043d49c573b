//! The data model that an object was compiled with, in a section of its own.
//!
//! Objects of another width of `long` link without a word: only what they compute is wrong. So each object
//! that is compiled here is marked, and all that the linker takes must be. A linked module is marked once.
//!
//! Objects in the compiler's own form (`-flto`) have no sections. They name the target that they were compiled
//! for, and that has one data model.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use object::read::archive::ArchiveFile;
use wasm_encoder::{CustomSection, Encode as _, RawSection, Section as _};
use wasmparser::{Parser, Payload};

use crate::{
    compile::TRIPLE,
    environment::Environment,
    error::{Error, IoContext, Result},
    lto,
};

/// The section's name.
const SECTION: &str = "vkernel.data_model";

/// What it holds: `int`, `long` and pointers have 32 bits. The linker puts sections of one name together, so
/// that what `-r` makes has it several times.
const MARK: &[u8] = b"ilp32;";

/// Marks the object at `path`, if it is a WebAssembly object that is not marked.
pub(crate) fn mark(path: &Path) -> Result<()> {
    let kind = fs::metadata(path).doing("reading", path)?;
    // What is written to a device or a pipe is for nobody to link.
    if !kind.is_file() {
        return Ok(());
    }
    let object = fs::read(path).doing("reading", path)?;
    if !object.starts_with(b"\0asm") || is_marked(&object) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let mut marked = tempfile::Builder::new()
        .prefix(".vkcc-")
        .permissions(kind.permissions())
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .doing("making a file beside", path)?;
    marked
        .write_all(&[object, section()].concat())
        .doing("marking", path)?;
    marked
        .persist(path)
        .map_err(|error| error.error)
        .doing("putting into place", path)?;
    Ok(())
}

/// A linked module with one mark.
pub(crate) fn once(module: &[u8]) -> wasmparser::Result<Vec<u8>> {
    let mut marked = module.get(..8).unwrap_or_default().to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if matches!(&payload, Payload::CustomSection(custom) if custom.name() == SECTION) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            RawSection {
                id,
                data: &module[range],
            }
            .append_to(&mut marked);
        }
    }
    marked.extend(section());
    Ok(marked)
}

pub(crate) fn section() -> Vec<u8> {
    let custom = CustomSection {
        name: Cow::Borrowed(SECTION),
        data: Cow::Borrowed(MARK),
    };
    let mut bytes = vec![custom.id()];
    custom.encode(&mut bytes);
    bytes
}

/// Whether a WebAssembly object has marks and no others.
pub(crate) fn is_marked(object: &[u8]) -> bool {
    let mut is = false;
    for payload in Parser::new(0).parse_all(object) {
        let Ok(payload) = payload else {
            return false;
        };
        if let Payload::CustomSection(custom) = payload
            && custom.name() == SECTION
        {
            let mut marks = custom.data().chunks(MARK.len());
            if custom.data().is_empty() || !marks.all(|mark| mark == MARK) {
                return false;
            }
            is = true;
        }
    }
    is
}

/// What the linker says that it takes (`--trace`): the names that are objects, and all other lines.
pub(crate) fn traced(said: &str) -> (BTreeSet<Traced>, Vec<&str>) {
    let (mut objects, mut others) = (BTreeSet::new(), Vec::new());
    for line in said.lines() {
        match Traced::read(line) {
            Some(object) => {
                objects.insert(object);
            }
            None => others.push(line),
        }
    }
    (objects, others)
}

/// An object that the linker took: a file, or a member of an archive.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Traced {
    file: PathBuf,
    member: Option<String>,
}

impl Traced {
    /// Whether it is the C library's function that makes threads.
    pub(crate) fn makes_threads(&self) -> bool {
        self.is_member("pthread_create.o")
    }

    /// Whether it is a member of an archive and has this name.
    pub(crate) fn is_member(&self, name: &str) -> bool {
        self.member.as_deref() == Some(name)
    }

    /// `FILE` or `ARCHIVE(MEMBER)`, of a file that is there.
    fn read(line: &str) -> Option<Traced> {
        let (file, member) = match Path::new(line).is_file() {
            true => (line, None),
            false => {
                let (file, member) = line.strip_suffix(')')?.split_once('(')?;
                (file, Some(member.to_owned()))
            }
        };
        Path::new(file).is_file().then(|| Traced {
            file: file.into(),
            member,
        })
    }
}

impl std::fmt::Display for Traced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.member {
            Some(member) => write!(f, "{}({member})", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

/// Refuses a program of objects that are not all of our data model.
pub(crate) fn check(
    environment: &Environment,
    objects: &BTreeSet<Traced>,
    output: &Path,
) -> Result<()> {
    let mut foreign = Vec::new();
    let mut archive: Option<(&Path, Vec<u8>)> = None;
    for object in objects {
        if archive
            .as_ref()
            .is_none_or(|(file, _)| *file != object.file)
        {
            let bytes = fs::read(&object.file).doing("reading", &object.file)?;
            archive = Some((&object.file, bytes));
        }
        let Some((_, bytes)) = &archive else { continue };
        let contents = match &object.member {
            Some(member) => members(&object.file, bytes, member)?,
            None => vec![Cow::Borrowed(bytes.as_slice())],
        };
        for object_bytes in &contents {
            if !is_ours(environment, object_bytes)? {
                foreign.push(object.to_string());
                break;
            }
        }
    }
    match foreign.is_empty() {
        true => Ok(()),
        false => Err(Error::Model {
            output: output.to_owned(),
            foreign,
        }),
    }
}

fn is_ours(environment: &Environment, object: &[u8]) -> Result<bool> {
    if !lto::is_bitcode(object) {
        return Ok(is_marked(object));
    }
    let file = tempfile::NamedTempFile::new().doing("making a file in", std::env::temp_dir())?;
    fs::write(file.path(), object).doing("writing", file.path())?;
    // The compiler is told another target than the object's own if it is not ours, and then says so.
    let read = environment
        .tool("clang")
        .args(["-x", "ir", "-S", "-emit-llvm", "-o", "/dev/null"])
        .arg("-Werror=override-module")
        .arg(format!("--target={TRIPLE}"))
        .arg(file.path())
        .stderr(Stdio::null())
        .status()
        .doing("reading", "an object in the compiler's own form")?;
    Ok(read.success())
}

/// The members of an archive that have a name; more than one may.
fn members<'a>(file: &Path, bytes: &'a [u8], name: &str) -> Result<Vec<Cow<'a, [u8]>>> {
    let unreadable = |error: object::Error| Error::Io {
        doing: "reading the archive",
        path: file.to_owned(),
        error: std::io::Error::other(error),
    };
    let archive = ArchiveFile::parse(bytes).map_err(unreadable)?;
    let mut found = Vec::new();
    for member in archive.members() {
        let member = member.map_err(unreadable)?;
        let full = String::from_utf8_lossy(member.name());
        // The linker says the last part of a thin archive's names.
        if full != name && Path::new(full.as_ref()).file_name() != Some(name.as_ref()) {
            continue;
        }
        found.push(if member.is_thin() {
            let path = file.parent().unwrap_or(Path::new(".")).join(full.as_ref());
            Cow::Owned(fs::read(&path).doing("reading", path)?)
        } else {
            Cow::Borrowed(member.data(bytes).map_err(unreadable)?)
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn marks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.o");
        fs::write(&path, EMPTY).unwrap();
        assert!(!is_marked(EMPTY));
        for _ in 0..2 {
            mark(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), [EMPTY, &section()].concat());
        }
        assert!(is_marked(&fs::read(&path).unwrap()));
    }

    #[test]
    fn a_linked_module_has_one() {
        let several = CustomSection {
            name: Cow::Borrowed(SECTION),
            data: Cow::Borrowed(b"ilp32;ilp32;"),
        };
        let mut module = EMPTY.to_vec();
        several.append_to(&mut module);
        assert!(is_marked(&module));
        assert_eq!(once(&module).unwrap(), [EMPTY, &section()].concat());
        assert_eq!(once(EMPTY).unwrap(), [EMPTY, &section()].concat());
    }

    #[test]
    fn other_models_are_no_marks() {
        for data in [&b"lp64;"[..], b"ilp32;lp64;", b"ilp32", b""] {
            let mut module = EMPTY.to_vec();
            CustomSection {
                name: Cow::Borrowed(SECTION),
                data: Cow::Borrowed(data),
            }
            .append_to(&mut module);
            assert!(!is_marked(&module), "{data:?}");
        }
        assert!(!is_marked(b"\0asm"));
        assert!(!is_marked(b"no object"));
    }

    #[test]
    fn what_the_linker_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib (1).a");
        fs::write(&file, b"").unwrap();
        let name = file.display();
        let said = format!("{name}\nsomething(else)\nwarning\n{name}\n");
        let (objects, others) = traced(&said);
        let said: Vec<String> = objects.iter().map(ToString::to_string).collect();
        assert_eq!(said, [name.to_string()]);
        assert_eq!(others, ["something(else)", "warning"]);
    }
}
