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
const AND: u16 = 0x54;
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
/// that the host kernel uses of those that are tested here (flags, options, protections).
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
    /// Allowed if all tests of one of the lists hold.
    AnyOf {
        lists: &'static [&'static [Test]],
        otherwise: Action,
    },
}

/// A test of one argument: what is left of it under the mask is one of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) argument: u32,
    pub(super) mask: u32,
    pub(super) values: &'static [u32],
}

/// Compiles `(first number, rule)` pairs, sorted, the first for number 0; each rule holds up to
/// the next pair's number. An empty slice kills every call.
pub(super) fn compile(ranges: &[(u32, Rule)]) -> Vec<Instruction> {
    let mut code = Backwards {
        reversed: Vec::with_capacity(2 * ranges.len() + 64),
        returns: Vec::new(),
    };
    let decision = code.tree(ranges);
    code.goto(decision);
    code.push(LD_W_ABS, NUMBER);
    let native = code.here();
    let kill = code.ret(Action::Kill);
    code.branch(JEQ, X86_64, native, kill);
    code.push(LD_W_ABS, ARCHITECTURE);
    code.reversed.reverse();
    code.reversed
}

/// A program under construction, last instruction first: BPF jumps only forwards, so every
/// target exists, and its distance is known, when the jump is made.
///
/// Fewer instructions are worth some care: the host kernel translates each of them at every start
/// (about a third of a microsecond), which is why returns are shared.
struct Backwards {
    reversed: Vec<Instruction>,
    /// The latest return of each action.
    returns: Vec<(Action, Label)>,
}

/// An instruction, by how many there were before it was added.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

impl Backwards {
    /// The instruction added last.
    fn here(&self) -> Label {
        Label(self.reversed.len().saturating_sub(1))
    }

    fn push(&mut self, code: u16, k: u32) {
        self.reversed.push(Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        });
    }

    /// How many instructions the next one added would skip to reach `to`.
    fn distance(&self, to: Label) -> usize {
        self.reversed.len() - to.0 - 1
    }

    /// Makes `to` the instruction that the next one added falls through to.
    fn goto(&mut self, to: Label) {
        let distance = self.distance(to);
        if distance > 0 {
            self.push(JA, distance as u32);
        }
    }

    /// A return, at most a conditional jump away from the next few instructions.
    fn ret(&mut self, action: Action) -> Label {
        let near = |label: &Label| self.distance(*label) < usize::from(u8::MAX) - 2;
        let known = self.returns.iter().position(|(of, _)| *of == action);
        if let Some((_, label)) = known.and_then(|at| self.returns.get(at))
            && near(label)
        {
            return *label;
        }
        self.push(RET, action.value());
        let label = self.here();
        self.returns.retain(|(of, _)| *of != action);
        self.returns.push((action, label));
        label
    }

    /// A conditional jump.
    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        // A conditional jump reaches 255 instructions, an unconditional one any. Bringing one
        // target nearer moves the other one further away by an instruction.
        let yes = self.near(yes, 1);
        let no = self.near(no, 0);
        let (jt, jf) = (self.distance(yes), self.distance(no));
        self.reversed.push(Instruction {
            code,
            jt: jt as u8,
            jf: jf as u8,
            k,
        });
        self.here()
    }

    fn near(&mut self, to: Label, reserve: usize) -> Label {
        if self.distance(to) + reserve <= usize::from(u8::MAX) {
            return to;
        }
        self.goto(to);
        self.here()
    }

    /// The decision among `ranges`; the number is loaded.
    fn tree(&mut self, ranges: &[(u32, Rule)]) -> Label {
        match ranges {
            [] => self.ret(Action::Kill),
            [(_, rule)] => self.leaf(*rule),
            // One number among others of one kind: one comparison instead of two.
            [(_, around), (number, rule), (next, after)]
                if around == after && number + 1 == *next =>
            {
                let no = self.leaf(*around);
                let yes = self.leaf(*rule);
                self.branch(JEQ, *number, yes, no)
            }
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let from = high.first().map_or(0, |(number, _)| *number);
                let high = self.tree(high);
                let low = self.tree(low);
                self.branch(JGE, from, high, low)
            }
        }
    }

    fn leaf(&mut self, rule: Rule) -> Label {
        match rule {
            Rule::Always(action) => self.ret(action),
            Rule::WithoutBits {
                argument,
                bits,
                otherwise,
            } => {
                let (allow, otherwise) = (self.ret(Action::Allow), self.ret(otherwise));
                self.branch(JSET, bits, otherwise, allow);
                self.push(LD_W_ABS, low_word(argument));
                self.here()
            }
            Rule::OneOf {
                argument,
                values,
                otherwise,
            } => {
                let allow = self.ret(Action::Allow);
                let mut next = self.ret(otherwise);
                for value in values {
                    next = self.branch(JEQ, *value, allow, next);
                }
                self.goto(next);
                self.push(LD_W_ABS, low_word(argument));
                self.here()
            }
            Rule::AnyOf { lists, otherwise } => {
                let allow = self.ret(Action::Allow);
                let mut no = self.ret(otherwise);
                for tests in lists.iter().rev() {
                    let mut yes = allow;
                    for test in tests.iter().rev() {
                        yes = self.test(test, yes, no);
                    }
                    no = yes;
                }
                no
            }
        }
    }

    fn test(&mut self, test: &Test, yes: Label, no: Label) -> Label {
        let mut next = no;
        for value in test.values {
            next = self.branch(JEQ, *value, yes, next);
        }
        self.goto(next);
        if test.mask != u32::MAX {
            self.push(AND, test.mask);
        }
        self.push(LD_W_ABS, low_word(test.argument));
        self.here()
    }
}

/// Offset of the low word of an argument; the machine is little-endian.
fn low_word(argument: u32) -> u32 {
    ARGUMENTS + 8 * argument
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
            AND => a &= i.k,
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
