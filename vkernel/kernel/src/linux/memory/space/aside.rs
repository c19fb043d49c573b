//! Mappings that are made somewhere else first, and then moved to where the guest wants them.
//!
//! Why: the host unmaps the target of MAP_FIXED before it knows whether it can map
//! ([`super`]). Here everything that can fail for a reason of the guest's fails aside. What is left is the
//! move (`mremap(2)`, MREMAP_FIXED), one step under the host's own lock, of a single mapping whose size
//! does not change. If the host has no memory for its own records even that can fail after it has
//! unmapped the target; then the hole is closed by a call that succeeds only if nobody else has got
//! there, and if one has, the process ends at once.
#![allow(unsafe_code)]

use std::mem;

use rustix::io::Errno;

use crate::linux::{
    memory::guest::PAGE,
    syscall::{self, Arg},
};

/// A mapping outside of the reservation; unmapped when dropped.
pub(crate) struct Aside {
    at: u64,
    len: u64,
}

impl Aside {
    /// `mmap(2)`, at an address of the host's choice; without PROT_EXEC, which the caller sees to.
    pub(crate) fn map(
        len: u64,
        protection: i32,
        flags: i32,
        descriptor: i32,
        offset: i64,
    ) -> Result<Aside, Errno> {
        let args = [
            Arg::NONE,
            len.into(),
            protection.into(),
            flags.into(),
            descriptor.into(),
            offset.into(),
        ];
        // SAFETY: a new mapping at an address that nobody uses.
        let at = unsafe { syscall::call(libc::SYS_mmap, args) }?;
        Ok(Aside { at: at as u64, len })
    }

    /// What was mapped at `at` by another call.
    ///
    /// # Safety
    ///
    /// These bytes are one mapping that was made for this value, outside of the reservation, and nobody
    /// else knows of it.
    pub(super) unsafe fn of(at: u64, len: u64) -> Aside {
        Aside { at, len }
    }

    /// Its length.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What is mapped at `from`, a second time and with another length (`mremap(2)`, an old size of
    /// zero): of shared mappings only.
    pub(crate) fn again(from: u64, len: u64) -> Result<Aside, Errno> {
        let from = Arg::address(from);
        let args = [from, Arg::NONE, len.into(), libc::MREMAP_MAYMOVE.into()];
        // SAFETY: a new mapping at an address that nobody uses.
        let at = unsafe { syscall::call(libc::SYS_mremap, args) }?;
        Ok(Aside { at: at as u64, len })
    }

    /// The contents of a mapping in the reservation; it stays behind empty.
    pub(crate) fn take(from: u64, len: u64) -> Result<Aside, Errno> {
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP;
        let args = [Arg::address(from), len.into(), len.into(), flags.into()];
        // SAFETY: guest memory, which stays mapped; the new address is one that nobody uses.
        let at = unsafe { syscall::call(libc::SYS_mremap, args) }?;
        Ok(Aside { at: at as u64, len })
    }

    /// Moves it to `to`, a range of the reservation. After an error it is still aside, and the
    /// reservation has no hole: what was found says whether something is left of what was at `to`.
    pub(crate) fn place(&mut self, to: u64) -> Result<(), (Errno, Found)> {
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let (at, len) = (Arg::address(self.at), self.len.into());
        let args = [at, len, len, flags.into(), Arg::address(to)];
        // SAFETY: the mapping is this value's, and the target is guest memory.
        match unsafe { syscall::call(libc::SYS_mremap, args) } {
            Ok(_) => {
                // There is nothing left to unmap.
                self.len = 0;
                Ok(())
            }
            Err(errno) => Err((errno, mend(to, self.len))),
        }
    }
}

/// What [`mend`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing was mapped there; now it is inaccessible.
    Hole,
    /// What was there before.
    Whole,
}

impl Drop for Aside {
    fn drop(&mut self) {
        let len = mem::take(&mut self.len);
        if len > 0 {
            let args = [Arg::address(self.at), len.into()];
            // SAFETY: the mapping is this value's, and nobody has a reference into it.
            let _ = unsafe { syscall::call(libc::SYS_munmap, args) };
        }
    }
}

/// Maps inaccessible memory; `fixed` is MAP_FIXED or MAP_FIXED_NOREPLACE.
pub(crate) fn inaccessible(at: u64, len: u64, fixed: i32) -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    let args = [
        Arg::address(at),
        len.into(),
        libc::PROT_NONE.into(),
        flags.into(),
        (-1).into(),
        Arg::NONE,
    ];
    // SAFETY: inside the reservation, in which nothing but guest memory is.
    unsafe { syscall::call(libc::SYS_mmap, args) }.map(drop)
}

/// After a call that may have left a hole: closes it, if there is one and nothing has come into it; ends
/// the process if it cannot be closed.
pub(crate) fn mend(at: u64, len: u64) -> Found {
    match inaccessible(at, len, libc::MAP_FIXED_NOREPLACE) {
        Ok(()) => Found::Hole,
        // Something is there: what was before, unless a part is missing.
        Err(_) if is_whole(at, len) => Found::Whole,
        Err(_) => give_up(),
    }
}

/// Whether every page of a range is mapped.
fn is_whole(at: u64, len: u64) -> bool {
    /// Pages that are asked for at once.
    const PAGES: u64 = 4096;
    let mut resident = [0_u8; PAGES as usize];
    (0..len).step_by((PAGES * PAGE) as usize).all(|from| {
        let some = (len - from).min(PAGES * PAGE);
        let place = Arg::address(at + from);
        let args = [place, some.into(), Arg::output(&mut resident)];
        // SAFETY: mincore writes a byte for each page, for which there is room.
        unsafe { syscall::call(libc::SYS_mincore, args) }.is_ok()
    })
}

/// Ends the process: its address space is not what it has to be, and other threads run in it.
pub(crate) fn give_up() -> ! {
    let text = b"vkernel: the host could not put the program's memory back: the process ends\n";
    // SAFETY: no preconditions. Nothing may come before the end that could wait.
    unsafe {
        let (process, thread) = (libc::getpid().into(), libc::gettid().into());
        let _ = syscall::call(libc::SYS_tgkill, [process, thread, libc::SIGKILL.into()]);
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(vkernel_abi::exit::TRAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hole of three pages in a reservation of five.
    fn hole() -> u64 {
        let aside = Aside::map(5 * PAGE, 0, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        let (at, _kept) = aside.map(|a| (a.at, mem::ManuallyDrop::new(a))).unwrap();
        // SAFETY: the test's own mapping.
        unsafe { libc::munmap((at + PAGE) as *mut _, 3 * PAGE as usize) };
        at + PAGE
    }

    #[test]
    fn a_hole_is_closed_and_what_is_whole_is_left_alone() {
        let at = hole();
        assert!(!is_whole(at, PAGE) && !is_whole(at - PAGE, 5 * PAGE));
        assert_eq!(mend(at, 3 * PAGE), Found::Hole);
        assert!(is_whole(at - PAGE, 5 * PAGE));
        assert_eq!(mend(at, 3 * PAGE), Found::Whole);
    }

    #[test]
    fn what_cannot_be_moved_stays_aside_and_leaves_no_hole() {
        let at = hole();
        inaccessible(at, 3 * PAGE, libc::MAP_FIXED_NOREPLACE).unwrap();
        let plain = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mut aside = Aside::map(PAGE, libc::PROT_READ, plain, -1, 0).unwrap();
        // Onto itself.
        let onto_itself = aside.place(aside.at);
        assert_eq!(onto_itself, Err((Errno::INVAL, Found::Whole)));
        assert_eq!(aside.len, PAGE);
        assert_eq!(aside.place(at), Ok(()));
        assert!(is_whole(at - PAGE, 5 * PAGE));
    }
}
