//! How the threads of a process leave for the sake of one of them: the one that calls `execve`, or
//! `exit_group` while others may hold robust mutexes.
//!
//! Each of the others is sent a host signal that a guest can neither block nor catch
//! ([`leave`]). It ends the call that the thread waits in, or interrupts its computation;
//! the thread then finds that it is to leave, and ends as if it had called `exit`. Signals are sent
//! again until all have gone, so none is missed.
//!
//! The process's first thread never ends before the process: the host would keep its id for a
//! thread that is gone, and the next program must run as the process's first thread, as it does
//! after a native `execve`. It waits here for that program instead.
//!
//! Invariant: the lock is held for moments only, and by the forking thread across a `fork`.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    super::signals::inbox::{leave, leaving},
    image::Image,
};

/// How long one waits before signals are sent again.
const AGAIN: Duration = Duration::from_millis(2);

/// The live threads of a process, and for whose sake they leave.
#[derive(Debug)]
pub(crate) struct Departure {
    /// The host's id of the thread for whose sake the others leave; 0 for none.
    by: AtomicI32,
    threads: Mutex<Threads>,
    changed: Condvar,
}

/// The live threads of a process.
#[derive(Debug)]
pub(crate) struct Threads {
    /// How many there are: those that begin and have no id yet are among them.
    count: u32,
    /// The host's ids.
    ids: Vec<i32>,
    /// What the process's first thread is to run next.
    next: Option<Box<Image>>,
}

/// The host's id of the calling thread.
fn own_id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Whether the calling thread is the process's first.
pub(crate) fn is_first() -> bool {
    own_id() == rustix::process::getpid().as_raw_nonzero().get()
}

impl Departure {
    /// Of a process whose only thread calls.
    pub(crate) fn new() -> Departure {
        Departure {
            by: AtomicI32::new(0),
            threads: Mutex::new(Threads {
                count: 1,
                ids: vec![own_id()],
                next: None,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the child of a `fork`, whose only thread calls; `threads` is locked since before it.
    pub(crate) fn after_fork(&self, mut threads: MutexGuard<'_, Threads>) {
        self.by.store(0, Ordering::SeqCst);
        leaving(false);
        *threads = Threads {
            count: 1,
            ids: vec![own_id()],
            next: None,
        };
    }

    /// Number of live threads.
    pub(crate) fn count(&self) -> u32 {
        self.lock().count
    }

    /// Whether a thread of the process has this id.
    pub(crate) fn has(&self, id: i32) -> bool {
        self.lock().ids.contains(&id)
    }

    /// Number of threads as Linux shows it: the first one counts as long as there is another, ended or not.
    pub(crate) fn shown(&self) -> u32 {
        let threads = self.lock();
        let first = rustix::process::getpid().as_raw_nonzero().get();
        threads.count + u32::from(!threads.ids.contains(&first))
    }

    /// Counts a thread that is about to begin, unless there are `most`; whether it was counted.
    pub(crate) fn begins(&self, most: u32) -> bool {
        let mut threads = self.lock();
        let room = threads.count < most;
        threads.count += u32::from(room);
        room
    }

    /// The calling thread has begun.
    pub(crate) fn begun(&self) {
        self.lock().ids.push(own_id());
    }

    /// The calling thread, or one that could not begin, has ended; whether it was the last one.
    pub(crate) fn ended(&self) -> bool {
        let own = own_id();
        let mut threads = self.lock();
        threads.ids.retain(|id| *id != own);
        self.one_less(&mut threads)
    }

    /// A thread could not begin.
    pub(crate) fn never_began(&self) {
        self.one_less(&mut self.lock());
    }

    fn one_less(&self, threads: &mut Threads) -> bool {
        threads.count = threads.count.saturating_sub(1);
        self.changed.notify_all();
        threads.count == 0
    }

    /// Whether the calling thread is to leave.
    pub(crate) fn concerns_caller(&self) -> bool {
        let by = self.by.load(Ordering::SeqCst);
        by != 0 && by != own_id()
    }

    /// Makes all other threads leave, for at most `longest`; whether the caller may go on. Not if
    /// another thread was first: then the caller is one of those that leave.
    pub(crate) fn alone(&self, longest: Option<Duration>) -> bool {
        let own = own_id();
        if self
            .by
            .compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst)
            .is_err()
        {
            return false;
        }
        leaving(true);
        let end = longest.map(|longest| Instant::now() + longest);
        let mut threads = self.lock();
        while threads.count > 1 && end.is_none_or(|end| Instant::now() < end) {
            for id in threads.ids.iter().filter(|id| **id != own) {
                leave(*id);
            }
            threads = self
                .changed
                .wait_timeout(threads, AGAIN)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Gives the process's first thread, which waits, what it is to run. The caller, the last live
    /// thread, ends right after.
    pub(crate) fn hand_over(&self, image: Box<Image>) {
        self.lock().next = Some(image);
        self.changed.notify_all();
    }

    /// For the process's first thread, which has ended: what it is to run next.
    pub(crate) fn next(&self) -> Box<Image> {
        let mut threads = self.lock();
        loop {
            if let Some(image) = threads.next.take() {
                return image;
            }
            threads = self
                .changed
                .wait(threads)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn threads_are_counted_and_the_last_one_knows() {
        std::thread::spawn(|| {
            let departure = Arc::new(Departure::new());
            assert!(departure.begins(u32::MAX));
            assert!(!departure.begins(2));
            assert_eq!(departure.count(), 2);
            let other = Arc::clone(&departure);
            std::thread::spawn(move || {
                other.begun();
                assert!(!other.concerns_caller());
                assert!(!other.ended());
            })
            .join()
            .unwrap();
            assert!(departure.begins(u32::MAX));
            departure.never_began();
            assert!(departure.ended());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_first_one_to_ask_stays() {
        let departure = Arc::new(Departure::new());
        assert!(departure.begins(u32::MAX));
        let other = Arc::clone(&departure);
        let thread = std::thread::spawn(move || {
            other.begun();
            while !other.concerns_caller() {
                std::thread::yield_now();
            }
            assert!(!other.alone(None));
            other.ended();
        });
        // The other one has no box, and so is not interrupted.
        crate::linux::install_fault_handlers().unwrap();
        assert!(departure.alone(None));
        assert!(!departure.concerns_caller());
        thread.join().unwrap();
        leaving(false);
    }
}
