//! Selects functions and constants by the shape of code, for modules that lost their names.
//!
//! A selector is a path of parts separated by ` / `. The first part says in which function to
//! begin: a name (see [`Symbols::function`]), or a string literal in double quotes, which stands
//! for the one function that mentions its address. Each further part is a list of operators
//! separated by `;` that must follow one another in that function; one operand of it is `@`, the
//! capture: a function after `call`, a number after `i32.const`. The next part then looks in the
//! captured function. An operator without operand matches any operand; `_` matches any operator.
//!
//! ```text
//! _start / call @; i32.const 0; i32.lt_s; if; local.get; i32.const 120
//! ```
//!
//! reads: the function whose negative result makes `_start` store 120.
//!
//! Invariant: a selector that matches in several places with different captures is an error, so
//! a module that changed cannot be patched in the wrong place in silence.

use std::collections::BTreeSet;

use wasmparser::Operator;

use crate::symbols::{SymbolError, Symbols};

/// What a selector captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Capture {
    Function(u32),
    Number(i32),
}

/// Why a selector failed.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The function to begin in was not found.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// No function, or several, mention the literal.
    #[error("{count} functions mention the string \"{literal}\"; a selector needs exactly one")]
    Literal {
        /// The literal as written.
        literal: String,
        /// How many functions were found.
        count: usize,
    },
    /// A part is not in the pattern language.
    #[error("pattern `{0}`: write operators separated by `;`, with `@` for exactly one operand")]
    Syntax(String),
    /// A part matched nowhere, or with different captures.
    #[error("pattern `{part}` has {count} different captures in function {function}; it needs one")]
    Captures {
        /// The part that failed.
        part: String,
        /// The function looked at.
        function: u32,
        /// How many captures differ.
        count: usize,
    },
    /// A path goes on after a number.
    #[error("selector `{0}`: a number was captured before the last part")]
    NotAFunction(String),
}

/// True if `text` is a path rather than a plain name.
pub(super) fn is_path(text: &str) -> bool {
    text.contains(" / ") || text.starts_with('"')
}

/// Follows a path.
pub(super) fn select(symbols: &Symbols<'_>, path: &str) -> Result<Capture, SelectError> {
    let mut parts = path.split(" / ").map(str::trim);
    let first = parts.next().unwrap_or_default();
    let mut here = match first.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
        Some(literal) => mentioning(symbols, literal)?,
        None => symbols.function(first)?,
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        match capture(symbols, here, part)? {
            Capture::Function(function) => here = function,
            number if parts.peek().is_none() => return Ok(number),
            _ => return Err(SelectError::NotAFunction(path.to_owned())),
        }
    }
    Ok(Capture::Function(here))
}

/// The function that mentions a NUL-terminated literal's address.
fn mentioning(symbols: &Symbols<'_>, literal: &str) -> Result<u32, SelectError> {
    let mut needle = vec![0];
    needle.extend_from_slice(literal.as_bytes());
    needle.push(0);
    let mut addresses = BTreeSet::new();
    for (address, bytes) in &symbols.data {
        // A literal may also open its segment, without the NUL of its predecessor.
        let head = needle.get(1..).unwrap_or_default();
        if bytes.starts_with(head) {
            addresses.insert(*address as i32);
        }
        for (at, window) in bytes.windows(needle.len()).enumerate() {
            if window == needle.as_slice() {
                addresses.insert((*address as i32).wrapping_add(at as i32).wrapping_add(1));
            }
        }
    }
    let mut found = Vec::new();
    if !addresses.is_empty() {
        for (function, _) in symbols.defined() {
            let operators = symbols.operators(function)?.unwrap_or_default();
            if operators
                .iter()
                .any(|op| matches!(op, Operator::I32Const { value } if addresses.contains(value)))
            {
                found.push(function);
            }
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        several => Err(SelectError::Literal {
            literal: literal.to_owned(),
            count: several.len(),
        }),
    }
}

enum Operand {
    Any,
    Is(i64),
    Capture,
}

struct Step {
    /// Operator name in wasmparser's spelling, lower case; `None` for `_`.
    name: Option<String>,
    operand: Operand,
}

fn parse(part: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut captures = 0;
    for text in part.split(';') {
        let mut words = text.split_whitespace();
        let name = words.next()?;
        let operand = match words.next() {
            None => Operand::Any,
            Some("@") => {
                captures += 1;
                Operand::Capture
            }
            Some(number) => Operand::Is(number.parse().ok()?),
        };
        if words.next().is_some() {
            return None;
        }
        let name = (name != "_").then(|| name.replace(['.', '_'], ""));
        steps.push(Step { name, operand });
    }
    (captures == 1).then_some(steps)
}

/// An operator's operand, if it is one that patterns speak of.
fn operand(op: &Operator<'_>) -> Option<i64> {
    Some(match op {
        Operator::Call { function_index } => i64::from(*function_index),
        Operator::I32Const { value } => i64::from(*value),
        Operator::I64Const { value } => *value,
        Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } => i64::from(*local_index),
        Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
            i64::from(*global_index)
        }
        Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
            i64::from(*relative_depth)
        }
        _ => return None,
    })
}

/// The operator's name as wasmparser's `Debug` begins it, lower case: `i32.lt_s` is `i32lts`.
fn mnemonic(op: &Operator<'_>) -> String {
    let text = format!("{op:?}");
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

fn capture(symbols: &Symbols<'_>, function: u32, part: &str) -> Result<Capture, SelectError> {
    let steps = parse(part).ok_or_else(|| SelectError::Syntax(part.to_owned()))?;
    let operators = symbols.operators(function)?.unwrap_or_default();
    let mnemonics: Vec<String> = operators.iter().map(mnemonic).collect();
    let mut found = BTreeSet::new();
    for (ops, names) in operators
        .windows(steps.len())
        .zip(mnemonics.windows(steps.len()))
    {
        let mut captured = None;
        let matches = steps.iter().zip(ops).zip(names).all(|((step, op), name)| {
            if step.name.as_ref().is_some_and(|wanted| wanted != name) {
                return false;
            }
            match step.operand {
                Operand::Any => true,
                Operand::Is(wanted) => operand(op) == Some(wanted),
                Operand::Capture => {
                    captured = match op {
                        Operator::Call { function_index } => {
                            Some(Capture::Function(*function_index))
                        }
                        Operator::I32Const { value } => Some(Capture::Number(*value)),
                        _ => None,
                    };
                    captured.is_some()
                }
            }
        });
        if let (true, Some(captured)) = (matches, captured) {
            found.insert(captured);
        }
    }
    match (found.len(), found.first()) {
        (1, Some(one)) => Ok(*one),
        (count, _) => Err(SelectError::Captures {
            part: part.to_owned(),
            function,
            count,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"(module (memory 1) (data (i32.const 8) "first\00second\00")
        (func $f (result i32) i32.const -1)
        (func (export "go")
            (if (i32.lt_s (call $f) (i32.const 0)) (then (drop (i32.const 120))))
            (drop (i32.load (i32.const 64))) (drop (i32.load (i32.const 64))))
        (func (drop (i32.const 14)))
        (func $two (drop (i32.load (i32.const 1))) (drop (i32.load (i32.const 2)))))"#;

    fn check(path: &str, expected: Result<Capture, &str>) {
        let bytes = wat::parse_str(MODULE).unwrap();
        let symbols = Symbols::read(&bytes).unwrap();
        match (select(&symbols, path), expected) {
            (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{path}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, wanted) => panic!("{path}: got {got:?}, expected {wanted:?}"),
        }
    }

    #[test]
    fn selectors() {
        let f = Capture::Function(0);
        check("go", Ok(Capture::Function(1)));
        check(
            "go / call @; i32.const 0; i32.lt_s; if; i32.const 120",
            Ok(f),
        );
        check("go / call @; _; i32.lt_s", Ok(f));
        check("go / i32.const @; i32.load", Ok(Capture::Number(64)));
        check("go / call @; _ / i32.const @", Ok(Capture::Number(-1)));
        check("\"second\"", Ok(Capture::Function(2)));
        check("\"third\"", Err("0 functions mention"));
        check("two / i32.const @; i32.load", Err("2 different captures"));
        check("go / call @; i32.const 1", Err("0 different captures"));
        check("go / call", Err("exactly one operand"));
        check(
            "go / i32.const @; i32.load / call @",
            Err("before the last"),
        );
        check("gone / call @", Err("no function named"));
    }
}
