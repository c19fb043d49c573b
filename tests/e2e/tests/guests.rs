//! Bare modules, C and WebAssembly text: what they are given, how they end, what they may be made
//! of, and the limits of a policy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use polybuild_e2e::{Said, guests, guests::args, output_with, polybuild, run, run_with, said};

fn echo(arguments: &[&str]) -> Command {
    let mut command = guests::run_wasm(&guests::c("echo"));
    args(&mut command, arguments);
    command
}

#[track_caller]
fn check(said: &Said, status: i32, stdout: &str, stderr: &str) {
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (status, stdout, stderr)
    );
}

#[test]
fn arguments() {
    check(&run(&mut echo(&["args"])), 0, "[echo.wasm]\n[args]\n", "");
    let odd = ["args", "", "a b", "--dir", "é\u{1f600}", "--"];
    check(
        &run(&mut echo(&odd)),
        0,
        "[echo.wasm]\n[args]\n[]\n[a b]\n[--dir]\n[é\u{1f600}]\n[--]\n",
        "",
    );
    let long = "x".repeat(100_000);
    let said = run(&mut echo(&["args", &long]));
    assert_eq!(said.stdout.lines().nth(2).unwrap().len(), 100_002);
}

#[test]
fn environment() {
    let mut command = guests::run_wasm(&guests::c("echo"));
    command.env("OUTER", "1").env("VKERNEL_AUDIT", "off");
    command.args(["--env", "A=1", "--env", "B=x=y", "--env", "EMPTY="]);
    let said = run(args(&mut command, &["env"]));
    let lines: Vec<&str> = said.stdout.lines().collect();
    for line in ["A=1", "B=x=y", "EMPTY="] {
        assert!(lines.contains(&line), "{line} in {lines:?}");
    }
    // As the wasmtime command: nothing that was not asked for.
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn every_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let packed = guests::pack(&guests::c("echo"), "x86-64", folder.path());
    for status in 0..=255 {
        let said = run(Command::new(&packed).args(["--", "exit", &status.to_string()]));
        check(&said, status, "", "");
    }
    // As a native program's: the low eight bits.
    check(
        &run(Command::new(&packed).args(["--", "exit", "256"])),
        0,
        "",
        "",
    );
    check(
        &run(Command::new(&packed).args(["--", "exit", "-1"])),
        255,
        "",
        "",
    );
}

#[test]
fn megabytes_through_pipes() {
    let input: Vec<u8> = (0..8_000_000u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let output = output_with(&mut echo(&["cat"]), &input);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.stdout == input,
        "{} of {} bytes",
        output.stdout.len(),
        input.len()
    );
}

#[test]
fn a_reader_that_leaves() {
    let mut child = echo(&["yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    let said = said(&child.wait_with_output().unwrap());
    // EPIPE of WASI; no signal ends the program.
    check(&said, 3, "", "errno 64 epipe 1\n");
}

#[test]
fn closed_standard_streams() {
    check(&run(&mut echo(&["close"])), 5, "", "0 0 -1 1\n-1 1\n");
    // Streams that the parent closed: reading and writing fail, starting does not.
    let folder = tempfile::tempdir().unwrap();
    let packed = guests::pack(&guests::c("echo"), "x86-64", folder.path());
    let closed = |redirections: &str, act: &str| {
        run(Command::new("sh")
            .arg("-c")
            .arg(format!("exec \"$0\" -- {act} {redirections}"))
            .arg(&packed))
    };
    assert_eq!(closed("<&-", "exit 4").status, 4);
    assert_eq!(closed(">&-", "exit 4").status, 4);
    assert_eq!(closed("<&- >&- 2>&-", "exit 4").status, 4);
}

#[test]
fn traps_say_what_where_and_in_what() {
    let folder = tempfile::tempdir().unwrap();
    for form in ["x86-64", "pulley"] {
        let packed = guests::pack(&guests::c("crash"), form, folder.path());
        for (how, trap, function) in [
            ("unreachable", "unreachable", "crash_unreachable"),
            (
                "out-of-bounds",
                "out of bounds memory access",
                "crash_out_of_bounds",
            ),
            ("recursion", "call stack exhausted", "crash_recursion"),
            ("divide", "integer divide by zero", "crash_divide"),
            ("overflow", "integer overflow", "crash_overflow"),
            ("call", "indirect call type mismatch", "crash_call"),
            ("null-call", "uninitialized element", "crash_null_call"),
            ("abort", "unreachable", "abort"),
        ] {
            let said = run(Command::new(&packed).args(["--", how]));
            assert_eq!(said.status, 134, "{form} {how}: {said:?}");
            // What was written before is not lost.
            assert_eq!(said.stdout, "before\n", "{form} {how}");
            let first = said.stderr.lines().next().unwrap_or_default();
            assert!(
                first.starts_with("vkernel: crash trapped in module `crash`: "),
                "{first}"
            );
            assert!(first.contains(trap), "{form} {how}: {first}");
            assert!(
                said.stderr.contains(&format!("{function} (function ")),
                "{form} {how}: {}",
                said.stderr
            );
            // A stack of thousands of frames is not printed whole.
            assert!(said.stderr.lines().count() < 40, "{how}");
        }
        let said = run(Command::new(&packed).args(["--", "deep"]));
        check(&said, 0, "before\n20000\n", "");
    }
}

/// Runs a module of WebAssembly text with a `_start`.
fn wat(name: &str, fields: &str) -> Said {
    let text = format!(
        "(module
          (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
          {fields})"
    );
    run(&mut guests::run_wasm(&guests::wat(name, &text)))
}

#[test]
fn modules_of_every_make() {
    for (name, fields, status) in [
        ("no-memory", "(func (export \"_start\") (call $exit (i32.const 7)))", 7),
        ("no-exit", "(func (export \"_start\"))", 0),
        (
            "start-function",
            "(global $g (mut i32) (i32.const 1)) (func $s (global.set $g (i32.const 9)))
             (start $s) (func (export \"_start\") (call $exit (global.get $g)))",
            9,
        ),
        (
            "start-function-exits",
            "(func $s (call $exit (i32.const 4))) (start $s)
             (func (export \"_start\") (call $exit (i32.const 5)))",
            4,
        ),
        (
            "globals",
            "(global $a (mut i32) (i32.const 1)) (global $b i32 (i32.const 2))
             (global $c (mut i64) (i64.const 30)) (global $d (mut f32) (f32.const 4.5))
             (global $e (mut f64) (f64.const -0.5)) (global $f i64 (i64.const 6))
             (func (export \"_start\")
               (global.set $d (f32.add (global.get $d) (f32.const 0.5)))
               (call $exit (i32.add (i32.add (global.get $a) (global.get $b))
                 (i32.add (i32.wrap_i64 (i64.add (global.get $c) (global.get $f)))
                   (i32.add (i32.trunc_f32_s (global.get $d))
                            (i32.trunc_f64_s (f64.mul (global.get $e) (f64.const -4))))))))",
            46,
        ),
        (
            "passive-data",
            "(memory (export \"memory\") 1) (data $p \"\\00\\00\\0b\\00\") (data (i32.const 8) \"\\05\")
             (func (export \"_start\")
               (memory.init $p (i32.const 100) (i32.const 2) (i32.const 1)) (data.drop $p)
               (call $exit (i32.add (i32.load8_u (i32.const 100)) (i32.load8_u (i32.const 8)))))",
            16,
        ),
        (
            "dropped-data",
            "(memory (export \"memory\") 1) (data $p \"abcd\")
             (func (export \"_start\") (data.drop $p)
               (memory.init $p (i32.const 0) (i32.const 0) (i32.const 1)))",
            134,
        ),
        (
            "active-data-dropped-at-start",
            "(memory (export \"memory\") 1) (data $p (i32.const 0) \"abcd\")
             (func (export \"_start\") (memory.init $p (i32.const 9) (i32.const 0) (i32.const 1)))",
            134,
        ),
        (
            "memory-not-exported",
            "(memory 1) (data (i32.const 3) \"\\2a\")
             (func (export \"_start\") (call $exit (i32.load8_u (i32.const 3))))",
            42,
        ),
        (
            "overlapping-data",
            "(memory (export \"memory\") 1) (data (i32.const 0) \"\\01\\02\\03\") (data (i32.const 1) \"\\09\")
             (func (export \"_start\") (call $exit (i32.add (i32.load8_u (i32.const 1)) (i32.load8_u (i32.const 2)))))",
            12,
        ),
        (
            "data-at-the-end",
            "(memory (export \"memory\") 2) (data (i32.const 131071) \"\\08\")
             (func (export \"_start\") (call $exit (i32.load8_u (i32.const 131071))))",
            8,
        ),
        (
            "data-out-of-bounds",
            "(memory (export \"memory\") 1) (data (i32.const 65535) \"ab\") (func (export \"_start\"))",
            -1,
        ),
        (
            "memory-of-no-pages",
            "(memory (export \"memory\") 0) (func (export \"_start\")
               (drop (memory.grow (i32.const 2))) (i32.store (i32.const 70000) (i32.const 3))
               (call $exit (i32.add (memory.size) (i32.load (i32.const 70000)))))",
            5,
        ),
        (
            "declared-maximum",
            "(memory (export \"memory\") 1 3) (func (export \"_start\")
               (call $exit (i32.sub (memory.grow (i32.const 2)) (memory.grow (i32.const 1)))))",
            2,
        ),
        (
            "tables",
            "(type $t (func (result i32))) (table 4 funcref) (elem (i32.const 1) $f $g)
             (elem $p func $g) (func $f (result i32) (i32.const 3)) (func $g (result i32) (i32.const 10))
             (func (export \"_start\")
               (table.init $p (i32.const 3) (i32.const 0) (i32.const 1))
               (call $exit (i32.add (call_indirect (type $t) (i32.const 1)) (call_indirect (type $t) (i32.const 3)))))",
            13,
        ),
        (
            "tail-of-host-calls",
            "(func $exit2 (param i32) (call $exit (local.get 0)) unreachable)
             (func (export \"_start\") (call $exit2 (i32.const 200)))",
            200,
        ),
    ] {
        let said = wat(name, fields);
        if status == -1 {
            // Known before it could run.
            assert!(said.status != 0 && said.stderr.contains("data"), "{name}: {said:?}");
            continue;
        }
        assert_eq!((said.status, said.stdout.as_str()), (status, ""), "{name}: {said:?}");
        assert_eq!(said.stderr.is_empty(), status != 134, "{name}: {said:?}");
    }
}

/// An image of one program, `/bin/NAME`, from the C guest `name`; returns its output folder.
fn image(folder: &Path, name: &str, policy: &str) -> PathBuf {
    fs::copy(guests::c(name), folder.join("guest.wasm")).unwrap();
    let recipe = format!(
        "[recipe]\nname = \"{name}\"\nversion = \"1.0.0\"\nkind = \"image\"\n\
         [[module]]\nname = \"{name}\"\nfile = \"path:guest.wasm\"\n\
         [[program]]\nname = \"{name}\"\nmodule = \"{name}\"\npaths = [\"/bin/{name}\"]\n\
         [image]\nname = \"test/{name}\"\ntag = \"1\"\n[policy]\n{policy}\n"
    );
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let output = folder.join("out");
    let said = run(polybuild()
        .arg("--quiet")
        .arg(folder.join("recipe.toml"))
        .arg("-o")
        .arg(&output));
    assert_eq!(said.status, 0, "{}", said.stderr);
    output
}

fn in_image(image: &Path, argv: &[&str]) -> Command {
    let mut command = polybuild();
    command
        .args(["run", "--quiet"])
        .arg(image)
        .arg("--")
        .args(argv);
    command
}

#[test]
fn memory_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limited = image(folder.path(), "limits", "memory-max = \"32MiB\"");
    let said = run(&mut in_image(&limited, &["/bin/limits", "memory"]));
    check(&said, 0, "512 pages, no more\n", "");
}

#[test]
fn memory_limit_below_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let limited = image(folder.path(), "limits", "memory-max = \"64KiB\"");
    let said = run(&mut in_image(&limited, &["/bin/limits", "memory"]));
    assert_eq!((said.status, said.stdout.as_str()), (137, ""), "{said:?}");
    assert!(
        said.stderr
            .contains("its policy allows 65536 (policy `memory-max`)"),
        "{}",
        said.stderr
    );
}

#[test]
fn wall_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limited = image(folder.path(), "limits", "wall-time-max = \"300ms\"");
    for (act, says) in [
        ("spin", "spinning\n"),
        ("read", "reading\n"),
        ("sleep", "sleeping\n"),
    ] {
        let started = Instant::now();
        let mut child = in_image(&limited, &["/bin/limits", act])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let said = said(&child.wait_with_output().unwrap());
        drop(stdin);
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (137, says),
            "{act}: {said:?}"
        );
        assert!(
            said.stderr.contains("wall-clock limit of 300 ms"),
            "{act}: {}",
            said.stderr
        );
        let took = started.elapsed();
        assert!(
            took >= Duration::from_millis(300) && took < Duration::from_secs(10),
            "{took:?}"
        );
    }
    // A program that ends in time is not touched.
    let said = run_with(&mut in_image(&limited, &["/bin/limits", "read"]), b"\x07");
    check(&said, 7, "reading\n", "");
}

#[test]
fn open_files_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limited = image(folder.path(), "limits", "open-files-max = 20");
    let said = run(&mut in_image(&limited, &["/bin/limits", "files"]));
    let opened: u32 = said
        .stdout
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{said:?}"));
    // Standard streams and the root count.
    assert!((10..20).contains(&opened), "{opened}");
}
