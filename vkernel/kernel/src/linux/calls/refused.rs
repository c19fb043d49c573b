//! Calls that are refused on purpose, whatever rights the process has.

use libc::*;

use super::super::table::row::Row;

const OTHERS: &str = "no process reaches into another one's memory";
const CODE: &str = "it loads code into the host kernel or runs some there";
const WORLD: &str = "the sandbox's file system and namespaces are fixed";
const MACHINE: &str = "it concerns the machine, not the sandbox";
const MEMORY: &str =
    "memory whose contents could become code, or that only the host kernel controls";

pub(crate) const ROWS: &[Row] = &[
    Row::refused(SYS_ptrace, OTHERS),
    Row::refused(SYS_process_vm_readv, OTHERS),
    Row::refused(SYS_process_vm_writev, OTHERS),
    Row::refused(SYS_process_madvise, OTHERS),
    Row::refused(SYS_pidfd_getfd, OTHERS),
    Row::refused(SYS_kcmp, OTHERS),
    Row::refused(SYS_bpf, CODE),
    Row::refused(SYS_perf_event_open, CODE),
    Row::refused(SYS_init_module, CODE),
    Row::refused(SYS_finit_module, CODE),
    Row::refused(SYS_delete_module, CODE),
    Row::refused(SYS_kexec_load, CODE),
    Row::refused(SYS_kexec_file_load, CODE),
    Row::refused(SYS_chroot, WORLD),
    Row::refused(SYS_pivot_root, WORLD),
    Row::refused(SYS_mount, WORLD),
    Row::refused(SYS_umount2, WORLD),
    Row::refused(SYS_move_mount, WORLD),
    Row::refused(SYS_open_tree, WORLD),
    Row::refused(SYS_fsopen, WORLD),
    Row::refused(SYS_fsconfig, WORLD),
    Row::refused(SYS_fsmount, WORLD),
    Row::refused(SYS_fspick, WORLD),
    Row::refused(SYS_mount_setattr, WORLD),
    Row::refused(SYS_unshare, WORLD),
    Row::refused(SYS_setns, WORLD),
    Row::refused(SYS_open_by_handle_at, WORLD),
    Row::refused(SYS_reboot, MACHINE),
    Row::refused(SYS_swapon, MACHINE),
    Row::refused(SYS_swapoff, MACHINE),
    Row::refused(SYS_acct, MACHINE),
    Row::refused(SYS_settimeofday, MACHINE),
    Row::refused(SYS_clock_settime, MACHINE),
    Row::refused(SYS_adjtimex, MACHINE),
    Row::refused(SYS_clock_adjtime, MACHINE),
    Row::refused(SYS_sethostname, MACHINE),
    Row::refused(SYS_setdomainname, MACHINE),
    Row::refused(SYS_iopl, MACHINE),
    Row::refused(SYS_ioperm, MACHINE),
    Row::refused(SYS_syslog, MACHINE),
    Row::refused(SYS_quotactl, MACHINE),
    Row::refused(SYS_vhangup, MACHINE),
    Row::refused(SYS_memfd_secret, MEMORY),
    Row::refused(SYS_userfaultfd, MEMORY),
    Row::refused(SYS_modify_ldt, MEMORY),
];
