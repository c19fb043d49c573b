//! Sequences of calls from a seed, by the words of [`describe`](super::describe).
//!
//! What is generated is symbolic: an argument may be "what step 3 gave". So a step can be left out
//! of a sequence, and the rest still means the same, which is how a finding is made shorter.

use super::describe::{Described, How, Kind, values};

/// Where the sequences map and unmap, in the guest's address space.
pub(super) const WINDOW: u32 = 0x4000_0000;
/// Pages of it that are used most.
const WINDOW_PAGES: u64 = 24;
/// Nothing of the guest's own is at or above this address.
pub(super) const PLAY: u32 = 0x2000_0000;
/// The lowest descriptor that a sequence may close or replace.
pub(super) const FIRST_NUMBER: i64 = 3;

/// Numbers from a seed (xorshift).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..16 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Whether something happens that happens once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// An address of the vkernel's, which a guest should not know: the hostile test tells it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Place {
    SafepointPage,
    AfterSafepointPage,
    Memory,
    Code,
    Launcher,
}

/// An argument, or a field of a structure.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Number(i64),
    /// The result of an earlier step.
    Result(usize),
    /// One of the two descriptors that an earlier step gave.
    Half(usize, usize),
    /// A structure of the call's own.
    Block(usize),
    /// An offset in the guest's room.
    Room(u32),
    /// The guest's process id, and its first thread's.
    Me,
    /// A signal handler, with `siginfo` or without.
    Handler(bool),
    Host(Place),
}

/// A structure that is put into the guest's memory before the call.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// What is put into it when the call is made: offset, width, value.
    pub fields: Vec<(usize, usize, Value)>,
}

/// A call, or in a race a store of 8 bytes.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Position of the call in the interface; `None` for the store.
    pub call: Option<usize>,
    /// Its arguments.
    pub args: Vec<Value>,
    /// Its structures.
    pub blocks: Vec<Block>,
    /// The block where it puts two descriptors.
    pub pair: Option<usize>,
}

/// A step of a sequence.
#[derive(Clone, Debug)]
pub enum Step {
    /// One that was left out.
    Nothing,
    /// A call.
    Call(Operation),
    /// A call that forks, and what the child does then.
    Family(Operation, Vec<Operation>),
    /// A signal with a `siginfo` of the guest's choice, sent to itself: it is delivered as it was
    /// sent.
    Sent {
        /// Its number.
        signal: i32,
        /// Its `siginfo`.
        info: Block,
    },
    /// What the threads do at the same time, so often.
    Race(Vec<Vec<Operation>>, u32),
}

/// Paths that sequences use. None leads to the standard streams, over which the guest is told what
/// to do.
#[rustfmt::skip]
pub(super) const PATHS: &[&str] = &[
    "/", ".", "..", "../../../..", "f", "/w/f", "g", "/w/d", "d/f", "l", "loop", "fifo", "sock", "",
    "/ro", "/ro/f", "/ro/d", "/ro/../ro/f", "/hd", "/hd/f", "/hd/../hd/f", "/w/to-ro", "/w/to-hd", "/w/to-outside",
    "/w/to-hd/f", "/w/to-ro/f", "/tmp", "/bin/guest", "/.vkernel/megabinary", "/etc/passwd",
    "/proc", "/proc/self", "/proc/self/exe", "/proc/self/root", "/proc/self/root/hd/f", "/proc/self/cwd",
    "/proc/self/mem", "/proc/self/maps", "/proc/self/smaps", "/proc/self/stat", "/proc/self/syscall",
    "/proc/self/auxv", "/proc/self/pagemap", "/proc/self/map_files", "/proc/self/environ", "/proc/self/wchan",
    "/proc/self/stack", "/proc/self/status", "/proc/self/fd", "/proc/self/fdinfo", "/proc/self/task",
    "/proc/self/ns/net", "/proc/self/ns/user", "/proc/self/uid_map", "/proc/self/oom_score_adj", "/proc/self/attr/current",
    "/proc/self/comm", "/proc/self/coredump_filter", "/proc/self/clear_refs", "/proc/self/timers", "/proc/self/mountinfo",
    "/proc/self/fd/3", "/proc/self/fd/5", "/proc/self/fd/9", "/proc/self/fd/1024", "/proc/self/fd/1025",
    "/proc/self/fd/963", "/proc/thread-self/fd/4", "/proc/thread-self/fd/6", "/proc/thread-self/fd/962",
    "/proc/thread-self/mem", "/proc/thread-self/maps", "/proc/self/fdinfo/1024", "/proc/thread-self/stat",
    "/proc/1/root", "/proc/1/root/etc/passwd", "/proc/1/mem", "/proc/1/maps", "/proc/1/environ", "/proc/1/cwd",
    "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory",
    "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/printk", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg",
    "/proc/vmallocinfo", "/proc/kallsyms", "/proc/net/tcp", "/proc/irq/default_smp_affinity", "/proc/mounts",
    "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/shm/x", "/dev/pts/0",
    "/sys", "/sys/kernel",
];
/// Names that are made and removed.
const NAMES: &[&str] = &[
    "f",
    "g",
    "h",
    "/w/d",
    "/w/d/f",
    "l",
    "fifo",
    "sock",
    "/ro/new",
    "/hd/new",
    "/new",
    "/proc/new",
    "/w/to-ro/new",
    "/.vkernel/new",
    "/dev/shm/x",
];
const ATTRIBUTES: &[&str] = &[
    "user.a",
    "trusted.a",
    "security.capability",
    "system.posix_acl_access",
];
const SYSTEMS: &[&str] = &["proc", "tmpfs", "sysfs", "devtmpfs", "overlay", "bpf"];
/// Signals that may be sent: not those that cannot be caught or that stop.
#[rustfmt::skip]
const SIGNALS: &[i64] = &[11, 11, 11, 11, 7, 4, 8, 5, 31, 10, 12, 2, 1, 13, 15, 17, 23, 28, 29, 30, 35, 40, 64, 0, 65];
/// Those of them that faults have: without a handler they would look like a failure of the vkernel.
const FAULTS: &[i64] = &[4, 5, 6, 7, 8, 11, 31];

/// Files that a thread would wait for, as they stand in a structure.
const SLOW_FILES: &[&[u8]] = &[b"fifo\0", b"/dev/ptmx\0", b"/dev/tty\0", b"/proc/kmsg\0"];

/// Makes sequences.
#[derive(Debug)]
pub struct Generator<'a> {
    random: Random,
    calls: &'a [Described],
    /// Where each call begins in the order of weights.
    chances: Vec<u64>,
    /// Descriptors that earlier steps may have given.
    descriptors: Vec<(Kind, Value)>,
    steps: usize,
    threads: bool,
}

impl<'a> Generator<'a> {
    /// The sequences of a seed; with `threads` there are races in them.
    pub fn new(calls: &'a [Described], seed: u64, threads: bool) -> Generator<'a> {
        let mut sum = 0;
        let chances = calls
            .iter()
            .map(|call| {
                sum += u64::from(call.weight);
                sum
            })
            .collect();
        Generator {
            random: Random::new(seed),
            calls,
            chances,
            descriptors: Vec::new(),
            steps: 0,
            threads,
        }
    }

    /// A sequence of about so many steps.
    pub fn sequence(mut self, len: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        self.furnish(&mut steps);
        while steps.len() < len {
            match self.random.below(if self.threads { 12 } else { 40 }) {
                0..=3 if self.threads => self.race(&mut steps),
                38 | 39 => {
                    let step = self.sent();
                    self.push(&mut steps, step);
                }
                _ => {
                    let operation = self.operation();
                    let step = match operation.call.map(|at| self.calls[at].call.name) {
                        Some("fork" | "vfork" | "clone") => {
                            let count = self.random.below(5);
                            let child = (0..count).map(|_| self.quick()).collect();
                            Step::Family(operation, child)
                        }
                        _ => Step::Call(operation),
                    };
                    self.push(&mut steps, step);
                }
            }
        }
        steps
    }

    /// Takes note of what a step gives.
    fn push(&mut self, steps: &mut Vec<Step>, step: Step) {
        if let Step::Call(operation) = &step
            && let Some(call) = operation.call
        {
            if let Some(kind) = self.calls[call].makes {
                let kind = match kind {
                    Kind::File => kind_of_path(operation),
                    kind => kind,
                };
                self.descriptors.push((kind, Value::Result(self.steps)));
            }
            if operation.pair.is_some() {
                let is_pipe = self.calls[call].call.name.starts_with("pipe");
                let kind = if is_pipe { Kind::Pipe } else { Kind::Socket };
                for half in 0..2 {
                    self.descriptors.push((kind, Value::Half(self.steps, half)));
                }
            }
            if self.descriptors.len() > 40 {
                self.descriptors.remove(0);
            }
        }
        self.steps += 1;
        steps.push(step);
    }

    /// One of every kind, so that the first calls have something to work on.
    fn furnish(&mut self, steps: &mut Vec<Step>) {
        for (name, words) in [
            ("open", "'f 2 0"),
            ("open", "'/ro/f 0 0"),
            ("open", "'/proc/self/status 0 0"),
            ("open", "'/dev/zero 2 0"),
            ("open", "'/w/d 65536 0"),
            ("socket", "2 2049 0"),
            ("socket", "1 2050 0"),
            ("pipe2", "pair.pipe 2048"),
            ("epoll_create1", "0"),
            ("eventfd2", "1 2048"),
        ] {
            let operation = self.named(name, words);
            self.push(steps, Step::Call(operation));
        }
    }

    /// A call with these words in place of its own; `'` begins a path, digits a number.
    fn named(&mut self, name: &str, words: &str) -> Operation {
        let at = self.at(name);
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        self.build(at, &words)
    }

    fn at(&self, name: &str) -> usize {
        let at = self.calls.iter().position(|d| d.call.name == name);
        at.unwrap_or_else(|| panic!("no call {name}"))
    }

    fn operation(&mut self) -> Operation {
        let all = self.chances.last().copied().unwrap_or(1);
        let chosen = self.random.below(all);
        let at = self.chances.partition_point(|chance| *chance <= chosen);
        let words = self.calls[at].words.clone();
        self.build(at, &words)
    }

    /// A call that neither waits nor forks nor ends.
    fn quick(&mut self) -> Operation {
        loop {
            let operation = self.operation();
            let Some(at) = operation.call else { continue };
            let opens = |block: &Block| SLOW_FILES.contains(&&block.bytes[..]);
            if !self.is_slow(at) && !operation.blocks.iter().any(opens) {
                return operation;
            }
        }
    }

    /// Whether a call waits, forks, ends, or takes so long that nobody may make it a thousand times.
    fn is_slow(&self, at: usize) -> bool {
        const SLOW: &[&str] = &[
            "fork",
            "vfork",
            "clone",
            "wait4",
            "waitid",
            "flock",
            "futex",
            "ioctl",
            "fcntl",
            "exit",
            "exit_group",
            "alarm",
            "setitimer",
            "sync",
            "syncfs",
            "fsync",
            "fdatasync",
            "msync",
            "sync_file_range",
            "fallocate",
            "mlockall",
        ];
        let call = &self.calls[at];
        call.waits || SLOW.contains(&call.call.name) || call.call.name.starts_with("exec")
    }

    fn build(&mut self, at: usize, words: &[String]) -> Operation {
        let mut operation = Operation {
            call: Some(at),
            args: Vec::new(),
            blocks: Vec::new(),
            pair: None,
        };
        let mut len = 0;
        let mut signal = 11;
        for word in words {
            let value = self.value(word, &mut operation, &mut len, &mut signal);
            operation.args.push(value);
        }
        operation
    }

    fn value(
        &mut self,
        word: &str,
        operation: &mut Operation,
        len: &mut i64,
        signal: &mut i64,
    ) -> Value {
        if let Some(path) = word.strip_prefix('\'') {
            return text(operation, path);
        }
        if let Some(name) = word.strip_prefix('@') {
            return Value::Number(self.choice(name));
        }
        if let Ok(number) = word.parse() {
            return Value::Number(number);
        }
        if let Some(kind) = word.strip_prefix("fd.") {
            return self.descriptor(Some(Kind::of(kind)));
        }
        if word.starts_with("pair.") {
            operation.blocks.push(Block {
                bytes: vec![0xff; 8],
                fields: Vec::new(),
            });
            operation.pair = Some(operation.blocks.len() - 1);
            return Value::Block(operation.blocks.len() - 1);
        }
        let random = &mut self.random;
        // Now and then something else altogether.
        if random.once_in(60) && !matches!(word, "page" | "signal" | "number") {
            return Value::Number(noise(random));
        }
        match word {
            "fd" => self.descriptor(None),
            "fdset" | "null" => Value::Number(0),
            "zero" => Value::Number(0),
            "small" => Value::Number(random.below(24) as i64),
            "number" => Value::Number(number(random)),
            "dir" => match random.below(4) {
                0 => self.descriptor(Some(Kind::Folder)),
                _ => Value::Number(libc_at_fdcwd()),
            },
            "path" => text(operation, random.one(PATHS)),
            "new" => text(operation, random.one(NAMES)),
            "attribute" => text(operation, random.one(ATTRIBUTES)),
            "fstype" => text(operation, random.one(SYSTEMS)),
            "mode" => Value::Number(random.one(&[0, 0o644, 0o666, 0o777, 0o4755, 0o1777, 0o600])),
            "device" => Value::Number(random.one(&[0, 0x103, 0x105, 0x800, 0x101, 0x500])),
            "id" => Value::Number(random.one(&[0, 0, 1000, 65534, -1])),
            "self" => match random.below(8) {
                0 => Value::Number(random.one(&[1, 2, 3, 99999])),
                _ => Value::Me,
            },
            "process" => match random.below(3) {
                0 => Value::Me,
                1 => Value::Number(0),
                _ => Value::Number(random.one(&[0, -1, 1, 2, 3, 4])),
            },
            "page" => Value::Number(page(random)),
            "pages" => {
                *len = random.one(&[
                    4096,
                    4096,
                    4096,
                    8192,
                    8192,
                    16384,
                    65536,
                    4097,
                    0,
                    1,
                    0xffff_f000,
                    0x1000_0000,
                ]);
                Value::Number(*len)
            }
            "pageoff" => Value::Number(random.one(&[0, 0, 0, 0, 4096, 8192, 1, -4096, 1 << 40])),
            "off" => Value::Number(random.one(&[0, 0, 0, 1, 100, 4096, 65536, -1, 1 << 40])),
            "advice" => Value::Number(match random.below(4) {
                0 => random.one(&[100, 101, 102, -1]),
                _ => random.below(27) as i64,
            }),
            "signal" => {
                *signal = random.one(SIGNALS);
                Value::Number(*signal)
            }
            "in" => {
                let bytes: Vec<u8> = (0..1 + random.below(64))
                    .map(|_| random.next() as u8)
                    .collect();
                *len = bytes.len() as i64;
                block(operation, bytes, Vec::new())
            }
            "out" => {
                *len = random.one(&[1, 64, 256, 4096, 4096]);
                match random.below(10) {
                    0 => Value::Number(page(random)),
                    1 => Value::Number(page(random) + 4090),
                    _ => Value::Room(random.below(15) as u32 * 4096 + random.below(8) as u32 * 8),
                }
            }
            "word" => Value::Room(61440 + random.below(4) as u32 * 8),
            "len" => Value::Number(*len),
            "count" => Value::Number(random.one(&[1, 2, 2, 3, 0])),
            "wait" => Value::Number(random.one(&[0, 1, 5])),
            other => self.structure(other, operation, *signal),
        }
    }

    fn choice(&mut self, name: &str) -> i64 {
        let (of, how) = values(name);
        match how {
            How::One => self.random.one(of),
            How::Bits => (0..1 + self.random.below(3)).fold(0, |all, _| all | self.random.one(of)),
        }
    }

    fn descriptor(&mut self, kind: Option<Kind>) -> Value {
        let fitting: Vec<Value> = self
            .descriptors
            .iter()
            .filter(|(k, _)| kind.is_none_or(|kind| *k == kind))
            .map(|(_, value)| value.clone())
            .collect();
        match self.random.below(12) {
            0 => Value::Number(number(&mut self.random)),
            1 => Value::Number(self.random.one(&[-1, 1023, 1024, 4096, 2])),
            n if n < 4 || fitting.is_empty() => {
                let at = self.random.below(self.descriptors.len() as u64);
                self.descriptors[at as usize].1.clone()
            }
            _ => fitting[self.random.below(fitting.len() as u64) as usize].clone(),
        }
    }

    /// Structures of Linux, as this interface lays them out (`polyfills/sysroot/README.md`).
    fn structure(&mut self, word: &str, operation: &mut Operation, signal: i64) -> Value {
        let random = &mut self.random;
        let numbers =
            |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_le_bytes()).collect() };
        match word {
            "how" => {
                let (flags, resolve) = (self.choice("open"), self.random.below(32) as i64);
                block(operation, numbers(&[flags, 0, resolve]), Vec::new())
            }
            "soon" => {
                let nanoseconds = random.one(&[0, 1, 1_000_000, -1, 1_000_000_000]);
                block(operation, numbers(&[0, nanoseconds]), Vec::new())
            }
            "times" => {
                let at = random.one(&[0, 1, 1 << 40, -1]);
                let part = random.one(&[0, 0x3fff_ffff, 0x3fff_fffe, 5]);
                block(operation, numbers(&[at, part, at, part]), Vec::new())
            }
            "itimerval" | "itimerspec" => {
                let part = random.one(&[0, 1000, 50_000, 2_000_000]);
                block(operation, numbers(&[0, part, 0, part]), Vec::new())
            }
            "rlimit" => {
                let of = [0, 1, 4096, 65536, 1 << 20, 1 << 32, -1];
                let (soft, hard) = (random.one(&of), random.one(&of));
                block(operation, numbers(&[soft, hard]), Vec::new())
            }
            "sigset" => {
                // What interrupts calls that wait stays open.
                let set =
                    random.one(&[0, -1, 1 << 10, 1 << 6 | 1 << 9, random.0 as i64]) & !(1 << 13);
                block(operation, numbers(&[set]), Vec::new())
            }
            "siginfo" => {
                let info = siginfo(random, signal);
                operation.blocks.push(info);
                Value::Block(operation.blocks.len() - 1)
            }
            "action" => self.action(operation, signal),
            "stack" => {
                let (at, size) = (Value::Room(32768), random.one(&[0, 2047, 8192, 16384]));
                let mut bytes = vec![0; 12];
                bytes[4] = random.one(&[0, 1, 2]);
                bytes[8..].copy_from_slice(&(size as u32).to_le_bytes());
                block(operation, bytes, vec![(0, 4, at)])
            }
            "sigevent" => {
                let mut bytes = vec![0; 64];
                bytes[4] = random.one(SIGNALS) as u8;
                bytes[8] = random.one(&[0, 1, 2, 4]);
                block(operation, bytes, vec![(12, 4, Value::Me)])
            }
            "iov" => {
                let mut bytes = vec![0; 24];
                let mut fields = Vec::new();
                for i in 0..3 {
                    let to = match random.below(6) {
                        0 => Value::Number(page(random)),
                        _ => Value::Room(random.below(13) as u32 * 4096),
                    };
                    fields.push((i * 8, 4, to));
                    let len: u32 = random.one(&[0, 1, 100, 4096, 8192, u32::MAX]);
                    bytes[i * 8 + 4..i * 8 + 8].copy_from_slice(&len.to_le_bytes());
                }
                block(operation, bytes, fields)
            }
            "address" => {
                let bytes = address(random);
                block(operation, bytes, Vec::new())
            }
            "addresslen" => Value::Number(random.one(&[16, 16, 16, 28, 28, 110, 8, 2, 0, 12])),
            "outlen" => block(
                operation,
                random.one(&[16_u64, 28, 128, 0]).to_le_bytes().into(),
                Vec::new(),
            ),
            "message" | "messages" => self.message(operation, word == "messages"),
            "epollevent" => {
                let events = random.one(&[1_u32, 5, 0x8000_0001, 0x4000_0001, 0x1000_0001]);
                let bytes = [&events.to_le_bytes()[..], &[0; 8]].concat();
                block(operation, bytes, Vec::new())
            }
            "pollfds" => {
                let fields = (0..3).map(|i| (i * 8, 4, self.descriptor(None))).collect();
                let bytes = [[0, 0, 0, 0, 0xff, 0, 0, 0]; 3].concat();
                block(operation, bytes, fields)
            }
            "capability" => {
                let version = random.one(&[0x2008_0522_u64, 0x1998_0330, 1]);
                block(operation, version.to_le_bytes().into(), Vec::new())
            }
            "capabilities" => block(operation, vec![0xff; 24], Vec::new()),
            other => panic!("no word {other}"),
        }
    }

    fn action(&mut self, operation: &mut Operation, signal: i64) -> Value {
        let random = &mut self.random;
        // SA_NODEFER, SA_ONSTACK, SA_RESTART.
        let mut flags = random.one(&[0_u64, 0x4000_0000, 0x0800_0000, 0x1000_0000]);
        let handler = match random.below(10) {
            0 => Value::Number(1),
            1 if !FAULTS.contains(&signal) => Value::Number(0),
            2 | 3 => Value::Handler(false),
            _ => {
                flags |= 4;
                Value::Handler(true)
            }
        };
        let mut bytes = vec![0; 24];
        bytes[4..12].copy_from_slice(&flags.to_le_bytes());
        bytes[16..].copy_from_slice(&random.one(&[0_u64, !(1 << 13), 1 << 10]).to_le_bytes());
        block(operation, bytes, vec![(0, 4, handler)])
    }

    fn message(&mut self, operation: &mut Operation, many: bool) -> Value {
        let name = address(&mut self.random);
        let (name_len, count) = (name.len() as u32, self.random.below(3) as u32);
        let name = block(operation, name, Vec::new());
        let vector = self.structure("iov", operation, 0);
        // SCM_RIGHTS, SCM_CREDENTIALS, and what is none.
        let (level, kind) =
            self.random
                .one(&[(1_u32, 1_u32), (1, 1), (1, 2), (0, 8), (41, 50), (7, 7)]);
        let mut control = vec![0; 24];
        control[..4].copy_from_slice(
            &self
                .random
                .one(&[24_u32, 20, 16, 0, u32::MAX])
                .to_le_bytes(),
        );
        control[8..12].copy_from_slice(&level.to_le_bytes());
        control[12..16].copy_from_slice(&kind.to_le_bytes());
        let passed = vec![
            (16, 4, self.descriptor(None)),
            (20, 4, self.descriptor(None)),
        ];
        let control = block(operation, control, passed);
        let mut header = vec![0; 40];
        header[4..8].copy_from_slice(&name_len.to_le_bytes());
        header[12..16].copy_from_slice(&count.to_le_bytes());
        header[24..28].copy_from_slice(&self.random.one(&[24_u32, 0, 20]).to_le_bytes());
        let name = match self.random.once_in(2) {
            true => Value::Number(0),
            false => name,
        };
        let mut fields = vec![(0, 4, name), (8, 4, vector), (20, 4, control)];
        if many {
            let second: Vec<_> = fields
                .iter()
                .map(|(at, w, v)| (at + 40, *w, v.clone()))
                .collect();
            fields.extend(second);
            header = [header.clone(), header].concat();
        }
        block(operation, header, fields)
    }

    fn sent(&mut self) -> Step {
        let signal = loop {
            let signal = self.random.one(SIGNALS);
            if (1..=64).contains(&signal) {
                break signal;
            }
        };
        Step::Sent {
            signal: signal as i32,
            info: siginfo(&mut self.random, signal),
        }
    }

    /// Something that is judged, and what makes it something else at the same time.
    fn race(&mut self, steps: &mut Vec<Step>) {
        let rounds = self.random.one(&[200, 600, 2000]);
        match self.random.below(6) {
            0 => self.swapped_descriptor(steps, rounds),
            1 => self.swapped_path(steps, rounds),
            2 => self.swapped_address(steps, rounds),
            3 => {
                let threads = (0..4).map(|_| self.memory_calls()).collect();
                self.push(steps, Step::Race(threads, 50));
            }
            4 => self.swapped_descriptor(steps, rounds),
            _ => {
                let mut noise = || (0..6).map(|_| self.quick()).collect();
                let threads = (0..4).map(|_| noise()).collect();
                self.push(steps, Step::Race(threads, 20));
            }
        }
    }

    fn memory_calls(&mut self) -> Vec<Operation> {
        const CALLS: &[&str] = &[
            "mmap", "mmap", "munmap", "mprotect", "mremap", "madvise", "read", "pread64",
            "mincore", "msync", "readv", "write", "uname", "fstat",
        ];
        (0..6)
            .map(|_| {
                let at = self.at(self.random.clone().one(CALLS));
                self.random.next();
                let words = self.calls[at].words.clone();
                self.build(at, &words)
            })
            .collect()
    }

    /// A descriptor that is two files, or sockets, in turn; every call that takes one is tried.
    fn swapped_descriptor(&mut self, steps: &mut Vec<Step>, rounds: u32) {
        const PAIRS: &[(&str, &str)] = &[
            ("'f 2 0", "'/ro/f 0 0"),
            ("'f 2 0", "'/ro/f 0 0"),
            ("'f 2 0", "'/proc/vmallocinfo 0 0"),
            ("'/w/d 65536 0", "'/ro/d 65536 0"),
            ("'f 2 0", "'/dev/null 2 0"),
        ];
        let first = self.steps;
        let is_socket = self.random.once_in(3);
        if is_socket {
            for _ in 0..2 {
                let socket = self.named("socket", "2 2049 0");
                self.push(steps, Step::Call(socket));
            }
            for (socket, ip) in [(first, [127, 0, 0, 1]), (first + 1, [0; 4])] {
                let mut bind = self.named("bind", "0 null 16");
                bind.args[0] = Value::Result(socket);
                let address = [&[2, 0, 0, 0][..], &ip, &[0; 8]].concat();
                bind.args[1] = block(&mut bind, address, Vec::new());
                self.push(steps, Step::Call(bind));
            }
        } else {
            let (a, b) = self.random.one(PAIRS);
            for words in [a, b] {
                let open = self.named("open", words);
                self.push(steps, Step::Call(open));
            }
        }
        let target = Value::Number(60);
        let flip: Vec<Operation> = [first, first + 1]
            .into_iter()
            .map(|from| {
                let mut dup = self.named("dup2", "0 0");
                dup.args = vec![Value::Result(from), target.clone()];
                dup
            })
            .collect();
        const CHANGE: &[&str] = &["fchmod", "fchown", "fsetxattr", "fremovexattr", "fchmod"];
        let fitting: Vec<usize> = (0..self.calls.len())
            .filter(|at| {
                let (words, name) = (&self.calls[*at].words, self.calls[*at].call.name);
                words.first().is_some_and(|w| match is_socket {
                    true => w == "fd.socket",
                    false => w == "fd" || w == "fd.file" || w == "fd.folder" || w == "dir",
                }) && !self.is_slow(*at)
                    && name != "close"
            })
            .collect();
        let racing: Vec<Operation> = (0..3)
            .map(|i| {
                let at = match (i, is_socket, self.random.below(2)) {
                    (0, true, _) => self.at("listen"),
                    (0 | 1, false, _) => {
                        let name = self.random.one(CHANGE);
                        self.at(name)
                    }
                    _ => self.random.one(&fitting),
                };
                let words = self.calls[at].words.clone();
                let mut call = self.build(at, &words);
                call.args[0] = target.clone();
                call
            })
            .collect();
        let mut map = self.named("mmap", "page 4096 3 18 0 0");
        map.args[4] = target;
        self.push(
            steps,
            Step::Race(vec![racing.clone(), flip, racing, vec![map]], rounds),
        );
    }

    /// A path that is two in turn; every call that takes one is tried.
    fn swapped_path(&mut self, steps: &mut Vec<Step>, rounds: u32) {
        const AT: u32 = 49152;
        let pairs: [(&[u8; 8], &[u8; 8]); 4] = [
            (b"/w/f\0\0\0\0", b"/ro/f\0\0\0"),
            (b"/w/f\0\0\0\0", b"/hd/f\0\0\0"),
            (b"/w/d\0\0\0\0", b"/ro/d\0\0\0"),
            (b"/w/new\0\0", b"/ro/new\0"),
        ];
        let (a, b) = self.random.one(&pairs);
        let flip = [a, b].map(|text| store(AT, *text)).to_vec();
        let fitting: Vec<usize> = (0..self.calls.len())
            .filter(|at| {
                let words = &self.calls[*at].words;
                words.iter().any(|w| w == "path" || w == "new") && !self.is_slow(*at)
            })
            .collect();
        let mut racing = || -> Vec<Operation> {
            (0..3)
                .map(|_| {
                    let at = self.random.one(&fitting);
                    let words = self.calls[at].words.clone();
                    let mut call = self.build(at, &words);
                    for (arg, word) in call.args.iter_mut().zip(&words) {
                        if word == "path" || word == "new" {
                            *arg = Value::Room(AT);
                        }
                    }
                    call
                })
                .collect()
        };
        let threads = vec![racing(), flip, racing(), Vec::new()];
        self.push(steps, Step::Race(threads, rounds.min(1000)));
    }

    /// An address that is two in turn, of which the policy allows one.
    fn swapped_address(&mut self, steps: &mut Vec<Step>, rounds: u32) {
        const AT: u32 = 53248;
        let first = self.steps;
        let kind = self.random.one(&["2 2049 0", "2 2050 0"]);
        let socket = self.named("socket", kind);
        self.push(steps, Step::Call(socket));
        let port = 2000 + self.random.below(5000) as u16;
        let [p, q] = port.to_be_bytes();
        let other = self
            .random
            .one(&[[0, 0, 0, 0], [192, 0, 2, 1], [10, 0, 0, 1]]);
        let flip = [[127, 0, 0, 1], other]
            .map(|[a, b, c, d]| store(AT, [2, 0, p, q, a, b, c, d]))
            .to_vec();
        let racing = ["bind", "listen", "connect", "sendto"]
            .map(|name| {
                let words = self.calls[self.at(name)].words.join(" ");
                let mut call = self.named(name, &words);
                call.args[0] = Value::Result(first);
                for (arg, word) in call.args.iter_mut().zip(words.split_whitespace()) {
                    match word {
                        "address" => *arg = Value::Room(AT),
                        "addresslen" => *arg = Value::Number(16),
                        _ => {}
                    }
                }
                call
            })
            .to_vec();
        self.push(
            steps,
            Step::Race(vec![racing.clone(), flip, racing, Vec::new()], rounds),
        );
    }
}

fn store(at: u32, bytes: [u8; 8]) -> Operation {
    Operation {
        call: None,
        args: vec![
            Value::Room(at),
            Value::Number(i64::from_le_bytes(bytes)),
            Value::Number(8),
        ],
        blocks: Vec::new(),
        pair: None,
    }
}

fn libc_at_fdcwd() -> i64 {
    -100
}

fn block(operation: &mut Operation, bytes: Vec<u8>, fields: Vec<(usize, usize, Value)>) -> Value {
    operation.blocks.push(Block { bytes, fields });
    Value::Block(operation.blocks.len() - 1)
}

fn text(operation: &mut Operation, text: &str) -> Value {
    block(operation, [text.as_bytes(), &[0]].concat(), Vec::new())
}

fn noise(random: &mut Random) -> i64 {
    match random.below(3) {
        0 => random.one(&[0, -1, i64::from(i32::MAX), i64::from(i32::MIN), 1 << 62]),
        1 => 1 << random.below(63),
        _ => random.next() as i64,
    }
}

fn number(random: &mut Random) -> i64 {
    match random.below(10) {
        0 => random.one(&[1000, 1022, 1023, 1024, 1025, 1030, 1087, 1088]),
        _ => FIRST_NUMBER + random.below(30) as i64,
    }
}

fn page(random: &mut Random) -> i64 {
    let at = match random.below(20) {
        0 => u64::from(PLAY) / 4096 + random.below(0xe0000 - 1),
        1 => 0xfffff,
        2 => 0xffffe - random.below(3),
        _ => u64::from(WINDOW) / 4096 + random.below(WINDOW_PAGES),
    };
    let inside = if random.once_in(40) {
        random.below(4096)
    } else {
        0
    };
    (at * 4096 + inside) as i64
}

/// A `siginfo` as faults have it, as processes send it, and in between.
fn siginfo(random: &mut Random, signal: i64) -> Block {
    let mut bytes = vec![0; 128];
    bytes[..4].copy_from_slice(&(signal as i32).to_le_bytes());
    let code: i32 = random.one(&[
        1,
        1,
        2,
        3,
        4,
        5,
        6,
        0x80,
        0,
        -1,
        -2,
        -3,
        -4,
        -6,
        -60,
        100,
        i32::MAX,
    ]);
    bytes[8..12].copy_from_slice(&code.to_le_bytes());
    let address = match random.below(8) {
        0..=2 => Value::Host(Place::SafepointPage),
        3 => Value::Host(Place::AfterSafepointPage),
        4 => Value::Host(Place::Memory),
        5 => Value::Host(random.one(&[Place::Code, Place::Launcher])),
        _ => Value::Number(random.one(&[0, 4096, -1, 0x1234])),
    };
    Block {
        bytes,
        fields: vec![(16, 8, address)],
    }
}

/// A socket address of some family.
fn address(random: &mut Random) -> Vec<u8> {
    let port = random.one(&[[0, 0], [0, 0], [0x1f, 0x90], [0, 80], [0, 53]]);
    let ip4: [u8; 4] = random.one(&[
        [127, 0, 0, 1],
        [127, 0, 0, 1],
        [0; 4],
        [192, 0, 2, 1],
        [255; 4],
    ]);
    let mut ip6 = [0; 16];
    match random.below(4) {
        0 => ip6[15] = 1,
        1 => ip6[10..].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]),
        2 => ip6[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]),
        _ => {}
    }
    let file = |path: &str| [&[1, 0], path.as_bytes(), &[0]].concat();
    match random.below(9) {
        0..=2 => [&[2, 0][..], &port, &ip4, &[0; 8]].concat(),
        3 | 4 => [&[10, 0][..], &port, &[0; 4], &ip6, &[0; 4]].concat(),
        5 => file(random.one(&["sock", "/w/sock", "/ro/sock", "/hd/sock", "/w/to-ro/sock"])),
        6 => [&[1, 0, 0][..], b"abstract"].concat(),
        7 => vec![0; 16],
        _ => [&[random.one(&[16, 17, 38, 40, 44]), 0][..], &[0; 14]].concat(),
    }
}

/// What the file that a step opens is, by its name.
fn kind_of_path(operation: &Operation) -> Kind {
    let Some(path) = operation.blocks.first() else {
        return Kind::File;
    };
    let text = String::from_utf8_lossy(&path.bytes);
    let text = text.trim_end_matches('\0');
    match text {
        "/" | "." | ".." | "/w/d" | "/ro" | "/ro/d" | "/proc" | "/proc/self" | "/tmp" => {
            Kind::Folder
        }
        _ if text.starts_with("/proc") => Kind::Proc,
        _ if text.starts_with("/dev") => Kind::Device,
        _ => Kind::File,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::describe, *};

    #[test]
    fn a_seed_is_a_sequence() {
        let calls = describe::all();
        for threads in [false, true] {
            let make = |seed| {
                let steps = Generator::new(&calls, seed, threads).sequence(300);
                format!("{steps:?}")
            };
            assert_eq!(make(7), make(7));
            assert_ne!(make(7), make(8));
        }
    }

    /// Every call of the interface comes up, and none takes over what is not its own.
    #[test]
    fn sequences_have_every_call() {
        let calls = describe::all();
        let mut seen = vec![0_u32; calls.len()];
        for seed in 0..60 {
            for step in Generator::new(&calls, seed, seed % 2 == 0).sequence(300) {
                let all: Vec<&Operation> = match &step {
                    Step::Call(one) => vec![one],
                    Step::Family(one, child) => [one].into_iter().chain(child).collect(),
                    Step::Race(threads, _) => threads.iter().flatten().collect(),
                    Step::Sent { .. } | Step::Nothing => Vec::new(),
                };
                for at in all.into_iter().filter_map(|operation| operation.call) {
                    seen[at] += 1;
                }
            }
        }
        let never: Vec<&str> = calls
            .iter()
            .filter(|call| seen[call.index] == 0)
            .map(|call| call.call.name)
            .collect();
        assert_eq!(never, Vec::<&str>::new());
    }
}
