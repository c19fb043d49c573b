//! The POSIX timers that a process has made (timer_create(2)): the host deletes them when a process
//! executes a program, but here programs follow one another in one host process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::host;

/// The host's ids of them. The thread that forks holds the lock meanwhile.
#[derive(Debug, Default)]
pub(super) struct Timers(Mutex<Vec<i32>>);

impl Timers {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process executes a program.
    pub(super) fn delete_all(&self) {
        for id in self.lock().drain(..) {
            delete(id);
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
