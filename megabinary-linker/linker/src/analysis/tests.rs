//! Modules that are refused, each with its message, and facts of modules that are not.

use super::*;

fn refused(file: &[u8], expected: &str) {
    let message = analyse("m", file).unwrap_err().to_string();
    assert!(message.starts_with("module `m`: "), "{message}");
    assert!(
        message.contains(expected),
        "expected `{expected}` in `{message}`"
    );
}

fn refused_wat(text: &str, expected: &str) {
    refused(&wat::parse_str(text).unwrap(), expected);
}

fn facts(text: &str) -> Facts {
    analyse("m", &wat::parse_str(text).unwrap()).unwrap()
}

#[test]
fn other_files_are_named() {
    refused(b"", "an empty file");
    refused(b"\x7fELF\x02\x01\x01", "a native ELF file");
    refused(b"#!/bin/sh\n", "a script");
    refused(b"(module)", "WebAssembly text");
    refused(b"hello world", "does not start with `\\0asm`");
    refused_wat("(component)", "a WebAssembly component");
}

#[test]
fn malformed_modules_give_the_offset() {
    let good = wat::parse_str("(module (func (export \"f\") (result i32) i32.const 1))").unwrap();
    refused(&good[..good.len() - 1], "at byte 0x");
    refused_wat(
        "(module (func (result i32) i64.const 1))",
        "expected i32, found i64 (at byte 0x",
    );
}

#[test]
fn unsupported_proposals() {
    refused_wat(
        "(module (memory 1 2 shared))",
        "a shared memory (at byte 0xb), which is not yet",
    );
    refused_wat(
        "(module (import \"env\" \"memory\" (memory 1 2 shared)))",
        "a shared memory",
    );
    refused_wat("(module (memory i64 1))", "a 64-bit memory");
    refused_wat("(module (memory 1) (memory 1))", "more than one memory");
    refused_wat("(module (type (struct)))", "(at byte 0x");
    refused_wat("(module (tag))", "exceptions");
}

#[test]
fn imports_nobody_offers() {
    let import = |module: &str, field: &str, ty: &str| {
        format!("(module (import \"{module}\" \"{field}\" {ty}))")
    };
    let p1 = "wasi_snapshot_preview1";
    refused_wat(
        &import(p1, "fd_wrte", "(func (param i32 i32 i32 i32) (result i32))"),
        "`wasi_snapshot_preview1.fd_wrte` with signature (i32, i32, i32, i32) -> i32 (at byte 0x1",
    );
    refused_wat(
        &import(p1, "fd_wrte", "(func)"),
        "did it mean `wasi_snapshot_preview1.fd_write`?",
    );
    refused_wat(
        &import(p1, "fd_write", "(func (param i64))"),
        "with signature (i64), but `wasi_snapshot_preview1` offers it with (i32, i32, i32, i32) \
         -> i32",
    );
    refused_wat(
        &import("wasi_snapshot_preview2", "fd_write", "(func)"),
        "did it mean",
    );
    refused_wat(&import("wasi_unstable", "fd_write", "(func)"), "preview 0");
    refused_wat(
        &import("env", "pthread_create", "(func)"),
        "missing from the link",
    );
    refused_wat(
        &import("gl", "draw", "(func)"),
        "there are: wasi_snapshot_preview1, vkernel",
    );
    refused_wat(
        &import("env", "memory", "(memory 1)"),
        "the memory `env.memory`",
    );
    refused_wat(
        &import("env", "t", "(table 1 funcref)"),
        "the table `env.t`",
    );
    refused_wat(&import("env", "g", "(global i32)"), "the global `env.g`");
}

#[test]
fn facts_of_a_small_program() {
    let f = facts(
        r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (import "vkernel" "cwd_get" (func (param i32 i32) (result i32)))
            (memory 2 5)
            (global (mut i32) (i32.const 1)) (global i32 (i32.const 2))
            (global (mut f64) (f64.const 3))
            (func $s) (func (export "_start") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))
            (start $s) (data "abc"))"#,
    );
    assert_eq!(
        f.import_names(),
        ["vkernel.cwd_get", "wasi_snapshot_preview1.sched_yield"]
    );
    assert_eq!(
        f.memory,
        Some(Memory {
            minimum: 2,
            maximum: Some(5)
        })
    );
    assert_eq!(f.start, Some(2));
    assert_eq!(
        f.mutable_globals
            .iter()
            .map(|g| g.index)
            .collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!(
        (f.passive_segments, f.names_data, f.functions),
        (1, true, 2)
    );
    assert_eq!(f.exported_function("_start"), Some(3));
}

#[test]
fn what_stands_against_a_snapshot() {
    let check = |body: &str, expected: Option<&str>| {
        let f = facts(&format!(
            "(module {body} (func (export \"vkernel_snapshot_init\"))
              (func (export \"vkernel_snapshot_resume\") (result i32) i32.const 0))"
        ));
        let found = f.snapshot_obstacle();
        match expected {
            None => assert_eq!(found, None),
            Some(text) => assert!(found.as_ref().unwrap().contains(text), "{found:?}"),
        }
    };
    check("(memory 1)", None);
    check("", Some("no memory"));
    check(
        "(memory 1) (table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
        Some("`table.set` at byte"),
    );
    check(
        "(memory 1) (global (mut funcref) (ref.null func))",
        Some("only i32, i64, f32 and f64"),
    );
    let f = facts("(module (memory 1))");
    assert!(
        f.snapshot_obstacle()
            .unwrap()
            .contains("vkernel_snapshot_init")
    );
}
