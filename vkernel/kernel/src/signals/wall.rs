//! The limits of time: timers whose handlers report and end the process.
//!
//! Everything that the handler prints is formatted when the timer is armed; it adds the time only.

use std::{
    io,
    os::fd::AsRawFd,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use megabinary_format::Limit;

use crate::{
    audit::{Audit, Timestamp},
    confine::files::without_limit,
};

/// What the handler says.
struct Report {
    /// For stderr.
    message: String,
    /// The audit line before and after its time, and where it goes.
    audit: Option<(libc::c_int, Vec<u8>, Vec<u8>)>,
    /// Keeps the descriptor open.
    _stream: Audit,
}

/// The reports of the armed limits; leaked, because a handler may be reading them.
static WALL: AtomicPtr<Report> = AtomicPtr::new(ptr::null_mut());
static CPU: AtomicPtr<Report> = AtomicPtr::new(ptr::null_mut());

/// Ends the process `milliseconds` from now, with a message on stderr, a `limit` event and the
/// exit status [`vkernel_abi::exit::LIMIT`]. Arming again replaces the limit.
///
/// The time is the wall clock's (`setitimer(2)`, ITIMER_REAL); the process's children do not
/// inherit the timer. Call it before [`crate::confine::apply`], which forbids changing timers, so
/// that nothing can disarm the limit later.
pub fn arm_wall_time(milliseconds: u64, audit: &Audit) -> io::Result<()> {
    let report = report(Limit::WallTime, milliseconds, audit);
    WALL.store(report, Ordering::Release);
    let handler: extern "C" fn(libc::c_int) = wall_reached;
    super::set(libc::SIGALRM, handler as libc::sighandler_t, 0)?;
    start(libc::ITIMER_REAL, milliseconds)
}

/// As [`arm_wall_time`], for the time that processors have worked for the process (ITIMER_PROF).
pub fn arm_cpu_time(milliseconds: u64, audit: &Audit) -> io::Result<()> {
    let report = report(Limit::CpuTime, milliseconds, audit);
    CPU.store(report, Ordering::Release);
    let handler: extern "C" fn(libc::c_int) = cpu_reached;
    super::set(libc::SIGPROF, handler as libc::sighandler_t, 0)?;
    start(libc::ITIMER_PROF, milliseconds)
}

/// The last line of who reached a limit of time.
pub(crate) fn ended_by(limit: Limit, value: u64) -> String {
    format!(
        "vkernel: ended: the {} limit of {} was reached (policy `{}`)\n",
        limit.row().title,
        limit.text(value),
        limit.key()
    )
}

fn report(limit: Limit, milliseconds: u64, audit: &Audit) -> *mut Report {
    Box::into_raw(Box::new(Report {
        message: ended_by(limit, milliseconds),
        audit: audit.raw_fd().map(|fd| {
            let (before, after) = Audit::limit_parts(limit, milliseconds);
            (fd.as_raw_fd(), before, after)
        }),
        _stream: audit.clone(),
    }))
}

fn start(which: libc::c_int, milliseconds: u64) -> io::Result<()> {
    let seconds = (milliseconds / 1000).min(i64::MAX as u64 / 2);
    let microseconds = match milliseconds {
        // A zero would disarm the timer instead.
        0 => 1,
        ms => (ms % 1000) * 1000,
    };
    let timer = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: seconds as libc::time_t,
            tv_usec: microseconds as libc::suseconds_t,
        },
    };
    // SAFETY: `timer` is valid for reading; the old value is not asked for.
    if unsafe { libc::setitimer(which, &raw const timer, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Has `write` write what can be written at once: what the guest can fill must not keep the process alive.
/// The open file may be shared with other processes, which have it as it was again right afterwards.
fn without_waiting(fd: libc::c_int, write: impl FnOnce()) {
    // SAFETY: fcntl with these takes no pointer, and is async-signal-safe.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags < 0 || libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) < 0 {
            return;
        }
        write();
        libc::fcntl(fd, libc::F_SETFL, flags);
    }
}

extern "C" fn wall_reached(_: libc::c_int) {
    reached(&WALL);
}

extern "C" fn cpu_reached(_: libc::c_int) {
    reached(&CPU);
}

fn reached(report: &AtomicPtr<Report>) -> ! {
    // SAFETY: the pointer is null or from `Box::into_raw`, never freed, and published with
    // release order. write, writev, fcntl, the calls of `without_limit`,
    // clock_gettime and _exit are async-signal-safe; the buffers
    // live in the leaked report and on this stack.
    unsafe {
        if let Some(report) = report.load(Ordering::Acquire).as_ref() {
            let message = report.message.as_bytes();
            without_waiting(2, || {
                libc::write(2, message.as_ptr().cast(), message.len());
            });
            if let Some((fd, before, after)) = &report.audit {
                let mut now = libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                };
                libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
                let time = Timestamp::new(
                    u64::try_from(now.tv_sec).unwrap_or(0),
                    u32::try_from(now.tv_nsec).unwrap_or(0),
                );
                let part = |bytes: &[u8]| libc::iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: bytes.len(),
                };
                let parts = [part(before), part(time.as_bytes()), part(after)];
                without_waiting(*fd, || {
                    without_limit(|| libc::writev(*fd, parts.as_ptr(), 3));
                });
            }
        }
        libc::_exit(vkernel_abi::exit::LIMIT);
    }
}
