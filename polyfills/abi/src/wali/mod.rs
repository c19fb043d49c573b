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

/// Functions by which a C library starts its program and its threads
/// (`polyfills/sysroot/README.md`).
pub const STARTUP: &[Function] = &[
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
];

/// The same, of other toolchains.
pub const FOREIGN_STARTUP: &[Function] = &[
    f("__init", &[], Some(Type::I32)),
    f("__deinit", &[], Some(Type::I32)),
    f("__proc_exit", &[Type::I32], None),
];

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
    let at = SYSCALLS
        .binary_search_by_key(&name, |call| call.name)
        .ok()?;
    SYSCALLS.get(at)
}

/// The function of the personality that is no system call and has this name.
pub fn startup(field: &str) -> Option<&'static Function> {
    let mut all = STARTUP.iter().chain(FOREIGN_STARTUP);
    all.find(|function| function.name == field)
}

#[cfg(test)]
mod tests;
