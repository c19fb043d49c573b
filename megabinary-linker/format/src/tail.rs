//! The tail: the end of an executable megabinary, with the index and its signature.
//!
//! A program header of type [`PT_VKERNEL`] covers it, so that a process finds it through
//! `AT_PHDR` without opening a file (`getauxval(3)`). The tail reaches to the end of the file.
//!
//! Invariant: for each index and signature there is exactly one tail.

use crate::{FormatError, cursor::Cursor};

const WHAT: &str = "tail";
const MAGIC: &[u8; 8] = b"VKMBTAIL";
const MAJOR: u16 = 1;
const HEADER: u64 = 48;

/// Type of the program header that covers the tail; in the range that the ELF specification
/// leaves to operating systems (`PT_LOOS`..`PT_HIOS`).
pub const PT_VKERNEL: u32 = 0x6d65_6761;

/// Alignment in bytes of the tail, and of the signature in it.
pub const ALIGN: u64 = 8;

/// A tail taken apart; the parts are not decoded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail<'a> {
    /// Bytes of the index: what the signature is over.
    pub index: &'a [u8],
    /// Bytes of the signature.
    pub signature: &'a [u8],
}

/// Length in bytes of the tail for parts of these lengths.
pub fn len(index: usize, signature: usize) -> u64 {
    signature_offset(index as u64) + signature as u64
}

fn signature_offset(index_len: u64) -> u64 {
    (HEADER + index_len).next_multiple_of(ALIGN)
}

impl<'a> Tail<'a> {
    /// The one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(len(self.index.len(), self.signature.len()) as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        let signature_offset = signature_offset(self.index.len() as u64);
        for value in [
            HEADER,
            self.index.len() as u64,
            signature_offset,
            self.signature.len() as u64,
        ] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(self.index);
        out.resize(signature_offset as usize, 0);
        out.extend_from_slice(self.signature);
        out
    }

    /// Takes the bytes under the [`PT_VKERNEL`] header apart; total.
    pub fn decode(bytes: &'a [u8]) -> Result<Tail<'a>, FormatError> {
        let mut c = Cursor::new(WHAT, bytes);
        c.magic_version(MAGIC, (MAJOR, 0), "1.0")?;
        c.zeros(4)?;
        let (index_offset, index_len) = (c.u64()?, c.u64()?);
        let (signature_at, signature_len) = (c.u64()?, c.u64()?);
        if index_offset != HEADER {
            return Err(c.unknown("offset of the index", index_offset));
        }
        let index = c.take(index_len)?;
        // `take` succeeded, so the sum is far from overflow.
        if signature_at != signature_offset(index_len) {
            return Err(c.unknown("offset of the signature", signature_at));
        }
        c.zeros(signature_at - HEADER - index_len)?;
        let signature = c.take(signature_len)?;
        c.finish()?;
        Ok(Tail { index, signature })
    }
}
