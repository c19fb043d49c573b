//! Running something irrevocable in a forked child, for tests only (also for those in `tests/`).

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    io::{PipeReader, Read},
    os::fd::AsRawFd,
    sync::Once,
};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this exit status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// A child that runs.
pub(crate) struct Child {
    pub(crate) pid: i32,
    /// What it writes to its descriptor 2.
    pub(crate) stderr: PipeReader,
}

impl Child {
    /// Forks; the child runs `act` with stderr in a pipe and exits with what it returns, or with
    /// 101 if it panics. A child that takes a minute dies by SIGALRM.
    pub(crate) fn start(act: impl FnOnce() -> i32) -> Child {
        report_panics_of_children();
        let (stderr, writer) = std::io::pipe().unwrap();
        // SAFETY: the test process has several threads, and another one may hold a lock. The
        // child takes none of the standard library's; glibc's malloc resets its own.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid > 0 {
            return Child { pid, stderr };
        }
        // SAFETY: both are open descriptors; alarm only sets a timer.
        unsafe {
            libc::dup2(writer.as_raw_fd(), 2);
            libc::alarm(60);
        }
        drop((stderr, writer));
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or(101);
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(code) }
    }

    /// Waits for its end; also gives what it wrote to stderr.
    pub(crate) fn wait(mut self) -> (End, String) {
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).unwrap();
        let mut status = 0;
        // SAFETY: `status` is valid for writing; the pid is this process's own child.
        let pid = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        assert_eq!(pid, self.pid);
        let end = if libc::WIFSIGNALED(status) {
            End::Signal(libc::WTERMSIG(status))
        } else {
            End::Exit(libc::WEXITSTATUS(status))
        };
        (end, text)
    }
}

/// Makes panics in children go to their stderr: the usual hook writes to the test harness's
/// capture. Once, and before any fork, since setting a hook takes a lock.
fn report_panics_of_children() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let parent = std::process::id();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::process::id() == parent {
                usual(info);
            } else {
                say(&format!("{info}\n"));
            }
        }));
    });
}

/// Writes to stderr itself: past the test harness's capture, and without a lock.
pub(crate) fn say(text: &str) {
    // SAFETY: reads `text` only.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// How a child that runs `act` ends.
#[track_caller]
pub(crate) fn check(act: impl FnOnce() -> i32, expected: End) {
    let (end, stderr) = Child::start(act).wait();
    assert_eq!(end, expected, "{stderr}");
}

/// The errno of a failed call, negated; otherwise its result.
pub(crate) fn result(value: i64) -> i64 {
    if value == -1 {
        -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        value
    }
}
