//! Sockets: the host's own, as far as the policy allows.

use libc::*;
use rustix::io::Errno;

use super::super::{
    call::{Answer, Args, Cx, int},
    table::Row,
};

pub(super) const ROWS: &[Row] = &[
    Row::call(SYS_socket, socket)
        .partial("AF_INET, AF_INET6 and AF_UNIX; others give EAFNOSUPPORT, raw sockets EPERM"),
    Row::pass(SYS_socketpair, "vvvp"),
    Row::pass(SYS_bind, "fpv"),
    Row::pass(SYS_listen, "fv"),
    Row::pass(SYS_connect, "fpv").restarts(),
    Row::pass(SYS_accept, "fpp").restarts(),
    Row::pass(SYS_accept4, "fppv").restarts(),
    Row::pass(SYS_shutdown, "fv"),
    Row::pass(SYS_getsockname, "fpp"),
    Row::pass(SYS_getpeername, "fpp"),
    Row::pass(SYS_sendto, "fpvvpv").restarts(),
    Row::pass(SYS_recvfrom, "fpvvpp").restarts(),
    Row::call(SYS_setsockopt, setsockopt).partial("options that attach filter programs give EPERM"),
    Row::pass(SYS_getsockopt, "fvvpp"),
];

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
    super::super::table::pass_on(cx, SYS_socket, false, args)
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
    let mut host = *args;
    host[0] = cx.process.descriptors().check(args[0])?;
    host[3] = cx.memory().address(args[3] as u32);
    super::super::table::pass_on(cx, SYS_setsockopt, false, &host)
}
