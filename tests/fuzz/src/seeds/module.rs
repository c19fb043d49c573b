//! Modules that use what analysis, symbols and grafting look at.

use super::megabinary::{OTHER, PROGRAM};

/// A module that glue is put on.
pub(crate) const MAIN: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_close" (func $a (param i32) (result i32)))
    (memory (export "memory") 1)
    (table 2 funcref)
    (global $__stack_pointer (mut i32) (i32.const 64))
    (data (i32.const 8) "hello\00")
    (elem (i32.const 0) $helper $a)
    (func $helper (result i32) i32.const 7)
    (func (export "run") (result i32)
        (drop (call $a (i32.const 1)))
        (if (i32.lt_s (call $helper) (i32.const 0)) (then (drop (i32.const 120))))
        (call $helper)))"#;

const PASSIVE: &str = r#"(module
    (memory 1 4) (table $t 1 funcref) (start $s)
    (global (mut f64) (f64.const 1)) (global (mut i64) (i64.const 1))
    (data $p "passive") (data (i32.const 65530) "end")
    (func $s
        (memory.init $p (i32.const 0) (i32.const 0) (i32.const 7)) (data.drop $p)
        (table.set $t (i32.const 0) (ref.func $s)))
    (elem declare func $s))"#;

const GLUE: &str = r#"(module
    (import "main" "run" (func $run (result i32)))
    (import "main" "memory" (memory 0))
    (import "main" "__stack_pointer" (global (mut i32)))
    (import "data" "text" (func $text (param i32)))
    (import "data" "text" (global i32))
    (func (export "replace:helper") (result i32) (call $text (i32.const 8)) (call $run))
    (func (export "more") (result i32) (global.get 0)))"#;

/// Main modules and glue, binary; glue as text too.
pub fn modules() -> Vec<Vec<u8>> {
    let mut out: Vec<_> = [MAIN, PASSIVE, PROGRAM, OTHER, GLUE]
        .map(|text| wat::parse_str(text).unwrap())
        .into();
    out.push(GLUE.into());
    out
}
