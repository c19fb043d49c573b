//! Waiting for several descriptors.

use libc::*;

use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, Stop, word},
    context::Cx,
    memory::guest::Memory,
    signals::set::SYNCHRONOUS,
    syscall::{Arg, HostArgs},
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_ppoll, ppoll),
    Handler::new(SYS_pselect6, pselect),
    Handler::new(SYS_epoll_pwait, epoll_pwait),
    Handler::new(SYS_epoll_pwait2, epoll_pwait2),
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
    fn wait(mask: Option<&Mask>, cx: &Cx<'_>, number: i64, host: HostArgs<'_>) -> Answer {
        match mask {
            None => cx.host_waiting(number, host),
            Some(mask) => cx
                .thread
                .wait_under(mask.guest, || cx.host_waiting(number, host)),
        }
    }
}

/// The host's address of a mask, if there is one.
fn address(mask: Option<&Mask>) -> Arg<'_> {
    mask.map_or(Arg::NONE, |mask| Arg::input(&mask.host))
}

/// A call whose arguments `at` and `at + 1` are a mask and its size; `pointers` are others that are
/// addresses.
fn masked(cx: &Cx<'_>, number: i64, args: &Args, at: usize, pointers: &[usize]) -> Answer {
    let memory = cx.memory();
    let pointer = word(args[at]);
    let mask = Mask::at(memory, pointer, args[at + 1])?;
    let mut host: HostArgs<'_> = args.map(Arg::from);
    for pointer in pointers {
        host[*pointer] = cx.at(args[*pointer]);
    }
    // A size that is wrong is for the host to refuse, before it looks at the mask.
    host[at] = match &mask {
        None => memory.arg(pointer),
        some => address(some.as_ref()),
    };
    Mask::wait(mask.as_ref(), cx, number, host)
}

fn ppoll(cx: &Cx<'_>, args: &Args) -> Answer {
    masked(cx, SYS_ppoll, args, 3, &[0, 2])
}

fn epoll_pwait(cx: &Cx<'_>, args: &Args) -> Answer {
    cx.process.descriptors().check(args[0])?;
    masked(cx, SYS_epoll_pwait, args, 4, &[1])
}

fn epoll_pwait2(cx: &Cx<'_>, args: &Args) -> Answer {
    cx.process.descriptors().check(args[0])?;
    masked(cx, SYS_epoll_pwait2, args, 4, &[1, 3])
}

/// The last argument leads to an address and a size: the address is the guest's.
fn pselect(cx: &Cx<'_>, args: &Args) -> Answer {
    let memory = cx.memory();
    let own;
    let mask: [Arg<'_>; 2];
    let last = match word(args[5]) {
        0 => {
            own = None;
            Arg::NONE
        }
        pointer => {
            let size = memory.u64(pointer.checked_add(8).ok_or(Errno::FAULT)?)?;
            let pointer = memory.u32(pointer)?;
            own = Mask::at(memory, pointer, size)?;
            let at = match &own {
                None => memory.arg(pointer),
                some => address(some.as_ref()),
            };
            mask = [at, size.into()];
            Arg::input(&mask)
        }
    };
    let at = |i: usize| cx.at(args[i]);
    let host = [args[0].into(), at(1), at(2), at(3), at(4), last];
    Mask::wait(own.as_ref(), cx, SYS_pselect6, host)
}
