//! The executable form: what `verify` passes has the properties that it promises, as an ELF reader
//! that knows nothing of us sees them.

use goblin::elf::{
    Elf,
    program_header::{PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD},
};
use megabinary_format::{Digest, SegmentKind};
use megabinary_linker::{SignedMegabinary, peek, verify::verify_elf};

use super::resign;
use crate::seeds::keys;

/// No bytes that verify have a segment that is writable and executable, an executable stack, an
/// interpreter, a library, executable pages outside of the launcher and the modules' code, or a
/// byte that no digest covers. Damaged bytes are tried twice, as they are and with digests and
/// signature mended.
pub fn elf(data: &[u8]) {
    check(data);
    if let Some(mended) = resign::elf(data) {
        check(&mended);
    }
}

fn check(data: &[u8]) {
    let peeked = peek(data);
    let Ok(report) = verify_elf(data, &[keys().public_key()]) else {
        return;
    };
    let index = &report.index;
    let (shown, signature) = peeked.expect("`peek` refuses what `verify` passes");
    assert_eq!(&shown, index);
    assert_eq!(signature.public_key, report.signer);
    let opened = SignedMegabinary::open(data.to_vec(), &[keys().public_key()]).unwrap();
    assert_eq!(opened.index(), index);
    assert!(
        verify_elf(data, &[]).is_err(),
        "trusted by nobody and verified"
    );

    // Segments tile the file, the tail follows; each has its digest.
    let mut at = 0;
    for segment in &index.segments {
        assert_eq!(segment.offset, at);
        at += segment.len;
        let bytes = &data[segment.offset as usize..at as usize];
        assert_eq!(Digest::of(bytes), segment.digest);
    }
    assert!(at < data.len() as u64);

    let elf = Elf::parse(data).expect("verified, but no ELF to others");
    assert!(!elf.program_headers.iter().any(|p| p.p_type == PT_INTERP));
    assert!(elf.libraries.is_empty());
    let stack = elf
        .program_headers
        .iter()
        .find(|p| p.p_type == PT_GNU_STACK);
    assert!(stack.is_some_and(|p| p.p_flags & PF_X == 0));
    let mut last = 0;
    for load in elf.program_headers.iter().filter(|p| p.p_type == PT_LOAD) {
        assert_ne!(load.p_flags & (PF_W | PF_X), PF_W | PF_X);
        // Pages of different rights do not overlap, whatever the order of mapping.
        assert!(load.p_vaddr / 4096 * 4096 >= last);
        last = (load.p_vaddr + load.p_memsz).next_multiple_of(4096);
        if load.p_flags & PF_X != 0 {
            let (start, end) = (load.p_offset, load.p_offset + load.p_filesz);
            let inside = index.segments.iter().any(|s| {
                matches!(s.kind, SegmentKind::Launcher | SegmentKind::Code)
                    && s.offset <= start
                    && end <= s.offset + s.len
            });
            assert!(inside, "executable bytes at {start:#x} are nobody's code");
        }
    }
}
