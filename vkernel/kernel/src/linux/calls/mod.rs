//! The system calls, a file for each family: rows, and the functions of calls that the host
//! cannot answer by itself.

mod control;
mod exec;
mod files;
mod limits;
mod listing;
mod memory;
mod message;
mod open;
mod poll;
mod process;
mod refused;
mod signals;
mod sockets;
mod threads;
mod time;
mod vectors;

use super::table::row::Row;

pub(crate) use control::IOCTLS;

/// All families.
pub(crate) const FAMILIES: &[&[Row]] = &[
    control::ROWS,
    exec::ROWS,
    files::ROWS,
    limits::ROWS,
    memory::ROWS,
    message::ROWS,
    open::ROWS,
    poll::ROWS,
    process::ROWS,
    refused::ROWS,
    signals::ROWS,
    sockets::ROWS,
    threads::ROWS,
    time::ROWS,
    vectors::ROWS,
];
