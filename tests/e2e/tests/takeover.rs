//! What a guest keeps that has taken its vkernel over: only what the host kernel then refuses.
//!
//! A launcher of the test's own has a call that makes any host call
//! (`vkernel/engine/src/linux/testing.rs`). The guest `takeover.c` tries with it to break every promise,
//! each attempt in a sandbox of its own, in both forms: in a root that is the process's already, as in
//! a container, and in one that the launcher enters. The guest imports every call, so that its seccomp
//! filter is the widest there is. `docs/takeover.md` is what came of it; `VKERNEL_BLESS=1` writes it anew.
//!
//! Needs root, `out/musl-1.2.5` and `tests/install`; builds the launcher once, which takes minutes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use polybuild_e2e::{interface, linux::each, polybuild_path, run, workspace};

/// What only a launcher of the test's contains.
const MARK: &[u8] = b"vkernel-testing: any host call, any time";

/// An attempt: name and argument of the guest's, and the policy of the run.
type Attempt = (&'static str, &'static str, &'static str);

/// A promise, what keeps it besides the vkernel, and attempts to break it.
struct Promise {
    name: &'static str,
    kept_by: &'static str,
    attempts: &'static [Attempt],
}

/// Stands for a file of the host, a process outside, a name of a socket.
const OUTSIDE: &str = "OUTSIDE";
const PROCESS: &str = "PROCESS";
const SOCKET: &str = "vkernel-takeover";

#[rustfmt::skip]
const PROMISES: &[Promise] = &[
    Promise {
        name: "Files outside of the root are out of reach",
        kept_by: "the container's root, or chroot and Landlock; the filter",
        attempts: &[
            ("open", OUTSIDE, ""),
            ("open above", OUTSIDE, ""),
            ("open /proc/1/root", OUTSIDE, ""),
            ("open /proc/PARENT/root", OUTSIDE, ""),
            ("chroot", OUTSIDE, ""),
            ("open_by_handle_at", "", ""),
            ("mount", "", ""),
            ("pivot_root", "", ""),
            ("open_tree", "", ""),
            ("fsopen", "", ""),
            ("unshare a user namespace", "", ""),
            ("clone a user namespace", "", ""),
            ("setns", "", ""),
            ("mknod of a disk", "", ""),
        ],
    },
    Promise {
        name: "Hidden files are not there",
        kept_by: "mounts of the run's own, in `polybuild run`; in a container nothing",
        attempts: &[("open", "/hd/f", "hidden=/hd"), ("unlink", "/hd/f", "hidden=/hd")],
    },
    Promise {
        name: "Read-only files are not changed",
        kept_by: "mounts of the run's own, in `polybuild run`; in a container nothing",
        attempts: &[
            ("write", "/ro/f", "read-only=/ro"),
            ("chmod", "/ro/f", "read-only=/ro"),
            ("unlink", "/ro/f", "read-only=/ro"),
        ],
    },
    Promise {
        name: "Installed programs and the megabinary are not changed",
        kept_by: "the host while it runs (ETXTBSY); signed routes at the next start",
        attempts: &[
            ("write", "/.vkernel/megabinary", ""),
            ("unlink", "/.vkernel/megabinary", ""),
            ("unlink", "/bin/guest", ""),
        ],
    },
    Promise {
        name: "With `network=none` there is no network",
        kept_by: "the filter; the container's network namespace",
        attempts: &[
            ("socket of family", "2", "network=none"),
            ("socket of family", "10", "network=none"),
            ("socket of family", "16", "network=none"),
            ("socket of family", "17", "network=none"),
            ("socket of family", "38", "network=none"),
            ("socket of family", "40", "network=none"),
            ("raw socket", "", "network=none"),
            ("seqpacket socket", "", "network=none"),
            ("UDP to another machine", "", "network=none"),
            ("TCP to another machine", "", "network=none"),
            ("TCP to a port of this machine", "2000", "network=none"),
            ("listen on all addresses", "", "network=none"),
        ],
    },
    Promise {
        name: "With `network=loopback` there is nothing but loopback",
        kept_by: "the container's network namespace",
        attempts: &[
            ("socket of family", "17", "network=loopback"),
            ("socket of family", "38", "network=loopback"),
            ("raw socket", "", "network=loopback"),
            ("seqpacket socket", "", "network=loopback"),
            ("UDP to another machine", "", "network=loopback"),
            ("TCP to another machine", "", "network=loopback"),
            ("listen on all addresses", "", "network=loopback"),
        ],
    },
    Promise {
        name: "With a list (`network=192.0.2.7:443`) there is nothing else",
        kept_by: "Landlock, for ports of TCP",
        attempts: &[
            ("UDP to another machine", "", "network=192.0.2.7:443"),
            ("TCP to another machine", "", "network=192.0.2.7:443"),
            ("TCP to a port of this machine", "2000", "network=192.0.2.7:443"),
            ("listen on all addresses", "", "network=192.0.2.7:443"),
        ],
    },
    Promise {
        name: "Other processes are out of reach",
        kept_by: "the container's PID namespace, or Landlock's scopes; the filter",
        attempts: &[
            ("kill", PROCESS, ""),
            ("ptrace", PROCESS, ""),
            ("process_vm_readv", PROCESS, ""),
            ("process_vm_writev", PROCESS, ""),
            ("open /proc/PID/mem", PROCESS, ""),
            ("open /proc/PID/environ", PROCESS, ""),
            ("pidfd_getfd", PROCESS, ""),
            ("abstract socket of another process", SOCKET, ""),
        ],
    },
    Promise {
        name: "Nothing becomes executable",
        kept_by: "the filter, MDWE, Landlock",
        attempts: &[
            ("mmap", "", ""),
            ("mprotect", "", ""),
            ("pkey_mprotect", "", ""),
            ("mmap of a file", "", ""),
            ("mmap of a memfd", "", ""),
            ("execveat of a memfd", "", ""),
            ("execve of a file of the root", "", ""),
            ("shmat", "", ""),
            ("userfaultfd", "", ""),
            ("personality", "", ""),
            ("remap_file_pages", "", ""),
            ("modify_ldt", "", ""),
            ("uselib", "", ""),
            ("call of x32", "", ""),
            ("int 0x80", "", ""),
            ("code made writable", "", ""),
            ("write to code", "", ""),
        ],
    },
    Promise {
        name: "Code is not changed through /proc/self/mem",
        kept_by: "a read-only `/proc`, in `polybuild run`; in a container the host, if `proc_mem.force_override` says so",
        attempts: &[("write to code through /proc/self/mem", "", "")],
    },
    Promise {
        name: "No privilege over the machine",
        kept_by: "the filter; capabilities that the launcher or the engine takes; a read-only `/proc`",
        attempts: &[
            ("capset", "", ""),
            ("keyctl", "", ""),
            ("bpf", "", ""),
            ("perf_event_open", "", ""),
            ("io_uring_setup", "", ""),
            ("init_module", "", ""),
            ("kexec_load", "", ""),
            ("reboot", "", ""),
            ("settimeofday", "", ""),
            ("sethostname", "", ""),
            ("iopl", "", ""),
            ("syslog", "", ""),
            ("new privileges again", "", ""),
            ("write to /proc/sys", "", ""),
            ("chmod of /proc/vmallocinfo", "", ""),
        ],
    },
    Promise {
        name: "Limits of amounts",
        kept_by: "nothing; the container's cgroup",
        attempts: &[
            ("more descriptors", "", "open-files-max=64"),
            ("larger files", "", "file-size-max=1MiB"),
            ("more memory", "", "memory-max=512MiB"),
            ("more processes", "", "processes-max=1"),
        ],
    },
    Promise {
        name: "The limit of time",
        kept_by: "a PID namespace, for processes that stay behind; nothing if the watchdog's memory is changed (not tried)",
        attempts: &[("more time", "", "wall-time-max=1s")],
    },
    Promise {
        name: "The audit stream tells no lies",
        kept_by: "nothing: it is the vkernel who writes it",
        attempts: &[("the audit stream", "", "")],
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Contained,
    Entered,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Refused(String),
    Killed,
    Reached,
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Outcome::Refused(why) => format!("held: {why}"),
            Outcome::Killed => "held: killed".to_owned(),
            Outcome::Reached => "**reached**".to_owned(),
        }
    }
}

/// `$0` ATTEMPT ARGUMENT ROOT FORM: what is around the sandbox.
const AROUND: &str = r#"
attempt=$1 argument=$2 root=$3 form=$4
ip link set lo up
ip route add default dev lo
ulimit -c 0
case $argument in
PROCESS) argument=$$ ;;
vkernel-takeover)
    python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind("\0" + sys.argv[1])
s.listen()
print(flush=True)
time.sleep(20)' "$argument" >"$root/../listens" &
    listener=$!
    until [ -s "$root/../listens" ]; do sleep 0.02; done ;;
esac
case $form in
Entered)
    "$root/.vkernel/megabinary" --isolate --root "$root" --cwd /w --program /bin/guest -- "$attempt" "$argument" ;;
Contained)
    unshare --pid --ipc --uts --mount --fork --kill-child sh -c '
        set -e
        root=$1
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=755 scratch "$root/w"
        mount -t tmpfs -o mode=755 dev "$root/dev"
        set +e
        unshare --root="$root" --wd=/w /bin/guest "$2" "$3"
        exit $?' sh "$root" "$attempt" "$argument" ;;
esac
status=$?
[ -z "$listener" ] || kill $listener
exit $status
"#;

/// The launcher with the call, built beside those that are shipped.
fn launcher() -> Vec<u8> {
    let target = workspace().join("target/testing");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let settings = ["lto=false", "codegen-units=16", "opt-level=1"];
    cargo
        .current_dir(workspace())
        .args([
            "build",
            "--locked",
            "--quiet",
            "--package",
            "vkernel-launcher",
        ])
        .args(["--features", "testing", "--profile", "launcher"])
        .args(
            settings
                .iter()
                .flat_map(|s| ["--config".to_owned(), format!("profile.launcher.{s}")]),
        )
        .args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"])
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    let said = run(&mut cargo);
    assert_eq!(said.status, 0, "building the launcher: {}", said.stderr);
    fs::read(target.join("x86_64-unknown-linux-gnu/launcher/vkernel-launcher")).unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The root of the guest, its megabinary with the test's launcher in it.
fn root(folder: &Path) -> PathBuf {
    let root = interface::root(folder, "takeover", false, "");
    let launcher = launcher();
    assert!(contains(&launcher, MARK), "this launcher has no takeover");
    interface::repack(folder, &launcher);
    root
}

fn attempt(root: &Path, form: Form, attempt: &Attempt) -> Outcome {
    let place = tempfile::tempdir_in(root.parent().unwrap()).unwrap();
    let own = place.path().join("root");
    let said = run(Command::new("cp").args(["-a", "-l"]).arg(root).arg(&own));
    assert_eq!(said.status, 0, "{}", said.stderr);
    let outside = place.path().join("canary");
    fs::write(&outside, "outside").unwrap();
    let (name, argument, policy) = *attempt;
    let argument = match argument {
        OUTSIDE => outside.to_str().unwrap(),
        other => other,
    };
    let audit = match form {
        Form::Contained => PathBuf::from("/tmp/audit"),
        Form::Entered => place.path().join("audit"),
    };
    let mut command = Command::new("timeout");
    command
        .args([
            "--kill-after=5",
            "30",
            "unshare",
            "--net",
            "sh",
            "-c",
            AROUND,
            "sh",
        ])
        .args([name, argument])
        .arg(&own)
        .arg(format!("{form:?}"))
        .env("VKERNEL_AUDIT", audit);
    if !policy.is_empty() {
        command.env("VKERNEL_POLICY", policy);
    }
    let said = run(&mut command);
    let result = said
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("result "));
    if name == "more time" {
        std::thread::sleep(std::time::Duration::from_secs(3));
        return match own.join("w/alive").exists() {
            true => Outcome::Reached,
            false => Outcome::Refused("ended".to_owned()),
        };
    }
    match (
        result.and_then(|text| text.parse::<i64>().ok()),
        said.status,
    ) {
        (Some(number @ 0..), _) => {
            let _ = number;
            Outcome::Reached
        }
        (Some(number), _) => Outcome::Refused(error(-number)),
        (None, 159) => Outcome::Killed,
        (None, 139) => Outcome::Refused("fault".to_owned()),
        _ => panic!("{form:?} {attempt:?}: {said:#?}"),
    }
}

/// The name of an error.
fn error(number: i64) -> String {
    match number {
        1 => "EPERM",
        2 => "ENOENT",
        3 => "ESRCH",
        5 => "EIO",
        9 => "EBADF",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        22 => "EINVAL",
        26 => "ETXTBSY",
        30 => "EROFS",
        38 => "ENOSYS",
        93 => "EPROTONOSUPPORT",
        94 => "ESOCKTNOSUPPORT",
        97 => "EAFNOSUPPORT",
        101 => "ENETUNREACH",
        _ => return format!("error {number}"),
    }
    .to_owned()
}

/// The document: promises first, then every attempt.
fn document(outcomes: &[Vec<[Outcome; 2]>]) -> String {
    let mut text = String::from(
        "# What a takeover of the vkernel gives\n\n\
         Generated by `VKERNEL_BLESS=1 cargo test --release -p polybuild-e2e --test takeover`; do not edit.\n\n\
         A guest that has taken its vkernel over makes any host call. What it then cannot do is kept by the\n\
         host kernel: the *second line*, which the last column names. *Container* is a root that is the process's already, entered with all\n\
         capabilities and without what a container engine adds: cgroups with their rules for devices, fewer\n\
         capabilities, its own seccomp filter. *`polybuild run`* is what it makes of\n\
         the launcher with `--keep`: namespaces and mounts of its own around a root that stays; without `--keep` the\n\
         root is a new one for each run. The image imports every call, so that its filter is the widest there is; each module that imports\n\
         fewer has a narrower one.\n\n\
         | promise | in a container | `polybuild run` | what keeps it |\n|---|---|---|---|\n",
    );
    let holds = |rows: &[[Outcome; 2]], form: usize| {
        let reached = rows
            .iter()
            .filter(|row| row[form] == Outcome::Reached)
            .count();
        match (reached, rows.len()) {
            (0, _) => "holds".to_owned(),
            (n, all) if n == all => "**does not hold**".to_owned(),
            (n, all) => format!("**{n} of {all} attempts succeed**"),
        }
    };
    for (promise, rows) in PROMISES.iter().zip(outcomes) {
        let (contained, entered) = (holds(rows, 0), holds(rows, 1));
        writeln!(
            text,
            "| {} | {contained} | {entered} | {} |",
            promise.name, promise.kept_by
        )
        .unwrap();
    }
    for (promise, rows) in PROMISES.iter().zip(outcomes) {
        write!(
            text,
            "\n## {}\n\n| attempt | in a container | `polybuild run` |\n|---|---|---|\n",
            promise.name
        )
        .unwrap();
        for ((name, argument, policy), row) in promise.attempts.iter().zip(rows) {
            let argument = match *argument {
                "" | OUTSIDE | PROCESS | SOCKET => String::new(),
                argument => format!(" `{argument}`"),
            };
            let policy = match policy.is_empty() {
                true => String::new(),
                false => format!(", with `{policy}`"),
            };
            let [a, b] = row.each_ref().map(Outcome::text);
            writeln!(text, "| {name}{argument}{policy} | {a} | {b} |").unwrap();
        }
    }
    text
}

#[test]
fn what_a_takeover_gives_is_what_the_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = root(folder.path());
    let all: Vec<(usize, Attempt, Form)> = PROMISES
        .iter()
        .enumerate()
        .flat_map(|(at, promise)| promise.attempts.iter().map(move |attempt| (at, *attempt)))
        .flat_map(|(at, attempt)| [(at, attempt, Form::Contained), (at, attempt, Form::Entered)])
        .collect();
    let found = each(&all, |(_, what, form)| attempt(&root, *form, what));
    let mut outcomes: Vec<Vec<[Outcome; 2]>> = PROMISES.iter().map(|_| Vec::new()).collect();
    for ((at, ..), pair) in all.iter().step_by(2).zip(found.chunks_exact(2)) {
        outcomes[*at].push([pair[0].clone(), pair[1].clone()]);
    }
    let (text, path) = (document(&outcomes), workspace().join("docs/takeover.md"));
    if std::env::var_os("VKERNEL_BLESS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    for (was, is) in before
        .lines()
        .zip(text.lines())
        .filter(|(was, is)| was != is)
    {
        eprintln!("was {was}\nis  {is}");
    }
    assert!(
        before == text,
        "docs/takeover.md is stale, or this host keeps other promises; `VKERNEL_BLESS=1 cargo test \
         --release -p polybuild-e2e --test takeover` writes it anew"
    );
}

/// Promises that the host kernel alone keeps, whatever the document says.
#[test]
fn nothing_that_is_shipped_has_the_call() {
    let polybuild = fs::read(polybuild_path()).unwrap();
    assert!(
        !contains(&polybuild, MARK),
        "polybuild packs a launcher of the test's"
    );
    let folder = tempfile::tempdir().unwrap();
    let root = interface::root(folder.path(), "takeover", false, "");
    let megabinary = root.join(".vkernel/megabinary");
    assert!(!contains(&fs::read(&megabinary).unwrap(), MARK));
    let said = run(Command::new(&megabinary).arg("--root").arg(&root).args([
        "--cwd",
        "/w",
        "--program",
        "/bin/guest",
        "--",
        "kill",
        "1",
    ]));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (3, "-1: no takeover\n"),
        "{said:?}"
    );
}
