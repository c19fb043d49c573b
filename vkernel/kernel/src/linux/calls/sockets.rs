//! Sockets: the host's own, as far as the policy allows.

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, int, word},
    paths::address::{Use, judged},
    table::{Row, pass_on},
};

pub(super) const ROWS: &[Row] = &[
    Row::call(SYS_socket, socket)
        .partial("AF_INET, AF_INET6 and AF_UNIX; others give EAFNOSUPPORT, raw sockets EPERM"),
    Row::pass(SYS_socketpair, "vvvp"),
    Row::call(SYS_bind, |cx, args| {
        addressed(cx, "bind", SYS_bind, args, 1)
    })
    .host(&[SYS_getsockopt]),
    Row::call(SYS_listen, listen).host(&[SYS_getsockname]),
    Row::call(SYS_connect, |cx, args| {
        addressed(cx, "connect", SYS_connect, args, 1)
    })
    .host(&[SYS_getsockopt])
    .restarts(),
    Row::pass(SYS_accept, "fpp").restarts(),
    Row::pass(SYS_accept4, "fppv").restarts(),
    Row::pass(SYS_shutdown, "fv"),
    Row::pass(SYS_getsockname, "fpp"),
    Row::pass(SYS_getpeername, "fpp"),
    Row::call(SYS_sendto, |cx, args| {
        addressed(cx, "sendto", SYS_sendto, args, 4)
    })
    .host(&[SYS_getsockopt])
    .restarts(),
    Row::pass(SYS_recvfrom, "fpvvpp").restarts(),
    Row::call(SYS_setsockopt, setsockopt).partial("options that attach filter programs give EPERM"),
    Row::pass(SYS_getsockopt, "fvvpp"),
];

/// A call with a socket and, at `at`, an address and its length.
fn addressed(cx: &Cx<'_>, operation: &str, number: i64, args: &Args, at: usize) -> Answer {
    let mut host = *args;
    host[0] = cx.process.descriptors().check(args[0])?;
    let (wanted, waits) = match number == SYS_bind {
        true => (Use::Own, false),
        false if number == SYS_connect => (Use::Peer, true),
        false => (Use::Message, true),
    };
    if number == SYS_sendto {
        host[1] = cx.memory().address(word(args[1]));
    }
    let address = judged(cx, operation, host[0], (args[at], args[at + 1]), wanted)?;
    (host[at], host[at + 1]) = address.arguments();
    let answer = pass_on(cx, number, waits, &host);
    // The host kernel has read it.
    drop(address);
    answer
}

fn socket(cx: &Cx<'_>, args: &Args) -> Answer {
    let (family, kind) = (int(args[0]), int(args[1]));
    if ![AF_INET, AF_INET6, AF_UNIX].contains(&family) {
        return Err(Errno::AFNOSUPPORT.into());
    }
    if [SOCK_RAW, SOCK_RDM, SOCK_DCCP, SOCK_PACKET].contains(&(kind & 0xf)) {
        cx.process.host.audit.refuse(
            "socket",
            &cx.process.image.program,
            "raw sockets are not offered",
            "EPERM",
        );
        return Err(Errno::PERM.into());
    }
    if family != AF_UNIX {
        cx.process.host.network.judge_socket(cx, int(args[2]))?;
    }
    pass_on(cx, SYS_socket, false, args)
}

fn listen(cx: &Cx<'_>, args: &Args) -> Answer {
    let mut host = *args;
    host[0] = cx.process.descriptors().check(args[0])?;
    cx.process.host.network.judge_listening(cx, host[0])?;
    pass_on(cx, SYS_listen, false, &host)
}

/// SOCK_PACKET of `<linux/net.h>`: obsolete, and as good as a raw socket.
const SOCK_PACKET: i32 = 10;

fn setsockopt(cx: &Cx<'_>, args: &Args) -> Answer {
    const FILTERS: &[i32] = &[
        SO_ATTACH_FILTER,
        SO_ATTACH_BPF,
        SO_ATTACH_REUSEPORT_CBPF,
        SO_ATTACH_REUSEPORT_EBPF,
    ];
    if int(args[1]) == SOL_SOCKET && FILTERS.contains(&int(args[2])) {
        return Err(Errno::PERM.into());
    }
    let (level, option) = (int(args[1]), int(args[2]));
    let network = &cx.process.host.network;
    network.judge_option(cx, "setsockopt", level, option)?;
    let mut host = *args;
    host[0] = cx.process.descriptors().check(args[0])?;
    host[3] = cx.memory().address(args[3] as u32);
    pass_on(cx, SYS_setsockopt, false, &host)
}
