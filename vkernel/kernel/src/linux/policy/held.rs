//! Descriptors that the vkernel holds while it answers one call.
//!
//! In a process with one guest thread nobody can touch them meanwhile. With more, another thread
//! could duplicate onto the number between the judgement and the act; so they are moved to the
//! vkernel's own numbers, which its arguments may not name (`process::descriptors`). What that
//! thread may catch in the instant before is an `O_PATH` descriptor, which reads and writes nothing
//! and is judged like any other where it is used.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::io::Errno;

use super::super::{
    process::descriptors::{Descriptors, close, duplicate, replace},
    syscall::Arg,
};

/// The numbers that are not the guest's.
#[derive(Debug)]
pub(crate) struct Private {
    limit: Descriptors,
    /// While the limit is lifted.
    lifted: Mutex<()>,
    /// A bit for each number that is held, counted from the first that is not the guest's.
    held: AtomicU64,
    /// Those of them that are held for good.
    permanent: AtomicU64,
}

/// A descriptor that is closed when the call has been answered.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    number: i32,
    private: &'a Private,
}

impl Private {
    pub(crate) fn new(limit: Descriptors) -> Private {
        Private {
            limit,
            lifted: Mutex::new(()),
            held: AtomicU64::new(0),
            permanent: AtomicU64::new(0),
        }
    }

    /// Keeps the limit as it is as long as the guard lives: for `fork`, and for changing it.
    pub(crate) fn settled(&self) -> MutexGuard<'_, ()> {
        self.lifted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the child of a `fork`: what other threads held is nobody's.
    pub(crate) fn after_fork(&self) {
        let permanent = self.permanent.load(Ordering::Relaxed);
        let held = self.held.swap(permanent, Ordering::Relaxed);
        for bit in (0..64).filter(|bit| held & !permanent & (1 << bit) != 0) {
            self.give_back(self.limit.first_own() + bit);
        }
    }

    /// Gives the guest the numbers above the vkernel's, up to `soft` ([`Descriptors::grow`]).
    pub(crate) fn grow(&self, soft: u64) -> bool {
        let _guard = self.settled();
        let mut permanent = 0;
        let grown = self.limit.grow(soft, &mut |number| {
            permanent |= self.bit(number).unwrap_or(0);
        });
        self.permanent.fetch_or(permanent, Ordering::Relaxed);
        self.held.fetch_or(permanent, Ordering::Relaxed);
        // Without room for that in the host, the guest has what it had.
        grown.unwrap_or(false)
    }

    /// A number is used no more.
    fn give_back(&self, number: i32) {
        if !self.limit.has_grown() || self.bit(number).is_none() {
            close(number);
        } else if self.limit.fill(number).is_err() {
            // The guest's limit is below it.
            let _guard = self.settled();
            let lifted = self.limit.lift();
            let filled = self.limit.fill(number);
            debug_assert!(lifted.is_ok() && filled.is_ok());
        }
    }

    /// Moves what was opened to a free one of the vkernel's numbers, all of which are taken.
    fn to_free_number(&self, number: i32) -> Result<i32, Errno> {
        let mut held = self.held.load(Ordering::Relaxed);
        loop {
            let free = held.trailing_ones();
            if free >= 64 {
                return Err(Errno::MFILE);
            }
            let order = Ordering::Relaxed;
            match self
                .held
                .compare_exchange(held, held | 1 << free, order, order)
            {
                Err(now) => held = now,
                Ok(_) => {
                    let own = self.limit.first_own() + free.cast_signed();
                    if let Err(errno) = replace(number, own) {
                        self.held.fetch_and(!(1 << free), order);
                        return Err(errno);
                    }
                    return Ok(own);
                }
            }
        }
    }

    /// Holds what `open` opens, by a host call that does not wait; `alone` if the process has one
    /// guest thread.
    pub(crate) fn hold(
        &self,
        alone: bool,
        open: impl Fn() -> Result<i32, Errno>,
    ) -> Result<Held<'_>, Errno> {
        if alone {
            match open() {
                // The guest has used all that it may have; this one is not its own.
                Err(Errno::MFILE) => {}
                opened => {
                    let number = opened?;
                    return Ok(Held {
                        number,
                        private: self,
                    });
                }
            }
        }
        let _guard = self.settled();
        let lifted = self.limit.lift()?;
        let number = open()?;
        let number = if !self.limit.has_grown() && number >= self.limit.first_own() {
            number
        } else {
            let moved = match self.limit.has_grown() {
                true => self.to_free_number(number),
                false => duplicate(number, self.limit.first_own()),
            };
            close(number);
            moved?
        };
        drop(lifted);
        if let Some(bit) = self.bit(number) {
            self.held.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(Held {
            number,
            private: self,
        })
    }

    fn bit(&self, number: i32) -> Option<u64> {
        let at = number.checked_sub(self.limit.first_own())?;
        1_u64.checked_shl(u32::try_from(at).ok()?)
    }
}

impl Held<'_> {
    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    /// As an argument of a host call.
    pub(crate) fn arg(&self) -> Arg<'_> {
        self.as_fd().into()
    }
}

impl AsFd for Held<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open as long as this value lives.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(bit) = self.private.bit(self.number) else {
            return close(self.number);
        };
        // The host gives a number that is closed to whoever opens next: neither that thread nor the
        // child of a `fork` may see the one without the other.
        let _guard = (!self.private.limit.has_grown()).then(|| self.private.settled());
        // Before it is anybody else's.
        self.private.give_back(self.number);
        self.private.held.fetch_and(!bit, Ordering::Relaxed);
    }
}
