//! A sandbox with the interpreter (`guests/linux/interpreter.c`) in it, which makes the calls of a
//! sequence one by one and waits in between, so that it can be looked at from outside.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    os::unix::{fs::FileExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    describe::Described,
    generate::{Block, FIRST_NUMBER, Operation, PLAY, Step, Value, WINDOW},
    oracles::{self, HostState, Layout, Mapping},
};
use crate::trace::family;

/// Longest wait for the answer to one call: some wait for what never comes.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The same for what threads do together.
const LONG_PATIENCE: Duration = Duration::from_secs(8);
/// So many steps lie between two looks at what takes longer to look at.
const SELDOM: usize = 24;

/// Where structures are put in the guest's room; what lies behind is for results.
const BLOCKS: u32 = 24576;

/// Where actions of signals are laid out: behind everything that results are written to.
const ACTIONS: u32 = 63488;

/// Makes the root look like a container's and runs the guest in it, not as its first process.
const ENTER: &str = r#"
set -e
root=$1
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 scratch "$root/w"
mount -t tmpfs -o mode=755 dev "$root/dev"
cd "$root/dev"
mknod -m 666 null c 1 3; mknod -m 666 zero c 1 5; mknod -m 666 full c 1 7
mknod -m 666 urandom c 1 9; mknod -m 666 tty c 5 0
mkdir pts shm
mount -t devpts -o newinstance,ptmxmode=666 devpts pts
ln -s pts/ptmx ptmx
cd "$root/w"
mkdir d; : > f; : > d/f; ln -s f l; ln -s loop loop; mkfifo fifo
ln -s /ro to-ro; ln -s /hd to-hd; ln -s ../../../../../../../etc to-outside
cd /
ip link set lo up
ip route add default dev lo
ulimit -c 0
set +e
unshare --root="$root" --wd=/w /bin/guest
exit $?
"#;

/// How a sandbox is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In a root that is the process's already, as in a container.
    Contained,
    /// In a root that the launcher enters itself.
    Entered,
}

/// Something that must not happen.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What: the same for all findings of a kind.
    pub kind: &'static str,
    /// What exactly.
    pub what: String,
    /// The step that it was seen after.
    pub step: usize,
}

/// How a sequence ended without a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All of its calls were made.
    Done,
    /// The guest ended, as guests may.
    Guest,
    /// A call waited too long.
    Waited,
}

/// What a root is made from, and what is in it.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The root; nobody else uses it.
    pub root: PathBuf,
    /// What is around it and must stay as it is.
    pub outside: PathBuf,
    /// The interface.
    pub calls: &'a [Described],
    /// How it is entered.
    pub form: Form,
    /// Contents of the hidden file.
    pub secret: Vec<u8>,
    /// Kinds of findings that are passed over.
    pub known: Vec<String>,
}

/// A running guest.
struct Session<'a> {
    setting: &'a Setting<'a>,
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    audit: PathBuf,
    pid: u32,
    room: u32,
    seen: u32,
    handlers: [u32; 2],
    me: i64,
    layout: Layout,
    /// Structures with addresses that a guest should not know, in the step that is made.
    told: Vec<(u32, usize)>,
    /// All such addresses so far.
    told_so_far: Vec<u64>,
    /// Results of the steps so far, and the two descriptors that some gave.
    results: Vec<(i64, [i64; 2])>,
    before: Before,
    ended: Option<Ended>,
}

/// What must stay as it was.
struct Before {
    executable: String,
    code: Option<u64>,
    descriptors: BTreeMap<i32, String>,
    trees: Vec<(PathBuf, String)>,
}

/// Runs a sequence in a sandbox of its own.
pub fn run(setting: &Setting<'_>, steps: &[Step]) -> Result<Ended, Finding> {
    let host = HostState::now();
    let mut session = Session::start(setting)?;
    let mut outcome = session.go_through(steps);
    if outcome.is_ok() {
        outcome = session.end(steps.len());
    } else {
        session.kill();
    }
    if let Some(what) = host.changed()
        && outcome.is_ok()
    {
        return finding(setting, "host-wide state", what, steps.len()).map(|()| Ended::Done);
    }
    outcome
}

fn finding(
    setting: &Setting<'_>,
    kind: &'static str,
    what: String,
    step: usize,
) -> Result<(), Finding> {
    match setting.known.iter().any(|known| known == kind) {
        true => Ok(()),
        false => Err(Finding { kind, what, step }),
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.audit);
    }
}

impl<'a> Session<'a> {
    fn start(setting: &'a Setting<'a>) -> Result<Session<'a>, Finding> {
        let audit = setting.outside.with_extension("audit");
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--ipc",
            "--net",
            "--mount",
            "--fork",
            "--kill-child",
            "--",
        ]);
        match setting.form {
            Form::Contained => command.args(["sh", "-c", ENTER, "sh"]).arg(&setting.root),
            Form::Entered => {
                furnish(&setting.root);
                command
                    .args(["sh", "-c", "ip link set lo up; ip route add default dev lo; ulimit -c 0; \"$@\"; exit $?", "sh"])
                    .arg(setting.root.join(".vkernel/megabinary"))
                    .arg("--root")
                    .arg(&setting.root)
                    .args(["--cwd", "/w", "--program", "/bin/guest"])
            }
        };
        let mut child = command
            // In a container the launcher sees nothing outside of the root.
            .env(
                "VKERNEL_AUDIT",
                match setting.form {
                    Form::Contained => "stderr".as_ref(),
                    Form::Entered => audit.as_os_str(),
                },
            )
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(setting.outside.with_extension("stderr")).unwrap())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut session = Session {
            setting,
            child,
            to,
            from,
            audit,
            pid: 0,
            room: 0,
            seen: 0,
            handlers: [0; 2],
            me: 0,
            layout: Layout {
                base: 0,
                safepoint: 0,
                code: 0,
                launcher: 0,
            },
            told: Vec::new(),
            told_so_far: Vec::new(),
            results: Vec::new(),
            before: Before {
                executable: String::new(),
                code: None,
                descriptors: BTreeMap::new(),
                trees: Vec::new(),
            },
            ended: None,
        };
        match session.hello() {
            Some(()) => Ok(session),
            None => {
                let what = format!("the guest does not start: {}", session.said());
                Err(Finding {
                    kind: "start",
                    what,
                    step: 0,
                })
            }
        }
    }

    /// Takes the guest's greeting, finds its process and looks at it.
    fn hello(&mut self) -> Option<()> {
        let hello = self.answer::<25>(LONG_PATIENCE)?;
        let word = |at: usize| u32::from_le_bytes(hello[at..at + 4].try_into().unwrap());
        self.room = word(1);
        self.seen = word(9);
        self.handlers = [word(17), word(13)];
        self.me = word(21).into();
        self.pid = family(self.child.id()).into_iter().find(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            program.ends_with(".vkernel/megabinary")
        })?;
        let nonce = b"the memory of the guest";
        self.put(self.room, nonce)?;
        // Its answer says that it has read the nonce.
        self.call("getpid", &[])?;
        self.layout = Layout::find(self.pid, self.room, nonce)?;
        let maps = oracles::mappings(self.pid)?;
        self.before = Before {
            executable: oracles::executable(&maps),
            code: oracles::code(self.pid, &maps, &self.layout),
            descriptors: oracles::own_descriptors(self.pid),
            trees: Vec::new(),
        };
        let root = &self.setting.root;
        for tree in [
            self.setting.outside.clone(),
            root.join("ro"),
            root.join("hd"),
        ] {
            let text = oracles::tree(&tree);
            self.before.trees.push((tree, text));
        }
        // Handlers for what a sequence sends, and something that ends what waits.
        for signal in (1..=64).filter(|signal| ![9, 19, 20, 21, 22].contains(signal)) {
            self.handle(signal)?;
        }
        self.clock()
    }

    /// Installs the handler that takes note of everything.
    fn handle(&mut self, signal: i32) -> Option<()> {
        let mut action = [0; 24];
        action[..4].copy_from_slice(&self.handlers[1].to_le_bytes());
        action[4] = 4;
        self.put(self.room, &action)?;
        let room = self.room.into();
        self.call("rt_sigaction", &[signal.into(), room, 0, 8])
            .map(drop)
    }

    /// Has what waits interrupted every 20 ms.
    fn clock(&mut self) -> Option<()> {
        let often: Vec<u8> = [0_i64, 20_000, 0, 20_000]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        self.put(self.room, &often)?;
        let room = self.room.into();
        self.call("setitimer", &[0, room, 0]).map(drop)
    }

    fn put(&mut self, address: u32, bytes: &[u8]) -> Option<()> {
        let body = [&address.to_le_bytes(), bytes].concat();
        self.say(b'P', &body)
    }

    fn say(&mut self, letter: u8, body: &[u8]) -> Option<()> {
        let head = [&[letter, 0, 0, 0][..], &(body.len() as u32).to_le_bytes()].concat();
        self.to.write_all(&[&head, body].concat()).ok()
    }

    fn answer<const N: usize>(&mut self, patience: Duration) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes, patience).then_some(bytes)
    }

    fn read(&mut self, bytes: &mut [u8], patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut at = 0;
        while at < bytes.len() {
            let left = end.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&Timespec::try_from(left).unwrap()));
            if !ready.is_ok_and(|n| n > 0) {
                self.ended = Some(Ended::Waited);
                return false;
            }
            match self.from.read(&mut bytes[at..]) {
                Ok(0) | Err(_) => {
                    self.ended = Some(Ended::Guest);
                    return false;
                }
                Ok(got) => at += got,
            }
        }
        true
    }

    fn index(&self, name: &str) -> i32 {
        let at = self.setting.calls.iter().position(|d| d.call.name == name);
        at.unwrap() as i32
    }

    /// A call of this session's own.
    fn call(&mut self, name: &str, args: &[i64]) -> Option<i64> {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        self.make(self.index(name), &all)
    }

    fn make(&mut self, index: i32, args: &[i64; 6]) -> Option<i64> {
        self.say(b'C', &encoded(index, args))?;
        self.result()
    }

    fn result(&mut self) -> Option<i64> {
        let answer = self.answer::<9>(PATIENCE)?;
        match answer[0] {
            b'c' => Some(i64::from_le_bytes(answer[1..].try_into().unwrap())),
            _ => {
                // A call has written over the standard streams: nothing more can be learnt.
                self.ended = Some(Ended::Guest);
                None
            }
        }
    }

    /// Puts an operation's structures into the guest's memory; its index and arguments. `at` is
    /// where the room for structures is free.
    fn lay_out(&mut self, operation: &Operation, at: &mut u32) -> Option<(i32, [i64; 6])> {
        let mut places = Vec::new();
        // No result of another call makes a handler the default action, by which the guest would end.
        let acts = operation
            .call
            .is_some_and(|index| self.setting.calls[index].call.name == "rt_sigaction");
        for block in &operation.blocks {
            let place = match acts {
                true => ACTIONS + *at / 8 % 64 * 32,
                false => *at,
            };
            // A later structure may point to an earlier one, never the other way round.
            let bytes = self.filled(block, &places);
            self.put(self.room + place, &bytes)?;
            self.tells(block, self.room + place);
            places.push(self.room + place);
            *at = (*at + bytes.len() as u32).next_multiple_of(8);
            if *at > BLOCKS {
                *at = 0;
            }
        }
        let mut args = [0; 6];
        for (to, value) in args.iter_mut().zip(&operation.args) {
            *to = self.value(value, &places);
        }
        let index = match operation.call {
            Some(index) => {
                self.tame(index, &mut args);
                index as i32
            }
            None => -1,
        };
        Some((index, args))
    }

    /// Takes note of addresses that a structure tells.
    fn tells(&mut self, block: &Block, at: u32) {
        for (_, _, value) in &block.fields {
            if let Value::Host(place) = value {
                self.told.push((at, block.bytes.len()));
                self.told_so_far.push(self.layout.place(*place));
            }
        }
    }

    fn filled(&self, block: &Block, places: &[u32]) -> Vec<u8> {
        let mut bytes = block.bytes.clone();
        for (at, width, value) in &block.fields {
            let value = self.value(value, places).to_le_bytes();
            bytes[*at..at + width].copy_from_slice(&value[..*width]);
        }
        bytes
    }

    fn value(&self, value: &Value, places: &[u32]) -> i64 {
        match value {
            Value::Number(number) => *number,
            Value::Result(step) => self.results.get(*step).map_or(-1, |(result, _)| *result),
            Value::Half(step, half) => self.results.get(*step).map_or(-1, |(_, pair)| pair[*half]),
            Value::Block(at) => places.get(*at).map_or(0, |place| (*place).into()),
            Value::Room(offset) => (self.room + offset).into(),
            Value::Me => self.me,
            Value::Handler(with_info) => self.handlers[usize::from(*with_info)].into(),
            Value::Host(place) => self.layout.place(*place) as i64,
        }
    }

    /// Keeps a call from taking away what the interpreter itself needs: the standard streams, its
    /// memory, its life. All of this is the guest's to take, and says nothing of the vkernel.
    fn tame(&self, index: usize, args: &mut [i64; 6]) {
        let described = &self.setting.calls[index];
        for (arg, word) in args.iter_mut().zip(&described.words) {
            let is_descriptor = word.starts_with("fd") && word != "fdset";
            if is_descriptor && (0..2).contains(&(*arg as i32)) {
                *arg = -1;
            }
            if word == "number" && (*arg as i32) < FIRST_NUMBER as i32 {
                *arg = FIRST_NUMBER;
            }
            let is_address = word == "page" && ((*arg as u32) < PLAY || *arg > u32::MAX.into());
            let in_room = word == "out" || word == "in";
            if is_address || in_room && self.is_own(*arg) {
                *arg = (WINDOW + (*arg as u32 & 0xf000)).into();
            }
        }
        match described.call.name {
            "exit" | "exit_group" => args[0] = 0,
            "execve" | "execveat" => args[2] = 0,
            // To everybody, only what nobody minds.
            "kill" | "tkill" | "rt_sigqueueinfo" if args[0] != self.me => args[1] &= 0,
            "tgkill" | "rt_tgsigqueueinfo" if args[0] != self.me => args[2] &= 0,
            "setitimer" if args[0] == 0 => args[0] = 1,
            "rt_sigaction" if args[0] == 14 => args[0] = 10,
            // Without RLIMIT_SIGPENDING, signals arrive as they were sent.
            "setrlimit" if args[0] == 11 => args[0] = 12,
            "prlimit64" if args[1] == 11 => args[1] = 12,
            _ => {}
        }
    }

    /// Whether an address is the interpreter's own, outside of the room.
    fn is_own(&self, address: i64) -> bool {
        let room = i64::from(self.room)..i64::from(self.room) + 65536;
        address as u32 != 0 && !room.contains(&address) && (address as u32) < PLAY
    }

    /// Makes the calls of a sequence, and looks after each.
    fn go_through(&mut self, steps: &[Step]) -> Result<Ended, Finding> {
        let is_told = std::env::var_os("SEQUENCES_TRACE").is_some();
        for (number, step) in steps.iter().enumerate() {
            let begin = Instant::now();
            let done = self.step(step, number)?;
            if is_told {
                eprintln!("{number}: {done:?} in {:?}", begin.elapsed());
            }
            // What it was told is not to be taken for what it found.
            for (address, len) in std::mem::take(&mut self.told) {
                let _ = self.put(address, &vec![0; len]);
            }
            match done {
                Some(result) => self.results.push(result),
                None => return Ok(self.ended.unwrap_or(Ended::Guest)),
            }
            let is_race = matches!(step, Step::Race(..));
            self.look(number, is_race || number % SELDOM == SELDOM - 1)?;
        }
        Ok(Ended::Done)
    }

    /// `None`: the guest does not answer any more.
    fn step(&mut self, step: &Step, number: usize) -> Result<Option<(i64, [i64; 2])>, Finding> {
        let mut at = 0;
        let nothing = (0, [-1; 2]);
        Ok(match step {
            Step::Nothing => Some(nothing),
            Step::Call(operation) => self.one(operation, &mut at),
            Step::Family(operation, child) => {
                let result = self.forked(operation, child, &mut at);
                if let Some(pid) = result.filter(|pid| *pid > 0) {
                    self.look_at_children(number)?;
                    let _ = self.call("wait4", &[pid, 0, 0, 0]);
                }
                result.map(|result| (result, [-1; 2]))
            }
            Step::Sent { signal, info } => {
                self.sent(*signal, info, number)?;
                self.ended.is_none().then_some(nothing)
            }
            Step::Race(threads, rounds) => self.race(threads, *rounds).map(|()| nothing),
        })
    }

    fn one(&mut self, operation: &Operation, at: &mut u32) -> Option<(i64, [i64; 2])> {
        let (index, args) = self.lay_out(operation, at)?;
        let name = self.setting.calls[index as usize].call.name;
        if matches!(name, "exit" | "exit_group") {
            return Some((-1, [-1; 2]));
        }
        let result = self.make(index, &args)?;
        if matches!(name, "alarm" | "setitimer") {
            self.clock()?;
        }
        let mut pair = [-1; 2];
        if let (Some(block), 0) = (operation.pair, result) {
            let place = args.get(if block == 0 && name.starts_with("pipe") {
                0
            } else {
                3
            });
            let bytes = self.peek(*place? as u32, 8)?;
            for (half, bytes) in pair.iter_mut().zip(bytes.chunks_exact(4)) {
                *half = i32::from_le_bytes(bytes.try_into().ok()?).into();
            }
        }
        Some((result, pair))
    }

    /// The guest's memory, from outside.
    fn peek(&self, address: u32, len: usize) -> Option<Vec<u8>> {
        let memory = File::open(format!("/proc/{}/mem", self.pid)).ok()?;
        let mut bytes = vec![0; len];
        memory
            .read_exact_at(&mut bytes, self.layout.base + u64::from(address))
            .ok()?;
        Some(bytes)
    }

    fn forked(&mut self, operation: &Operation, child: &[Operation], at: &mut u32) -> Option<i64> {
        let mut all = Vec::new();
        for operation in [operation].into_iter().chain(child) {
            let (index, args) = self.lay_out(operation, at)?;
            all.extend(encoded(index, &args));
        }
        let count = 1 + child.len() as u32;
        self.say(b'F', &[&count.to_le_bytes()[..], &all].concat())?;
        self.result()
    }

    /// Looks at the memory of the guest's children, and ends them.
    fn look_at_children(&mut self, number: usize) -> Result<(), Finding> {
        let children: Vec<u32> = family(self.pid).into_iter().skip(1).collect();
        let mut found = Ok(());
        for pid in children {
            if let Some(maps) = oracles::mappings(pid)
                && let Some(what) = self.layout.hole(&maps)
                && found.is_ok()
            {
                found = finding(self.setting, "hole", format!("in a child: {what}"), number);
            }
            kill(pid);
        }
        found
    }

    /// A signal is delivered as it was sent.
    fn sent(&mut self, signal: i32, info: &Block, number: usize) -> Result<(), Finding> {
        let _ = self
            .try_to_send(signal, info)
            .map(|wrong| match wrong {
                Some(what) => finding(self.setting, "sent signal", what, number),
                None => Ok(()),
            })
            .transpose()?;
        Ok(())
    }

    /// What is wrong with how it arrived; `None` if the guest does not answer.
    fn try_to_send(&mut self, signal: i32, info: &Block) -> Option<Option<String>> {
        // Nothing is blocked, no stack of handlers that may be anywhere.
        self.put(self.room, &[0; 8])?;
        let room = i64::from(self.room);
        self.call("rt_sigprocmask", &[2, room, 0, 8])?;
        self.handle(signal)?;
        let at = self.seen + signal as u32 * 132;
        self.put(at, &[0; 132])?;
        let bytes = self.filled(info, &[]);
        self.put(self.room, &bytes)?;
        self.tells(info, self.room);
        let result = self.call(
            "rt_tgsigqueueinfo",
            &[self.me, self.me, signal.into(), room],
        )?;
        if result != 0 {
            return Some(None);
        }
        let seen = self.peek(at, 132)?;
        let count = u32::from_le_bytes(seen[..4].try_into().ok()?);
        // As x86-64 has it: the number is the signal's, the gap is nobody's.
        let same = |range: std::ops::Range<usize>| seen[4..][range.clone()] == bytes[range];
        let wrong = match count {
            0 => Some("it was not delivered".to_owned()),
            _ if !same(4..12) || !same(16..24) => Some(format!("arrived as {}", hex(&seen[4..52]))),
            _ => None,
        };
        Some(
            wrong.map(|wrong| format!("signal {signal}, sent with {}: {wrong}", hex(&bytes[..48]))),
        )
    }

    fn race(&mut self, threads: &[Vec<Operation>], rounds: u32) -> Option<()> {
        let mut body = rounds.to_le_bytes().to_vec();
        let (mut at, mut count) = (0, 0);
        for operations in threads {
            body.extend((operations.len() as u32).to_le_bytes());
            for operation in operations {
                let (index, args) = self.lay_out(operation, &mut at)?;
                body.extend(encoded(index, &args));
                count += 1;
            }
        }
        self.say(b'T', &body)?;
        let mut results = vec![0; 1 + count * 16];
        if !self.read(&mut results, LONG_PATIENCE) {
            return None;
        }
        (results[0] == b't').then_some(())
    }

    /// Looks at everything that must hold; `all` also at what takes longer.
    fn look(&mut self, number: usize, all: bool) -> Result<(), Finding> {
        let setting = self.setting;
        let found = |kind, what: Option<String>| match what {
            Some(what) => finding(setting, kind, what, number),
            None => Ok(()),
        };
        let Some(maps) = oracles::mappings(self.pid) else {
            return Ok(());
        };
        found("hole", self.layout.hole(&maps))?;
        let executable = oracles::executable(&maps);
        let more = (executable != self.before.executable)
            .then(|| format!("was\n{}is\n{executable}", self.before.executable));
        found("executable memory", more)?;
        // Another thread may be in a call that holds what it judges, under one of these numbers.
        let mut differ = None;
        for _ in 0..20 {
            let descriptors = oracles::own_descriptors(self.pid);
            differ = oracles::descriptors_differ(&self.before.descriptors, &descriptors);
            if differ.is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        found("own descriptors", differ)?;
        if let Some(room) = self.peek(self.room, 65536) {
            found("leak", oracles::leak(&room, &maps, &self.told_so_far))?;
            let secret = &setting.secret;
            let has = room.windows(secret.len()).any(|part| part == secret);
            found(
                "hidden file",
                has.then(|| "the guest has read it".to_owned()),
            )?;
        }
        for (path, before) in &self.before.trees {
            let now = oracles::tree(path);
            let kind = match path.file_name().and_then(|name| name.to_str()) {
                Some("ro") => "read-only files",
                Some("hd") => "hidden files",
                _ => "outside of the root",
            };
            found(
                kind,
                (now != *before).then(|| format!("was\n{before}is\n{now}")),
            )?;
        }
        if all {
            self.look_longer(&maps, number)?;
        }
        Ok(())
    }

    fn look_longer(&self, maps: &[Mapping], number: usize) -> Result<(), Finding> {
        let code = oracles::code(self.pid, maps, &self.layout);
        if code.is_some() && code != self.before.code {
            finding(
                self.setting,
                "code",
                "code or read-only data has changed".to_owned(),
                number,
            )?;
        }
        match oracles::stray_socket(self.pid) {
            Some(what) => finding(self.setting, "network", what, number),
            None => Ok(()),
        }
    }

    /// Ends the guest, and judges how it did.
    fn end(&mut self, number: usize) -> Result<Ended, Finding> {
        let ended = self.ended.unwrap_or(Ended::Done);
        if ended != Ended::Guest {
            self.look_longer(&oracles::mappings(self.pid).unwrap_or_default(), number)?;
            self.kill();
        }
        let status = self.child.wait().unwrap();
        let said = self.said();
        let audit = fs::read(&self.audit).unwrap_or_default();
        let trapped = [said.as_bytes(), &audit].iter().any(|text| {
            let text = String::from_utf8_lossy(text);
            // A handler that is no function ends it as natively, with an event of its own.
            let ended = |line: &str| line.contains("\"event\":\"exit\"") && line.contains(":139");
            text.contains("\"event\":\"trap\"")
                || text.contains("segmentation fault")
                || text.lines().any(ended)
        });
        let signal = status.code().unwrap_or(0) - 128;
        let what = match signal {
            _ if said.contains("panicked") => Some("the vkernel panicked".to_owned()),
            5 | 6 | 7 | 31 if ended == Ended::Guest => Some(format!("it ended by signal {signal}")),
            4 | 8 | 11 if ended == Ended::Guest && !trapped => {
                Some(format!("it ended by signal {signal}, and not by a trap"))
            }
            _ => None,
        };
        match what {
            Some(what) => {
                let step = self.results.len();
                finding(self.setting, "death", format!("{what}: {said}"), step).map(|()| ended)
            }
            None => Ok(ended),
        }
    }

    fn said(&self) -> String {
        let text = fs::read(self.setting.outside.with_extension("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn kill(&mut self) {
        // The name space ends with its first process, which ends with `unshare`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("x{}", digits.trim_end_matches("00"))
}

fn encoded(index: i32, args: &[i64; 6]) -> Vec<u8> {
    let mut bytes = [index.to_le_bytes(), [0; 4]].concat();
    bytes.extend(args.iter().flat_map(|arg| arg.to_le_bytes()));
    bytes
}

/// What [`ENTER`] makes in `/w`, where the launcher mounts the rest.
fn furnish(root: &Path) {
    use std::os::unix::fs::symlink;
    let w = root.join("w");
    let _ = fs::remove_dir_all(&w);
    fs::create_dir_all(w.join("d")).unwrap();
    fs::write(w.join("f"), "").unwrap();
    fs::write(w.join("d/f"), "").unwrap();
    for (goal, name) in [
        ("f", "l"),
        ("loop", "loop"),
        ("/ro", "to-ro"),
        ("/hd", "to-hd"),
        ("../../../../../../../etc", "to-outside"),
    ] {
        symlink(goal, w.join(name)).unwrap();
    }
}
