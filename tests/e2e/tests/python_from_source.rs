//! Python that is compiled from source: what each start from its snapshot renews, item by item, against a cold
//! start of the same; that everything can be found again that was laid out by the snapshot's hash secret; and attacks,
//! as other programs are attacked (escapes: `escape.rs`).
//!
//! Needs root and `out/vkernel-python-3.13`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{collections::BTreeSet, fs, process::Command};

use polybuild_e2e::{
    Said,
    root::{PYTHON, Root},
    run, run_with, trace,
};

/// What a start says; it must end well.
#[track_caller]
fn says(command: &mut Command) -> String {
    let said = run(command);
    assert_eq!(said.status, 0, "{said:?}");
    said.stdout
}

/// Whether a start read the library's first modules, which one from the snapshot does not.
fn is_cold(command: &Command) -> bool {
    let traced = trace::trace_calls(command, "openat,openat2", b"");
    assert_eq!(traced.said.status, 0, "{:?}", traced.said);
    traced
        .lines
        .iter()
        .any(|line| line.contains("encodings/__pycache__"))
}

#[test]
fn a_start_is_one_from_the_snapshot() {
    let root = Root::python_from_source();
    let plain = ["-c", "import json, re, os"];
    assert!(!is_cold(&root.python3(&plain)));
    // The control: a secret that is given is one that the snapshot does not have.
    assert!(is_cold(root.python3(&plain).env("PYTHONHASHSEED", "0")));
}

/// What depends on how a process was started.
const STATE: &str = "
import io, locale, os, signal, site, sys, time, warnings
print(sys.argv, sys.orig_argv, sys.flags, __debug__)
print(sorted(k + '=' + v for k, v in os.environ.items() if k != 'PYTHONHASHSEED'))
print(os.getcwd(), sys.path, sys.prefix, sys.exec_prefix, sys.executable, sys._base_executable)
print(time.tzname, time.timezone, time.localtime(1234567890)[:6], abs(time.time() - os.stat('/w/now').st_mtime) < 600)
print(locale.setlocale(locale.LC_CTYPE), sys.getfilesystemencoding(), sys.getfilesystemencodeerrors(), io.text_encoding(None))
print([(s.encoding, s.errors, s.line_buffering, s.write_through, s.isatty()) for s in (sys.stdin, sys.stdout, sys.stderr)])
print(warnings.filters, sys.warnoptions, sys._xoptions)
print(site.ENABLE_USER_SITE, site.USER_SITE, site.PREFIXES, sys.dont_write_bytecode, sys.pycache_prefix)
print(os.umask(0o22), [signal.getsignal(n) for n in (1, 2, 13, 15, 25)], signal.pthread_sigmask(0, []))
print(os.getpid() == int(os.readlink('/proc/self')) if os.path.exists('/proc/self') else None)
print(sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.getswitchinterval(), sys.getdefaultencoding())
print(sorted(n for n in sys.modules if n in ('faulthandler', 'tracemalloc', 'site', 'sitecustomize', '_vkernel')))
print(sys.implementation, sys.hash_info, sys.tracebacklimit if hasattr(sys, 'tracebacklimit') else None)
main = vars(sys.modules['__main__'])
print([main.get(n) for n in ('__name__', '__file__', '__doc__', '__package__')], getattr(main['__spec__'], 'name', None))
";

/// Options, environment, and what is run.
type How = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn what_a_start_decides_is_as_in_a_cold_start() {
    let root = Root::python_from_source();
    root.write("/w/state.py", STATE);
    root.write("/w/now", "");
    root.write("/w/zone/__main__.py", STATE);
    root.write("/w/lib/sitecustomize.py", "import sys; sys.custom = 1\n");
    let script: &'static [&'static str] = &["/w/state.py", "a", "b c"];
    let starts: &[How] = &[
        (&[], &[], script),
        (&["-c"], &[], &[STATE, "x"]),
        (&[], &[], &["/w/zone"]),
        (&["-m"], &[], &["state", "y"]),
        (&["-O"], &[], script),
        (&["-OO"], &[], script),
        (&["-I"], &[("PYTHONPATH", "/w/lib")], script),
        (&["-E"], &[("PYTHONPATH", "/w/lib")], script),
        (&["-S"], &[], script),
        (&["-s"], &[], script),
        (&["-P"], &[], script),
        (&["-u"], &[], script),
        (&["-b"], &[], script),
        (&["-B"], &[], script),
        (&["-q", "-d"], &[], script),
        (
            &["-W", "error", "-W", "ignore::DeprecationWarning"],
            &[],
            script,
        ),
        (&["-X", "utf8=0"], &[], script),
        (&["-X", "dev"], &[], script),
        (&["-X", "faulthandler", "-X", "mine=1"], &[], script),
        (&["-X", "int_max_str_digits=700"], &[], script),
        (&["-X", "pycache_prefix=/w/pyc"], &[], script),
        (&["-X", "warn_default_encoding"], &[], script),
        (&[], &[("TZ", "Europe/Berlin")], script),
        (&[], &[("TZ", "EST5EDT")], script),
        (&[], &[("LANG", "C")], script),
        (
            &[],
            &[("LC_ALL", "POSIX"), ("PYTHONCOERCECLOCALE", "0")],
            script,
        ),
        (&[], &[("PYTHONIOENCODING", "latin-1:replace")], script),
        (&[], &[("PYTHONUTF8", "1")], script),
        (&[], &[("PYTHONPATH", "/w/lib")], script),
        (&[], &[("PYTHONOPTIMIZE", "1")], script),
        (&[], &[("PYTHONWARNINGS", "error")], script),
        (&[], &[("PYTHONUNBUFFERED", "1")], script),
        (&[], &[("PYTHONDONTWRITEBYTECODE", "1")], script),
        (
            &[],
            &[("PYTHONNOUSERSITE", "1"), ("HOME", "/w/home")],
            script,
        ),
        (&[], &[("PYTHONUSERBASE", "/w/base")], script),
        (&[], &[("PYTHONSAFEPATH", "1")], script),
        (&[], &[("PYTHONINTMAXSTRDIGITS", "0")], script),
    ];
    let mut wrong = Vec::new();
    for (options, env, rest) in starts {
        let arguments: Vec<&str> = options.iter().chain(*rest).copied().collect();
        let start = |cold: bool| -> Said {
            let mut command = root.program_in("/w", PYTHON, &arguments);
            command.envs(env.iter().copied());
            if cold {
                command.env("PYTHONHASHSEED", "0");
            }
            run(&mut command)
        };
        let (warm, cold) = (start(false), start(true));
        assert_eq!(cold.status, 0, "{options:?} {env:?}: {cold:?}");
        // A secret that is given is seen in one flag.
        let normal = |said: &Said| {
            said.stdout
                .replace("hash_randomization=0", "hash_randomization=1")
        };
        for (ours, theirs) in normal(&warm).lines().zip(normal(&cold).lines()) {
            if ours != theirs {
                wrong.push(format!("{options:?} {env:?}\n  {ours}\n  {theirs}"));
            }
        }
        if (warm.status, &warm.stderr) != (cold.status, &cold.stderr) {
            wrong.push(format!("{options:?} {env:?}: {warm:?}\n  {cold:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_random_differs_in_every_start() {
    let root = Root::python_from_source();
    let code = "
import datetime, os, random, secrets, ssl, tempfile, uuid
print(hash('a'))
print(hash(b'a'))
print(hash(('a', 1)), hash(frozenset('ab')))
print(hash(datetime.date(2026, 1, 1)))
print(random.random(), random.getrandbits(64))
print(random.getstate()[1][:3])
print(secrets.token_hex(16))
print(uuid.uuid4())
print(os.urandom(16).hex())
print(ssl.RAND_bytes(16).hex())
print(tempfile.mktemp())
print(list({str(n) for n in range(50)}))
";
    let starts: Vec<Vec<String>> = (0..4)
        .map(|_| {
            says(&mut root.python3(&["-c", code]))
                .lines()
                .map(str::to_owned)
                .collect()
        })
        .collect();
    for line in 0..12 {
        let seen: BTreeSet<&String> = starts.iter().map(|said| &said[line]).collect();
        assert_eq!(seen.len(), starts.len(), "line {line}: {seen:?}");
    }
}

#[test]
fn what_the_snapshot_holds_is_found_by_the_new_secret() {
    let root = Root::python_from_source();
    let code = "
import collections, enum, gc, json, re, sys, types
for module in list(sys.modules.values()):
    vars(module)
things = gc.get_objects()
for kind in list(object.__subclasses__()):
    things.append(dict(vars(kind)))
keys = members = strings = 0
for thing in things:
    if type(thing) is dict or isinstance(thing, collections.OrderedDict):
        for key in list(thing):
            keys += 1
            assert key in thing, key
            if type(key) is str:
                other = ''.join(list(key))
                assert other in thing and thing.get(other) is thing[key], key
                strings += 1
                if sys._is_interned(key) and len(key) > 1:
                    assert sys.intern(other) is key, key
    elif type(thing) in (set, frozenset):
        for member in list(thing):
            members += 1
            assert member in thing, member
assert keys > 5000 and members > 300 and strings > 5000, (keys, members, strings)
# Tables of the snapshot that are changed, copied, merged and emptied before anybody looks into them.
names = dict(vars(re)); names.update(vars(json)); assert names['loads'] is json.loads
vars(json)['new'] = 1; assert json.new == 1; del json.new; assert not hasattr(json, 'new')
copy = vars(enum).copy(); copy['x'] = 1; assert copy.pop('Enum') is enum.Enum and 'Enum' not in copy
while copy: copy.popitem()
assert vars(types).keys() >= {'ModuleType'} and vars(types) == dict(vars(types).items())
class Point(enum.Enum):
    X = 1
assert Point['X'] is Point.X and Point(1) is Point.X
ordered = collections.OrderedDict(vars(collections)); ordered.move_to_end('deque'); assert ordered.popitem()[0] == 'deque'
assert re.compile('a(?P<name>b)').match('ab')['name'] == 'b'
print('good')
";
    for _ in 0..3 {
        assert_eq!(says(&mut root.python3(&["-c", code])), "good\n");
    }
}

/// The first thing that is done with a set of the snapshot, each with another one. What is in it is known from the
/// collector, which looks into no table; equal strings are not the same.
const FIRST_LOOKS: &str = "
import gc, pickle, sys
turn = int(sys.argv[1])
def equal(key):
    return ''.join(list(key)) if type(key) is str else tuple(map(equal, key)) if type(key) is tuple else key
def discarded(s, others):
    s.discard(others[0]); gone = others[0] not in s; s.add(others[0]); return gone and len(s) == len(others)
def popped(s, others):
    one = s.pop(); gone = one not in s; s.add(one); return gone and s == set(others)
def added(s, others):
    s.add(others[-1]); return len(s) == len(others)
def updated(s, others):
    s.symmetric_difference_update(set(others)); empty = not s; s.update(others); return empty and s == set(others)
looks = [
    lambda s, others: all(other in s for other in others) and 'not there' not in s,
    lambda s, others: s == set(others) and not s != frozenset(others),
    lambda s, others: set(others) == s and set(others) <= s <= set(others),
    lambda s, others: s & set(others) == set(others) and not s - set(others),
    lambda s, others: not set(others) - s and not set(others) ^ s,
    lambda s, others: not s.isdisjoint(others) and s.issuperset(others),
    lambda s, others: not set(others).isdisjoint(s) and len(s | set(others)) == len(others),
    lambda s, others: hash(frozenset(s)) == hash(frozenset(others)),
    lambda s, others: type(s) is set or hash(s) == hash(frozenset(others)),
    lambda s, others: s.copy() == set(others) and len(set(others).union(s)) == len(others),
    lambda s, others: pickle.loads(pickle.dumps(s)) == set(others),
    lambda s, others: {s: 1}[frozenset(others)] if type(s) is frozenset else sorted(map(repr, s)) == sorted(map(repr, others)),
    lambda s, others: dict.fromkeys(s).keys() == set(others) and len(s) == len(others),
    lambda s, others: all(one in s for one in s),
    lambda s, others: type(s) is frozenset or discarded(s, others),
    lambda s, others: type(s) is frozenset or popped(s, others),
    lambda s, others: type(s) is frozenset or added(s, others),
    lambda s, others: type(s) is frozenset or updated(s, others),
]
import ast, collections, contextlib, copy, dataclasses, enum, functools, inspect, io, json, os, re, string, tokenize, types, typing
sets, seen = {}, set()
stack = [vars(module) for module in list(sys.modules.values())] + gc.get_objects()
while stack:
    thing = stack.pop()
    if id(thing) in seen:
        continue
    seen.add(id(thing))
    if type(thing) in (set, frozenset):
        sets[id(thing)] = thing
    elif type(thing) in (dict, tuple, list, type, types.FunctionType, types.CodeType, types.MappingProxyType, staticmethod,
                         classmethod, property, enum.EnumType, types.BuiltinMethodType, types.MethodWrapperType):
        stack.extend(gc.get_referents(thing))
        if type(thing) is types.CodeType:
            stack.extend(thing.co_consts)
looked = 0
for s in sets.values():
    members = gc.get_referents(s)
    if members and all(type(m) in (str, tuple, int, bytes) for m in members):
        if any(type(m) is str for m in members):
            looked += 1
            assert looks[(looked + turn) % len(looks)](s, list(map(equal, members))), (looked, s)
print(looked > 30, looked)
";

#[test]
fn a_set_of_the_snapshot_is_laid_out_before_anything_is_done_with_it() {
    let root = Root::python_from_source();
    root.write("/w/looks.py", FIRST_LOOKS);
    for turn in 0..18 {
        let said = says(&mut root.python3(&["/w/looks.py", &turn.to_string()]));
        assert!(said.starts_with("True "), "turn {turn}: {said}");
    }
}

/// OpenSSL's SHA-256 is the processor's, by the vkernel; `_sha2` is compiled for WebAssembly.
#[test]
fn sha256_by_the_vkernel_is_that_of_the_guest() {
    let root = Root::python_from_source();
    let code = "
import _hashlib, _sha2, ctypes, hashlib, os, threading
data = os.urandom(300_000)
for size in [0, 1, 55, 56, 63, 64, 65, 127, 128, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 299_999]:
    for start in (0, 1, 7):
        part = data[start:start + size]
        for ours, other in ((_hashlib.openssl_sha256, _sha2.sha256), (_hashlib.openssl_sha224, _sha2.sha224)):
            assert ours(part).digest() == other(part).digest(), (start, size)
whole, pieces = _hashlib.openssl_sha256(data), _hashlib.openssl_sha256()
for at in range(0, len(data), 1000):
    pieces.update(data[at:at + 1000])
assert whole.digest() == pieces.digest() == _sha2.sha256(data).digest()
# What another thread changes meanwhile changes the result, and nothing else.
shared = bytearray(2_000_000)
def change():
    for at in range(0, len(shared), 3):
        shared[at] = 255
thread = threading.Thread(target=change); thread.start()
while thread.is_alive():
    _hashlib.openssl_sha256(shared)
assert _hashlib.openssl_sha256(shared).digest() == _sha2.sha256(shared).digest()
print('good')
";
    assert_eq!(says(&mut root.python3(&["-c", code])), "good\n");
    // Addresses where nothing is: as any other access to them.
    for arguments in [
        "0, 4096, 1",
        "4096, 0, 1",
        "state, 0xfffffff0, 1024",
        "0xffffffe8, state, 1",
    ] {
        let code = format!(
            "import ctypes; state = ctypes.addressof(ctypes.create_string_buffer(64)); \
             blocks = ctypes.CDLL(None).vkernel_sha256_blocks; blocks.restype = None; \
             blocks(*map(ctypes.c_uint32, ({arguments})))"
        );
        let said = run(&mut root.python3(&["-c", &code]));
        assert_eq!(said.status, 128 + 11, "{arguments}: {said:?}");
    }
}

#[test]
fn signals_ignored_by_the_parent_stay_ignored() {
    let root = Root::python_from_source();
    let code = "import signal; print([signal.getsignal(n) for n in (2, 15)], signal.getsignal(1))";
    for seed in ["random", "0"] {
        let mut inner = root.python3(&["-c", code]);
        inner.env("PYTHONHASHSEED", seed);
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' INT TERM; exec \"$@\"", "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        command.env_clear().envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let ignored = "<Handlers.SIG_IGN: 1>";
        assert_eq!(says(&mut command), format!("[{ignored}, {ignored}] 0\n"),);
    }
}

const BUSY: &str = "
import ctypes, json, mmap, multiprocessing, os, re, ssl, subprocess, sys, threading, zlib
less = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 3)(3, 1, 2)
ctypes.CDLL(None).qsort(numbers, 3, 4, less(lambda a, b: a[0] - b[0]))
refused = 0
for protection in (mmap.PROT_EXEC, mmap.PROT_READ | mmap.PROT_EXEC, 7):
    try:
        mmap.mmap(-1, 65536, prot=protection)
    except OSError:
        refused += 1
found = []
threads = [threading.Thread(target=found.append, args=(n,)) for n in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
child = subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True, text=True)
pid = os.fork()
if pid == 0:
    os._exit(3)
print(list(numbers), refused, sorted(found), child.stdout.strip(), os.waitpid(pid, 0)[1] >> 8)
print(json.dumps(re.findall('a', 'aba')), zlib.crc32(b'x'), len(ssl.create_default_context().get_ciphers()) > 5)
";

#[test]
fn nothing_becomes_executable() {
    let root = Root::python_from_source();
    let mut cold = root.python3(&["-c", BUSY]);
    cold.env("PYTHONHASHSEED", "0");
    for command in [root.python3(&["-c", BUSY]), cold] {
        let traced = trace::trace(&command, b"");
        assert_eq!(
            (traced.said.status, traced.said.stdout.as_str()),
            (
                0,
                "[1, 2, 3] 3 [0, 1, 2, 3] 1 3\n[\"a\", \"a\"] 2363233923 True\n"
            ),
            "{:?}",
            traced.said
        );
        assert!(!traced.after_start().is_empty(), "the trace is empty");
        let found = traced.violations();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Functions of libc by their names, called with what a program would never say. None ends other processes.
const RANDOM_CALLS: &str = "
import ctypes, os, random, sys
names = '''mmap munmap mprotect mremap madvise msync mincore read write pread pwrite readv writev lseek ftruncate open
openat fstat fcntl ioctl dup dup2 dup3 close pipe pipe2 socketpair socket bind listen accept connect sendto recvfrom
poll select epoll_create1 epoll_ctl epoll_wait eventfd timerfd_create getdents64 sigaltstack sigaction sigprocmask
memcpy memset memmove strlen strcpy qsort malloc free realloc calloc setlocale strtol snprintf getenv setenv
pthread_create pthread_join pthread_mutex_lock sem_post sem_wait clock_gettime nanosleep dlopen dlsym dlclose'''.split()
lib = ctypes.CDLL(None)
seed = int(sys.argv[1])
made = random.Random(seed)
functions = [getattr(lib, name) for name in names if hasattr(lib, name)]
buffers = [ctypes.create_string_buffer(os.urandom(4096), 4096) for _ in range(4)]
def value():
    kind = made.randrange(6)
    if kind == 0:
        return made.choice([0, 1, 2, 3, 7, -1, 4096, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000])
    if kind == 1:
        return ctypes.addressof(made.choice(buffers)) + made.randrange(-8, 4096)
    if kind == 2:
        return id(made.choice(functions))
    return made.getrandbits(made.choice([4, 8, 16, 32]))
for _ in range(300):
    function = made.choice(functions)
    try:
        function(*[ctypes.c_uint32(value()) for _ in range(made.randrange(7))])
    except (TypeError, ValueError, OSError, ctypes.ArgumentError, MemoryError):
        pass
";

#[test]
fn random_calls_end_the_guest_alone() {
    let root = Root::python_from_source();
    root.write("/w/random_calls.py", RANDOM_CALLS);
    let outside: BTreeSet<_> = names(root.outside());
    for seed in 0..40 {
        let mut command = Command::new("timeout");
        let inner = root.python3(&["/w/random_calls.py", &seed.to_string()]);
        command
            .args([
                "--kill-after=1",
                "6",
                "unshare",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .arg(inner.get_program())
            .args(inner.get_args());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("LANG", "C.UTF-8");
        let said = run_with(&mut command, b"");
        // A panic of the vkernel ends with 101 or SIGABRT and says so; its filter kills with SIGSYS.
        assert!(
            !said.stderr.contains("panicked") && ![101, 128 + 31].contains(&said.status),
            "seed {seed}: {said:?}"
        );
    }
    assert_eq!(names(root.outside()), outside);
}

fn names(folder: &std::path::Path) -> BTreeSet<std::ffi::OsString> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect()
}
