//! The tables behind the seccomp filter: system calls of x86-64 and what they get.
//!
//! Facts only. A call belongs into [`RUNTIME`] if the launcher, the standard library, glibc or
//! wasmtime's runtime may make it whatever the guest does; calls that only serve a personality's
//! functions are listed with those functions and passed by the caller.

use libc::*;

use super::bpf::{Action, Rule, Test};

/// What kind of guest a filter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// WASI alone: one thread.
    Wasi,
    /// Linux system calls, mediated (see `linux`): terminals and limits of the guest's own.
    Linux {
        /// Whether there are sockets of the internet.
        internet: bool,
    },
}

/// Host calls that every process of the vkernel may make after confinement.
pub const RUNTIME: &[i64] = &[
    // Memory: wasmtime's linear memories and stacks, malloc. mmap and mprotect are in `CHECKED`.
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    // Locks of the standard library, also where there is one thread.
    SYS_futex,
    SYS_gettid,
    SYS_getpid,
    SYS_sched_yield,
    // What the host kernel has a process call after a stop.
    SYS_restart_syscall,
    // Ends.
    SYS_exit,
    SYS_exit_group,
    // Signals: wasmtime's trap handler, `signals`, abort(3).
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_tgkill,
    // Clocks, for hosts whose vDSO does not serve them.
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    // Hash seeds of the standard library.
    SYS_getrandom,
    // Descriptors that are open already: messages, audit events, the megabinary.
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_lseek,
    SYS_fcntl,
    SYS_poll,
];

/// What besides [`RUNTIME`] a process of the Linux personality needs, which has threads. clone is in
/// [`CHECKED_FOR_LINUX`].
pub(super) const LINUX: &[i64] = &[
    // The vkernel's own numbers are taken and given back by it, whatever the guest imports.
    SYS_dup3,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sched_getaffinity,
    SYS_membarrier,
    // Whether a call that failed has left a hole in the guest's memory.
    SYS_mincore,
    // The limits of time also hold for a process that is stopped.
    SYS_timer_create,
    SYS_timer_settime,
    SYS_nanosleep,
    SYS_gettimeofday,
];

/// Calls that end the process: ways to make memory executable or to have a host file executed, to
/// write another process's memory, and interfaces whose misuse is the usual next step.
pub(super) const FATAL: &[i64] = &[
    SYS_execve,
    SYS_execveat,
    SYS_memfd_create,
    SYS_memfd_secret,
    SYS_ptrace,
    SYS_process_vm_writev,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_bpf,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_modify_ldt,
    SYS_remap_file_pages,
];

/// Calls that end the process where nobody has an honest use for them.
pub(super) const FATAL_FOR_WASI: &[i64] = &[SYS_personality, SYS_pkey_mprotect, SYS_shmat];

const PROT: Rule = Rule::WithoutBits {
    argument: 2,
    bits: PROT_EXEC as u32,
    otherwise: Action::Kill,
};

/// SHM_EXEC of `<linux/shm.h>`.
const SHM_EXEC: u32 = 0o100000;

/// All CLONE_NEW* flags that clone(2) takes: a new namespace gives capabilities in it.
const NAMESPACES: u32 = (CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET) as u32;

const EPERM: Action = Action::Errno(libc::EPERM as u16);

/// Calls whose answer depends on an argument. They are decided here whether or not a caller lists
/// them.
pub(super) const CHECKED: &[(i64, Rule)] = &[
    (SYS_mmap, PROT),
    (SYS_mprotect, PROT),
    // isatty(3), terminal size, and what reads and writes need. Above all not TIOCSTI, which
    // types into the terminal outside the container.
    (
        SYS_ioctl,
        Rule::OneOf {
            argument: 1,
            values: &[
                TCGETS as u32,
                TIOCGWINSZ as u32,
                FIONREAD as u32,
                FIONBIO as u32,
            ],
            otherwise: EPERM,
        },
    ),
];

/// What comes to [`CHECKED`], and replaces rules there, for guests with Linux system calls. The
/// vkernel itself looks at the arguments too (`linux::calls::control`); still no TIOCSTI.
pub(super) const CHECKED_FOR_LINUX: &[(i64, Rule)] = &[
    (SYS_pkey_mprotect, PROT),
    (
        SYS_shmat,
        Rule::WithoutBits {
            argument: 2,
            bits: SHM_EXEC,
            otherwise: Action::Kill,
        },
    ),
    // Asking is harmless; setting could bring READ_IMPLIES_EXEC back.
    (
        SYS_personality,
        Rule::OneOf {
            argument: 0,
            values: &[0xffff_ffff],
            otherwise: Action::Kill,
        },
    ),
    (
        SYS_clone,
        Rule::WithoutBits {
            argument: 0,
            bits: NAMESPACES,
            otherwise: EPERM,
        },
    ),
    // Its flags are in memory, where a filter cannot look; glibc falls back to clone.
    (SYS_clone3, Rule::Always(Action::Errno(ENOSYS as u16))),
    // The descriptor limit stays with the vkernel's own; see `linux::calls::limits`.
    (SYS_prlimit64, Rule::Always(Action::Allow)),
    (
        SYS_prctl,
        Rule::OneOf {
            argument: 0,
            values: &[
                PR_SET_NAME as u32,
                PR_GET_NAME as u32,
                PR_SET_VMA as u32,
                PR_SET_PDEATHSIG as u32,
                PR_GET_PDEATHSIG as u32,
                PR_GET_DUMPABLE as u32,
                PR_SET_DUMPABLE as u32,
                PR_GET_KEEPCAPS as u32,
                PR_SET_KEEPCAPS as u32,
                PR_GET_NO_NEW_PRIVS as u32,
                PR_SET_NO_NEW_PRIVS as u32,
                PR_SET_CHILD_SUBREAPER as u32,
                PR_GET_CHILD_SUBREAPER as u32,
                PR_GET_TIMERSLACK as u32,
                PR_SET_TIMERSLACK as u32,
                PR_CAP_AMBIENT as u32,
                PR_CAPBSET_READ as u32,
                PR_GET_SECUREBITS as u32,
                // What `/proc/self/cmdline` shows (`linux::process::title`). Guests cannot ask for it; what
                // else it sets is addresses that the host only shows, and the heap's end.
                PR_SET_MM as u32,
            ],
            otherwise: EPERM,
        },
    ),
    (
        SYS_ioctl,
        Rule::OneOf {
            argument: 1,
            values: crate::linux::IOCTLS,
            otherwise: EPERM,
        },
    ),
];

const fn is(argument: u32, values: &'static [u32]) -> Test {
    Test {
        argument,
        mask: u32::MAX,
        values,
    }
}

/// Types of socket(2), without what is flags of theirs.
const fn kind(values: &'static [u32]) -> Test {
    Test {
        argument: 1,
        mask: 0xf,
        values,
    }
}

const UNIX: &[Test] = &[
    is(0, &[AF_UNIX as u32]),
    kind(&[SOCK_STREAM as u32, SOCK_DGRAM as u32, SOCK_SEQPACKET as u32]),
    is(2, &[0, AF_UNIX as u32]),
];

/// Families, types and protocols as in `linux::calls::sockets`.
const STREAMS: &[Test] = &[
    is(0, &[AF_INET as u32, AF_INET6 as u32]),
    kind(&[SOCK_STREAM as u32]),
    is(2, &[0, IPPROTO_TCP as u32]),
];

const DATAGRAMS: &[Test] = &[
    is(0, &[AF_INET as u32, AF_INET6 as u32]),
    kind(&[SOCK_DGRAM as u32]),
    is(
        2,
        &[
            0,
            IPPROTO_UDP as u32,
            IPPROTO_ICMP as u32,
            IPPROTO_ICMPV6 as u32,
        ],
    ),
];

const NO_SOCKET: Action = Action::Errno(EAFNOSUPPORT as u16);

/// Calls that are made for certain arguments only, where they are made at all.
pub(super) const NARROWED: &[(i64, Rule)] = &[
    (
        SYS_socket,
        Rule::AnyOf {
            lists: &[UNIX, STREAMS, DATAGRAMS],
            otherwise: NO_SOCKET,
        },
    ),
    (
        SYS_socketpair,
        Rule::AnyOf {
            lists: &[UNIX],
            otherwise: NO_SOCKET,
        },
    ),
];

/// What comes to [`NARROWED`], and replaces rules there, where the policy allows no network.
pub(super) const NARROWED_OFFLINE: &[(i64, Rule)] = &[(
    SYS_socket,
    Rule::AnyOf {
        lists: &[UNIX],
        otherwise: NO_SOCKET,
    },
)];
