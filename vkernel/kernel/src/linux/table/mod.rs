//! The system calls of the Linux personality: what each is, and what is done for it.
//!
//! **How a call is added.** Its description is a row of `vkernel_abi::wali::SYSCALLS`
//! (`polyfills/abi/src/wali/calls.rs`), which has every call of x86-64 already: name, number, and what each
//! parameter is. There:
//!
//! 1. Say who answers it. `.host()` if the host's own call does, with arguments translated and judged as
//!    the parameters say: descriptors are checked, addresses become the host's, paths are judged. That is
//!    all. `.vkernel()` if it needs a function, `.refused(WHY)` if no guest may have it.
//! 2. Say whether it waits: `.waits()` or `.restarts()` (signal(7)). Say what is missing: `.partial(NOTE)`.
//! 3. For `.vkernel()` put `Handler::new(SYS_name, function)` into `HANDLERS` of a file of `linux/calls`, and
//!    a new file into `calls::FAMILIES`. `.host(&[SYS_other])` names host calls that it makes under
//!    other numbers, or the filter ends the process.
//! 4. Write a case in `tests/linux/cases` that makes it natively and in the vkernel, and name the call at its
//!    head (`/* calls: ... */`). If it has paths, try it in `tests/e2e/guests/linux/policy.c`.
//! 5. `VKERNEL_BLESS=1 cargo test -p polybuild-e2e --test docs` writes `docs/syscalls.md`.
//!
//! A handler gets its arguments widened ([`Args`]). It makes host calls by [`Cx::host`], or [`Cx::host_waiting`]
//! if they may wait; `cx.at(args[1])` is an address of the guest's for the host, `descriptors().check(args[0])`
//! a descriptor. What a call judges it holds, and uses what it holds (`linux::policy`).
//!
//! [`Args`]: super::Args
//! [`Cx::host`]: super::Cx
//! [`Cx::host_waiting`]: super::Cx

pub(crate) mod arguments;
pub(crate) mod import;
pub(crate) mod row;

use vkernel_abi::wali::{By, SYSCALLS};

use self::row::{Handler, Row};
use super::calls::FAMILIES;

/// Numbers end below this.
const NUMBERS: usize = 512;

/// All rows, by number. A number without one answers ENOSYS, and its use is recorded.
pub static TABLE: [Option<Row>; NUMBERS] = table();

/// The row of a number.
pub fn row(number: u16) -> Option<&'static Row> {
    TABLE.get(usize::from(number))?.as_ref()
}

/// Joins descriptions and handlers.
const fn table() -> [Option<Row>; NUMBERS] {
    let handlers = handlers();
    let mut table = [None; NUMBERS];
    let mut at = 0;
    while at < SYSCALLS.len() {
        let call = &SYSCALLS[at];
        let handler = handlers[call.number as usize];
        if !matches!(call.by, By::Nobody) || handler.is_some() {
            table[call.number as usize] = Some(Row::new(call, handler));
        }
        at += 1;
    }
    table
}

/// All handlers, by number.
const fn handlers() -> [Option<Handler>; NUMBERS] {
    let mut handlers = [None; NUMBERS];
    let mut family = 0;
    while family < FAMILIES.len() {
        let mut at = 0;
        while at < FAMILIES[family].len() {
            let handler = FAMILIES[family][at];
            let place = &mut handlers[handler.number as usize];
            assert!(place.is_none(), "two handlers for one number");
            *place = Some(handler);
            at += 1;
        }
        family += 1;
    }
    handlers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_can_be_made_of_all_rows() {
        use crate::confine::{Filter, Surface};
        let calls: Vec<i64> = TABLE.iter().flatten().flat_map(Row::host_calls).collect();
        Filter::build(Surface::Linux { internet: true }, &[&calls]).unwrap();
    }

    #[test]
    fn calls_made_under_another_number_are_in_the_filter() {
        for (number, made) in [
            (libc::SYS_open, libc::SYS_openat),
            (libc::SYS_creat, libc::SYS_openat),
            (libc::SYS_sendmmsg, libc::SYS_sendmsg),
            (libc::SYS_recvmmsg, libc::SYS_recvmsg),
            (libc::SYS_fchmod, libc::SYS_chmod),
            (libc::SYS_lchown, libc::SYS_chown),
            (libc::SYS_fremovexattr, libc::SYS_removexattr),
        ] {
            let row = row(number as u16).unwrap();
            let name = row.call.name;
            assert!(row.host_calls().any(|call| call == made), "{name}");
        }
    }

    #[test]
    fn what_is_refused_causes_no_host_call() {
        for row in TABLE
            .iter()
            .flatten()
            .filter(|row| row.call.by == By::Refused)
        {
            let own = i64::from(row.call.number);
            assert!(
                row.host_calls().all(|call| call != own),
                "{}",
                row.call.name
            );
        }
    }
}
