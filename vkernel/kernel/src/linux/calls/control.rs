//! `fcntl`, `ioctl`, `prctl`: many calls under one number, each with its own kind of argument.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, int, word},
    context::Cx,
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_fcntl, fcntl),
    Handler::new(SYS_ioctl, ioctl),
    Handler::new(SYS_prctl, prctl),
];

/// The argument is a number.
const FCNTL_VALUES: &[i32] = &[
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    F_SETOWN,
    F_GETOWN,
    F_SETSIG,
    F_GETSIG,
    F_SETLEASE,
    F_GETLEASE,
    F_NOTIFY,
    F_SETPIPE_SZ,
    F_GETPIPE_SZ,
    F_ADD_SEALS,
    F_GET_SEALS,
    F_CREATED_QUERY,
];

/// F_DUPFD_QUERY and F_CREATED_QUERY of `<linux/fcntl.h>`, since Linux 6.10 and 6.12.
const F_DUPFD_QUERY: i32 = 1027;
const F_CREATED_QUERY: i32 = 1028;

/// Advice on how long what is written lives (fcntl(2)); the argument is an address of 8 bytes.
const F_GET_RW_HINT: i32 = 1035;
const F_SET_RW_HINT: i32 = 1036;
const F_GET_FILE_RW_HINT: i32 = 1037;
const F_SET_FILE_RW_HINT: i32 = 1038;

/// F_SETSIG and F_GETSIG of `<linux/fcntl.h>`.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
/// F_SETOWN_EX and F_GETOWN_EX.
const F_SETOWN_EX: i32 = 15;
const F_GETOWN_EX: i32 = 16;

/// The argument is an address of a structure with the host's layout.
const FCNTL_POINTERS: &[i32] = &[
    F_GETLK,
    F_SETLK,
    F_SETLKW,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_SETOWN_EX,
    F_GETOWN_EX,
    F_GET_RW_HINT,
    F_SET_RW_HINT,
    F_GET_FILE_RW_HINT,
    F_SET_FILE_RW_HINT,
];

fn fcntl(cx: &Cx<'_>, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    let command = int(args[1]);
    let argument = if FCNTL_VALUES.contains(&command) {
        args[2].into()
    } else if FCNTL_POINTERS.contains(&command) {
        cx.at(args[2])
    } else if command == F_DUPFD_QUERY {
        cx.process.descriptors().check(args[2])?
    } else {
        return Err(Errno::INVAL.into());
    };
    let host = [descriptor, args[1].into(), argument];
    match command == F_SETLKW || command == F_OFD_SETLKW {
        true => cx.host_waiting(SYS_fcntl, host),
        false => cx.host(SYS_fcntl, host),
    }
}

/// The argument is a number, or none.
const IOCTL_VALUES: &[u64] = &[
    TCSBRK,
    TCSBRKP,
    TCXONC,
    TCFLSH,
    TIOCSCTTY,
    TIOCNOTTY,
    TIOCEXCL,
    TIOCNXCL,
    TIOCGPTPEER,
    FIOCLEX,
    FIONCLEX,
];

/// FICLONE of `<linux/fs.h>`; the argument is a descriptor.
const FICLONE: u64 = 0x4004_9409;

/// SIOCGIFCONF of `<asm-generic/sockios.h>`; the argument is an address of a structure with an address.
const SIOCGIFCONF: u64 = 0x8912;

/// SIOCATMARK of `<asm-generic/sockios.h>`.
const SIOCATMARK: u64 = 0x8905;

/// The argument is an address of a structure with the host's layout.
const IOCTL_POINTERS: &[u64] = &[
    TCGETS,
    TCSETS,
    TCSETSW,
    TCSETSF,
    TIOCGWINSZ,
    TIOCSWINSZ,
    TIOCGPGRP,
    TIOCSPGRP,
    TIOCGSID,
    TIOCOUTQ,
    TIOCGPTN,
    TIOCSPTLCK,
    TIOCGPTLCK,
    TIOCPKT,
    FIONREAD,
    FIONBIO,
    FIOASYNC,
    SIOCATMARK,
    SIOCGIFFLAGS,
    SIOCGIFADDR,
    SIOCGIFNETMASK,
    SIOCGIFMTU,
    SIOCGIFINDEX,
    SIOCGIFNAME,
    SIOCGIFHWADDR,
];

fn ioctl(cx: &Cx<'_>, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    let request = u64::from(word(args[1]));
    let argument = if IOCTL_VALUES.contains(&request) {
        args[2].into()
    } else if IOCTL_POINTERS.contains(&request) {
        cx.at(args[2])
    } else if request == FICLONE {
        cx.process.descriptors().check(args[2])?
    } else if request == SIOCGIFCONF {
        return interfaces(cx, descriptor, word(args[2]));
    } else {
        // What is no open file says so first.
        let flags = cx.host(SYS_fcntl, [descriptor, F_GETFL.into()])?;
        return Err(match flags & i64::from(O_PATH) {
            0 => Errno::NOTTY.into(),
            _ => Errno::BADF.into(),
        });
    };
    cx.host_waiting(SYS_ioctl, [descriptor, request.into(), argument])
}

/// SIOCGIFCONF (netdevice(7)). The guest's `ifconf` is a length and an address of 4 bytes each; what is at
/// the address has the host's layout.
fn interfaces(cx: &Cx<'_>, descriptor: Arg<'_>, pointer: u32) -> Answer {
    /// The host's `ifconf`.
    #[repr(C)]
    struct Interfaces {
        len: i32,
        _pad: u32,
        to: Arg<'static>,
    }
    let memory = cx.memory();
    let (len, to) = (memory.u32(pointer)?, pointer.checked_add(4));
    let to = memory.u32(to.ok_or(Errno::FAULT)?)?;
    // Not beyond the end of the guest's memory.
    let room = i32::try_from(u32::MAX - to).unwrap_or(i32::MAX);
    let mut host = Interfaces {
        len: len.cast_signed().min(room),
        _pad: 0,
        to: memory.arg(to),
    };
    let args = [descriptor, SIOCGIFCONF.into(), Arg::output(&mut host)];
    let answer = cx.host_waiting(SYS_ioctl, args)?;
    memory.write(pointer, &host.len.to_le_bytes())?;
    Ok(answer)
}

/// Requests whose argument is neither a number nor an address of a structure without addresses.
const IOCTL_OTHERS: &[u64] = &[FICLONE, SIOCGIFCONF];

/// All requests, for the seccomp filter.
pub(crate) const IOCTLS: &[u32] = &{
    const LISTS: [&[u64]; 3] = [IOCTL_VALUES, IOCTL_POINTERS, IOCTL_OTHERS];
    let mut all = [0; LISTS[0].len() + LISTS[1].len() + LISTS[2].len()];
    let (mut list, mut at, mut to) = (0, 0, 0);
    while to < all.len() {
        if at == LISTS[list].len() {
            (list, at) = (list + 1, 0);
            continue;
        }
        all[to] = LISTS[list][at] as u32;
        (at, to) = (at + 1, to + 1);
    }
    all
};

/// The second argument is a number, or none.
const PRCTL_VALUES: &[i32] = &[
    PR_SET_PDEATHSIG,
    PR_GET_DUMPABLE,
    PR_SET_DUMPABLE,
    PR_GET_KEEPCAPS,
    PR_SET_KEEPCAPS,
    PR_GET_NO_NEW_PRIVS,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_CHILD_SUBREAPER,
    PR_GET_TIMERSLACK,
    PR_SET_TIMERSLACK,
    // What the host's execve does with capabilities; it is never called again.
    PR_CAP_AMBIENT,
    PR_CAPBSET_READ,
    PR_GET_SECUREBITS,
];

/// It is an address.
const PRCTL_POINTERS: &[i32] = &[
    PR_SET_NAME,
    PR_GET_NAME,
    PR_GET_PDEATHSIG,
    PR_GET_CHILD_SUBREAPER,
];

fn prctl(cx: &Cx<'_>, args: &Args) -> Answer {
    let option = int(args[0]);
    let second = if PRCTL_VALUES.contains(&option) {
        args[1].into()
    } else if PRCTL_POINTERS.contains(&option) {
        cx.at(args[1])
    } else {
        return Err(Errno::INVAL.into());
    };
    let [_, _, third, fourth, fifth, _] = args.map(Arg::from);
    cx.host(SYS_prctl, [option.into(), second, third, fourth, fifth])
}
