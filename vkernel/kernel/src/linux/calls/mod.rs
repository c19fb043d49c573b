//! The system calls, a file for each family: rows, and the functions of calls that the host
//! cannot answer by itself.

mod control;
mod exec;
mod files;
mod limits;
mod memory;
mod message;
mod mqueue;
mod open;
mod pidfd;
mod poll;
mod process;
mod refused;
mod signals;
mod sockets;
mod sysv;
mod threads;
mod time;
mod vectors;

use super::table::Row;

pub(crate) use control::IOCTLS;

/// All families.
pub(super) const FAMILIES: &[&[Row]] = &[
    control::ROWS,
    exec::ROWS,
    files::ROWS,
    limits::ROWS,
    memory::ROWS,
    message::ROWS,
    mqueue::ROWS,
    open::ROWS,
    pidfd::ROWS,
    poll::ROWS,
    process::ROWS,
    refused::ROWS,
    signals::ROWS,
    sockets::ROWS,
    sysv::ROWS,
    threads::ROWS,
    time::ROWS,
    vectors::ROWS,
];
