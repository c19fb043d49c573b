//! That modules stay valid and keep their indices, and which calls are made how.

use wasmparser::{Validator, WasmFeatures};

use super::*;

fn rewritten(text: &str) -> Vec<u8> {
    let out = rewrite(&wat::parse_str(text).unwrap()).unwrap();
    Validator::new_with_features(WasmFeatures::WASM3 | WasmFeatures::THREADS)
        .validate_all(&out)
        .unwrap();
    out
}

/// The calls in each function: what is called, or -1 - TABLE through a table, or -100 through a
/// reference.
fn calls(wasm: &[u8]) -> Vec<Vec<i64>> {
    let module = Module::read(wasm).unwrap();
    let mut functions = Vec::new();
    for body in &module.bodies {
        let mut calls = Vec::new();
        for operator in body.get_operators_reader().unwrap() {
            match operator.unwrap() {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    calls.push(i64::from(function_index));
                }
                Operator::CallIndirect { table_index, .. } => {
                    calls.push(-1 - i64::from(table_index));
                }
                Operator::CallRef { .. } => calls.push(-100),
                _ => {}
            }
        }
        functions.push(calls);
    }
    functions
}

#[test]
fn calls_go_by_a_function_of_their_type() {
    let out = rewritten(
        r#"(module
            (import "wali" "SYS_getpid" (func $getpid (result i64)))
            (table 6 6 funcref)
            (elem (i32.const 4) $nothing $number)
            (func $nothing)
            (func $number (param i32 f32 f64 i64) (result f64) (local.get 2))
            (func $calls
                (call_indirect (i32.const 4))
                (drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 5)))
                (call_indirect (i32.const 5)))
            (func $tail (result f32) (return_call_indirect (result f32) (i32.const 5)))
            (func $direct (drop (call $getpid))))"#,
    );
    assert_eq!(
        calls(&out),
        [
            // As they were, but for calls through the table: three types of calls are functions 6
            // to 8.
            vec![],
            vec![],
            vec![6, 7, 6],
            vec![8],
            vec![0],
            // They call through the second table, or a reference.
            vec![-2, -100],
            vec![-2, -100],
            vec![-2, -100],
            // Adapters call what they adapt.
            vec![1],
            vec![2],
        ]
    );
    let module = Module::read(&out).unwrap();
    assert_eq!(module.tables.len(), 2);
    assert_eq!(module.tables[0], module.tables[1]);
    // As many parameters as the function with most has.
    let adapter = module.adaptable_function(9).unwrap();
    assert_eq!(adapter.params(), [ValType::I64; 4]);
    assert_eq!(adapter.results(), [ValType::I64]);
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(&out) {
        if let Payload::ElementSection(elements) = payload.unwrap() {
            for element in elements {
                let element = element.unwrap();
                let (ElementKind::Active { table_index, .. }, ElementItems::Functions(functions)) =
                    (element.kind, element.items)
                else {
                    panic!("another kind of segment");
                };
                let functions: Vec<u32> = functions.into_iter().map(|f| f.unwrap()).collect();
                segments.push((table_index.unwrap_or(0), functions));
            }
        }
    }
    assert_eq!(segments, [(0, vec![1, 2]), (1, vec![9, 10])]);
}

#[test]
fn what_cannot_be_adapted_stays() {
    let out = rewritten(
        "(module
            (table 2 funcref)
            (elem (i32.const 0) $vector $plain)
            (func $vector (param v128))
            (func $plain)
            (func (call_indirect (param v128) (v128.const i64x2 0 0) (i32.const 0)))
            (func (call_indirect (i32.const 1))))",
    );
    assert_eq!(
        calls(&out),
        [vec![], vec![], vec![-1], vec![4], vec![-2, -100], vec![1],]
    );
}

#[test]
fn without_calls_or_functions_nothing_changes() {
    for text in [
        "(module)",
        "(module (func))",
        "(module (table 1 funcref) (func (call_indirect (i32.const 0))))",
        "(module (table 1 funcref) (elem (i32.const 0) $f) (func $f))",
    ] {
        let wasm = wat::parse_str(text).unwrap();
        assert_eq!(rewrite(&wasm).unwrap(), wasm, "{text}");
    }
}

#[test]
fn new_functions_have_names() {
    let out = rewritten(
        "(module (table 1 funcref) (elem (i32.const 0) $f) (func $f)
            (func $g (call_indirect (i32.const 0))))",
    );
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(&out) {
        if let Payload::CustomSection(section) = payload.unwrap()
            && let wasmparser::KnownCustom::Name(names) = section.as_known()
        {
            for name in names {
                if let Name::Function(functions) = name.unwrap() {
                    found.extend(functions.into_iter().map(|n| n.unwrap().name.to_owned()));
                }
            }
        }
    }
    assert_eq!(found, ["f", "g", "cast call 0", "f adapted"]);
}

#[test]
fn garbage_is_an_error() {
    assert!(rewrite(b"").is_err());
    assert!(rewrite(b"\0asm\x01\0\0\0\x02\xff\xff\xff\xff\x0f").is_err());
}
