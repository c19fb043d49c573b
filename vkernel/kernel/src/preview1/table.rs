//! The table of preview 1: each function's name, support, note and the host calls it can cause.
//!
//! One row makes three things: the public function that the engine links, the entry in [`TABLE`]
//! from which support tables and the seccomp allow-list are generated, and the comparison with the
//! ABI crate in the tests.
//!
//! Invariant: a function makes no host call that its row lacks. Calls that the runtime around it
//! makes anyway (memory, futexes, audit events) are not listed.

use libc::*;

use super::{Support, generated};
use crate::process::Process;

/// One function of the personality.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Name of the import.
    pub name: &'static str,
    /// How far it is supported.
    pub support: Support,
    /// What differs from wasmtime, or a remark; may be empty.
    pub note: &'static str,
    /// Host system calls (x86-64 numbers, `libc::SYS_*`) that it can cause.
    pub host_calls: &'static [i64],
}

macro_rules! functions {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty {
        $support:ident, $note:literal, [$($call:ident),*]
    })*) => {
        /// All 46 functions, in the order of the ABI crate.
        pub const TABLE: &[Row] = &[$(Row {
            name: stringify!($name),
            support: Support::$support,
            note: $note,
            host_calls: &[$($call),*],
        }),*];

        /// The functions as a module imports them: core WebAssembly arguments, an errno as result.
        /// An error is not for the guest: [`ProcessExit`](crate::ProcessExit), or a failure of
        /// the vkernel itself.
        #[allow(missing_docs, reason = "the table above describes them; the specification too")]
        #[allow(clippy::too_many_arguments, reason = "as many as the interface has")]
        pub mod wasi_snapshot_preview1 {
            use super::*;
            use crate::preview1::Settle;

            $(pub fn $name(
                process: &mut Process,
                memory: &mut wiggle::GuestMemory<'_>,
                $($arg: $type),*
            ) -> wiggle::error::Result<$result> {
                Settle::settle(
                    generated::wasi_snapshot_preview1::$name(process, memory, $($arg),*)
                )
            })*
        }
    };
}

functions! {
    args_get(a0: i32, a1: i32) -> i32 { Full, "", [] }
    args_sizes_get(a0: i32, a1: i32) -> i32 { Full, "", [] }
    environ_get(a0: i32, a1: i32) -> i32 { Full, "", [] }
    environ_sizes_get(a0: i32, a1: i32) -> i32 { Full, "", [] }
    clock_res_get(a0: i32, a1: i32) -> i32 { Full, "Processor-time clocks work too (wasmtime: BADF).", [SYS_clock_getres] }
    clock_time_get(a0: i32, a1: i64, a2: i32) -> i32 { Full, "Processor-time clocks work too (wasmtime: BADF).", [SYS_clock_gettime] }
    fd_advise(a0: i32, a1: i64, a2: i64, a3: i32) -> i32 { Full, "", [SYS_fadvise64] }
    fd_allocate(a0: i32, a1: i64, a2: i64) -> i32 { Full, "Allocates (wasmtime: NOTSUP).", [SYS_fallocate] }
    fd_close(a0: i32) -> i32 { Full, "", [SYS_close] }
    fd_datasync(a0: i32) -> i32 { Full, "Folders too (wasmtime: BADF).", [SYS_fdatasync] }
    fd_fdstat_get(a0: i32, a1: i32) -> i32 { Full, "Rights as wasmtime reports them; never checked.", [SYS_fstat, SYS_newfstatat, SYS_fcntl, SYS_ioctl, SYS_getsockopt] }
    fd_fdstat_set_flags(a0: i32, a1: i32) -> i32 { Full, "BADF for standard streams, unless sockets.", [SYS_fstat, SYS_newfstatat, SYS_fcntl] }
    fd_fdstat_set_rights(a0: i32, a1: i64, a2: i64) -> i32 { Refused, "NOTSUP, as wasmtime: rights are not kept.", [] }
    fd_filestat_get(a0: i32, a1: i32) -> i32 { Full, "Device and inode are the host's.", [SYS_fstat, SYS_newfstatat, SYS_getsockopt] }
    fd_filestat_set_size(a0: i32, a1: i64) -> i32 { Full, "", [SYS_ftruncate] }
    fd_filestat_set_times(a0: i32, a1: i64, a2: i64, a3: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_utimensat] }
    fd_pread(a0: i32, a1: i32, a2: i32, a3: i64, a4: i32) -> i32 { Full, "", [SYS_preadv] }
    fd_prestat_get(a0: i32, a1: i32) -> i32 { Full, "", [] }
    fd_prestat_dir_name(a0: i32, a1: i32, a2: i32) -> i32 { Full, "", [] }
    fd_pwrite(a0: i32, a1: i32, a2: i32, a3: i64, a4: i32) -> i32 { Full, "", [SYS_pwritev] }
    fd_read(a0: i32, a1: i32, a2: i32, a3: i32) -> i32 { Full, "Fills all buffers (wasmtime: the first).", [SYS_readv, SYS_preadv] }
    fd_readdir(a0: i32, a1: i32, a2: i32, a3: i64, a4: i32) -> i32 { Full, "Names that are not UTF-8 are listed (wasmtime: ILSEQ).", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_getdents64] }
    fd_renumber(a0: i32, a1: i32) -> i32 { Full, "", [SYS_close] }
    fd_seek(a0: i32, a1: i64, a2: i32, a3: i32) -> i32 { Full, "", [SYS_lseek] }
    fd_sync(a0: i32) -> i32 { Full, "Folders too (wasmtime: BADF).", [SYS_fsync] }
    fd_tell(a0: i32, a1: i32) -> i32 { Full, "", [SYS_lseek] }
    fd_write(a0: i32, a1: i32, a2: i32, a3: i32) -> i32 { Full, "Writes all buffers (wasmtime: the first).", [SYS_writev] }
    path_create_directory(a0: i32, a1: i32, a2: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_mkdirat] }
    path_filestat_get(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close] }
    path_filestat_set_times(a0: i32, a1: i32, a2: i32, a3: i32, a4: i64, a5: i64, a6: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_utimensat] }
    path_link(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32, a5: i32, a6: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_linkat] }
    path_open(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32, a5: i64, a6: i64, a7: i32, a8: i32) -> i32 { Full, "Synchronous flags work (wasmtime: NOTSUP).", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_fcntl] }
    path_readlink(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32, a5: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close] }
    path_remove_directory(a0: i32, a1: i32, a2: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_unlinkat] }
    path_rename(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32, a5: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_renameat, SYS_renameat2] }
    path_symlink(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32) -> i32 { Full, "Absolute targets only in a root.", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_symlinkat] }
    path_unlink_file(a0: i32, a1: i32, a2: i32) -> i32 { Full, "", [SYS_openat2, SYS_openat, SYS_readlinkat, SYS_fstat, SYS_newfstatat, SYS_fstatfs, SYS_close, SYS_unlinkat] }
    poll_oneoff(a0: i32, a1: i32, a2: i32, a3: i32) -> i32 { Full, "", [SYS_ppoll, SYS_poll, SYS_ioctl, SYS_fstat, SYS_newfstatat, SYS_clock_gettime] }
    proc_exit(a0: i32) -> () { Full, "Any status (wasmtime: below 126).", [] }
    proc_raise(a0: i32) -> i32 { Refused, "NOTSUP, as wasmtime.", [] }
    sched_yield() -> i32 { Full, "", [SYS_sched_yield] }
    random_get(a0: i32, a1: i32) -> i32 { Full, "", [SYS_getrandom] }
    sock_accept(a0: i32, a1: i32, a2: i32) -> i32 { Full, "On sockets given at the start (wasmtime: NOTSOCK).", [SYS_fstat, SYS_newfstatat, SYS_accept4] }
    sock_recv(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32, a5: i32) -> i32 { Full, "On sockets given at the start (wasmtime: NOTSOCK).", [SYS_fstat, SYS_newfstatat, SYS_recvmsg] }
    sock_send(a0: i32, a1: i32, a2: i32, a3: i32, a4: i32) -> i32 { Full, "On sockets given at the start (wasmtime: NOTSOCK).", [SYS_fstat, SYS_newfstatat, SYS_sendmsg] }
    sock_shutdown(a0: i32, a1: i32) -> i32 { Full, "On sockets given at the start (wasmtime: NOTSOCK).", [SYS_fstat, SYS_newfstatat, SYS_shutdown] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_functions_as_the_abi() {
        let table: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
        let abi = vkernel_abi::personality::PREVIEW1.functions;
        let abi: Vec<&str> = abi.iter().map(|function| function.name).collect();
        assert_eq!(table, abi);
    }
}
