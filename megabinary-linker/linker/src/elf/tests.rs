//! Packing small files, and verifying that nothing in them can change unnoticed.

use std::sync::OnceLock;

use super::{
    raw::{EM_X86_64, PT_INTERP, PT_LOAD, R, W, X},
    testing::*,
    *,
};
use crate::verify::verify_elf;

const PULLEY: u16 = 0xffff;

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::generate().unwrap())
}

fn packed() -> SignedMegabinary {
    pack(
        &megabinary(),
        Target::X86_64,
        &launcher(),
        &code(EM_X86_64),
        keys(),
    )
    .unwrap()
}

#[test]
fn packs_verifies_and_repeats() {
    let signed = packed();
    let trusted = [keys().public_key()];
    let report = verify_elf(signed.bytes(), &trusted).unwrap();
    assert_eq!(&report.index, signed.index());
    assert_eq!(report.signer, trusted[0]);
    assert_eq!(packed().bytes(), signed.bytes(), "reproducible");
    assert_eq!(
        SignedMegabinary::open(signed.bytes().to_vec(), &trusted).unwrap(),
        signed
    );

    let again = pack(
        &megabinary(),
        Target::Pulley64,
        &launcher(),
        &code(PULLEY),
        keys(),
    )
    .unwrap();
    let report = verify_elf(again.bytes(), &trusted).unwrap();
    assert_eq!(report.index.target, Target::Pulley64);
    let phdrs = Header::read(again.bytes())
        .unwrap()
        .phdrs(again.bytes())
        .unwrap();
    assert_eq!(
        phdrs.iter().filter(|p| p.flags & X != 0).count(),
        1,
        "only the launcher's text"
    );
}

#[test]
fn contents_are_where_the_index_says() {
    let signed = packed();
    let (bytes, index) = (signed.bytes(), signed.index());
    let at = |offset: u64, len: u64| raw::slice(bytes, offset, len).unwrap();
    for (module, code) in index.modules.iter().zip(code(EM_X86_64)) {
        let range = module.code.unwrap();
        assert_eq!(at(range.offset, range.len), code);
        assert_eq!(range.vaddr % PAGE, 0);
        assert!(range.vaddr >= VADDR_ALIGN);
    }
    let warm = index.modules[0].warm.as_ref().unwrap();
    let mut memory = vec![0; warm.pages as usize * 65536];
    for run in &warm.runs {
        let start = run.memory_offset as usize;
        memory[start..start + run.len as usize].copy_from_slice(at(run.file_offset, run.len));
    }
    assert_eq!(memory[8192..8201], *b"cold data");
    assert_eq!(memory[0x20010], 7);
    let cold = &index.modules[0].cold.runs[0];
    assert_eq!(cold.memory_offset, 8192);
    assert_eq!(at(cold.file_offset, 9), b"cold data");
    let file = |path: &str| {
        let node = index.trees[0]
            .nodes
            .iter()
            .find(|n| n.path == path)
            .unwrap();
        match node.kind {
            megabinary_format::FileKind::File {
                offset,
                len,
                executable,
            } => (at(offset, len).to_vec(), executable),
            _ => panic!("{path} is not a file"),
        }
    };
    assert_eq!(file("a/b/one.txt"), (b"one".to_vec(), false));
    assert_eq!(file("two.sh"), (b"two two".to_vec(), true));
    assert_eq!(file("empty"), (Vec::new(), false));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let signed = packed();
    let trusted = [keys().public_key()];
    let mut bytes = signed.bytes().to_vec();
    let tail = signed
        .index()
        .segments
        .last()
        .map(|s| (s.offset + s.len) as usize)
        .unwrap();
    // Every byte of the headers and the tail, every 7th of the rest (which is hashed as a whole).
    let dense = |i: usize| i < 0x400 || i + 2048 > tail;
    for i in (0..bytes.len()).filter(|i| dense(*i) || i % 7 == 0) {
        bytes[i] ^= 1 << (i % 8);
        assert!(
            verify_elf(&bytes, &trusted).is_err(),
            "flipped bit at {i:#x}"
        );
        bytes[i] ^= 1 << (i % 8);
    }
    assert!(verify_elf(&bytes, &trusted).is_ok());
}

#[test]
fn cuts_and_additions_are_noticed() {
    let trusted = [keys().public_key()];
    let good = packed().into_bytes();
    for cut in [0, 1, 63, 64, 0x1000, good.len() / 2, good.len() - 1] {
        assert!(verify_elf(&good[..cut], &trusted).is_err(), "cut to {cut}");
    }
    let longer = [&good[..], b"\0"].concat();
    let message = verify_elf(&longer, &trusted).unwrap_err().to_string();
    assert!(message.contains("does not end with the file"), "{message}");
}

#[test]
fn other_signers_are_refused_and_all_problems_are_listed() {
    let mut bytes = packed().into_bytes();
    let error = verify_elf(&bytes, &[]).unwrap_err().to_string();
    assert!(
        error.contains("not trusted here (trusted: none)"),
        "{error}"
    );
    let other = Keys::generate().unwrap();
    bytes[0x1020] ^= 1;
    let error = verify_elf(&bytes, &[other.public_key()]).unwrap_err();
    assert_eq!(error.problems.len(), 2, "{error}");
}

fn refused(launcher: &[u8], expected: &str) {
    let error = pack(
        &megabinary(),
        Target::X86_64,
        launcher,
        &code(EM_X86_64),
        keys(),
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains(expected),
        "expected `{expected}` in `{error}`"
    );
}

#[test]
fn launchers_that_are_refused() {
    let with = |change: &dyn Fn(&mut Vec<Phdr>)| {
        let mut phdrs = launcher_phdrs();
        change(&mut phdrs);
        launcher_with(&phdrs)
    };
    refused(b"", "not a 64-bit little-endian ELF");
    refused(&launcher()[..40], "cut off");
    refused(&launcher()[..0x1010], "outside the file");
    refused(packed().bytes(), "already packed");
    refused(
        &with(&|p| p[1].flags = R | W | X),
        "writable and executable",
    );
    refused(&with(&|p| p[4].flags = R | W | X), "executable stack");
    refused(&with(&|p| _ = p.remove(4)), "no PT_GNU_STACK");
    refused(&with(&|p| p[1].flags = R), "entry point 0x1010");
    refused(&with(&|p| p[3].kind = PT_INTERP), "dynamic linker");
    refused(
        &with(&|p| p[3].kind = 0x7000_0001),
        "unknown type 0x70000001",
    );
    refused(&with(&|p| p[3].filesz = 0x10), "has no end");
    refused(&with(&|p| p[2].vaddr = 0x1000), "overlaps");
    refused(
        &with(&|p| p[2].vaddr = u64::MAX),
        "leaves the address space",
    );
    refused(&with(&|p| p[2].vaddr = 0x3001), "cannot be mapped");
    let mut exec = launcher();
    exec[16] = 2;
    refused(&exec, "not a static-PIE");
    for (tag, message) in [(1, "shared library"), (22, "relocates its text")] {
        let mut dynamic = launcher();
        dynamic[0x2000] = tag;
        refused(&dynamic, message);
    }
}

#[test]
fn code_that_is_refused() {
    let check = |target, code: &[Vec<u8>], expected: &str| {
        let error = pack(&megabinary(), target, &launcher(), code, keys())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected),
            "expected `{expected}` in `{error}`"
        );
    };
    check(Target::Portable, &[], "not packed");
    check(Target::X86_64, &[], "0 compiled images for 2 modules");
    check(
        Target::X86_64,
        &code(PULLEY),
        "compiled for ELF machine 65535",
    );
    check(
        Target::Pulley64,
        &code(EM_X86_64),
        "compiled for ELF machine 62",
    );
    let with = |first: Vec<u8>| vec![first, code(EM_X86_64)[1].clone()];
    check(Target::X86_64, &with(vec![]), "module `prog`");
    check(
        Target::X86_64,
        &with(cwasm(EM_X86_64, b"")),
        "empty or not page-aligned",
    );
    check(
        Target::X86_64,
        &with(cwasm_at(EM_X86_64, b"\xc3", 0x1001, 0x2000)),
        "not page-aligned",
    );
    check(
        Target::X86_64,
        &with(cwasm_at(EM_X86_64, b"\xc3", 0x1000, 0x1800)),
        "shares a page",
    );
}

#[test]
fn verification_reads_hostile_headers_without_panic() {
    let good = packed().into_bytes();
    let trusted = [keys().public_key()];
    let table = Header::read(&good).unwrap().phoff as usize;
    for value in [0u64, 1, u64::MAX, 1 << 63, 0xfff] {
        for at in (table..table + 56 * 12)
            .step_by(8)
            .chain((16..64).step_by(8))
        {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            assert!(
                bytes == good || verify_elf(&bytes, &trusted).is_err(),
                "{value:#x} at {at:#x}"
            );
        }
    }
    assert_eq!(Phdr::over(PT_LOAD, R, u64::MAX, 0, 1).file(), None);
}
