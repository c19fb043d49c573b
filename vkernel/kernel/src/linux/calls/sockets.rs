//! Sockets: the host's own, as far as the policy allows.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, int},
    context::Cx,
    policy::{address::judged, network::Use},
    syscall::{Arg, HostArgs},
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_socket, socket),
    Handler::new(SYS_socketpair, socket_pair),
    Handler::new(SYS_bind, |cx, args| {
        addressed(cx, "bind", SYS_bind, args, 1)
    })
    .host(&[SYS_getsockopt]),
    Handler::new(SYS_listen, listen).host(&[SYS_getsockname, SYS_getsockopt, SYS_shutdown]),
    Handler::new(SYS_connect, |cx, args| {
        addressed(cx, "connect", SYS_connect, args, 1)
    })
    .host(&[SYS_getsockopt]),
    Handler::new(SYS_sendto, |cx, args| {
        addressed(cx, "sendto", SYS_sendto, args, 4)
    })
    .host(&[SYS_getsockopt]),
    Handler::new(SYS_setsockopt, setsockopt),
    Handler::new(SYS_getsockopt, getsockopt),
];

/// Options whose values hold addresses, which the host kernel would take for its own process's: level, first
/// and last option (`linux/tcp.h`, `linux/netfilter*/`). Most of them are for administrators only; the first
/// one has the host kernel write what was received to any address.
const ADDRESSES: &[(i32, i32, i32)] = &[
    (IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, TCP_ZEROCOPY_RECEIVE),
    // iptables, arptables, ebtables, IPVS.
    (IPPROTO_IP, 64, 67),
    (IPPROTO_IP, 96, 99),
    (IPPROTO_IP, 128, 131),
    (IPPROTO_IP, 1024, i32::MAX),
    (IPPROTO_IPV6, 64, 65),
    (IPPROTO_IPV6, 68, 69),
];

/// TCP_ZEROCOPY_RECEIVE of `<linux/tcp.h>`.
const TCP_ZEROCOPY_RECEIVE: i32 = 35;

fn refuse_addresses(level: i32, option: i32) -> Result<(), Errno> {
    let holds = ADDRESSES
        .iter()
        .any(|(of, first, last)| *of == level && (*first..=*last).contains(&option));
    match holds {
        true => Err(Errno::PERM),
        false => Ok(()),
    }
}

fn getsockopt(cx: &Cx<'_>, args: &Args) -> Answer {
    refuse_addresses(int(args[1]), int(args[2]))?;
    let socket = cx.process.descriptors().check(args[0])?;
    let (level, option) = (args[1].into(), args[2].into());
    let host = [socket, level, option, cx.at(args[3]), cx.at(args[4])];
    cx.host(SYS_getsockopt, host)
}

/// A call with a socket and, at `at`, an address and its length.
fn addressed(cx: &Cx<'_>, operation: &str, number: i64, args: &Args, at: usize) -> Answer {
    let mut host: HostArgs<'_> = args.map(Arg::from);
    host[0] = cx.process.descriptors().check(args[0])?;
    let (wanted, waits) = match number == SYS_bind {
        true => (Use::Own, false),
        false if number == SYS_connect => (Use::Peer, true),
        false => (Use::Message, true),
    };
    if number == SYS_sendto {
        host[1] = cx.at(args[1]);
    }
    let sandbox = &cx.process.sandbox;
    let address = judged(
        &cx.caller(),
        (&sandbox.paths, &sandbox.network),
        operation,
        host[0],
        (args[at], args[at + 1]),
        wanted,
    )?;
    [host[at], host[at + 1]] = address.args();
    cx.call(number, waits, &host)
}

/// Types of the internet's sockets, and their protocols. What is not here has its own ways to find
/// addresses, which no policy sees: SCTP, MPTCP, DCCP.
const INTERNET: &[(i32, &[i32])] = &[
    (SOCK_STREAM, &[0, IPPROTO_TCP]),
    (SOCK_DGRAM, &[0, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6]),
];

/// Types of Unix sockets.
const UNIX: &[i32] = &[SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET];

/// A socket's type, without what is flags beside it; EINVAL if others are there (socket(2)).
fn type_of(argument: u64) -> Result<i32, Errno> {
    match int(argument) & !(0xf | SOCK_CLOEXEC | SOCK_NONBLOCK) {
        0 => Ok(int(argument) & 0xf),
        _ => Err(Errno::INVAL),
    }
}

fn socket(cx: &Cx<'_>, args: &Args) -> Answer {
    let (family, kind, protocol) = (int(args[0]), type_of(args[1])?, int(args[2]));
    if ![AF_INET, AF_INET6, AF_UNIX].contains(&family) {
        return Err(Errno::AFNOSUPPORT.into());
    }
    if [SOCK_RAW, SOCK_RDM, SOCK_DCCP, SOCK_PACKET].contains(&kind) {
        cx.process.sandbox.audit.refuse(
            "socket",
            &cx.process.image.program,
            "raw sockets are not offered",
            "EPERM",
        );
        return Err(Errno::PERM.into());
    }
    if family == AF_UNIX {
        return unix(cx, SYS_socket, args, Arg::NONE);
    }
    let protocols = INTERNET.iter().find(|(known, _)| *known == kind);
    let Some((_, protocols)) = protocols else {
        return Err(Errno::SOCKTNOSUPPORT.into());
    };
    if !protocols.contains(&protocol) {
        return Err(Errno::PROTONOSUPPORT.into());
    }
    let network = &cx.process.sandbox.network;
    network.judge_socket(&cx.caller())?;
    cx.host(SYS_socket, [family.into(), args[1].into(), protocol.into()])
}

fn socket_pair(cx: &Cx<'_>, args: &Args) -> Answer {
    match int(args[0]) {
        AF_UNIX => {}
        AF_INET | AF_INET6 => return Err(Errno::OPNOTSUPP.into()),
        _ => return Err(Errno::AFNOSUPPORT.into()),
    }
    unix(cx, SYS_socketpair, args, cx.at(args[3]))
}

/// A call that makes Unix sockets; `to` is where a pair goes.
fn unix(cx: &Cx<'_>, number: i64, args: &Args, to: Arg<'_>) -> Answer {
    if !UNIX.contains(&type_of(args[1])?) {
        return Err(Errno::SOCKTNOSUPPORT.into());
    }
    if ![0, AF_UNIX].contains(&int(args[2])) {
        return Err(Errno::PROTONOSUPPORT.into());
    }
    let [family, kind, protocol, ..] = args.map(Arg::from);
    cx.host(number, [family, kind, protocol, to])
}

/// The socket is held while it is judged and used: another thread could put another one in its place. The
/// address can change meanwhile, also in another process that has the socket, if it goes back to none
/// (connect(2), AF_UNSPEC): so what listens is judged once more, and listens no more if it may not.
fn listen(cx: &Cx<'_>, args: &Args) -> Answer {
    let (sandbox, backlog) = (&cx.process.sandbox, args[1].into());
    let number = cx.process.descriptors().number(args[0])?;
    if !sandbox.network.is_limited() {
        return cx.host(SYS_listen, [number.into(), backlog]);
    }
    // A descriptor of a socket: closing a duplicate gives no record locks up.
    let socket = sandbox.paths.socket(&cx.caller(), number)?;
    let judge = || {
        let network = &sandbox.network;
        network.judge_listening(&cx.caller(), socket.arg())
    };
    judge()?;
    let answer = cx.host(SYS_listen, [socket.arg(), backlog])?;
    if let Err(errno) = judge() {
        cx.host(SYS_shutdown, [socket.arg(), SHUT_RDWR.into()])?;
        return Err(errno.into());
    }
    Ok(answer)
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
    refuse_addresses(level, option)?;
    let network = &cx.process.sandbox.network;
    network.judge_option(&cx.caller(), "setsockopt", level, option)?;
    let socket = cx.process.descriptors().check(args[0])?;
    let (level, option) = (level.into(), option.into());
    let host = [socket, level, option, cx.at(args[3]), args[4].into()];
    cx.host(SYS_setsockopt, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_with_addresses_in_their_values() {
        for (level, option) in [
            (IPPROTO_TCP, 35),
            (IPPROTO_IP, 64),
            (IPPROTO_IP, 1200),
            (IPPROTO_IPV6, 65),
        ] {
            assert_eq!(refuse_addresses(level, option), Err(Errno::PERM));
        }
        for (level, option) in [
            (IPPROTO_TCP, TCP_NODELAY),
            (IPPROTO_IP, IP_TTL),
            (IPPROTO_IP, 80),
            (IPPROTO_IPV6, IPV6_TCLASS),
            (SOL_SOCKET, 35),
        ] {
            assert_eq!(refuse_addresses(level, option), Ok(()));
        }
    }
}
