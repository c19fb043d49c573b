//! How many processes there are of what one start began: a page that all of them share.
//!
//! The host's own limit (RLIMIT_NPROC) counts a user's processes all over the machine, which is
//! another number. Here each process has a slot with its id; it gives the slot back when it ends,
//! and whoever finds no free slot looks for ids whose processes are gone, killed ones among them.
#![allow(unsafe_code)]

use std::{
    io, ptr,
    sync::atomic::{AtomicI32, AtomicUsize, Ordering},
};

use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap_anonymous},
    process::{Pid, test_kill_process},
};

/// The shared page.
#[derive(Debug)]
pub(crate) struct Population {
    /// Ids; 0 is free, a negative one is the parent's of a process about to be.
    slots: &'static [AtomicI32],
    /// The slot of this process.
    own: AtomicUsize,
}

impl Population {
    /// Room for `most` processes; this one is the first.
    pub(crate) fn new(most: u32) -> io::Result<Population> {
        let count = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let bytes = count
            .checked_mul(size_of::<AtomicI32>())
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a fresh map of zeros that is never given back; zero is a value of the type.
        let slots = unsafe {
            let flags = MapFlags::SHARED | MapFlags::NORESERVE;
            let at = mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )?;
            std::slice::from_raw_parts(at.cast::<AtomicI32>(), count)
        };
        let population = Population {
            slots,
            own: AtomicUsize::new(0),
        };
        population.settle(0, host_id());
        Ok(population)
    }

    /// A slot for a process that is about to be made; EAGAIN if there are too many.
    pub(crate) fn reserve(&self) -> Result<usize, Errno> {
        let mark = -host_id();
        let take = |slot: &AtomicI32, now: i32| {
            slot.compare_exchange(now, mark, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        };
        if let Some(free) = self.slots.iter().position(|slot| take(slot, 0)) {
            return Ok(free);
        }
        self.slots
            .iter()
            .position(|slot| {
                let now = slot.load(Ordering::SeqCst);
                (now == 0 || is_gone(now.saturating_abs())) && take(slot, now)
            })
            .ok_or(Errno::AGAIN)
    }

    /// The slot is the process's.
    pub(crate) fn settle(&self, slot: usize, id: i32) {
        if let Some(slot) = self.slots.get(slot) {
            slot.store(id, Ordering::SeqCst);
        }
    }

    /// A process was made and may not have come as far as to say so; it may also be gone already.
    pub(crate) fn settle_child(&self, slot: usize, id: i32) {
        if let Some(slot) = self.slots.get(slot) {
            let _ = slot.compare_exchange(-host_id(), id, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    /// In a new process.
    pub(crate) fn settle_own(&self, slot: usize) {
        self.own.store(slot, Ordering::SeqCst);
        self.settle(slot, host_id());
    }

    /// This process ends.
    pub(crate) fn leave(&self) {
        self.settle(self.own.load(Ordering::SeqCst), 0);
    }
}

/// The id of the process that calls.
fn host_id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn is_gone(id: i32) -> bool {
    match Pid::from_raw(id) {
        Some(pid) => test_kill_process(pid) == Err(Errno::SRCH),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back() {
        let population = Population::new(3).unwrap();
        let (a, b) = (population.reserve().unwrap(), population.reserve().unwrap());
        assert_eq!((a, b), (1, 2));
        assert_eq!(population.reserve(), Err(Errno::AGAIN));
        population.settle(b, 0);
        assert_eq!(population.reserve(), Ok(2));
        // Of a process that is gone.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        population.settle(1, child.id() as i32);
        assert_eq!(population.reserve(), Err(Errno::AGAIN));
        child.wait().unwrap();
        assert_eq!(population.reserve(), Ok(1));
        population.leave();
        assert_eq!(population.reserve(), Ok(0));
    }
}
