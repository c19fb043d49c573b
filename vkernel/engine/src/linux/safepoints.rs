//! What the safepoints of compiled code look at and call (`crate::safepoints` puts them there).
//!
//! The word and the page are in memories that every instance, and so every thread, has for itself
//! and that the guest's own code cannot name. A signal's host handler changes them; the next safepoint
//! comes to the engine, which calls the guest's handlers and puts them back
//! (`vkernel_kernel::linux::safepoints`).
//!
//! These memories have [`WORD_SIZE`] and [`PAGE_SIZE`] pages of one byte, and are the only ones with
//! such pages: for so little no address space is reserved.
#![allow(unsafe_code)]

use std::{cell::UnsafeCell, ffi::c_void, ptr, ptr::NonNull, sync::atomic::AtomicU32};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use vkernel_kernel::linux::safepoints::{Page, Safepoint};
use wasmtime::{
    AsContextMut, Caller, Func, Instance, LinearMemory, MemoryType, Module, Store, Val,
};

use super::{Guest, deliver};
use crate::{EngineError, memory::HOST_PAGE};

/// Export: the memory whose first word is not zero when a safepoint is to call.
pub(crate) const WORD: &str = "vkernel.safepoint.word";

/// Export: the global with the function that it calls.
pub(crate) const CALL: &str = "vkernel.safepoint.call";

/// Export: the memory that safepoints load a byte from. Only of native code.
pub(crate) const PAGE: &str = "vkernel.safepoint.page";

/// Export: the function that is called where such a load faults.
pub(crate) const STOP: &str = "vkernel.safepoint.stop";

/// The size of the memory with the word, in bytes.
pub(crate) const WORD_SIZE: usize = size_of::<AtomicU32>();

/// The size of the other one: the page, and one that is never accessible.
pub(crate) const PAGE_SIZE: usize = 2 * HOST_PAGE;

/// Where the page begins that is never accessible.
pub(crate) const NEVER: usize = HOST_PAGE;

/// The memory of this type, if it is one of safepoints'.
pub(crate) fn memory(ty: &MemoryType) -> Option<Result<Box<dyn LinearMemory>, String>> {
    if ty.page_size() != 1 {
        return None;
    }
    match ty.maximum().and_then(|size| usize::try_from(size).ok()) {
        Some(WORD_SIZE) => Some(Ok(Box::new(Word(Box::default())))),
        Some(PAGE_SIZE) => Some(match Pages::map() {
            Ok(pages) => Ok(Box::new(pages)),
            Err(errno) => Err(format!("mapping the page of safepoints: {errno}")),
        }),
        _ => None,
    }
}

/// A memory that is one word.
struct Word(Box<UnsafeCell<AtomicU32>>);

// SAFETY: the word is atomic; the cell says that compiled code reads it by its address.
unsafe impl Sync for Word {}

// SAFETY: the base never moves, `WORD_SIZE` bytes from it are accessible, and it never grows. There is no
// reservation and no guard after it, which compiled code relies on for an index that it does not
// know: safepoints are its only users, and their index is the constant 0.
unsafe impl LinearMemory for Word {
    fn byte_size(&self) -> usize {
        WORD_SIZE
    }

    fn byte_capacity(&self) -> usize {
        WORD_SIZE
    }

    fn grow_to(&mut self, _: usize) -> wasmtime::Result<()> {
        Err(wasmtime::format_err!(
            "the memory of safepoints does not grow"
        ))
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

/// A memory whose first page is readable, for now, and whose second one is not accessible.
struct Pages(NonNull<c_void>);

// SAFETY: nobody has references into it: compiled code loads bytes by their addresses and does
// nothing with them.
unsafe impl Sync for Pages {}
// SAFETY: as above.
unsafe impl Send for Pages {}

impl Pages {
    fn map() -> rustix::io::Result<Pages> {
        // SAFETY: a mapping of its own, which nothing else knows; the page is inside.
        unsafe {
            let (none, private) = (ProtFlags::empty(), MapFlags::PRIVATE);
            let at = mmap_anonymous(ptr::null_mut(), PAGE_SIZE, none, private)?;
            let pages = Pages(NonNull::new(at).ok_or(rustix::io::Errno::NOMEM)?);
            mprotect(at, NEVER, MprotectFlags::READ)?;
            // The kernel joins mappings that are alike. This keeps the page one of its own, so that
            // no change of its protection can fail for want of another.
            madvise(at, NEVER, Advice::LinuxDontDump)?;
            Ok(pages)
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`; the store that had it is gone, and its code with it.
        let _ = unsafe { munmap(self.0.as_ptr(), PAGE_SIZE) };
    }
}

// SAFETY: the base never moves and it never grows. Its bytes are not all accessible, which compiled
// code does not rely on: safepoints are its only users, and for them the kernel's fault handler sees to
// it. As for a guard, see `Word`: their indices are the constants 0 and `NEVER`.
unsafe impl LinearMemory for Pages {
    fn byte_size(&self) -> usize {
        PAGE_SIZE
    }

    fn byte_capacity(&self) -> usize {
        PAGE_SIZE
    }

    fn grow_to(&mut self, _: usize) -> wasmtime::Result<()> {
        Err(wasmtime::format_err!(
            "the memory of safepoints does not grow"
        ))
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }
}

/// Gives the safepoints of an instance the function that they call; gives what they look at, which lives
/// as long as the store.
///
/// Libraries' safepoints call the same.
pub(super) fn connect(
    store: &mut Store<Guest>,
    instance: &Instance,
    module: &Module,
    libraries: &[(Instance, &Module)],
    name: &str,
) -> Result<Safepoint, EngineError> {
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
    let function = Val::FuncRef(Some(function));
    call.set(&mut *store, function)
        .map_err(EngineError::wasmtime("connecting the safepoints"))?;
    for (library, _) in libraries {
        library
            .get_global(&mut *store, CALL)
            .ok_or_else(|| EngineError::missing(name, CALL))?
            .set(&mut *store, function)
            .map_err(EngineError::wasmtime("connecting the safepoints"))?;
    }
    let page = match instance.get_memory(&mut *store, PAGE) {
        Some(memory) => Some(
            NonNull::new(memory.data_ptr(&*store))
                .and_then(|at| page(store, instance, module, libraries, at))
                .ok_or_else(|| EngineError::missing(name, STOP))?,
        ),
        None => None,
    };
    // SAFETY: the word is in the store.
    Ok(unsafe { Safepoint::new(word.cast(), page) })
}

/// What wasmtime has of a function of an instance (`VMFuncRef` of its runtime), as far as it matters
/// here. This release is the only one that the workspace builds with, and [`page`] looks whether it
/// is what it seems.
#[repr(C)]
struct FuncRef {
    /// What the host calls.
    array_call: usize,
    /// What compiled code calls, with the context in the first two integer registers.
    wasm_call: usize,
    type_index: u32,
    /// The instance's context, which begins with [`MAGIC`].
    context: *const [u8; 4],
}

/// What a context begins with (`VMCONTEXT_MAGIC` of wasmtime's runtime).
const MAGIC: &[u8; 4] = b"core";

/// The page at `at` with the instance's stop. `None` if that is not what it should be.
fn page(
    store: &mut Store<Guest>,
    instance: &Instance,
    module: &Module,
    libraries: &[(Instance, &Module)],
    at: NonNull<u8>,
) -> Option<Page> {
    let stop = instance.get_func(&mut *store, STOP)?;
    let text = module.text().as_ptr_range();
    let in_text = |address: usize| (text.start as usize..text.end as usize).contains(&address);
    // SAFETY: wasmtime's function of a living instance. Its context is looked at only when the two
    // addresses of code beside it are such.
    let stop = unsafe {
        let stop = stop.to_raw(&mut *store).cast::<FuncRef>().as_ref()?;
        let code = in_text(stop.array_call) && in_text(stop.wasm_call);
        (code && stop.context.as_ref()? == MAGIC).then_some(stop)?
    };
    let texts = [module]
        .into_iter()
        .chain(libraries.iter().map(|(_, module)| *module));
    let text = texts.map(|module| {
        let text = module.text().as_ptr_range();
        text.start as usize..text.end as usize
    });
    let text = text.collect();
    // SAFETY: the memory is `Pages`, and libraries import it (`super::libraries`); the stop is the function that
    // `crate::safepoints` has made for this. Safepoints are in the modules' texts, which stay as long as these.
    Some(unsafe { Page::new(at, stop.wasm_call, stop.context as usize, text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel would join it with what it is next to, and might not be able to take it apart.
    #[test]
    fn the_page_is_a_mapping_of_its_own_also_when_it_is_closed() {
        let pages = [Pages::map().unwrap(), Pages::map().unwrap()];
        for pages in &pages {
            let at = pages.0.as_ptr();
            // SAFETY: a page of the test's own.
            unsafe { mprotect(at, NEVER, MprotectFlags::empty()).unwrap() };
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        for pages in &pages {
            let at = pages.0.as_ptr() as usize;
            let line = format!("{at:x}-{:x} ---p", at + NEVER);
            assert!(maps.lines().any(|found| found.starts_with(&line)), "{maps}");
        }
    }
}
