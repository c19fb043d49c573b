//! No memory becomes executable: the whole run of each form is traced, and the memory map of a
//! live guest is read. Controls show that the trace and the maps can fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use polybuild_e2e::{
    guests,
    linux::{INPUT, Roots, cases},
    polybuild,
    root::{PYTHON, Root},
    run, trace,
    trace::{CALLS_AND_PROCESSES, bad_mappings, family, is_violation, mappings},
    workspace,
};

/// The Pulley form of Python alone; built once, then unchanged.
fn pulley_image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let output = workspace().join("out/vkernel-python-3.12-slim-pulley");
        let said = run(polybuild()
            .args(["--quiet", "build", "--form", "pulley", "--locked", "-o"])
            .arg(&output)
            .arg(workspace().join("base-images/python/3.12-slim/recipe.toml")));
        assert_eq!(said.status, 0, "{}", said.stderr);
        output
    })
}

/// Traces `command` and fails on anything executable; returns the trace.
#[track_caller]
fn check(command: &Command, stdin: &[u8], stdout: &str) -> trace::Traced {
    let traced = trace::trace(command, stdin);
    assert_eq!(
        (traced.said.status, traced.said.stdout.as_str()),
        (0, stdout),
        "{:?}",
        traced.said
    );
    assert!(!traced.after_start().is_empty(), "the trace is empty");
    let found = traced.violations();
    assert!(found.is_empty(), "{found:#?}");
    traced
}

const SCRIPT: &str = "
import json, re, datetime, os, random, zlib
open('/w/f', 'w').write('x' * 100000)
bytearray(64 << 20)
print(json.dumps({'a': re.sub('b', 'c', 'abc')}), len(open('/w/f').read()), sorted(set(os.listdir('/')) - {'bin'}))
";
const SCRIPT_SAYS: &str = "{\"a\": \"acc\"} 100000 ['etc', 'root', 'tmp', 'usr', 'w']\n";

/// Whether the library was read, which a start from the snapshot does not.
fn read_library(command: &Command) -> bool {
    let traced = trace::trace_calls(command, "openat,openat2", b"");
    assert_eq!(traced.said.status, 0, "{:?}", traced.said);
    traced.lines.iter().any(|l| l.contains("python312.zip"))
}

#[test]
fn start_from_the_snapshot() {
    let root = Root::python();
    let command = root.python3(&["-c", "print(1)"]);
    check(&command, b"", "1\n");
    assert!(
        !read_library(&command),
        "that was not a start from the snapshot"
    );
    check(&root.python3(&["-c", SCRIPT]), b"", SCRIPT_SAYS);
    check(
        &root.python3(&["-"]),
        b"import sys\nprint(sys.argv)\n",
        "['-']\n",
    );
}

#[test]
fn start_without_the_snapshot() {
    let root = Root::python();
    let command = root.python3(&["-S", "-c", "print(1)"]);
    check(&command, b"", "1\n");
    assert!(read_library(&command), "that was a start from the snapshot");
    check(&root.python3(&["-S", "-c", SCRIPT]), b"", SCRIPT_SAYS);
}

#[test]
fn through_a_stub_as_in_a_container() {
    // The host kernel runs the stub in a root of its own.
    let root = Root::python();
    let mut command = root.contained(&[PYTHON, "-c", "print(1)"]);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let traced = trace::trace(&command, b"");
    assert_eq!(
        (traced.said.status, traced.said.stdout.as_str()),
        (0, "1\n"),
        "{:?}",
        traced.said
    );
    // unshare(1) is a native program: what counts begins with the stub.
    let stub = traced
        .lines
        .iter()
        .rposition(|l| l.contains("execve(\"/usr/local/bin/python3\""));
    let after = &traced.lines[stub.unwrap() + 1..];
    assert!(!after.is_empty());
    assert!(!after.iter().any(|l| is_violation(l)), "{after:#?}");
}

#[test]
fn pulley() {
    let root = Root::of(pulley_image());
    check(&root.python3(&["-c", "print(1)"]), b"", "1\n");
    check(&root.python3(&["-S", "-c", "print(1)"]), b"", "1\n");
    check(&root.python3(&["-c", SCRIPT]), b"", SCRIPT_SAYS);
}

#[test]
fn a_packed_module_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    for form in ["x86-64", "pulley"] {
        let packed = guests::pack(&guests::c("hello"), form, folder.path());
        check(&Command::new(&packed), b"", "hello\n");
    }
}

/// Executable mappings of a guest that waits for input, as (file, permissions).
fn executable_while_waiting(mut command: Command, program: &Path) -> Vec<(String, String)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    let maps = mappings(child.id());
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    let program = fs::canonicalize(program).unwrap();
    assert_eq!(bad_mappings(&maps, &program), []);
    assert!(maps.iter().any(|m| m.perms.starts_with("rw-")));
    let name = program.to_str().unwrap();
    maps.into_iter()
        .filter(|m| m.perms.contains('x') && m.path == name)
        .map(|m| (m.path, m.perms))
        .collect()
}

#[test]
fn maps_of_a_live_guest() {
    let wait = ["-c", "print('ready', flush=True); input()"];
    // The launcher's text, and the compiled code of Python, dash and busybox; Pulley's bytecode is
    // data.
    for (root, texts) in [(Root::python_unshared(), 4), (Root::of(pulley_image()), 1)] {
        let program = root.path().join(".vkernel/megabinary");
        let found = executable_while_waiting(root.python3(&wait), &program);
        assert_eq!(found.len(), texts, "{found:?}");
        assert!(found.iter().all(|(_, perms)| perms == "r-xp"), "{found:?}");
    }
}

/// The calls of a run from where the host executes `program`, which must be its last `execve`, and
/// whose own processes and threads the trace follows.
#[track_caller]
fn after_program<'a>(traced: &'a trace::Traced, program: &str) -> &'a [String] {
    let call = format!("execve(\"{program}\"");
    let at = traced.lines.iter().rposition(|l| l.contains(&call));
    let at = at.unwrap_or_else(|| panic!("no {call} in {:#?}", traced.lines));
    let after = &traced.lines[at + 1..];
    // Memory of a file without a name is no more than other memory: what counts is how it is
    // mapped.
    let bad: Vec<&String> = after
        .iter()
        .filter(|l| is_violation(l) && !l.contains("memfd_create("))
        .collect();
    assert!(bad.is_empty(), "{program}: {bad:#?}");
    after
}

/// Processes and threads that a trace shows the beginning of.
fn begun(lines: &[String]) -> (usize, usize) {
    let clones = lines
        .iter()
        .filter(|l| ["clone(", "clone3(", "fork("].iter().any(|c| l.contains(c)))
        .filter(|l| !l.contains("resumed"));
    let (threads, processes): (Vec<_>, Vec<_>) = clones.partition(|l| l.contains("CLONE_THREAD"));
    (processes.len(), threads.len())
}

/// Programs of the comparison suite, in all their processes and threads: each ends as it does
/// untraced, with at least so many processes and threads begun.
#[test]
fn linux_programs_that_fork_execute_and_have_threads() {
    // In CASE's sense, one case may be left out.
    let all = cases();
    let roots = Roots::new(&all);
    for (name, processes, threads) in [
        ("fork", 3, 0),
        ("exec", 5, 0),
        ("spawn", 2, 0),
        ("clone", 3, 0),
        ("mmap", 1, 0),
        ("mprotect", 0, 0),
        ("fault", 1, 0),
        ("sigaction", 0, 0),
        ("threads", 1, 200),
        ("threadexec", 5, 30),
        ("robust", 4, 4),
        ("cancel", 0, 5),
    ] {
        let Some(case) = all.iter().find(|case| case.name == name) else {
            continue;
        };
        let command = roots.command(case);
        let traced = trace::trace_calls(&command, CALLS_AND_PROCESSES, INPUT);
        let untraced = roots.ours(case);
        assert_eq!(
            traced.said.status, untraced.status,
            "{name}: {:?}",
            traced.said
        );
        let after = after_program(&traced, &format!("/bin/{name}"));
        let begun = begun(after);
        assert!(
            begun.0 >= processes && begun.1 >= threads,
            "{name}: only {begun:?} processes and threads were seen"
        );
    }
}

/// The shell of the Python image, and through it busybox and Python: pipelines, subshells,
/// substitution, background jobs.
#[test]
fn shell_pipelines() {
    let script = "
        printf 'b\\na\\n' | sort | (read x; echo $x; exit 3); echo $?
        for i in 1 2 3; do (echo $i | cat) & done | sort; wait
        echo $(echo $(echo $(uname)))
        trap 'echo bye' EXIT
        echo 'print(6*7)' | python3 - | tr 4 5
        find /etc -type f | xargs ls | wc -l | grep -c .
        exec busybox true";
    let said = "a\n3\n1\n2\n3\nLinux\n52\n1\n";
    let root = Root::python();
    // What background jobs read.
    root.write("/dev/null", "");
    let mut command = root.contained(&["/bin/sh", "-c", script]);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let traced = trace::trace_calls(&command, CALLS_AND_PROCESSES, b"");
    assert_eq!(
        (traced.said.status, traced.said.stdout.as_str()),
        (0, said),
        "{:?}",
        traced.said
    );
    let after = after_program(&traced, "/bin/sh");
    assert!(begun(after).0 >= 15, "{after:#?}");
}

#[test]
fn maps_of_a_live_pipeline() {
    let root = Root::python_unshared();
    for folder in ["proc", "dev"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    let program = fs::canonicalize(root.path().join(".vkernel/megabinary")).unwrap();
    // Each process says that it is there before it waits for its input's end.
    let script = "(echo 1 >&2; cat) | (echo 2 >&2; tr a b) | (echo 3 >&2; python3 -c '
import sys
print(4, file=sys.stderr, flush=True)
print(sys.stdin.read())')";
    let mut child = root
        .program("/bin/sh", &["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said: Vec<String> = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .take(4)
        .map(Result::unwrap)
        .collect();
    said.sort();
    assert_eq!(said, ["1", "2", "3", "4"]);
    let family = family(child.id());
    assert!(family.len() >= 4, "{family:?}");
    for pid in family {
        let maps = mappings(pid);
        assert_eq!(bad_mappings(&maps, &program), [], "process {pid}");
        assert!(maps.iter().any(|m| m.perms.contains('x')));
    }
    child.stdin.take().unwrap().write_all(b"aaa").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "bbb\n");
}

/// A native program does one forbidden thing; the trace must show it.
#[track_caller]
fn control(name: &str, body: &str, flagged: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("act.c"), folder.path().join("act"));
    let includes = "#define _GNU_SOURCE\n#include <sys/mman.h>\n#include <sys/shm.h>\n\
                    #include <sys/personality.h>\n#include <unistd.h>\n#include <stdio.h>\n";
    fs::write(
        &source,
        format!("{includes}int main(void) {{ {body}; return 0; }}\n"),
    )
    .unwrap();
    let cc = run(Command::new("gcc")
        .args(["-static", "-w", "-o"])
        .arg(&program)
        .arg(&source));
    assert_eq!(cc.status, 0, "{}", cc.stderr);
    let traced = trace::trace(&Command::new(&program), b"");
    assert_eq!(
        !traced.violations().is_empty(),
        flagged,
        "{name}: {:#?}",
        traced.lines
    );
}

#[test]
fn the_trace_can_fail() {
    let map =
        |prot: &str| format!("char *p = mmap(0, 4096, {prot}, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)");
    control("nothing", &map("PROT_READ|PROT_WRITE"), false);
    control("mmap", &map("PROT_READ|PROT_EXEC"), true);
    control(
        "mprotect",
        &format!(
            "{}; mprotect(p, 4096, PROT_READ|PROT_EXEC)",
            map("PROT_READ")
        ),
        true,
    );
    control(
        "pkey_mprotect",
        &format!(
            "{}; pkey_mprotect(p, 4096, PROT_READ|PROT_EXEC, -1)",
            map("PROT_READ")
        ),
        true,
    );
    control("memfd_create", "memfd_create(\"x\", 0)", true);
    control(
        "shmat",
        "shmat(shmget(0, 4096, 0600|01000), 0, SHM_EXEC)",
        true,
    );
    control("personality", "personality(READ_IMPLIES_EXEC)", true);
    control(
        "execve",
        "char *v[] = {\"/bin/true\", 0}; execve(v[0], v, 0)",
        true,
    );
}

#[test]
fn the_maps_can_fail() {
    // This test program itself: its C library is executable and not its own file.
    let own = std::env::current_exe().unwrap();
    assert_ne!(bad_mappings(&mappings(std::process::id()), &own), []);
}
