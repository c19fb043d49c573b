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
    guests, polybuild,
    root::{PYTHON, Root},
    run, trace,
    trace::{bad_mappings, is_violation, mappings},
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
