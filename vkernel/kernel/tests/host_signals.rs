//! Signals and the wall-clock limit, each in a forked child.

#![allow(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

#[path = "../src/confine/testing.rs"]
mod testing;

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use testing::{Child, End, check, result, say};
use vkernel_kernel::{audit::Audit, signals};

const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Raises a signal and says so if that did nothing.
fn raise(signal: i32) -> i32 {
    // SAFETY: raises a signal in this thread.
    unsafe { libc::raise(signal) };
    7
}

fn ignore(signal: i32) {
    // SAFETY: sets a disposition.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// What started the tests may have ignored a signal, as shells do for their background jobs.
fn do_not_ignore(signal: i32) {
    // SAFETY: sets a disposition.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

fn block_everything() {
    // SAFETY: changes this thread's mask only.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

#[test]
fn ending_signals_end_the_process_visibly() {
    for signal in ENDING {
        check(
            || {
                do_not_ignore(signal);
                signals::install().unwrap();
                raise(signal)
            },
            End::Signal(signal),
        );
        check(
            || {
                do_not_ignore(signal);
                block_everything();
                signals::install().unwrap();
                raise(signal)
            },
            End::Signal(signal),
        );
    }
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        check(
            || {
                ignore(signal);
                signals::install().unwrap();
                raise(signal)
            },
            End::Exit(7),
        );
    }
    check(
        || {
            ignore(libc::SIGTERM);
            signals::install().unwrap();
            raise(libc::SIGTERM)
        },
        End::Signal(libc::SIGTERM),
    );
}

#[test]
fn broken_pipes_are_errors() {
    check(
        || {
            // The test harness ignores it.
            do_not_ignore(libc::SIGPIPE);
            signals::install().unwrap();
            let (reader, mut writer) = std::io::pipe().unwrap();
            drop(reader);
            let error = writer.write(b"x").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
            0
        },
        End::Exit(0),
    );
}

#[test]
fn files_beyond_the_size_limit_are_errors() {
    check(
        || {
            // SAFETY: sets a disposition and a limit of this child.
            unsafe {
                libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
                let limit = libc::rlimit {
                    rlim_cur: 10,
                    rlim_max: 10,
                };
                assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
            }
            signals::install().unwrap();
            // SAFETY: the name is a C string; the descriptor is new and this file's alone.
            let mut file = unsafe {
                let fd = libc::memfd_create(c"limited".as_ptr(), 0);
                <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(fd)
            };
            assert_eq!(file.write(&[b'x'; 20]).unwrap(), 10);
            let error = file.write(b"x").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
            0
        },
        End::Exit(0),
    );
}

/// What `install` leaves as it was inherited does not matter.
#[test]
fn faults_and_aborts_end_the_process_even_if_ignored() {
    let faults: [(i32, fn()); 4] = [
        // SAFETY: each instruction faults, which is the point: nothing runs after it.
        (libc::SIGSEGV, || unsafe {
            std::ptr::null_mut::<u8>().write_volatile(1);
        }),
        // SAFETY: as above.
        (libc::SIGILL, || unsafe { std::arch::asm!("ud2") }),
        // SAFETY: as above.
        (libc::SIGTRAP, || unsafe { std::arch::asm!("int3") }),
        (libc::SIGABRT, || std::process::abort()),
    ];
    for (signal, fault) in faults {
        check(
            || {
                ignore(signal);
                block_everything();
                signals::install().unwrap();
                fault();
                7
            },
            End::Signal(signal),
        );
    }
}

/// PID 1 of a new PID namespace, as in a container.
#[test]
fn the_first_process_of_a_container_ends_promptly() {
    for signal in ENDING {
        let (end, text) = Child::start(|| {
            // SAFETY: concerns this child, which has one thread.
            let unshared = unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWPID) };
            if unshared != 0 {
                say(&format!("SKIPPED: {}", std::io::Error::last_os_error()));
                return 0;
            }
            let (mut ready, tell) = std::io::pipe().unwrap();
            let child = Child::start(move || {
                assert_eq!(std::process::id(), 1);
                // Inherited as ignored, as some container engines do with SIGHUP.
                ignore(signal);
                signals::install().unwrap();
                (&tell).write_all(b"!").unwrap();
                loop {
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
            ready.read_exact(&mut [0]).unwrap();
            let start = Instant::now();
            // SAFETY: signals the child just started.
            assert_eq!(result(unsafe { libc::kill(child.pid, signal) }.into()), 0);
            let (end, _) = child.wait();
            assert_eq!(end, End::Exit(128 + signal));
            assert!(start.elapsed() < Duration::from_secs(1));
            0
        })
        .wait();
        assert_eq!(end, End::Exit(0), "signal {signal}: {text}");
        if text.starts_with("SKIPPED") {
            println!("{text} (this host allows no user namespaces)");
        }
    }
}

#[test]
fn the_wall_clock_limit() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let start = Instant::now();
    let child = Child::start(|| {
        let audit = Audit::to_fd(writer.try_clone().unwrap().into());
        block_everything();
        ignore(libc::SIGALRM);
        signals::install().unwrap();
        // The second replaces the first.
        signals::arm_wall_time(3_600_000, &audit).unwrap();
        signals::arm_wall_time(150, &audit).unwrap();
        drop(audit);
        loop {
            std::hint::spin_loop();
        }
    });
    drop(writer);
    let (end, text) = child.wait();
    let elapsed = start.elapsed();
    assert_eq!(end, End::Exit(137));
    assert!(elapsed >= Duration::from_millis(150) && elapsed < Duration::from_secs(20));
    assert_eq!(
        text,
        "vkernel: ended: the wall-clock limit of 150 ms was reached (policy `wall-time-max`)\n"
    );
    let mut line = String::new();
    reader.read_to_string(&mut line).unwrap();
    let year = line.strip_prefix(r#"{"time":"20"#).unwrap();
    assert_eq!(year.as_bytes()[27], b'Z', "{line}");
    assert!(
        line.ends_with("\"event\":\"limit\",\"limit\":\"wall-time-max\",\"value\":150}\n"),
        "{line}"
    );
}

#[test]
fn a_limit_of_zero_is_no_time_at_all() {
    check(
        || {
            signals::install().unwrap();
            signals::arm_wall_time(0, &Audit::off()).unwrap();
            std::thread::sleep(Duration::from_secs(20));
            0
        },
        End::Exit(137),
    );
}
