//! Decompression, chosen by the first bytes.

use std::{fs::File, io::Read};

const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const BZIP2: &[u8] = b"BZh";
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Most memory that an xz decoder may use, in bytes: what `xz -9` needs is 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// Whether a file that begins with these bytes is compressed.
pub(super) fn is_compressed(head: &[u8]) -> bool {
    [GZIP, XZ, BZIP2, ZSTD]
        .iter()
        .any(|magic| head.starts_with(magic))
}

/// A reader of the decompressed bytes.
pub(crate) fn open<'a>(file: File, head: &[u8]) -> Box<dyn Read + 'a> {
    decode(file, head)
}

/// A reader of the decompressed bytes of `inner`, which begins with `head`.
pub(super) fn decode<'a, R: Read + 'a>(inner: R, head: &[u8]) -> Box<dyn Read + 'a> {
    if head.starts_with(GZIP) {
        // Members may follow each other (RFC 1952, section 2.2).
        Box::new(flate2::read::MultiGzDecoder::new(inner))
    } else if head.starts_with(XZ) {
        match liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
        {
            Ok(stream) => Box::new(liblzma::read::XzDecoder::new_stream(inner, stream)),
            Err(error) => Box::new(Broken(Some(error.into()))),
        }
    } else if head.starts_with(BZIP2) {
        Box::new(bzip2::read::MultiBzDecoder::new(inner))
    } else if head.starts_with(ZSTD) {
        match zstd::Decoder::new(inner) {
            Ok(decoder) => Box::new(decoder),
            Err(error) => Box::new(Broken(Some(error))),
        }
    } else {
        Box::new(inner)
    }
}

/// A decoder that could not be made: reading from it fails.
struct Broken(Option<std::io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(self
            .0
            .take()
            .unwrap_or_else(|| std::io::ErrorKind::Other.into()))
    }
}
