//! The Linux personality against the host: each program of `tests/linux/cases`, compiled natively
//! and for the vkernel, must say the same in equal roots and end in the same way. The differences
//! that we mean stand beside the case, in `NAME.toml`, each with its reason.
//!
//! Needs root (it mounts and changes roots), `out/musl-1.2.5` and `tests/install`. `CASE=NAME`
//! runs one case only.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{collections::BTreeSet, fs, process::Command};

use polybuild_e2e::{
    Said, guests,
    linux::{Case, Roots, cases, each, guest, module},
    run,
};

/// What is wrong with a case; nothing if it is as it should be.
fn compared(case: &Case, native: &Said, ours: &Said) -> String {
    let mut wrong = String::new();
    let mut expected = format!("\n{}", native.stdout);
    for difference in &case.settings.difference {
        let (from, to) = (lines(&difference.native), lines(&difference.ours));
        match expected.contains(&from) {
            true => expected = expected.replacen(&from, &to, 1),
            false => wrong.push_str(&format!(
                "a listed difference is not there natively: {:?}\n",
                difference.native
            )),
        }
    }
    for (what, expected, found) in [
        ("standard output", &expected[1..], &ours.stdout),
        ("standard error", native.stderr.as_str(), &ours.stderr),
    ] {
        if expected != found {
            wrong.push_str(&format!("{what}:\n{}", diff(expected, found)));
        }
    }
    if native.status != ours.status {
        wrong.push_str(&format!(
            "status: native {}, ours {}\n",
            native.status, ours.status
        ));
    }
    if native.status == 124 {
        wrong.push_str("natively it does not end\n");
    }
    wrong
}

/// Text as it stands between other lines.
fn lines(text: &str) -> String {
    match text.trim_end_matches('\n') {
        "" => "\n".to_owned(),
        text => format!("\n{text}\n"),
    }
}

fn diff(native: &str, ours: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("native", native), ("ours", ours)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new("diff");
    command.current_dir(folder.path());
    run(command.args([
        "-a",
        "-U1",
        "--label=native",
        "--label=ours",
        "native",
        "ours",
    ]))
    .stdout
}

/// Runs all cases natively and as `ours` says, and expects no difference.
fn all_compared(ours: impl Fn(&Roots, &Case) -> Said + Sync) {
    let cases = cases();
    assert!(!cases.is_empty(), "no such case");
    let roots = Roots::new(&cases);
    let wrong = each(&cases, |case| {
        compared(case, &roots.native(case), &ours(&roots, case))
    });
    let mut report = String::new();
    for (case, wrong) in cases.iter().zip(&wrong) {
        if !wrong.is_empty() {
            report.push_str(&format!("--- {}\n{wrong}\n", case.name));
        }
    }
    let failed = wrong.iter().filter(|w| !w.is_empty()).count();
    assert!(
        report.is_empty(),
        "{failed} of {} cases differ:\n{report}",
        cases.len()
    );
}

#[test]
fn programs_say_and_do_the_same_as_natively() {
    all_compared(Roots::ours);
}

/// Judging costs time, and nothing else.
#[test]
fn a_policy_that_they_do_not_meet_changes_nothing() {
    all_compared(Roots::ours_judged);
}

/// In the image of all cases, the filter lets through what any of them imports.
#[test]
fn what_they_import_is_enough() {
    all_compared(Roots::ours_alone);
}

/// More system calls than a program of one's own makes: it calls one by a number that the compiler
/// does not know, and so imports every call there is.
const TOO_MANY: usize = 150;

/// What a case says at its head that it is about, it calls. What it says is the page's too
/// (`docs/syscalls.md`).
#[test]
fn the_cases_make_the_calls_that_they_prove() {
    let wrong = each(&cases(), |case| {
        if case.calls.is_empty() {
            return Vec::new();
        }
        let bytes = fs::read(module(case)).unwrap();
        let facts = megabinary_linker::analyse(&case.name, &bytes).unwrap();
        let imports: BTreeSet<&str> = facts
            .imports
            .iter()
            .filter_map(|import| import.field.strip_prefix("SYS_"))
            .collect();
        let mut wrong: Vec<String> = case
            .calls
            .iter()
            .filter(|call| !imports.contains(call.as_str()))
            .map(|call| format!("{} does not call {call}", case.name))
            .collect();
        if imports.len() > TOO_MANY {
            wrong.push(format!("{} calls by a variable number", case.name));
        }
        wrong
    });
    assert_eq!(wrong.concat(), Vec::<String>::new());
}

/// `--dir` at the root itself, and below, in whatever order.
#[test]
fn folders_at_the_root_of_a_bare_module() {
    let outer = tempfile::tempdir().unwrap();
    let (root, part) = (outer.path().join("root"), outer.path().join("part"));
    fs::create_dir_all(root.join("part")).unwrap();
    fs::create_dir_all(root.join("dev")).unwrap();
    fs::create_dir_all(&part).unwrap();
    fs::write(root.join("file"), "of the root\n").unwrap();
    fs::write(root.join("part/hidden"), "hidden\n").unwrap();
    fs::write(part.join("file"), "of the part\n").unwrap();
    let mut command = guests::run_wasm(&guest("folders"));
    command
        .arg("--dir")
        .arg(format!("{}::/part", part.display()));
    command.arg("--dir").arg(format!("{}::/.", root.display()));
    let said = run(guests::args(
        &mut command,
        &["/file", "/part/file", "/part/hidden"],
    ));
    let expected = "/file: of the root\n/part/file: of the part\n/part/hidden: none\n";
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, expected),
        "{said:?}"
    );
    let written = fs::read_to_string(root.join("written")).unwrap();
    assert_eq!(written, "by the guest\n");
    // What is mounted for the guest is nobody else's.
    assert_eq!(fs::read_dir(root.join("dev")).unwrap().count(), 0);
}

/// Some toolchains define the memory of a program with threads instead of importing it.
#[test]
fn a_program_with_threads_that_defines_its_memory() {
    let module = guests::wat(
        "defines",
        r#"(module
            (import "wali" "SYS_write" (func $write (param i32 i32 i32) (result i64)))
            (import "wali" "SYS_exit_group" (func $exit (param i32) (result i64)))
            (import "wali" "__wasm_thread_spawn" (func $spawn (param i32 i32) (result i32)))
            (memory (export "memory") 2 100 shared)
            (data (i32.const 8192) "of both\n")
            (func (export "__wasm_thread_start_libc") (param i32 i32)
                (i32.atomic.store (i32.const 8300) (local.get 1)))
            (func (export "_start")
                (drop (call $spawn (i32.const 0) (i32.const 7)))
                (loop $wait
                    (br_if $wait (i32.ne (i32.atomic.load (i32.const 8300)) (i32.const 7))))
                (drop (call $write (i32.const 1) (i32.const 8192) (i32.const 8)))
                (drop (call $exit (i32.const 3)))))"#,
    );
    let said = run(&mut guests::run_wasm(&module));
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (3, "of both\n"),
        "{said:?}"
    );
}
