//! The portable form: a WebAssembly component that holds the modules and all the rest.
//!
//! Public tools read it as a component of core modules with custom sections. Its top level, in
//! this order: `vkernel.index`, the core modules, `vkernel.memory` and `vkernel.files` where
//! there are any, `vkernel.signature`.
//!
//! Invariant: for each megabinary and key there is one portable form, and [`read`] accepts no
//! other: it writes what it has read again and compares.

use std::fmt;

use megabinary_format::{
    Digest, Entry, EntryKind, FileKind, FormatError, Index, MemoryImage, PAGE, PublicKey, Segment,
    SegmentKind, Signature, SignatureError, Target, is_absolute, sections, stub,
};

use crate::{
    Keys, LinkError, Megabinary,
    files::FilesLayout,
    keys::clean_comment,
    link::{libraries, link_module},
    megabinary::{Parts, Placement, check_warm},
    normalise::Contents,
    pages::PagesLayout,
    plan::{PlannedFile, PlannedModule, PlannedNode, PlannedTree},
};

/// `\0asm`, version 13, layer 1: a component (component model, "Binary").
const PREAMBLE: &[u8; 8] = b"\0asm\x0d\0\x01\0";
const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;

/// Why bytes are not a portable megabinary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortableError {
    /// Not a component, or one that was not made here.
    #[error("not a portable megabinary: {problem} (at byte {offset:#x})")]
    Shape {
        /// What is wrong.
        problem: &'static str,
        /// Byte offset in the file.
        offset: u64,
    },
    /// The index or the signature is not readable.
    #[error("the portable megabinary is damaged: {0}")]
    Format(#[from] FormatError),
    /// The signature does not hold.
    #[error("the portable megabinary is not to be trusted: {0}")]
    Signature(#[from] SignatureError),
    /// A module cannot be linked.
    #[error("the portable megabinary has a module that cannot be linked: {0}")]
    Link(#[from] LinkError),
    /// Something differs from what the index says.
    #[error("the portable megabinary is damaged: {0} is not what the index says")]
    Differs(String),
}

/// Writes the portable form, signed.
pub fn write(megabinary: &Megabinary, keys: &Keys) -> Vec<u8> {
    let comment = clean_comment(&format!("{} {:?}", megabinary.name(), Target::Portable));
    write_with(megabinary, |index| keys.sign(index, &comment))
}

fn write_with(megabinary: &Megabinary, sign: impl FnOnce(&[u8]) -> Signature) -> Vec<u8> {
    let pages = PagesLayout::snapshots(megabinary.modules());
    let files = FilesLayout::new(megabinary.trees());
    let mut segments = Vec::new();
    for (kind, contents) in [
        (SegmentKind::Memory, &pages.bytes),
        (SegmentKind::Files, &files.bytes),
    ] {
        if !contents.is_empty() {
            let len = contents.len() as u64;
            segments.push(Segment {
                kind,
                offset: 0,
                len,
                digest: Digest::of(contents),
            });
        }
    }
    let file_bytes = files.bytes.clone();
    let index = megabinary.index(&Placement {
        target: Target::Portable,
        code: Vec::new(),
        cold: pages.cold,
        warm: pages.warm,
        files,
        files_offset: 0,
        segments,
    });
    let index = index.encode();
    let signature = sign(&index).encode();

    let mut out = PREAMBLE.to_vec();
    put_custom(&mut out, sections::INDEX, &index);
    for module in megabinary.modules() {
        put_section(&mut out, CORE_MODULE, &[&module.wasm]);
    }
    for (name, contents) in [
        (sections::MEMORY, &pages.bytes),
        (sections::FILES, &file_bytes),
    ] {
        if !contents.is_empty() {
            put_custom(&mut out, name, contents);
        }
    }
    put_custom(&mut out, sections::SIGNATURE, &signature);
    out
}

fn put_custom(out: &mut Vec<u8>, name: &str, contents: &[u8]) {
    let mut head = Vec::new();
    put_leb(&mut head, name.len() as u64);
    head.extend_from_slice(name.as_bytes());
    put_section(out, CUSTOM, &[&head, contents]);
}

fn put_section(out: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
    out.push(id);
    put_leb(out, parts.iter().map(|p| p.len() as u64).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Unsigned LEB128 (core spec 5.2.2), shortest form.
fn put_leb(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// The top level of a portable megabinary, taken apart but not checked.
pub(crate) struct Parsed<'a> {
    pub(crate) index: &'a [u8],
    pub(crate) modules: Vec<&'a [u8]>,
    pub(crate) memory: &'a [u8],
    pub(crate) files: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Parsed<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Parsed<'a>, PortableError> {
        let shape = |problem, rest: &[u8]| PortableError::Shape {
            problem,
            offset: (bytes.len() - rest.len()) as u64,
        };
        let mut rest = bytes
            .strip_prefix(PREAMBLE)
            .ok_or_else(|| shape("it does not start as a WebAssembly component", bytes))?;
        let mut out = Parsed {
            index: &[],
            modules: Vec::new(),
            memory: &[],
            files: &[],
            signature: &[],
        };
        // Which section may come next: 0 index, 1 modules, 2 memory, 3 files, 4 signature, 5 end.
        let mut stage = 0;
        while !rest.is_empty() {
            let here = rest;
            let (id, contents) =
                take_section(&mut rest).ok_or_else(|| shape("a section is cut off", here))?;
            let (name, contents) = match id {
                CUSTOM => {
                    take_name(contents).ok_or_else(|| shape("a section's name is cut off", here))?
                }
                _ => ("", contents),
            };
            let (from, next) = match (id, name) {
                (CUSTOM, sections::INDEX) => (0..=0, 1),
                (CORE_MODULE, _) => (1..=1, 1),
                (CUSTOM, sections::MEMORY) => (1..=1, 3),
                (CUSTOM, sections::FILES) => (1..=3, 4),
                (CUSTOM, sections::SIGNATURE) => (1..=4, 5),
                _ => return Err(shape("a section that does not belong here", here)),
            };
            if !from.contains(&stage) {
                return Err(shape("a section out of order", here));
            }
            stage = next;
            match (id, name) {
                (CORE_MODULE, _) => out.modules.push(contents),
                (_, sections::INDEX) => out.index = contents,
                (_, sections::MEMORY) => out.memory = contents,
                (_, sections::FILES) => out.files = contents,
                _ => out.signature = contents,
            }
        }
        if stage != 5 {
            return Err(shape("its index or signature is missing", rest));
        }
        Ok(out)
    }
}

fn take_section<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (id, mut tail) = rest.split_first()?;
    let len = take_leb(&mut tail)?;
    let (contents, tail) = tail.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = tail;
    Some((*id, contents))
}

fn take_name(mut contents: &[u8]) -> Option<(&str, &[u8])> {
    let len = take_leb(&mut contents)?;
    let (name, contents) = contents.split_at_checked(usize::try_from(len).ok()?)?;
    Some((std::str::from_utf8(name).ok()?, contents))
}

fn take_leb(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A portable megabinary that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portable {
    /// The megabinary, ready to be compiled and packed.
    pub megabinary: Megabinary,
    /// Its index as stored.
    pub index: Index,
    /// Its signature, which fits the index; whether its key is to be trusted is for the caller
    /// to say: [`Signature::verify_by`], or [`read_trusted`].
    pub signature: Signature,
}

/// As [`read`], and the signer must be one of `trusted`.
pub fn read_trusted(bytes: &[u8], trusted: &[PublicKey]) -> Result<Portable, PortableError> {
    let portable = read(bytes)?;
    portable
        .signature
        .verify_by(Parsed::read(bytes)?.index, trusted)?;
    Ok(portable)
}

/// Reads a portable megabinary and checks all of it: signature, digests, modules, order.
pub fn read(bytes: &[u8]) -> Result<Portable, PortableError> {
    let parsed = Parsed::read(bytes)?;
    let index = Index::decode(parsed.index)?;
    let signature = Signature::decode(parsed.signature)?;
    signature.verify(parsed.index)?;
    let same = |what: &dyn fmt::Display, ok: bool| match ok {
        true => Ok(()),
        false => Err(PortableError::Differs(what.to_string())),
    };
    same(&"the form", index.target == Target::Portable)?;
    same(
        &"the number of modules",
        index.modules.len() == parsed.modules.len(),
    )?;
    for (kind, contents) in [
        (SegmentKind::Memory, parsed.memory),
        (SegmentKind::Files, parsed.files),
    ] {
        let segment = index.segments.iter().find(|s| s.kind == kind);
        let digest = (!contents.is_empty()).then(|| Digest::of(contents));
        same(
            &format!("the {kind:?} section"),
            segment.map(|s| s.digest) == digest,
        )?;
    }
    let mut linked_modules = Vec::with_capacity(parsed.modules.len());
    for (module, wasm) in index.modules.iter().zip(&parsed.modules) {
        same(
            &format!("module `{}`", module.name),
            Digest::of(wasm) == module.digest,
        )?;
        let planned = PlannedModule {
            name: module.name.clone(),
            wasm: wasm.to_vec(),
        };
        linked_modules.push(link_module(planned)?);
    }
    let mut modules = libraries::join(linked_modules)?;
    same(
        &"the shared libraries",
        modules.len() == index.modules.len(),
    )?;
    for (module, linked) in index.modules.iter().zip(&mut modules) {
        if let Some(warm) = &module.warm {
            let contents = contents(warm, parsed.memory);
            let warm = check_warm(
                &linked.facts,
                contents,
                warm.globals.clone(),
                module.process.clone(),
            );
            linked.warm = Some(warm.map_err(|problem| {
                PortableError::Differs(format!("the snapshot of `{}` ({problem})", module.name))
            })?);
        }
    }
    check_names(&index).map_err(PortableError::Differs)?;
    let megabinary = Megabinary::new(Parts {
        name: index.name.clone(),
        provenance: index.provenance,
        modules,
        entries: index.entries.clone(),
        programs: index.programs.clone(),
        routes: index.routes.clone(),
        trees: index
            .trees
            .iter()
            .map(|tree| planned_tree(tree, parsed.files))
            .collect(),
        policy: index.policy.clone(),
    });
    let again = write_with(&megabinary, |_| signature.clone());
    same(&"the layout", again == bytes)?;
    Ok(Portable {
        megabinary,
        index,
        signature,
    })
}

/// What [`Index::check`] leaves out because it hashes: entries are named by their digests, and
/// every program's stub is routed to its entry. Gives the first thing that is not so.
pub(crate) fn check_names(index: &Index) -> Result<(), String> {
    for entry in &index.entries {
        let module = match entry.kind {
            EntryKind::Module(at) => index.modules.get(at as usize).map(|m| &m.digest),
            EntryKind::Env => None,
        };
        if entry.digest != Entry::compute_digest(&entry.name, module, &entry.argv_prefix) {
            return Err(format!("the digest of entry `{}`", entry.name));
        }
    }
    for program in &index.programs {
        let entry = index.entries.get(program.entry as usize);
        let route = entry
            .map(|e| Digest::of(stub::text(&e.digest).as_bytes()))
            .and_then(|stub| index.routes.iter().find(|r| r.file == stub));
        if route.is_none_or(|r| r.entry != program.entry) || !is_absolute(&program.path) {
            return Err(format!("the route of the program at `{}`", program.path));
        }
    }
    Ok(())
}

/// The pages of an image whose runs were checked to be inside the section.
fn contents(image: &MemoryImage, section: &[u8]) -> Contents {
    let mut out = Contents {
        pages: image.pages,
        ..Contents::default()
    };
    for run in &image.runs {
        let bytes = crate::elf::raw::slice(section, run.file_offset, run.len).unwrap_or_default();
        for (i, page) in bytes.as_chunks::<{ PAGE as usize }>().0.iter().enumerate() {
            if page.iter().any(|b| *b != 0) {
                out.contents
                    .insert(run.memory_offset / PAGE + i as u64, Box::new(*page));
            }
        }
    }
    out
}

fn planned_tree(tree: &megabinary_format::FileTree, section: &[u8]) -> PlannedTree {
    let nodes = tree.nodes.iter().map(|node| PlannedNode {
        path: node.path.clone(),
        kind: match &node.kind {
            FileKind::Directory => PlannedFile::Directory,
            FileKind::Symlink(target) => PlannedFile::Symlink(target.clone()),
            FileKind::File {
                offset,
                len,
                executable,
            } => PlannedFile::File {
                bytes: crate::elf::raw::slice(section, *offset, *len)
                    .unwrap_or_default()
                    .to_vec(),
                executable: *executable,
            },
        },
    });
    PlannedTree {
        mount: tree.mount.clone(),
        nodes: nodes.collect(),
    }
}

#[cfg(test)]
mod tests;
