//! Mends the digests and the signature of damaged megabinaries with the test key, as somebody who
//! holds a key could: without this, fuzzing would end at the signature nearly always.
//!
//! It is an own, lenient reader of the two layouts, since it has to read what ours refuse. `None`:
//! too damaged to find the index.

use megabinary_format::{
    Digest, Entry, EntryKind, Index, PT_VKERNEL, Route, SegmentKind, Tail, sections, stub,
};

use crate::seeds::keys;

/// The portable form.
pub(crate) fn portable(data: &[u8]) -> Option<Vec<u8>> {
    let mut sections = Vec::new();
    let mut rest = data.get(8..)?;
    while let [id, tail @ ..] = rest {
        rest = tail;
        let len = leb(&mut rest)?;
        let (contents, tail) = rest.split_at_checked(len)?;
        rest = tail;
        let (name, contents) = if *id == 0 {
            let mut inner = contents;
            let len = leb(&mut inner)?;
            let (name, contents) = inner.split_at_checked(len)?;
            (std::str::from_utf8(name).ok()?, contents)
        } else {
            ("", contents)
        };
        sections.push((*id, name, contents.to_vec()));
    }
    let find = |wanted: &str| {
        sections
            .iter()
            .position(|(id, name, _)| *id == 0 && *name == wanted)
    };
    let (index_at, signature_at) = (find(sections::INDEX)?, find(sections::SIGNATURE)?);
    if let Ok(mut index) = Index::decode(&sections[index_at].2) {
        let wasm = sections.iter().filter(|(id, ..)| *id == 1);
        for (module, (.., wasm)) in index.modules.iter_mut().zip(wasm) {
            module.digest = Digest::of(wasm);
        }
        for segment in &mut index.segments {
            let name = match segment.kind {
                SegmentKind::Memory => sections::MEMORY,
                _ => sections::FILES,
            };
            if let Some(at) = find(name) {
                segment.digest = Digest::of(&sections[at].2);
                segment.len = sections[at].2.len() as u64;
            }
        }
        mend_names(&mut index);
        sections[index_at].2 = index.encode();
    }
    let comment = "fuzz";
    let signature = keys().sign(&sections[index_at].2, comment);
    sections[signature_at].2 = signature.encode();

    let mut out = data[..8].to_vec();
    for (id, name, contents) in sections {
        let mut body = Vec::new();
        if id == 0 {
            put_leb(&mut body, name.len());
            body.extend_from_slice(name.as_bytes());
        }
        body.extend_from_slice(&contents);
        out.push(id);
        put_leb(&mut out, body.len());
        out.extend_from_slice(&body);
    }
    Some(out)
}

/// The executable form. Nothing moves: an index that would change its length stays as it is.
pub(crate) fn elf(data: &[u8]) -> Option<Vec<u8>> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let table = usize::try_from(u64_at(32)?).ok()?;
    let count = usize::from(u16::from_le_bytes(*data.get(56..)?.first_chunk()?));
    let phdr = (0..count).find_map(|i| {
        let at = table.checked_add(i * 56)?;
        let kind = u32::from_le_bytes(*data.get(at..)?.first_chunk()?);
        (kind == PT_VKERNEL).then_some(at)
    })?;
    let at = usize::try_from(u64_at(phdr + 8)?).ok()?;
    let tail = Tail::decode(data.get(at..)?).ok()?;
    let mut index = Index::decode(tail.index).ok()?;
    for segment in &mut index.segments {
        let start = usize::try_from(segment.offset).ok()?;
        let end = start.checked_add(usize::try_from(segment.len).ok()?)?;
        segment.digest = Digest::of(data.get(start..end)?);
    }
    let before = index.routes.len();
    mend_names(&mut index);
    if index.routes.len() != before {
        index = Index::decode(tail.index).ok()?;
    }
    let index = index.encode();
    let comment = megabinary_format::Signature::decode(tail.signature)
        .map_or("fuzz".into(), |s| s.trusted_comment);
    let signature = keys().sign(&index, &comment).encode();
    let tail = Tail {
        index: &index,
        signature: &signature,
    };
    let mut out = data[..at].to_vec();
    out.extend_from_slice(&tail.encode());
    Some(out)
}

/// Gives entries their digests and programs their routes.
fn mend_names(index: &mut Index) {
    let modules: Vec<Digest> = index.modules.iter().map(|m| m.digest).collect();
    let stub = |entry: &Entry| Digest::of(stub::text(&entry.digest).as_bytes());
    for at in 0..index.entries.len() {
        let entry = &mut index.entries[at];
        let before = stub(entry);
        let module = match entry.kind {
            EntryKind::Module(module) => modules.get(module as usize),
            EntryKind::Env => None,
        };
        entry.digest = Entry::compute_digest(&entry.name, module, &entry.argv_prefix);
        let after = stub(entry);
        for route in index.routes.iter_mut().filter(|r| r.file == before) {
            route.file = after;
        }
    }
    for program in &index.programs {
        if let Some(entry) = index.entries.get(program.entry as usize) {
            let file = stub(entry);
            if !index.routes.iter().any(|r| r.file == file) {
                index.routes.push(Route {
                    file,
                    entry: program.entry,
                });
            }
        }
    }
    index.routes.sort_by_key(|r| r.file);
    index.routes.dedup_by_key(|r| r.file);
}

fn leb(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_leb(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use megabinary_linker::{portable, verify::verify_elf};

    use super::{elf, portable as mend_portable};
    use crate::seeds::{self, keys};

    /// One byte at the last occurrence of `text` changed.
    fn damaged(file: &[u8], text: &[u8]) -> Vec<u8> {
        let mut out = file.to_vec();
        let at = out.windows(text.len()).rposition(|w| w == text).unwrap();
        out[at] ^= 1;
        out
    }

    #[test]
    fn mended_files_are_accepted() {
        let file = damaged(&seeds::portables()[2], b"two two");
        assert!(portable::read(&file).is_err());
        assert!(portable::read(&mend_portable(&file).unwrap()).is_ok());

        let trusted = [keys().public_key()];
        let file = damaged(&seeds::elves()[1], b"two two");
        assert!(verify_elf(&file, &trusted).is_err());
        assert!(verify_elf(&elf(&file).unwrap(), &trusted).is_ok());
    }
}
