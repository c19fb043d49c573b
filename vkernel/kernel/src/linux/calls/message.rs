//! `sendmsg` and `recvmsg`: a guest's `msghdr` is 36 bytes (`polyfills/sysroot/README.md`), the
//! host's 56. Control messages have the host's layout, so descriptors and credentials pass as they
//! are.

use libc::*;
use rustix::io::Errno;

use super::{
    super::{
        answer::{Answer, Args, word},
        context::Cx,
        memory::guest::Memory,
        policy::{address::judged, network::Use},
        syscall::Arg,
        table::row::Handler,
    },
    vectors::with_vectors,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_sendmsg, |cx, args| one(cx, SYS_sendmsg, args)).host(&[SYS_getsockopt]),
    Handler::new(SYS_recvmsg, |cx, args| one(cx, SYS_recvmsg, args)),
    Handler::new(SYS_sendmmsg, |cx, args| many(cx, SYS_sendmsg, args))
        .host(&[SYS_sendmsg, SYS_getsockopt]),
    Handler::new(SYS_recvmmsg, |cx, args| many(cx, SYS_recvmsg, args))
        .host(&[SYS_recvmsg, SYS_getsockopt]),
];

/// Size of a guest's `mmsghdr`.
const MMSGHDR: u32 = 40;

/// Most bytes of control messages: more than the host takes by default (`optmem_max`, socket(7)).
const MOST_CONTROL: usize = 128 << 10;

/// UIO_MAXIOV.
const MOST: u32 = 1024;

/// The host's `msghdr`.
#[repr(C)]
struct HostHeader<'a> {
    name: Arg<'a>,
    name_len: u32,
    _pad: u32,
    vectors: Arg<'a>,
    count: u64,
    control: Arg<'a>,
    control_len: u64,
    flags: i32,
    _end: u32,
}

fn one(cx: &Cx<'_>, number: i64, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    message(cx, number, descriptor, word(args[1]), args[2])
}

fn message(cx: &Cx<'_>, number: i64, descriptor: Arg<'_>, header: u32, flags: u64) -> Answer {
    let memory: Memory = cx.memory();
    let sandbox = &cx.process.sandbox;
    let bytes: [u8; 36] = memory.array(header)?;
    let field = |at: usize| {
        bytes[at..]
            .first_chunk()
            .map_or(0, |b| u32::from_le_bytes(*b))
    };
    if field(12) > MOST {
        return Err(Errno::MSGSIZE.into());
    }
    let address = match number == SYS_sendmsg {
        true => {
            let (name, len) = (field(0).into(), field(4).into());
            Some(judged(
                &cx.caller(),
                (&sandbox.paths, &sandbox.network),
                "sendmsg",
                descriptor,
                (name, len),
                Use::Message,
            )?)
        }
        false => None,
    };
    let [name, name_len] = match &address {
        Some(address) => address.args(),
        None => [memory.arg(field(0)), field(4).into()],
    };
    if number == SYS_recvmsg && field(20) != 0 {
        make_room(cx);
    }
    let mut control = Vec::new();
    let (control_at, control_len) = match sandbox.network.is_limited() {
        true if number == SYS_sendmsg && field(20) != 0 => {
            if field(24) as usize > MOST_CONTROL {
                return Err(Errno::NOBUFS.into());
            }
            control.resize(field(24) as usize, 0);
            memory.read(field(20), &mut control)?;
            sandbox.network.judge_control(&cx.caller(), &control)?;
            (Arg::input(control.as_slice()), control.len() as u64)
        }
        _ => (memory.arg(field(20)), field(24).into()),
    };
    // A length that is negative as an int is EINVAL on Linux; here the host says so.
    with_vectors(memory, field(8), field(12).into(), |vectors| {
        let mut host = HostHeader {
            name,
            name_len: name_len.register() as u32,
            _pad: 0,
            vectors: Arg::input(vectors),
            count: vectors.len() as u64,
            control: control_at,
            control_len,
            flags: 0,
            _end: 0,
        };
        let args = [descriptor, Arg::output(&mut host), flags.into()];
        let answer = cx.host_waiting(number, args)?;
        if number == SYS_recvmsg {
            memory.write(header + 4, &host.name_len.to_le_bytes())?;
            memory.write(header + 24, &(host.control_len as u32).to_le_bytes())?;
            memory.write(header + 32, &host.flags.to_le_bytes())?;
        }
        Ok(answer)
    })
}

/// Several messages, one after the other, as the host kernel does it: an error after the first
/// message is kept from the guest.
fn many(cx: &Cx<'_>, number: i64, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    let (mut header, count) = (word(args[1]), word(args[2]).min(MOST));
    let mut flags = args[3];
    if count == 0 {
        // What is no socket says so.
        let (mut kind, mut len) = (0_i32, size_of::<i32>() as u32);
        let (level, option) = (SOL_SOCKET.into(), SO_TYPE.into());
        let value = [Arg::output(&mut kind), Arg::output(&mut len)];
        return cx.host(
            SYS_getsockopt,
            [descriptor, level, option, value[0], value[1]],
        );
    }
    let mut done = 0;
    while done < count {
        match message(
            cx,
            number,
            descriptor,
            header,
            flags & !(MSG_WAITFORONE as u64),
        ) {
            Ok(len) => {
                cx.memory().write(
                    header.checked_add(36).ok_or(Errno::FAULT)?,
                    &(len as u32).to_le_bytes(),
                )?;
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if flags & MSG_WAITFORONE as u64 != 0 {
            flags |= MSG_DONTWAIT as u64;
        }
        done += 1;
        header = header.checked_add(MMSGHDR).ok_or(Errno::FAULT)?;
    }
    Ok(done.into())
}

/// Most descriptors in a message (SCM_MAX_FD).
const MOST_DESCRIPTORS: i32 = 253;

/// The host drops descriptors of a message for which the table has no room, and so they must have
/// room before. Numbers are given out from below: if one near the end of a table that has not
/// grown is taken, it is nearly full.
fn make_room(cx: &Cx<'_>) {
    let limit = cx.process.descriptors();
    let last = limit.first_own() - MOST_DESCRIPTORS;
    let taken = || cx.host(SYS_fcntl, [last.into(), F_GETFD.into()]).is_ok();
    if last > 0 && !limit.has_grown() && taken() {
        cx.process.sandbox.more_descriptors();
    }
}
