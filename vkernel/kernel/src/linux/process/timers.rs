//! The POSIX timers of a process (timer_create(2)). Those that the guest has made are noted: the host
//! deletes them when a process executes a program, but here programs follow one another in one host process.
//! Those that the vkernel has made, for the limits of time, are nothing that the guest can name.

use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use super::super::syscall::{self, Arg};

/// The host's ids of them. The thread that forks holds the lock meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    ids: Mutex<Vec<i32>>,
    /// Whether anybody has ever wanted to change the list.
    used: AtomicBool,
    /// The vkernel's, one more than the host's ids of them; 0 for none.
    own: [AtomicI32; 2],
}

impl Timers {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<i32>> {
        self.used.store(true, Ordering::Relaxed);
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the host end the process by SIGKILL at these times on these clocks; in a child of `fork`, too,
    /// which has none of its parent's timers.
    #[allow(unsafe_code)]
    pub(crate) fn set_own(&self, ends: &[(i32, Duration)]) -> io::Result<()> {
        for (place, (clock, end)) in self.own.iter().zip(ends) {
            // SAFETY: a plain C structure for which zeroes are valid.
            let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = libc::SIGKILL;
            let mut id = 0_i32;
            let args = [(*clock).into(), Arg::input(&event), Arg::output(&mut id)];
            // SAFETY: the host reads `event` and writes `id`.
            unsafe { syscall::call(libc::SYS_timer_create, args) }?;
            let none = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let at = libc::itimerspec {
                it_interval: none,
                it_value: libc::timespec {
                    tv_sec: i64::try_from(end.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: end.subsec_nanos().into(),
                },
            };
            let args = [id.into(), libc::TIMER_ABSTIME.into(), Arg::input(&at)];
            // SAFETY: the host reads `at`.
            unsafe { syscall::call(libc::SYS_timer_settime, args) }?;
            place.store(id + 1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether this is an id of the vkernel's.
    pub(crate) fn is_own(&self, id: i32) -> bool {
        let own = |place: &AtomicI32| place.load(Ordering::Relaxed) == id.wrapping_add(1);
        id >= 0 && self.own.iter().any(own)
    }

    /// Whether there may be any, as a thread that is alone sees it.
    pub(crate) fn are_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// The process, which has one thread, executes a program.
    pub(crate) fn delete_all(&self) {
        if self.are_used() {
            self.lock().drain(..).for_each(delete);
        }
    }
}

/// Has the host delete a timer.
pub(crate) fn delete(id: i32) {
    // SAFETY: timer_delete takes no pointer.
    #[allow(unsafe_code)]
    let _ = unsafe { syscall::call(libc::SYS_timer_delete, [id.into()]) };
}
