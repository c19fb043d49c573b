//! Waiting for several descriptors.

use libc::*;

use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, Stop, word},
    guest::Memory,
    signals::SYNCHRONOUS,
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::pass(SYS_poll, "pvv").waits(),
    Row::call(SYS_ppoll, ppoll).waits(),
    Row::pass(SYS_select, "vpppp").waits(),
    Row::call(SYS_pselect6, pselect).waits(),
    Row::pass(SYS_epoll_create, "v"),
    Row::pass(SYS_epoll_create1, "v"),
    Row::pass(SYS_epoll_ctl, "fvfp"),
    Row::pass(SYS_epoll_wait, "fpvv").waits(),
    Row::call(SYS_epoll_pwait, epoll_pwait).waits(),
    Row::call(SYS_epoll_pwait2, epoll_pwait2).waits(),
    Row::pass(SYS_eventfd, "v"),
    Row::pass(SYS_eventfd2, "vv"),
];

/// A signal mask of the guest's for the time of a wait. The host must let in what the vkernel needs
/// (SYNCHRONOUS) whatever the guest says.
struct Mask {
    host: u64,
    guest: u64,
}

impl Mask {
    /// The one at `pointer`; `None` for a null pointer, or a size that the host refuses.
    fn at(memory: Memory, pointer: u32, size: u64) -> Result<Option<Mask>, Stop> {
        /// Size of the kernel's signal set.
        const SET: u64 = 8;
        if pointer == 0 || size != SET {
            return Ok(None);
        }
        let guest = memory.u64(pointer)?;
        let host = guest & !SYNCHRONOUS;
        Ok(Some(Mask { host, guest }))
    }

    /// Makes a host call that waits under this mask.
    fn wait(mask: Option<&Mask>, cx: &Cx<'_>, number: i64, host: &Args) -> Answer {
        match mask {
            None => pass_on(cx, number, true, host),
            Some(mask) => cx
                .thread
                .wait_under(mask.guest, || pass_on(cx, number, true, host)),
        }
    }
}

/// The host's address of a mask, if there is one.
fn address(mask: Option<&Mask>) -> u64 {
    mask.map_or(0, |mask| {
        std::ptr::from_ref(std::hint::black_box(&mask.host)) as u64
    })
}

/// A call whose arguments `at` and `at + 1` are a mask and its size; `pointers` are others that are
/// addresses.
fn masked(cx: &Cx<'_>, number: i64, args: &Args, at: usize, pointers: &[usize]) -> Answer {
    let memory = cx.memory();
    let pointer = word(args[at]);
    let mask = Mask::at(memory, pointer, args[at + 1])?;
    let mut host = *args;
    for pointer in pointers {
        host[*pointer] = memory.address(word(args[*pointer]));
    }
    // A size that is wrong is for the host to refuse, before it looks at the mask.
    host[at] = match &mask {
        None => memory.address(pointer),
        some => address(some.as_ref()),
    };
    let answer = Mask::wait(mask.as_ref(), cx, number, &host);
    // The host kernel reads it, which the compiler cannot see.
    std::hint::black_box(&mask);
    answer
}

fn ppoll(cx: &Cx<'_>, args: &Args) -> Answer {
    masked(cx, SYS_ppoll, args, 3, &[0, 2])
}

fn epoll_pwait(cx: &Cx<'_>, args: &Args) -> Answer {
    let mut args = *args;
    args[0] = cx.process.descriptors().check(args[0])?;
    masked(cx, SYS_epoll_pwait, &args, 4, &[1])
}

fn epoll_pwait2(cx: &Cx<'_>, args: &Args) -> Answer {
    let mut args = *args;
    args[0] = cx.process.descriptors().check(args[0])?;
    masked(cx, SYS_epoll_pwait2, &args, 4, &[1, 3])
}

/// The last argument leads to an address and a size: the address is the guest's.
fn pselect(cx: &Cx<'_>, args: &Args) -> Answer {
    let memory = cx.memory();
    let mut own = None;
    let mut mask = [0_u64; 2];
    let last = match word(args[5]) {
        0 => 0,
        pointer => {
            let size = memory.u64(pointer.checked_add(8).ok_or(Errno::FAULT)?)?;
            let pointer = memory.u32(pointer)?;
            own = Mask::at(memory, pointer, size)?;
            let at = match &own {
                None => memory.address(pointer),
                some => address(some.as_ref()),
            };
            mask = [at, size];
            mask.as_ptr() as u64
        }
    };
    let at = |i: usize| memory.address(word(args[i]));
    let host = [args[0], at(1), at(2), at(3), at(4), last];
    let answer = Mask::wait(own.as_ref(), cx, SYS_pselect6, &host);
    // The host kernel reads them, which the compiler cannot see.
    std::hint::black_box((&mask, &own));
    answer
}
