//! Instructions that may fault, each in a function of its own.
//!
//! A handler for a fault may leave by a jump (`siglongjmp(3)`), which the function catches that called
//! `setjmp`. Compiled code knows where to go on from its calls alone, and an access to memory is none. So
//! in the functions that call `setjmp`, and only there, each access to memory becomes a call of a
//! function that does just that:
//!
//! ```wat
//! (func $load (param i32) (result i32) local.get 0 i32.load offset=8)
//! ```

use std::collections::BTreeMap;

use wasm_encoder::{Encode, Function, ValType};
use wasmparser::{FunctionBody, Operator};

/// Parameters and result of an instruction.
type Signature = (&'static [ValType], Option<ValType>);

use ValType::{F32, F64, I32, I64, V128};

/// All of them: their types are added in this order.
const SIGNATURES: &[Signature] = &[
    (&[I32], Some(I32)),
    (&[I32], Some(I64)),
    (&[I32], Some(F32)),
    (&[I32], Some(F64)),
    (&[I32], Some(V128)),
    (&[I32, I32], None),
    (&[I32, I64], None),
    (&[I32, F32], None),
    (&[I32, F64], None),
    (&[I32, V128], None),
];

/// The functions, by the bytes of their instructions.
#[derive(Default)]
pub(super) struct Outlined {
    numbers: BTreeMap<Vec<u8>, u32>,
    /// The place of each one's signature, and its instruction.
    functions: Vec<(usize, Vec<u8>)>,
}

impl Outlined {
    /// The number of the function for an instruction.
    fn number(&mut self, signature: usize, bytes: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(bytes) {
            return *number;
        }
        let number = self.functions.len() as u32;
        self.numbers.insert(bytes.to_owned(), number);
        self.functions.push((signature, bytes.to_owned()));
        number
    }

    /// The instructions of a function that may fault: where each is, and the number of its function.
    pub(super) fn of(
        &mut self,
        wasm: &[u8],
        body: &FunctionBody<'_>,
    ) -> wasmtime::Result<Vec<(std::ops::Range<usize>, u32)>> {
        let mut found = Vec::new();
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let start = reader.original_position();
            let operator = reader.read()?;
            let range = start..reader.original_position();
            let Some(signature) = signature(&operator) else {
                continue;
            };
            let at = SIGNATURES.iter().position(|known| *known == signature);
            if let (Some(at), Some(bytes)) = (at, wasm.get(range.clone())) {
                found.push((range, self.number(at, bytes)));
            }
        }
        Ok(found)
    }

    /// The types of the functions, encoded; none if there are no functions.
    pub(super) fn types(&self) -> Vec<Vec<u8>> {
        if self.functions.is_empty() {
            return Vec::new();
        }
        let encoded = |(params, result): &Signature| {
            let mut ty = vec![0x60];
            params.encode(&mut ty);
            result.as_slice().encode(&mut ty);
            ty
        };
        SIGNATURES.iter().map(encoded).collect()
    }

    /// Of each function, the place of its type among [`Outlined::types`].
    pub(super) fn signatures(&self) -> impl Iterator<Item = u32> {
        self.functions
            .iter()
            .map(|(signature, _)| *signature as u32)
    }

    /// The functions' bodies.
    pub(super) fn bodies(&self) -> impl Iterator<Item = Function> {
        self.functions.iter().map(|(signature, bytes)| {
            let mut function = Function::new([]);
            let params = SIGNATURES
                .get(*signature)
                .map_or(0, |(params, _)| params.len());
            (0..params as u32).for_each(|param| {
                function.instructions().local_get(param);
            });
            function.raw(bytes.iter().copied());
            function.instructions().end();
            function
        })
    }
}

/// What an instruction takes and gives, if it may fault and is one of memory 0.
fn signature(operator: &Operator<'_>) -> Option<Signature> {
    use Operator as O;
    Some(match operator {
        O::I32Load { .. }
        | O::I32Load8S { .. }
        | O::I32Load8U { .. }
        | O::I32Load16S { .. }
        | O::I32Load16U { .. } => (&[I32], Some(I32)),
        O::I64Load { .. }
        | O::I64Load8S { .. }
        | O::I64Load8U { .. }
        | O::I64Load16S { .. }
        | O::I64Load16U { .. }
        | O::I64Load32S { .. }
        | O::I64Load32U { .. } => (&[I32], Some(I64)),
        O::F32Load { .. } => (&[I32], Some(F32)),
        O::F64Load { .. } => (&[I32], Some(F64)),
        O::V128Load { .. } => (&[I32], Some(V128)),
        O::I32Store { .. } | O::I32Store8 { .. } | O::I32Store16 { .. } => (&[I32, I32], None),
        O::I64Store { .. } | O::I64Store8 { .. } | O::I64Store16 { .. } | O::I64Store32 { .. } => {
            (&[I32, I64], None)
        }
        O::F32Store { .. } => (&[I32, F32], None),
        O::F64Store { .. } => (&[I32, F64], None),
        O::V128Store { .. } => (&[I32, V128], None),
        _ => return None,
    })
}
