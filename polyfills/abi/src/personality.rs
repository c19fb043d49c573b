//! Personalities, and the import modules of WASI's as tables (Linux's are in [`crate::wali`]).
//!
//! The linker refuses a module that imports anything else; the engine links exactly these and a
//! test compares the two. Source of `wasi_snapshot_preview1`: the WASI preview 1 specification,
//! lowered to core WebAssembly types by the canonical witx ABI.

/// A core WebAssembly value type, as far as personalities use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// 32-bit integer; also pointers, sizes, descriptors, flags.
    I32,
    /// 64-bit integer.
    I64,
}

/// One importable function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Field name of the import.
    pub name: &'static str,
    /// Core parameter types.
    pub params: &'static [Type],
    /// Core result type, if any.
    pub result: Option<Type>,
}

/// Which operating system a module is written for. The linker finds it from the imports, it is
/// signed for each module in the index, and everything that runs a module goes by that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Personality {
    /// WASI preview 1: one thread, no signals. Modules without imports are of it too.
    #[default]
    Wasi,
    /// Linux's system calls ([`crate::wali`]): threads, signals, processes.
    Linux,
}

impl Personality {
    /// That of a module which imports from these import modules.
    pub fn of<'a>(modules: impl IntoIterator<Item = &'a str>) -> Personality {
        match modules
            .into_iter()
            .any(|module| module == crate::wali::MODULE)
        {
            true => Personality::Linux,
            false => Personality::Wasi,
        }
    }

    /// Its name in documents and in what `polybuild` prints.
    pub fn name(self) -> &'static str {
        match self {
            Personality::Wasi => "wasi",
            Personality::Linux => "linux",
        }
    }
}

/// One import module.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Module name of the import.
    pub module: &'static str,
    /// What it offers.
    pub functions: &'static [Function],
}

impl Interface {
    /// Looks a function up by its field name.
    pub fn function(&self, name: &str) -> Option<&'static Function> {
        self.functions.iter().find(|f| f.name == name)
    }
}

use Type::{I32, I64};

const fn f(name: &'static str, params: &'static [Type]) -> Function {
    Function {
        name,
        params,
        result: Some(I32),
    }
}

/// WASI preview 1, all 46 functions.
pub const PREVIEW1: Interface = Interface {
    module: "wasi_snapshot_preview1",
    functions: &[
        f("args_get", &[I32, I32]),
        f("args_sizes_get", &[I32, I32]),
        f("environ_get", &[I32, I32]),
        f("environ_sizes_get", &[I32, I32]),
        f("clock_res_get", &[I32, I32]),
        f("clock_time_get", &[I32, I64, I32]),
        f("fd_advise", &[I32, I64, I64, I32]),
        f("fd_allocate", &[I32, I64, I64]),
        f("fd_close", &[I32]),
        f("fd_datasync", &[I32]),
        f("fd_fdstat_get", &[I32, I32]),
        f("fd_fdstat_set_flags", &[I32, I32]),
        f("fd_fdstat_set_rights", &[I32, I64, I64]),
        f("fd_filestat_get", &[I32, I32]),
        f("fd_filestat_set_size", &[I32, I64]),
        f("fd_filestat_set_times", &[I32, I64, I64, I32]),
        f("fd_pread", &[I32, I32, I32, I64, I32]),
        f("fd_prestat_get", &[I32, I32]),
        f("fd_prestat_dir_name", &[I32, I32, I32]),
        f("fd_pwrite", &[I32, I32, I32, I64, I32]),
        f("fd_read", &[I32, I32, I32, I32]),
        f("fd_readdir", &[I32, I32, I32, I64, I32]),
        f("fd_renumber", &[I32, I32]),
        f("fd_seek", &[I32, I64, I32, I32]),
        f("fd_sync", &[I32]),
        f("fd_tell", &[I32, I32]),
        f("fd_write", &[I32, I32, I32, I32]),
        f("path_create_directory", &[I32, I32, I32]),
        f("path_filestat_get", &[I32, I32, I32, I32, I32]),
        f(
            "path_filestat_set_times",
            &[I32, I32, I32, I32, I64, I64, I32],
        ),
        f("path_link", &[I32, I32, I32, I32, I32, I32, I32]),
        f("path_open", &[I32, I32, I32, I32, I32, I64, I64, I32, I32]),
        f("path_readlink", &[I32, I32, I32, I32, I32, I32]),
        f("path_remove_directory", &[I32, I32, I32]),
        f("path_rename", &[I32, I32, I32, I32, I32, I32]),
        f("path_symlink", &[I32, I32, I32, I32, I32]),
        f("path_unlink_file", &[I32, I32, I32]),
        f("poll_oneoff", &[I32, I32, I32, I32]),
        Function {
            name: "proc_exit",
            params: &[I32],
            result: None,
        },
        f("proc_raise", &[I32]),
        f("sched_yield", &[]),
        f("random_get", &[I32, I32]),
        f("sock_accept", &[I32, I32, I32]),
        f("sock_recv", &[I32, I32, I32, I32, I32, I32]),
        f("sock_send", &[I32, I32, I32, I32, I32]),
        f("sock_shutdown", &[I32, I32]),
    ],
};

/// The calls that neither WASI nor Linux has.
pub const VKERNEL: Interface = Interface {
    module: "vkernel",
    functions: &[
        // (buf, buf_len) -> length of the working directory's path, without a NUL; the path is
        // written only when it fits.
        f("cwd_get", &[I32, I32]),
    ],
};

/// Every import module of WASI's personality, in the order in which documentation lists them.
pub const ALL: &[Interface] = &[PREVIEW1, VKERNEL];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_imports_system_calls_is_linux() {
        let check = |modules: &[&str], is| {
            assert_eq!(Personality::of(modules.iter().copied()), is);
        };
        check(&[], Personality::Wasi);
        check(&["env", PREVIEW1.module, VKERNEL.module], Personality::Wasi);
        check(&["env", "wali"], Personality::Linux);
    }

    #[test]
    fn preview1_is_complete() {
        assert_eq!(PREVIEW1.functions.len(), 46);
    }
}
