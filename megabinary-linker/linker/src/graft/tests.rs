//! Grafts small modules and reads the result back.

use super::*;

const MAIN: &str = r#"(module
    (import "w" "a" (func $a (param i32)))
    (memory (export "memory") 1)
    (table 2 funcref)
    (global $__stack_pointer (mut i32) (i32.const 64))
    (data (i32.const 8) "hello\00")
    (elem (i32.const 0) $helper $a)
    (func $helper (result i32) i32.const 7)
    (func (export "run") (result i32)
        (call $a (i32.const 1))
        (if (i32.lt_s (call $helper) (i32.const 0)) (then (drop (i32.const 120))))
        (call $helper)))"#;

fn run(glue: &str) -> Result<String, GraftError> {
    let main = wat::parse_str(MAIN).unwrap();
    let out = Graft::new(&main, glue.as_bytes())
        .data("text", b"0123456789")
        .without(10..12)
        .apply()?;
    assert_eq!(
        out,
        Graft::new(&main, glue.as_bytes())
            .data("text", b"0123456789")
            .without(10..12)
            .apply()?,
        "not deterministic"
    );
    let symbols = Symbols::read(&out)?;
    let mut text = format!("imports {:?}\n", symbols.imports);
    for (name, (kind, index)) in &symbols.exports {
        text.push_str(&format!("export {name} {kind:?} {index}\n"));
    }
    for (index, _) in symbols.defined() {
        let ops = symbols.operators(index)?.unwrap_or_default();
        let ops: Vec<String> = ops
            .iter()
            .filter_map(|op| match op {
                wasmparser::Operator::Call { function_index } => {
                    Some(format!("call {function_index}"))
                }
                wasmparser::Operator::GlobalGet { global_index } => {
                    Some(format!("global {global_index}"))
                }
                wasmparser::Operator::I64Store { memarg } => {
                    Some(format!("store {}", memarg.offset))
                }
                _ => None,
            })
            .collect();
        text.push_str(&format!("{index}: {}\n", ops.join(", ")));
    }
    text.push_str(&format!("data {:?}\n", symbols.data));
    Ok(text)
}

fn check(glue: &str, expected: &str) {
    let trim = |s: &str| {
        let lines: Vec<&str> = s.trim().lines().map(str::trim).collect();
        lines.join("\n")
    };
    assert_eq!(trim(&run(glue).unwrap()), trim(expected), "{glue}");
}

fn check_error(glue: &str, expected: &str) {
    let error = run(glue).unwrap_err().to_string();
    assert!(error.contains(expected), "{glue}: {error}");
}

#[test]
fn imports_shift_and_replacements_apply() {
    check(
        r#"(module
            (import "main" "helper" (func $helper (result i32)))
            (import "w" "a" (func $a (param i32)))
            (import "v" "new" (func $new (result i32)))
            (import "data" "text" (func $text (param i32)))
            (import "data" "text" (global $size i32))
            (import "main" "__stack_pointer" (global $sp (mut i32)))
            (import "main" "memory" (memory 0))
            (import "main" "table" (table 0 funcref))
            (global $mine (mut i32) (i32.const 5))
            (func $other (param i32) (call $a (i32.add (call $helper) (call $new))))
            (func (export "hook") (result i32) (call $text (global.get $sp))
                (drop (global.get $mine)) (global.get $size))
            (export "replace:import:w.a" (func $other))
            (func (export "replace:helper") (result i32) (call $helper)))"#,
        // Functions: 0 a, 1 new, 2 helper, 3 run, 4 other, 5 hook, 6 the new helper, 7 writer.
        r#"imports [("w", "a"), ("v", "new")]
           export hook Func 5
           export memory Memory 0
           export run Func 3
           2:
           3: call 4, call 6, call 6
           4: call 2, call 1, call 0
           5: global 0, call 7, global 2, global 1
           6: call 2
           7: store 0
           data [(8, [104, 101]), (12, [111, 0])]"#,
    );
}

#[test]
fn patterns_select() {
    check(
        r#"(module
            (import "main" "run / call @; i32.const 0; i32.lt_s" (func $f (result i32)))
            (import "main" "run / i32.const @; _; call" (global $n i32))
            (func (export "go") (result i32) (drop (global.get $n)) (call $f)))"#,
        r#"imports [("w", "a")]
           export go Func 3
           export memory Memory 0
           export run Func 2
           1:
           2: call 0, call 1, call 1
           3: global 1, call 1
           data [(8, [104, 101]), (12, [111, 0])]"#,
    );
}

#[test]
fn what_glue_may_not_do() {
    check_error("(module (memory 1))", "a memory");
    check_error("(module (table 1 funcref))", "a table");
    check_error(
        r#"(module (import "main" "memory" (memory 0)) (data (i32.const 0) "x"))"#,
        "data segments",
    );
    check_error("(module (func $f) (start $f))", "a start function");
    check_error(
        r#"(module (import "main" "helpr" (func)))"#,
        "similar: helper",
    );
    check_error(
        r#"(module (import "main" "helper" (func (param i64))))"#,
        "`helper` is () -> (i32) in the main module, but the glue declares (i64) -> ()",
    );
    check_error(
        r#"(module (func (export "replace:helper")))"#,
        "() -> (i32)",
    );
    check_error(
        r#"(module (func (export "replace:import:w.b")))"#,
        "no such import",
    );
    check_error(r#"(module (func (export "run")))"#, "both");
    check_error(
        r#"(module (import "data" "none" (func (param i32))))"#,
        "no data of that name",
    );
    check_error(
        r#"(module (import "main" "address _PyRuntime.gc" (global i32)))"#,
        "no variable named `_PyRuntime`",
    );
    check_error("(module (func", "expected");
}

#[test]
fn main_that_is_no_module() {
    let component = graft(b"\0asm\x0d\0\x01\0", b"(module)");
    assert!(
        matches!(component, Err(GraftError::Main(_))),
        "{component:?}"
    );
}
