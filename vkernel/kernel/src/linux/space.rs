//! The address space of a guest: which pages of its linear memory are mapped, and to what.
//!
//! The engine reserves all 4 GiB at once and tells compiled code that the memory is that large;
//! what is not mapped here is inaccessible and faults, as natively. `mmap` and its kin are real
//! host mappings, placed over the reservation page by page (`MAP_FIXED`).
//!
//! Invariants: every host mapping made here lies inside the reservation; nothing is ever mapped
//! with PROT_EXEC; a range that the guest gives up is inaccessible at once and never leaves a
//! hole into which the host could put a mapping of the vkernel's own.
#![allow(unsafe_code)]

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::io::Errno;

use super::{guest::Memory, host};

/// Size of a page of the host and of the guest.
pub const PAGE: u64 = 4096;

/// End of the address space.
const END: u64 = 1 << 32;

/// The guest's address space. One for all threads.
#[derive(Debug)]
pub struct Space {
    memory: Memory,
    regions: Mutex<Regions>,
    /// Most bytes that may be mapped.
    limit: AtomicU64,
}

/// Mapped ranges, disjoint and not empty.
#[derive(Debug, Default)]
pub(super) struct Regions {
    /// By their starts.
    mapped: BTreeMap<u64, Region>,
    /// Where new maps go: from the end of data and stack.
    floor: u64,
    total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    end: u64,
    /// Private memory without a file: it may grow.
    plain: bool,
}

impl Regions {
    fn is_free(&self, start: u64, end: u64) -> bool {
        let before = self.mapped.range(..end).next_back();
        before.is_none_or(|(_, region)| region.end <= start)
    }

    /// Whether all of the range is mapped; `Some(true)` if all of it is plain.
    fn covers(&self, start: u64, end: u64) -> Option<bool> {
        let (mut at, mut plain) = (start, true);
        while at < end {
            let (_, region) = self.mapped.range(..=at).next_back()?;
            if region.end <= at {
                return None;
            }
            plain &= region.plain;
            at = region.end;
        }
        Some(plain)
    }

    /// The lowest free range of this length.
    fn gap(&self, len: u64) -> Option<u64> {
        let mut at = self.floor;
        for (start, region) in &self.mapped {
            if region.end <= at {
                continue;
            }
            if *start >= at && *start - at >= len {
                return Some(at);
            }
            at = region.end;
        }
        (END - at >= len).then_some(at)
    }

    fn insert(&mut self, mut start: u64, mut end: u64, plain: bool) {
        self.remove(start, end);
        self.total += end - start;
        // Joined with its like, so that the map stays small.
        if let Some((before, region)) = self.mapped.range(..start).next_back()
            && region.end == start
            && region.plain == plain
        {
            start = *before;
        }
        if let Some(after) = self.mapped.get(&end).copied()
            && after.plain == plain
        {
            self.mapped.remove(&end);
            end = after.end;
        }
        self.mapped.insert(start, Region { end, plain });
    }

    fn remove(&mut self, start: u64, end: u64) {
        let touched: Vec<(u64, Region)> = self
            .mapped
            .range(..end)
            .rev()
            .take_while(|(_, region)| region.end > start)
            .map(|(at, region)| (*at, *region))
            .collect();
        for (at, region) in touched {
            self.mapped.remove(&at);
            self.total -= region.end.min(end) - at.max(start);
            if at < start {
                self.mapped.insert(
                    at,
                    Region {
                        end: start,
                        ..region
                    },
                );
            }
            if region.end > end {
                self.mapped.insert(end, region);
            }
        }
    }
}

fn pages(len: u64) -> u64 {
    len.next_multiple_of(PAGE)
}

impl Space {
    /// The space in `memory`, of which the first `initial` bytes are mapped; at most `limit` bytes
    /// ever are.
    pub fn new(memory: Memory, initial: u64, limit: u64) -> Space {
        let mut regions = Regions {
            floor: pages(initial).max(PAGE * 16),
            ..Regions::default()
        };
        if initial > 0 {
            regions.insert(0, pages(initial), true);
        }
        Space {
            memory,
            regions: Mutex::new(regions),
            limit: AtomicU64::new(limit),
        }
    }

    /// Limits what may be mapped from now on; what is mapped stays.
    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Whether so many bytes more may be mapped.
    fn has_room(&self, regions: &Regions, more: u64) -> bool {
        regions.total.saturating_add(more) <= self.limit.load(Ordering::SeqCst)
    }

    /// Makes what lies behind the first `initial` bytes inaccessible, in a memory that its maker
    /// mapped as a whole.
    pub fn close_rest(&self, initial: u64) -> Result<(), Errno> {
        self.close(pages(initial), END)
    }

    /// Makes the first page read-only, so that writes through null pointers fault. Reads must not:
    /// of variable arguments that were not passed, compiled C looks at address 0.
    pub fn protect_first(&self) -> Result<(), Errno> {
        self.protect(0, PAGE as u32, libc::PROT_READ)
    }

    /// The memory.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Holds the space still, across `fork`.
    pub(super) fn lock(&self) -> MutexGuard<'_, Regions> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `mmap(2)`; the descriptor has been checked.
    pub(super) fn map(
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
            | libc::MAP_SHARED_VALIDATE;
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
                let fits = hint >= regions.floor
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
        let args = [
            self.memory.at(0) as u64 + start,
            len,
            protection as u32 as u64,
            (flags & KNOWN | libc::MAP_FIXED) as u64,
            i64::from(descriptor) as u64,
            offset as u64,
        ];
        // SAFETY: the range lies in the reservation, in which nothing but guest memory is; the
        // caller refuses PROT_EXEC.
        done(unsafe { host::call(libc::SYS_mmap, &args) })?;
        let plain = flags & libc::MAP_ANONYMOUS != 0 && flags & libc::MAP_PRIVATE != 0;
        regions.insert(start, start + len, plain);
        Ok(start as u32)
    }

    /// `munmap(2)`.
    pub(super) fn unmap(&self, address: u32, len: u32) -> Result<(), Errno> {
        let (start, end) = range(address, len)?;
        let mut regions = self.lock();
        self.close(start, end)?;
        regions.remove(start, end);
        Ok(())
    }

    /// `mprotect(2)`; the caller refuses PROT_EXEC.
    pub(super) fn protect(&self, address: u32, len: u32, protection: i32) -> Result<(), Errno> {
        if len == 0 {
            return match u64::from(address) % PAGE {
                0 => Ok(()),
                _ => Err(Errno::INVAL),
            };
        }
        self.over(address, len, libc::SYS_mprotect, protection as u32 as u64)
            .map(drop)
    }

    /// A call on a mapped range with one further argument: ENOMEM if not all of it is mapped.
    pub(super) fn over(
        &self,
        address: u32,
        len: u32,
        number: i64,
        argument: u64,
    ) -> Result<i64, Errno> {
        let (start, end) = range(address, len)?;
        let regions = self.lock();
        if regions.covers(start, end).is_none() {
            return Err(Errno::NOMEM);
        }
        let args = [
            self.memory.at(0) as u64 + start,
            end - start,
            argument,
            0,
            0,
            0,
        ];
        // SAFETY: a range of guest memory; callers pass calls that change its protection or
        // contents, never to executable.
        done(unsafe { host::call(number, &args) })
    }

    /// `mremap(2)`. A private map of a file cannot grow here, and a shared one only by moving
    /// (ENOMEM).
    pub(super) fn remap(
        &self,
        address: u32,
        old: u32,
        new: u32,
        flags: i32,
        target: u32,
    ) -> Result<u32, Errno> {
        const KNOWN: i32 = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let fixed = flags & libc::MREMAP_FIXED != 0;
        let may_move = flags & libc::MREMAP_MAYMOVE != 0;
        if new == 0 || flags & !KNOWN != 0 || fixed && !may_move {
            return Err(Errno::INVAL);
        }
        let (start, end) = range(address, old)?;
        let (old, new) = (end - start, pages(u64::from(new)));
        let mut regions = self.lock();
        let plain = regions.covers(start, end).ok_or(Errno::FAULT)?;
        if new < old {
            self.close(start + new, end)?;
            regions.remove(start + new, end);
        }
        let grows = new.saturating_sub(old);
        if grows > 0 && !self.has_room(&regions, grows) {
            return Err(Errno::NOMEM);
        }
        if grows > 0 && !plain && may_move && !fixed {
            // Only what is shared can be mapped twice, and so grow: EINVAL for the rest.
            let to = regions.gap(new).ok_or(Errno::NOMEM)?;
            self.map_again(start, new, to).map_err(|_| Errno::NOMEM)?;
            self.close(start, end)?;
            regions.remove(start, end);
            regions.insert(to, to + new, false);
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
            false if grows == 0 => return Ok(address),
            false if start + new <= END && regions.is_free(end, start + new) => {
                self.open(end, start + new)?;
                regions.insert(end, start + new, true);
                return Ok(address);
            }
            false if !may_move => return Err(Errno::NOMEM),
            false => regions.gap(new).ok_or(Errno::NOMEM)?,
        };
        let kept = old.min(new);
        self.relocate(start, kept, to)?;
        if grows > 0 {
            self.open(to + old, to + new)?;
        }
        self.close(start, start + kept)?;
        regions.remove(start, start + kept);
        regions.insert(to, to + new, plain);
        Ok(to as u32)
    }

    /// Maps fresh, zero memory.
    fn open(&self, start: u64, end: u64) -> Result<(), Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        self.place(start, end, libc::PROT_READ | libc::PROT_WRITE, flags)
    }

    /// Makes a range inaccessible and gives its pages back.
    fn close(&self, start: u64, end: u64) -> Result<(), Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        self.place(start, end, libc::PROT_NONE, flags)
    }

    fn place(&self, start: u64, end: u64, protection: i32, flags: i32) -> Result<(), Errno> {
        let address = self.memory.at(0) as u64 + start;
        let args = [
            address,
            end - start,
            protection as u64,
            flags as u64,
            u64::MAX,
            0,
        ];
        // SAFETY: inside the reservation, in which nothing but guest memory is.
        done(unsafe { host::call(libc::SYS_mmap, &args) }).map(drop)
    }

    /// Maps what is mapped at `start` a second time, with another length (`mremap(2)`, an old size
    /// of zero).
    fn map_again(&self, start: u64, len: u64, to: u64) -> Result<(), Errno> {
        let base = self.memory.at(0) as u64;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let args = [base + start, 0, len, flags as u64, base + to, 0];
        // SAFETY: both ranges lie in the reservation, and the second one is free.
        done(unsafe { host::call(libc::SYS_mremap, &args) }).map(drop)
    }

    /// Moves a mapping inside the reservation. What stays behind is an empty mapping: at no moment
    /// is the old range nobody's.
    fn relocate(&self, start: u64, len: u64, to: u64) -> Result<(), Errno> {
        let base = self.memory.at(0) as u64;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
        let args = [base + start, len, len, flags as u64, base + to, 0];
        // SAFETY: both ranges lie in the reservation.
        done(unsafe { host::call(libc::SYS_mremap, &args) }).map(drop)
    }
}

fn done(result: i64) -> Result<i64, Errno> {
    match (-4095..0).contains(&result) {
        true => Err(Errno::from_raw_os_error(-result as i32)),
        false => Ok(result),
    }
}

/// A range of whole pages; EINVAL if it is empty, does not start at a page, or leaves the space.
fn range(address: u32, len: u32) -> Result<(u64, u64), Errno> {
    let (start, len) = (u64::from(address), pages(u64::from(len)));
    if start % PAGE != 0 || len == 0 || start + len > END {
        return Err(Errno::INVAL);
    }
    Ok((start, start + len))
}

#[cfg(test)]
mod tests {
    use super::{super::guest, *};

    const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

    fn space(limit: u64) -> Space {
        Space::new(guest::tests::memory(16 * 4096), 16 * 4096, limit)
    }

    fn anywhere(space: &Space, len: u32) -> Result<u32, Errno> {
        space.map(0, len, RW, PRIVATE, -1, 0)
    }

    #[test]
    fn maps_are_zero_writable_and_gone_after_munmap() {
        let space = space(u64::MAX);
        let a = anywhere(&space, 5000).unwrap();
        let b = anywhere(&space, 4096).unwrap();
        assert_eq!(b, a + 8192);
        space.memory().write(a + 8000, b"x").unwrap();
        space.unmap(a, 8192).unwrap();
        assert_eq!(space.memory().array::<1>(a + 8000), Err(Errno::FAULT));
        // The lowest gap is taken again, and is zero.
        assert_eq!(anywhere(&space, 100), Ok(a));
        assert_eq!(space.memory().array::<1>(a), Ok([0]));
    }

    #[test]
    fn growing_keeps_contents() {
        let space = space(u64::MAX);
        let a = anywhere(&space, 4096).unwrap();
        space.memory().write(a, b"kept").unwrap();
        assert_eq!(space.remap(a, 4096, 8192, 0, 0), Ok(a));
        let _wall = anywhere(&space, 4096).unwrap();
        assert_eq!(space.remap(a, 8192, 12288, 0, 0), Err(Errno::NOMEM));
        let b = space
            .remap(a, 8192, 12288, libc::MREMAP_MAYMOVE, 0)
            .unwrap();
        assert_ne!(a, b);
        assert_eq!(space.memory().array(b), Ok(*b"kept"));
        space.memory().write(b + 12000, b"x").unwrap();
        assert_eq!(space.memory().array::<1>(a), Err(Errno::FAULT));
        assert_eq!(space.remap(b, 12288, 4096, 0, 0), Ok(b));
        assert_eq!(space.memory().array::<1>(b + 4096), Err(Errno::FAULT));
    }

    #[test]
    fn shared_memory_grows_by_moving() {
        let space = space(u64::MAX);
        let shared = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let a = space.map(0, 8192, RW, shared, -1, 0).unwrap();
        space.memory().write(a, b"kept").unwrap();
        assert_eq!(space.remap(a, 4096, 8192, 0, 0), Err(Errno::NOMEM));
        let b = space.remap(a, 4096, 8192, libc::MREMAP_MAYMOVE, 0).unwrap();
        assert_ne!(a, b);
        assert_eq!(space.memory().array(b), Ok(*b"kept"));
        space.memory().write(b + 5000, b"x").unwrap();
        assert_eq!(space.memory().array(a + 5000), Ok(*b"x"));
        assert_eq!(space.memory().array::<1>(a), Err(Errno::FAULT));
    }

    #[test]
    fn writes_through_null_pointers_fault() {
        let space = space(u64::MAX);
        space.memory().write(100, b"x").unwrap();
        space.protect_first().unwrap();
        assert_eq!(space.memory().array::<1>(100), Ok(*b"x"));
        assert_eq!(space.memory().write(100, b"y"), Err(Errno::FAULT));
        space.memory().write(4096, b"y").unwrap();
    }

    #[test]
    fn bad_ranges_and_the_limit() {
        let space = space(32 * 4096);
        assert_eq!(anywhere(&space, 0), Err(Errno::INVAL));
        assert_eq!(anywhere(&space, 17 * 4096), Err(Errno::NOMEM));
        assert_eq!(anywhere(&space, u32::MAX), Err(Errno::NOMEM));
        assert_eq!(space.unmap(1, 4096), Err(Errno::INVAL));
        assert_eq!(space.unmap(u32::MAX - 4095, 8192), Err(Errno::INVAL));
        let fixed = PRIVATE | libc::MAP_FIXED;
        assert_eq!(space.map(1, 1, RW, fixed, -1, 0), Err(Errno::INVAL));
        let top = u32::MAX - 4095;
        assert_eq!(space.map(top, 4096, RW, fixed, -1, 0), Ok(top));
        assert_eq!(space.map(top, 8192, RW, fixed, -1, 0), Err(Errno::NOMEM));
        let careful = PRIVATE | libc::MAP_FIXED_NOREPLACE;
        assert_eq!(space.map(top, 4096, RW, careful, -1, 0), Err(Errno::EXIST));
        assert_eq!(space.protect(top, 4096, libc::PROT_NONE), Ok(()));
        assert_eq!(space.protect(top - 4096, 4096, RW), Err(Errno::NOMEM));
    }
}
