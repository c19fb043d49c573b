//! The stack of a program in its own memory, as large as its limit says (setrlimit(2), RLIMIT_STACK).
//!
//! Linkers lay it out below the data (wasm-ld's `--stack-first`), with a size that is fixed then. What is more
//! than the limit at the start of the program is given up: it is not mapped, so that a stack that is used up
//! faults there, and it is not counted as the program's memory.
//!
//! Frames of compiled code are on the host's stack besides, in memory that no policy counts. That one follows the
//! limit, too, where there is one for each process.

use megabinary_format::{MemoryImage, Module as IndexModule};
use wasmtime::{Instance, Store};

use super::Guest;
use crate::GUEST_STACK;

/// What a program imports that makes threads.
const THREADS: &str = "wali.__wasm_thread_spawn";

/// The mutable global that points to the end of the stack's used part; it begins at the top.
const POINTER: &str = "__stack_pointer";

/// The global that says where the heap begins: behind stack and data, in whatever order.
const HEAP: &str = "__heap_base";

/// Size of a page, bytes.
const PAGE: u64 = 4096;

/// How much of the host's stack a program is to have. One that makes threads has as much for each of them, so that it
/// gets no more than what is usual: nothing counts these stacks.
pub(super) fn depth(module: &IndexModule, limit: u64) -> u64 {
    match module.imports.iter().any(|import| import == THREADS) {
        true => limit.min(GUEST_STACK as u64),
        false => limit,
    }
}

/// Where the used part of the stack begins; 0 if the module does not say.
pub(super) fn pointer(store: &mut Store<Guest>, instance: &Instance) -> u64 {
    let value = instance
        .get_global(&mut *store, POINTER)
        .and_then(|global| global.get(&mut *store).i32());
    value.map_or(0, |value| u64::from(value.cast_unsigned()))
}

/// How many bytes at the beginning of the memory are stack beyond the limit: a multiple of the page's
/// size, 0 if the stack is not the first thing in the memory.
pub(super) fn beyond_limit(
    store: &mut Store<Guest>,
    instance: &Instance,
    image: &MemoryImage,
    limit: u64,
) -> u64 {
    let mut address = |global| {
        let value = instance.get_global(&mut *store, global)?;
        let value = value.get(&mut *store).i32()?;
        Some(u64::from(value.cast_unsigned()))
    };
    let (Some(top), Some(heap)) = (address(POINTER), address(HEAP)) else {
        return 0;
    };
    // Where the stack comes last, the heap begins at its top. Data may be written by the program's start alone.
    if heap <= top {
        return 0;
    }
    let data = image.runs.iter().map(|run| run.memory_offset).min();
    unused(top, data.unwrap_or(heap), limit)
}

/// The same for a stack that ends at `top`, and data that begin in the page at `data`.
fn unused(top: u64, data: u64, limit: u64) -> u64 {
    if data < top / PAGE * PAGE {
        return 0;
    }
    top.saturating_sub(limit) / PAGE * PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_limit() {
        const MIB: u64 = 1 << 20;
        assert_eq!(unused(64 * MIB, 64 * MIB, 8 * MIB), 56 * MIB);
        assert_eq!(unused(64 * MIB + 16, 64 * MIB, 8 * MIB + 4), 56 * MIB);
        assert_eq!(unused(64 * MIB, 65 * MIB, u64::MAX), 0);
        assert_eq!(unused(64 * MIB, 65 * MIB, 0), 64 * MIB);
        // Data below the stack, or no stack at all.
        assert_eq!(unused(64 * MIB, 1024, 8 * MIB), 0);
        assert_eq!(unused(64 * MIB, 64 * MIB - PAGE, 8 * MIB), 0);
        assert_eq!(unused(0, 0, 8 * MIB), 0);
        assert_eq!(unused(MIB, MIB, 8 * MIB), 0);
    }
}
