//! The functions of calls that the host cannot answer by itself, a file for each family. How a call is
//! added is said in [`super::table`].

mod control;
mod exec;
mod files;
pub(crate) mod fixed;
mod ipc;
mod limits;
mod listing;
mod memory;
mod message;
mod mqueue;
mod open;
mod pidfd;
mod poll;
mod process;
mod signals;
mod sockets;
mod sysv;
mod threads;
mod time;
mod vectors;

use super::table::row::Handler;

pub(crate) use control::IOCTLS;

/// All families.
pub(crate) const FAMILIES: &[&[Handler]] = &[
    control::HANDLERS,
    exec::HANDLERS,
    files::HANDLERS,
    limits::HANDLERS,
    memory::HANDLERS,
    message::HANDLERS,
    mqueue::HANDLERS,
    open::HANDLERS,
    pidfd::HANDLERS,
    poll::HANDLERS,
    process::HANDLERS,
    signals::HANDLERS,
    sockets::HANDLERS,
    sysv::HANDLERS,
    threads::HANDLERS,
    time::HANDLERS,
    vectors::HANDLERS,
];
