//! What the arguments of system calls are, one word each, so that sequences make sense: calls that
//! make descriptors feed calls that take them, structures are structures.
//!
//! Names, numbers, widths, and what is a descriptor, an address or a path are the interface's table
//! (`vkernel_abi::wali`). [`DESCRIPTIONS`] says more where it says too little; a call without a line of
//! its own gets words from what its parameters are, so that what is answered later is tried at once.
//!
//! | word | the argument is |
//! |---|---|
//! | `fd`, `fd.KIND` | a descriptor, most often of that kind ([`Kind`]) |
//! | `number` | a number for a new descriptor |
//! | `dir` | a folder's descriptor, or AT_FDCWD |
//! | `path`, `new` | a path; a name in the working directory |
//! | `page`, `pages` | an address in the part of memory that is mapped and unmapped; a length there |
//! | `in`, `out`, `len` | a buffer with something in it; one to be filled; the length of the last one |
//! | `@NAME` | one of the values of that name, or several of them ([`values`]) |
//! | others | structures and ids: see `generate` |

use vkernel_abi::wali::{By, Param, PathUse, SYSCALLS, Syscall, Waits};

/// What a descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    File,
    Folder,
    Socket,
    Pipe,
    Epoll,
    Inotify,
    Timer,
    Event,
    Signal,
    Process,
    Proc,
    Device,
    Other,
}

impl Kind {
    pub(super) fn of(word: &str) -> Kind {
        match word {
            "file" => Kind::File,
            "folder" => Kind::Folder,
            "socket" => Kind::Socket,
            "pipe" => Kind::Pipe,
            "epoll" => Kind::Epoll,
            "inotify" => Kind::Inotify,
            "timer" => Kind::Timer,
            "event" => Kind::Event,
            "signal" => Kind::Signal,
            "process" => Kind::Process,
            "proc" => Kind::Proc,
            "device" => Kind::Device,
            _ => Kind::Other,
        }
    }
}

/// A call, and a word for each of its arguments.
#[derive(Debug)]
pub struct Described {
    /// Position in [`SYSCALLS`].
    pub index: usize,
    /// The call.
    pub call: &'static Syscall,
    /// A word for each argument.
    pub words: Vec<String>,
    /// The kind of the descriptor that it gives, if it gives one.
    pub makes: Option<Kind>,
    /// How often it is chosen, compared with others.
    pub weight: u32,
    /// It may wait for something that never comes.
    pub waits: bool,
}

/// Name, arguments, what the result is if it is a descriptor.
#[rustfmt::skip]
const DESCRIPTIONS: &[(&str, &str, &str)] = &[
    // Files.
    ("open", "path @open mode", "file"),
    ("openat", "dir path @open mode", "file"),
    ("openat2", "dir path how 24", "file"),
    ("creat", "new mode", "file"),
    ("memfd_create", "new @memfd", "file"),
    ("close", "fd", ""),
    ("close_range", "number number @closerange", ""),
    ("dup", "fd", "other"),
    ("dup2", "fd number", "other"),
    ("dup3", "fd number @cloexec", "other"),
    ("fcntl", "fd @fcntl small", "other"),
    ("ioctl", "fd @ioctl out", ""),
    ("read", "fd out len", ""),
    ("write", "fd in len", ""),
    ("pread64", "fd out len off", ""),
    ("pwrite64", "fd in len off", ""),
    ("readv", "fd iov count", ""),
    ("writev", "fd iov count", ""),
    ("preadv", "fd iov count off 0", ""),
    ("pwritev", "fd iov count off 0", ""),
    ("preadv2", "fd iov count off 0 @rwf", ""),
    ("pwritev2", "fd iov count off 0 @rwf", ""),
    ("vmsplice", "fd.pipe iov count @splice", ""),
    ("lseek", "fd off @seek", ""),
    ("ftruncate", "fd.file off", ""),
    ("fallocate", "fd.file @falloc off off", ""),
    ("fadvise64", "fd.file off off small", ""),
    ("sendfile", "fd fd null pages", ""),
    ("copy_file_range", "fd.file null fd.file null pages 0", ""),
    ("splice", "fd.pipe null fd null pages @splice", ""),
    ("tee", "fd.pipe fd.pipe pages @splice", ""),
    ("flock", "fd @flock", ""),
    ("fchmod", "fd mode", ""),
    ("fchown", "fd id id", ""),
    ("fsetxattr", "fd attribute in len @xattr", ""),
    ("fgetxattr", "fd attribute out len", ""),
    ("flistxattr", "fd out len", ""),
    ("fremovexattr", "fd attribute", ""),
    ("setxattr", "path attribute in len @xattr", ""),
    ("lsetxattr", "path attribute in len @xattr", ""),
    ("getxattr", "path attribute out len", ""),
    ("lgetxattr", "path attribute out len", ""),
    ("listxattr", "path out len", ""),
    ("llistxattr", "path out len", ""),
    ("removexattr", "path attribute", ""),
    ("lremovexattr", "path attribute", ""),
    ("getdents", "fd.folder out len", ""),
    ("getdents64", "fd.folder out len", ""),
    ("stat", "path out", ""),
    ("lstat", "path out", ""),
    ("fstat", "fd out", ""),
    ("newfstatat", "dir path out @at", ""),
    ("statx", "dir path @at 4095 out", ""),
    ("access", "path small", ""),
    ("faccessat", "dir path small", ""),
    ("faccessat2", "dir path small @at", ""),
    ("getcwd", "out len", ""),
    ("chdir", "path", ""),
    ("fchdir", "fd.folder", ""),
    ("mkdir", "new mode", ""),
    ("mkdirat", "dir new mode", ""),
    ("rmdir", "new", ""),
    ("mknod", "new @mknod device", ""),
    ("mknodat", "dir new @mknod device", ""),
    ("rename", "path new", ""),
    ("renameat", "dir path dir new", ""),
    ("renameat2", "dir path dir new @rename", ""),
    ("link", "path new", ""),
    ("linkat", "dir path dir new @at", ""),
    ("symlink", "path new", ""),
    ("symlinkat", "path dir new", ""),
    ("unlink", "path", ""),
    ("unlinkat", "dir path @unlink", ""),
    ("readlink", "path out len", ""),
    ("readlinkat", "dir path out len", ""),
    ("chmod", "path mode", ""),
    ("fchmodat", "dir path mode", ""),
    ("fchmodat2", "dir path mode @at", ""),
    ("chown", "path id id", ""),
    ("lchown", "path id id", ""),
    ("fchownat", "dir path id id @at", ""),
    ("utimensat", "dir path times @at", ""),
    ("utimes", "path times", ""),
    ("utime", "path times", ""),
    ("futimesat", "dir path times", ""),
    ("truncate", "path off", ""),
    ("chroot", "path", ""),
    ("inotify_init", "", "inotify"),
    ("inotify_init1", "@nonblock", "inotify"),
    ("inotify_add_watch", "fd.inotify path @inotify", ""),
    ("inotify_rm_watch", "fd.inotify small", ""),
    ("name_to_handle_at", "dir path out out @at", ""),
    ("execve", "path null null", ""),
    ("execveat", "dir path null null @at", ""),
    // Pipes, events, timers.
    ("pipe", "pair.pipe", ""),
    ("pipe2", "pair.pipe @nonblock", ""),
    ("eventfd", "small", "event"),
    ("eventfd2", "small @nonblock", "event"),
    ("signalfd", "fd.signal sigset 8", "signal"),
    ("signalfd4", "fd.signal sigset 8 @nonblock", "signal"),
    ("timerfd_create", "@clock @nonblock", "timer"),
    ("timerfd_settime", "fd.timer 0 itimerspec out", ""),
    ("timerfd_gettime", "fd.timer out", ""),
    ("epoll_create", "small", "epoll"),
    ("epoll_create1", "@cloexec", "epoll"),
    ("epoll_ctl", "fd.epoll @epollctl fd epollevent", ""),
    ("epoll_wait", "fd.epoll out small wait", ""),
    ("epoll_pwait", "fd.epoll out small wait sigset 8", ""),
    ("epoll_pwait2", "fd.epoll out small soon sigset 8", ""),
    ("poll", "pollfds count wait", ""),
    ("ppoll", "pollfds count soon sigset 8", ""),
    ("select", "64 fdset fdset fdset soon", ""),
    ("pselect6", "64 fdset fdset fdset soon null", ""),
    // Sockets.
    ("socket", "@family @socktype @protocol", "socket"),
    ("socketpair", "@pairfamily @socktype 0 pair.socket", ""),
    ("bind", "fd.socket address addresslen", ""),
    ("connect", "fd.socket address addresslen", ""),
    ("listen", "fd.socket small", ""),
    ("accept", "fd.socket out outlen", "socket"),
    ("accept4", "fd.socket out outlen @nonblock", "socket"),
    ("getsockname", "fd.socket out outlen", ""),
    ("getpeername", "fd.socket out outlen", ""),
    ("sendto", "fd.socket in len @msg address addresslen", ""),
    ("recvfrom", "fd.socket out len @msg out outlen", ""),
    ("sendmsg", "fd.socket message @msg", ""),
    ("recvmsg", "fd.socket message @msg", ""),
    ("sendmmsg", "fd.socket messages 2 @msg", ""),
    ("recvmmsg", "fd.socket messages 2 @msg soon", ""),
    ("setsockopt", "fd.socket @sollevel @sockopt in small", ""),
    ("getsockopt", "fd.socket @sollevel @sockopt out outlen", ""),
    ("shutdown", "fd.socket small", ""),
    // Memory.
    ("mmap", "page pages @prot @map fd pageoff", ""),
    ("munmap", "page pages", ""),
    ("mprotect", "page pages @prot", ""),
    ("pkey_mprotect", "page pages @prot small", ""),
    ("mremap", "page pages pages @remap page", ""),
    ("madvise", "page pages advice", ""),
    ("msync", "page pages @msync", ""),
    ("mlock", "page pages", ""),
    ("mlock2", "page pages small", ""),
    ("munlock", "page pages", ""),
    ("mincore", "page pages out", ""),
    ("brk", "page", ""),
    ("shmget", "small pages 1023", ""),
    ("shmat", "small page @shm", ""),
    ("remap_file_pages", "page pages 0 small 0", ""),
    ("process_madvise", "fd.process iov count advice 0", ""),
    ("mbind", "page pages small out 64 small", ""),
    ("move_pages", "0 1 in null out small", ""),
    ("userfaultfd", "small", "other"),
    ("cachestat", "fd in out 0", ""),
    // Signals.
    ("rt_sigaction", "signal action out 8", ""),
    ("rt_sigprocmask", "small sigset out 8", ""),
    ("rt_sigpending", "out 8", ""),
    ("rt_sigsuspend", "sigset 8", ""),
    ("rt_sigtimedwait", "sigset out soon 8", ""),
    ("rt_sigqueueinfo", "self signal siginfo", ""),
    ("rt_tgsigqueueinfo", "self self signal siginfo", ""),
    ("kill", "self signal", ""),
    ("tkill", "self signal", ""),
    ("tgkill", "self self signal", ""),
    ("sigaltstack", "stack out", ""),
    ("pidfd_open", "process @nonblock", "process"),
    ("pidfd_send_signal", "fd.process signal siginfo 0", ""),
    ("pidfd_getfd", "fd.process number 0", "other"),
    ("setitimer", "small itimerval out", ""),
    ("getitimer", "small out", ""),
    ("alarm", "small", ""),
    ("timer_create", "@clock sigevent out", ""),
    ("timer_settime", "small 0 itimerspec out", ""),
    ("timer_gettime", "small out", ""),
    ("timer_delete", "small", ""),
    // Processes and threads.
    ("fork", "", ""),
    ("vfork", "", ""),
    ("clone", "17 0 0 0 0", ""),
    ("wait4", "process out @wait out", ""),
    ("waitid", "small process out @waitid out", ""),
    ("futex", "word @futex small soon word small", ""),
    ("set_robust_list", "out 24", ""),
    ("get_robust_list", "process out out", ""),
    ("set_tid_address", "out", ""),
    ("membarrier", "@membarrier 0 0", ""),
    ("getrlimit", "@resource out", ""),
    ("setrlimit", "@resource rlimit", ""),
    ("prlimit64", "process @resource rlimit out", ""),
    ("prctl", "@prctl number small zero zero", ""),
    ("arch_prctl", "@archprctl off", ""),
    ("personality", "@personality", ""),
    ("setpriority", "small process small", ""),
    ("sched_setaffinity", "process 8 in", ""),
    ("sched_getaffinity", "process 64 out", ""),
    ("sched_setscheduler", "process small in", ""),
    ("setpgid", "process process", ""),
    ("getpgid", "process", ""),
    ("getsid", "process", ""),
    ("setuid", "id", ""),
    ("setgid", "id", ""),
    ("setreuid", "id id", ""),
    ("setregid", "id id", ""),
    ("setresuid", "id id id", ""),
    ("setresgid", "id id id", ""),
    ("setfsuid", "id", ""),
    ("setfsgid", "id", ""),
    ("capset", "capability capabilities", ""),
    ("capget", "capability out", ""),
    ("nanosleep", "soon out", ""),
    ("clock_nanosleep", "@clock 0 soon out", ""),
    ("clock_gettime", "@clock out", ""),
    ("clock_settime", "@clock times", ""),
    ("settimeofday", "times null", ""),
    ("adjtimex", "in", ""),
    ("clock_adjtime", "@clock in", ""),
    ("getrandom", "out len small", ""),
    ("ptrace", "small process page in", ""),
    ("process_vm_readv", "process iov count iov count 0", ""),
    ("process_vm_writev", "process iov count iov count 0", ""),
    ("kcmp", "process process small number number", ""),
    ("unshare", "@unshare", ""),
    ("setns", "fd.proc 0", ""),
    ("mount", "path path fstype @mount null", ""),
    ("umount2", "path small", ""),
    ("pivot_root", "path path", ""),
    ("open_tree", "dir path small", "other"),
    ("move_mount", "dir path dir path small", ""),
    ("fsopen", "fstype 0", "other"),
    ("sethostname", "in small", ""),
    ("setdomainname", "in small", ""),
    ("seccomp", "small 0 in", ""),
    ("bpf", "small in 64", "other"),
    ("io_uring_setup", "small in", "other"),
    ("perf_event_open", "in process -1 -1 0", "other"),
    ("keyctl", "small small small small small", ""),
    ("swapon", "path 0", ""),
    ("acct", "path", ""),
    ("syslog", "small out len", ""),
    ("ioperm", "small small 1", ""),
    ("iopl", "3", ""),
    ("exit", "small", ""),
    ("exit_group", "small", ""),
];

/// The values that arguments of a name have. From the headers of Linux.
#[rustfmt::skip]
pub(super) fn values(name: &str) -> (&'static [i64], How) {
    use How::{Bits, One};
    match name {
        "open" => (&[0, 1, 2, 0o100, 0o200, 0o1000, 0o2000, 0o4000, 0o200000, 0o400000, 0o2000000,
                     0o10000000, 0o20200000], Bits),
        "memfd" => (&[0, 1, 2, 8, 16], Bits),
        "closerange" => (&[0, 2, 4], One),
        "cloexec" => (&[0, 0o2000000], One),
        "nonblock" => (&[0o4000, 0o2004000], One),
        "fcntl" => (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 1024, 1025, 1026, 1030, 1031,
                      1032, 1033, 1034, 36, 37, 38], One),
        "ioctl" => (&[0x5401, 0x5402, 0x5413, 0x5414, 0x541b, 0x5421, 0x5450, 0x5451, 0x5412, 0x540e,
                      0x8927, 0x8912, 0x8913, 0x8914, 0xb701, 0xb703, 0x40086607, 0x80045430, 0x5441,
                      0x4008940d, 0xc020660b], One),
        "rwf" => (&[0, 1, 2, 4, 8, 16], Bits),
        "splice" => (&[2, 3, 6, 10], One),
        "seek" => (&[0, 1, 2, 3, 4, 5], One),
        "falloc" => (&[0, 1, 2, 3, 8, 16, 32, 64], One),
        "flock" => (&[5, 6, 8], One),
        "xattr" => (&[0, 1, 2], One),
        "at" => (&[0, 0x100, 0x400, 0x1000, 0x200], Bits),
        "mknod" => (&[0o100644, 0o10644, 0o140644, 0o20666, 0o60666], One),
        "rename" => (&[0, 1, 2, 4], One),
        "unlink" => (&[0, 0x200], One),
        "inotify" => (&[0xfff, 0x1000fff, 0x2000002, 0x4000100], One),
        "clock" => (&[0, 1, 2, 3, 4, 7, 8, 9, 11, -6, -2], One),
        "epollctl" => (&[1, 2, 3], One),
        "family" => (&[1, 1, 2, 2, 2, 10, 10, 0, 3, 16, 17, 29, 38, 40, 44, 21, 30], One),
        "pairfamily" => (&[1, 1, 1, 2, 16, 30], One),
        "socktype" => (&[0o4001, 0o4002, 0o4001, 0o4003, 0o4004, 0o4005, 0o4006, 0o4012], One),
        "protocol" => (&[0, 0, 0, 1, 6, 17, 58, 132, 255, 136, 262, 33], One),
        "msg" => (&[0x40, 0x4040, 0x42, 0x60, 0x41, 0x20000040, 0x4000040], One),
        "sollevel" => (&[1, 6, 0, 41, 17, 255], One),
        "sockopt" => (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 18, 20, 26, 28, 30, 32, 33, 36, 50,
                        51, 62, 25, 31], One),
        "prot" => (&[0, 1, 2, 3, 3, 3, 4, 5, 7], One),
        "map" => (&[0x32, 0x31, 0x22, 0x11, 0x12, 0x11, 0x12, 0x100022, 0x100011, 0x8032, 0x4031, 0x40022,
                    0x132, 0x13, 0x80013, 0x2032], One),
        "remap" => (&[0, 1, 3, 3, 5, 7], One),
        "msync" => (&[1, 2, 4, 6], One),
        "shm" => (&[0, 0o10000, 0o40000, 0o100000], Bits),
        "wait" => (&[1, 3, 11, 0x20000001, 0x40000001u32 as i32 as i64], One),
        "waitid" => (&[5, 0x1000005, 0xf], One),
        "futex" => (&[0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 128, 129, 131, 132, 133, 134, 137, 138], One),
        "membarrier" => (&[0, 1, 2, 4, 8, 16, 32, 64], One),
        "resource" => (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], One),
        "prctl" => (&[1, 2, 3, 4, 8, 15, 16, 21, 22, 23, 24, 26, 27, 28, 29, 30, 35, 36, 37, 38, 39, 40, 41,
                      47, 53, 59, 65, 66, 0x53564d41, 0x59616d61, 55], One),
        "archprctl" => (&[0x1001, 0x1002, 0x1003, 0x1004, 0x1011, 0x1012, 0x5001], One),
        "personality" => (&[0xffffffff, 0, 0x0400000, 0x0040000, 8], One),
        "unshare" => (&[0x10000000, 0x20000, 0x40000000, 0x400, 0x200, 0x8000000], One),
        "mount" => (&[0, 0x1000, 0x20, 0x40000, 0x2000], One),
        _ => panic!("no values are named {name}"),
    }
}

/// How values are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// One of them.
    One,
    /// Some of them, together.
    Bits,
}

/// Calls that are chosen more often than others.
const OFTEN: &[(&str, u32)] = &[
    ("mmap", 12),
    ("mremap", 6),
    ("madvise", 8),
    ("mprotect", 4),
    ("munmap", 3),
    ("open", 6),
    ("openat", 6),
    ("socket", 5),
    ("bind", 4),
    ("listen", 4),
    ("connect", 3),
    ("rt_sigqueueinfo", 4),
    ("rt_tgsigqueueinfo", 6),
    ("rt_sigaction", 3),
    ("fork", 3),
    ("dup2", 3),
    ("fchmod", 3),
    ("chmod", 3),
    ("chown", 3),
    ("sendmsg", 3),
    ("recvmsg", 2),
    ("read", 6),
    ("pread64", 3),
];

/// All calls of the interface, in its order.
pub fn all() -> Vec<Described> {
    SYSCALLS
        .iter()
        .enumerate()
        .map(|(index, call)| describe(index, call))
        .collect()
}

fn describe(index: usize, call: &'static Syscall) -> Described {
    let own = DESCRIPTIONS.iter().find(|(name, ..)| *name == call.name);
    let words = match own {
        Some((_, words, _)) => words.split_whitespace().map(str::to_owned).collect(),
        None => from_params(call),
    };
    let makes = own
        .map(|(_, _, kind)| *kind)
        .filter(|kind| !kind.is_empty())
        .map(Kind::of);
    let weight = OFTEN
        .iter()
        .find(|(name, _)| *name == call.name)
        .map_or(1, |(_, weight)| *weight);
    Described {
        index,
        call,
        words,
        makes,
        // Calls that are refused one and all are tried now and then.
        weight: 4 * weight / if is_served(call) { 1 } else { 4 },
        waits: call.waits == Waits::UntilSignal,
    }
}

fn is_served(call: &Syscall) -> bool {
    matches!(call.by, By::Host | By::Vkernel)
}

/// Words from what the table says of a call.
fn from_params(call: &Syscall) -> Vec<String> {
    call.params
        .iter()
        .map(|param| match param {
            Param::Path(PathUse::Name) => "new",
            Param::Path(_) => "path",
            Param::AtFlags | Param::LinkFlags => "@at",
            Param::Fd | Param::FdLook | Param::FdChange | Param::FdList | Param::FdOrNone => "fd",
            Param::Folder => "dir",
            Param::Out | Param::InOut => "out",
            Param::In | Param::Text | Param::Range | Param::SocketAddress => "in",
            Param::Size => "len",
            Param::Long | Param::Offset => "off",
            Param::Int | Param::Unsigned | Param::WatchFlags => "small",
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_word_for_each_argument() {
        for described in all() {
            let call = described.call;
            assert_eq!(described.words.len(), call.params.len(), "{}", call.name);
            for word in &described.words {
                if let Some(name) = word.strip_prefix('@') {
                    assert!(!values(name).0.is_empty(), "{}: {word}", call.name);
                }
            }
        }
        for (name, ..) in DESCRIPTIONS {
            assert!(SYSCALLS.iter().any(|call| call.name == *name), "{name}");
        }
    }

    /// What the vkernel takes for a descriptor is described as one.
    #[test]
    fn descriptions_fit_the_table() {
        for described in all() {
            let call = described.call;
            if call.by != By::Host {
                continue;
            }
            for (word, param) in described.words.iter().zip(call.params) {
                let is_descriptor = word.starts_with("fd") && word != "fdset"
                    || ["number", "dir"].contains(&word.as_str());
                assert_eq!(
                    is_descriptor,
                    param.is_descriptor(),
                    "{}: {word}",
                    call.name
                );
            }
        }
    }
}
