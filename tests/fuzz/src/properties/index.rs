//! The tail of an executable megabinary, and the index and signature in it.

use megabinary_format::{Digest, Index, Signature, SignatureError, SnapshotDump, Tail};

use crate::seeds::keys;

/// Whatever decodes, as a tail, an index, a signature or a snapshot dump, encodes to the same
/// bytes; a decoded index is consistent and routes lead to entries; and no bytes that were not
/// signed by it pass for signed by a key.
pub fn index(data: &[u8]) {
    one_index(data);
    one_signature(data, data);
    one_dump(data);
    if let Ok(tail) = Tail::decode(data) {
        assert_eq!(tail.encode(), data, "tail");
        one_index(tail.index);
        one_signature(tail.signature, tail.index);
    }
}

fn one_index(data: &[u8]) {
    let Ok(index) = Index::decode(data) else {
        return;
    };
    assert_eq!(index.encode(), data, "index");
    assert_eq!(index.check(), Ok(()));
    for route in &index.routes {
        let entry = index.route(&route.file);
        assert_eq!(entry, index.entries.get(route.entry as usize));
        assert!(entry.is_some());
    }
    assert_eq!(index.route(&Digest::of(data)), None);
    let end = index.segments.last().map_or(0, |s| s.offset + s.len);
    for module in &index.modules {
        for image in std::iter::once(&module.cold).chain(&module.warm) {
            for run in &image.runs {
                assert!(run.memory_offset + run.len <= image.pages << 16);
                assert!(run.file_offset + run.len <= end);
            }
        }
        if let Some(code) = module.code {
            assert!(code.offset + code.len <= end);
        }
    }
}

fn one_signature(data: &[u8], over: &[u8]) {
    let Ok(signature) = Signature::decode(data) else {
        return;
    };
    assert_eq!(signature.encode(), data, "signature");
    let trusted = [keys().public_key()];
    match signature.verify_by(over, &trusted) {
        // Ed25519 as RFC 8032 defines it is deterministic: there is one signature.
        Ok(()) => assert_eq!(signature, keys().sign(over, &signature.trusted_comment)),
        Err(SignatureError::Untrusted { .. }) => assert_eq!(signature.verify(over), Ok(())),
        Err(_) => {}
    }
}

fn one_dump(data: &[u8]) {
    let Ok(dump) = SnapshotDump::decode(data) else {
        return;
    };
    let mut again = Vec::new();
    dump.write(&mut again).unwrap();
    assert_eq!(again, data, "snapshot dump");
}
