//! Compiled code where `execve` mapped it.
//!
//! The linker gives every code image `PT_LOAD`s of its own, so its text is executable from the
//! start. wasmtime is told so: publishing is a no-op here, and nothing ever asks the host for
//! executable memory.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use wasmtime::CustomCodeMemory;

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
/// wasmtime keeps one registration per text range, so an image is made into a
/// [`crate::Machine`] once in the life of a process.
pub struct CodeImage(pub(crate) NonNull<[u8]>);

impl CodeImage {
    /// Wraps the mapped range at `start`.
    ///
    /// # Safety
    ///
    /// The range must be readable for the rest of the process's life, never written, hold an image made by
    /// [`crate::Compiler`] of this very release, and its text must be mapped executable (Pulley
    /// excepted). The linker's packing and the signed index establish this.
    pub unsafe fn from_mapped(start: NonNull<u8>, len: usize) -> CodeImage {
        CodeImage(NonNull::slice_from_raw_parts(start, len))
    }
}
