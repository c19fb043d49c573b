//! A guest's linear memory as system calls see it.
//!
//! Addresses are 32 bits wide; the whole range that they can name is reserved, with a guard after
//! it, so that an address handed to the host kernel leads to guest memory or to nothing (EFAULT),
//! never to the vkernel's own.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use rustix::io::Errno;

use super::{super::syscall::Arg, copy};

/// Size of a page of the host and of the guest.
pub const PAGE: u64 = 4096;

/// End of the address space.
pub(crate) const END: u64 = 1 << 32;

/// Longest string that is read from a guest: an argument of `execve` (`MAX_ARG_STRLEN`, 32 pages).
pub const MAX_STRING: usize = 32 * 4096;

/// A view of one linear memory: cheap to copy, valid as long as the process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    base: NonNull<u8>,
}

// SAFETY: only an address; all access goes through fault-tolerant copies of bytes.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The memory at `base`.
    ///
    /// # Safety
    ///
    /// From `base`, 4 GiB and a guard of 32 MiB are reserved for this memory for as long as any
    /// copy of the value is used, and hold no Rust value.
    pub unsafe fn new(base: NonNull<u8>) -> Memory {
        Memory { base }
    }

    /// The host's address of a guest's; null stays null.
    pub fn address(&self, pointer: u32) -> u64 {
        match pointer {
            0 => 0,
            _ => self.base.as_ptr() as u64 + u64::from(pointer),
        }
    }

    /// As [`Memory::address`], as an argument of a host call: what lies there is nothing that Rust knows.
    pub(crate) fn arg(&self, pointer: u32) -> Arg<'static> {
        Arg::address(self.address(pointer))
    }

    /// The host's address of a guest's, null being the first byte.
    pub fn at(&self, pointer: u32) -> *mut u8 {
        self.base.as_ptr().wrapping_add(pointer as usize)
    }

    /// Reads bytes; EFAULT where there are none.
    pub fn read(&self, pointer: u32, to: &mut [u8]) -> Result<(), Errno> {
        // SAFETY: guest memory or the guard after it: nothing that Rust knows. `to` is the
        // caller's own.
        match unsafe { copy::copy(to.as_mut_ptr(), self.at(pointer), to.len()) } {
            true if pointer != 0 || to.is_empty() => Ok(()),
            _ => Err(Errno::FAULT),
        }
    }

    /// Writes bytes; EFAULT where there are none.
    pub fn write(&self, pointer: u32, from: &[u8]) -> Result<(), Errno> {
        if pointer == 0 && !from.is_empty() {
            return Err(Errno::FAULT);
        }
        // SAFETY: as in `read`.
        match unsafe { copy::copy(self.at(pointer), from.as_ptr(), from.len()) } {
            true => Ok(()),
            false => Err(Errno::FAULT),
        }
    }

    /// Reads an array of bytes.
    pub fn array<const N: usize>(&self, pointer: u32) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.read(pointer, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a 32-bit number.
    pub fn u32(&self, pointer: u32) -> Result<u32, Errno> {
        self.array(pointer).map(u32::from_le_bytes)
    }

    /// Reads a 64-bit number.
    pub fn u64(&self, pointer: u32) -> Result<u64, Errno> {
        self.array(pointer).map(u64::from_le_bytes)
    }

    /// Reads a string up to its NUL, which is left out. `long` if it has none within `limit`
    /// bytes.
    pub fn string(&self, pointer: u32, limit: usize, long: Errno) -> Result<Vec<u8>, Errno> {
        const CHUNK: usize = 256;
        let mut bytes = Vec::new();
        let mut at = u64::from(pointer);
        while bytes.len() < limit {
            // Not across a page's end: what lies behind it need not be there.
            let room = (4096 - (at % 4096) as usize)
                .min(CHUNK)
                .min(limit - bytes.len());
            let start = u32::try_from(at).map_err(|_| Errno::FAULT)?;
            let mut chunk = [0; CHUNK];
            let chunk = &mut chunk[..room];
            self.read(start, chunk)?;
            if let Some(end) = chunk.iter().position(|b| *b == 0) {
                bytes.extend_from_slice(&chunk[..end]);
                return Ok(bytes);
            }
            bytes.extend_from_slice(chunk);
            at += room as u64;
        }
        Err(long)
    }

    /// Reads a path with its NUL: ENAMETOOLONG beyond PATH_MAX.
    pub fn path(&self, pointer: u32) -> Result<Vec<u8>, Errno> {
        self.string(pointer, libc::PATH_MAX as usize, Errno::NAMETOOLONG)
    }

    /// Reads a null-terminated array of strings, as of `execve`: E2BIG beyond `limit` bytes in
    /// all, each counted with its NUL and pointer.
    pub fn strings(&self, pointer: u32, limit: usize) -> Result<Vec<Vec<u8>>, Errno> {
        let mut strings = Vec::new();
        let mut bytes = 0_usize;
        if pointer == 0 {
            return Ok(strings);
        }
        let mut at = u64::from(pointer);
        loop {
            let entry = self.u32(u32::try_from(at).map_err(|_| Errno::FAULT)?)?;
            if entry == 0 {
                return Ok(strings);
            }
            let string = self.string(entry, MAX_STRING, Errno::TOOBIG)?;
            bytes += string.len() + 1 + size_of::<u32>();
            if bytes > limit {
                return Err(Errno::TOOBIG);
            }
            strings.push(string);
            at += 4;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ptr;

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

    use super::*;

    /// A memory of 4 GiB of which the first `len` bytes are there.
    pub(crate) fn memory(len: usize) -> Memory {
        crate::linux::install_fault_handlers().unwrap();
        // SAFETY: a fresh reservation that is never given back.
        unsafe {
            let base = mmap_anonymous(
                ptr::null_mut(),
                (4 << 30) + (32 << 20),
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
            .unwrap();
            mprotect(base, len, MprotectFlags::READ | MprotectFlags::WRITE).unwrap();
            Memory::new(NonNull::new(base.cast()).unwrap())
        }
    }

    #[test]
    fn what_is_not_there_is_efault() {
        let memory = memory(8192);
        memory.write(100, b"abc").unwrap();
        assert_eq!(memory.array::<3>(100), Ok(*b"abc"));
        assert_eq!(memory.u32(8190), Err(Errno::FAULT));
        assert_eq!(memory.u64(0), Err(Errno::FAULT));
        assert_eq!(memory.u64(u32::MAX), Err(Errno::FAULT));
        assert_eq!(memory.write(u32::MAX - 1, b"abc"), Err(Errno::FAULT));
        assert_eq!(memory.write(0, b"abc"), Err(Errno::FAULT));
    }

    #[test]
    fn strings_end_at_their_nul_or_are_refused() {
        let memory = memory(8192);
        memory.write(4090, b"abcdefgh\0").unwrap();
        assert_eq!(memory.path(4090).unwrap(), b"abcdefgh");
        assert_eq!(
            memory.string(4090, 8, Errno::NAMETOOLONG),
            Err(Errno::NAMETOOLONG)
        );
        // Right at the end of what is there.
        memory.write(8189, b"ab\0").unwrap();
        assert_eq!(memory.path(8189).unwrap(), b"ab");
        memory.write(8190, b"ab").unwrap();
        assert_eq!(memory.path(8190), Err(Errno::FAULT));
        assert_eq!(memory.path(0), Err(Errno::FAULT));
    }

    #[test]
    fn arrays_of_strings() {
        let memory = memory(8192);
        memory.write(200, b"one\0two\0").unwrap();
        for (at, value) in [(16, 200_u32), (20, 204), (24, 0)] {
            memory.write(at, &value.to_le_bytes()).unwrap();
        }
        let expected: Vec<Vec<u8>> = vec![b"one".to_vec(), b"two".to_vec()];
        assert_eq!(memory.strings(16, 1000), Ok(expected));
        assert_eq!(memory.strings(16, 10), Err(Errno::TOOBIG));
        assert_eq!(memory.strings(0, 10), Ok(Vec::new()));
    }
}
