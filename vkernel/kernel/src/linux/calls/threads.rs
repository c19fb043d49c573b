//! Threads: futexes are the host's, on the addresses of the linear memory.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, Stop, int, word},
    context::Cx,
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_exit, exit),
    Handler::new(SYS_set_tid_address, set_tid_address),
    Handler::new(SYS_futex, futex),
    Handler::new(SYS_set_robust_list, set_robust_list),
    Handler::new(SYS_get_robust_list, get_robust_list),
    Handler::new(SYS_membarrier, membarrier),
];

fn exit(cx: &Cx<'_>, args: &Args) -> Answer {
    let status = int(args[0]);
    if cx.process.threads() == 1 {
        cx.thread.release_robust(cx.memory());
        cx.process.exit(status);
    }
    Err(Stop::Thread(status))
}

fn set_tid_address(cx: &Cx<'_>, args: &Args) -> Answer {
    cx.thread.clear_tid.set(word(args[0]));
    cx.host(SYS_gettid, [])
}

/// The fourth argument is a timeout or a number, by the operation (futex(2)).
fn futex(cx: &Cx<'_>, args: &Args) -> Answer {
    let operation = int(args[1]) & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    let fourth = match operation {
        FUTEX_WAKE | FUTEX_REQUEUE | FUTEX_CMP_REQUEUE | FUTEX_WAKE_OP | FUTEX_WAKE_BITSET
        | FUTEX_CMP_REQUEUE_PI | FUTEX_UNLOCK_PI => word(args[3]).into(),
        FUTEX_WAIT
        | FUTEX_WAIT_BITSET
        | FUTEX_LOCK_PI
        | FUTEX_TRYLOCK_PI
        | FUTEX_WAIT_REQUEUE_PI
        | FUTEX_LOCK_PI2 => cx.at(args[3]),
        _ => return Err(Errno::NOSYS.into()),
    };
    let waits = !matches!(
        operation,
        FUTEX_WAKE | FUTEX_REQUEUE | FUTEX_CMP_REQUEUE | FUTEX_WAKE_OP | FUTEX_WAKE_BITSET
    );
    let host = [
        cx.at(args[0]),
        args[1].into(),
        args[2].into(),
        fourth,
        cx.at(args[4]),
        args[5].into(),
    ];
    cx.call(SYS_futex, waits, &host)
}

/// Size of the guest's `robust_list_head`.
const HEAD: u32 = 24;

fn get_robust_list(cx: &Cx<'_>, args: &Args) -> Answer {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    if int(args[0]) != 0 && int(args[0]) != own {
        return Err(Errno::PERM.into());
    }
    let memory = cx.memory();
    memory.write(word(args[2]), &HEAD.to_le_bytes())?;
    memory.write(word(args[1]), &cx.thread.robust.get().to_le_bytes())?;
    Ok(0)
}

fn set_robust_list(cx: &Cx<'_>, args: &Args) -> Answer {
    match word(args[1]) {
        HEAD => {
            cx.thread.robust.set(word(args[0]));
            cx.process.has_robust();
            Ok(0)
        }
        _ => Err(Errno::INVAL.into()),
    }
}

fn membarrier(cx: &Cx<'_>, args: &Args) -> Answer {
    cx.host(SYS_membarrier, args.map(Arg::from))
}
