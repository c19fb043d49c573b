//! Functions that call setjmp get checkpoints: calls of an empty function in each of their blocks.
//!
//! A signal's handler may leave by siglongjmp while the function that called setjmp computes. The
//! jump is an exception, and only calls have a place in the function where it is caught; so there
//! must be calls wherever a signal may arrive (`polyfills/sysroot/port/src/setjmp/wasm32/checkpoint.c`).
//!
//! Which functions those are is known when they have been compiled: an object that calls setjmp is
//! compiled once more, with calls in the functions that do. The compiler's own means of measuring
//! coverage puts them there, before it makes exceptions of setjmp and longjmp.

use std::{collections::BTreeMap, ffi::OsString, fmt::Write as _};

use wasmparser::{KnownCustom, Linking, Operator, Parser, Payload, SymbolInfo, TypeRef};

/// What the compiler makes of a call of setjmp.
const SETJMP: &str = "__wasm_setjmp";

/// Names of the functions in an object that call setjmp; none if it is no WebAssembly object.
pub(crate) fn wanted(object: &[u8]) -> Vec<String> {
    match object.windows(SETJMP.len()).any(|w| w == SETJMP.as_bytes()) {
        true => callers(object).unwrap_or_default(),
        false => Vec::new(),
    }
}

fn callers(object: &[u8]) -> wasmparser::Result<Vec<String>> {
    let (mut imported, mut setjmp) = (0_u32, None);
    let mut at = 0_u32;
    let mut callers = Vec::new();
    let mut names: BTreeMap<u32, &str> = BTreeMap::new();
    for payload in Parser::new(0).parse_all(object) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    if !matches!(import.ty, TypeRef::Func(_)) {
                        continue;
                    }
                    if import.name == SETJMP {
                        setjmp = Some(imported);
                    }
                    imported += 1;
                }
            }
            Payload::CodeSectionEntry(body) => {
                let function = imported + at;
                at += 1;
                for operator in body.get_operators_reader()? {
                    if matches!(operator?, Operator::Call { function_index }
                        if Some(function_index) == setjmp)
                    {
                        callers.push(function);
                        break;
                    }
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Linking(linking) = section.as_known() {
                    for subsection in linking.subsections() {
                        if let Linking::SymbolTable(symbols) = subsection? {
                            for symbol in symbols {
                                if let SymbolInfo::Func {
                                    index,
                                    name: Some(name),
                                    ..
                                } = symbol?
                                {
                                    names.insert(index, name);
                                }
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(callers
        .iter()
        .filter_map(|function| names.get(function))
        .map(|name| (*name).to_owned())
        .collect())
}

/// The compiler's list of the functions that get checkpoints.
pub(crate) fn list(functions: &[String]) -> String {
    let mut list = String::from("src:*\n");
    for function in functions {
        // `main` without parameters gets its other names when the list has been applied.
        let function = match function.as_str() {
            "__original_main" | "__main_void" => "main",
            name => name,
        };
        // Writing to a string does not fail.
        let _ = writeln!(list, "fun:{function}");
    }
    list
}

/// The compiler's options for checkpoints in the functions of the list at `path`.
pub(crate) fn options(path: &std::path::Path) -> Vec<OsString> {
    let mut allowed = OsString::from("-fsanitize-coverage-allowlist=");
    allowed.push(path);
    // What there is to say about the source has been said.
    vec![
        "-w".into(),
        "-fsanitize-coverage=trace-pc,no-prune".into(),
        allowed,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_has_none() {
        assert!(wanted(b"").is_empty());
        assert!(wanted(b"LLVM bitcode __wasm_setjmp").is_empty());
        assert!(wanted(b"\0asm\x01\0\0\0\x02\xff__wasm_setjmp").is_empty());
    }

    #[test]
    fn lists_name_functions() {
        assert_eq!(list(&["f".into(), "g".into()]), "src:*\nfun:f\nfun:g\n");
        for name in ["__original_main", "__main_void"] {
            assert_eq!(list(&[name.into()]), "src:*\nfun:main\n");
        }
    }
}
