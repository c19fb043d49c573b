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

/// Called where a signal's handler may be called while the calling function computes.
pub const CHECKPOINT: &str = "__signal_checkpoint";

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
    f(CHECKPOINT, &[], None),
    f("__init", &[], Some(Type::I32)),
    f("__deinit", &[], Some(Type::I32)),
    f("__proc_exit", &[Type::I32], None),
    f(
        "__get_init_envfile",
        &[Type::I32, Type::I32],
        Some(Type::I32),
    ),
];

/// Names that other toolchains have for a call.
const OTHER_NAMES: &[(&str, &str)] = &[("fadvise", "fadvise64")];

/// Calls that other toolchains give more arguments than Linux looks at: the number of their parameters.
const LONGER: &[(&str, usize)] = &[("faccessat", 4), ("fchmodat", 4)];

/// Calls that do not come back: other toolchains import them without a result.
const ENDS: &[&str] = &["exit", "exit_group"];

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

impl Syscall {
    /// Whether an import of this call may have so many parameters and these results. Of other
    /// toolchains' imports some differ in what does not matter.
    pub fn takes(&self, params: usize, results: &[Type]) -> bool {
        let longer = LONGER.contains(&(self.name, params));
        let params_fit = longer || params == self.params.len();
        let ends = results.is_empty() && ENDS.contains(&self.name);
        params_fit && (ends || results == [Type::I64])
    }
}

/// The system call that an import's field names.
pub fn syscall(field: &str) -> Option<&'static Syscall> {
    let name = field.strip_prefix(PREFIX)?;
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name);
    let name = other.map_or(name, |(_, name)| name);
    let at = SYSCALLS
        .binary_search_by_key(&name, |call| call.name)
        .ok()?;
    SYSCALLS.get(at)
}

/// All of them, by name: a start looks up every import of the image.
#[rustfmt::skip]
pub const SYSCALLS: &[Syscall] = &[
    s("accept", 43, "ipp"),
    s("accept4", 288, "ippi"),
    s("access", 21, "pi"),
    s("acct", 163, "p"),
    s("add_key", 248, "pppzi"),
    s("adjtimex", 159, "p"),
    s("alarm", 37, "u"),
    s("arch_prctl", 158, "il"),
    s("bind", 49, "ipu"),
    s("bpf", 321, "ipu"),
    s("brk", 12, "p"),
    s("cachestat", 451, "uppu"),
    s("capget", 125, "pp"),
    s("capset", 126, "pp"),
    s("chdir", 80, "p"),
    s("chmod", 90, "pu"),
    s("chown", 92, "puu"),
    s("chroot", 161, "p"),
    s("clock_adjtime", 305, "ip"),
    s("clock_getres", 229, "ip"),
    s("clock_gettime", 228, "ip"),
    s("clock_nanosleep", 230, "iipp"),
    s("clock_settime", 227, "ip"),
    s("clone", 56, "lpppp"),
    s("clone3", 435, "pz"),
    s("close", 3, "i"),
    s("close_range", 436, "uuu"),
    s("connect", 42, "ipu"),
    s("copy_file_range", 326, "ipipzu"),
    s("creat", 85, "pu"),
    s("delete_module", 176, "pu"),
    s("dup", 32, "i"),
    s("dup2", 33, "ii"),
    s("dup3", 292, "iii"),
    s("epoll_create", 213, "i"),
    s("epoll_create1", 291, "i"),
    s("epoll_ctl", 233, "iiip"),
    s("epoll_pwait", 281, "ipiipz"),
    s("epoll_pwait2", 441, "ipippz"),
    s("epoll_wait", 232, "ipii"),
    s("eventfd", 284, "u"),
    s("eventfd2", 290, "ui"),
    s("execve", 59, "ppp"),
    s("execveat", 322, "ipppi"),
    s("exit", 60, "i"),
    s("exit_group", 231, "i"),
    s("faccessat", 269, "ipi"),
    s("faccessat2", 439, "ipii"),
    s("fadvise64", 221, "iooi"),
    s("fallocate", 285, "iioo"),
    s("fanotify_init", 300, "uu"),
    s("fanotify_mark", 301, "iulip"),
    s("fchdir", 81, "i"),
    s("fchmod", 91, "iu"),
    s("fchmodat", 268, "ipu"),
    s("fchmodat2", 452, "ipui"),
    s("fchown", 93, "iuu"),
    s("fchownat", 260, "ipuui"),
    s("fcntl", 72, "iiu"),
    s("fdatasync", 75, "i"),
    s("fgetxattr", 193, "ippz"),
    s("finit_module", 313, "ipi"),
    s("flistxattr", 196, "ipz"),
    s("flock", 73, "ii"),
    s("fork", 57, ""),
    s("fremovexattr", 199, "ip"),
    s("fsconfig", 431, "iuppi"),
    s("fsetxattr", 190, "ippzi"),
    s("fsmount", 432, "iuu"),
    s("fsopen", 430, "pu"),
    s("fspick", 433, "ipu"),
    s("fstat", 5, "ip"),
    s("fstatfs", 138, "ip"),
    s("fsync", 74, "i"),
    s("ftruncate", 77, "io"),
    s("futex", 202, "piuppu"),
    s("futex_waitv", 449, "puupi"),
    s("futimesat", 261, "ipp"),
    s("get_mempolicy", 239, "pplpl"),
    s("get_robust_list", 274, "ipp"),
    s("get_thread_area", 211, "p"),
    s("getcpu", 309, "ppp"),
    s("getcwd", 79, "pz"),
    s("getdents", 78, "ipu"),
    s("getdents64", 217, "ipz"),
    s("getegid", 108, ""),
    s("geteuid", 107, ""),
    s("getgid", 104, ""),
    s("getgroups", 115, "ip"),
    s("getitimer", 36, "ip"),
    s("getpeername", 52, "ipp"),
    s("getpgid", 121, "i"),
    s("getpgrp", 111, ""),
    s("getpid", 39, ""),
    s("getppid", 110, ""),
    s("getpriority", 140, "ii"),
    s("getrandom", 318, "pzu"),
    s("getresgid", 120, "ppp"),
    s("getresuid", 118, "ppp"),
    s("getrlimit", 97, "ip"),
    s("getrusage", 98, "ip"),
    s("getsid", 124, "i"),
    s("getsockname", 51, "ipp"),
    s("getsockopt", 55, "iiipp"),
    s("gettid", 186, ""),
    s("gettimeofday", 96, "pp"),
    s("getuid", 102, ""),
    s("getxattr", 191, "pppz"),
    s("init_module", 175, "pzp"),
    s("inotify_add_watch", 254, "ipu"),
    s("inotify_init", 253, ""),
    s("inotify_init1", 294, "i"),
    s("inotify_rm_watch", 255, "ii"),
    s("io_cancel", 210, "lpp"),
    s("io_destroy", 207, "l"),
    s("io_getevents", 208, "lllpp"),
    s("io_pgetevents", 333, "lllppp"),
    s("io_setup", 206, "up"),
    s("io_submit", 209, "llp"),
    s("io_uring_enter", 426, "uuuupz"),
    s("io_uring_register", 427, "uupu"),
    s("io_uring_setup", 425, "up"),
    s("ioctl", 16, "iuu"),
    s("ioperm", 173, "lli"),
    s("iopl", 172, "i"),
    s("ioprio_get", 252, "ii"),
    s("ioprio_set", 251, "iii"),
    s("kcmp", 312, "iiill"),
    s("kexec_file_load", 320, "iilpl"),
    s("kexec_load", 246, "llpl"),
    s("keyctl", 250, "illll"),
    s("kill", 62, "ii"),
    s("landlock_add_rule", 445, "iipu"),
    s("landlock_create_ruleset", 444, "pzu"),
    s("landlock_restrict_self", 446, "iu"),
    s("lchown", 94, "puu"),
    s("lgetxattr", 192, "pppz"),
    s("link", 86, "pp"),
    s("linkat", 265, "ipipi"),
    s("listen", 50, "ii"),
    s("listxattr", 194, "ppz"),
    s("llistxattr", 195, "ppz"),
    s("lremovexattr", 198, "pp"),
    s("lseek", 8, "ioi"),
    s("lsetxattr", 189, "pppzi"),
    s("lstat", 6, "pp"),
    s("madvise", 28, "pzi"),
    s("mbind", 237, "pliplu"),
    s("membarrier", 324, "iui"),
    s("memfd_create", 319, "pu"),
    s("memfd_secret", 447, "u"),
    s("migrate_pages", 256, "ilpp"),
    s("mincore", 27, "pzp"),
    s("mkdir", 83, "pu"),
    s("mkdirat", 258, "ipu"),
    s("mknod", 133, "puu"),
    s("mknodat", 259, "ipuu"),
    s("mlock", 149, "pz"),
    s("mlock2", 325, "pzi"),
    s("mlockall", 151, "i"),
    s("mmap", 9, "pziiio"),
    s("modify_ldt", 154, "ipl"),
    s("mount", 165, "ppplp"),
    s("mount_setattr", 442, "ipupz"),
    s("move_mount", 429, "ipipu"),
    s("move_pages", 279, "ilpppi"),
    s("mprotect", 10, "pzi"),
    s("mq_getsetattr", 245, "ipp"),
    s("mq_notify", 244, "ip"),
    s("mq_open", 240, "piup"),
    s("mq_timedreceive", 243, "ipzpp"),
    s("mq_timedsend", 242, "ipzup"),
    s("mq_unlink", 241, "p"),
    s("mremap", 25, "pzzip"),
    s("msgctl", 71, "iip"),
    s("msgget", 68, "ii"),
    s("msgrcv", 70, "ipzli"),
    s("msgsnd", 69, "ipzi"),
    s("msync", 26, "pzi"),
    s("munlock", 150, "pz"),
    s("munlockall", 152, ""),
    s("munmap", 11, "pz"),
    s("name_to_handle_at", 303, "ipppi"),
    s("nanosleep", 35, "pp"),
    s("newfstatat", 262, "ippi"),
    s("open", 2, "piu"),
    s("open_by_handle_at", 304, "ipi"),
    s("open_tree", 428, "ipu"),
    s("openat", 257, "ipiu"),
    s("openat2", 437, "ippz"),
    s("pause", 34, ""),
    s("perf_event_open", 298, "piiil"),
    s("personality", 135, "l"),
    s("pidfd_getfd", 438, "iiu"),
    s("pidfd_open", 434, "iu"),
    s("pidfd_send_signal", 424, "iipu"),
    s("pipe", 22, "p"),
    s("pipe2", 293, "pi"),
    s("pivot_root", 155, "pp"),
    s("pkey_alloc", 330, "ll"),
    s("pkey_free", 331, "i"),
    s("pkey_mprotect", 329, "pzii"),
    s("poll", 7, "pui"),
    s("ppoll", 271, "puppz"),
    s("prctl", 157, "illll"),
    s("pread64", 17, "ipzo"),
    s("preadv", 295, "ipill"),
    s("preadv2", 327, "ipilli"),
    s("prlimit64", 302, "iipp"),
    s("process_madvise", 440, "ipziu"),
    s("process_mrelease", 448, "iu"),
    s("process_vm_readv", 310, "iplpll"),
    s("process_vm_writev", 311, "iplpll"),
    s("pselect6", 270, "ippppp"),
    s("ptrace", 101, "iipp"),
    s("pwrite64", 18, "ipzo"),
    s("pwritev", 296, "ipill"),
    s("pwritev2", 328, "ipilli"),
    s("quotactl", 179, "ipip"),
    s("read", 0, "ipz"),
    s("readahead", 187, "ioz"),
    s("readlink", 89, "ppz"),
    s("readlinkat", 267, "ippz"),
    s("readv", 19, "ipi"),
    s("reboot", 169, "iiip"),
    s("recvfrom", 45, "ipzipp"),
    s("recvmmsg", 299, "ipuup"),
    s("recvmsg", 47, "ipi"),
    s("remap_file_pages", 216, "pzizi"),
    s("removexattr", 197, "pp"),
    s("rename", 82, "pp"),
    s("renameat", 264, "ipip"),
    s("renameat2", 316, "ipipu"),
    s("request_key", 249, "pppi"),
    s("restart_syscall", 219, ""),
    s("rmdir", 84, "p"),
    s("rseq", 334, "puiu"),
    s("rt_sigaction", 13, "ippz"),
    s("rt_sigpending", 127, "pz"),
    s("rt_sigprocmask", 14, "ippz"),
    s("rt_sigqueueinfo", 129, "iip"),
    s("rt_sigreturn", 15, ""),
    s("rt_sigsuspend", 130, "pz"),
    s("rt_sigtimedwait", 128, "pppz"),
    s("rt_tgsigqueueinfo", 297, "iiip"),
    s("sched_get_priority_max", 146, "i"),
    s("sched_get_priority_min", 147, "i"),
    s("sched_getaffinity", 204, "izp"),
    s("sched_getattr", 315, "ipuu"),
    s("sched_getparam", 143, "ip"),
    s("sched_getscheduler", 145, "i"),
    s("sched_rr_get_interval", 148, "ip"),
    s("sched_setaffinity", 203, "izp"),
    s("sched_setattr", 314, "ipu"),
    s("sched_setparam", 142, "ip"),
    s("sched_setscheduler", 144, "iip"),
    s("sched_yield", 24, ""),
    s("seccomp", 317, "uup"),
    s("select", 23, "ipppp"),
    s("semctl", 66, "iiiu"),
    s("semget", 64, "iii"),
    s("semop", 65, "ipz"),
    s("semtimedop", 220, "ipzp"),
    s("sendfile", 40, "iipz"),
    s("sendmmsg", 307, "ipuu"),
    s("sendmsg", 46, "ipi"),
    s("sendto", 44, "ipzipu"),
    s("set_mempolicy", 238, "ipl"),
    s("set_mempolicy_home_node", 450, "llll"),
    s("set_robust_list", 273, "pz"),
    s("set_thread_area", 205, "p"),
    s("set_tid_address", 218, "p"),
    s("setdomainname", 171, "pz"),
    s("setfsgid", 123, "u"),
    s("setfsuid", 122, "u"),
    s("setgid", 106, "u"),
    s("setgroups", 116, "zp"),
    s("sethostname", 170, "pz"),
    s("setitimer", 38, "ipp"),
    s("setns", 308, "ii"),
    s("setpgid", 109, "ii"),
    s("setpriority", 141, "iii"),
    s("setregid", 114, "uu"),
    s("setresgid", 119, "uuu"),
    s("setresuid", 117, "uuu"),
    s("setreuid", 113, "uu"),
    s("setrlimit", 160, "ip"),
    s("setsid", 112, ""),
    s("setsockopt", 54, "iiipu"),
    s("settimeofday", 164, "pp"),
    s("setuid", 105, "u"),
    s("setxattr", 188, "pppzi"),
    s("shmat", 30, "ipi"),
    s("shmctl", 31, "iip"),
    s("shmdt", 67, "p"),
    s("shmget", 29, "izi"),
    s("shutdown", 48, "ii"),
    s("sigaltstack", 131, "pp"),
    s("signalfd", 282, "ipz"),
    s("signalfd4", 289, "ipzi"),
    s("socket", 41, "iii"),
    s("socketpair", 53, "iiip"),
    s("splice", 275, "ipipzu"),
    s("stat", 4, "pp"),
    s("statfs", 137, "pp"),
    s("statx", 332, "ipiup"),
    s("swapoff", 168, "p"),
    s("swapon", 167, "pi"),
    s("symlink", 88, "pp"),
    s("symlinkat", 266, "pip"),
    s("sync", 162, ""),
    s("sync_file_range", 277, "ioou"),
    s("syncfs", 306, "i"),
    s("sysfs", 139, "ill"),
    s("sysinfo", 99, "p"),
    s("syslog", 103, "ipi"),
    s("tee", 276, "iizu"),
    s("tgkill", 234, "iii"),
    s("time", 201, "p"),
    s("timer_create", 222, "ipp"),
    s("timer_delete", 226, "i"),
    s("timer_getoverrun", 225, "i"),
    s("timer_gettime", 224, "ip"),
    s("timer_settime", 223, "iipp"),
    s("timerfd_create", 283, "ii"),
    s("timerfd_gettime", 287, "ip"),
    s("timerfd_settime", 286, "iipp"),
    s("times", 100, "p"),
    s("tkill", 200, "ii"),
    s("truncate", 76, "po"),
    s("umask", 95, "u"),
    s("umount2", 166, "pi"),
    s("uname", 63, "p"),
    s("unlink", 87, "p"),
    s("unlinkat", 263, "ipi"),
    s("unshare", 272, "i"),
    s("userfaultfd", 323, "i"),
    s("ustat", 136, "up"),
    s("utime", 132, "pp"),
    s("utimensat", 280, "ippi"),
    s("utimes", 235, "pp"),
    s("vfork", 58, ""),
    s("vhangup", 153, ""),
    s("vmsplice", 278, "ipzu"),
    s("wait4", 61, "ipip"),
    s("waitid", 247, "iipip"),
    s("write", 1, "ipz"),
    s("writev", 20, "ipi"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sorted_and_without_repetition() {
        assert!(SYSCALLS.windows(2).all(|w| w[0].name < w[1].name));
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
