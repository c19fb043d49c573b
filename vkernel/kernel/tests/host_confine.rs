//! What a confined process can no longer do, each tried for real in a forked child, and what it
//! must go on doing.

#![allow(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

#[path = "../src/confine/testing.rs"]
mod testing;

use std::time::Instant;

use rustix::process::{Resource, getrlimit};
use testing::{Child, End, check, result, say};
use vkernel_kernel::{
    confine::{self, Surface},
    signals,
};

const RW: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;
const PRIVATE: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;

fn confine() {
    confine::apply(Surface::Wasi, &[], None).unwrap();
}

fn call(number: i64, a: i64, b: i64, c: i64, d: i64, e: i64) -> i64 {
    // SAFETY: the tests pass numbers that are refused, kill, or map fresh memory.
    result(unsafe { libc::syscall(number, a, b, c, d, e, 0_i64) })
}

/// The child is killed by the filter when it makes the call.
#[track_caller]
fn dies(number: i64, a: i64, b: i64, c: i64) {
    check(
        || {
            confine();
            call(number, a, b, c, PRIVATE, -1);
            0
        },
        End::Signal(libc::SIGSYS),
    );
}

/// The call fails with `errno`.
#[track_caller]
fn fails(number: i64, a: i64, b: i64, c: i64, errno: i32) {
    check(
        || {
            confine();
            assert_eq!(call(number, a, b, c, 0, 0), -i64::from(errno));
            0
        },
        End::Exit(0),
    );
}

#[test]
fn executable_memory() {
    let exec = i64::from(libc::PROT_EXEC);
    dies(libc::SYS_mmap, 0, 4096, exec);
    dies(libc::SYS_mmap, 0, 4096, RW | exec);
    // Not even where the call would fail anyway.
    dies(libc::SYS_mprotect, 1, 4096, exec);
    dies(libc::SYS_pkey_mprotect, 0, 4096, exec);
    dies(libc::SYS_shmat, -1, 0, 0o100000);
    dies(libc::SYS_remap_file_pages, 0, 4096, 0);
    dies(
        libc::SYS_personality,
        i64::from(libc::READ_IMPLIES_EXEC),
        0,
        0,
    );
    dies(libc::SYS_memfd_create, c"x".as_ptr() as i64, 0, 0);
    dies(libc::SYS_memfd_secret, 0, 0, 0);
    dies(libc::SYS_modify_ldt, 0, 0, 0);
}

#[test]
fn execution_and_other_processes() {
    let program = c"/bin/true".as_ptr() as i64;
    dies(libc::SYS_execve, program, 0, 0);
    dies(libc::SYS_execveat, i64::from(libc::AT_FDCWD), program, 0);
    dies(libc::SYS_ptrace, 0, 0, 0);
    dies(libc::SYS_process_vm_writev, 1, 0, 0);
    dies(libc::SYS_userfaultfd, 0, 0, 0);
    dies(libc::SYS_io_uring_setup, 1, 0, 0);
    dies(libc::SYS_bpf, 0, 0, 0);
    dies(libc::SYS_kexec_load, 0, 0, 0);
    dies(libc::SYS_kexec_file_load, 0, 0, 0);
}

#[test]
fn other_entries_to_the_kernel() {
    // x32's mmap and getpid.
    dies(0x4000_0000 + 9, 0, 4096, RW);
    dies(0x4000_0000 + 39, 0, 0, 0);
    check(
        || {
            confine();
            let number: i64;
            // SAFETY: getpid of the 32-bit table; touches no memory.
            unsafe {
                std::arch::asm!(
                    "int 0x80",
                    inlateout("rax") 20_i64 => number,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                );
            }
            i32::from(number == 0)
        },
        End::Signal(libc::SIGSYS),
    );
}

#[test]
fn everything_else_is_refused() {
    let eperm = libc::EPERM;
    fails(
        libc::SYS_openat,
        libc::AT_FDCWD.into(),
        c"/".as_ptr() as i64,
        0,
        eperm,
    );
    fails(libc::SYS_socket, 2, 1, 0, eperm);
    fails(libc::SYS_mount, 0, 0, 0, eperm);
    fails(libc::SYS_unshare, libc::CLONE_NEWUSER.into(), 0, 0, eperm);
    fails(libc::SYS_clone, libc::CLONE_NEWUSER.into(), 0, 0, eperm);
    fails(libc::SYS_seccomp, 0, 0, 0, eperm);
    fails(libc::SYS_kill, 1, 0, 0, eperm);
    fails(libc::SYS_setitimer, 0, 0, 0, eperm);
    fails(
        libc::SYS_ioctl,
        0,
        libc::TIOCSTI as i64,
        c"x".as_ptr() as i64,
        eperm,
    );
    fails(libc::SYS_prctl, libc::PR_SET_DUMPABLE.into(), 1, 0, eperm);
    fails(libc::SYS_prlimit64, 0, 3, 1, eperm);
    fails(libc::SYS_clone, 0, 0, 0, eperm);
    fails(libc::SYS_clone3, 0, 0, 0, eperm);
    fails(9999, 0, 0, 0, libc::ENOSYS);
}

#[test]
fn ordinary_work_goes_on() {
    check(
        || {
            let mut file = std::fs::File::open("/etc/passwd").unwrap();
            confine();
            let page = call(libc::SYS_mmap, 0, 4096, RW, PRIVATE, -1);
            assert!(page > 0, "{page}");
            assert_eq!(call(libc::SYS_mprotect, page, 4096, 1, 0, 0), 0);
            assert_eq!(call(libc::SYS_munmap, page, 4096, 0, 0, 0), 0);
            let mut text = String::new();
            std::io::Read::read_to_string(&mut file, &mut text).unwrap();
            assert!(text.contains("root"));
            // A large allocation, clocks, random numbers, messages.
            let big = vec![1_u8; 64 << 20];
            assert_eq!(big[big.len() - 1], 1);
            std::thread::sleep(std::time::Duration::from_millis(1));
            assert!(std::time::SystemTime::now().elapsed().is_ok());
            std::collections::HashMap::<i32, i32>::new().insert(1, 1);
            say("ok");
            assert!(std::thread::Builder::new().spawn(|| ()).is_err());
            0
        },
        End::Exit(0),
    );
}

#[test]
fn guests_with_linux_calls_have_threads() {
    check(
        || {
            confine::apply(Surface::Linux { internet: true }, &[], None).unwrap();
            let threads: Vec<_> = (0..4)
                .map(|i| {
                    let builder = std::thread::Builder::new().name(format!("t{i}"));
                    builder.spawn(move || i * 2).unwrap()
                })
                .collect();
            let sum: i32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
            assert_eq!(sum, 12);
            assert_eq!(
                call(libc::SYS_clone3, 0, 0, 0, 0, 0),
                -i64::from(libc::ENOSYS)
            );
            0
        },
        End::Exit(0),
    );
}

/// A panic message and abort(3) come out under the filter.
#[test]
fn panics_and_aborts_are_reported() {
    let (end, stderr) = Child::start(|| {
        confine();
        panic!("seen")
    })
    .wait();
    assert_eq!(end, End::Exit(101));
    assert!(stderr.contains("seen"), "{stderr}");
    check(
        || {
            confine();
            std::process::abort()
        },
        End::Signal(libc::SIGABRT),
    );
}

#[test]
fn listed_calls_are_allowed() {
    check(
        || {
            confine::apply(
                Surface::Wasi,
                &[&[libc::SYS_openat], &[libc::SYS_socket]],
                None,
            )
            .unwrap();
            assert!(std::fs::File::open("/etc/passwd").is_ok());
            assert!(call(libc::SYS_socket, 1, 1, 0, 0, 0) > 2);
            assert_eq!(
                call(libc::SYS_mkdir, 0, 0, 0, 0, 0),
                -i64::from(libc::EPERM)
            );
            0
        },
        End::Exit(0),
    );
}

#[test]
fn threads_started_before_are_confined_too() {
    check(
        || {
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let (tell, up) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                tell.send(()).unwrap();
                wait.recv().unwrap();
                call(libc::SYS_socket, 1, 1, 0, 0, 0)
            });
            up.recv().unwrap();
            confine();
            go.send(()).unwrap();
            assert_eq!(thread.join().unwrap(), -i64::from(libc::EPERM));
            0
        },
        End::Exit(0),
    );
}

#[test]
fn inherited_read_implies_exec_is_cleared() {
    check(
        || {
            // SAFETY: changes how later mappings of this child are made.
            assert!(unsafe { libc::personality(libc::READ_IMPLIES_EXEC as libc::c_ulong) } >= 0);
            confine::apply(Surface::Wasi, &[&[libc::SYS_openat]], None).unwrap();
            let page = call(libc::SYS_mmap, 0, 4096, RW, PRIVATE, -1);
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let line = maps.lines().find(|l| l.starts_with(&format!("{page:x}-")));
            // The kernel may have joined the page with a neighbour of the same kind.
            if let Some(line) = line {
                assert!(line.contains(" rw-p "), "{line}");
            }
            let now = std::fs::read_to_string("/proc/self/personality").unwrap();
            i32::from_str_radix(now.trim(), 16).unwrap() & libc::READ_IMPLIES_EXEC
        },
        End::Exit(0),
    );
}

/// Every layer is in force on this machine's kernel (6.3 or newer with Landlock); elsewhere the
/// report must say which is not.
#[test]
fn the_report_is_true() {
    let (end, text) = Child::start(|| {
        let report = confine::apply(Surface::Wasi, &[&[libc::SYS_openat]], None).unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains("Seccomp:\t2"), "{status}");
        say(&report.to_string());
        0
    })
    .wait();
    assert_eq!(end, End::Exit(0), "{text}");
    assert!(
        text.starts_with("no_new_privs: in force; seccomp: in force ("),
        "{text}"
    );
    assert!(
        text.contains("MDWE: ") && text.contains("Landlock: "),
        "{text}"
    );
    println!("{text}");
}

#[test]
fn signals_and_the_wall_clock_work_under_the_filter() {
    check(
        || {
            signals::install().unwrap();
            confine();
            // SAFETY: raises a signal in this thread.
            unsafe { libc::raise(libc::SIGTERM) };
            0
        },
        End::Signal(libc::SIGTERM),
    );
    check(
        || {
            signals::install().unwrap();
            signals::arm_wall_time(20, &vkernel_kernel::audit::Audit::off()).unwrap();
            confine();
            loop {
                std::hint::spin_loop();
            }
        },
        End::Exit(vkernel_abi::exit::LIMIT),
    );
}

#[test]
fn the_stack_can_be_raised_and_used() {
    // The child of a test thread runs on that thread's stack, but is its process's main thread
    // by number, so that the arithmetic on the real main thread's stack does not apply here: this
    // checks that the limit is raised and never lowered. The launcher's tests use it for real.
    check(
        || {
            let limit = || getrlimit(Resource::Stack);
            let soft = || limit().current.unwrap_or(u64::MAX);
            let before = soft();
            let needed = 16 << 20;
            confine::stack::reserve(needed).unwrap();
            let after = soft();
            assert!(after >= before);
            assert!(after >= needed.min(limit().maximum.unwrap_or(u64::MAX)));
            confine::stack::reserve(0).unwrap();
            assert_eq!(soft(), after);
            let other = std::thread::spawn(|| confine::stack::reserve(1).is_err());
            assert!(other.join().unwrap());
            0
        },
        End::Exit(0),
    );
}

/// Not an assertion on time: prints what confinement costs at each start.
#[test]
fn cost() {
    let (end, text) = Child::start(|| {
        let calls: Vec<i64> = (257..300).collect();
        let start = Instant::now();
        let filter = confine::Filter::build(Surface::Wasi, &[&calls]).unwrap();
        let built = start.elapsed();
        drop(filter);
        let start = Instant::now();
        let report = confine::apply(Surface::Wasi, &[&calls], None).unwrap();
        let applied = start.elapsed();
        let mut times = Vec::new();
        for _ in 0..1000 {
            let start = Instant::now();
            call(libc::SYS_getpid, 0, 0, 0, 0, 0);
            times.push(start.elapsed());
        }
        times.sort();
        say(&format!(
            "filter of {} instructions: built in {built:?}; all layers applied in {applied:?}; \
             getpid {:?} afterwards",
            report.filter_len, times[500]
        ));
        0
    })
    .wait();
    assert_eq!(end, End::Exit(0), "{text}");
    println!("{text}");
}
