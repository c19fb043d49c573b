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
];

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
];

fn fcntl(cx: &Cx<'_>, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    let command = int(args[1]);
    let argument = if FCNTL_VALUES.contains(&command) {
        args[2].into()
    } else if FCNTL_POINTERS.contains(&command) {
        cx.at(args[2])
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
    } else {
        return Err(Errno::NOTTY.into());
    };
    cx.host_waiting(SYS_ioctl, [descriptor, request.into(), argument])
}

/// All requests, for the seccomp filter.
pub(crate) const IOCTLS: &[u32] = &{
    const VALUES: usize = IOCTL_VALUES.len();
    let mut all = [0; VALUES + IOCTL_POINTERS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = match at < VALUES {
            true => IOCTL_VALUES[at] as u32,
            false => IOCTL_POINTERS[at - VALUES] as u32,
        };
        at += 1;
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
