//! The megabinary around this launcher: finds the tail, checks the index, lends out code images.
//!
//! `execve` has mapped everything already; nothing is read from a file here unless full
//! verification is asked for.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    ptr::NonNull,
    sync::Arc,
};

use megabinary_format::{
    Digest, FileRange, FormatError, Index, PublicKey, Segment, SegmentKind, Signature,
    SignatureError, Tail, tail::PT_VKERNEL,
};
use sha2_detecting::Digest as _;
use vkernel_engine::CodeImage;

/// Why the megabinary cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    #[error(
        "this is a bare launcher, not a megabinary: it carries no programs (a packed file that \
         was processed by strip or objcopy also ends up here)"
    )]
    Bare,
    #[error("the megabinary is damaged: {0}")]
    Format(#[from] FormatError),
    #[error("the megabinary must not be trusted: {0}")]
    Signature(#[from] SignatureError),
    #[error(
        "the megabinary is damaged: {kind:?} at offset {offset}, {len} bytes: the index says {expected}, found {found}"
    )]
    Segment {
        kind: SegmentKind,
        offset: u64,
        len: u64,
        expected: Digest,
        found: Digest,
    },
    #[error(
        "the megabinary is damaged: its index puts {what} at {range:?}, outside what is mapped"
    )]
    Unmapped {
        what: &'static str,
        range: FileRange,
    },
    #[error("the megabinary is damaged: {0}")]
    Layout(&'static str),
    #[error("reading the megabinary: {0}")]
    Io(#[from] io::Error),
}

/// One of this process's program headers, `Elf64_Phdr` (elf(5)).
#[repr(C)]
#[derive(Clone, Copy)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    _paddr: u64,
    filesz: u64,
    memsz: u64,
    _align: u64,
}

const PT_LOAD: u32 = 1;
const PT_PHDR: u32 = 6;
const PF_R: u32 = 4;

/// The parts of a megabinary that a launch needs.
pub(crate) struct Payload {
    pub(crate) index: Arc<Index>,
    pub(crate) signature: Signature,
    /// Address at which virtual address 0 of the file lies.
    bias: usize,
    headers: &'static [ProgramHeader],
    index_bytes: &'static [u8],
}

impl Payload {
    /// Finds the payload of this process and decodes its index; verifies nothing yet.
    pub(crate) fn of_this_process() -> Result<Payload, PayloadError> {
        let headers = program_headers().ok_or(PayloadError::Bare)?;
        let table = headers.as_ptr() as usize;
        let own = headers
            .iter()
            .find(|h| h.kind == PT_PHDR)
            .ok_or(PayloadError::Bare)?;
        let bias = table.wrapping_sub(own.vaddr as usize);
        let tail = headers
            .iter()
            .find(|h| h.kind == PT_VKERNEL)
            .ok_or(PayloadError::Bare)?;
        let len = usize::try_from(tail.memsz).map_err(|_| PayloadError::Layout("a huge tail"))?;
        if !mapped(headers, tail.vaddr, tail.memsz) {
            return Err(PayloadError::Layout("its tail is not mapped"));
        }
        let start = bias.wrapping_add(tail.vaddr as usize) as *const u8;
        // SAFETY: the range lies in a PT_LOAD (checked), which execve mapped readable for the
        // life of the process and which nothing here writes.
        let bytes: &'static [u8] = unsafe { std::slice::from_raw_parts(start, len) };
        let tail = Tail::decode(bytes)?;
        Ok(Payload {
            index: Arc::new(Index::decode(tail.index)?),
            signature: Signature::decode(tail.signature)?,
            bias,
            headers,
            index_bytes: tail.index,
        })
    }

    /// Verifies the signature over the index: by `trusted`, if given, else by whatever key comes
    /// with it (which proves that nothing was altered by somebody without that key).
    pub(crate) fn verify(&self, trusted: Option<PublicKey>) -> Result<(), PayloadError> {
        match trusted {
            Some(key) => self.signature.verify_by(self.index_bytes, &[key])?,
            None => self.signature.verify_index(self.index_bytes)?,
        }
        Ok(())
    }

    /// Hashes the whole file and compares every segment with the index. Costs time in proportion
    /// to the file's size.
    pub(crate) fn verify_segments(&self) -> Result<(), PayloadError> {
        // With its trusted comment, which an ordinary launch does without.
        self.signature.verify(self.index_bytes)?;
        let mut file = File::from(own_file()?);
        for segment in &self.index.segments {
            let found = hash(&mut file, segment)?;
            if found != segment.digest {
                return Err(PayloadError::Segment {
                    kind: segment.kind,
                    offset: segment.offset,
                    len: segment.len,
                    expected: segment.digest,
                    found,
                });
            }
        }
        // What follows the segments is the tail, which the signature covers, byte for byte.
        let mut rest = Vec::new();
        file.read_to_end(&mut rest)?;
        let expected = Tail {
            index: self.index_bytes,
            signature: &self.signature.encode(),
        }
        .encode();
        if rest != expected {
            return Err(PayloadError::Layout(
                "bytes after its last segment are not its tail",
            ));
        }
        Ok(())
    }

    /// The memory pages of all modules, with their offset in the file, if execve has mapped them or
    /// there are none; otherwise they are to be mapped from the file.
    pub(crate) fn memory_pages(&self) -> Option<(u64, &'static [u8])> {
        let mut segments = self.index.segments.iter();
        let Some(memory) = segments.find(|s| s.kind == SegmentKind::Memory) else {
            return Some((0, &[]));
        };
        let load = self.headers.iter().find(|h| {
            let end = memory.offset.checked_add(memory.len);
            h.kind == PT_LOAD
                && h.flags == PF_R
                && h.offset <= memory.offset
                && end.is_some_and(|e| Some(e) <= h.offset.checked_add(h.filesz.min(h.memsz)))
        })?;
        let vaddr = load.vaddr.wrapping_add(memory.offset - load.offset);
        let start = self.bias.wrapping_add(vaddr as usize) as *const u8;
        // SAFETY: the range lies in a read-only PT_LOAD (checked), which execve mapped for the life
        // of the process.
        let bytes = unsafe { std::slice::from_raw_parts(start, memory.len as usize) };
        Some((memory.offset, bytes))
    }

    /// Digest of the index's bytes, for people.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.index_bytes)
    }

    /// The compiled code at `range`.
    pub(crate) fn code(&self, range: FileRange) -> Result<CodeImage, PayloadError> {
        let unmapped = || PayloadError::Unmapped {
            what: "code",
            range,
        };
        let len = usize::try_from(range.len).map_err(|_| unmapped())?;
        if len == 0 || !mapped(self.headers, range.vaddr, range.len) {
            return Err(unmapped());
        }
        let start = self.bias.wrapping_add(range.vaddr as usize) as *mut u8;
        let start = NonNull::new(start).ok_or_else(unmapped)?;
        // SAFETY: mapped by execve (checked) and never written; made by this release's compiler,
        // which the signed index vouches for; wasmtime checks version and settings itself.
        Ok(unsafe { CodeImage::from_mapped(start, len) })
    }
}

/// This process's own file. Not by a path that somebody could replace: the link leads to the file
/// that `execve` mapped.
pub(crate) fn own_file() -> io::Result<OwnedFd> {
    File::open("/proc/self/exe").map(OwnedFd::from)
}

/// Whether `len` bytes at `vaddr` lie in adjoining `PT_LOAD`s.
fn mapped(headers: &[ProgramHeader], vaddr: u64, len: u64) -> bool {
    let Some(end) = vaddr.checked_add(len) else {
        return false;
    };
    let mut at = vaddr;
    while at < end {
        let next = headers.iter().filter(|h| h.kind == PT_LOAD).find_map(|h| {
            let load_end = h.vaddr.checked_add(h.memsz)?;
            (h.vaddr <= at && at < load_end).then_some(load_end)
        });
        match next {
            Some(load_end) => at = load_end,
            None => return false,
        }
    }
    true
}

fn program_headers() -> Option<&'static [ProgramHeader]> {
    // SAFETY: getauxval has no preconditions.
    let (table, count, size) = unsafe {
        (
            libc::getauxval(libc::AT_PHDR) as *const ProgramHeader,
            libc::getauxval(libc::AT_PHNUM) as usize,
            libc::getauxval(libc::AT_PHENT) as usize,
        )
    };
    if table.is_null() || !table.is_aligned() || size != size_of::<ProgramHeader>() {
        return None;
    }
    // SAFETY: the host kernel passes the address and length of the program header table that it
    // mapped from the ELF (getauxval(3)); it is mapped for the life of the process.
    Some(unsafe { std::slice::from_raw_parts(table, count) })
}

fn hash(file: &mut File, segment: &Segment) -> Result<Digest, PayloadError> {
    let mut hasher = sha2_detecting::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut left = segment.len;
    while left > 0 {
        let want = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = file.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(PayloadError::Layout("it is shorter than its index says"));
        }
        hasher.update(&buffer[..got]);
        left -= got as u64;
    }
    Ok(Digest(hasher.finalize().into()))
}
