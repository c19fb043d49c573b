//! The `wali` personality (WebAssembly Linux Interface) as a table: every system call of x86-64
//! Linux that still exists, each an import of its own.
//!
//! Module `wali`, field `SYS_<name>`, result `i64`: a value, or the negated error number. The C
//! side is generated from `polyfills/sysroot/syscalls.txt`, which a test compares with this table.
//! What a call does, and how far it is supported, is the vkernel's table.

use crate::personality::{Function, Type};

/// Import module of the personality.
pub const MODULE: &str = "wali";

/// What precedes a system call's name in the field of its import.
pub const PREFIX: &str = "SYS_";

/// One system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syscall {
    /// Linux's name.
    pub name: &'static str,
    /// Number on x86-64.
    pub number: u16,
    /// One letter a parameter: `i` int, `u` unsigned int or a word that another argument explains,
    /// `p` pointer, `z` size_t (all i32); `l` long, `o` off_t (both i64). Only `i` is
    /// sign-extended when it is widened.
    pub params: &'static str,
}

impl Syscall {
    /// The core WebAssembly types of the parameters.
    pub fn types(&self) -> impl Iterator<Item = Type> {
        self.params.bytes().map(|kind| match kind {
            b'l' | b'o' => Type::I64,
            _ => Type::I32,
        })
    }
}

/// Functions by which a C library starts its program and its threads
/// (`polyfills/sysroot/README.md`); the last three are other toolchains'.
pub const STARTUP: &[Function] = &[
    f("__cl_get_argc", &[], Some(Type::I32)),
    f("__cl_get_argv_len", &[Type::I32], Some(Type::I32)),
    f("__cl_copy_argv", &[Type::I32, Type::I32], Some(Type::I32)),
    f("__get_env_count", &[], Some(Type::I32)),
    f("__get_env_len", &[Type::I32], Some(Type::I32)),
    f("__copy_env", &[Type::I32, Type::I32], Some(Type::I32)),
    f(
        "__wasm_thread_spawn",
        &[Type::I32, Type::I32],
        Some(Type::I32),
    ),
    f("__init", &[], Some(Type::I32)),
    f("__deinit", &[], Some(Type::I32)),
    f("__proc_exit", &[Type::I32], None),
];

const fn f(name: &'static str, params: &'static [Type], result: Option<Type>) -> Function {
    Function {
        name,
        params,
        result,
    }
}

const fn s(name: &'static str, number: u16, params: &'static str) -> Syscall {
    Syscall {
        name,
        number,
        params,
    }
}

/// The system call that an import's field names.
pub fn syscall(field: &str) -> Option<&'static Syscall> {
    let name = field.strip_prefix(PREFIX)?;
    SYSCALLS.iter().find(|call| call.name == name)
}

/// All of them, by number.
#[rustfmt::skip]
pub const SYSCALLS: &[Syscall] = &[
    s("read", 0, "ipz"),
    s("write", 1, "ipz"),
    s("open", 2, "piu"),
    s("close", 3, "i"),
    s("stat", 4, "pp"),
    s("fstat", 5, "ip"),
    s("lstat", 6, "pp"),
    s("poll", 7, "pui"),
    s("lseek", 8, "ioi"),
    s("mmap", 9, "pziiio"),
    s("mprotect", 10, "pzi"),
    s("munmap", 11, "pz"),
    s("brk", 12, "p"),
    s("rt_sigaction", 13, "ippz"),
    s("rt_sigprocmask", 14, "ippz"),
    s("rt_sigreturn", 15, ""),
    s("ioctl", 16, "iuu"),
    s("pread64", 17, "ipzo"),
    s("pwrite64", 18, "ipzo"),
    s("readv", 19, "ipi"),
    s("writev", 20, "ipi"),
    s("access", 21, "pi"),
    s("pipe", 22, "p"),
    s("select", 23, "ipppp"),
    s("sched_yield", 24, ""),
    s("mremap", 25, "pzzip"),
    s("msync", 26, "pzi"),
    s("mincore", 27, "pzp"),
    s("madvise", 28, "pzi"),
    s("shmget", 29, "izi"),
    s("shmat", 30, "ipi"),
    s("shmctl", 31, "iip"),
    s("dup", 32, "i"),
    s("dup2", 33, "ii"),
    s("pause", 34, ""),
    s("nanosleep", 35, "pp"),
    s("getitimer", 36, "ip"),
    s("alarm", 37, "u"),
    s("setitimer", 38, "ipp"),
    s("getpid", 39, ""),
    s("sendfile", 40, "iipz"),
    s("socket", 41, "iii"),
    s("connect", 42, "ipu"),
    s("accept", 43, "ipp"),
    s("sendto", 44, "ipzipu"),
    s("recvfrom", 45, "ipzipp"),
    s("sendmsg", 46, "ipi"),
    s("recvmsg", 47, "ipi"),
    s("shutdown", 48, "ii"),
    s("bind", 49, "ipu"),
    s("listen", 50, "ii"),
    s("getsockname", 51, "ipp"),
    s("getpeername", 52, "ipp"),
    s("socketpair", 53, "iiip"),
    s("setsockopt", 54, "iiipu"),
    s("getsockopt", 55, "iiipp"),
    s("clone", 56, "lpppp"),
    s("fork", 57, ""),
    s("vfork", 58, ""),
    s("execve", 59, "ppp"),
    s("exit", 60, "i"),
    s("wait4", 61, "ipip"),
    s("kill", 62, "ii"),
    s("uname", 63, "p"),
    s("semget", 64, "iii"),
    s("semop", 65, "ipz"),
    s("semctl", 66, "iiiu"),
    s("shmdt", 67, "p"),
    s("msgget", 68, "ii"),
    s("msgsnd", 69, "ipzi"),
    s("msgrcv", 70, "ipzli"),
    s("msgctl", 71, "iip"),
    s("fcntl", 72, "iiu"),
    s("flock", 73, "ii"),
    s("fsync", 74, "i"),
    s("fdatasync", 75, "i"),
    s("truncate", 76, "po"),
    s("ftruncate", 77, "io"),
    s("getdents", 78, "ipu"),
    s("getcwd", 79, "pz"),
    s("chdir", 80, "p"),
    s("fchdir", 81, "i"),
    s("rename", 82, "pp"),
    s("mkdir", 83, "pu"),
    s("rmdir", 84, "p"),
    s("creat", 85, "pu"),
    s("link", 86, "pp"),
    s("unlink", 87, "p"),
    s("symlink", 88, "pp"),
    s("readlink", 89, "ppz"),
    s("chmod", 90, "pu"),
    s("fchmod", 91, "iu"),
    s("chown", 92, "puu"),
    s("fchown", 93, "iuu"),
    s("lchown", 94, "puu"),
    s("umask", 95, "u"),
    s("gettimeofday", 96, "pp"),
    s("getrlimit", 97, "ip"),
    s("getrusage", 98, "ip"),
    s("sysinfo", 99, "p"),
    s("times", 100, "p"),
    s("ptrace", 101, "iipp"),
    s("getuid", 102, ""),
    s("syslog", 103, "ipi"),
    s("getgid", 104, ""),
    s("setuid", 105, "u"),
    s("setgid", 106, "u"),
    s("geteuid", 107, ""),
    s("getegid", 108, ""),
    s("setpgid", 109, "ii"),
    s("getppid", 110, ""),
    s("getpgrp", 111, ""),
    s("setsid", 112, ""),
    s("setreuid", 113, "uu"),
    s("setregid", 114, "uu"),
    s("getgroups", 115, "ip"),
    s("setgroups", 116, "zp"),
    s("setresuid", 117, "uuu"),
    s("getresuid", 118, "ppp"),
    s("setresgid", 119, "uuu"),
    s("getresgid", 120, "ppp"),
    s("getpgid", 121, "i"),
    s("setfsuid", 122, "u"),
    s("setfsgid", 123, "u"),
    s("getsid", 124, "i"),
    s("capget", 125, "pp"),
    s("capset", 126, "pp"),
    s("rt_sigpending", 127, "pz"),
    s("rt_sigtimedwait", 128, "pppz"),
    s("rt_sigqueueinfo", 129, "iip"),
    s("rt_sigsuspend", 130, "pz"),
    s("sigaltstack", 131, "pp"),
    s("utime", 132, "pp"),
    s("mknod", 133, "puu"),
    s("personality", 135, "l"),
    s("ustat", 136, "up"),
    s("statfs", 137, "pp"),
    s("fstatfs", 138, "ip"),
    s("sysfs", 139, "ill"),
    s("getpriority", 140, "ii"),
    s("setpriority", 141, "iii"),
    s("sched_setparam", 142, "ip"),
    s("sched_getparam", 143, "ip"),
    s("sched_setscheduler", 144, "iip"),
    s("sched_getscheduler", 145, "i"),
    s("sched_get_priority_max", 146, "i"),
    s("sched_get_priority_min", 147, "i"),
    s("sched_rr_get_interval", 148, "ip"),
    s("mlock", 149, "pz"),
    s("munlock", 150, "pz"),
    s("mlockall", 151, "i"),
    s("munlockall", 152, ""),
    s("vhangup", 153, ""),
    s("modify_ldt", 154, "ipl"),
    s("pivot_root", 155, "pp"),
    s("prctl", 157, "illll"),
    s("arch_prctl", 158, "il"),
    s("adjtimex", 159, "p"),
    s("setrlimit", 160, "ip"),
    s("chroot", 161, "p"),
    s("sync", 162, ""),
    s("acct", 163, "p"),
    s("settimeofday", 164, "pp"),
    s("mount", 165, "ppplp"),
    s("umount2", 166, "pi"),
    s("swapon", 167, "pi"),
    s("swapoff", 168, "p"),
    s("reboot", 169, "iiip"),
    s("sethostname", 170, "pz"),
    s("setdomainname", 171, "pz"),
    s("iopl", 172, "i"),
    s("ioperm", 173, "lli"),
    s("init_module", 175, "pzp"),
    s("delete_module", 176, "pu"),
    s("quotactl", 179, "ipip"),
    s("gettid", 186, ""),
    s("readahead", 187, "ioz"),
    s("setxattr", 188, "pppzi"),
    s("lsetxattr", 189, "pppzi"),
    s("fsetxattr", 190, "ippzi"),
    s("getxattr", 191, "pppz"),
    s("lgetxattr", 192, "pppz"),
    s("fgetxattr", 193, "ippz"),
    s("listxattr", 194, "ppz"),
    s("llistxattr", 195, "ppz"),
    s("flistxattr", 196, "ipz"),
    s("removexattr", 197, "pp"),
    s("lremovexattr", 198, "pp"),
    s("fremovexattr", 199, "ip"),
    s("tkill", 200, "ii"),
    s("time", 201, "p"),
    s("futex", 202, "piuppu"),
    s("sched_setaffinity", 203, "izp"),
    s("sched_getaffinity", 204, "izp"),
    s("set_thread_area", 205, "p"),
    s("io_setup", 206, "up"),
    s("io_destroy", 207, "l"),
    s("io_getevents", 208, "lllpp"),
    s("io_submit", 209, "llp"),
    s("io_cancel", 210, "lpp"),
    s("get_thread_area", 211, "p"),
    s("epoll_create", 213, "i"),
    s("remap_file_pages", 216, "pzizi"),
    s("getdents64", 217, "ipz"),
    s("set_tid_address", 218, "p"),
    s("restart_syscall", 219, ""),
    s("semtimedop", 220, "ipzp"),
    s("fadvise64", 221, "iooi"),
    s("timer_create", 222, "ipp"),
    s("timer_settime", 223, "iipp"),
    s("timer_gettime", 224, "ip"),
    s("timer_getoverrun", 225, "i"),
    s("timer_delete", 226, "i"),
    s("clock_settime", 227, "ip"),
    s("clock_gettime", 228, "ip"),
    s("clock_getres", 229, "ip"),
    s("clock_nanosleep", 230, "iipp"),
    s("exit_group", 231, "i"),
    s("epoll_wait", 232, "ipii"),
    s("epoll_ctl", 233, "iiip"),
    s("tgkill", 234, "iii"),
    s("utimes", 235, "pp"),
    s("mbind", 237, "pliplu"),
    s("set_mempolicy", 238, "ipl"),
    s("get_mempolicy", 239, "pplpl"),
    s("mq_open", 240, "piup"),
    s("mq_unlink", 241, "p"),
    s("mq_timedsend", 242, "ipzup"),
    s("mq_timedreceive", 243, "ipzpp"),
    s("mq_notify", 244, "ip"),
    s("mq_getsetattr", 245, "ipp"),
    s("kexec_load", 246, "llpl"),
    s("waitid", 247, "iipip"),
    s("add_key", 248, "pppzi"),
    s("request_key", 249, "pppi"),
    s("keyctl", 250, "illll"),
    s("ioprio_set", 251, "iii"),
    s("ioprio_get", 252, "ii"),
    s("inotify_init", 253, ""),
    s("inotify_add_watch", 254, "ipu"),
    s("inotify_rm_watch", 255, "ii"),
    s("migrate_pages", 256, "ilpp"),
    s("openat", 257, "ipiu"),
    s("mkdirat", 258, "ipu"),
    s("mknodat", 259, "ipuu"),
    s("fchownat", 260, "ipuui"),
    s("futimesat", 261, "ipp"),
    s("newfstatat", 262, "ippi"),
    s("unlinkat", 263, "ipi"),
    s("renameat", 264, "ipip"),
    s("linkat", 265, "ipipi"),
    s("symlinkat", 266, "pip"),
    s("readlinkat", 267, "ippz"),
    s("fchmodat", 268, "ipu"),
    s("faccessat", 269, "ipi"),
    s("pselect6", 270, "ippppp"),
    s("ppoll", 271, "puppz"),
    s("unshare", 272, "i"),
    s("set_robust_list", 273, "pz"),
    s("get_robust_list", 274, "ipp"),
    s("splice", 275, "ipipzu"),
    s("tee", 276, "iizu"),
    s("sync_file_range", 277, "ioou"),
    s("vmsplice", 278, "ipzu"),
    s("move_pages", 279, "ilpppi"),
    s("utimensat", 280, "ippi"),
    s("epoll_pwait", 281, "ipiipz"),
    s("signalfd", 282, "ipz"),
    s("timerfd_create", 283, "ii"),
    s("eventfd", 284, "u"),
    s("fallocate", 285, "iioo"),
    s("timerfd_settime", 286, "iipp"),
    s("timerfd_gettime", 287, "ip"),
    s("accept4", 288, "ippi"),
    s("signalfd4", 289, "ipzi"),
    s("eventfd2", 290, "ui"),
    s("epoll_create1", 291, "i"),
    s("dup3", 292, "iii"),
    s("pipe2", 293, "pi"),
    s("inotify_init1", 294, "i"),
    s("preadv", 295, "ipill"),
    s("pwritev", 296, "ipill"),
    s("rt_tgsigqueueinfo", 297, "iiip"),
    s("perf_event_open", 298, "piiil"),
    s("recvmmsg", 299, "ipuup"),
    s("fanotify_init", 300, "uu"),
    s("fanotify_mark", 301, "iulip"),
    s("prlimit64", 302, "iipp"),
    s("name_to_handle_at", 303, "ipppi"),
    s("open_by_handle_at", 304, "ipi"),
    s("clock_adjtime", 305, "ip"),
    s("syncfs", 306, "i"),
    s("sendmmsg", 307, "ipuu"),
    s("setns", 308, "ii"),
    s("getcpu", 309, "ppp"),
    s("process_vm_readv", 310, "iplpll"),
    s("process_vm_writev", 311, "iplpll"),
    s("kcmp", 312, "iiill"),
    s("finit_module", 313, "ipi"),
    s("sched_setattr", 314, "ipu"),
    s("sched_getattr", 315, "ipuu"),
    s("renameat2", 316, "ipipu"),
    s("seccomp", 317, "uup"),
    s("getrandom", 318, "pzu"),
    s("memfd_create", 319, "pu"),
    s("kexec_file_load", 320, "iilpl"),
    s("bpf", 321, "ipu"),
    s("execveat", 322, "ipppi"),
    s("userfaultfd", 323, "i"),
    s("membarrier", 324, "iui"),
    s("mlock2", 325, "pzi"),
    s("copy_file_range", 326, "ipipzu"),
    s("preadv2", 327, "ipilli"),
    s("pwritev2", 328, "ipilli"),
    s("pkey_mprotect", 329, "pzii"),
    s("pkey_alloc", 330, "ll"),
    s("pkey_free", 331, "i"),
    s("statx", 332, "ipiup"),
    s("io_pgetevents", 333, "lllppp"),
    s("rseq", 334, "puiu"),
    s("pidfd_send_signal", 424, "iipu"),
    s("io_uring_setup", 425, "up"),
    s("io_uring_enter", 426, "uuuupz"),
    s("io_uring_register", 427, "uupu"),
    s("open_tree", 428, "ipu"),
    s("move_mount", 429, "ipipu"),
    s("fsopen", 430, "pu"),
    s("fsconfig", 431, "iuppi"),
    s("fsmount", 432, "iuu"),
    s("fspick", 433, "ipu"),
    s("pidfd_open", 434, "iu"),
    s("clone3", 435, "pz"),
    s("close_range", 436, "uuu"),
    s("openat2", 437, "ippz"),
    s("pidfd_getfd", 438, "iiu"),
    s("faccessat2", 439, "ipii"),
    s("process_madvise", 440, "ipziu"),
    s("epoll_pwait2", 441, "ipippz"),
    s("mount_setattr", 442, "ipupz"),
    s("landlock_create_ruleset", 444, "pzu"),
    s("landlock_add_rule", 445, "iipu"),
    s("landlock_restrict_self", 446, "iu"),
    s("memfd_secret", 447, "u"),
    s("process_mrelease", 448, "iu"),
    s("futex_waitv", 449, "puupi"),
    s("set_mempolicy_home_node", 450, "llll"),
    s("cachestat", 451, "uppu"),
    s("fchmodat2", 452, "ipui"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sorted_and_without_repetition() {
        assert!(SYSCALLS.windows(2).all(|w| w[0].number < w[1].number));
        assert!(SYSCALLS.iter().all(|call| call.params.len() <= 6));
    }

    /// What the C side is generated from.
    #[test]
    fn agrees_with_the_sysroot() {
        let text = include_str!("../../sysroot/syscalls.txt");
        let mut listed: usize = 0;
        for line in text
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            let mut words = line.split_whitespace();
            let (name, number, params) = (words.next(), words.next(), words.next());
            let call = syscall_named(name.unwrap_or_default());
            assert_eq!(
                call.map(|c| c.number),
                number.and_then(|n| n.parse().ok()),
                "{line}"
            );
            let params = params.filter(|p| *p != "-").unwrap_or_default();
            assert_eq!(call.map(|c| c.params), Some(params), "{line}");
            listed += 1;
        }
        assert_eq!(listed, SYSCALLS.len());
    }

    fn syscall_named(name: &str) -> Option<&'static Syscall> {
        SYSCALLS.iter().find(|call| call.name == name)
    }

    #[test]
    fn imports_are_found_by_field() {
        assert_eq!(syscall("SYS_openat").map(|c| c.number), Some(257));
        assert_eq!(syscall("openat"), None);
        assert_eq!(syscall("SYS_"), None);
    }
}
