//! Compiled code where `execve` mapped it.
//!
//! The linker gives every code image `PT_LOAD`s of its own, so its text is executable from the
//! start. wasmtime is told so: publishing is a no-op here, and nothing ever asks the host for
//! executable memory.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use wasmtime::{CustomCodeMemory, Engine, Module};

use crate::{EngineError, names::Names};

/// Code memory that is executable already.
pub(crate) struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        crate::memory::HOST_PAGE
    }

    fn publish_executable(&self, _start: *const u8, _len: usize) -> wasmtime::Result<()> {
        Ok(())
    }

    fn unpublish_executable(&self, _start: *const u8, _len: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// A code image in this process's address space.
///
/// It is wasmtime's ELF and the names of functions ([`crate::names`]).
///
/// wasmtime keeps one registration per text range, so an image is made into a
/// [`crate::Machine`] once in the life of a process.
pub struct CodeImage(&'static [u8]);

impl CodeImage {
    /// Wraps the mapped range at `start`.
    ///
    /// # Safety
    ///
    /// The range must be readable for the rest of the process's life, never written, hold an image made by
    /// [`crate::Compiler`] of this very release, and its text must be mapped executable (Pulley
    /// excepted). The linker's packing and the signed index establish this.
    pub unsafe fn from_mapped(start: NonNull<u8>, len: usize) -> CodeImage {
        // SAFETY: the caller's promise: readable and unchanging for the life of the process.
        CodeImage(unsafe { std::slice::from_raw_parts(start.as_ptr(), len) })
    }

    /// The module, ready to be instantiated, and the names of its functions.
    pub(crate) fn load(&self, engine: &Engine) -> Result<(Module, Names), EngineError> {
        let (elf, names) = Names::split(self.0)?;
        // SAFETY: the contract of `from_mapped`: a trusted image of this release, mapped for the
        // life of the process.
        let module = unsafe { Module::deserialize_raw(engine, NonNull::from(elf)) }
            .map_err(EngineError::wasmtime("loading compiled code"))?;
        Ok((module, names))
    }
}
