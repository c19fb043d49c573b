//! `main` in a file that is compiled with `-ffreestanding`.
//!
//! The compiler gives `main` another name for each of its shapes, which start-up code calls, but in a
//! freestanding file, where it is a function like others. Such a file is compiled once more as a hosted one, in
//! which the functions of the C library are no builtins either.

use wasmparser::{KnownCustom, Linking, Parser, Payload, SymbolFlags, SymbolInfo};

/// What makes a hosted file of one that is compiled as a freestanding one.
pub(crate) const HOSTED: &[&str] = &["-fhosted", "-fno-builtin"];

/// Whether the options ask for a freestanding file.
pub(crate) fn is_asked_for(options: &[String]) -> bool {
    let mut kinds = options
        .iter()
        .filter(|option| *option == "-ffreestanding" || *option == "-fhosted");
    kinds
        .next_back()
        .is_some_and(|last| last == "-ffreestanding")
}

/// Whether an object defines a function `main` under that name.
pub(crate) fn has_main(object: &[u8]) -> bool {
    object.starts_with(b"\0asm") && defines_main(object).unwrap_or(false)
}

fn defines_main(object: &[u8]) -> wasmparser::Result<bool> {
    for payload in Parser::new(0).parse_all(object) {
        let Payload::CustomSection(section) = payload? else {
            continue;
        };
        let KnownCustom::Linking(linking) = section.as_known() else {
            continue;
        };
        for part in linking.subsections() {
            let Linking::SymbolTable(symbols) = part? else {
                continue;
            };
            for symbol in symbols {
                if let SymbolInfo::Func { flags, name, .. } = symbol?
                    && name == Some("main")
                    && !flags.contains(SymbolFlags::UNDEFINED)
                {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_kind_counts() {
        let is = |options: &[&str]| {
            is_asked_for(&options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
        };
        assert!(is(&["-O2", "-ffreestanding", "-g"]));
        assert!(is(&["-fhosted", "-ffreestanding"]));
        assert!(!is(&["-ffreestanding", "-fhosted"]));
        assert!(!is(&[]));
    }

    #[test]
    fn garbage_has_none() {
        for bytes in [&b""[..], b"\0asm", b"main"] {
            assert!(!has_main(bytes));
        }
    }
}
