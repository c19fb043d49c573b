//! The address space of a guest: which pages of its linear memory are mapped, and to what.
//!
//! The engine reserves all 4 GiB at once and tells compiled code that the memory is that large;
//! what is not mapped here is inaccessible and faults, as natively. `mmap` and its kin are real
//! host mappings, page by page.
//!
//! Invariants: nothing is ever mapped with PROT_EXEC; a range that the guest gives up is inaccessible
//! at once; **the reservation never has a hole**, not for an instant: the host could put a mapping of
//! the vkernel's own there, and the guest would have it. A call of the host's with MAP_FIXED unmaps
//! first and fails afterwards (mmap(2) of a socket, or of memory that the host does not have), so no
//! such call is made that could fail for a reason of the guest's: memory is opened by mprotect(2), which
//! unmaps nothing, and everything else is mapped *aside*, wherever the host likes, and moved into place
//! when it is there ([`Aside`]).
#![allow(unsafe_code)]

mod aside;
mod frozen;
pub(crate) mod locking;
mod regions;
pub(crate) mod segments;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use rustix::io::Errno;

use self::aside::{Aside, Found};
pub(crate) use self::regions::Regions;
use super::{
    super::syscall::{self, Arg},
    guest::{END, Memory, PAGE},
};

/// The guest's address space. One for all threads.
#[derive(Debug)]
pub struct Space {
    memory: Memory,
    regions: Mutex<Regions>,
    /// Most bytes that may be mapped.
    limit: AtomicU64,
    /// Whether something may be kept from children: then a `fork` looks.
    keeps_back: AtomicBool,
    /// How what is mapped from now on is locked (MCL_FUTURE), a [`Locking`]; 0 if it is not.
    locks: AtomicU8,
}

fn pages(len: u64) -> u64 {
    len.next_multiple_of(PAGE)
}

impl Space {
    /// The space in `memory`, of which the first `initial` bytes are mapped; at most `limit` bytes
    /// ever are.
    pub fn new(memory: Memory, initial: u64, limit: u64) -> Space {
        let mut regions = Regions::with_floor(pages(initial).max(PAGE * 16));
        if initial > 0 {
            regions.insert(0, pages(initial), true);
        }
        Space {
            memory,
            regions: Mutex::new(regions),
            limit: AtomicU64::new(limit),
            keeps_back: AtomicBool::new(false),
            locks: AtomicU8::new(0),
        }
    }

    /// Limits what may be mapped from now on; what is mapped stays.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Whether so many bytes more may be mapped.
    fn has_room(&self, regions: &Regions, more: u64) -> bool {
        regions.total().saturating_add(more) <= self.limit.load(Ordering::SeqCst)
    }

    /// Makes what lies behind the first `initial` bytes inaccessible, in a memory that its maker
    /// mapped as a whole.
    pub fn close_rest(&self, initial: u64) -> Result<(), Errno> {
        self.close(pages(initial), END)
    }

    /// Gives up the first `len` bytes, before the program runs.
    pub fn give_up_first(&self, len: u64) -> Result<(), Errno> {
        let len = u32::try_from(len).map_err(|_| Errno::INVAL)?;
        self.unmap(0, len)
    }

    /// Makes the first page read-only, so that writes through null pointers fault. Reads must not:
    /// of variable arguments that were not passed, compiled C looks at address 0.
    pub fn protect_first(&self) -> Result<(), Errno> {
        let protection = libc::PROT_READ.into();
        self.over(0, PAGE as u32, libc::SYS_mprotect, protection)
            .map(drop)
    }

    /// The memory.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Whether something is mapped at an address.
    pub(crate) fn is_mapped(&self, address: u32) -> bool {
        let at = u64::from(address);
        self.lock().covers(at, at + 1).is_some()
    }

    /// The mapped ranges, in order: starts and ends.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        self.lock().ranges()
    }

    /// Holds the space still, across `fork`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Regions> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `mmap(2)`; the descriptor has been checked.
    pub(crate) fn map(
        &self,
        address: u32,
        len: u32,
        protection: i32,
        flags: i32,
        descriptor: i32,
        offset: i64,
    ) -> Result<u32, Errno> {
        /// What is passed on; the rest is meaningless here or refused.
        const KNOWN: i32 = libc::MAP_SHARED
            | libc::MAP_PRIVATE
            | libc::MAP_ANONYMOUS
            | libc::MAP_NORESERVE
            | libc::MAP_POPULATE
            | libc::MAP_NONBLOCK
            | libc::MAP_SHARED_VALIDATE
            | libc::MAP_SYNC;
        /// What MAP_SHARED_VALIDATE takes besides (`LEGACY_MAP_MASK` of `linux/mman.h`).
        const MEANINGLESS: i32 = libc::MAP_FIXED
            | libc::MAP_FIXED_NOREPLACE
            | libc::MAP_LOCKED
            | libc::MAP_DENYWRITE
            | libc::MAP_EXECUTABLE
            | libc::MAP_STACK
            | libc::MAP_32BIT;
        let (start, len) = (u64::from(address), u64::from(len));
        if len == 0 {
            return Err(Errno::INVAL);
        }
        let len = pages(len);
        let fixed = flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0;
        if fixed && start % PAGE != 0 {
            return Err(Errno::INVAL);
        }
        if flags & (libc::MAP_HUGETLB | libc::MAP_GROWSDOWN) != 0 {
            return Err(Errno::INVAL);
        }
        if flags & libc::MAP_TYPE == libc::MAP_SHARED_VALIDATE {
            if flags & libc::MAP_ANONYMOUS != 0 {
                return Err(Errno::INVAL);
            }
            if flags & !(KNOWN | MEANINGLESS) != 0 {
                return Err(Errno::OPNOTSUPP);
            }
        }
        let mut regions = self.lock();
        let start = match fixed {
            true => {
                let end = start.checked_add(len).filter(|end| *end <= END);
                let end = end.ok_or(Errno::NOMEM)?;
                let free = regions.is_free(start, end);
                if !free && flags & libc::MAP_FIXED_NOREPLACE != 0 {
                    return Err(Errno::EXIST);
                }
                start
            }
            false => {
                let hint = start / PAGE * PAGE;
                let fits = hint >= regions.floor()
                    && hint.checked_add(len).is_some_and(|end| end <= END)
                    && regions.is_free(hint, hint + len);
                match fits {
                    true => hint,
                    false => regions.gap(len).ok_or(Errno::NOMEM)?,
                }
            }
        };
        if !self.has_room(&regions, len) {
            return Err(Errno::NOMEM);
        }
        // What the host does not know it passes over (mmap(2)); some of it is not for guests.
        let protection = protection & (libc::PROT_READ | libc::PROT_WRITE);
        // MAP_SHARED_VALIDATE has the bits of both kinds.
        let is_private = flags & libc::MAP_TYPE == libc::MAP_PRIVATE;
        let plain = flags & libc::MAP_ANONYMOUS != 0 && is_private;
        if plain && regions.is_free(start, start + len) {
            self.open(start, start + len, protection)?;
            if flags & libc::MAP_POPULATE != 0 {
                self.populate(start, len, protection);
            }
        } else {
            let mut aside = Aside::map(len, protection, flags & KNOWN, descriptor, offset)?;
            self.move_in(&mut regions, &mut aside, start, start + len)?;
        }
        regions.insert(start, start + len, plain);
        if let Some(locking) = self.locking(flags & libc::MAP_LOCKED != 0) {
            self.lock_new(&mut regions, locking, start, start + len)?;
        }
        Ok(start as u32)
    }

    /// `munmap(2)`.
    pub(crate) fn unmap(&self, address: u32, len: u32) -> Result<(), Errno> {
        let (start, end) = range(address, len)?;
        let mut regions = self.lock();
        self.close(start, end)?;
        regions.remove(start, end);
        Ok(())
    }

    /// A call on a range with one further argument: `mprotect(2)` (the caller refuses PROT_EXEC),
    /// `madvise(2)`, `msync(2)`, `mlock(2)`, `mincore(2)`. Where something is not mapped the result is
    /// ENOMEM, and as natively the call has been made on what comes before it, or on all the rest.
    pub(crate) fn over(
        &self,
        address: u32,
        len: u32,
        number: i64,
        argument: Arg<'_>,
    ) -> Result<i64, Errno> {
        let (mut start, mut len) = (u64::from(address), u64::from(len));
        let locks = [libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_munlock].contains(&number);
        if locks {
            len += start % PAGE;
            start -= start % PAGE;
        }
        if start % PAGE != 0 {
            return Err(Errno::INVAL);
        }
        let end = start + pages(len);
        if end > END {
            return Err(match locks || number == libc::SYS_madvise {
                true => Errno::INVAL,
                false => Errno::NOMEM,
            });
        }
        if len == 0 {
            return Ok(0);
        }
        let regions = self.lock();
        let mut parts = regions.parts(start, end);
        let is_whole = parts == [(start, end)];
        if !is_whole {
            match number {
                libc::SYS_mincore => parts.clear(),
                libc::SYS_madvise | libc::SYS_msync => {}
                _ => parts.retain(|part| part.0 == start),
            }
        }
        let mut result = 0;
        for (from, to) in parts {
            let args = [self.arg(from), (to - from).into(), argument];
            // SAFETY: a range of guest memory; callers pass calls that change its protection or
            // contents, never to executable.
            result = unsafe { syscall::call(number, args) }?;
        }
        match is_whole {
            true => Ok(result),
            false => Err(Errno::NOMEM),
        }
    }

    /// `madvise(2)` with MADV_DONTFORK and MADV_DOFORK. The host would leave a hole in the child, so that
    /// it is not asked: the child closes such ranges itself, before it goes on.
    pub(crate) fn keep_back(&self, address: u32, len: u32, keep: bool) -> Result<(), Errno> {
        let (start, end) = range(address, len)?;
        let mut regions = self.lock();
        regions.covers(start, end).ok_or(Errno::NOMEM)?;
        if keep {
            self.keeps_back.store(true, Ordering::SeqCst);
        }
        regions.keep_back(start, end, keep);
        Ok(())
    }

    /// In the child of a `fork`: takes away what it is not to have.
    pub(crate) fn after_fork(&self) -> Result<(), Errno> {
        // Nothing of a child's is locked (mlockall(2)).
        self.locks.store(0, Ordering::SeqCst);
        if !self.keeps_back.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let mut regions = self.lock();
        for (start, end) in regions.take_kept_back() {
            self.close(start, end)?;
            regions.remove(start, end);
        }
        Ok(())
    }

    /// `mremap(2)`. A private map of a file cannot grow here, and a shared one only by moving
    /// (ENOMEM).
    pub(crate) fn remap(
        &self,
        address: u32,
        old: u32,
        new: u32,
        flags: i32,
        target: u32,
    ) -> Result<u32, Errno> {
        const KNOWN: i32 = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
        let stays = flags & libc::MREMAP_DONTUNMAP != 0;
        let fixed = flags & libc::MREMAP_FIXED != 0;
        let may_move = flags & libc::MREMAP_MAYMOVE != 0;
        if new == 0 || flags & !KNOWN != 0 || (fixed || stays) && !may_move {
            return Err(Errno::INVAL);
        }
        if (fixed || stays) && u64::from(target) % PAGE != 0 {
            return Err(Errno::INVAL);
        }
        let (start, end) = range(address, old)?;
        let (old, new) = (end - start, pages(u64::from(new)));
        let mut regions = self.lock();
        let plain = regions.covers(start, end).ok_or(Errno::FAULT)?;
        if stays && new != old {
            return Err(Errno::INVAL);
        }
        if stays && !self.has_room(&regions, new) {
            return Err(Errno::NOMEM);
        }
        if new < old {
            self.close(start + new, end)?;
            regions.remove(start + new, end);
        }
        let grows = new.saturating_sub(old);
        if grows > 0 && !self.has_room(&regions, grows) {
            return Err(Errno::NOMEM);
        }
        let kept_back = regions.is_kept_back(start, end);
        if grows > 0 && !plain && may_move && !fixed {
            // Only what is shared can be mapped twice, and so grow: EINVAL for the rest.
            let to = regions.gap(new).ok_or(Errno::NOMEM)?;
            let mut again = Aside::again(self.at(start), new).map_err(|_| Errno::NOMEM)?;
            self.move_in(&mut regions, &mut again, to, to + new)?;
            self.close(start, end)?;
            regions.remove(start, end);
            regions.insert(to, to + new, false);
            regions.keep_back(to, to + new, kept_back);
            return Ok(to as u32);
        }
        if grows > 0 && !plain {
            return Err(Errno::NOMEM);
        }
        let to = match fixed {
            true => {
                let (to, to_end) = range(target, u32::try_from(new).map_err(|_| Errno::NOMEM)?)?;
                if to < end && start < to_end {
                    return Err(Errno::INVAL);
                }
                to
            }
            false if grows == 0 && !stays => return Ok(address),
            false if !stays && start + new <= END && regions.is_free(end, start + new) => {
                self.open(end, start + new, RW)?;
                regions.insert(end, start + new, true);
                regions.keep_back(end, start + new, kept_back);
                return Ok(address);
            }
            false if !may_move => return Err(Errno::NOMEM),
            false => regions.gap(new).ok_or(Errno::NOMEM)?,
        };
        let kept = old.min(new);
        if grows > 0 {
            // First, since it is what can fail: whatever was there goes, as natively.
            if !regions.is_free(to + old, to + new) {
                self.close(to + old, to + new)?;
                regions.remove(to + old, to + new);
            }
            self.open(to + old, to + new, RW)?;
            regions.insert(to + old, to + new, true);
        }
        if let Err(errno) = self.relocate(&mut regions, start, kept, to) {
            if grows > 0 {
                self.close(to + old, to + new)?;
                regions.remove(to + old, to + new);
            }
            return Err(errno);
        }
        // What stays behind of what moved is empty, with the protection that it had.
        if !stays {
            self.close(start, start + kept)?;
            regions.remove(start, start + kept);
        }
        regions.insert(to, to + new, plain);
        regions.keep_back(to, to + new, kept_back);
        Ok(to as u32)
    }

    /// The host's address of a guest's.
    fn at(&self, address: u64) -> u64 {
        self.memory.at(0) as u64 + address
    }

    fn arg(&self, address: u64) -> Arg<'static> {
        Arg::address(self.at(address))
    }

    /// Makes a range usable that nothing is mapped to: it is zero. Nothing is unmapped, also if the host
    /// has no memory for it.
    fn open(&self, start: u64, end: u64, protection: i32) -> Result<(), Errno> {
        let args = [self.arg(start), (end - start).into(), protection.into()];
        // SAFETY: inside the reservation, in which nothing but guest memory is; not executable.
        unsafe { syscall::call(libc::SYS_mprotect, args) }.map(drop)
    }

    /// Has the host find memory for a range at once, as far as it has some (MAP_POPULATE).
    fn populate(&self, start: u64, len: u64, protection: i32) {
        let advice = match protection & libc::PROT_WRITE {
            0 => libc::MADV_POPULATE_READ,
            _ => libc::MADV_POPULATE_WRITE,
        };
        let args = [self.arg(start), len.into(), advice.into()];
        // SAFETY: a range of guest memory, whose contents do not change.
        let _ = unsafe { syscall::call(libc::SYS_madvise, args) };
    }

    /// Makes a range inaccessible and gives its pages back.
    fn close(&self, start: u64, end: u64) -> Result<(), Errno> {
        // Inaccessible memory is not counted by the host: it never lacks any for that.
        let closed = aside::inaccessible(self.at(start), end - start, libc::MAP_FIXED);
        closed.or_else(|errno| match aside::mend(self.at(start), end - start) {
            Found::Hole => Ok(()),
            Found::Whole => Err(errno),
        })
    }

    /// Moves what was mapped aside to a place of the reservation, in one step of the host's. After an
    /// error it is still aside, and what was at the place is there unless the host has unmapped it.
    fn move_in(
        &self,
        regions: &mut Regions,
        aside: &mut Aside,
        start: u64,
        end: u64,
    ) -> Result<(), Errno> {
        aside.place(self.at(start)).map_err(|(errno, found)| {
            if found == Found::Hole {
                regions.remove(start, end);
            }
            errno
        })
    }

    /// Moves a mapping inside the reservation. What stays behind is an empty mapping: at no moment
    /// is the old range nobody's. After an error everything is where it was, but for what was at `to`.
    fn relocate(&self, regions: &mut Regions, start: u64, len: u64, to: u64) -> Result<(), Errno> {
        let from = self.at(start);
        let mut moved = Aside::take(from, len)?;
        self.move_in(regions, &mut moved, to, to + len)
            .inspect_err(|_| {
                // The only copy of the guest's memory: without it the program cannot go on.
                if moved.place(from).is_err() {
                    aside::give_up();
                }
            })
    }
}

/// Protection of fresh memory.
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// A range of whole pages; EINVAL if it is empty, does not start at a page, or leaves the space.
fn range(address: u32, len: u32) -> Result<(u64, u64), Errno> {
    let (start, len) = (u64::from(address), pages(u64::from(len)));
    if start % PAGE != 0 || len == 0 || start + len > END {
        return Err(Errno::INVAL);
    }
    Ok((start, start + len))
}

#[cfg(test)]
mod tests;
