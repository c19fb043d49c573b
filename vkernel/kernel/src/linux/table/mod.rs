//! One row for each system call that is supported, by number: how it is handled, what may happen
//! to it, and what of it is missing. Numbers without a row answer ENOSYS and are recorded.
//!
//! The generated support table (`docs/syscalls.md`) and the host calls of a module come from here.

pub(crate) mod page;
mod proofs;
pub(crate) mod row;
pub mod straight;

use self::row::Row;
use super::{calls::FAMILIES, policy::arguments};

/// Numbers end below this.
const NUMBERS: usize = 512;

/// All rows, by number.
pub static TABLE: [Option<Row>; NUMBERS] = table();

/// The row of a number.
pub fn row(number: u16) -> Option<&'static Row> {
    TABLE.get(usize::from(number))?.as_ref()
}

const fn table() -> [Option<Row>; NUMBERS] {
    let mut table = [None; NUMBERS];
    let mut family = 0;
    while family < FAMILIES.len() {
        let rows = FAMILIES[family];
        let mut at = 0;
        while at < rows.len() {
            let number = rows[at].number as usize;
            assert!(table[number].is_none(), "two rows for one number");
            let mut row = rows[at];
            row.name = name(row.number);
            row.paths = arguments::letters(row.number);
            row.only_looks = arguments::only_look(row.paths);
            table[number] = Some(row);
            at += 1;
        }
        family += 1;
    }
    table
}

/// The name of a call of the interface.
const fn name(number: i64) -> &'static str {
    let calls = vkernel_abi::wali::SYSCALLS;
    let mut at = 0;
    while at < calls.len() {
        if calls[at].number as i64 == number {
            return calls[at].name;
        }
        at += 1;
    }
    // Another test says that there is none.
    ""
}

#[cfg(test)]
mod tests {
    use vkernel_abi::wali;

    use super::{
        row::{Handler, Support},
        *,
    };

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
        ] {
            let row = row(number as u16).unwrap();
            assert!(row.host_calls().any(|call| call == made), "{}", row.number);
        }
    }

    #[test]
    fn rows_fit_the_interface() {
        for row in TABLE.iter().flatten() {
            let call = wali::SYSCALLS
                .iter()
                .find(|c| i64::from(c.number) == row.number)
                .unwrap_or_else(|| panic!("{} is no call of the interface", row.number));
            if let Handler::Pass(kinds) = row.handler {
                assert_eq!(kinds.len(), call.params.len(), "{}", call.name);
                for (kind, param) in kinds.bytes().zip(call.params.bytes()) {
                    let fits = match kind {
                        b'p' => param == b'p',
                        b'f' | b'd' | b'o' => param == b'i',
                        _ => param != b'p',
                    };
                    assert!(fits, "{}: {kinds} for {}", call.name, call.params);
                }
            }
            assert_eq!(
                row.note.is_empty(),
                row.support == Support::Full,
                "{}: a note says what is missing",
                call.name
            );
        }
    }
}
