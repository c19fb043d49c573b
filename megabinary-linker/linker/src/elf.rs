//! The executable form: one static ELF, made by appending to the launcher.
//!
//! ```text
//! launcher │ code image … │ memory pages │ files │ program headers │ tail
//! ```
//!
//! Every part but the tail starts on a page and is a segment of the index. The kernel maps the
//! launcher, the code images (R, R-X, R) and the end at `execve`; files and all but few memory pages
//! are mapped later from the file by offset. See `FORMAT.md`, "Executable form".
//!
//! Invariant: [`pack`] gives the same bytes for the same input, and what it gives passes
//! [`verify_elf`](crate::verify::verify_elf).

pub(crate) mod code;
pub(crate) mod end;
mod error;
pub(crate) mod launcher;
pub(crate) mod raw;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use megabinary_format::{
    Digest, FileRange, Index, PAGE, PT_VKERNEL, PublicKey, Run, Segment, SegmentKind, Signature,
    Tail, Target, tail,
};

pub use self::error::PackError;
use self::{
    code::CodeImage,
    raw::{Header, PT_LOAD, PT_PHDR, Phdr, R},
};
use crate::{
    Keys, Megabinary, VerifyError, files::FilesLayout, keys::clean_comment, megabinary::Placement,
    pages::PagesLayout, verify,
};

/// Appended segments start at the next multiple of this above the launcher, in bytes: the size of
/// a large page, so that its data cannot grow into them and text can be backed by large pages.
const VADDR_ALIGN: u64 = 2 << 20;

/// A packed and signed megabinary. There are two ways to have one: to [`pack`] it, and to
/// [`open`](SignedMegabinary::open) a file that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMegabinary {
    bytes: Vec<u8>,
    index: Index,
    signer: PublicKey,
}

impl SignedMegabinary {
    /// Takes a finished file, which must pass [`verify_elf`](crate::verify::verify_elf).
    pub fn open(bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<SignedMegabinary, VerifyError> {
        let report = verify::verify_elf(&bytes, trusted)?;
        Ok(SignedMegabinary {
            bytes,
            index: report.index,
            signer: report.signer,
        })
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Its index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The key it is signed with.
    pub fn signer(&self) -> PublicKey {
        self.signer
    }
}

/// Packs a megabinary behind `launcher`. `code` holds, for each module, its normalised form
/// compiled for `target`.
pub fn pack(
    megabinary: &Megabinary,
    target: Target,
    launcher: &[u8],
    code: &[Vec<u8>],
    keys: &Keys,
) -> Result<SignedMegabinary, PackError> {
    if target == Target::Portable {
        return Err(PackError::Target);
    }
    if code.len() != megabinary.modules().len() {
        let (expected, found) = (megabinary.modules().len(), code.len());
        return Err(PackError::CodeCount { expected, found });
    }
    let mut file = Builder::launcher(launcher)?;
    let mut ranges = Vec::with_capacity(code.len());
    for (module, image) in megabinary.modules().iter().zip(code) {
        let read = CodeImage::read(image, target).map_err(|problem| PackError::Code {
            module: module.name.clone(),
            problem,
        })?;
        ranges.push(Some(file.code(image, &read)));
    }
    let pages = PagesLayout::all(megabinary.modules());
    let memory_offset = file.append(SegmentKind::Memory, &pages.bytes);
    let files = FilesLayout::new(megabinary.trees());
    let files_offset = file.append(SegmentKind::Files, &files.bytes);
    let mut placement = Placement {
        target,
        code: ranges,
        cold: moved(pages.cold, memory_offset),
        warm: moved(pages.warm, memory_offset),
        files,
        files_offset,
        segments: file.segments.clone(),
    };

    // The table's place and length are known before its contents: they need the tail's length,
    // which depends on the number of segments but not on their digests.
    let comment = clean_comment(&format!("{} {target:?}", megabinary.name()));
    let headers_len = file.headers_len()?;
    placement.segments.push(file.headers_segment(headers_len));
    let index_len = megabinary.index(&placement).encode().len();
    let tail_len = tail::len(index_len, Signature::encoded_len(&comment));
    placement.segments = file.finish(headers_len, tail_len);

    let index = megabinary.index(&placement);
    index.check().map_err(PackError::Index)?;
    let index_bytes = index.encode();
    let signature = keys.sign(&index_bytes, &comment).encode();
    let mut bytes = file.bytes;
    bytes.extend_from_slice(
        &Tail {
            index: &index_bytes,
            signature: &signature,
        }
        .encode(),
    );
    Ok(SignedMegabinary {
        bytes,
        index,
        signer: keys.public_key(),
    })
}

/// Runs with file offsets that count from the start of the file.
fn moved(mut runs: Vec<Vec<Run>>, by: u64) -> Vec<Vec<Run>> {
    for run in runs.iter_mut().flatten() {
        run.file_offset += by;
    }
    runs
}

/// The file as it grows; always whole pages long.
struct Builder {
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    /// The launcher's program headers without PT_PHDR.
    phdrs: Vec<Phdr>,
    /// Appended PT_LOADs.
    loads: Vec<Phdr>,
    /// Next free virtual address, page-aligned.
    vaddr: u64,
}

impl Builder {
    fn launcher(launcher: &[u8]) -> Result<Builder, PackError> {
        let broken = |problem| PackError::Launcher {
            problems: vec![problem],
        };
        let header = Header::read(launcher).map_err(broken)?;
        let mut phdrs = header.phdrs(launcher).map_err(broken)?;
        let problems = launcher::check_unpacked(launcher, &header, &phdrs);
        if !problems.is_empty() {
            return Err(PackError::Launcher { problems });
        }
        // Section headers and unmapped sections at its end go: nothing may be in the file that
        // no one accounts for.
        let ends = phdrs.iter().filter_map(Phdr::file).map(|r| r.end);
        let end = ends.fold(raw::HEADER as u64, u64::max);
        let contents = raw::slice(launcher, 0, end)
            .ok_or_else(|| broken("a program header reaches beyond the file".into()))?;
        phdrs.retain(|p| p.kind != PT_PHDR);
        let mapped = phdrs.iter().filter(|p| p.kind == PT_LOAD);
        let highest = mapped
            .map(|p| p.vaddr.saturating_add(p.memsz))
            .fold(0, u64::max);
        let vaddr = highest
            .checked_next_multiple_of(VADDR_ALIGN)
            .filter(|v| *v < 1 << 46)
            .ok_or_else(|| broken("it is mapped too high".into()))?;
        let mut builder = Builder {
            bytes: Vec::new(),
            segments: Vec::new(),
            phdrs,
            loads: Vec::new(),
            vaddr,
        };
        builder.append(SegmentKind::Launcher, contents);
        Ok(builder)
    }

    /// Appends a segment, padded to whole pages; nothing when it is empty. Gives its offset.
    fn append(&mut self, kind: SegmentKind, contents: &[u8]) -> u64 {
        let offset = self.bytes.len() as u64;
        if !contents.is_empty() {
            self.bytes.extend_from_slice(contents);
            self.bytes
                .resize(self.bytes.len().next_multiple_of(PAGE as usize), 0);
            let len = self.bytes.len() as u64 - offset;
            self.segments.push(Segment {
                kind,
                offset,
                len,
                digest: Digest([0; 32]),
            });
        }
        offset
    }

    fn code(&mut self, image: &[u8], read: &CodeImage) -> FileRange {
        let offset = self.append(SegmentKind::Code, image);
        let vaddr = self.vaddr;
        self.loads.extend(read.loads(offset, vaddr));
        self.vaddr += read.padded;
        FileRange {
            offset,
            len: image.len() as u64,
            vaddr,
        }
    }

    /// Length of the program header table: the launcher's and appended headers, PT_PHDR, the
    /// PT_LOAD of the end of the file, PT_VKERNEL.
    fn headers_len(&self) -> Result<u64, PackError> {
        let mut loads = self.loads.clone();
        end::load(&mut loads, &self.segments, &self.headers(0), 0);
        let count = self.phdrs.len() + loads.len() + 3;
        if count >= 0xffff {
            return Err(PackError::TooManyHeaders(count));
        }
        Ok(count as u64 * raw::PHDR)
    }

    /// The PT_PHDR of a table of `len` bytes that comes next.
    fn headers(&self, len: u64) -> Phdr {
        let vaddr = self.vaddr + end::mapped_memory(&self.segments);
        Phdr::over(PT_PHDR, R, self.bytes.len() as u64, vaddr, len)
    }

    fn headers_segment(&self, len: u64) -> Segment {
        let offset = self.bytes.len() as u64;
        Segment {
            kind: SegmentKind::Headers,
            offset,
            len,
            digest: Digest([0; 32]),
        }
    }

    /// Appends the program header table, points the ELF header at it, and gives all segments
    /// with their digests.
    fn finish(&mut self, headers_len: u64, tail_len: u64) -> Vec<Segment> {
        let headers = self.headers(headers_len);
        let (offset, vaddr) = (headers.offset, headers.vaddr);
        let len = offset + headers_len + tail_len;
        let end = end::load(&mut self.loads, &self.segments, &headers, len);
        let mut table = vec![headers];
        let last_load = self
            .phdrs
            .iter()
            .rposition(|p| p.kind == PT_LOAD)
            .map_or(0, |i| i + 1);
        let (before, after) = self.phdrs.split_at(last_load);
        table.extend_from_slice(before);
        table.extend_from_slice(&self.loads);
        table.push(end);
        table.extend_from_slice(after);
        let tail = (offset + headers_len, vaddr + headers_len);
        table.push(Phdr::over(PT_VKERNEL, R, tail.0, tail.1, tail_len));

        Header::rewrite(&mut self.bytes, offset, table.len() as u16);
        let segment = self.headers_segment(headers_len);
        for phdr in &table {
            phdr.encode(&mut self.bytes);
        }
        self.segments.push(segment);
        for segment in &mut self.segments {
            if let Some(contents) = raw::slice(&self.bytes, segment.offset, segment.len) {
                segment.digest = Digest::of(contents);
            }
        }
        self.segments.clone()
    }
}
