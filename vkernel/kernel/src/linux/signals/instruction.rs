//! The one kind of instruction that safepoints are: a load of a byte (`MOVZX r, r/m8`; Intel SDM 2, "MOVZX",
//! and 2.1 on the bytes behind an opcode).
//!
//! For: telling a real fault at a safepoint from a signal that only claims to be one. Not a disassembler:
//! what it does not know is no safepoint. Called in a handler of signals; it allocates nothing.

/// Registers in `gregs` of a `ucontext_t` (`NGREG`).
pub(crate) const GENERAL: usize = 23;

/// Most bytes that [`byte_load`] looks at: REX, two of the opcode, ModRM, SIB, a displacement of four.
pub(crate) const LONGEST: usize = 9;

/// Where a `ucontext_t` has the registers, by their numbers in instructions.
const PLACES: [libc::c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// The address that the instruction in `code` loads a byte from; `None` if it is another one.
pub(crate) fn byte_load(code: &[u8], registers: &[i64; GENERAL]) -> Option<usize> {
    let (rex, code) = match code.split_first()? {
        (rex @ 0x40..=0x4f, rest) => (*rex, rest),
        _ => (0, code),
    };
    let [0x0f, 0xb6, modrm, rest @ ..] = code else {
        return None;
    };
    let register = |number: u8| {
        let place = *PLACES.get(usize::from(number))? as usize;
        registers.get(place).copied()
    };
    // Bits 0 and 1 of REX are the highest bits of base and index.
    let (high_base, high_index) = ((rex & 1) << 3, (rex & 2) << 2);
    let (mode, operand) = (modrm >> 6, modrm & 7);
    let (base, index, rest) = match (mode, operand) {
        // A register.
        (3, _) => return None,
        // Relative to the next instruction.
        (0, 5) => return None,
        (_, 4) => {
            let (sib, rest) = rest.split_first()?;
            let (scale, index, base) = (sib >> 6, sib >> 3 & 7 | high_index, sib & 7);
            if mode == 0 && base == 5 {
                return None;
            }
            let index = match index {
                // None.
                4 => 0,
                number => register(number)?.wrapping_shl(scale.into()),
            };
            (base, index, rest)
        }
        _ => (operand, 0, rest),
    };
    let displacement = match mode {
        0 => 0,
        1 => i64::from(rest.first()?.cast_signed()),
        _ => i32::from_le_bytes(*rest.first_chunk()?).into(),
    };
    let base = register(base | high_base)?;
    Some(base.wrapping_add(index).wrapping_add(displacement) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_loads_and_nothing_else() {
        let mut registers = [0; GENERAL];
        for (number, place) in (0..).zip(PLACES) {
            registers[place as usize] = number << 16;
        }
        let check = |code: &[u8], expected: Option<usize>| {
            assert_eq!(byte_load(code, &registers), expected, "{code:02x?}");
        };
        // movzx eax, byte ptr [rcx]; with REX.W; [r9]; into r8d.
        check(&[0x0f, 0xb6, 0x01], Some(1 << 16));
        check(&[0x48, 0x0f, 0xb6, 0x01], Some(1 << 16));
        check(&[0x41, 0x0f, 0xb6, 0x01], Some(9 << 16));
        check(&[0x44, 0x0f, 0xb6, 0x01], Some(1 << 16));
        // [rcx - 1], [rcx + 0x1000].
        check(&[0x0f, 0xb6, 0x41, 0xff], Some((1 << 16) - 1));
        check(&[0x0f, 0xb6, 0x81, 0, 0x10, 0, 0], Some((1 << 16) + 0x1000));
        // [rcx + rdx], [rcx + 4 * r10 + 1], [rsp], [r12].
        check(&[0x0f, 0xb6, 0x04, 0x11], Some(3 << 16));
        check(&[0x42, 0x0f, 0xb6, 0x44, 0x91, 1], Some((41 << 16) + 1));
        check(&[0x0f, 0xb6, 0x04, 0x24], Some(4 << 16));
        check(&[0x41, 0x0f, 0xb6, 0x04, 0x24], Some(12 << 16));
        // [rbp + 0] has a displacement.
        check(&[0x0f, 0xb6, 0x45, 0], Some(5 << 16));
        // A register; relative to rip; absolute; another opcode; cut off.
        check(&[0x0f, 0xb6, 0xc1], None);
        check(&[0x0f, 0xb6, 0x05, 0, 0, 0, 0], None);
        check(&[0x0f, 0xb6, 0x04, 0x25, 0, 0, 0, 0], None);
        check(&[0x0f, 0xb7, 0x01], None);
        check(&[0x8a, 0x01], None);
        check(&[0x0f, 0xb6, 0x41], None);
        check(&[0x0f, 0xb6, 0x04], None);
        check(&[0x48], None);
        check(&[], None);
    }
}
