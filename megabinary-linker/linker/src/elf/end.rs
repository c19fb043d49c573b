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

#[cfg(test)]
mod tests {
    use megabinary_format::Digest;

    use super::{
        super::raw::{PT_PHDR, X},
        *,
    };

    /// Segments of these lengths in pages, one after the other.
    fn segments(parts: &[(SegmentKind, u64)]) -> Vec<Segment> {
        let mut offset = 0;
        parts
            .iter()
            .map(|&(kind, pages)| {
                let len = pages * PAGE;
                offset += len;
                Segment {
                    kind,
                    offset: offset - len,
                    len,
                    digest: Digest([0; 32]),
                }
            })
            .collect()
    }

    /// The start of the last load, in pages of the file, and how many loads code keeps, for a code
    /// image of three pages from page 10 on that ends in a page with these flags.
    fn start(after_code: &[(SegmentKind, u64)], last_flags: u32) -> (u64, usize) {
        let parts = [
            &[(SegmentKind::Launcher, 10), (SegmentKind::Code, 3)],
            after_code,
        ]
        .concat();
        let segments = segments(&parts);
        let offset = segments.iter().map(|s| s.len).sum();
        let to = 100 * PAGE;
        let part =
            |flags, at: u64| Phdr::over(PT_LOAD, flags, (10 + at) * PAGE, to + at * PAGE, PAGE);
        let mut code = vec![part(R, 0), part(R | X, 1), part(last_flags, 2)];
        let vaddr = to + 3 * PAGE + mapped_memory(&segments);
        let headers = Phdr::over(PT_PHDR, R, offset, vaddr, 0x100);
        let load = load(&mut code, &segments, &headers, offset + 0x333);
        assert_eq!((load.kind, load.flags), (PT_LOAD, R));
        assert_eq!(
            load.offset + load.filesz,
            offset + 0x333,
            "ends with the file"
        );
        assert_eq!(load.vaddr - load.offset, vaddr - offset, "one mapping");
        (load.offset / PAGE, code.len())
    }

    #[test]
    fn what_shares_the_last_load() {
        use SegmentKind::{Files, Memory};
        assert_eq!(start(&[], R), (12, 2));
        assert_eq!(start(&[(Memory, 16)], R), (12, 2));
        assert_eq!(start(&[(Memory, 16)], R | X), (13, 3), "never with text");
        assert_eq!(start(&[(Memory, 17)], R), (30, 3), "too many");
        assert_eq!(start(&[(Memory, 1), (Files, 1)], R), (15, 3), "not last");
        assert_eq!(start(&[(Files, 1)], R), (14, 3));
    }
}
