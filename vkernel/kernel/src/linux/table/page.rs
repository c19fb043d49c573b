//! The support table as a page for people, `docs/syscalls.md`.

use std::fmt::Write as _;

use vkernel_abi::wali::{By, SYSCALLS, Syscall};

use super::proofs;

/// Numbers that x86-64 has and Linux no longer answers (syscalls(2)): the interface has no imports
/// for them.
const GONE: &[(u16, &str)] = &[
    (134, "uselib"),
    (156, "_sysctl"),
    (174, "create_module"),
    (177, "get_kernel_syms"),
    (178, "query_module"),
    (180, "nfsservctl"),
    (181, "getpmsg"),
    (182, "putpmsg"),
    (183, "afs_syscall"),
    (184, "tuxcall"),
    (185, "security"),
    (212, "lookup_dcookie"),
    (214, "epoll_ctl_old"),
    (215, "epoll_wait_old"),
    (236, "vserver"),
];

/// The page. A test compares it with the file.
pub fn support_page() -> String {
    let count = |wanted: &dyn Fn(&Syscall) -> bool| SYSCALLS.iter().filter(|c| wanted(c)).count();
    let is_answered = |call: &Syscall| matches!(call.by, By::Host | By::Vkernel);
    let mut page = format!(
        "# System calls of the Linux personality\n\n\
         Generated from the vkernel's table; `VKERNEL_BLESS=1 cargo test -p vkernel-kernel` writes \
         it anew.\n\n\
         Of the {} calls of x86-64 Linux, {} are supported, {} with exceptions, {} are always \
         refused; the other {} answer ENOSYS, and each use is an audit event. A refused call answers \
         EPERM, with an audit event too. Numbers that Linux itself no longer answers are no imports \
         of the interface; `syscall()` gives ENOSYS for them.\n\n\
         How a call is answered: *host*, by the host kernel's own call with checked arguments; \
         *vkernel*, by the vkernel, which may use the host's.\n\n\
         A supported call names its test: a program of `tests/linux/cases` that makes it natively \
         and in the vkernel, where it must say the same (`cargo test -p polybuild-e2e --test linux`).\n\n\
         | number | call | support | answered by | test | notes |\n|---|---|---|---|---|---|\n",
        SYSCALLS.len(),
        count(&|call| is_answered(call) && call.note.is_empty()),
        count(&|call| is_answered(call) && !call.note.is_empty()),
        count(&|call| call.by == By::Refused),
        count(&|call| call.by == By::Nobody),
    );
    let mut lines: Vec<(u16, String)> = SYSCALLS
        .iter()
        .map(|call| (call.number, line(call)))
        .chain(GONE.iter().map(|(number, name)| {
            let text = format!("| {number} | `{name}` | no (ENOSYS) |  |  | gone from Linux |");
            (*number, text)
        }))
        .collect();
    lines.sort();
    for (_, line) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{line}");
    }
    page
}

fn line(call: &Syscall) -> String {
    let support = match (call.by, call.note) {
        (By::Nobody, _) => "no (ENOSYS)",
        (By::Refused, _) => "refused (EPERM)",
        (_, "") => "yes",
        _ => "with exceptions",
    };
    let by = match call.by {
        By::Nobody => "",
        By::Host => "host",
        By::Vkernel | By::Refused => "vkernel",
    };
    let note = call.note;
    let test = proofs::case(call.name)
        .map(|case| format!("[{case}](../tests/linux/cases/{case}.c)"))
        .unwrap_or_default();
    format!(
        "| {} | `{}` | {support} | {by} | {test} | {note} |",
        call.number, call.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_newest_c_library_is_there() {
        let mut numbers: Vec<u16> = SYSCALLS.iter().map(|call| call.number).collect();
        numbers.extend(GONE.iter().map(|(number, _)| number));
        numbers.sort_unstable();
        // musl 1.2.5, arch/x86_64/bits/syscall.h.in. Linux gave out no numbers between; 443 is
        // quotactl_fd, which musl does not know.
        let expected: Vec<u16> = (0..=334).chain(424..=442).chain(444..=452).collect();
        assert_eq!(numbers, expected);
    }
}
