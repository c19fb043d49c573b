//! The stub: what is read as one is exactly the text that would be written.

use megabinary_format::{Digest, stub as format};

/// Bytes that parse as a stub are the stub of the digest they parse to; and the stub of any
/// digest parses to it and fits in the host kernel's script line.
pub fn stub(data: &[u8]) {
    if let Ok(digest) = format::parse(data) {
        assert_eq!(format::text(&digest).as_bytes(), data);
    }
    let digest = Digest::of(data);
    let text = format::text(&digest);
    assert_eq!(format::parse(text.as_bytes()), Ok(digest));
    assert!(text.len() == format::LEN && text.len() < 256);
}
