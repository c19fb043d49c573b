//! Scattered reads and writes: a guest's `iovec` is 8 bytes, the host's 16.

use libc::*;
use rustix::io::Errno;

use super::super::{
    answer::{Answer, Args, word},
    context::Cx,
    memory::guest::Memory,
    syscall::Arg,
    table::row::Handler,
};

pub(crate) const HANDLERS: &[Handler] = &[
    Handler::new(SYS_readv, |cx, args| vectored(cx, SYS_readv, args)),
    Handler::new(SYS_writev, |cx, args| vectored(cx, SYS_writev, args)),
    Handler::new(SYS_preadv, |cx, args| vectored(cx, SYS_preadv, args)),
    Handler::new(SYS_pwritev, |cx, args| vectored(cx, SYS_pwritev, args)),
    Handler::new(SYS_preadv2, |cx, args| vectored(cx, SYS_preadv2, args)),
    Handler::new(SYS_pwritev2, |cx, args| vectored(cx, SYS_pwritev2, args)),
    Handler::new(SYS_vmsplice, |cx, args| vectored(cx, SYS_vmsplice, args)),
];

/// The host's `iovec`: address and length.
pub(crate) type HostVector = [u64; 2];

/// Most elements (UIO_MAXIOV).
const MOST: usize = 1024;

/// Vectors on the stack, unless there are more.
const FEW: usize = 8;

/// Gives `with` the host's form of `count` vectors at `pointer`.
pub(crate) fn with_vectors(
    memory: Memory,
    pointer: u32,
    count: u64,
    with: impl FnOnce(&[HostVector]) -> Answer,
) -> Answer {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > MOST {
        return Err(Errno::INVAL.into());
    }
    let mut few = [[0; 2]; FEW];
    let mut many = Vec::new();
    let vectors = match count <= FEW {
        true => &mut few[..count],
        false => {
            many.resize(count, [0; 2]);
            &mut many[..]
        }
    };
    let mut bytes = [0; 8 * FEW];
    for (chunk, at) in vectors
        .chunks_mut(FEW)
        .zip((u64::from(pointer)..).step_by(8 * FEW))
    {
        let bytes = &mut bytes[..8 * chunk.len()];
        memory.read(u32::try_from(at).map_err(|_| Errno::FAULT)?, bytes)?;
        for (vector, bytes) in chunk.iter_mut().zip(bytes.chunks_exact(8)) {
            let number = |at: usize| {
                bytes[at..]
                    .first_chunk()
                    .map_or(0, |b| u32::from_le_bytes(*b))
            };
            // `ssize_t` of 32 bits, as the host's own 32-bit programs have it (readv(2)).
            let len = number(4);
            if len > i32::MAX as u32 {
                return Err(Errno::INVAL.into());
            }
            *vector = [memory.address(number(0)), len.into()];
        }
    }
    with(vectors)
}

fn vectored(cx: &Cx<'_>, number: i64, args: &Args) -> Answer {
    let descriptor = cx.process.descriptors().check(args[0])?;
    // An `int` count: a negative one is refused by being too many.
    with_vectors(cx.memory(), word(args[1]), args[2], |vectors| {
        let mut host = args.map(Arg::from);
        host[0] = descriptor;
        host[1] = Arg::input(vectors);
        cx.host_waiting(number, host)
    })
}
