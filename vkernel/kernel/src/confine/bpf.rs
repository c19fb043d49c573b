//! Classic BPF for seccomp: a decision by system call number, compiled to a balanced search tree.
//!
//! Why not a generic compiler: a chain of comparisons costs the host kernel a pass over the whole
//! chain for each of its system call numbers when the filter is installed (it precomputes which
//! calls are always allowed), and every refused or argument-checked call at run time. A tree of
//! ranges keeps both logarithmic, and needs no library.
//!
//! Does not know any policy: [`super::filter`] says what each number gets. Invariant: a program
//! loads the architecture first and kills the process if it is not x86-64's 64-bit entry, jumps
//! only forwards, and ends every path in a return.

/// `struct sock_filter` of `<linux/filter.h>`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) jt: u8,
    pub(super) jf: u8,
    pub(super) k: u32,
}

// Instruction codes of `<linux/bpf_common.h>` that are used here.
pub(super) const LD_W_ABS: u16 = 0x20;
pub(super) const JA: u16 = 0x05;
pub(super) const JEQ: u16 = 0x15;
pub(super) const JGE: u16 = 0x35;
pub(super) const JSET: u16 = 0x45;
pub(super) const RET: u16 = 0x06;

// Offsets in `struct seccomp_data` of `<linux/seccomp.h>`.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// AUDIT_ARCH_X86_64 of `<linux/audit.h>`; `int 0x80` reports AUDIT_ARCH_I386 instead.
pub(super) const X86_64: u32 = 0xc000_003e;

/// What a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Allow,
    /// It fails with this errno.
    Errno(u16),
    /// The process dies by SIGSYS, at once, whatever handlers it has.
    Kill,
}

impl Action {
    /// SECCOMP_RET_* of `<linux/seccomp.h>`.
    pub(super) fn value(self) -> u32 {
        match self {
            Action::Allow => libc::SECCOMP_RET_ALLOW,
            Action::Errno(errno) => libc::SECCOMP_RET_ERRNO | u32::from(errno),
            Action::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// What one system call number gets. Arguments are compared by their low 32 bits, which is all
/// that the host kernel uses of those that are tested here (flags, options, protections), except
/// for [`Rule::IfNull`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The same for all arguments.
    Always(Action),
    /// Allowed if argument `argument` has none of the bits; `otherwise` if it has one.
    WithoutBits {
        argument: u32,
        bits: u32,
        otherwise: Action,
    },
    /// Allowed if the argument is one of the values.
    OneOf {
        argument: u32,
        values: &'static [u32],
        otherwise: Action,
    },
    /// Allowed if the argument, a pointer, is null.
    IfNull { argument: u32, otherwise: Action },
}

/// Compiles `(first number, rule)` pairs, sorted, the first for number 0; each rule holds up to
/// the next pair's number. An empty slice kills every call.
pub(super) fn compile(ranges: &[(u32, Rule)]) -> Vec<Instruction> {
    let mut out = vec![
        load(ARCHITECTURE),
        jump(JEQ, X86_64, 1, 0),
        ret(Action::Kill),
        load(NUMBER),
    ];
    out.extend(tree(ranges));
    out
}

fn tree(ranges: &[(u32, Rule)]) -> Vec<Instruction> {
    match ranges {
        [] => vec![ret(Action::Kill)],
        [(_, rule)] => leaf(*rule),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let from = high.first().map_or(0, |(number, _)| *number);
            let low = tree(low);
            let mut out = Vec::with_capacity(2 * ranges.len());
            match u8::try_from(low.len()) {
                Ok(skip) => out.push(jump(JGE, from, skip, 0)),
                // A conditional jump reaches 255 instructions; an unconditional one further.
                Err(_) => {
                    out.push(jump(JGE, from, 0, 1));
                    out.push(Instruction {
                        code: JA,
                        jt: 0,
                        jf: 0,
                        k: low.len() as u32,
                    });
                }
            }
            out.extend(low);
            out.extend(tree(high));
            out
        }
    }
}

fn leaf(rule: Rule) -> Vec<Instruction> {
    match rule {
        Rule::Always(action) => vec![ret(action)],
        Rule::WithoutBits {
            argument,
            bits,
            otherwise,
        } => vec![
            load(low_word(argument)),
            jump(JSET, bits, 0, 1),
            ret(otherwise),
            ret(Action::Allow),
        ],
        Rule::OneOf {
            argument,
            values,
            otherwise,
        } => {
            let mut out = vec![load(low_word(argument))];
            for value in values {
                out.push(jump(JEQ, *value, 0, 1));
                out.push(ret(Action::Allow));
            }
            out.push(ret(otherwise));
            out
        }
        Rule::IfNull {
            argument,
            otherwise,
        } => vec![
            load(low_word(argument)),
            jump(JEQ, 0, 0, 3),
            load(low_word(argument) + 4),
            jump(JEQ, 0, 0, 1),
            ret(Action::Allow),
            ret(otherwise),
        ],
    }
}

/// Offset of the low word of an argument; the machine is little-endian.
fn low_word(argument: u32) -> u32 {
    ARGUMENTS + 8 * argument
}

fn load(offset: u32) -> Instruction {
    Instruction {
        code: LD_W_ABS,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn ret(action: Action) -> Instruction {
    Instruction {
        code: RET,
        jt: 0,
        jf: 0,
        k: action.value(),
    }
}

/// An interpreter for the instructions above: the tests' oracle for programs too large to read.
#[cfg(test)]
pub(super) fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let (mut at, mut a) = (0, 0u32);
    loop {
        let i = program[at];
        at += 1;
        let jump = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
        match i.code {
            RET => return i.k,
            JA => at += i.k as usize,
            JEQ => at += jump(a == i.k),
            JGE => at += jump(a >= i.k),
            JSET => at += jump(a & i.k != 0),
            LD_W_ABS => {
                a = match i.k {
                    NUMBER => number,
                    ARCHITECTURE => arch,
                    offset => {
                        let argument = arguments[(offset - ARGUMENTS) as usize / 8];
                        (argument >> (8 * (offset % 8))) as u32
                    }
                }
            }
            other => panic!("instruction {other:#x}"),
        }
    }
}
