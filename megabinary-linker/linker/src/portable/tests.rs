//! The portable form: round trip, public tools' view, damage.

use super::*;
use crate::{
    elf::{self, testing},
    verify::verify_portable,
};

#[test]
fn round_trip_gives_the_same_megabinary_and_elf() {
    let keys = Keys::generate().unwrap();
    let megabinary = testing::megabinary();
    let bytes = write(&megabinary, &keys);
    assert_eq!(write(&megabinary, &keys), bytes, "reproducible");
    let back = read_trusted(&bytes, &[keys.public_key()]).unwrap();
    assert_eq!(back.megabinary, megabinary);
    let pack = |m: &Megabinary| {
        elf::pack(
            m,
            Target::X86_64,
            &testing::launcher(),
            &testing::code(62),
            &keys,
        )
        .unwrap()
    };
    assert_eq!(pack(&back.megabinary), pack(&megabinary));
    let report = verify_portable(&bytes, &[keys.public_key()]).unwrap();
    assert_eq!(report.index, back.index);
}

#[test]
fn public_tools_see_a_component_of_modules() {
    let bytes = write(&testing::megabinary(), &Keys::generate().unwrap());
    wasmparser::Validator::new()
        .validate_all(&bytes)
        .expect("a valid component");
    let mut seen = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            wasmparser::Payload::CustomSection(c) => seen.push(c.name().to_owned()),
            wasmparser::Payload::ModuleSection { .. } => seen.push("module".into()),
            _ => {}
        }
    }
    let expected = [
        sections::INDEX,
        "module",
        "module",
        sections::MEMORY,
        sections::FILES,
        sections::SIGNATURE,
    ];
    assert_eq!(seen, expected);
}

#[test]
fn damage_is_noticed() {
    let keys = Keys::generate().unwrap();
    let trusted = [keys.public_key()];
    let mut bytes = write(&testing::megabinary(), &keys);
    let len = bytes.len();
    for i in (0..len).filter(|i| *i < 2500 || *i + 600 > len || i % 7 == 0) {
        bytes[i] ^= 1 << (i % 8);
        assert!(
            verify_portable(&bytes, &trusted).is_err(),
            "flipped bit at {i:#x}"
        );
        bytes[i] ^= 1 << (i % 8);
    }
    for cut in [0, 7, 8, 9, 100, bytes.len() - 1] {
        assert!(read(&bytes[..cut]).is_err(), "cut to {cut}");
    }
    bytes.extend_from_slice(b"\0\x02\x01x");
    assert!(read(&bytes).is_err(), "a section after the signature");
}

#[test]
fn messages() {
    let check = |bytes: &[u8], expected: &str| {
        let message = read(bytes).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    check(b"\x7fELF", "does not start as a WebAssembly component");
    check(PREAMBLE, "its index or signature is missing (at byte 0x8)");
    check(
        &[&PREAMBLE[..], b"\x01\x7f"].concat(),
        "a section is cut off (at byte 0x8)",
    );
    check(
        &[&PREAMBLE[..], b"\x01\x00"].concat(),
        "a section out of order (at byte 0x8)",
    );
    check(
        &[&PREAMBLE[..], b"\x00\x02\x01x"].concat(),
        "does not belong here",
    );
    let other = write(&testing::megabinary(), &Keys::generate().unwrap());
    let error = read_trusted(&other, &[]).unwrap_err().to_string();
    assert!(error.contains("not trusted here"), "{error}");
}
