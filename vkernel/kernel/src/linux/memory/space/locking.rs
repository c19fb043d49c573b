//! All of a guest's memory kept in the host's (`mlockall(2)`). The vkernel's own is not: a program that
//! locks its memory pays for what it has, and nothing else counts against its limit.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::{super::super::syscall, Regions, Space};

/// How memory is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Locking {
    /// Its pages are there at once.
    AtOnce = 1,
    /// Each page from when it is first used (MCL_ONFAULT, MLOCK_ONFAULT).
    OnFault = 2,
}

impl Space {
    /// `mlockall(2)`: what is mapped now, if `current`; and what is mapped from now on, if `future`. If
    /// the host's limit does not allow all of it, none of it is locked.
    pub(crate) fn lock_all(
        &self,
        locking: Locking,
        current: bool,
        future: bool,
    ) -> Result<(), Errno> {
        let regions = self.lock();
        if current {
            let ranges = regions.ranges();
            for (at, (start, end)) in ranges.iter().enumerate() {
                if let Err(errno) = self.lock_range(locking, *start, *end) {
                    ranges[..at].iter().for_each(|(start, end)| {
                        let _ = self.unlock_range(*start, *end);
                    });
                    return Err(errno);
                }
            }
        }
        let future = future.then_some(locking);
        self.locks
            .store(future.map_or(0, |how| how as u8), Ordering::SeqCst);
        Ok(())
    }

    /// `munlockall(2)`.
    pub(crate) fn unlock_all(&self) -> Result<(), Errno> {
        let regions = self.lock();
        self.locks.store(0, Ordering::SeqCst);
        for (start, end) in regions.ranges() {
            self.unlock_range(start, end)?;
        }
        Ok(())
    }

    /// How what is mapped now is to be locked; `asked` if the mapping itself says so (MAP_LOCKED).
    pub(super) fn locking(&self, asked: bool) -> Option<Locking> {
        match self.locks.load(Ordering::SeqCst) {
            future if future == Locking::OnFault as u8 && !asked => Some(Locking::OnFault),
            0 if !asked => None,
            _ => Some(Locking::AtOnce),
        }
    }

    /// Locks what has just been mapped, or takes it away again.
    pub(super) fn lock_new(
        &self,
        regions: &mut Regions,
        locking: Locking,
        start: u64,
        end: u64,
    ) -> Result<(), Errno> {
        let Err(errno) = self.lock_range(locking, start, end) else {
            return Ok(());
        };
        self.close(start, end)?;
        regions.remove(start, end);
        // Of the limit mlock(2) says one, mmap(2) the other.
        Err(match errno {
            Errno::NOMEM => Errno::AGAIN,
            errno => errno,
        })
    }

    fn lock_range(&self, locking: Locking, start: u64, end: u64) -> Result<(), Errno> {
        let range = [self.arg(start), (end - start).into()];
        let flags = match locking {
            Locking::AtOnce => 0,
            Locking::OnFault => libc::MLOCK_ONFAULT,
        };
        let args = [range[0], range[1], flags.into()];
        // SAFETY: a range of guest memory, whose contents do not change.
        match unsafe { syscall::call(libc::SYS_mlock2, args) } {
            // Memory that cannot be accessed has no pages to be there (mlockall(2) passes over it).
            Ok(_) => Ok(()),
            Err(Errno::NOMEM) if locking == Locking::AtOnce => {
                let args = [range[0], range[1], libc::MLOCK_ONFAULT.into()];
                // SAFETY: as above.
                unsafe { syscall::call(libc::SYS_mlock2, args) }.map(drop)
            }
            Err(errno) => Err(errno),
        }
    }

    fn unlock_range(&self, start: u64, end: u64) -> Result<(), Errno> {
        let args = [self.arg(start), (end - start).into()];
        // SAFETY: a range of guest memory, whose contents do not change.
        unsafe { syscall::call(libc::SYS_munlock, args) }.map(drop)
    }
}
