//! Which test proves which row: each supported call has a case of the comparison suite
//! (`tests/linux/cases`) that makes it and compares what comes of it with the host's own answer.
//!
//! Beside the rows, because one case proves many. The e2e test `linux` holds the compiled cases to
//! it: a case that does not import a call of its line fails.

/// Cases, and the calls that each proves, separated by spaces.
#[rustfmt::skip]
const CASES: &[(&str, &str)] = &[
    ("alarms", "alarm gettid pause rt_tgsigqueueinfo tkill"),
    ("barriers", "brk membarrier mlock2"),
    ("clocks", "clock_getres clock_gettime clock_nanosleep getrusage gettimeofday nanosleep times"),
    ("clone", "clone vfork"),
    ("dirs", "chdir getcwd getdents64 mkdir rmdir unlink unlinkat"),
    ("dup", "close close_range dup dup2 dup3 fcntl memfd_create pipe2"),
    ("earlier", "creat faccessat2 fchmodat2 futimesat getdents inotify_init lremovexattr mkdirat mknodat time utime"),
    ("environment", "fchdir"),
    ("epoll", "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait"),
    ("exec", "execve execveat"),
    ("fork", "exit_group fork getpid getppid wait4 waitid"),
    ("groups", "getpgid getsid setpgid setsid tgkill"),
    ("ids", "capget capset getegid geteuid getgid getgroups getpgrp getresgid getresuid getuid setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid"),
    ("inet", "getpeername"),
    ("inotify", "inotify_add_watch inotify_init1 inotify_rm_watch"),
    ("limits", "getrlimit prlimit64 setrlimit"),
    ("links", "link linkat readlink readlinkat symlink symlinkat"),
    ("locking", "mlockall munlockall"),
    ("locks", "flock"),
    ("mmap", "madvise mincore mlock mmap msync munlock munmap"),
    ("modes", "chmod chown faccessat fchmod fchmodat fchown fchownat lchown mknod utimes"),
    ("mprotect", "mprotect mremap"),
    ("mqueue", "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink"),
    ("odds", "chroot ioprio_get ioprio_set personality sched_getattr sched_setattr"),
    ("open", "openat openat2 umask"),
    ("pidfd", "pidfd_open pidfd_send_signal"),
    ("pipes", "copy_file_range pipe sendfile splice tee vmsplice"),
    ("poll", "poll ppoll pselect6 select"),
    ("pty", "ioctl"),
    ("readwrite", "fstat lseek open pread64 pwrite64 read stat write"),
    ("rename", "access rename renameat renameat2"),
    ("robust", "get_robust_list set_robust_list"),
    ("schedule", "getcpu getpriority sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setparam sched_setscheduler sched_yield setpriority"),
    ("seek", "fallocate ftruncate truncate"),
    ("sigaction", "kill rt_sigaction rt_sigqueueinfo sigaltstack"),
    ("sigmask", "rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait"),
    ("socketpair", "accept accept4 bind connect getsockname listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto shutdown socket socketpair"),
    ("sockopt", "getsockopt setsockopt"),
    ("stat", "fstatfs lstat newfstatat statfs statx utimensat"),
    ("system", "getrandom prctl sysinfo uname"),
    ("sysv", "msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget"),
    ("threads", "exit futex set_tid_address"),
    ("timers", "eventfd eventfd2 getitimer setitimer signalfd signalfd4 timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime"),
    ("vectors", "preadv preadv2 pwritev pwritev2 readv writev"),
    ("writeback", "fadvise64 fdatasync fsync readahead sync sync_file_range syncfs"),
    ("xattr", "fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lsetxattr removexattr setxattr"),
];

/// The case that proves a call.
pub(crate) fn case(call: &str) -> Option<&'static str> {
    CASES
        .iter()
        .find(|(_, calls)| calls.split(' ').any(|name| name == call))
        .map(|(case, _)| *case)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use vkernel_abi::wali::{By, SYSCALLS, Syscall};

    use super::*;

    fn is_answered(call: &Syscall) -> bool {
        matches!(call.by, By::Host | By::Vkernel)
    }

    #[test]
    fn every_supported_call_has_a_case_that_is_there() {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/linux/cases");
        for call in SYSCALLS.iter().filter(|call| is_answered(call)) {
            let Some(case) = case(call.name) else {
                panic!("no case proves {}", call.name)
            };
            let file = cases.join(format!("{case}.c"));
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }

    #[test]
    fn nothing_is_listed_twice_or_in_vain() {
        let mut seen = BTreeSet::new();
        for (case, calls) in CASES {
            for name in calls.split(' ') {
                assert!(seen.insert(name), "{name} is listed twice");
                let call = SYSCALLS.iter().find(|call| call.name == name);
                assert!(
                    call.is_some_and(is_answered),
                    "{case}: {name} is not supported"
                );
            }
        }
    }
}
