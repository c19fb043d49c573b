//! Links the personalities' functions to the kernel crate.
//!
//! The list here and `vkernel_abi::personality` must agree; a test compares them.

use vkernel_kernel::{Process, preview1};
use wasmtime::{Caller, Linker, Memory};
use wiggle::GuestMemory;

use crate::EngineError;

/// What a store holds: the process, and its memory once the instance exists.
pub(crate) struct Host {
    pub(crate) process: Process,
    pub(crate) memory: Option<Memory>,
}

/// Splits a caller into what the kernel's functions take.
fn parts<'a>(
    caller: &'a mut Caller<'_, Host>,
) -> wasmtime::Result<(&'a mut Process, GuestMemory<'a>)> {
    // A call out of the start function comes before the instance is handed over.
    let memory = caller.data().memory.or_else(|| {
        caller
            .get_export(vkernel_abi::snapshot::MEMORY)
            .and_then(wasmtime::Extern::into_memory)
    });
    // Without a memory every pointer is out of bounds; a call that takes none still works.
    let Some(memory) = memory else {
        return Ok((
            &mut caller.data_mut().process,
            GuestMemory::Unshared(&mut []),
        ));
    };
    caller.data_mut().memory = Some(memory);
    let (bytes, host) = memory.data_and_store_mut(caller);
    Ok((&mut host.process, GuestMemory::Unshared(bytes)))
}

macro_rules! preview1 {
    ($($name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)?;)*) => {
        /// Names linked for `wasi_snapshot_preview1`.
        #[cfg(test)]
        const LINKED: &[&str] = &[$(stringify!($name)),*];

        fn add_preview1(
            linker: &mut Linker<Host>,
            imported: impl Fn(&str, &str) -> bool,
        ) -> wasmtime::Result<()> {
            let module = vkernel_abi::personality::PREVIEW1.module;
            $(
                if imported(module, stringify!($name)) {
                    linker.func_wrap(
                        module,
                        stringify!($name),
                        |mut caller: Caller<'_, Host> $(, $arg: $ty)*| -> wasmtime::Result<preview1!(@result $($result)?)> {
                            let (process, mut memory) = parts(&mut caller)?;
                            preview1::wasi_snapshot_preview1::$name(process, &mut memory $(, $arg)*)
                        },
                    )?;
                }
            )*
            Ok(())
        }
    };
    (@result $result:ty) => { $result };
    (@result) => { () };
}

preview1! {
    args_get(a: i32, b: i32) -> i32;
    args_sizes_get(a: i32, b: i32) -> i32;
    environ_get(a: i32, b: i32) -> i32;
    environ_sizes_get(a: i32, b: i32) -> i32;
    clock_res_get(a: i32, b: i32) -> i32;
    clock_time_get(a: i32, b: i64, c: i32) -> i32;
    fd_advise(a: i32, b: i64, c: i64, d: i32) -> i32;
    fd_allocate(a: i32, b: i64, c: i64) -> i32;
    fd_close(a: i32) -> i32;
    fd_datasync(a: i32) -> i32;
    fd_fdstat_get(a: i32, b: i32) -> i32;
    fd_fdstat_set_flags(a: i32, b: i32) -> i32;
    fd_fdstat_set_rights(a: i32, b: i64, c: i64) -> i32;
    fd_filestat_get(a: i32, b: i32) -> i32;
    fd_filestat_set_size(a: i32, b: i64) -> i32;
    fd_filestat_set_times(a: i32, b: i64, c: i64, d: i32) -> i32;
    fd_pread(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    fd_prestat_get(a: i32, b: i32) -> i32;
    fd_prestat_dir_name(a: i32, b: i32, c: i32) -> i32;
    fd_pwrite(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    fd_read(a: i32, b: i32, c: i32, d: i32) -> i32;
    fd_readdir(a: i32, b: i32, c: i32, d: i64, e: i32) -> i32;
    fd_renumber(a: i32, b: i32) -> i32;
    fd_seek(a: i32, b: i64, c: i32, d: i32) -> i32;
    fd_sync(a: i32) -> i32;
    fd_tell(a: i32, b: i32) -> i32;
    fd_write(a: i32, b: i32, c: i32, d: i32) -> i32;
    path_create_directory(a: i32, b: i32, c: i32) -> i32;
    path_filestat_get(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    path_filestat_set_times(a: i32, b: i32, c: i32, d: i32, e: i64, f: i64, g: i32) -> i32;
    path_link(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32) -> i32;
    path_open(a: i32, b: i32, c: i32, d: i32, e: i32, f: i64, g: i64, h: i32, i: i32) -> i32;
    path_readlink(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    path_remove_directory(a: i32, b: i32, c: i32) -> i32;
    path_rename(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    path_symlink(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    path_unlink_file(a: i32, b: i32, c: i32) -> i32;
    poll_oneoff(a: i32, b: i32, c: i32, d: i32) -> i32;
    proc_exit(a: i32);
    proc_raise(a: i32) -> i32;
    sched_yield() -> i32;
    random_get(a: i32, b: i32) -> i32;
    sock_accept(a: i32, b: i32, c: i32) -> i32;
    sock_recv(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) -> i32;
    sock_send(a: i32, b: i32, c: i32, d: i32, e: i32) -> i32;
    sock_shutdown(a: i32, b: i32) -> i32;
}

/// What a module imports, named `module.field`; the rest would only cost time at start.
pub(crate) fn add(linker: &mut Linker<Host>, imports: &[String]) -> Result<(), EngineError> {
    let imported = |module: &str, field: &str| {
        imports.iter().any(|import| {
            import
                .strip_prefix(module)
                .and_then(|rest| rest.strip_prefix('.'))
                == Some(field)
        })
    };
    let link = |linker: &mut Linker<Host>| {
        add_preview1(linker, imported)?;
        linker.func_wrap(
            vkernel_abi::personality::VKERNEL.module,
            "cwd_get",
            |mut caller: Caller<'_, Host>, buf: i32, len: i32| -> wasmtime::Result<i32> {
                let (process, mut memory) = parts(&mut caller)?;
                Ok(preview1::cwd_get(process, &mut memory, buf, len))
            },
        )?;
        wasmtime::Result::Ok(())
    };
    link(linker).map_err(EngineError::wasmtime("linking the personalities"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_exactly_what_the_abi_lists() {
        let mut listed: Vec<_> = vkernel_abi::personality::PREVIEW1
            .functions
            .iter()
            .map(|f| f.name)
            .collect();
        let mut linked = LINKED.to_vec();
        listed.sort_unstable();
        linked.sort_unstable();
        assert_eq!(linked, listed);
    }
}
