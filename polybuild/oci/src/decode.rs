//! Layers as they are stored, plain or compressed, as the tar they hold.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// A stream that is decompressed if its first bytes are gzip's.
pub(crate) enum Decoder<R: Read> {
    Plain(BufReader<R>),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
}

/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// First bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes, as container engines do; media types are known to be wrong.
    pub(crate) fn new(inner: R) -> io::Result<Decoder<R>> {
        let mut inner = BufReader::with_capacity(1 << 16, inner);
        let start = inner.fill_buf()?;
        if start.starts_with(ZSTD) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "layers compressed by zstd are not supported; store the image with gzip",
            ));
        }
        Ok(if start.starts_with(GZIP) {
            Decoder::Gzip(Box::new(MultiGzDecoder::new(inner)))
        } else {
            Decoder::Plain(inner)
        })
    }

    /// What was wrapped, after anything left in it has been read.
    pub(crate) fn drain(self) -> io::Result<R> {
        let mut inner = match self {
            Decoder::Plain(inner) => inner,
            Decoder::Gzip(gzip) => gzip.into_inner(),
        };
        io::copy(&mut inner, &mut io::sink())?;
        Ok(inner.into_inner())
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Plain(inner) => inner.read(buffer),
            Decoder::Gzip(inner) => inner.read(buffer),
        }
    }
}
