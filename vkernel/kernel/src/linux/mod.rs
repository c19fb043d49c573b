//! The `wali` personality: Linux system calls, each an import of its own, over a mediated
//! pass-through to the host kernel.
//!
//! One host process per guest process, one host thread per guest thread. Where the host has the
//! right object, the guest has it too: descriptors, process ids, process groups, sockets and
//! signal masks are the host's own. What is mediated: pointers (into the linear memory),
//! structures that 32-bit pointers lay out differently, memory maps ([`space`]), `execve` (by
//! content, inside this process), signal delivery ([`signals`]), and everything that could make
//! memory executable or leave the sandbox.
//!
//! [`TABLE`] has a row for every system call that is answered; a number without one gives ENOSYS and
//! is recorded. The engine links imports to rows; nothing here knows wasm.
//!
//! Invariants: no guest pointer is dereferenced but through [`guest::Memory`], whose copies
//! survive any address; no descriptor of the vkernel's own can be named by the guest; nothing
//! asks the host for executable memory.

mod answer;
mod calls;
mod context;
pub mod digest;
mod memory;
mod policy;
mod process;
mod signals;
mod syscall;
mod table;

pub use answer::{Answer, Args, Stop, answer};
pub(crate) use calls::IOCTLS;
pub use context::Cx;
pub use memory::{guest, space};
pub use process::{
    LinuxProcess,
    image::Image,
    sandbox::Sandbox,
    snapshot::HOST_CALLS as SNAPSHOT_CALLS,
    thread::{Delivery, Thread, frame_mask, write_frame},
    title::Title,
};
pub use signals::{
    action::Before,
    faults::{expect_faults_in, install as install_fault_handlers},
    inbox::Inbox,
    mask::restore_mask,
    safepoints,
};
pub use syscall::is_error;
pub use table::{
    TABLE,
    import::{AnyShape, Import, ReadOrWrite, Shape},
    row,
    row::Row,
};

/// Host calls that a module can cause whose imports (`module.field`) these are.
pub fn host_calls<'a>(imports: impl IntoIterator<Item = &'a String>) -> Vec<i64> {
    let mut calls: Vec<i64> = imports
        .into_iter()
        .filter_map(|import| {
            import
                .strip_prefix(vkernel_abi::wali::MODULE)?
                .strip_prefix('.')
        })
        .filter_map(vkernel_abi::wali::syscall)
        .filter_map(|call| row(call.number))
        .flat_map(Row::host_calls)
        // Judging what was opened, `/proc/self/exe`, closing what `execve` closes.
        .chain([
            libc::SYS_fstatfs,
            libc::SYS_readlink,
            libc::SYS_readlinkat,
            libc::SYS_newfstatat,
            // Whether a wait that a signal ended had a time limit.
            libc::SYS_getsockopt,
        ])
        .collect();
    calls.sort_unstable();
    calls.dedup();
    calls
}
