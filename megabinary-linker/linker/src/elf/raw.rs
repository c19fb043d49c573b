//! The parts of ELF-64 (little-endian) that packing and verifying need; see elf(5).
//!
//! Invariant: reading is total. Every offset comes from the file and is checked.

use std::ops::Range;

pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_DYNAMIC: u32 = 2;
pub(crate) const PT_INTERP: u32 = 3;
pub(crate) const PT_NOTE: u32 = 4;
pub(crate) const PT_PHDR: u32 = 6;
pub(crate) const PT_TLS: u32 = 7;
pub(crate) const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
pub(crate) const PT_GNU_STACK: u32 = 0x6474_e551;
pub(crate) const PT_GNU_RELRO: u32 = 0x6474_e552;
pub(crate) const PT_GNU_PROPERTY: u32 = 0x6474_e553;
/// Program header flags.
pub(crate) const X: u32 = 1;
pub(crate) const W: u32 = 2;
pub(crate) const R: u32 = 4;
pub(crate) const ET_DYN: u16 = 3;
pub(crate) const EM_X86_64: u16 = 62;

/// Size of the file header in bytes.
pub(crate) const HEADER: usize = 64;
/// Size of one program header in bytes.
pub(crate) const PHDR: u64 = 56;
const SHDR: u16 = 64;
const SHT_NOBITS: u32 = 8;

/// What is used of the file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) entry: u64,
    pub(crate) phoff: u64,
    pub(crate) shoff: u64,
    pub(crate) phentsize: u16,
    pub(crate) phnum: u16,
    pub(crate) shentsize: u16,
    pub(crate) shnum: u16,
    pub(crate) shstrndx: u16,
}

/// A program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phdr {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) vaddr: u64,
    pub(crate) paddr: u64,
    pub(crate) filesz: u64,
    pub(crate) memsz: u64,
    pub(crate) align: u64,
}

/// A section header, without what is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: Vec<u8>,
    /// Range in the file; empty for sections without contents.
    pub(crate) range: Range<u64>,
}

/// Bytes of a range given by offset and length, if they are in the file.
pub(crate) fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(len)?).ok()?;
    bytes.get(start..end)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

impl Header {
    /// Reads the header of a 64-bit little-endian ELF file, version 1.
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, String> {
        if !bytes.starts_with(b"\x7fELF\x02\x01\x01") {
            return Err("it is not a 64-bit little-endian ELF file".into());
        }
        let read = || {
            Some(Header {
                kind: u16_at(bytes, 16)?,
                machine: u16_at(bytes, 18)?,
                entry: u64_at(bytes, 24)?,
                phoff: u64_at(bytes, 32)?,
                shoff: u64_at(bytes, 40)?,
                phentsize: u16_at(bytes, 54)?,
                phnum: u16_at(bytes, 56)?,
                shentsize: u16_at(bytes, 58)?,
                shnum: u16_at(bytes, 60)?,
                shstrndx: u16_at(bytes, 62)?,
            })
        };
        read().ok_or_else(|| "its ELF header is cut off".into())
    }

    /// Points a header at another program header table, and at no section headers.
    pub(crate) fn rewrite(bytes: &mut [u8], phoff: u64, phnum: u16) {
        let mut put = |at: usize, value: &[u8]| {
            for (to, from) in bytes.iter_mut().skip(at).zip(value) {
                *to = *from;
            }
        };
        put(32, &phoff.to_le_bytes());
        put(40, &0u64.to_le_bytes());
        put(56, &phnum.to_le_bytes());
        // e_shentsize, e_shnum, e_shstrndx.
        put(58, &[0; 6]);
    }

    /// Reads the program header table.
    pub(crate) fn phdrs(&self, bytes: &[u8]) -> Result<Vec<Phdr>, String> {
        // 0xffff (PN_XNUM) would mean that the number is elsewhere.
        if u64::from(self.phentsize) != PHDR || matches!(self.phnum, 0 | 0xffff) {
            return Err(format!(
                "it has {} program headers of {} bytes; 1 to 65534 of {PHDR} are expected",
                self.phnum, self.phentsize
            ));
        }
        let table = slice(bytes, self.phoff, u64::from(self.phnum) * PHDR)
            .ok_or("its program header table is outside the file")?;
        table
            .chunks_exact(PHDR as usize)
            .map(|b| Phdr::read(b).ok_or_else(|| "a program header is cut off".into()))
            .collect()
    }

    /// Reads the section headers, with their names.
    pub(crate) fn sections(&self, bytes: &[u8]) -> Result<Vec<Section>, String> {
        if self.shentsize != SHDR {
            return Err(format!(
                "its section headers have {} bytes, not {SHDR}",
                self.shentsize
            ));
        }
        let table = slice(bytes, self.shoff, u64::from(self.shnum) * u64::from(SHDR))
            .ok_or("its section header table is outside the file")?;
        let headers: Vec<&[u8]> = table.chunks_exact(usize::from(SHDR)).collect();
        let range = |header: &[u8]| {
            let (offset, len) = (u64_at(header, 24)?, u64_at(header, 32)?);
            let contents = u32_at(header, 4)? != SHT_NOBITS;
            slice(bytes, offset, if contents { len } else { 0 })?;
            Some(if contents {
                offset..offset + len
            } else {
                offset..offset
            })
        };
        let names = headers
            .get(usize::from(self.shstrndx))
            .and_then(|h| range(h));
        let names = names.and_then(|r| slice(bytes, r.start, r.end - r.start));
        let names = names.ok_or("its section names are outside the file")?;
        headers
            .iter()
            .map(|header| {
                let name = names.get(u32_at(header, 0)? as usize..)?;
                let name = name.split(|b| *b == 0).next()?.to_vec();
                Some(Section {
                    name,
                    range: range(header)?,
                })
            })
            .map(|section| section.ok_or_else(|| "a section is outside the file".into()))
            .collect()
    }
}

impl Phdr {
    fn read(b: &[u8]) -> Option<Phdr> {
        Some(Phdr {
            kind: u32_at(b, 0)?,
            flags: u32_at(b, 4)?,
            offset: u64_at(b, 8)?,
            vaddr: u64_at(b, 16)?,
            paddr: u64_at(b, 24)?,
            filesz: u64_at(b, 32)?,
            memsz: u64_at(b, 40)?,
            align: u64_at(b, 48)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        for value in [
            self.offset,
            self.vaddr,
            self.paddr,
            self.filesz,
            self.memsz,
            self.align,
        ] {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A header over `len` bytes of the file, mapped whole.
    pub(crate) fn over(kind: u32, flags: u32, offset: u64, vaddr: u64, len: u64) -> Phdr {
        let align = if kind == PT_LOAD { 4096 } else { 8 };
        Phdr {
            kind,
            flags,
            offset,
            vaddr,
            paddr: vaddr,
            filesz: len,
            memsz: len,
            align,
        }
    }

    /// Its range in the file; `None` if it leaves the 64-bit space.
    pub(crate) fn file(&self) -> Option<Range<u64>> {
        Some(self.offset..self.offset.checked_add(self.filesz)?)
    }
}
