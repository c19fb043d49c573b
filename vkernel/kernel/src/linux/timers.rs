//! The POSIX timers that a process has made (timer_create(2)): the host deletes them when a process
//! executes a program, but here programs follow one another in one host process.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::host;

/// The host's ids of them. The thread that forks holds the lock meanwhile.
#[derive(Debug, Default)]
pub(super) struct Timers {
    ids: Mutex<Vec<i32>>,
    /// Whether anybody has ever wanted to change the list.
    used: AtomicBool,
}

impl Timers {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<i32>> {
        self.used.store(true, Ordering::Relaxed);
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there may be any, as a thread that is alone sees it.
    pub(super) fn are_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// The process, which has one thread, executes a program.
    pub(super) fn delete_all(&self) {
        if self.are_used() {
            self.lock().drain(..).for_each(delete);
        }
    }
}

/// Has the host delete a timer.
pub(super) fn delete(id: i32) {
    // SAFETY: timer_delete takes no pointer.
    #[allow(unsafe_code)]
    unsafe {
        host::call(libc::SYS_timer_delete, &[id as u64, 0, 0, 0, 0, 0])
    };
}
