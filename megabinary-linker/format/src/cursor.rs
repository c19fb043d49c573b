//! A forward reader over little-endian bytes that can only fail, never panic.
//!
//! Invariant: it never hands out a byte twice and never skips one, so a format that is read to
//! its end has had every byte looked at.

use crate::{Digest, FormatError};

/// The reader.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    /// Name of the format, for messages.
    what: &'static str,
    rest: &'a [u8],
    total: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Cursor<'a> {
        Cursor {
            what,
            rest: bytes,
            total: bytes.len(),
        }
    }

    /// Takes the next `len` bytes. `u64`, so that sizes from the input need no cast before.
    #[inline]
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], FormatError> {
        match usize::try_from(len)
            .ok()
            .and_then(|n| self.rest.split_at_checked(n))
        {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(FormatError::Truncated {
                what: self.what,
                at: self.total - self.rest.len(),
                needed: len,
                found: self.rest.len(),
            }),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(FormatError::Truncated {
                what: self.what,
                at: self.total - self.rest.len(),
                needed: N as u64,
                found: self.rest.len(),
            }),
        }
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn digest(&mut self) -> Result<Digest, FormatError> {
        Ok(Digest(self.array()?))
    }

    /// Reads the magic number, then the version, which must be exactly `major.minor`.
    pub(crate) fn magic_version(
        &mut self,
        magic: &[u8; 8],
        (major, minor): (u16, u16),
        known: &'static str,
    ) -> Result<(), FormatError> {
        let found: Result<[u8; 8], _> = self.array();
        if found.as_ref() != Ok(magic) {
            return Err(FormatError::Magic { what: self.what });
        }
        let (found_major, found_minor) = (self.u16()?, self.u16()?);
        if (found_major, found_minor) != (major, minor) {
            return Err(FormatError::Version {
                what: self.what,
                major: found_major,
                minor: found_minor,
                known,
            });
        }
        Ok(())
    }

    /// Reads padding: `len` bytes that must be zero.
    pub(crate) fn zeros(&mut self, len: u64) -> Result<(), FormatError> {
        match self.take(len)?.iter().find(|b| **b != 0) {
            None => Ok(()),
            Some(b) => Err(self.unknown("padding", u64::from(*b))),
        }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn unknown(&self, field: &'static str, value: u64) -> FormatError {
        FormatError::Unknown {
            what: self.what,
            field,
            value,
        }
    }

    pub(crate) fn inconsistent(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Inconsistent {
            what: self.what,
            problem: problem.into(),
        }
    }

    /// The end: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(FormatError::Length {
            what: self.what,
            said: (self.total - self.rest.len()) as u64,
            found: self.total as u64,
        })
    }
}
