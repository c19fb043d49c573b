//! Descriptors of processes (`pidfd_open(2)`).
//!
//! They lead to no other process than its number does. What reaches further by them is refused:
//! another process's descriptors (`pidfd_getfd`), memory (`process_madvise`) and namespaces (`setns`).

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, int, word},
    queued,
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::pass(SYS_pidfd_open, "vv"),
    Row::call(SYS_pidfd_send_signal, send_signal)
        .partial("a siginfo that looks like one of a fault gives EPERM, also to oneself"),
];

fn send_signal(cx: &Cx<'_>, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    let (signal, pointer) = (args[1], word(args[2]));
    let mut info = [0_u8; 128];
    let host_info = match pointer {
        0 => 0,
        pointer => {
            let memory = cx.memory();
            memory.read(pointer, &mut info[..queued::KERNEL_SIZE])?;
            // The host takes it from a thread for itself, and then it would look like a fault.
            if queued::claims_a_fault(int(signal), &info) {
                return Err(Errno::PERM.into());
            }
            info.as_ptr() as u64
        }
    };
    let host = [descriptor, signal, host_info, args[3], 0, 0];
    let answer = pass_on(cx, SYS_pidfd_send_signal, false, &host);
    // The host kernel has read it.
    std::hint::black_box(&info);
    answer
}
