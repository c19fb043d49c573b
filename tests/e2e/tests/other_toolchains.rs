//! Modules of the `wali` interface that other toolchains made: their imports differ in what does not
//! matter, and they run as they are.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::process::Command;

use polybuild_e2e::{guests, linux::zig, run, workspace};

/// A program by such a toolchain: four arguments where Linux looks at three, words of 64 bits, another
/// name for a call, and calls that give nothing because they do not come back.
const PROGRAM: &str = r#"(module
  (import "wali" "__init" (func $init (result i32)))
  (import "wali" "__get_init_envfile" (func $envfile (param i32 i32) (result i32)))
  (import "wali" "__cl_get_argc" (func $argc (result i32)))
  (import "wali" "SYS_faccessat" (func $faccessat (param i64 i32 i32 i64) (result i64)))
  (import "wali" "SYS_fchmodat" (func $fchmodat (param i32 i32 i32 i32) (result i64)))
  (import "wali" "SYS_fadvise" (func $fadvise (param i32 i64 i64 i32) (result i64)))
  (import "wali" "SYS_openat" (func $openat (param i32 i32 i32 i32) (result i64)))
  (import "wali" "SYS_write" (func $write (param i32 i32 i32) (result i64)))
  (import "wali" "SYS_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 4096) "/dev/null\00the program ran\n")
  (func $check (param $got i64) (param $expected i64) (param $status i32)
    (if (i64.ne (local.get $got) (local.get $expected)) (then (call $exit (local.get $status)))))
  (func (export "_start") (local $file i32)
    (drop (call $init))
    (call $check (i64.extend_i32_s (call $envfile (i32.const 8192) (i32.const 64))) (i64.const 0) (i32.const 1))
    (call $check (i64.extend_i32_s (call $argc)) (i64.const 2) (i32.const 2))
    ;; AT_FDCWD, R_OK; flags that Linux does not look at.
    (call $check (call $faccessat (i64.const -100) (i32.const 4096) (i32.const 4) (i64.const 999)) (i64.const 0) (i32.const 3))
    ;; EBADF: the descriptor is looked at, also by this number of arguments.
    (call $check (call $fchmodat (i32.const 77) (i32.const 4097) (i32.const 0) (i32.const 1)) (i64.const -9) (i32.const 4))
    (local.set $file (i32.wrap_i64 (call $openat (i32.const -100) (i32.const 4096) (i32.const 0) (i32.const 0))))
    (call $check (call $fadvise (local.get $file) (i64.const 0) (i64.const 0) (i32.const 1)) (i64.const 0) (i32.const 5))
    (call $check (call $fadvise (local.get $file) (i64.const 0) (i64.const 0) (i32.const 99)) (i64.const -22) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 4106) (i32.const 16)))
    (call $exit (i32.const 7)))
)"#;

#[test]
fn their_programs_run() {
    let module = guests::wat("other_toolchain", PROGRAM);
    let said = run(guests::run_wasm(&module).args(["--", "one"]));
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (7, "the program ran\n", "")
    );
}

/// The vkernel has one interface, whatever a program's `long` is.
#[test]
fn a_long_of_64_bits_is_theirs_to_have() {
    let folder = tempfile::tempdir().unwrap();
    let source = workspace().join("tests/e2e/guests/linux/wide_long.c");
    let tool = |name: &str, arguments: &[&str]| {
        let said = run(Command::new(zig())
            .arg(name)
            .args(arguments)
            .env("ZIG_GLOBAL_CACHE_DIR", folder.path())
            .env("ZIG_LOCAL_CACHE_DIR", folder.path())
            .current_dir(folder.path()));
        assert_eq!(said.status, 0, "{}", said.stderr);
    };
    let source = source.to_string_lossy();
    let target = "--target=wasm32-linux-muslwali";
    let compile = ["-O1", "-ffreestanding", "-c", "-o", "wide.o"];
    tool(
        "clang",
        &[&[target], &compile[..], &[source.as_ref()]].concat(),
    );
    tool("wasm-ld", &["--no-entry", "-o", "wide.wasm", "wide.o"]);
    let said = run(guests::run_wasm(&folder.path().join("wide.wasm"))
        .args(["--dir"])
        .arg(format!("{}::/tmp", folder.path().display())));
    assert_eq!(
        (said.status, said.stdout.as_str(), said.stderr.as_str()),
        (7, "64-bit long\n", "")
    );
}

#[test]
fn what_differs_in_more_is_refused() {
    for import in [
        r#"(import "wali" "SYS_faccessat" (func (param i32 i32 i32 i32 i32) (result i64)))"#,
        r#"(import "wali" "SYS_write" (func (param i32 i32 i32)))"#,
        r#"(import "wali" "SYS_exit" (func (param i32) (result i32)))"#,
        r#"(import "wali" "SYS_write" (func (param i32 f64 i32) (result i64)))"#,
    ] {
        let text =
            format!(r#"(module {import} (memory (export "memory") 1) (func (export "_start")))"#);
        let said = run(&mut guests::run_wasm(&guests::wat("refused", &text)));
        assert_eq!(said.status, 3, "{import}: {said:?}");
        assert!(said.stderr.contains("`wali.SYS_"), "{import}: {said:?}");
    }
}
