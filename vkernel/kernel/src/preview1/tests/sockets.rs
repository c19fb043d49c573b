//! `sock_*`, on loopback and on socket pairs.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixDatagram, UnixStream},
};

use super::*;
use crate::preview1::types::{Fdflags, Filetype, Rights};

fn with_socket(socket: impl Into<OwnedFd>) -> Sandbox {
    Sandbox::bare(builder().socket(socket.into()))
}

fn recv(s: &mut Sandbox, fd: u32, len: u32, flags: i32) -> Outcome<(Vec<u8>, u16)> {
    let iovs = s.vector(&[len]);
    s.call(|p, m| wasi::sock_recv(p, m, fd as i32, iovs, 1, flags, 64, 72))?;
    let (got, flags) = (s.load(64), s.load(72));
    Ok((s.bytes(16384, got), flags))
}

fn send(s: &mut Sandbox, fd: u32, bytes: &[u8], flags: i32) -> Outcome<u32> {
    s.memory.0[16384..][..bytes.len()].copy_from_slice(bytes);
    let iovs = s.vector(&[bytes.len() as u32]);
    s.call(|p, m| wasi::sock_send(p, m, fd as i32, iovs, 1, flags, 64))?;
    Ok(s.load(64))
}

fn shutdown(s: &mut Sandbox, fd: u32, how: i32) -> Outcome<()> {
    s.call(|p, m| wasi::sock_shutdown(p, m, fd as i32, how))
}

fn accept(s: &mut Sandbox, fd: u32, flags: i32) -> Outcome<u32> {
    s.call(|p, m| wasi::sock_accept(p, m, fd as i32, flags, 64))?;
    Ok(s.load(64))
}

#[test]
fn server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut s = with_socket(listener);
    let mut client = TcpStream::connect(address).unwrap();
    let fd = accept(&mut s, 3, 0).unwrap();
    assert_eq!(fd, 4);
    assert_eq!(s.fdstat(fd).unwrap().fs_filetype, Filetype::SocketStream);
    client.write_all(b"request").unwrap();
    assert_eq!(recv(&mut s, fd, 3, 1), Ok((b"req".to_vec(), 0)), "peek");
    assert_eq!(
        recv(&mut s, fd, 7, 2),
        Ok((b"request".to_vec(), 0)),
        "wait for all"
    );
    assert_eq!(send(&mut s, fd, b"reply", 0), Ok(5));
    // Plain reads and writes work on sockets too.
    assert_eq!(s.write(fd, b"!"), Ok(1));
    assert_eq!(shutdown(&mut s, fd, 2), Ok(()));
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert_eq!(all, "reply!");
    client.write_all(b"x").unwrap();
    assert_eq!(s.read(fd, 9), Ok(b"x".to_vec()));
    drop(client);
    assert_eq!(recv(&mut s, fd, 9, 0), Ok((vec![], 0)));

    let _client = TcpStream::connect(address).unwrap();
    let fd = accept(&mut s, 3, 4).unwrap();
    assert_eq!(s.fdstat(fd).unwrap().fs_flags, Fdflags::NONBLOCK);
    assert_eq!(recv(&mut s, fd, 9, 0), Err(Errno::Again));
    assert_eq!(accept(&mut s, 3, 1), Err(Errno::Inval));
    assert_eq!(accept(&mut s, 3, 64), Err(Errno::Inval));
    assert_eq!(accept(&mut s, fd, 0), Err(Errno::Inval), "does not listen");
    s.call(|p, m| wasi::fd_fdstat_set_flags(p, m, 3, 4))
        .unwrap();
    assert_eq!(accept(&mut s, 3, 0), Err(Errno::Again));
    assert!(
        s.fdstat(3)
            .unwrap()
            .fs_rights_base
            .contains(Rights::SOCK_ACCEPT)
    );
}

#[test]
fn datagrams() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut s = with_socket(theirs);
    assert_eq!(s.fstat(3).unwrap().filetype, Filetype::SocketDgram);
    ours.send(b"0123456789").unwrap();
    assert_eq!(
        recv(&mut s, 3, 4, 0),
        Ok((b"0123".to_vec(), 1)),
        "cut, and says so"
    );
    ours.send(b"ab").unwrap();
    assert_eq!(recv(&mut s, 3, 4, 0), Ok((b"ab".to_vec(), 0)));
}

#[test]
fn errors() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut s = with_socket(theirs);
    assert_eq!(send(&mut s, 3, b"x", 1), Err(Errno::Inval));
    assert_eq!(recv(&mut s, 3, 1, 4), Err(Errno::Inval), "unknown flag");
    assert_eq!(shutdown(&mut s, 3, 0), Err(Errno::Inval));
    assert_eq!(shutdown(&mut s, 3, 4), Err(Errno::Inval));
    assert_eq!(shutdown(&mut s, 3, 3), Ok(()));
    assert_eq!(send(&mut s, 3, b"x", 0), Err(Errno::Pipe), "and no SIGPIPE");
    drop(ours);
    for fd in [0, 1] {
        assert_eq!(accept(&mut s, fd, 0), Err(Errno::Notsock));
        assert_eq!(recv(&mut s, fd, 1, 0), Err(Errno::Notsock));
        assert_eq!(send(&mut s, fd, b"x", 0), Err(Errno::Notsock));
        assert_eq!(shutdown(&mut s, fd, 1), Err(Errno::Notsock));
    }
    assert_eq!(accept(&mut s, 99, 0), Err(Errno::Badf));
    assert_eq!(recv(&mut s, 99, 1, 0), Err(Errno::Badf));
    assert_eq!(send(&mut s, 99, b"x", 0), Err(Errno::Badf));
    assert_eq!(shutdown(&mut s, 99, 1), Err(Errno::Badf));
    both(|s| assert_eq!(shutdown(s, ROOT, 1), Err(Errno::Notsock)));
}
