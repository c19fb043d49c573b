//! What a launcher must be, before packing and in a packed file alike.
//!
//! A static-PIE for x86-64: no interpreter, no library, nothing writable and executable, no
//! executable stack, no relocations that write to text.

use std::ops::Range;

use megabinary_format::PT_VKERNEL;

use super::raw::{self, EM_X86_64, ET_DYN, Header, Phdr, W, X, u64_at};

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_TEXTREL: u64 = 22;
const DT_FLAGS: u64 = 30;
const DF_TEXTREL: u64 = 4;
const PAGE: u64 = megabinary_format::PAGE;

/// Problems of a file that is to become a launcher.
pub(crate) fn check_unpacked(bytes: &[u8], header: &Header, phdrs: &[Phdr]) -> Vec<String> {
    let mut problems = check(bytes, header, phdrs);
    if phdrs.iter().any(|p| p.kind == PT_VKERNEL) {
        problems.push("it is already packed: give the launcher, not a megabinary".into());
    }
    problems
}

/// Problems of an ELF file, packed or not.
pub(crate) fn check(bytes: &[u8], header: &Header, phdrs: &[Phdr]) -> Vec<String> {
    let mut problems = Vec::new();
    if header.kind != ET_DYN || header.machine != EM_X86_64 {
        problems.push(format!(
            "it is of ELF type {} for machine {}, not a static-PIE (type {ET_DYN}) for x86-64 \
             (machine {EM_X86_64})",
            header.kind, header.machine
        ));
    }
    check_loads(bytes, header, phdrs, &mut problems);
    check_others(bytes, phdrs, &mut problems);
    problems
}

fn check_loads(bytes: &[u8], header: &Header, phdrs: &[Phdr], problems: &mut Vec<String>) {
    let loads = || phdrs.iter().filter(|p| p.kind == raw::PT_LOAD);
    let mut mapped_to = 0;
    for load in loads() {
        let at = load.vaddr;
        if load.flags & (W | X) == W | X {
            problems.push(format!("its segment at {at:#x} is writable and executable"));
        }
        let Some(pages) = pages(load) else {
            problems.push(format!("its segment at {at:#x} leaves the address space"));
            continue;
        };
        if pages.start < mapped_to {
            problems.push(format!(
                "its segment at {at:#x} overlaps or precedes the one before"
            ));
        }
        mapped_to = pages.end;
        if load.offset % PAGE != load.vaddr % PAGE || load.filesz > load.memsz {
            problems.push(format!("its segment at {at:#x} cannot be mapped"));
        }
        if raw::slice(bytes, load.offset, load.filesz).is_none() {
            problems.push(format!("its segment at {at:#x} is outside the file"));
        }
    }
    let entry = header.entry;
    let in_text = |l: &Phdr| l.flags & X != 0 && entry >= l.vaddr && entry - l.vaddr < l.filesz;
    if !loads().any(in_text) {
        problems.push(format!(
            "its entry point {entry:#x} is not in executable text"
        ));
    }
}

fn check_others(bytes: &[u8], phdrs: &[Phdr], problems: &mut Vec<String>) {
    if !phdrs.iter().any(|p| p.kind == raw::PT_GNU_STACK) {
        problems.push("it does not ask for a non-executable stack (no PT_GNU_STACK)".into());
    }
    for p in phdrs {
        match p.kind {
            raw::PT_INTERP => problems
                .push("it needs a dynamic linker (PT_INTERP): link it with -static-pie".into()),
            raw::PT_GNU_STACK if p.flags & X != 0 => {
                problems.push("it asks for an executable stack".into());
            }
            raw::PT_DYNAMIC => check_dynamic(bytes, p, problems),
            raw::PT_LOAD
            | raw::PT_NOTE
            | raw::PT_PHDR
            | raw::PT_TLS
            | raw::PT_GNU_EH_FRAME
            | raw::PT_GNU_STACK
            | raw::PT_GNU_RELRO
            | raw::PT_GNU_PROPERTY
            | PT_VKERNEL => {}
            other => problems.push(format!(
                "it has a program header of unknown type {other:#x}"
            )),
        }
    }
}

/// The dynamic section of a static-PIE relocates the program itself, and asks for nothing else.
fn check_dynamic(bytes: &[u8], dynamic: &Phdr, problems: &mut Vec<String>) {
    let Some(table) = raw::slice(bytes, dynamic.offset, dynamic.filesz) else {
        return problems.push("its dynamic section is outside the file".into());
    };
    for entry in table.chunks_exact(16) {
        match (u64_at(entry, 0), u64_at(entry, 8)) {
            (Some(DT_NULL), _) => return,
            (Some(DT_NEEDED), _) => {
                problems.push("it needs a shared library: link it with -static-pie".into());
            }
            (Some(DT_TEXTREL), _) => problems.push("it relocates its text (DT_TEXTREL)".into()),
            (Some(DT_FLAGS), Some(flags)) if flags & DF_TEXTREL != 0 => {
                problems.push("it relocates its text (DF_TEXTREL)".into());
            }
            _ => {}
        }
    }
    problems.push("its dynamic section has no end".into());
}

/// The pages that a segment is mapped to.
fn pages(load: &Phdr) -> Option<Range<u64>> {
    let end = load
        .vaddr
        .checked_add(load.memsz)?
        .checked_next_multiple_of(PAGE)?;
    Some(load.vaddr - load.vaddr % PAGE..end)
}
