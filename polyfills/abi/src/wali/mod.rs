//! The `wali` personality (WebAssembly Linux Interface) as a table: every system call of x86-64
//! Linux that still exists, each an import of its own.
//!
//! Module `wali`, field `SYS_<name>`, result `i64`: a value, or the negated error number. [`SYSCALLS`] is
//! the one description of them ([`call`], [`param`], [`calls`]). The guest library's stubs, the linker's and
//! the compiler driver's checks, the vkernel's imports, its filter, its policy and its documentation, and
//! the generators of test programs are all made from it.

mod call;
mod calls;
mod param;

pub use call::{By, Judged, Syscall, Waits};
pub use calls::SYSCALLS;
pub use param::{Param, PathUse};

use crate::personality::{Function, Type};

/// Import module of the personality.
pub const MODULE: &str = "wali";

/// What precedes a system call's name in the field of its import.
pub const PREFIX: &str = "SYS_";

/// Called where a signal's handler may be called while the calling function computes.
pub const CHECKPOINT: &str = "__signal_checkpoint";

/// Called where a snapshot of the program can be taken: see [`crate::snapshot`]. Nothing happens in an
/// ordinary run, and 0 is answered. While the builder takes the snapshot, it does not come back.
pub const SNAPSHOT_POINT: &str = "__snapshot_point";

/// SHA-256's compression of whole blocks by the instructions that processors have for it and WebAssembly has
/// not: `(state, data, blocks)`. `state` is eight words (FIPS 180-4, 6.2), `data` has `blocks` times 64 bytes;
/// at most [`SHA256_MOST_BLOCKS`] at once. 0, or `-EINVAL`, `-EFAULT`; then the state is as it was.
pub const SHA256_BLOCKS: &str = "__sha256_blocks";

/// More than these, 64 KiB, are EINVAL: signals are looked at between calls.
pub const SHA256_MOST_BLOCKS: u32 = 1024;

/// Functions that are no system calls: those by which a C library starts its program and its threads, and
/// what processors do faster than WebAssembly can (`polyfills/sysroot/README.md`).
pub const FUNCTIONS: &[Function] = &[
    f("__cl_get_argc", &[], Some(Type::I32)),
    f("__cl_get_argv_len", &[Type::I32], Some(Type::I32)),
    f("__cl_copy_argv", &[Type::I32, Type::I32], Some(Type::I32)),
    f("__get_env_count", &[], Some(Type::I32)),
    f("__get_env_len", &[Type::I32], Some(Type::I32)),
    f("__copy_env", &[Type::I32, Type::I32], Some(Type::I32)),
    f(
        "__wasm_thread_spawn",
        &[Type::I32, Type::I32],
        Some(Type::I32),
    ),
    f(CHECKPOINT, &[], None),
    f(SNAPSHOT_POINT, &[], Some(Type::I32)),
    f(
        SHA256_BLOCKS,
        &[Type::I32, Type::I32, Type::I32],
        Some(Type::I32),
    ),
];

/// The same, of other toolchains.
pub const FOREIGN_FUNCTIONS: &[Function] = &[
    f("__init", &[], Some(Type::I32)),
    f("__deinit", &[], Some(Type::I32)),
    f("__proc_exit", &[Type::I32], None),
    f(
        "__get_init_envfile",
        &[Type::I32, Type::I32],
        Some(Type::I32),
    ),
];

/// Names that other toolchains have for a call.
const OTHER_NAMES: &[(&str, &str)] = &[("fadvise", "fadvise64")];

/// Calls that other toolchains give more arguments than Linux looks at: the number of their parameters.
const LONGER: &[(&str, usize)] = &[("faccessat", 4), ("fchmodat", 4)];

/// Calls that do not come back: other toolchains import them without a result.
const ENDS: &[&str] = &["exit", "exit_group"];

impl Syscall {
    /// Whether an import of this call may have so many parameters and these results. Of other
    /// toolchains' imports some differ in what does not matter.
    pub fn takes(&self, params: usize, results: &[Type]) -> bool {
        let longer = LONGER.contains(&(self.name, params));
        let params_fit = longer || params == self.params.len();
        let ends = results.is_empty() && ENDS.contains(&self.name);
        params_fit && (ends || results == [Type::I64])
    }
}

const fn f(name: &'static str, params: &'static [Type], result: Option<Type>) -> Function {
    Function {
        name,
        params,
        result,
    }
}

/// The system call that an import's field names. A start looks up every import of the image.
pub fn syscall(field: &str) -> Option<&'static Syscall> {
    let name = field.strip_prefix(PREFIX)?;
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name);
    let name = other.map_or(name, |(_, name)| name);
    let at = SYSCALLS
        .binary_search_by_key(&name, |call| call.name)
        .ok()?;
    SYSCALLS.get(at)
}

/// The function of the personality that is no system call and has this name.
pub fn function(field: &str) -> Option<&'static Function> {
    let mut all = FUNCTIONS.iter().chain(FOREIGN_FUNCTIONS);
    all.find(|function| function.name == field)
}

#[cfg(test)]
mod tests;
