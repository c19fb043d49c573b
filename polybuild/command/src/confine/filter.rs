//! The seccomp filter of a job: what no build needs and what would reach beyond the job, whatever
//! namespaces or Landlock say.
//!
//! A list of what is refused, not of what is allowed: builds run any program. The first line is the
//! namespace or Landlock; this one takes away parts of the host kernel that are not divided by
//! namespaces (sockets to the hypervisor, keyrings), and the calls that make new ones.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter, sock_filter,
};

use super::{Spec, Way};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refused with EPERM to everybody.
const NEVER: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Keys: a session's keyring is not a namespace's.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Files by handle, around every mount.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The machine.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_vhangup,
    libc::SYS_iopl,
    libc::SYS_ioperm,
];

/// Refused with EPERM to jobs that do not run polybuild in their turn.
const NO_NAMESPACES: &[i64] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
];

/// Refused with EPERM where the job is the user's own process and only Landlock holds it: these
/// take paths, and Landlock does not judge them.
const BY_PATH: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_fchownat,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    // setxattrat, removexattrat and file_setattr, which the library does not name yet.
    463,
    466,
    469,
];

/// Refused with EPERM where only Landlock holds the job: what namespaces divide and Landlock does not
/// judge.
const UNDIVIDED: &[i64] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Tells what happens to files that cannot be opened.
    libc::SYS_inotify_init,
    libc::SYS_inotify_init1,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_process_mrelease,
];

/// The same, for calls about another process than the caller: number, and which argument says whom
/// (0 is the caller).
const OF_OTHERS: &[(i64, u8)] = &[
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
];

/// Refused with ENOSYS, upon which libraries take an older call.
const UNKNOWN: &[i64] = &[
    // Makes sockets without `socket`, and more.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Flags of `clone` that make namespaces.
const NEW: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWTIME,
];

/// Bit in the number of a system call that makes it one of the x32 interface (x86-64 only).
const X32: u32 = 0x4000_0000;

/// Puts the filters into force, which sets no-new-privs too.
pub(super) fn apply(spec: &Spec) -> Result<(), String> {
    // No other architecture's calls: the filters end those (their first instructions).
    for program in programs(spec)? {
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn programs(spec: &Spec) -> Result<Vec<BpfProgram>, String> {
    let always = |numbers: &[i64]| numbers.iter().map(|n| (*n, Vec::new())).collect::<Vec<_>>();
    let mut refused: Rules = always(NEVER).into_iter().collect();
    let mut unknown: Rules = always(UNKNOWN).into_iter().collect();
    if !spec.nested {
        refused.extend(always(NO_NAMESPACES));
        // Its flags are in memory, where a filter cannot see them.
        unknown.insert(libc::SYS_clone3, Vec::new());
        let rules = NEW
            .iter()
            .map(|&flag| {
                let flag = u64::from(flag.cast_unsigned());
                rule(
                    0,
                    SeccompCmpArgLen::Qword,
                    SeccompCmpOp::MaskedEq(flag),
                    flag,
                )
            })
            .collect::<Result<_, _>>()?;
        refused.insert(libc::SYS_clone, rules);
    }
    if spec.way == Way::Landlock {
        refused.extend(always(UNDIVIDED));
        for &(number, whom) in OF_OTHERS {
            let other = rule(whom, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?;
            refused.insert(number, vec![other]);
        }
    }
    if spec.way == Way::Landlock && spec.user.is_none() {
        refused.extend(always(BY_PATH));
        // With a null pointer for a path it concerns a descriptor.
        let path = rule(1, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
        refused.insert(libc::SYS_utimensat, vec![path]);
    }
    // Typing into a terminal, should there ever be one.
    let typing = rule(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::TIOCSTI)?;
    refused.insert(libc::SYS_ioctl, vec![typing]);

    let families: &[i32] = match (spec.way, spec.nested) {
        (Way::Landlock, _) => &[],
        (Way::Namespaces, false) => &[libc::AF_UNIX],
        // A guest of the vkernel may ask for sockets. The network is empty.
        (Way::Namespaces, true) => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6],
    };
    let socket = match families {
        [] => Vec::new(),
        families => vec![
            SeccompRule::new(
                families
                    .iter()
                    .map(|&family| {
                        let family = u64::from(family.cast_unsigned());
                        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
                    })
                    .collect::<Result<_, _>>()
                    .map_err(|e| e.to_string())?,
            )
            .map_err(|e| e.to_string())?,
        ],
    };
    let sockets = Rules::from([(libc::SYS_socket, socket)]);

    let mut programs = vec![without_x32()];
    for (rules, errno) in [
        (refused, libc::EPERM),
        (unknown, libc::ENOSYS),
        (sockets, libc::EAFNOSUPPORT),
    ] {
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(errno.cast_unsigned()),
            std::env::consts::ARCH
                .try_into()
                .map_err(|_| format!("no filters for {}", std::env::consts::ARCH))?,
        )
        .map_err(|e| e.to_string())?;
        programs.push(
            filter
                .try_into()
                .map_err(|e: seccompiler::BackendError| e.to_string())?,
        );
    }
    Ok(programs)
}

fn rule(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, String> {
    SeccompCondition::new(argument, length, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|e| e.to_string())
}

/// Refuses the calls of x32, which have numbers of their own that a list would miss.
fn without_x32() -> BpfProgram {
    let instruction = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    vec![
        // The number is the first word of what a filter sees (struct seccomp_data).
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
