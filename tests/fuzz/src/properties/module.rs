//! Modules: whatever analysis accepts can be normalised or is refused for a reason, and stays
//! valid; symbols and grafting take any bytes.

use megabinary_linker::{
    analyse,
    analysis::FEATURES,
    graft::{Graft, embedded_zip},
    normalise::normalise,
    symbols::Symbols,
};
use wasmparser::{Parser, Payload, Validator};

/// Glue that touches what a main module may have.
const GLUE: &str = r#"(module
    (import "main" "run" (func $run (result i32)))
    (import "main" "memory" (memory 0))
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
    (import "data" "text" (func $text (param i32)))
    (func (export "replace:helper") (result i32) (call $text (i32.const 8)) (call $run)))"#;

/// A module that analysis accepts is valid; normalised, it is valid again, has no active data and
/// no start, has the same imports, and is normal already. Looking for symbols and grafting end
/// with a value or an error, and what grafting gives is valid.
pub fn module(data: &[u8]) {
    let analysed = analyse("fuzz", data);
    if let Ok(facts) = &analysed {
        Validator::new_with_features(FEATURES)
            .validate_all(data)
            .expect("analysis accepts what is not valid");
        // Memory that a module merely declares is not ours to have.
        if let Ok(normal) = normalise(data, facts) {
            let again = analyse("fuzz", &normal.wasm).expect("normalised and not accepted");
            assert_eq!(again.import_names(), facts.import_names());
            assert_eq!(again.functions, facts.functions);
            assert_eq!(again.memory, facts.memory);
            assert_eq!(again.start, None);
            let size = facts.memory.map_or(0, |m| m.minimum << 16);
            assert!(normal.cold.contents.keys().all(|page| page << 12 < size));
            assert!(!has_active_data(&normal.wasm));
        }
    }
    if let Ok(symbols) = Symbols::read(data) {
        for name in ["run", "helper", "main.c:helper", ""] {
            if let (Ok(at), Ok(_)) = (symbols.function(name), &analysed) {
                assert!(symbols.signature(at).is_some(), "{name}: {at}");
            }
        }
        _ = symbols.global("__stack_pointer");
    }
    _ = embedded_zip(data);
    for (main, glue) in [(data, GLUE.as_bytes()), (&main_module(), data)] {
        let graft = Graft::new(main, glue)
            .data("text", b"0123456789")
            .without(10..12);
        if let Ok(grafted) = graft.apply() {
            Validator::new()
                .validate_all(&grafted)
                .expect("grafted and not valid");
        }
    }
}

/// A module that [`GLUE`] fits.
fn main_module() -> Vec<u8> {
    wat::parse_str(crate::seeds::MAIN).unwrap()
}

fn has_active_data(wasm: &[u8]) -> bool {
    Parser::new(0).parse_all(wasm).any(|payload| match payload {
        Ok(Payload::DataSection(section)) => section.into_iter().flatten().any(|d| {
            let empty = d.data.is_empty();
            !empty && matches!(d.kind, wasmparser::DataKind::Active { .. })
        }),
        _ => false,
    })
}
