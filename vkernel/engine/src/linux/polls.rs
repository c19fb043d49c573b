//! What the polls of compiled code look at and call (`crate::polls` puts them there).
//!
//! The word that they load is in a memory that every instance, and so every thread, has for itself
//! and that the guest's own code cannot name. A signal's host handler sets it; the next poll comes
//! to the engine, which calls the guest's handlers and clears it.

use std::{ptr::NonNull, sync::atomic::AtomicU32};

use wasmtime::{AsContextMut, Caller, Func, Instance, Store, Val};

use super::{Guest, deliver};
use crate::EngineError;

/// Export: the memory whose first word is not zero when a poll is to call.
pub(crate) const WORD: &str = "vkernel.poll.word";

/// Export: the global with the function that it calls.
pub(crate) const CALL: &str = "vkernel.poll.call";

/// Gives the polls of an instance the function that they call; gives the word that they look at,
/// which lives as long as the store.
pub(super) fn connect(
    store: &mut Store<Guest>,
    instance: &Instance,
    name: &str,
) -> Result<NonNull<AtomicU32>, EngineError> {
    let word = instance
        .get_memory(&mut *store, WORD)
        .and_then(|memory| NonNull::new(memory.data_ptr(&*store)))
        .ok_or_else(|| EngineError::missing(name, WORD))?;
    let call = instance
        .get_global(&mut *store, CALL)
        .ok_or_else(|| EngineError::missing(name, CALL))?;
    let function = Func::wrap(&mut *store, |mut caller: Caller<'_, Guest>| {
        deliver::all(&mut caller.as_context_mut()).map(drop)
    });
    call.set(&mut *store, Val::FuncRef(Some(function)))
        .map_err(EngineError::wasmtime("connecting the polls"))?;
    Ok(word.cast())
}
