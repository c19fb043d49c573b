//! Guest buffers as the host kernel takes them: vectors of memory ranges, without copies.
//!
//! The only place in this crate that hands addresses of guest memory to the host. Every range was
//! checked against the memory's size when the [`Buffers`] were made, and they borrow the memory
//! mutably, so it can neither move nor be looked at from Rust while they live. Ranges of one
//! vector may overlap: no Rust reference to them ever exists, and the kernel does not mind.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::io::Errno as Host;
use wiggle::{GuestError, GuestMemory, GuestPtr, Region};

use super::{
    errno::Result,
    types::{Ciovec, Iovec},
};
use crate::fs::retry;

/// Most ranges in one call (`IOV_MAX`, `UIO_MAXIOV` of Linux). What is beyond is left for the
/// guest's next call: reads and writes may always be partial.
const RANGES_MAX: u32 = 1024;

/// Ranges of guest memory.
pub(crate) struct Buffers<'m> {
    ranges: Vec<libc::iovec>,
    memory: PhantomData<&'m mut [u8]>,
}

/// What a received message was.
pub(crate) struct Received {
    pub(crate) bytes: u32,
    pub(crate) truncated: bool,
}

/// A guest's description of one range.
pub(crate) trait Range: wiggle::GuestType {
    fn range(&self) -> (u32, u32);
}

impl Range for Iovec {
    fn range(&self) -> (u32, u32) {
        (self.buf.offset(), self.buf_len)
    }
}

impl Range for Ciovec {
    fn range(&self) -> (u32, u32) {
        (self.buf.offset(), self.buf_len)
    }
}

impl<'m> Buffers<'m> {
    /// Decodes and checks a guest's vector. Empty ranges are passed over wherever they point.
    pub(crate) fn new<R: Range>(
        memory: &'m mut GuestMemory<'_>,
        vector: GuestPtr<[R]>,
    ) -> Result<Buffers<'m>> {
        let count = vector.len().min(RANGES_MAX);
        let mut decoded = Vec::with_capacity(count.min(16) as usize);
        for number in 0..count {
            let (start, len) = memory.read(vector.as_ptr().add(number)?)?.range();
            decoded.push(Region { start, len });
        }
        // The address is taken after the last look through `memory` itself.
        let (base, size) = match memory {
            GuestMemory::Unshared(bytes) => (bytes.as_mut_ptr(), bytes.len()),
            GuestMemory::Shared(cells) => (UnsafeCell::raw_get(cells.as_ptr()), cells.len()),
        };
        let mut ranges = Vec::with_capacity(decoded.len());
        for region in decoded.into_iter().filter(|region| region.len > 0) {
            if u64::from(region.start) + u64::from(region.len) > size as u64 {
                return Err(GuestError::PtrOutOfBounds(region).into());
            }
            ranges.push(libc::iovec {
                iov_base: base.wrapping_add(region.start as usize).cast(),
                iov_len: region.len as usize,
            });
        }
        Ok(Buffers {
            ranges,
            memory: PhantomData,
        })
    }

    /// Makes the ranges hold at most `limit` bytes.
    pub(crate) fn truncate(&mut self, mut limit: u64) {
        for range in &mut self.ranges {
            let len = (range.iov_len as u64).min(limit);
            range.iov_len = len as usize;
            limit -= len;
        }
    }

    fn count(&self) -> libc::c_int {
        // At most RANGES_MAX.
        self.ranges.len() as libc::c_int
    }

    /// readv(2).
    pub(crate) fn read(&self, fd: BorrowedFd<'_>) -> Result<u32> {
        // SAFETY: the ranges are valid for writes while `self` borrows the memory (see `new`).
        done(|| unsafe { libc::readv(fd.as_raw_fd(), self.ranges.as_ptr(), self.count()) })
    }

    /// writev(2).
    pub(crate) fn write(&self, fd: BorrowedFd<'_>) -> Result<u32> {
        // SAFETY: the ranges are valid for reads while `self` borrows the memory (see `new`).
        done(|| unsafe { libc::writev(fd.as_raw_fd(), self.ranges.as_ptr(), self.count()) })
    }

    /// preadv(2).
    pub(crate) fn read_at(&self, fd: BorrowedFd<'_>, offset: u64) -> Result<u32> {
        let offset = i64::try_from(offset).map_err(|_| Host::INVAL)?;
        // SAFETY: as for `read`.
        done(|| unsafe { libc::preadv(fd.as_raw_fd(), self.ranges.as_ptr(), self.count(), offset) })
    }

    /// pwritev(2).
    pub(crate) fn write_at(&self, fd: BorrowedFd<'_>, offset: u64) -> Result<u32> {
        let offset = i64::try_from(offset).map_err(|_| Host::INVAL)?;
        // SAFETY: as for `write`.
        done(|| unsafe {
            libc::pwritev(fd.as_raw_fd(), self.ranges.as_ptr(), self.count(), offset)
        })
    }

    /// Copies as much of `bytes` as fits into the ranges.
    pub(crate) fn fill(&self, mut bytes: &[u8]) -> u32 {
        let mut copied = 0;
        for range in &self.ranges {
            let len = range.iov_len.min(bytes.len());
            let (now, later) = bytes.split_at(len);
            // SAFETY: the range is valid for writes of `iov_len` bytes (see `new`) and `now` has
            // no more; `bytes` is host memory or the megabinary's mapping, not guest memory.
            unsafe {
                std::ptr::copy_nonoverlapping(now.as_ptr(), range.iov_base.cast::<u8>(), len);
            }
            copied += len;
            bytes = later;
        }
        u32::try_from(copied).unwrap_or(u32::MAX)
    }

    fn message(&self) -> libc::msghdr {
        // SAFETY: all-zero is a valid `msghdr`: null pointers and zero lengths.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = self.ranges.as_ptr().cast_mut();
        message.msg_iovlen = self.ranges.len() as _;
        message
    }

    /// recvmsg(2). Descriptors that come along are discarded by the kernel: no room is given.
    pub(crate) fn receive(&self, fd: BorrowedFd<'_>, flags: libc::c_int) -> Result<Received> {
        let mut message = self.message();
        let flags = flags | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: as for `read`; the message names no other memory.
        let bytes = done(|| unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, flags) })?;
        Ok(Received {
            bytes,
            truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        })
    }

    /// sendmsg(2), without SIGPIPE.
    pub(crate) fn send(&self, fd: BorrowedFd<'_>) -> Result<u32> {
        let message = self.message();
        // SAFETY: as for `write`; the message names no other memory.
        done(|| unsafe { libc::sendmsg(fd.as_raw_fd(), &message, libc::MSG_NOSIGNAL) })
    }
}

/// The length that a call returned, or its errno; the kernel moves at most 0x7fff_f000 bytes.
fn done(mut call: impl FnMut() -> isize) -> Result<u32> {
    let length = retry(|| {
        let result = call();
        u32::try_from(result).map_err(|_| {
            let number = std::io::Error::last_os_error().raw_os_error();
            Host::from_raw_os_error(number.unwrap_or(libc::EIO))
        })
    })?;
    Ok(length)
}
