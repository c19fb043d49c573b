//! The descriptor that events are written to. It may move once, at the start of a guest whose
//! descriptors are the host's own: out of the range that the guest can name.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicI32, Ordering},
};

/// An open descriptor.
#[derive(Debug)]
pub(super) struct Stream(AtomicI32);

impl Stream {
    pub(super) fn new(fd: OwnedFd) -> Stream {
        Stream(AtomicI32::new(fd.into_raw_fd()))
    }

    fn number(&self) -> RawFd {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open as long as this value lives; it moves only while nobody else uses it.
        unsafe { BorrowedFd::borrow_raw(self.number()) }
    }

    /// Moves the descriptor. For a process that has one thread.
    pub(super) fn move_by(
        &self,
        act: impl FnOnce(OwnedFd) -> io::Result<OwnedFd>,
    ) -> io::Result<()> {
        let copy = rustix::io::fcntl_dupfd_cloexec(self.fd(), 3)?;
        let new = act(copy)?.into_raw_fd();
        let old = self.0.swap(new, Ordering::Relaxed);
        // SAFETY: this value owned it, and nobody has borrowed it.
        drop(unsafe { OwnedFd::from_raw_fd(old) });
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: this value owns it.
        drop(unsafe { OwnedFd::from_raw_fd(self.number()) });
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn it_moves_and_the_old_number_is_closed() {
        let (_reader, writer) = io::pipe().unwrap();
        let stream = Stream::new(writer.into());
        let before = rustix::fs::fstat(stream.fd()).unwrap();
        let old = stream.fd().as_raw_fd();
        stream
            .move_by(|fd| Ok(rustix::io::fcntl_dupfd_cloexec(fd, 700)?))
            .unwrap();
        assert!(stream.fd().as_raw_fd() >= 700 && old < 700);
        let after = rustix::fs::fstat(stream.fd()).unwrap();
        assert_eq!((before.st_dev, before.st_ino), (after.st_dev, after.st_ino));
        assert!(
            stream
                .move_by(|_| Err(io::ErrorKind::Other.into()))
                .is_err()
        );
        rustix::fs::fstat(stream.fd()).unwrap();
    }
}
