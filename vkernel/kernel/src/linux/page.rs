//! The support table as a page for people, `docs/syscalls.md`.

use std::fmt::Write as _;

use vkernel_abi::wali::SYSCALLS;

use super::table::{Handler, Support, row};

/// The page. A test compares it with the file.
pub fn support_page() -> String {
    let count = |wanted: Option<Support>| {
        SYSCALLS
            .iter()
            .filter(|call| row(call.number).map(|row| row.support) == wanted)
            .count()
    };
    let mut page = format!(
        "# System calls of the Linux personality\n\n\
         Generated from the vkernel's table; `VKERNEL_BLESS=1 cargo test -p vkernel-kernel` writes \
         it anew.\n\n\
         Of the {} calls of x86-64 Linux, {} are supported, {} with exceptions, {} are always \
         refused; the other {} answer ENOSYS, and each use is an audit event. A refused call answers EPERM, with an audit event \
         too.\n\n\
         How a call is answered: *host*, by the host kernel's own call with checked arguments; \
         *vkernel*, by the vkernel, which may use the host's.\n\n\
         | number | call | support | answered by | notes |\n|---|---|---|---|---|\n",
        SYSCALLS.len(),
        count(Some(Support::Full)),
        count(Some(Support::Partial)),
        count(Some(Support::Refused)),
        count(None),
    );
    let mut calls: Vec<_> = SYSCALLS.iter().collect();
    calls.sort_by_key(|call| call.number);
    for call in calls {
        let (support, by, note) = match row(call.number) {
            None => ("no (ENOSYS)", "", ""),
            Some(row) => (
                match row.support {
                    Support::Full => "yes",
                    Support::Partial => "with exceptions",
                    Support::Refused => "refused",
                },
                match row.handler {
                    Handler::Pass(_) => "host",
                    Handler::Call(_) | Handler::Refuse => "vkernel",
                },
                row.note,
            ),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| {} | `{}` | {support} | {by} | {note} |",
            call.number, call.name
        );
    }
    page
}
