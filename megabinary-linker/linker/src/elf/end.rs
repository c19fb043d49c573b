//! The `PT_LOAD` at the end of an executable megabinary: program headers and tail, and before them
//! whatever may share it, since a start pays for every mapping and every first touch of one.
//!
//! Invariant: packing and verifying use this one rule, so that each file has one layout.

use megabinary_format::{PAGE, Segment, SegmentKind};

use super::raw::{PT_LOAD, Phdr, R};

/// Most bytes of memory pages that are mapped at `execve`, for the launcher to copy. With more, it
/// is cheaper to map them where they are needed.
const SMALL_MEMORY: u64 = 16 * PAGE;

/// Bytes of memory pages in the last `PT_LOAD`: all of them if they are few and come last.
pub(crate) fn mapped_memory(segments: &[Segment]) -> u64 {
    segments
        .iter()
        .rfind(|s| s.kind != SegmentKind::Headers)
        .filter(|s| s.kind == SegmentKind::Memory && s.len <= SMALL_MEMORY)
        .map_or(0, |s| s.len)
}

/// The last `PT_LOAD`, for a `PT_PHDR` of `headers` and a file of `len` bytes. `code` are those of
/// the code images; the last one is taken out if it becomes a part of this one.
pub(crate) fn load(code: &mut Vec<Phdr>, segments: &[Segment], headers: &Phdr, len: u64) -> Phdr {
    let memory = mapped_memory(segments);
    let mut offset = headers.offset.saturating_sub(memory);
    let mut vaddr = headers.vaddr.saturating_sub(memory);
    let adjoins = |p: &&Phdr| {
        p.flags == R
            && p.offset.checked_add(p.filesz) == Some(offset)
            && p.vaddr.checked_add(p.memsz) == Some(vaddr)
    };
    if let Some(last) = code.last().filter(adjoins).copied() {
        (offset, vaddr) = (last.offset, last.vaddr);
        code.pop();
    }
    Phdr::over(PT_LOAD, R, offset, vaddr, len.saturating_sub(offset))
}
