//! What the polls of compiled code look at and call (`crate::polls` puts them there).
//!
//! The word that they load is in a memory that every instance, and so every thread, has for itself
//! and that the guest's own code cannot name. A signal's host handler sets it; the next poll comes
//! to the engine, which calls the guest's handlers and clears it.
//!
//! That memory has [`SIZE`] pages of one byte, and is the only one with such pages: for so little no
//! address space is reserved.
#![allow(unsafe_code)]

use std::{cell::UnsafeCell, ptr::NonNull, sync::atomic::AtomicU32};

use wasmtime::{AsContextMut, Caller, Func, Instance, LinearMemory, MemoryType, Store, Val};

use super::{Guest, deliver};
use crate::EngineError;

/// Export: the memory whose first word is not zero when a poll is to call.
pub(crate) const WORD: &str = "vkernel.poll.word";

/// Export: the global with the function that it calls.
pub(crate) const CALL: &str = "vkernel.poll.call";

/// The size of the memory with the word, in bytes.
pub(crate) const SIZE: usize = size_of::<AtomicU32>();

/// The memory of this type, if it is the one that has the word.
pub(crate) fn memory(ty: &MemoryType) -> Option<Box<dyn LinearMemory>> {
    let is_word = ty.page_size() == 1 && ty.maximum() == Some(SIZE as u64);
    is_word.then(|| Box::new(Word(Box::default())) as Box<dyn LinearMemory>)
}

/// A memory that is one word.
struct Word(Box<UnsafeCell<AtomicU32>>);

// SAFETY: the word is atomic; the cell says that compiled code reads it by its address.
unsafe impl Sync for Word {}

// SAFETY: the base never moves, `SIZE` bytes from it are accessible, and it never grows. There is no
// reservation and no guard after it, which compiled code relies on for an index that it does not
// know: polls are its only users, and their index is the constant 0.
unsafe impl LinearMemory for Word {
    fn byte_size(&self) -> usize {
        SIZE
    }

    fn byte_capacity(&self) -> usize {
        SIZE
    }

    fn grow_to(&mut self, _: usize) -> wasmtime::Result<()> {
        Err(wasmtime::format_err!("the memory of polls does not grow"))
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

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
