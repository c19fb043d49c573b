//! Signature, tail and dump: round trip, and what a reader refuses.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use megabinary_format::*;
use proptest::prelude::*;

fn signed(index: &[u8]) -> Signature {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let text = minisign::sign(Some(&pair.pk), &pair.sk, index, Some("image x"), None).unwrap();
    // Take minisign's own text apart into our binary fields.
    let text = text.to_string();
    let decode = |line: usize| unbase64(text.lines().nth(line).unwrap());
    Signature {
        public_key: PublicKey::from_bytes(pair.pk.to_bytes().try_into().unwrap()).unwrap(),
        signature: decode(1).try_into().unwrap(),
        global_signature: decode(3).try_into().unwrap(),
        trusted_comment: "image x".into(),
    }
}

fn unbase64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = text.trim_end_matches('=').chars().flat_map(|c| {
        let digit = DIGITS.find(c).unwrap();
        (0..6).rev().map(move |i| (digit >> i & 1) as u8)
    });
    let bits: Vec<u8> = bits.collect();
    bits.chunks_exact(8)
        .map(|b| b.iter().fold(0, |byte, bit| byte << 1 | bit))
        .collect()
}

#[test]
fn every_bit_of_a_signature_is_covered() {
    let index = b"the bytes of an index";
    let good = signed(index);
    assert_eq!(good.verify(index), Ok(()));
    let bytes = good.encode();
    assert_eq!(bytes.len(), Signature::encoded_len(&good.trusted_comment));
    assert_eq!(Signature::decode(&bytes).as_ref(), Ok(&good));
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        let holds =
            Signature::decode(&bad).is_ok_and(|s| s.verify_by(index, &[good.public_key]).is_ok());
        assert!(!holds, "bit {i} of the signature");
    }
    for i in 0..index.len() * 8 {
        let mut bad = index.to_vec();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(good.verify(&bad).is_err(), "bit {i} of the index");
    }
    for len in 0..bytes.len() {
        assert!(Signature::decode(&bytes[..len]).is_err(), "cut to {len}");
    }
}

/// The check at a launch leaves the trusted comment out, and nothing else.
#[test]
fn a_launch_checks_the_index() {
    let index = b"the bytes of an index";
    let good = signed(index);
    assert_eq!(good.verify_index(index), Ok(()));
    for i in 0..good.signature.len() * 8 {
        let mut bad = good.clone();
        bad.signature[i / 8] ^= 1 << (i % 8);
        assert!(bad.verify_index(index).is_err(), "bit {i} of the signature");
    }
    for i in 0..index.len() * 8 {
        let mut bad = index.to_vec();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(good.verify_index(&bad).is_err(), "bit {i} of the index");
    }
    let mut other_comment = good.clone();
    other_comment.trusted_comment.push('!');
    assert_eq!(other_comment.verify_index(index), Ok(()));
    assert!(other_comment.verify(index).is_err());
}

/// Minisign's own verifier says the same.
#[test]
fn minisign_agrees() {
    let index = b"the bytes of an index";
    let good = signed(index);
    let key = minisign_verify::PublicKey::from_base64(&good.public_key.to_string()).unwrap();
    let oracle = |s: &Signature| {
        minisign_verify::Signature::decode(&s.to_text())
            .is_ok_and(|text| key.verify(index, &text, false).is_ok())
    };
    assert!(oracle(&good));
    for i in 0..64 {
        let mut bad = good.clone();
        bad.global_signature[i] ^= 1;
        assert_eq!(bad.verify(index).is_ok(), oracle(&bad), "byte {i}");
    }
}

#[test]
fn only_expected_keys_are_trusted() {
    let (one, other) = (signed(b"i"), signed(b"i"));
    assert_eq!(
        one.verify_by(b"i", &[other.public_key, one.public_key]),
        Ok(())
    );
    let error = one
        .verify_by(b"i", &[other.public_key])
        .unwrap_err()
        .to_string();
    assert!(error.contains(&one.key_id().to_string()), "{error}");
    assert!(error.contains(&other.key_id().to_string()), "{error}");
    // Another key put beside a valid signature.
    let mut forged = one.clone();
    forged.public_key = other.public_key;
    assert!(matches!(
        forged.verify(b"i"),
        Err(SignatureError::KeyId { .. })
    ));
}

#[test]
fn public_keys_are_read_from_text() {
    let key = signed(b"").public_key;
    assert_eq!(PublicKey::parse(&key.to_text()), Ok(key));
    assert_eq!(PublicKey::parse(&key.to_string()), Ok(key));
    assert_eq!(key.to_string().len(), 56);
    let line = key.to_string();
    for bad in [
        "",
        "RW",
        &line[..55],
        &format!("{line}A"),
        &format!("{line}\n{line}"),
        "untrusted comment: x\n",
    ] {
        assert!(PublicKey::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_tail_has_one_form() {
    let tail = Tail {
        index: b"index of 21 bytes ...",
        signature: b"signature",
    };
    let bytes = tail.encode();
    assert_eq!(
        bytes.len() as u64,
        tail::len(tail.index.len(), tail.signature.len())
    );
    assert_eq!(Tail::decode(&bytes), Ok(tail));
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        // What is accepted is another tail (with another index or signature, so that the
        // signature fails), and the only encoding of that one.
        if let Ok(other) = Tail::decode(&bad) {
            assert_ne!(other, tail, "bit {i}");
            assert_eq!(other.encode(), bad, "bit {i}");
        }
    }
    for len in 0..bytes.len() {
        assert!(Tail::decode(&bytes[..len]).is_err(), "cut to {len}");
    }
    assert!(Tail::decode(&[&bytes[..], b"\0"].concat()).is_err());
}

#[test]
fn dumps_round_trip() {
    let globals = vec![
        Global {
            index: 1,
            value: GlobalValue::I32(5),
        },
        Global {
            index: 2,
            value: GlobalValue::F64(6),
        },
    ];
    let memory: Vec<u8> = (0..2 * 65536u32).map(|i| i as u8).collect();
    let mut bytes = Vec::new();
    write_dump(&mut bytes, &globals, &memory).unwrap();
    let dump = SnapshotDump {
        pages: 2,
        memory: memory.clone(),
        globals: globals.clone(),
    };
    assert_eq!(SnapshotDump::decode(&bytes), Ok(dump));
    for len in (0..100).chain([bytes.len() - 1]) {
        assert!(SnapshotDump::decode(&bytes[..len]).is_err(), "cut to {len}");
    }
    bytes.push(0);
    assert!(SnapshotDump::decode(&bytes).is_err());
    assert!(write_dump(&mut Vec::new(), &globals, &memory[1..]).is_err());
    let unsorted: Vec<_> = globals.into_iter().rev().collect();
    let mut bytes = Vec::new();
    write_dump(&mut bytes, &unsorted, &[]).unwrap();
    assert!(SnapshotDump::decode(&bytes).is_err());
}

proptest! {
    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300), which in 0..3) {
        let magic: &[u8] = [&b"VKMBSIG\0"[..], b"VKMBTAIL", b"VKMBDMP\0"][which as usize];
        let bytes = [magic, &[1, 0, 0, 0], &noise].concat();
        let _ = Signature::decode(&bytes).map(|s| s.verify(b""));
        let _ = Tail::decode(&bytes);
        let _ = SnapshotDump::decode(&bytes);
        let _ = PublicKey::parse(&String::from_utf8_lossy(&noise));
    }
}
