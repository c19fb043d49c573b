//! Floating-point numbers to integers: what does not fit becomes what x86 makes of it.
//!
//! C leaves the conversion of a number that does not fit undefined, and programs rely on what
//! processors do all the same: `n == (long long)n` asks whether a number is whole and fits. Two things
//! would give other answers than natively.
//!
//! LLVM takes the question for one about the fraction alone where the machine has an instruction for
//! it, and WebAssembly has ([`wanted`]). An object with that instruction is compiled once more, with
//! conversions that are defined for all numbers. Not all objects are: conversions to narrow types are
//! then slower, and give the nearest number instead of the lowest bits.
//!
//! WebAssembly gives the nearest integer, so that 2^31 as an `int` and back is 2^31 again, for a `float`
//! even exactly. In the linked module each such instruction becomes what compilers make of the
//! conversion on x86-64 ([`rewrite`]; Intel's manual, CVTTSD2SI): the *indefinite integer*, which has the
//! highest bit alone, for what does not fit in a signed integer and for what is no number; an unsigned
//! one of 32 bits is the lower half of a signed one of 64.

use std::convert::Infallible;

use wasm_encoder::{CodeSection, Encode, InstructionSink, RawSection, reencode::Error};
use wasmparser::{FunctionBody, Operator, Parser, Payload};

use crate::casts::names_places;

type Result<T> = std::result::Result<T, Error<Infallible>>;

/// The compiler's option for conversions that are defined for all numbers.
pub(crate) const DEFINED: &str = "-fno-strict-float-cast-overflow";

/// Whether an object takes fractions away, and may do so in place of a conversion.
pub(crate) fn wanted(object: &[u8]) -> bool {
    object.starts_with(b"\0asm") && has_truncations(object).unwrap_or(false)
}

fn has_truncations(object: &[u8]) -> wasmparser::Result<bool> {
    for payload in Parser::new(0).parse_all(object) {
        if let Payload::CodeSectionEntry(body) = payload? {
            for operator in body.get_operators_reader()? {
                if matches!(operator?, Operator::F32Trunc | Operator::F64Trunc) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// A conversion of WebAssembly's that gives the nearest integer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Conversion {
    from_double: bool,
    to_64_bits: bool,
    signed: bool,
}

impl Conversion {
    fn of(operator: &Operator<'_>) -> Option<Conversion> {
        let (from_double, to_64_bits, signed) = match operator {
            Operator::I32TruncSatF32S => (false, false, true),
            Operator::I32TruncSatF32U => (false, false, false),
            Operator::I32TruncSatF64S => (true, false, true),
            Operator::I32TruncSatF64U => (true, false, false),
            Operator::I64TruncSatF32S => (false, true, true),
            Operator::I64TruncSatF32U => (false, true, false),
            Operator::I64TruncSatF64S => (true, true, true),
            Operator::I64TruncSatF64U => (true, true, false),
            _ => return None,
        };
        Some(Conversion {
            from_double,
            to_64_bits,
            signed,
        })
    }

    /// The same with a number on the stack, and a local to keep it in.
    fn as_on_x86(self, code: &mut InstructionSink<'_>, local: u32) {
        code.local_tee(local);
        match (self.to_64_bits, self.signed) {
            (false, true) => {
                match self.from_double {
                    true => code.i32_trunc_sat_f64_s(),
                    false => code.i32_trunc_sat_f32_s(),
                };
                code.i32_const(i32::MIN);
                self.is_below(code, local, 31);
                code.select();
            }
            (false, false) => {
                self.signed_64(code, local);
                code.i32_wrap_i64();
            }
            (true, true) => self.signed_64(code, local),
            (true, false) => {
                // Above the signed ones: 0 from 2^64 on, and the indefinite integer for no number.
                self.signed_64(code, local);
                code.local_get(local);
                match self.from_double {
                    true => code.i64_trunc_sat_f64_u(),
                    false => code.i64_trunc_sat_f32_u(),
                };
                code.i64_const(0);
                self.is_below(code, local, 64);
                code.select();
                // Whether it is at least 2^63; not so what is no number.
                self.limit(code.local_get(local), 63);
                match self.from_double {
                    true => code.f64_ge(),
                    false => code.f32_ge(),
                };
                code.i32_eqz().select();
            }
        }
    }

    fn signed_64(self, code: &mut InstructionSink<'_>, local: u32) {
        match self.from_double {
            true => code.i64_trunc_sat_f64_s(),
            false => code.i64_trunc_sat_f32_s(),
        };
        code.i64_const(i64::MIN);
        self.is_below(code, local, 63);
        code.select();
    }

    /// Whether the number is below a power of two.
    fn is_below(self, code: &mut InstructionSink<'_>, local: u32, power: u8) {
        self.limit(code.local_get(local), power);
        match self.from_double {
            true => code.f64_lt(),
            false => code.f32_lt(),
        };
    }

    fn limit(self, code: &mut InstructionSink<'_>, power: u8) {
        match self.from_double {
            true => code.f64_const(2_f64.powi(power.into()).into()),
            false => code.f32_const(2_f32.powi(power.into()).into()),
        };
    }
}

/// The module with conversions as x86 has them; none if it has no conversions. It must be a valid one
/// that the linker made.
pub(crate) fn rewrite(wasm: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut parameters = Vec::new();
    let mut types = Vec::new();
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(groups) => {
                for group in groups {
                    for sub in group?.types() {
                        let inner = &sub.composite_type.inner;
                        parameters.push(match inner {
                            wasmparser::CompositeInnerType::Func(of) => of.params().len() as u32,
                            _ => 0,
                        });
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for of in functions {
                    types.push(of?);
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }
    let mut code = CodeSection::new();
    let mut is_changed = false;
    for (body, of) in bodies.iter().zip(types) {
        let parameters = parameters.get(of as usize).copied().unwrap_or(0);
        match rewritten(wasm, body, parameters)? {
            Some(bytes) => {
                is_changed = true;
                code.raw(&bytes);
            }
            None => {
                code.raw(wasm.get(body.range()).unwrap_or_default());
            }
        }
    }
    if !is_changed {
        return Ok(None);
    }
    let mut out = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::CustomSection(section) if names_places(section.name()) => {}
            Payload::CodeSectionStart { .. } => {
                out.section(&code);
            }
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let data = wasm.get(range).unwrap_or_default();
                    out.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(Some(out.finish()))
}

/// A function's body with other conversions, if it has any.
fn rewritten(wasm: &[u8], body: &FunctionBody<'_>, parameters: u32) -> Result<Option<Vec<u8>>> {
    let mut groups = body.get_locals_reader()?;
    let (count, groups_begin) = (groups.get_count(), groups.original_position());
    let mut locals = parameters;
    for _ in 0..count {
        let (of_group, _) = groups.read()?;
        locals = locals.saturating_add(of_group);
    }
    let mut operators = body.get_operators_reader()?;
    let begin = operators.original_position();
    let mut from = begin;
    let mut code = Vec::new();
    let mut is_changed = false;
    while !operators.eof() {
        let before = operators.original_position();
        if let Some(conversion) = Conversion::of(&operators.read()?) {
            is_changed = true;
            code.extend_from_slice(wasm.get(from..before).unwrap_or_default());
            from = operators.original_position();
            let local = locals.saturating_add(u32::from(conversion.from_double));
            conversion.as_on_x86(&mut InstructionSink::new(&mut code), local);
        }
    }
    if !is_changed {
        return Ok(None);
    }
    code.extend_from_slice(wasm.get(from..body.range().end).unwrap_or_default());
    let mut bytes = Vec::with_capacity(code.len() + 16);
    count.saturating_add(2).encode(&mut bytes);
    bytes.extend_from_slice(wasm.get(groups_begin..begin).unwrap_or_default());
    for of in [wasm_encoder::ValType::F32, wasm_encoder::ValType::F64] {
        1_u32.encode(&mut bytes);
        of.encode(&mut bytes);
    }
    bytes.extend_from_slice(&code);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use wasmparser::{Validator, WasmFeatures};

    use super::*;

    fn module(body: &str) -> Vec<u8> {
        wat::parse_str(format!("(module (import \"a\" \"b\" (func)) {body})")).unwrap()
    }

    #[test]
    fn modules_stay_valid() {
        let conversions: String = [
            ("i32", "f32"),
            ("i32", "f64"),
            ("i64", "f32"),
            ("i64", "f64"),
        ]
        .iter()
        .flat_map(|(to, from)| ["s", "u"].map(|sign| (to, from, sign)))
        .map(|(to, from, sign)| {
            format!(
                "(func (param {from} i32) (result {to}) (local i32 i64 i64) \
                     local.get 0 {to}.trunc_sat_{from}_{sign})"
            )
        })
        .collect();
        let wasm = module(&conversions);
        let out = rewrite(&wasm).unwrap().unwrap();
        Validator::new_with_features(WasmFeatures::WASM2)
            .validate_all(&out)
            .unwrap();
    }

    #[test]
    fn what_has_no_conversion_stays_as_it_is() {
        assert_eq!(
            rewrite(&module("(func (result i32) i32.const 1)")).unwrap(),
            None
        );
    }

    #[test]
    fn objects_that_take_fractions_away() {
        assert!(wanted(&module("(func (drop (f64.trunc (f64.const 1))))")));
        assert!(!wanted(&module("(func (drop (f64.floor (f64.const 1))))")));
        assert!(!wanted(b"") && !wanted(b"\0asm") && !wanted(b"BC\xc0\xde"));
    }
}
