//! Snapshots of Linux programs: what a program starts with that has one, and the end of a program whose
//! snapshot is taken.

use std::fmt;

use megabinary_format::{MemoryImage, Module as IndexModule, ProcessState, SnapshotDump};
use vkernel_abi::snapshot;
use vkernel_kernel::linux::LinuxProcess;
use wasmtime::{Instance, Store};

use super::Guest;
use crate::{EngineError, globals};

/// The program has come to the point where its snapshot is wanted. Unwinds it.
#[derive(Debug)]
pub(super) struct SnapshotPoint;

impl fmt::Display for SnapshotPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the program came to its snapshot point in another thread than its first")
    }
}

impl std::error::Error for SnapshotPoint {}

/// What a program starts with that has a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Warm<'a> {
    pub(super) memory: &'a MemoryImage,
    pub(super) state: &'a ProcessState,
}

impl<'a> Warm<'a> {
    /// That of a module, if it has one.
    pub(super) fn of(module: &'a IndexModule) -> Option<Warm<'a>> {
        Some(Warm {
            memory: module.warm.as_ref()?,
            state: module.process.as_ref()?,
        })
    }
}

/// Enters a program that starts from its snapshot; whether it can serve this start. It may end the process.
pub(super) fn resume(
    store: &mut Store<Guest>,
    instance: &Instance,
    name: &str,
) -> Result<wasmtime::Result<Resumed>, EngineError> {
    let entry = instance
        .get_typed_func::<(), i32>(&mut *store, snapshot::RESUME)
        .map_err(|_| EngineError::MissingExport {
            module: name.to_owned(),
            export: snapshot::RESUME,
            result: "i32",
        })?;
    Ok(entry.call(&mut *store, ()).map(|status| match status {
        snapshot::COLD => Resumed::Cold,
        status => Resumed::Exit(status),
    }))
}

/// How a start from a snapshot came back.
pub(super) enum Resumed {
    /// The program ends with this status.
    Exit(i32),
    /// The snapshot cannot serve this start.
    Cold,
}

/// The snapshot of a program that has come to its point; or what a snapshot cannot hold.
pub(super) fn take(
    store: &mut Store<Guest>,
    instance: &Instance,
    process: &LinuxProcess,
) -> Result<Box<SnapshotDump>, String> {
    let mut dump = process.freeze(&store.data().thread)?;
    dump.globals = globals::all(store, instance);
    Ok(Box::new(dump))
}
