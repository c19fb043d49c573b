//! The smallest launcher and compiled modules that packing accepts (`elf(5)`).

const R: u32 = 4;
const RW: u32 = 6;
const RX: u32 = 5;

/// ELF machine of x86-64; 0 is nobody's, as Pulley's images have.
pub(super) const X86_64: u16 = 62;

/// An ELF header for a static-PIE with `phnum` program headers behind it and `sections`: offset,
/// number, position of the names.
fn header(machine: u16, phnum: u16, sections: (u64, u16, u16)) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend_from_slice(&3u16.to_le_bytes());
    out.extend_from_slice(&machine.to_le_bytes());
    out.extend_from_slice(&1u32.to_le_bytes());
    for value in [0x1010, 64, sections.0] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    for value in [64, 56, phnum, 64, sections.1, sections.2] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out
}

/// A launcher: headers, a page of text, a page of data with a dynamic section, a stack that is
/// not executable.
pub(super) fn launcher() -> Vec<u8> {
    // Kind, flags, offset, address, length in the file, length in memory, alignment.
    let phdrs: [(u32, u32, [u64; 5]); 5] = [
        (1, R, [0, 0, 0x300, 0x300, 4096]),
        (1, RX, [0x1000, 0x1000, 0x80, 0x80, 4096]),
        (1, RW, [0x2000, 0x3000, 0x100, 0x5000, 4096]),
        (2, RW, [0x2000, 0x3000, 0x20, 0x20, 8]),
        (0x6474_e551, RW, [0, 0, 0, 0, 16]),
    ];
    let mut out = header(X86_64, phdrs.len() as u16, (0, 0, 0));
    for (kind, flags, [offset, vaddr, filesz, memsz, align]) in phdrs {
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        for value in [offset, vaddr, vaddr, filesz, memsz, align] {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    out.resize(0x1000, 0);
    out.resize(0x1080, 0x90);
    out.resize(0x2000, 0);
    // DT_DEBUG, then zeros: DT_NULL.
    out.extend_from_slice(&21u64.to_le_bytes());
    out.resize(0x2100, 0);
    out
}

/// A compiled module: `.text` on its own page, names and section headers on the next.
pub(super) fn code(machine: u16, text: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.text\0.shstrtab\0";
    let names_at = 0x1000 + (text.len() as u64).next_multiple_of(4096);
    let mut out = header(machine, 0, (names_at + 64, 3, 2));
    out.resize(0x1000, 0);
    out.extend_from_slice(text);
    out.resize(names_at as usize, 0);
    out.extend_from_slice(NAMES);
    out.resize(names_at as usize + 64, 0);
    for (name, offset, len) in [
        (0u32, 0, 0),
        (1, 0x1000, text.len() as u64),
        (7, names_at, NAMES.len() as u64),
    ] {
        let mut section = vec![0; 64];
        section[..4].copy_from_slice(&name.to_le_bytes());
        section[4] = 1;
        section[24..32].copy_from_slice(&offset.to_le_bytes());
        section[32..40].copy_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&section);
    }
    out
}
