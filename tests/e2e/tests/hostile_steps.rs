//! Build steps that attack the machine they run on, confined both ways that polybuild knows.
//!
//! Each is a Python program, so that it can make any system call; what it tells is an output of the
//! step. What it tries would succeed for the user who builds: the last test runs them
//! unconfined to show that.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{MetadataExt, chown, lchown},
            net::{SocketAddr, UnixListener},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use polybuild_e2e::{
    Said, run,
    sandbox::{Sandbox, files},
};
use rustix::process::{Pid, Signal, kill_process};

/// The ways, as `--step-confinement` names them.
const WAYS: [&str; 2] = ["namespaces", "landlock"];

/// The system's Python: version managers put scripts in front of it, which see nothing here.
const PATH: &str = "/usr/bin:/bin";

/// What attacks begin with. Each ends in a line `held` or `BROKEN …`; an exception counts as
/// held only where the attack expects it.
const PRELUDE: &str = r#"
import ctypes, errno, os, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    result = libc.syscall(*args)
    return result, errno.errorcode.get(ctypes.get_errno(), '')
def refused(what, do):
    try:
        result = do()
    except OSError as error:
        return
    print('BROKEN', what, repr(result)[:200])
    sys.exit()
"#;

/// A user with a victim: a file of the user's, a process, listeners.
struct World {
    sandbox: Sandbox,
    victim: std::process::Child,
    tcp: TcpListener,
    named: UnixListener,
    abstract_name: String,
    /// Who builds, if not whoever runs the tests.
    user: Option<u32>,
    _abstract: UnixListener,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

impl World {
    fn new() -> World {
        World::of(None)
    }

    fn of(user: Option<u32>) -> World {
        let sandbox = Sandbox::with("hello");
        fs::write(sandbox.home().join("secret"), "the secret\n").unwrap();
        fs::create_dir_all(sandbox.cache()).unwrap();
        fs::write(sandbox.cache().join("precious"), "cached\n").unwrap();
        let mut victim = Command::new("sleep");
        if let Some(user) = user {
            victim.uid(user).gid(user);
            // The target folder may lie where only root gets to.
            let copy = sandbox.home().join("polybuild");
            fs::copy(polybuild_e2e::polybuild_path(), copy).unwrap();
        }
        let victim = victim.arg("1000").spawn().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        tcp.set_nonblocking(true).unwrap();
        let named = UnixListener::bind(sandbox.home().join("socket")).unwrap();
        named.set_nonblocking(true).unwrap();
        let abstract_name = format!("polybuild-test-{}", sandbox.home().display());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        World {
            sandbox,
            victim,
            tcp,
            named,
            abstract_name,
            user,
            _abstract: listener,
        }
    }

    /// Writes a recipe whose only step runs `attack`, with the places of the world filled in.
    fn write(&self, attack: &str) {
        let home = self.sandbox.home();
        let places = [
            ("HOME", home.display().to_string()),
            ("CACHE", self.sandbox.cache().display().to_string()),
            ("KEY", key(home).display().to_string()),
            ("PORT", self.tcp.local_addr().unwrap().port().to_string()),
            ("ABSTRACT", self.abstract_name.clone()),
            ("VICTIM", self.victim.id().to_string()),
            ("TEST", std::process::id().to_string()),
        ];
        let mut program = format!("{PRELUDE}\n{attack}\nprint('held')\n");
        for (name, value) in places {
            program = program.replace(&format!("@{name}@"), &value);
        }
        self.sandbox.write("attack.py", program);
        let recipe = String::from_utf8(self.sandbox.read("recipe.toml")).unwrap();
        let recipe = recipe.split("\n[[build]]").next().unwrap();
        self.sandbox.write(
            "recipe.toml",
            format!(
                "{recipe}\n[[build]]\nid = \"attack\"\n\
                 inputs = {{ \"attack.py\" = \"path:attack.py\" }}\n\
                 script = \"python3 attack.py >told 2>&1 || true\"\n\
                 tools = [\"python3\"]\noutputs = [\"told\"]\n\n\
                 [[file]]\npath = \"/told\"\nsource = \"build:attack/told\"\n"
            ),
        );
        self.sandbox.ok(&["lock", "recipe.toml"]);
    }

    fn build(&self, options: &[&str]) -> Command {
        let mut command = match self.user {
            None => self.sandbox.polybuild(&[]),
            Some(user) => {
                for path in files(self.sandbox.home()) {
                    lchown(path, Some(user), Some(user)).unwrap();
                }
                chown(self.sandbox.home(), Some(user), Some(user)).unwrap();
                let mut command = self.sandbox.command(self.sandbox.home().join("polybuild"));
                command.uid(user).gid(user);
                command
            }
        };
        command
            .args(["recipe.toml", "-o", "out", "--rebuild"])
            .args(options)
            .env("PATH", PATH);
        command
    }

    /// What the step told, which is in the image.
    fn told(&self) -> String {
        let root = self.sandbox.work().join("root");
        let _ = fs::remove_dir_all(&root);
        let export = ["export", "out", "--format", "rootfs", "-o", "root"];
        self.sandbox.ok(&export);
        fs::read_to_string(root.join("told")).unwrap()
    }

    fn attack(&self, options: &[&str], attack: &str) -> String {
        self.write(attack);
        let said = run(&mut self.build(options));
        assert_eq!(said.status, 0, "{attack}: {said:#?}");
        self.told()
    }

    /// Nothing outside of the step has changed, and nobody has called.
    fn unharmed(&mut self, what: &str) {
        let home = self.sandbox.home();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(home.join("secret")), "the secret\n", "{what}");
        assert_eq!(
            read(self.sandbox.cache().join("precious")),
            "cached\n",
            "{what}"
        );
        assert!(!home.join("planted").exists(), "{what}");
        assert!(!Path::new("/tmp/polybuild-planted").exists(), "{what}");
        assert!(self.victim.try_wait().unwrap().is_none(), "{what}: killed");
        assert!(self.tcp.accept().is_err(), "{what}: somebody connected");
        assert!(self.named.accept().is_err(), "{what}: somebody connected");
    }
}

fn key(home: &Path) -> PathBuf {
    home.join("config/polybuild/development.key")
}

/// Name and program. Both ways must hold each.
const ATTACKS: &[(&str, &str)] = &[
    (
        "reads the user's files",
        "for path in ['@HOME@/secret', '@KEY@', '@CACHE@/precious', '/etc/shadow', '/root', \
         '/proc/@VICTIM@/environ', '/proc/@TEST@/mem', '/sys/kernel', '/var/log', '/run']:\n    \
         refused(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1))",
    ),
    (
        "lists other folders",
        "for path in ['@HOME@', '@CACHE@', '/home', '/root', '/var', '/srv', '/mnt']:\n    \
         refused(path, lambda: os.listdir(path))",
    ),
    (
        "writes elsewhere",
        "for path in ['@HOME@/planted', '@HOME@/secret', '@CACHE@/precious', '/usr/planted', '/etc/planted', \
         '/bin/planted', '/dev/planted', '/planted', '/usr/bin/env']:\n    \
         refused(path, lambda: open(path, 'w').write('planted'))",
    ),
    (
        "changes what is elsewhere",
        "for do in [lambda: os.unlink('@HOME@/secret'), lambda: os.rename('@HOME@/secret', '@HOME@/planted'), \
         lambda: os.chmod('@HOME@/secret', 0o777), lambda: os.utime('@HOME@/secret', (1, 1)), \
         lambda: os.truncate('@CACHE@/precious', 0), lambda: os.link('@HOME@/secret', 'here'), \
         lambda: os.link('/usr/bin/env', 'here'), lambda: os.chmod('/usr/bin/env', 0o755), \
         lambda: os.mkdir('@HOME@/planted'), lambda: os.symlink('x', '@HOME@/planted'), \
         lambda: os.setxattr('@HOME@/secret', 'user.x', b'')]:\n    refused('a change', do)",
    ),
    (
        "connects to a loopback listener",
        "def connect():\n    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n    \
         s.settimeout(3)\n    s.connect(('127.0.0.1', @PORT@))\nrefused('tcp', connect)",
    ),
    (
        "connects to sockets with paths and names",
        "def connect(address):\n    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)\n    \
         s.connect(address)\nrefused('path', lambda: connect('@HOME@/socket'))\n\
         refused('abstract', lambda: connect('\\0@ABSTRACT@'))",
    ),
    (
        "makes sockets of other families",
        "for family in list(range(2, 46)):\n    for kind in (1, 2, 3, 5):\n        \
         refused(f'family {family} {kind}', lambda: socket.socket(family, kind))",
    ),
    (
        "asks io_uring",
        "params = ctypes.create_string_buffer(512)\nr, e = call(425, 4, params)\n\
         if r >= 0: print('BROKEN io_uring', r)",
    ),
    (
        "sees and signals other processes",
        "seen = []\ntry:\n    seen = [p for p in os.listdir('/proc') if p.isdigit()]\n\
         except OSError: pass\n\
         if len(seen) > 20: print('BROKEN sees', len(seen))\n\
         for pid in ['@VICTIM@', '@TEST@']:\n    \
         refused('signal', lambda: os.kill(int(pid), 0))\n    \
         refused('kill', lambda: os.kill(int(pid), signal.SIGKILL))",
    ),
    (
        "kills its parents",
        // What is killed is what waits for the step; other numbers are only asked for.
        "try:\n    \
         grand = int(open(f'/proc/{os.getppid()}/stat').read().split()[3])\n    \
         os.kill(grand, signal.SIGKILL)\nexcept OSError: pass\n\
         try: os.kill(1, signal.SIGKILL)\nexcept OSError: pass\n\
         if not os.path.exists('/build'):\n    \
         for pid in range(os.getppid() - 40, os.getppid()):\n        \
         if pid > 1: refused(f'signal to {pid}', lambda: os.kill(pid, 0))",
    ),
    (
        "traces and reads memory",
        "for pid in [@VICTIM@, @TEST@, os.getppid(), 1]:\n    \
         r, e = call(101, 16, pid, 0, 0)\n    \
         if r == 0: print('BROKEN ptrace', pid)\n    \
         buffer = ctypes.create_string_buffer(8)\n    \
         vec = struct.pack('QQ', ctypes.addressof(buffer), 8)\n    \
         r, e = call(310, pid, vec, 1, struct.pack('QQ', 0x400000, 8), 1, 0)\n    \
         if r >= 0: print('BROKEN process_vm_readv', pid)\n    \
         r, e = call(434, pid, 0)\n    \
         if r >= 0 and call(438, r, 1, 0)[0] >= 0: print('BROKEN pidfd_getfd', pid)",
    ),
    (
        "makes namespaces and mounts",
        "for flags in [0x10000000, 0x20000, 0x40000000, 0x20000000, 0x10020000]:\n    \
         if call(272, flags)[0] == 0: print('BROKEN unshare', hex(flags))\n\
         if call(165, b'tmpfs', b'/tmp', b'tmpfs', 0, 0)[0] == 0: print('BROKEN mount')\n\
         if call(161, b'/tmp')[0] == 0: print('BROKEN chroot')\n\
         if call(430, b'tmpfs', 0)[0] >= 0: print('BROKEN fsopen')\n\
         if call(435, 0, 0)[1] not in ('ENOSYS', 'EPERM'): print('BROKEN clone3')\n\
         pid = call(56, 0x10000000 | 17, 0, 0, 0, 0)[0]\n\
         if pid == 0: os._exit(0)\n\
         if pid > 0: print('BROKEN clone')",
    ),
    (
        "uses keyrings, handles and the like",
        "for name, args in [('keyctl', (250, 0, -3, 1)), ('add_key', (248, b'user', b'x', b'y', 1, -3)), \
         ('request_key', (249, b'user', b'x', 0, -3)), ('bpf', (321, 0, 0, 0)), \
         ('perf', (298, bytes(128), 0, -1, -1, 0)), ('userfaultfd', (323, 0)), \
         ('name_to_handle', (303, -100, b'/', bytes(200), bytes(8), 0)), ('kcmp', (312, 1, 1, 0, 0, 0)), \
         ('syslog', (103, 3, bytes(64), 64)), ('acct', (163, 0)), ('reboot', (169, 1, 2, 0))]:\n    \
         r, e = call(*args)\n    if r >= 0: print('BROKEN', name, r)",
    ),
    (
        "shares memory and queues, watches, and changes limits of others",
        // In namespaces there is nothing to share them with.
        "if not os.path.exists('/build'):\n    \
         for name, args in [('shmget', (29, 77, 4096, 0o1666)), ('semget', (64, 77, 1, 0o1666)), \
         ('msgget', (68, 77, 0o1666)), ('mq_open', (240, b'x', 0o102, 0o666, 0)), ('inotify', (294, 0))]:\n        \
         r, e = call(*args)\n        if r >= 0: print('BROKEN', name, r)\n\
         limit = struct.pack('QQ', 1, 1)\n\
         for pid in [@VICTIM@, @TEST@]:\n    \
         if call(302, pid, 0, limit, 0)[0] == 0: print('BROKEN prlimit', pid)\n    \
         if call(203, pid, 8, struct.pack('Q', 1))[0] == 0: print('BROKEN affinity', pid)\n    \
         if call(141, 0, pid, 19)[0] == 0: print('BROKEN priority', pid)",
    ),
    (
        "uses the x32 interface",
        "r, e = call(0x40000000 | 39)\nif r >= 0: print('BROKEN x32', r)",
    ),
    (
        "has descriptors and variables",
        "own = {0, 1, 2}\n\
         for fd in range(3, 4096):\n    \
         try: os.fstat(fd)\n    except OSError: continue\n    print('BROKEN descriptor', fd)\n\
         if os.read(0, 1) != b'': print('BROKEN standard input')\n\
         odd = set(os.environ) - {'PATH', 'HOME', 'TMPDIR', 'LC_ALL', 'TZ', 'SOURCE_DATE_EPOCH', 'PWD', \
         'OLDPWD', '_', 'SHLVL', 'LC_CTYPE'}\n\
         if odd: print('BROKEN variables', odd)\n\
         if os.path.exists('/dev/tty') and os.access('/dev/tty', os.R_OK):\n    \
         refused('terminal', lambda: open('/dev/tty', 'r'))",
    ),
    (
        "gains privileges",
        "refused('setuid', lambda: os.setuid(0))\nrefused('setgroups', lambda: os.setgroups([0]))\n\
         if os.getuid() == 0: print('BROKEN root')\n\
         for path in ['/usr/bin/su', '/usr/bin/mount', '/usr/bin/passwd']:\n    \
         if os.path.exists(path):\n        \
         pid = os.fork()\n        \
         if pid == 0:\n            os.close(1); os.close(2)\n            os.execv(path, [path, '--version'])\n        \
         os.waitpid(pid, 0)\n\
         if call(157, 38, 0, 0, 0, 0)[0] == 0 and call(157, 39, 0, 0, 0, 0)[0] != 1: \
         print('BROKEN new privileges')",
    ),
    (
        "changes the machine's settings",
        "for path, text in [('/proc/sys/kernel/core_pattern', '|/tmp/x'), ('/proc/sysrq-trigger', 'h'), \
         ('/proc/sys/kernel/hostname', 'x'), ('/proc/sys/vm/drop_caches', '1'), ('/proc/1/oom_score_adj', '1'), \
         ('/sys/kernel/mm/transparent_hugepage/enabled', 'never')]:\n    \
         refused(path, lambda: open(path, 'w').write(text))\n\
         refused('hostname', lambda: socket.sethostname('x'))\n\
         refused('priority', lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))",
    ),
];

#[test]
fn what_it_tries_is_refused() {
    held(None);
}

/// Somebody's steps are that user's processes, and the same holds. (Root's are somebody else's.)
#[test]
fn what_it_tries_at_an_ordinary_users_is_refused() {
    if rustix::process::geteuid().is_root() {
        held(Some(60_001));
    }
}

/// Neither can another process of the user's read the memory of the process that signs.
#[test]
fn the_builders_memory_is_hidden() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::of(Some(60_001));
    let mark = format!("3000.{}", std::process::id());
    world.write(&format!("os.execv('/usr/bin/sleep', ['sleep', '{mark}'])"));
    let mut child = world
        .build(&[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the step runs", || !processes_with(&mark).is_empty());
    // What belongs to root there cannot be opened by the user (proc(5), PR_SET_DUMPABLE).
    for file in ["mem", "environ", "fd"] {
        let owner = fs::metadata(format!("/proc/{}/{file}", child.id()))
            .unwrap()
            .uid();
        assert_eq!(owner, 0, "{file}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
}

fn held(user: Option<u32>) {
    for way in WAYS {
        let mut world = World::of(user);
        for (name, attack) in ATTACKS {
            println!("{way}: {name}");
            let told = world.attack(&["--step-confinement", way], attack);
            assert_eq!(told, "held\n", "{way}: {name}");
            world.unharmed(name);
        }
    }
}

/// The attacks are real: for somebody who is not confined some of them work.
#[test]
fn unconfined_they_succeed_and_the_image_says_so() {
    let world = World::new();
    let told = world.attack(
        &["--unconfined-steps"],
        "print(open('@HOME@/secret').read().strip())\n\
         print(open('@KEY@').readline().strip() != '')\nos.kill(@VICTIM@, 0)",
    );
    assert_eq!(told, "the secret\nTrue\nheld\n");
    let record = String::from_utf8(world.sandbox.read("out/build.json")).unwrap();
    assert!(record.contains("\"unconfined_steps\": true"), "{record}");
    let said = world.sandbox.ok(&["verify", "out"]);
    assert!(
        said.stdout.contains("build steps ran unconfined"),
        "{said:#?}"
    );
    // What ran unconfined is not taken for what did not.
    let said = run(world
        .sandbox
        .polybuild(&["recipe.toml", "-o", "out"])
        .env("PATH", PATH));
    assert_eq!(said.status, 0, "{said:#?}");
    assert!(said.stderr.contains("Building attack"), "{said:#?}");
    assert!(!world.told().contains("the secret"));
    let record = String::from_utf8(world.sandbox.read("out/build.json")).unwrap();
    assert!(!record.contains("unconfined"), "{record}");
}

#[test]
fn the_warning_of_unconfined_steps() {
    let world = World::new();
    world.write("");
    let said = run(&mut world.build(&["--unconfined-steps"]));
    assert!(
        said.stderr.contains("build steps run unconfined"),
        "{said:#?}"
    );
    let both = ["--unconfined-steps", "--step-confinement", "landlock"];
    assert_eq!(run(&mut world.build(&both)).status, 2);
}

/// A recipe cannot deny it.
#[test]
fn a_label_of_the_recipe_does_not_hide_it() {
    let world = World::new();
    let recipe = String::from_utf8(world.sandbox.read("recipe.toml")).unwrap();
    world.sandbox.write(
        "recipe.toml",
        format!("{recipe}labels = {{ \"dev.vkernel.build.steps\" = \"blessed\" }}\n"),
    );
    world.write("");
    for (option, expected) in [("--unconfined-steps", true), ("--locked", false)] {
        let said = run(&mut world.build(&[option]));
        assert_eq!(said.status, 0, "{said:#?}");
        let said = world.sandbox.ok(&["verify", "out"]);
        assert!(!said.stdout.contains("blessed"), "{said:#?}");
        assert_eq!(
            said.stdout.contains("ran unconfined"),
            expected,
            "{said:#?}"
        );
    }
}

/// Processes that a step leaves end with it, also those that left its session.
#[test]
fn nothing_of_a_step_outlives_it() {
    for way in WAYS {
        let world = World::new();
        let mark = format!("1000.{}", std::process::id());
        let begun = Instant::now();
        let told = world.attack(
            &["--step-confinement", way],
            &format!(
                "for double in (False, True):\n    \
                 if os.fork() == 0:\n        os.setsid()\n        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        \
                 if double and os.fork(): os._exit(0)\n        os.execv('/usr/bin/sleep', ['sleep', '{mark}'])\n\
                 time.sleep(0.2)"
            ),
        );
        assert_eq!(told, "held\n");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it waited for them"
        );
        assert_eq!(processes_with(&mark), Vec::<u32>::new(), "{way}");
    }
}

/// Nor does one outlive the builder, however that ends.
#[test]
fn nothing_of_a_step_outlives_the_builder() {
    let mark = format!("2000.{}", std::process::id());
    for (way, signal) in [
        ("namespaces", Signal::KILL),
        ("namespaces", Signal::TERM),
        ("landlock", Signal::TERM),
    ] {
        let world = World::new();
        world.write(&format!("os.execv('/usr/bin/sleep', ['sleep', '{mark}'])"));
        let mut child = world
            .build(&["--step-confinement", way])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until(&format!("{way}: the step runs"), || {
            !processes_with(&mark).is_empty()
        });
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap();
        wait_until(&format!("{way} {signal:?}: the step ends"), || {
            processes_with(&mark).is_empty()
        });
    }
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

/// Processes that have a word in their command line.
fn processes_with(word: &str) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.split(|b| *b == 0).any(|w| w == word.as_bytes()))
        })
        .collect()
}

/// Runs a step of shell script with these inputs and outputs.
fn step(sandbox: &Sandbox, script: &str, inputs: &str, outputs: &str) -> Said {
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    let recipe = recipe.split("\n[[build]]").next().unwrap();
    let last = outputs.rsplit(' ').next().unwrap().trim_matches('"');
    sandbox.write(
        "recipe.toml",
        format!(
            "{recipe}\n[[build]]\nid = \"it\"\ninputs = {{ {inputs} }}\nscript = '''{script}'''\n\
             tools = [\"cat\", \"ln\", \"mkdir\", \"mkfifo\", \"chmod\", \"rm\", \"cp\"]\n\
             outputs = [{outputs}]\n\n\
             [[file]]\npath = \"/told\"\nsource = \"build:it/{last}\"\n"
        ),
    );
    sandbox.ok(&["lock", "recipe.toml"]);
    run(sandbox
        .polybuild(&["recipe.toml", "-o", "out", "--rebuild"])
        .env("PATH", PATH))
}

/// A step's outputs are read by the builder, who can read far more than the step.
#[test]
fn outputs_cannot_name_files_of_the_machine() {
    let sandbox = Sandbox::with("hello");
    let secret = sandbox.home().join("secret");
    fs::write(&secret, "the secret").unwrap();
    fs::create_dir(sandbox.home().join("folder")).unwrap();
    fs::write(sandbox.home().join("folder/told"), "the secret").unwrap();
    let home = sandbox.home().display();
    for (script, outputs, says) in [
        (format!("ln -s {home}/secret told"), "\"told\"", "told"),
        (format!("ln -s {home}/folder f"), "\"f/told\"", "f/told"),
        (
            "ln -s ../../../../../../etc/passwd told".into(),
            "\"told\"",
            "told",
        ),
        ("ln -s /proc/self/environ told".into(), "\"told\"", "told"),
        (
            format!("mkdir d; ln -s {home}/folder d/f"),
            "\"d/f/told\"",
            "d/f/told",
        ),
        ("mkfifo told".into(), "\"told\"", "did not make the file"),
        (
            "mkdir d; mkfifo d/told; echo > told".into(),
            "\"d/\", \"told\"",
            "neither a file",
        ),
        ("ln -s told told".into(), "\"told\"", "told"),
        (
            format!("ln -s {home}/folder d; echo > told"),
            "\"d/\", \"told\"",
            "d",
        ),
    ] {
        let _ = fs::remove_dir_all(sandbox.work().join("out"));
        let said = step(&sandbox, &script, "", outputs);
        assert_eq!(said.status, 3, "{script}: {said:#?}");
        assert!(said.stderr.contains(says), "{script}: {said:#?}");
        assert!(!sandbox.work().join("out").exists(), "{script}");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "the secret");
        sandbox.nothing_half_written();
    }
    // Through a folder whose link is data: what a reference names through it is refused.
    let script = format!("mkdir d; ln -s {home}/folder d/f; echo fine > told");
    let said = step(&sandbox, &script, "", "\"d/\", \"told\"");
    assert_eq!(said.status, 0, "{said:#?}");
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write(
        "recipe.toml",
        recipe.replace(
            "source = \"build:it/told\"",
            "source = \"build:it/d/f/told\"",
        ),
    );
    sandbox.ok(&["lock", "recipe.toml"]);
    let said = run(sandbox
        .polybuild(&["recipe.toml", "-o", "out"])
        .env("PATH", PATH));
    assert_eq!(said.status, 3, "{said:#?}");
    assert!(said.stderr.contains("leads out"), "{said:#?}");
}

#[test]
fn a_step_changes_copies_of_its_inputs_only() {
    let sandbox = Sandbox::with("hello");
    sandbox.write("given/file", "as given\n");
    sandbox.write("victim", "as it was\n");
    let script =
        "echo changed > in/file; rm in/link; echo > in/new; chmod 4755 in/file; cp in/file told";
    std::os::unix::fs::symlink("../victim", sandbox.work().join("given/link")).unwrap();
    let said = step(&sandbox, script, "in = \"path:given\"", "\"told\"");
    assert_eq!(said.status, 0, "{said:#?}");
    assert_eq!(sandbox.read("given/file"), b"as given\n");
    assert_eq!(sandbox.read("victim"), b"as it was\n");
    assert!(!sandbox.work().join("given/new").exists());
    // Set-user-ID does not come out of a step into files that the builder owns.
    for path in files(&sandbox.cache()) {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode();
        assert!(
            metadata.is_symlink() || mode & 0o6000 == 0,
            "{}: {mode:o}",
            path.display()
        );
    }
    // Inputs that meet through a link of one of them would be written outside.
    fs::remove_file(sandbox.work().join("given/link")).unwrap();
    std::os::unix::fs::symlink(sandbox.home(), sandbox.work().join("given/out")).unwrap();
    let inputs = "in = \"path:given\", \"in/out/planted\" = \"path:victim\"";
    let said = step(&sandbox, "echo > told", inputs, "\"told\"");
    assert_eq!(said.status, 3, "{said:#?}");
    assert!(!sandbox.home().join("planted").exists());
}

/// Whoever clones into /tmp has the compiler driver there, where steps have a folder of their own.
#[test]
fn tools_may_lie_in_the_temporary_folder() {
    let own = tempfile::tempdir_in("/tmp").unwrap();
    for name in ["polybuild", "vkcc"] {
        let from = polybuild_e2e::polybuild_path().with_file_name(name);
        fs::copy(from, own.path().join(name)).unwrap();
    }
    for way in WAYS {
        let sandbox = Sandbox::with("hello");
        let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
        sandbox.write(
            "recipe.toml",
            format!(
                "{recipe}\n[[build]]\nid = \"it\"\ntools = [\"vkcc\"]\noutputs = [\"told\"]\n\
                 script = \"VKCC_ZIG=/bin/true VKCC_SYSROOT=/ vkcc --version >told\"\n\n\
                 [[file]]\npath = \"/told\"\nsource = \"build:it/told\"\n"
            ),
        );
        sandbox.ok(&["lock", "recipe.toml"]);
        let mut command = sandbox.command(own.path().join("polybuild"));
        command.args(["recipe.toml", "-o", "out", "--step-confinement", way]);
        let said = run(command.env("PATH", PATH));
        assert_eq!(said.status, 0, "{way}: {said:#?}");
    }
}

/// An inherited descriptor of the builder's own parent does not reach a step either.
#[test]
fn descriptors_of_the_builders_parent() {
    for way in WAYS {
        let world = World::new();
        world.write(
            "for fd in range(3, 64):\n    try: os.fstat(fd)\n    except OSError: continue\n    \
             print('BROKEN', fd)",
        );
        let mut command = world.sandbox.command("/bin/sh");
        command
            .env("PATH", PATH)
            .arg("-c")
            .arg("exec 9<\"$0/secret\" 8>&1; shift; exec \"$@\"")
            .arg(world.sandbox.home())
            .arg("-")
            .arg(polybuild_e2e::polybuild_path())
            .args([
                "recipe.toml",
                "-o",
                "out",
                "--rebuild",
                "--step-confinement",
                way,
            ]);
        let said = run(&mut command);
        assert_eq!(said.status, 0, "{said:#?}");
        assert_eq!(world.told(), "held\n", "{way}");
    }
}

/// Cached results that were changed are noticed and made again.
#[test]
fn a_changed_result_is_made_again() {
    let sandbox = Sandbox::with("hello");
    let said = step(&sandbox, "echo right > told", "", "\"told\"");
    assert_eq!(said.status, 0, "{said:#?}");
    let told = || {
        let found = files(&sandbox.cache().join("steps"));
        found
            .into_iter()
            .find(|p| p.ends_with("tree/told"))
            .unwrap()
    };
    let build = || {
        let _ = fs::remove_dir_all(sandbox.work().join("out"));
        run(sandbox
            .polybuild(&["recipe.toml", "-o", "out"])
            .env("PATH", PATH))
    };
    assert!(!build().stderr.contains("Building"));
    fs::write(told(), "wrong\n").unwrap();
    let said = build();
    assert_eq!(said.status, 0, "{said:#?}");
    assert!(said.stderr.contains("cannot be trusted"), "{said:#?}");
    assert!(said.stderr.contains("Building it"), "{said:#?}");
    assert_eq!(fs::read_to_string(told()).unwrap(), "right\n");
    assert!(!build().stderr.contains("Building"));
}

/// Nothing runs where it cannot be confined; a job that makes namespaces itself needs them.
#[test]
fn it_fails_closed() {
    let sandbox = Sandbox::with("hello");
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write(
        "recipe.toml",
        format!(
            "{recipe}\n[[build]]\nid = \"it\"\nscript = \"echo > told\"\ntools = [\"polybuild\"]\n\
             outputs = [\"told\"]\n"
        ),
    );
    sandbox.fails(
        &["recipe.toml", "-o", "out", "--step-confinement", "landlock"],
        5,
        &[
            "was not run, because this machine cannot confine it",
            "--unconfined-steps",
        ],
    );
    assert!(!sandbox.work().join("out").exists());
    sandbox.ok(&["recipe.toml", "-o", "out"]);
}

/// What the helper is told it is told by polybuild.
#[test]
fn nobody_else_starts_the_helper() {
    let sandbox = Sandbox::new();
    sandbox.fails(&["--confined-job"], 125, &["is for polybuild itself"]);
}
