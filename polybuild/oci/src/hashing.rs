//! Readers and writers that count and hash what passes through them.

use std::io::{self, Read, Write};

use megabinary_format::Digest;
use sha2::Digest as _;

/// Passes bytes through, hashing and counting them.
pub(crate) struct Hashing<T> {
    inner: T,
    hash: sha2::Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Hashing {
            inner,
            hash: sha2::Sha256::new(),
            bytes: 0,
        }
    }

    /// Digest of the bytes so far, their number, and what was wrapped.
    pub(crate) fn finish(self) -> (Digest, u64, T) {
        (Digest(self.hash.finalize().into()), self.bytes, self.inner)
    }

    fn note(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.note(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.note(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
