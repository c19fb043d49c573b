//! Sockets: `sock_*`, on sockets that were open from the start or were accepted from them.
//!
//! Preview 1 can make no sockets; wasmtime 48 answers every call with NOTSOCK, here sockets that
//! the process was given work. Invariant: nothing but `sock_accept` makes a descriptor.

use rustix::{
    fs::FileType,
    io::Errno as Host,
    net::{Shutdown, SocketFlags},
};
use std::os::fd::{AsFd, BorrowedFd};
use wiggle::GuestMemory;

use super::{
    errno::Result,
    memory::Buffers,
    types::{CiovecArray, Errno, Fdflags, IovecArray, Riflags, Roflags, Sdflags},
};
use crate::fs::{
    Files, retry,
    table::{Descriptor, HostFd, Object},
};

/// The socket behind a descriptor; NOTSOCK for everything else that is open.
fn socket(files: &Files, fd: u32) -> Result<BorrowedFd<'_>> {
    match &files.table.get(fd)?.object {
        Object::File(host) => {
            let stat = rustix::fs::fstat(host.as_fd())?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Socket => Ok(host.as_fd()),
                _ => Err(Errno::Notsock.into()),
            }
        }
        _ => Err(Errno::Notsock.into()),
    }
}

pub(super) fn accept(files: &mut Files, fd: u32, flags: Fdflags) -> Result<u32> {
    let listener = socket(files, fd)?;
    if !Fdflags::NONBLOCK.contains(flags) {
        return Err(Errno::Inval.into());
    }
    files.table.room()?;
    let mut kind = SocketFlags::CLOEXEC;
    if flags.contains(Fdflags::NONBLOCK) {
        kind |= SocketFlags::NONBLOCK;
    }
    let accepted = retry(|| rustix::net::accept_with(listener, kind))?;
    let object = Object::File(HostFd::Owned(accepted));
    Ok(files.table.insert(Descriptor::new(object))?)
}

pub(super) fn receive(
    files: &Files,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    data: IovecArray,
    flags: Riflags,
) -> Result<(u32, Roflags)> {
    let socket = socket(files, fd)?;
    let mut how = 0;
    if flags.contains(Riflags::RECV_PEEK) {
        how |= libc::MSG_PEEK;
    }
    if flags.contains(Riflags::RECV_WAITALL) {
        how |= libc::MSG_WAITALL;
    }
    let received = Buffers::new(memory, data)?.receive(socket, how)?;
    let flags = match received.truncated {
        true => Roflags::RECV_DATA_TRUNCATED,
        false => Roflags::empty(),
    };
    Ok((received.bytes, flags))
}

pub(super) fn send(
    files: &Files,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    data: CiovecArray,
    flags: u16,
) -> Result<u32> {
    let socket = socket(files, fd)?;
    // No flags are defined.
    if flags != 0 {
        return Err(Errno::Inval.into());
    }
    Buffers::new(memory, data)?.send(socket)
}

pub(super) fn shutdown(files: &Files, fd: u32, how: Sdflags) -> Result<()> {
    let socket = socket(files, fd)?;
    let how = match (how.contains(Sdflags::RD), how.contains(Sdflags::WR)) {
        (true, true) => Shutdown::Both,
        (true, false) => Shutdown::Read,
        (false, true) => Shutdown::Write,
        (false, false) => return Err(Host::INVAL.into()),
    };
    Ok(rustix::net::shutdown(socket, how)?)
}
