//! The support table as a page for people, `docs/syscalls.md`.

use std::{collections::BTreeMap, fmt::Write as _};

use vkernel_abi::wali::{By, SYSCALLS, Syscall};

use crate::linux::Case;

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

/// The cases that are about each call.
type Proofs<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// The page, of the table of calls and of what the heads of the cases say. A test compares it with the file.
pub fn support_page(cases: &[Case]) -> String {
    let mut proofs = Proofs::new();
    for case in cases {
        for call in &case.calls {
            proofs.entry(call).or_default().push(&case.name);
        }
    }

    let count = |wanted: &dyn Fn(&Syscall) -> bool| SYSCALLS.iter().filter(|c| wanted(c)).count();
    let is_answered = |call: &Syscall| matches!(call.by, By::Host | By::Vkernel);
    let mut page = format!(
        "# System calls of the Linux personality\n\n\
         Generated from the table of calls; `VKERNEL_BLESS=1 cargo test -p polybuild-e2e --test \
         docs` writes it anew.\n\n\
         Of the {} calls of x86-64 Linux, {} are supported, {} with exceptions, {} are always \
         refused; the other {} answer ENOSYS, and each use is an audit event. A refused call answers \
         EPERM, with an audit event too. Numbers that Linux itself no longer answers are no imports \
         of the interface; `syscall()` gives ENOSYS for them.\n\n\
         How a call is answered: *host*, by the host kernel's own call with checked arguments; \
         *vkernel*, by the vkernel, which may use the host's.\n\n\
         A supported call names its tests: programs of `tests/linux/cases` that say at their heads that they are \
         about it, and make it natively and in the vkernel, where they must say the same (`cargo test -p polybuild-e2e --test linux`).\n\n\
         | number | call | support | answered by | tests | notes |\n|---|---|---|---|---|---|\n",
        SYSCALLS.len(),
        count(&|call| is_answered(call) && call.note.is_empty()),
        count(&|call| is_answered(call) && !call.note.is_empty()),
        count(&|call| call.by == By::Refused),
        count(&|call| call.by == By::Nobody),
    );
    let mut lines: Vec<(u16, String)> = SYSCALLS
        .iter()
        .map(|call| (call.number, line(call, &proofs)))
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

fn line(call: &Syscall, proofs: &Proofs<'_>) -> String {
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
    let tests = proofs.get(call.name).map_or(&[][..], Vec::as_slice).iter();
    let tests: Vec<String> = tests
        .map(|case| format!("[{case}](../tests/linux/cases/{case}.c)"))
        .collect();
    let test = tests.join(", ");
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
