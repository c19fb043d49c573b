//! Linear memories whose first contents come copy-on-write from the megabinary.
//!
//! One reservation per memory: image pages are mapped `MAP_PRIVATE` from the ELF's own file, or
//! copied from where `execve` has mapped them, if they are few; the
//! rest up to the current size is anonymous zero memory, and everything beyond is inaccessible,
//! so that a wild index faults. Nothing here is ever mapped executable.
#![allow(unsafe_code)]

use std::{
    ffi::c_void,
    os::fd::OwnedFd,
    ptr::{self, NonNull},
    sync::{Arc, Mutex, PoisonError},
};

use megabinary_format::{MemoryImage, Run};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Size of a host page on x86-64, bytes.
pub(crate) const HOST_PAGE: usize = 4096;

/// Size of a WebAssembly page, bytes.
pub(crate) const WASM_PAGE: usize = 65536;

/// Where the pages of memory images are.
#[derive(Clone)]
pub enum PageSource {
    /// Nowhere: no image has any.
    None,
    /// In this file, to be mapped.
    File(Arc<OwnedFd>),
    /// In this process already, to be copied.
    Mapped {
        /// Offset in the file of the first byte.
        offset: u64,
        /// What is in the file from there.
        bytes: &'static [u8],
    },
}

impl From<Option<Arc<OwnedFd>>> for PageSource {
    fn from(file: Option<Arc<OwnedFd>>) -> PageSource {
        file.map_or(PageSource::None, PageSource::File)
    }
}

/// What the next memory starts with. One [`Images`] belongs to one engine; an instance is made
/// while its image is set.
#[derive(Clone)]
pub(crate) struct Images {
    /// Where runs' offsets lie.
    source: PageSource,
    /// Most bytes a memory may have.
    limit: usize,
    /// Whether compiled code is told that all of the address space is memory; pages beyond the
    /// contents are mapped by others, and inaccessible until then.
    whole: bool,
    next: Arc<Mutex<Option<Contents>>>,
}

/// Contents as the index has them, checked.
#[derive(Clone)]
struct Contents {
    bytes: usize,
    /// Whether what has no contents is inaccessible, too, until others map it.
    closed: bool,
    runs: Vec<Run>,
}

impl Images {
    pub(crate) fn new(source: PageSource, limit: usize) -> Images {
        Images {
            source,
            limit,
            whole: false,
            next: Arc::default(),
        }
    }

    /// Images of memories that are as large as the address space from the start.
    #[cfg(feature = "linux")]
    pub(crate) fn whole(file: Arc<OwnedFd>) -> Images {
        Images {
            whole: true,
            ..Images::new(PageSource::from(Some(file)), usize::MAX)
        }
    }

    /// Most bytes a memory may have.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Maps contents over the beginning of a memory that somebody else has made.
    ///
    /// # Safety
    ///
    /// The memory at `base` has as many pages as the image, and nobody has used it yet.
    #[cfg(feature = "linux")]
    pub(crate) unsafe fn fill(&self, base: NonNull<u8>, image: &MemoryImage) -> Result<(), String> {
        let size = usize::try_from(image.pages)
            .unwrap_or(usize::MAX)
            .saturating_mul(WASM_PAGE);
        for run in &image.runs {
            // SAFETY: the caller's contract; the run lies inside (checked there).
            unsafe { map_run(&self.source, base, run, size)? };
        }
        Ok(())
    }

    /// As [`Images::fill`], for a memory of 4 GiB; and nothing but the contents is accessible afterwards.
    ///
    /// # Safety
    ///
    /// The memory at `base` is of that size, and nobody has used it yet.
    #[cfg(feature = "linux")]
    pub(crate) unsafe fn fill_closed(
        &self,
        base: NonNull<u8>,
        image: &MemoryImage,
    ) -> Result<(), String> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: the caller's contract. The old mapping is replaced in one step.
        unsafe { mmap_anonymous(base.as_ptr().cast(), 4 << 30, ProtFlags::empty(), flags) }
            .map_err(|e| format!("making a memory inaccessible: {e}"))?;
        // SAFETY: the caller's contract; an image is at most 4 GiB.
        unsafe { self.fill(base, image) }
    }

    /// Sets what the next memory starts with.
    pub(crate) fn prepare(&self, image: &MemoryImage) {
        let bytes = usize::try_from(image.pages)
            .unwrap_or(usize::MAX)
            .saturating_mul(WASM_PAGE);
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Contents {
            bytes,
            closed: false,
            runs: image.runs.clone(),
        });
    }

    /// As [`Images::prepare`]; and nothing but the contents is accessible.
    #[cfg(feature = "linux")]
    pub(crate) fn prepare_closed(&self, image: &MemoryImage) {
        self.prepare(image);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contents) = next.as_mut() {
            contents.closed = true;
        }
    }
}

// SAFETY: `new_memory` reserves `reserved + guard` bytes as asked, gives zeroed memory apart from
// the image, and leaves everything beyond the current size inaccessible. But for the memories of safepoints:
// `linux::safepoints` says why they need none of that.
unsafe impl MemoryCreator for Images {
    fn new_memory(
        &self,
        #[cfg_attr(not(feature = "linux"), expect(unused_variables))] ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        #[cfg(feature = "linux")]
        if let Some(memory) = crate::linux::safepoints::memory(&ty) {
            return memory;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // The engine's own heap, for exceptions, begins empty and may be asked for first.
        let contents = match next.as_ref() {
            Some(contents) if minimum == 0 && contents.bytes > 0 => None,
            _ => next.take(),
        };
        drop(next);
        let whole = self.whole && contents.is_some();
        let size = contents.as_ref().map_or(minimum, |c| c.bytes.max(minimum));
        if size > self.limit {
            return Err(format!(
                "the program needs {size} bytes of memory to start, its policy allows {}",
                self.limit
            ));
        }
        let capacity = reserved.or(maximum).unwrap_or(size).max(size);
        let total = capacity
            .checked_add(guard)
            .ok_or_else(|| "a linear memory larger than the address space".to_owned())?;
        let reservation = Reservation::new(total).map_err(|e| {
            format!("reserving {total} bytes of address space for a linear memory: {e}")
        })?;
        let closed = contents.as_ref().is_some_and(|c| c.closed);
        let runs = contents.map(|c| c.runs).unwrap_or_default();
        // Runs that are mapped; the others are copied into memory that is open already.
        let mut mapped: &[Run] = &[];
        if !matches!(self.source, PageSource::Mapped { .. }) {
            for run in &runs {
                // SAFETY: the reservation was made here, for at least `size` bytes.
                unsafe { map_run(&self.source, reservation.base, run, size)? };
            }
            mapped = &runs;
        }
        let mut memory = Linear {
            reservation,
            size: 0,
            capacity,
            limit: self.limit,
        };
        if !closed {
            memory
                .open_gaps(mapped, size)
                .map_err(|e| format!("making a linear memory usable: {e}"))?;
        }
        memory.size = if whole { capacity } else { size };
        if let PageSource::Mapped { offset, bytes } = self.source {
            for run in &runs {
                memory.copy_run(offset, bytes, run)?;
            }
        }
        Ok(Box::new(memory))
    }
}

/// Inaccessible address space, unmapped on drop.
struct Reservation {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the reservation is plain address space owned by this value.
unsafe impl Send for Reservation {}
// SAFETY: as above; shared use goes through wasmtime's own rules.
unsafe impl Sync for Reservation {}

impl Reservation {
    fn new(len: usize) -> rustix::io::Result<Reservation> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                len,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        NonNull::new(base.cast::<u8>())
            .map(|base| Reservation { base, len })
            .ok_or(rustix::io::Errno::NOMEM)
    }

    fn at(&self, offset: usize) -> *mut c_void {
        self.base.as_ptr().wrapping_add(offset).cast()
    }
}

/// Maps a run over memory of `size` bytes at `base`.
///
/// # Safety
///
/// The memory is the caller's, and nobody uses it yet.
unsafe fn map_run(
    source: &PageSource,
    base: NonNull<u8>,
    run: &Run,
    size: usize,
) -> Result<(), String> {
    let (start, len) = place(run, size)?;
    let PageSource::File(file) = source else {
        return Err("a memory image, and no file to map it from".to_owned());
    };
    // SAFETY: the range lies in the memory (checked above), which nobody uses yet; a private
    // mapping never writes to the file.
    let mapped = unsafe {
        mmap(
            base.as_ptr().wrapping_add(start).cast(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::FIXED,
            file,
            run.file_offset,
        )
    };
    mapped.map(drop).map_err(|e| {
        format!(
            "mapping {len} bytes at file offset {} as memory: {e}",
            run.file_offset
        )
    })
}

/// Where in a memory of `size` bytes a run goes: start and length, whole pages.
fn place(run: &Run, size: usize) -> Result<(usize, usize), String> {
    let bad = || format!("the megabinary's memory image has a run outside the memory: {run:?}");
    let start = usize::try_from(run.memory_offset).map_err(|_| bad())?;
    let len = usize::try_from(run.len).map_err(|_| bad())?;
    let end = start.checked_add(len).ok_or_else(bad)?;
    if end > size || !start.is_multiple_of(HOST_PAGE) || !len.is_multiple_of(HOST_PAGE) || len == 0
    {
        return Err(bad());
    }
    Ok((start, len))
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: this value owns the range, and wasmtime drops a memory only after its instance.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// One linear memory.
struct Linear {
    reservation: Reservation,
    size: usize,
    capacity: usize,
    limit: usize,
}

impl Linear {
    /// Makes everything below `size` that no run covers readable and writable.
    fn open_gaps(&mut self, runs: &[Run], size: usize) -> rustix::io::Result<()> {
        let mut from = 0;
        for run in runs {
            let start = run.memory_offset as usize;
            self.open(from, start)?;
            from = start + run.len as usize;
        }
        self.open(from, size)
    }

    /// Copies a run out of `bytes`, which are what the file has from `offset`.
    fn copy_run(&mut self, offset: u64, bytes: &[u8], run: &Run) -> Result<(), String> {
        let (start, len) = place(run, self.size)?;
        let from = run
            .file_offset
            .checked_sub(offset)
            .and_then(|at| bytes.get(usize::try_from(at).ok()?..)?.get(..len))
            .ok_or_else(|| format!("a memory image has a run that is not mapped: {run:?}"))?;
        // SAFETY: the range lies in this reservation, below the size (checked by `place`), which
        // is open for writing and which nobody else uses yet.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), self.reservation.at(start).cast(), len) };
        Ok(())
    }

    fn open(&self, from: usize, to: usize) -> rustix::io::Result<()> {
        if from >= to {
            return Ok(());
        }
        // SAFETY: the range is inside the reservation: `to` is at most the size, checked against
        // the capacity by every caller.
        unsafe {
            mprotect(
                self.reservation.at(from),
                to - from,
                MprotectFlags::READ | MprotectFlags::WRITE,
            )
        }
    }
}

// SAFETY: the base never moves, `byte_size` bytes from it are accessible, growth keeps contents.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.capacity || new_size > self.limit {
            return Err(wasmtime::format_err!(
                "a linear memory of {new_size} bytes, the limit is {}",
                self.limit.min(self.capacity)
            ));
        }
        self.open(self.size, new_size)?;
        self.size = new_size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.reservation.base.as_ptr()
    }
}
