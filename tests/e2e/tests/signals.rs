//! SIGTERM and SIGINT end a guest at once, computing or blocked, also as PID 1 of a container,
//! where the host kernel would discard a signal that nobody handles.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use polybuild_e2e::{
    guests,
    root::{PYTHON, Root},
    run,
};

/// "Well under a second", on a busy machine.
const PROMPT: Duration = Duration::from_millis(900);

/// What a guest does when the signal comes, after a line that says it is about to.
const ACTS: [(&str, &str); 4] = [
    ("computing", "print('ready', flush=True)\nwhile True: pass"),
    ("in C", "print('ready', flush=True)\nsum(range(10**12))"),
    (
        "sleeping",
        "import time\nprint('ready', flush=True)\ntime.sleep(600)",
    ),
    ("reading", "print('ready', flush=True)\ninput()"),
];

/// A command started, with its input open, and past its first line.
struct Started {
    child: Child,
}

fn start(command: &mut Command) -> Started {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    // Into the call that blocks.
    thread::sleep(Duration::from_millis(20));
    Started { child }
}

/// The command with no signal ignored, whoever started this and how (`nohup`, a shell's `&`).
fn with_default_signals(command: &Command) -> Command {
    let mut env = Command::new("env");
    env.arg("--default-signal")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => env.env(name, value),
            None => env.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        env.current_dir(folder);
    }
    env
}

fn kill(pid: u32, signal: &str) {
    let said = run(Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(pid.to_string()));
    assert_eq!(said.status, 0, "{said:?}");
}

impl Started {
    /// Sends the signal to `pid`, and waits; fails if that takes long.
    #[track_caller]
    fn end(mut self, pid: u32, signal: &str) -> ExitStatus {
        let sent = Instant::now();
        kill(pid, signal);
        while sent.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(sent.elapsed() < PROMPT, "{:?}", sent.elapsed());
                return status;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        panic!("still running 20 s after SIG{signal}");
    }
}

#[test]
fn end_by_the_signal_itself() {
    let root = Root::python();
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("QUIT", 3)] {
        for (what, code) in ACTS {
            let started = start(&mut with_default_signals(&root.python3(&["-c", code])));
            let pid = started.child.id();
            let status = started.end(pid, name);
            assert_eq!(
                status.signal(),
                Some(number),
                "{what}, SIG{name}: {status:?}"
            );
        }
    }
}

#[test]
fn end_of_a_bare_module() {
    let mut command = guests::run_wasm(&guests::wat(
        "spin",
        "(module (import \"wasi_snapshot_preview1\" \"fd_write\"
            (func $w (param i32 i32 i32 i32) (result i32)))
          (memory (export \"memory\") 1)
          (data (i32.const 0) \"\\10\\00\\00\\00\\06\\00\\00\\00\") (data (i32.const 16) \"ready\\n\")
          (func (export \"_start\")
            (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (loop $l br $l)))",
    ));
    let started = start(&mut command);
    let pid = started.child.id();
    assert_eq!(started.end(pid, "TERM").signal(), Some(15));
}

/// The process that `parent` has started.
fn child_of(parent: u32) -> u32 {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(path).unwrap();
    children
        .split_ascii_whitespace()
        .next()
        .expect("a child")
        .parse()
        .unwrap()
}

#[test]
fn end_as_the_first_process_of_a_container() {
    let root = Root::python();
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        for (what, code) in ACTS {
            let mut command = root.contained(&[PYTHON, "-u", "-c", code]);
            let started = start(&mut command);
            let first = child_of(started.child.id());
            let status = fs::read_to_string(format!("/proc/{first}/status")).unwrap();
            let pids = status.lines().find(|l| l.starts_with("NSpid:")).unwrap();
            assert!(pids.ends_with("\t1"), "{pids}");
            // unshare(1) passes its child's status on.
            let ended = started.end(first, name);
            assert_eq!(
                ended.code(),
                Some(128 + number),
                "{what}, SIG{name}: {ended:?}"
            );
        }
    }
}

#[test]
fn ignored_signals_stay_ignored() {
    // As `nohup` and a shell's background jobs have it.
    let root = Root::python();
    let command = root.python3(&["-c", ACTS[3].1]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    let started = start(&mut shell);
    let pid = started.child.id();
    kill(pid, "HUP");
    kill(pid, "INT");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(started.end(pid, "TERM").signal(), Some(15));
}

#[test]
fn a_handler_in_python_is_not_promised() {
    // WASI has no signals: what a program sets has no effect, and ending stays prompt.
    let root = Root::python();
    let code = "
try:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
except (ImportError, AttributeError, OSError, ValueError):
    pass
print('ready', flush=True)
input()
";
    let started = start(&mut root.python3(&["-c", code]));
    let pid = started.child.id();
    assert_eq!(started.end(pid, "TERM").signal(), Some(15));
}
