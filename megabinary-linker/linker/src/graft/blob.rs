//! Bytes as code: a function that writes them at an address.
//!
//! Eight bytes cost about fourteen bytes of code. Such functions run once, at image time.

use wasm_encoder::{Function, MemArg};

const fn at(offset: u64, align: u32) -> MemArg {
    MemArg {
        offset,
        align,
        memory_index: 0,
    }
}

/// `(func (param $to i32))` that writes `bytes` at `$to`.
pub(super) fn writer(bytes: &[u8]) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    let mut offset = 0_u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        code.local_get(0)
            .i64_const(i64::from_le_bytes(*word))
            .i64_store(at(offset, 0));
        offset += 8;
    }
    for byte in rest {
        code.local_get(0)
            .i32_const(i32::from(*byte))
            .i32_store8(at(offset, 0));
        offset += 1;
    }
    code.end();
    function
}
