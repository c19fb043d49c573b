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

/// Encodings of points of small order, with y below p and not (RFC 8032, section 5.1.3).
fn small_order() -> Vec<[u8; 32]> {
    let hex = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    hex.iter()
        .flat_map(|h| {
            let point: [u8; 32] = hex::decode(h).unwrap().try_into().unwrap();
            let mut negative = point;
            negative[31] |= 0x80;
            [point, negative]
        })
        .collect()
}

/// An Ed25519 signature by secret `a` under the key `aB + torsion`, with `R` as given: it fits
/// whenever the parts of small order happen to cancel.
fn crafted(
    secret: [u8; 32],
    torsion: [u8; 32],
    r: [u8; 32],
    message: &[u8],
) -> ([u8; 32], [u8; 64]) {
    use sha2::Digest as _;
    fn scalar<T: From<u64>>(_like: &T, value: u64) -> T {
        value.into()
    }
    let pair = ed25519_dalek::SigningKey::from_bytes(&secret);
    let a = pair.to_scalar();
    let torsion = ed25519_dalek::VerifyingKey::from_bytes(&torsion).unwrap();
    let key = (pair.verifying_key().to_edwards() + torsion.to_edwards()).compress();
    let hash = sha2::Sha512::new()
        .chain_update(r)
        .chain_update(key.as_bytes())
        .chain_update(message)
        .finalize();
    let mut k = scalar(&a, 0);
    for byte in hash.iter().rev() {
        k = k * scalar(&a, 256) + scalar(&a, u64::from(*byte));
    }
    let s = (k * a).to_bytes();
    (key.to_bytes(), [r, s].concat().try_into().unwrap())
}

/// A signature of ours around these, over `index` and an empty comment.
fn around(key: [u8; 32], signature: [u8; 64], global: [u8; 64]) -> Signature {
    let with_id = |algorithm: &[u8], rest: &[u8]| [algorithm, b"keynumbr", rest].concat();
    Signature {
        public_key: PublicKey::from_bytes(with_id(b"Ed", &key).try_into().unwrap()).unwrap(),
        signature: with_id(b"ED", &signature).try_into().unwrap(),
        global_signature: global,
        trusted_comment: String::new(),
    }
}

/// What the library's strict check says about the signature of the index.
fn strict(signature: &Signature, index: &[u8]) -> bool {
    use blake2::Digest as _;
    let key = signature.public_key.as_bytes().last_chunk().unwrap();
    let bytes = signature.signature.last_chunk().unwrap();
    ed25519_dalek::VerifyingKey::from_bytes(key).is_ok_and(|key| {
        let message = blake2::Blake2b512::digest(index);
        let signature = ed25519_dalek::Signature::from_bytes(bytes);
        key.verify_strict(&message, &signature).is_ok()
    })
}

/// S plus the order of the base point: the same number modulo that order.
fn non_canonical(mut signature: [u8; 64]) -> [u8; 64] {
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let mut carry = 0;
    for (s, l) in signature[32..].iter_mut().zip(hex::decode(order).unwrap()) {
        carry += u16::from(*s) + u16::from(l);
        *s = carry as u8;
        carry >>= 8;
    }
    signature
}

/// Keys and R of small order, which a check that only compares R lets through.
#[test]
fn small_order_is_refused_as_by_the_strict_check() {
    use blake2::Digest as _;
    use ed25519_dalek::{SigningKey, Verifier as _, VerifyingKey};
    let identity = small_order()[1];
    let mut let_through = 0;
    for n in 0..16u8 {
        let index = [n; 5];
        let message = blake2::Blake2b512::digest(index);
        let mut cases = Vec::new();
        for r in small_order() {
            // A key of small order with S = 0, and keys with and without a part of small order.
            for key in small_order() {
                cases.push((key, [r, [0; 32]].concat().try_into().unwrap()));
            }
            for torsion in [identity, small_order()[3], small_order()[0]] {
                cases.push(crafted([n; 32], torsion, r, &message));
            }
        }
        for (key, signature) in cases {
            let case = around(key, signature, signature);
            assert!(!strict(&case, &index));
            assert!(
                case.verify_index(&index).is_err(),
                "{key:02x?} {signature:02x?}"
            );
            let lax = VerifyingKey::from_bytes(&key).is_ok_and(|key| {
                let signature = ed25519_dalek::Signature::from_bytes(&signature);
                key.verify(&message, &signature).is_ok()
            });
            let_through += u32::from(lax);
        }
        let pair = SigningKey::from_bytes(&[n; 32]);
        let good = ed25519_dalek::Signer::sign(&pair, &message).to_bytes();
        let key = pair.verifying_key().to_bytes();
        assert_eq!(around(key, good, good).verify_index(&index), Ok(()));
        let other = around(key, non_canonical(good), good);
        assert!(!strict(&other, &index));
        assert!(other.verify_index(&index).is_err());
    }
    assert!(let_through > 100, "the cases prove nothing: {let_through}");
}

proptest! {
    /// One verdict, ours, the strict check's and minisign's, whatever was changed.
    #[test]
    fn the_strict_check_and_minisign_agree(
        secret: [u8; 32],
        index: Vec<u8>,
        changes in prop::collection::vec((0..96usize, any::<u8>()), 0..2),
        replace_r in prop::option::of(0..14usize),
        replace_key in prop::option::of(0..14usize),
    ) {
        use blake2::Digest as _;
        use ed25519_dalek::Signer as _;
        let pair = ed25519_dalek::SigningKey::from_bytes(&secret);
        let signature = pair.sign(&blake2::Blake2b512::digest(&index)).to_bytes();
        let mut bytes = [&signature[..], pair.verifying_key().as_bytes()].concat();
        if let Some(r) = replace_r {
            bytes[..32].copy_from_slice(&small_order()[r]);
        }
        if let Some(key) = replace_key {
            bytes[64..].copy_from_slice(&small_order()[key]);
        }
        for (at, with) in changes {
            bytes[at] ^= with;
        }
        let (changed, key) = (bytes[..64].try_into().unwrap(), bytes[64..].try_into().unwrap());
        // Over the comment it is good, so that minisign judges the changed one.
        let global = pair.sign(&bytes[..64]).to_bytes();
        let ours = around(key, changed, global);
        prop_assert_eq!(ours.verify_index(&index).is_ok(), strict(&ours, &index));
        let oracle = minisign_verify::PublicKey::from_base64(&ours.public_key.to_string()).unwrap();
        let minisign = minisign_verify::Signature::decode(&ours.to_text())
            .is_ok_and(|text| oracle.verify(&index, &text, false).is_ok());
        prop_assert_eq!(ours.verify(&index).is_ok(), minisign);
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
    let mut memory = vec![0; 2 * 65536];
    memory[5000..9000].fill(7);
    memory[100_000] = 8;
    let mut dump = SnapshotDump::of(&memory, globals);
    let places: Vec<_> = dump
        .memory
        .iter()
        .map(|stretch| (stretch.offset, stretch.bytes.len()))
        .collect();
    assert_eq!(places, [(4096, 8192), (98304, 4096)]);
    round_trips(&dump);
    dump.process = Some(process());
    round_trips(&dump);
    let refused = |change: &dyn Fn(&mut SnapshotDump), expected: &str| {
        let mut changed = dump.clone();
        change(&mut changed);
        let error = SnapshotDump::decode(&written(&changed))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(&|d| d.globals.reverse(), "not sorted by index");
    refused(&|d| d.memory.reverse(), "overlaps or continues");
    refused(&|d| d.memory[1].offset = 12288, "overlaps or continues");
    refused(&|d| d.memory[1].offset = 1 << 20, "leaves the memory");
    refused(&|d| d.memory[1].offset += 1, "not of whole pages");
    refused(&|d| d.memory[0].bytes.clear(), "is empty");
    refused(&|d| d.pages = 1, "leaves the memory");
    refused(&|d| d.pages = 1 << 20, "number of pages");
    fn state(dump: &mut SnapshotDump) -> &mut ProcessState {
        dump.process.get_or_insert_default()
    }
    refused(&|d| state(d).extents.clear(), "where nothing is mapped");
    refused(&|d| drop(state(d).extents.pop()), "where nothing is mapped");
    refused(&|d| state(d).extents.reverse(), "overlaps or continues");
    refused(&|d| state(d).extents[0].len = 1, "not of whole pages");
    refused(&|d| state(d).extents[2].len = 1 << 40, "leaves the memory");
    refused(
        &|d| state(d).extents[2].len = u64::MAX - 4095,
        "leaves the memory",
    );
    refused(
        &|d| state(d).extents[1].access = Access::None,
        "overlaps or continues",
    );
    refused(&|d| state(d).actions.reverse(), "sorted by signal");
    for signal in [0, 9, 19, 65, u32::MAX] {
        refused(
            &|d| {
                state(d).actions.truncate(1);
                state(d).actions[0].signal = signal;
            },
            "cannot have the action",
        );
    }
    refused(
        &|d| state(d).actions[0].handler = 0,
        "cannot have the action",
    );
    refused(&|d| state(d).mask = 1 << 8, "nobody can block");
    refused(
        &|d| state(d).stack = (u32::MAX, 2),
        "alternate signal stack",
    );
    // No access is executable: there is no number for it.
    let bytes = written(&dump);
    let at = 24 + 16 + 2 * 16 + 32 + 16;
    assert_eq!(bytes[at], 0);
    for access in [3, 4, 7] {
        let mut bytes = bytes.clone();
        bytes[at] = access;
        assert!(SnapshotDump::decode(&bytes).is_err());
    }
}

fn process() -> ProcessState {
    let extent = |start, len, access| Extent { start, len, access };
    let action = |signal, handler, flags| SignalAction {
        signal,
        handler,
        flags,
        mask: 5,
    };
    ProcessState {
        extents: vec![
            extent(0, 0x1000, Access::None),
            extent(0x1000, 0x3000, Access::Write),
            extent(0x18000, 0x2000, Access::Read),
        ],
        actions: vec![action(2, 7, 4), action(17, 1, 0)],
        mask: 1 << 63 | 2,
        stack: (0x2000, 0x800),
        clear_tid: 0x1010,
        robust: 0x1020,
    }
}

fn written(dump: &SnapshotDump) -> Vec<u8> {
    let mut bytes = Vec::new();
    dump.write(&mut bytes).unwrap();
    bytes
}

fn round_trips(dump: &SnapshotDump) {
    let mut bytes = written(dump);
    assert_eq!(SnapshotDump::decode(&bytes).as_ref(), Ok(dump));
    for len in (0..200).chain([bytes.len() - 1]) {
        assert!(SnapshotDump::decode(&bytes[..len]).is_err(), "cut to {len}");
    }
    bytes.push(0);
    assert!(SnapshotDump::decode(&bytes).is_err());
}

proptest! {
    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300), which in 0..3) {
        let magic: &[u8] = [&b"VKMBSIG\0"[..], b"VKMBTAIL", b"VKMBDMP\0"][which as usize];
        let major = if which == 2 { 2 } else { 1 };
        let bytes = [magic, &[major, 0, 0, 0], &noise].concat();
        let _ = Signature::decode(&bytes).map(|s| s.verify(b""));
        let _ = Tail::decode(&bytes);
        let _ = SnapshotDump::decode(&bytes);
        let _ = PublicKey::parse(&String::from_utf8_lossy(&noise));
    }
}
