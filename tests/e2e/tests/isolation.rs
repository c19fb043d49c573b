//! `polybuild run`: what comes in from whoever starts it, what a run leaves behind, and what is around
//! it; that what is executed is what was verified; and that a host that cannot keep a promise is
//! refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use polybuild_e2e::{
    Said, guests,
    guests::{test_tools_python, wat},
    linux::{Sandbox, guest},
    polybuild, polybuild_path, run, said,
};

/// An image with the guest as its only program, which nothing here changes.
fn image() -> PathBuf {
    static IMAGE: OnceLock<Sandbox> = OnceLock::new();
    IMAGE
        .get_or_init(|| Sandbox::new("isolation", ""))
        .outside()
        .join("image")
}

/// `polybuild run` of the guest as a bare module, with more options.
fn bare(options: &[&str], words: &[&str]) -> Command {
    let mut command = guests::run_wasm(&guest("isolation"));
    command.args(options).arg("--").args(words);
    command
}

/// The same of the image.
fn of_image(options: &[&str], words: &[&str]) -> Command {
    let mut command = polybuild();
    command.args(["run", "--quiet"]).arg(image()).args(options);
    command.args(["--", "/usr/bin/isolation"]).args(words);
    command
}

/// What a run says that ends well.
#[track_caller]
fn says(command: &mut Command) -> String {
    let said = run(command);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said:?}");
    said.stdout
}

/// A command that fails with a status and a message.
#[track_caller]
fn fails(command: &mut Command, status: i32, parts: &[&str]) -> Said {
    let said = run(command);
    assert_eq!(said.status, status, "{said:?}");
    for part in parts {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
    said
}

/// A command started by Python, which does things first that no safe Rust can.
fn prepared(script: &str, command: &Command) -> Command {
    let mut python = Command::new(test_tools_python());
    python.arg("-c").arg(format!(
        "import os, sys, socket, select, ctypes, fcntl\n{script}\n\
         os.execvp(sys.argv[1], sys.argv[1:])"
    ));
    python.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    python
}

/// Opens descriptors of every kind, each at a number of its own.
const DESCRIPTORS: &str = "
import resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
folder = os.O_RDONLY | os.O_DIRECTORY
poller = select.epoll()
kinds = {
    7: os.open('/etc/passwd', os.O_RDONLY), 8: os.open('/etc', folder),
    9: socket.socket(socket.AF_UNIX).detach(), 10: socket.socket(socket.AF_INET).detach(),
    11: os.pipe()[0], 12: os.pipe()[1], 13: poller.fileno(),
    14: os.open('/etc', os.O_PATH), 15: os.memfd_create('m'), 16: os.eventfd(0),
    17: os.open('/proc/self/ns/net', os.O_RDONLY), 18: os.open('/', folder),
    19: os.pidfd_open(os.getppid()), 970: os.open('/etc/passwd', os.O_RDONLY),
    1500: os.open('/etc', os.O_RDONLY), 3000: os.open('/etc/shadow', os.O_PATH),
}
def at(number, fd):
    # dup2 leaves the number that it is given twice as it is.
    os.set_inheritable(number, True) if fd == number else os.dup2(fd, number, inheritable=True)
kinds = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 4000) for number, fd in kinds.items()}
for number, fd in kinds.items(): at(number, fd)
";

#[test]
fn inherited_descriptors_are_closed() {
    for command in [bare(&[], &["descriptors"]), of_image(&[], &["descriptors"])] {
        assert_eq!(says(&mut prepared(DESCRIPTORS, &command)), "0\n1\n2\n");
    }
    // The launcher by itself, as in the tests of other kinds.
    let sandbox = Sandbox::new("isolation", "");
    let command = sandbox.alone(&["descriptors"]);
    assert_eq!(says(&mut prepared(DESCRIPTORS, &command)), "0\n1\n2\n");
    // Executed by the host kernel through its stub, as in a container.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg("--root").arg(sandbox.root());
    command.args(["/usr/bin/isolation", "descriptors"]);
    assert_eq!(says(&mut prepared(DESCRIPTORS, &command)), "0\n1\n2\n");
}

#[test]
fn descriptors_that_the_operator_names_are_kept() {
    let command = bare(&["--keep-fd", "8", "--keep-fd", "1500"], &["descriptors"]);
    let said = says(&mut prepared(DESCRIPTORS, &command));
    assert_eq!(said, "0\n1\n2\n8\n1500\n");
    fails(
        &mut bare(&["--keep-fd=-1"], &["descriptors"]),
        2,
        &["--keep-fd"],
    );
}

#[test]
fn the_audits_descriptor_is_the_vkernels_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!(
        "{DESCRIPTORS}\nat(21, os.open({:?}, os.O_WRONLY | os.O_CREAT | os.O_APPEND))",
        log.to_str().unwrap()
    );
    let mut command = bare(&[], &["descriptors"]);
    command.env("VKERNEL_AUDIT", "fd:21");
    assert_eq!(says(&mut prepared(&script, &command)), "0\n1\n2\n");
    let events = fs::read_to_string(&log).unwrap();
    assert!(
        events.contains("\"launch\"") && events.contains("\"exit\""),
        "{events}"
    );
}

/// Waits for one byte of its standard input.
const WAITS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $r (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\01\00\00\00")
  (func (export "_start")
    (drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

/// A WASI program cannot name host descriptors; a taken-over one could.
#[test]
fn inherited_descriptors_are_closed_for_wasi_programs() {
    let folder = tempfile::tempdir().unwrap();
    let packed = guests::pack(&wat("waits", WAITS), "x86-64", folder.path());
    let command = Command::new(packed);
    let mut child = prepared(DESCRIPTORS, &command)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Until it has been confined.
    until(|| status_of(child.id(), "Seccomp:").as_deref() == Some("2"));
    let open = links(&format!("/proc/{}/fd", child.id()));
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let foreign = |goal: &&String| {
        goal.starts_with("/etc") || goal.contains("memfd") || goal.contains("socket")
    };
    let found: Vec<&String> = open.iter().filter(foreign).collect();
    assert!(found.is_empty(), "{open:?}");
    assert!(open.len() < 10, "{open:?}");
}

fn links(folder: &str) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|goal| goal.to_string_lossy().into_owned())
        .collect()
}

fn status_of(pid: u32, key: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().to_owned())
}

#[track_caller]
fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never came");
        sleep(Duration::from_millis(5));
    }
}

/// An environment with a name twice, which no shell makes.
fn with_environment(command: &Command, variables: &[&str]) -> Command {
    let list: Vec<String> = variables
        .iter()
        .map(|v| format!("{v:?}.encode()"))
        .collect();
    prepared(
        &format!(
            "libc = ctypes.CDLL(None, use_errno=True)\n\
             def array(words): return (ctypes.c_char_p * (len(words) + 1))(*words, None)\n\
             argv = [os.fsencode(a) for a in sys.argv[1:]]\n\
             libc.execve(argv[0], array(argv), array([{}]))",
            list.join(", ")
        ),
        command,
    )
}

#[test]
fn settings_given_twice_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let packed = guests::pack(&wat("hello", HELLO), "x86-64", folder.path());
    let command = Command::new(&packed);
    for twice in [
        ["VKERNEL_AUDIT=off", "VKERNEL_AUDIT=stderr"],
        ["VKERNEL_POLICY=network=none", "VKERNEL_POLICY="],
        ["VKERNEL_KEY=", "VKERNEL_KEY="],
        ["VKERNEL_VERIFY=full", "VKERNEL_VERIFY=index"],
    ] {
        let name = twice[0].split('=').next().unwrap();
        fails(
            &mut with_environment(&command, &[&["A=1"][..], &twice].concat()),
            125,
            &[&format!("the environment has {name} twice")],
        );
    }
    let said = run(&mut with_environment(&command, &["A=1", "A=2"]));
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said:?}");
}

#[test]
fn a_misspelt_setting_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let packed = guests::pack(&wat("hello", HELLO), "x86-64", folder.path());
    for (wrong, right) in [
        ("VKERNEL_AUDI", "VKERNEL_AUDIT"),
        ("VKERNEL_POLICIES", "VKERNEL_POLICY"),
        ("VKERNEL_KEYS", "VKERNEL_KEY"),
        ("VKERNEL_VERIFIED", "VKERNEL_VERIFY"),
    ] {
        let said = run(Command::new(&packed).env(wrong, "x"));
        let expected =
            format!("vkernel: {wrong} means nothing to the vkernel; did you mean {right}?\n");
        assert_eq!((said.status, said.stderr), (0, expected));
    }
}

#[test]
fn the_audit_is_not_written_to_the_kernels_files() {
    let folder = tempfile::tempdir().unwrap();
    let packed = guests::pack(&wat("hello", HELLO), "x86-64", folder.path());
    for file in ["/proc/sys/kernel/core_pattern", "/proc/self/comm"] {
        let before = fs::read(file).unwrap();
        fails(
            Command::new(&packed).env("VKERNEL_AUDIT", file),
            125,
            &["host kernel's own files"],
        );
        if !file.contains("self") {
            assert_eq!(fs::read(file).unwrap(), before);
        }
    }
}

#[test]
fn an_images_environment_sets_nothing_of_the_vkernels() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(guest("isolation"), folder.path().join("isolation.wasm")).unwrap();
    let recipe = "[recipe]\nname = \"x\"\nversion = \"1\"\nkind = \"app\"\n\n[[module]]\n\
                  name = \"isolation\"\nfile = \"path:isolation.wasm\"\n\n[[program]]\n\
                  name = \"isolation\"\nmodule = \"isolation\"\npaths = [\"/usr/bin/isolation\"]\n\n\
                  [image]\nname = \"test/x\"\ntag = \"1\"\n\n[image.env]\nVKERNEL_AUDIT = \"off\"\n";
    let path = folder.path().join("recipe.toml");
    fs::write(&path, recipe).unwrap();
    let mut command = polybuild();
    command.args(["run", "--quiet"]).arg(&path);
    command.args(["--", "/usr/bin/isolation", "id"]);
    let said = run(&mut command);
    // When the recipe is read, or at the latest when the image is run.
    assert!(matches!(said.status, 3 | 4), "{said:?}");
    assert!(said.stderr.contains("VKERNEL_AUDIT"), "{said:?}");
}

const HELLO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\06\00\00\00")
  (data (i32.const 16) "hello\n")
  (func (export "_start")
    (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

/// A copy of the image's folder, for who changes it.
fn image_copy(folder: &Path) -> PathBuf {
    let copy = folder.join("image");
    let said = run(Command::new("cp").arg("-a").arg(image()).arg(&copy));
    assert_eq!(said.status, 0, "{said:?}");
    copy
}

fn run_image(image: &Path, words: &[&str]) -> Command {
    let mut command = polybuild();
    command.args(["run", "--quiet"]).arg(image);
    command.args(["--", "/usr/bin/isolation"]).args(words);
    command
}

#[test]
fn a_changed_megabinary_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_copy(folder.path());
    let file = image.join("megabinary");
    let good = fs::read(&file).unwrap();
    // Old enough to be remembered.
    sleep(Duration::from_secs(4));
    for _ in 0..2 {
        assert_eq!(says(&mut run_image(&image, &["id"])), "pid: 2\n");
    }
    let times = fs::metadata(&file).unwrap().modified().unwrap();
    for at in [
        good.len() / 7,
        good.len() / 3,
        good.len() / 2,
        good.len() - 5,
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        // With the time that it had.
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(times)
            .unwrap();
        fails(
            &mut run_image(&image, &["id"]),
            4,
            &["must not be trusted, and nothing was run"],
        );
    }
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    fails(&mut run_image(&image, &["id"]), 4, &["must not be trusted"]);
    fs::write(&file, &good).unwrap();
    assert_eq!(says(&mut run_image(&image, &["id"])), "pid: 2\n");
}

#[test]
fn a_strangers_megabinary_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("other.key");
    let said = run(polybuild().args(["keygen", "--quiet"]).arg(&key));
    assert_eq!(said.status, 0, "{said:?}");
    let mut command = run_image(&image(), &["id"]);
    command = {
        let mut with_key = polybuild();
        with_key
            .args(["run", "--quiet", "--trust"])
            .arg(folder.path().join("other.key.pub"));
        with_key.args(command.get_args().skip(2));
        with_key
    };
    fails(&mut command, 4, &["must not be trusted", "--trust"]);
}

#[test]
fn who_has_the_megabinary_open_for_writing_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_copy(folder.path());
    let writer = fs::File::options()
        .append(true)
        .open(image.join("megabinary"))
        .unwrap();
    fails(
        &mut run_image(&image, &["id"]),
        4,
        &["open for writing", "nothing was run"],
    );
    drop(writer);
    assert_eq!(says(&mut run_image(&image, &["id"])), "pid: 2\n");
}

/// Another program is put in the place of the verified one, over and over.
#[test]
fn what_was_verified_is_what_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let image = image_copy(folder.path());
    let file = image.join("megabinary");
    let (good, evil) = (folder.path().join("good"), folder.path().join("evil"));
    fs::copy(&file, &good).unwrap();
    fs::write(&evil, "#!/bin/sh\necho EVIL\n").unwrap();
    let chmod = run(Command::new("chmod").arg("755").arg(&evil));
    assert_eq!(chmod.status, 0);
    sleep(Duration::from_secs(3));
    let swap = |from: &Path| {
        let next = folder.path().join("next");
        fs::hard_link(from, &next).unwrap();
        fs::rename(&next, &file).unwrap();
        let _ = fs::remove_file(&next);
    };
    let (mut ran, mut refused) = (0, 0);
    let end = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(std::sync::atomic::Ordering::SeqCst) {
                swap(&evil);
                swap(&good);
            }
        });
        for _ in 0..60 {
            let said = run(&mut run_image(&image, &["id"]));
            match said.status {
                0 => {
                    assert_eq!(said.stdout, "pid: 2\n");
                    ran += 1;
                }
                4 => refused += 1,
                _ => panic!("{said:?}"),
            }
        }
        end.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
}

#[test]
fn a_run_finds_nothing_of_another() {
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        for file in ["/planted", "/proc-like", "/dev/shm/planted"] {
            assert_eq!(says(&mut command(&[], &["write", file])), "write: 8\n");
            let found = says(&mut command(&[], &["show", file]));
            assert_eq!(found, format!("{file}: No such file or directory\n"));
        }
    }
    // What the image has can be changed, and is there again for the next.
    let list = says(&mut of_image(&[], &["list", "/usr/bin"]));
    assert!(list.contains("isolation"), "{list}");
}

#[test]
fn signals_that_were_ignored_stay_so() {
    let ignored = "import signal\nfor s in 'HUP INT QUIT USR1 PIPE TERM XFSZ'.split(): \
                   signal.signal(getattr(signal, 'SIG' + s), signal.SIG_IGN)";
    // Python ignores these for itself.
    let not = "import signal\nfor s in 'PIPE XFSZ'.split(): \
               signal.signal(getattr(signal, 'SIG' + s), signal.SIG_DFL)";
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        let command = command(&[], &["ignored"]);
        let said = says(&mut prepared(ignored, &command));
        assert_eq!(said, "HUP INT QUIT USR1 PIPE TERM XFSZ goes on\n");
        let said = run(&mut prepared(not, &command));
        assert_eq!((said.status, said.stdout.as_str()), (143, ""), "{said:?}");
    }
}

#[test]
fn there_are_terminals_and_shared_memory() {
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        let command = command(&[], &["devices"]);
        let said = says(&mut prepared("os.umask(0o077)", &command));
        assert_eq!(
            said,
            "shm 1777, 65536 KiB\ngrantpt: 0\nunlockpt: 0\n/dev/pts/0 0\nto the terminal: 1\n\
             from it: 1\na file of 1 MiB: 0\n"
        );
    }
}

#[test]
fn a_bare_program_has_its_own_name() {
    let said = says(&mut bare(&[], &["show", "/proc/self/cmdline"]));
    assert_eq!(said, "module\0show\0/proc/self/cmdline\0");
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let kept = kept.to_str().unwrap();
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        let _ = fs::remove_dir_all(kept);
        let keep = ["--keep", kept];
        assert_eq!(says(&mut command(&keep, &["write", "/f"])), "write: 8\n");
        assert_eq!(says(&mut command(&keep, &["show", "/f"])), "planted\n");
        assert_eq!(
            fs::read_to_string(Path::new(kept).join("f")).unwrap(),
            "planted\n"
        );
    }
    let mut command = guests::run_wasm(&wat("hello", HELLO));
    fails(command.args(["--keep", kept]), 2, &["--dir HOST::GUEST"]);
}

#[test]
fn processes_of_the_machine_are_not_there() {
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        assert_eq!(says(&mut command(&[], &["id"])), "pid: 2\n");
        let list = says(&mut command(&[], &["list", "/proc"]));
        let numbers: Vec<&str> = list
            .lines()
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
            .collect();
        assert_eq!(numbers, ["2"]);
        let own = std::process::id().to_string();
        let said = says(&mut command(&[], &["kill", &own]));
        assert_eq!(said, "kill: No such process\n");
        let said = says(&mut command(&[], &["kill", "1"]));
        assert_eq!(said, "kill: Operation not permitted\n");
        assert_eq!(says(&mut command(&[], &["orphan"])), "orphan: 1\n");
        for file in ["/proc/1/mem", "/proc/1/environ", "/proc/1/root/etc/passwd"] {
            let said = says(&mut command(&[], &["show", file]));
            assert!(said.starts_with(&format!("{file}: ")), "{said}");
        }
    }
}

/// Its process group is that of who started it.
#[test]
fn signals_to_its_group_come_to_nobody_outside() {
    let script = "os.setpgid(0, 0)\n\
                  child = os.fork()\n\
                  if child:\n\
                  \x20   import signal\n\
                  \x20   status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n\
                  \x20   print('alive', status, flush=True)\n\
                  \x20   sys.exit(0)";
    let said = run(&mut prepared(script, &bare(&[], &["killgroup"])));
    // SIGUSR1 would have ended both.
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "kill: 0\nalive 0\n"),
        "{said:?}"
    );
}

#[test]
fn mounts_of_the_machine_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let given = format!("{}::/given", folder.path().display());
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        let mounts = says(&mut command(
            &["--dir", &given],
            &["show", "/proc/self/mountinfo"],
        ));
        let points: Vec<&str> = mounts
            .lines()
            .map(|line| line.split(' ').nth(4).unwrap())
            .collect();
        assert!(points.contains(&"/given"), "{mounts}");
        for point in &points {
            let usual = *point == "/" || *point == "/given";
            let inside = point.starts_with("/proc") || point.starts_with("/dev");
            assert!(usual || inside, "{point}: {mounts}");
        }
        // Neither set-user-ID bits nor device nodes.
        for line in mounts.lines() {
            let mut words = line.split(' ').skip(4);
            let (point, options) = (words.next().unwrap(), words.next().unwrap());
            if matches!(point, "/" | "/given" | "/proc") {
                assert!(options.contains("nosuid"), "{line}");
                assert!(options.contains("nodev"), "{line}");
            }
        }
        for file in [
            "/proc/kcore",
            "/proc/keys",
            "/proc/kallsyms",
            "/proc/timer_list",
        ] {
            let said = says(&mut command(&[], &["show", file]));
            let missing = format!("{file}: No such file or directory\n");
            assert!(said.is_empty() || said == missing, "{file}: {said}");
        }
        let said = says(&mut command(
            &[],
            &["write", "/proc/sys/kernel/core_pattern"],
        ));
        assert!(
            said.contains("Read-only") || said.contains("denied") || said.contains("permitted"),
            "{said}"
        );
    }
}

#[test]
fn the_machines_name_and_sockets_are_not_its() {
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let said = says(&mut bare(&[], &["hostname", "taken"]));
    assert_eq!(said, "sethostname: Operation not permitted\n");
    let after = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(before, after);
    // An abstract socket of the machine's network namespace.
    let name = format!("polybuild-isolation-{}", std::process::id());
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let said = says(&mut bare(&[], &["abstract", &name]));
    assert_eq!(said, "connect: Operation not permitted\n");
    let said = says(&mut bare(
        &["--policy", "network=none"],
        &["abstract", &name],
    ));
    assert!(said.starts_with("connect: "), "{said}");
    assert!(!said.contains("connect: 0"), "{said}");
    let said = says(&mut bare(&[], &["type"]));
    assert!(said.starts_with("TIOCSTI: "), "{said}");
    assert!(!said.contains("TIOCSTI: 0"), "{said}");
}

/// A guest that waits, with its host process.
struct Waiting {
    child: Child,
    pid: u32,
}

impl Waiting {
    fn start(command: &mut Command) -> Waiting {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "waiting\n");
        let pid = children(child.id())
            .into_iter()
            .find(|pid| {
                let ids = status_of(*pid, "NSpid:").unwrap_or_default();
                ids.split_whitespace().last() == Some("2")
            })
            .expect("no process is the namespace's second");
        Waiting { child, pid }
    }

    fn end(mut self) {
        self.child.stdin.take().unwrap().write_all(b"x").unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

fn children(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// The vkernel refuses all this by itself; what is looked at here, from outside, is what the host
/// kernel would show to a guest that had taken the vkernel over.
#[test]
fn guarded_paths_are_mounts_too() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("secret/inner", "s"), ("file", "f"), ("ro/kept", "k")] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let given = format!("{}::/given", folder.path().display());
    let options = [
        "--dir",
        &given,
        "--policy",
        "hidden=/given/secret,/given/file,/given/none",
        "--policy",
        "read-only=/given/ro",
    ];
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        let waiting = Waiting::start(&mut command(&options, &["wait"]));
        let root = PathBuf::from(format!("/proc/{}/root/given", waiting.pid));
        assert_eq!(fs::read_dir(root.join("secret")).unwrap().count(), 0);
        assert_eq!(fs::read(root.join("file")).unwrap(), b"");
        for name in ["secret/new", "ro/new", "file"] {
            let error = fs::write(root.join(name), "x").unwrap_err();
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ReadOnlyFilesystem,
                "{name}"
            );
        }
        assert_eq!(fs::read(root.join("ro/kept")).unwrap(), b"k");
        waiting.end();
        // The guest's own view: nothing there.
        for path in ["/given/secret", "/given/file", "/given/secret/inner"] {
            let said = says(&mut command(&options, &["show", path]));
            assert_eq!(said, format!("{path}: No such file or directory\n"));
        }
        let said = says(&mut command(&options, &["list", "/given"]));
        let mut names: Vec<&str> = said.lines().collect();
        names.sort_unstable();
        assert_eq!(names, [".", "..", "ro"]);
        let said = says(&mut command(&options, &["write", "/given/ro/new"]));
        assert_eq!(said, "write: Read-only file system\n");
    }
    // And nothing has changed outside.
    assert_eq!(fs::read(folder.path().join("secret/inner")).unwrap(), b"s");
}

#[test]
fn a_read_only_root_is_one_for_the_host_kernel() {
    let options = ["--policy", "read-only-root=true"];
    for command in [bare as fn(&[&str], &[&str]) -> Command, of_image] {
        let waiting = Waiting::start(&mut command(&options, &["wait"]));
        let root = PathBuf::from(format!("/proc/{}/root", waiting.pid));
        for name in ["new", "dev/shm/new"] {
            let error = fs::write(root.join(name), "x").unwrap_err();
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ReadOnlyFilesystem,
                "{name}"
            );
        }
        waiting.end();
    }
}

#[test]
fn without_a_network_there_is_none() {
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let of = |options: &[&str]| {
        let waiting = Waiting::start(&mut bare(options, &["wait"]));
        let found = fs::read_link(format!("/proc/{}/ns/net", waiting.pid)).unwrap();
        let others: Vec<bool> = ["pid", "ipc", "uts", "mnt"]
            .iter()
            .map(|kind| {
                let path = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
                path(&waiting.pid.to_string()) != path("self")
            })
            .collect();
        assert_eq!(others, [true; 4]);
        waiting.end();
        found
    };
    assert_eq!(of(&[]), own);
    assert_ne!(of(&["--policy", "network=none"]), own);
}

#[test]
fn it_ends_as_its_program_does() {
    let status = |words: &[&str]| run(&mut bare(&[], words)).status;
    assert_eq!(status(&["exit", "0"]), 0);
    assert_eq!(status(&["exit", "42"]), 42);
    for signal in [1, 2, 6, 9, 11, 15] {
        assert_eq!(status(&["die", &signal.to_string()]), 128 + signal);
    }
}

fn signal(name: &str, pid: u32) {
    let pid = pid.to_string();
    let said = run(Command::new("kill").args([name, &pid]));
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn signals_come_to_the_program() {
    use std::os::unix::process::ExitStatusExt;
    for (name, number) in [("-TERM", 15), ("-INT", 2), ("-HUP", 1), ("-USR1", 10)] {
        let mut waiting = Waiting::start(&mut bare(&[], &["wait"]));
        signal(name, waiting.child.id());
        let status = waiting.child.wait().unwrap();
        assert_eq!(status.signal(), Some(number), "{status}");
        assert!(!Path::new(&format!("/proc/{}", waiting.pid)).exists());
    }
}

#[test]
fn nothing_outlives_it() {
    // Whatever it is killed by.
    let mut waiting = Waiting::start(&mut bare(&[], &["wait"]));
    let all = children(waiting.child.id());
    assert_eq!(all.len(), 2, "{all:?}");
    signal("-KILL", waiting.child.id());
    waiting.child.wait().unwrap();
    for pid in all {
        until(|| {
            let state = status_of(pid, "State:").unwrap_or_default();
            state.is_empty() || state.starts_with('Z')
        });
    }
    // Nor what the program left behind.
    let folder = tempfile::tempdir().unwrap();
    let given = format!("{}::/given", folder.path().display());
    says(&mut bare(&["--dir", &given], &["leave", "/given/late"]));
    sleep(Duration::from_secs(3));
    assert!(!folder.path().join("late").exists());
}

#[test]
fn who_reads_its_output_sees_the_end() {
    let mut child = bare(&[], &["close"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    // Comes to its end although the program goes on.
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "closing\n");
    signal("-TERM", child.id());
    child.wait().unwrap();
}

#[test]
fn a_shell_sees_it_stop_and_lets_it_go_on() {
    let script = "
import subprocess, signal, time
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, process_group=0)
pid, status = os.waitpid(child.pid, os.WUNTRACED)
print(os.WIFSTOPPED(status), flush=True)
os.killpg(child.pid, signal.SIGCONT)
print(child.stdout.read().decode().split('\\n'), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os._exit(0) if sys.stdout.flush() is None else None";
    let said = run(&mut prepared(script, &bare(&[], &["stop"])));
    assert_eq!(
        said.stdout, "True\n['stopping', 'going on', ''] 7\n",
        "{said:?}"
    );
}

/// In a user namespace whose limits allow no mount namespace.
fn without_namespaces(command: &Command) -> Command {
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "sh", "-c"]);
    outer.arg("echo 0 > /proc/sys/user/max_mnt_namespaces && exec \"$@\"");
    outer
        .arg("sh")
        .arg(command.get_program())
        .args(command.get_args());
    outer
}

#[test]
fn a_host_without_namespaces_is_refused() {
    let mut hello = guests::run_wasm(&wat("hello", HELLO));
    let parts = [
        "making namespaces of mounts",
        "nothing was run",
        "promise `namespaces`",
        "--accept-less namespaces",
    ];
    let said = fails(&mut without_namespaces(&hello), 125, &parts);
    assert_eq!(said.stdout, "");
    hello.args(["--accept-less", "namespaces"]);
    let said = run(&mut without_namespaces(&hello));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "hello\n"),
        "{said:?}"
    );
    // A root of its own cannot be had without them, and is not replaced by a shared one.
    let command = bare(&["--accept-less", "namespaces"], &["id"]);
    fails(&mut without_namespaces(&command), 125, &["--keep DIR"]);
    fails(
        &mut bare(&["--accept-less", "everything"], &["id"]),
        125,
        &["no promise `everything`", "landlock-scopes"],
    );
}

/// The host kernel puts at most sixteen of Landlock's layers on a process.
const NO_MORE_LANDLOCK: &str = "
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
handled = ctypes.c_uint64(1 << 9)
for _ in range(16):
    rules = libc.syscall(444, ctypes.byref(handled), 8, 0)
    assert rules >= 0 and libc.syscall(446, rules, 0) == 0
    os.close(rules)
";

#[test]
fn a_host_without_landlock_is_refused() {
    // A process under Landlock can mount nothing, so that this is about the launcher alone.
    let folder = tempfile::tempdir().unwrap();
    let packed = guests::pack(&wat("hello", HELLO), "x86-64", folder.path());
    let hello = |options: &[&str]| {
        let mut command = Command::new(&packed);
        command.args(options);
        prepared(NO_MORE_LANDLOCK, &command)
    };
    let parts = [
        "Landlock is absent",
        "nothing was run",
        "--accept-less landlock;",
    ];
    for options in [&[][..], &["--accept-less", "mdwe,landlock-scopes"]] {
        let said = fails(&mut hello(options), 125, &parts);
        assert_eq!(said.stdout, "");
    }
    let said = run(&mut hello(&["--accept-less", "landlock"]));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "hello\n"),
        "{said:?}"
    );
    // Programs with Linux system calls.
    let sandbox = Sandbox::new("isolation", "network = [\"127.0.0.1:80\"]");
    let with = |names: &str| {
        let mut command = Command::new(sandbox.root().join(".vkernel/megabinary"));
        command.args(["--accept-less", names, "--root"]);
        command.arg(sandbox.root());
        command.args(["--program", "/usr/bin/isolation", "--", "exit", "0"]);
        prepared(NO_MORE_LANDLOCK, &command)
    };
    fails(
        &mut with("namespaces,landlock"),
        125,
        &["--accept-less landlock-network"],
    );
    fails(&mut with("namespaces,landlock-network"), 125, &parts);
    let said = run(&mut with("namespaces,landlock,landlock-network"));
    assert_eq!(said.status, 0, "{said:?}");
    let said = fails(
        &mut prepared(NO_MORE_LANDLOCK, &bare(&[], &["id"])),
        125,
        &["promise `namespaces`", "nothing was run"],
    );
    assert_eq!(said.stdout, "");
}

#[test]
fn a_user_without_rights_is_isolated_as_well() {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000"]);
    command.arg(polybuild_path());
    command.args(["run", "--quiet", "--wasm"]);
    command
        .arg(guest("isolation"))
        .args(["--", "list", "/proc"]);
    let list = says(&mut command);
    assert!(list.lines().any(|name| name == "2"), "{list}");
    let own = std::process::id().to_string();
    assert!(!list.lines().any(|name| name == own), "{list}");
}

#[test]
fn the_doctor_says_what_holds_and_why_not() {
    let ask = |command: &Command| {
        let said = run(&mut prepared("", command));
        let value: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
        (said.status, value)
    };
    let holds = |value: &serde_json::Value, name: &str| {
        let rows = value["promises"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == name).unwrap();
        row["holds"].as_bool().unwrap()
    };
    let mut doctor = polybuild();
    doctor.args(["doctor", "--host", "--json"]);
    let (status, value) = ask(&doctor);
    assert_eq!(status == 0, value["all_hold"] == true, "{value}");
    assert!(
        holds(&value, "namespaces") && holds(&value, "landlock"),
        "{value}"
    );
    let said = run(&mut without_namespaces(&doctor));
    assert_eq!(said.status, 5, "{said:?}");
    let value: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert!(
        !holds(&value, "namespaces") && !holds(&value, "own-root"),
        "{value}"
    );
    assert!(holds(&value, "seccomp"), "{value}");
    let said = run(&mut prepared(NO_MORE_LANDLOCK, &doctor));
    assert_eq!(said.status, 5, "{said:?}");
    let value: serde_json::Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert!(
        !holds(&value, "landlock") && holds(&value, "mdwe"),
        "{value}"
    );
    // For people.
    let output = polybuild().args(["doctor", "--host"]).output().unwrap();
    let text = said_text(&output);
    assert!(
        text.contains("namespaces") && text.contains("kernel: "),
        "{text}"
    );
}

fn said_text(output: &std::process::Output) -> String {
    said(output).stdout
}

/// A bare WASI module has no root, and its folders are at places that it does not see.
#[test]
fn guarded_paths_of_a_wasi_module_are_mounts_too() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/secret/inner", "a/b/ro/kept", "a/b/file"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "text").unwrap();
    }
    let mut command = guests::run_wasm(&wat("waits", WAITS));
    for (host, guest) in [("a", "/a"), ("a/b", "/a/b")] {
        let host = folder.path().join(host);
        command.args(["--dir", &format!("{}::{guest}", host.display())]);
    }
    command.args(["--policy", "hidden=/a/secret,/a/b/file;read-only=/a/b/ro"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let second = |pid: &u32| {
        let ids = status_of(*pid, "NSpid:").unwrap_or_default();
        ids.split_whitespace().last() == Some("2")
            && status_of(*pid, "Seccomp:").as_deref() == Some("2")
    };
    let find = || {
        let path = format!("/proc/{0}/task/{0}/children", child.id());
        let list = fs::read_to_string(path).unwrap_or_default();
        let mut pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.find(second)
    };
    until(|| find().is_some());
    let root = PathBuf::from(format!("/proc/{}/root", find().unwrap()));
    // The inner folder's own place is the one that the vkernel uses for what is in it.
    assert_eq!(fs::read_dir(root.join("0/secret")).unwrap().count(), 0);
    assert_eq!(fs::read(root.join("1/file")).unwrap(), b"");
    let error = fs::write(root.join("1/ro/new"), "x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(!root.join("etc").exists());
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
