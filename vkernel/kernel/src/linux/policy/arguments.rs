//! Which arguments of which system calls are paths, and what the call does with what they name.
//!
//! The list is of Linux, not of the table: it holds every call of x86-64 that takes a path, so
//! that a row added later finds itself judged, or a test fails. One letter an argument:
//!
//! | letter | the argument is |
//! |---|---|
//! | `l` | a path whose object is looked at; a last link is followed unless flags say otherwise |
//! | `L` | the same; a last link is not followed |
//! | `c` | a path whose object is changed; a last link is followed unless flags say otherwise |
//! | `C` | the same; a last link is not followed |
//! | `n` | a path that becomes or loses a name |
//! | `r` | a path that is renamed, or replaced by a rename |
//! | `k` | the file that gets another name; a last link is followed only if flags say so |
//! | `o` | a path that a function of ours opens and judges |
//! | `u` | a socket address, which may be a path; a function of ours judges it |
//! | `h` | a descriptor whose object is looked at |
//! | `g` | a descriptor whose object is changed, whatever it was opened for |
//! | `F` | flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH |
//! | `G` | flags: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH |
//! | `W` | flags of inotify: IN_DONT_FOLLOW |
//! | `.` | nothing of that |

use libc::*;

/// Number, and a letter for each argument.
const ARGUMENTS: &[(i64, &str)] = &[
    // Functions of ours: `calls::{open, files, exec, sockets, message}`.
    (SYS_open, "o.."),
    (SYS_openat, ".o.."),
    (SYS_openat2, ".o.."),
    (SYS_creat, "o."),
    (SYS_readlink, "o.."),
    (SYS_readlinkat, ".o.."),
    (SYS_execve, "o.."),
    (SYS_execveat, ".o..."),
    (SYS_bind, ".u."),
    (SYS_connect, ".u."),
    (SYS_sendto, "....u."),
    (SYS_sendmsg, ".u."),
    (SYS_sendmmsg, ".u.."),
    (SYS_getdents, "o.."),
    (SYS_getdents64, "o.."),
    // Looks.
    (SYS_stat, "l."),
    (SYS_lstat, "L."),
    (SYS_fstat, "h."),
    (SYS_newfstatat, ".l.F"),
    (SYS_statx, ".lF.."),
    (SYS_statfs, "l."),
    (SYS_fstatfs, "h."),
    (SYS_access, "l."),
    (SYS_faccessat, ".l."),
    (SYS_faccessat2, ".l.F"),
    (SYS_chdir, "l"),
    (SYS_fchdir, "h"),
    (SYS_getxattr, "l..."),
    (SYS_lgetxattr, "L..."),
    (SYS_listxattr, "l.."),
    (SYS_llistxattr, "L.."),
    (SYS_inotify_add_watch, ".lW"),
    (SYS_uselib, "l"),
    (SYS_name_to_handle_at, ".l..G"),
    (SYS_fanotify_mark, "....l"),
    (SYS_mknod, "n.."),
    (SYS_mknodat, ".n.."),
    (SYS_mkdir, "n."),
    (SYS_mkdirat, ".n."),
    (SYS_rmdir, "n"),
    (SYS_unlink, "n"),
    (SYS_unlinkat, ".n."),
    (SYS_rename, "rr"),
    (SYS_renameat, ".r.r"),
    (SYS_renameat2, ".r.r."),
    (SYS_link, "kn"),
    (SYS_linkat, ".k.nG"),
    (SYS_symlink, ".n"),
    (SYS_symlinkat, "..n"),
    // Changes of what is there.
    (SYS_truncate, "c."),
    (SYS_chmod, "c."),
    (SYS_fchmod, "g."),
    (SYS_fchmodat, ".c."),
    (SYS_fchmodat2, ".c.F"),
    (SYS_chown, "c.."),
    (SYS_lchown, "C.."),
    (SYS_fchown, "g.."),
    (SYS_fchownat, ".c..F"),
    (SYS_utime, "c."),
    (SYS_utimes, "c."),
    (SYS_futimesat, ".c."),
    (SYS_utimensat, ".c.F"),
    (SYS_setxattr, "c...."),
    (SYS_lsetxattr, "C...."),
    (SYS_fsetxattr, "g...."),
    (SYS_removexattr, "c."),
    (SYS_lremovexattr, "C."),
    (SYS_fremovexattr, "g."),
    // Of the machine or of the sandbox's own frame: no guest has any of these (`calls::refused`).
    (SYS_chroot, "l"),
    (SYS_pivot_root, "ll"),
    (SYS_mount, "cc..."),
    (SYS_umount2, "c."),
    (SYS_move_mount, ".c.c."),
    (SYS_open_tree, ".l."),
    (SYS_fspick, ".l."),
    (SYS_mount_setattr, ".c..."),
    (SYS_swapon, "c."),
    (SYS_swapoff, "c"),
    (SYS_acct, "c"),
    (SYS_quotactl, ".c.."),
];

/// The letters of a call; empty for one that takes no path.
pub(crate) const fn letters(number: i64) -> &'static str {
    let mut at = 0;
    while at < ARGUMENTS.len() {
        if ARGUMENTS[at].0 == number {
            return ARGUMENTS[at].1;
        }
        at += 1;
    }
    ""
}

/// Whether a call with these letters changes nothing that they name.
pub(crate) const fn only_look(letters: &str) -> bool {
    let letters = letters.as_bytes();
    let mut at = 0;
    while at < letters.len() {
        if !matches!(letters[at], b'l' | b'L' | b'h' | b'F' | b'W' | b'.') {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use vkernel_abi::wali::SYSCALLS;

    use super::{
        super::super::table::{TABLE, row::Handler},
        *,
    };

    /// The guest that tries every call on what a policy guards.
    const POLICY_CASES: &str = include_str!("../../../../../tests/e2e/guests/linux/policy.c");

    #[test]
    fn letters_fit_the_interface() {
        for (number, letters) in ARGUMENTS {
            let Some(call) = SYSCALLS.iter().find(|c| i64::from(c.number) == *number) else {
                continue;
            };
            assert_eq!(letters.len(), call.params.len(), "{}", call.name);
            for (letter, param) in letters.bytes().zip(call.params.bytes()) {
                let fits = match letter {
                    b'.' => true,
                    b'h' | b'g' => param == b'i',
                    b'F' | b'G' | b'W' => matches!(param, b'i' | b'u'),
                    // getdents(2): the folder that is listed.
                    b'o' => matches!(param, b'p' | b'i' | b'u'),
                    _ => param == b'p',
                };
                assert!(fits, "{}: {letters} for {}", call.name, call.params);
            }
        }
    }

    /// Calls whose names say that they take a path are in the list: what is added to the table is
    /// judged or refused.
    #[test]
    fn no_call_by_name_is_forgotten() {
        let words = [
            "open",
            "stat",
            "link",
            "dir",
            "xattr",
            "chmod",
            "chown",
            "mknod",
            "rename",
            "access",
            "truncate",
            "utime",
            "execve",
            "chroot",
            "mount",
            "inotify_add",
            "handle_at",
        ];
        // By descriptor, by number, or by a name that is no path.
        let others = [
            "cachestat",
            "fgetxattr",
            "flistxattr",
            "ftruncate",
            "open_by_handle_at",
            "fsopen",
            "fsmount",
            "mq_open",
            "mq_unlink",
            "pidfd_open",
            "perf_event_open",
            "statmount",
            "listmount",
            "lookup_dcookie",
            "ustat",
        ];
        for call in SYSCALLS {
            let named = words.iter().any(|word| call.name.contains(word));
            if named && !others.contains(&call.name) && !call.params.is_empty() {
                assert!(!letters(i64::from(call.number)).is_empty(), "{}", call.name);
            }
        }
    }

    #[test]
    fn every_row_with_a_path_has_its_policy_case() {
        for row in TABLE.iter().flatten() {
            if row.paths.is_empty() || matches!(row.handler, Handler::Refuse) {
                continue;
            }
            // Descriptors are opened first, and then looked at in what the case prints.
            let (by_call, by_name) = (format!("T({},", row.name), format!("TRY({}(", row.name));
            let by_number = format!("SYS_{},", row.name);
            assert!(
                [by_call, by_name, by_number]
                    .iter()
                    .any(|c| POLICY_CASES.contains(c.as_str())),
                "tests/e2e/guests/linux/policy.c does not try {}",
                row.name
            );
        }
    }
}
