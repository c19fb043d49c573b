//! An address space in a snapshot: what is mapped and how, and what it holds; and the same again in another
//! process.
//!
//! How pages may be accessed is asked of the machine, page by page, and not kept anywhere: `mprotect(2)` is
//! called much, and a snapshot is taken once. Nothing else runs in the process then.
#![allow(unsafe_code)]

use megabinary_format::{Access, Extent, ProcessState, SnapshotDump};
use rustix::io::Errno;

use super::{
    super::{
        super::syscall,
        copy,
        guest::{END, Memory, PAGE},
    },
    Space, pages,
};

impl Space {
    /// What is mapped, with contents added to `dump`. Afterwards the program cannot go on: what it had made
    /// inaccessible is not any more. An error says what a snapshot cannot hold.
    pub(crate) fn freeze(&self, dump: &mut SnapshotDump) -> Result<Vec<Extent>, String> {
        let regions = self.lock();
        if regions.keeps_back_any() {
            return Err("memory that is kept from children (MADV_DONTFORK)".to_owned());
        }
        let mut extents: Vec<Extent> = Vec::new();
        for (start, end) in regions.ranges() {
            if regions.covers(start, end) != Some(true) {
                return Err(format!(
                    "a map of a file, or of shared memory, at {start:#x} to {end:#x}"
                ));
            }
            for page in (start..end).step_by(PAGE as usize) {
                let access = self.access(page);
                match extents.last_mut() {
                    Some(last) if last.end() == page && last.access == access => last.len += PAGE,
                    _ => extents.push(Extent {
                        start: page,
                        len: PAGE,
                        access,
                    }),
                }
            }
        }
        for extent in &extents {
            if extent.access == Access::None {
                self.protect(extent, libc::PROT_READ).map_err(|errno| {
                    format!(
                        "inaccessible memory at {:#x}, which cannot be made readable: {errno}",
                        extent.start
                    )
                })?;
            }
            for page in (extent.start..extent.end()).step_by(PAGE as usize) {
                let mut bytes = [0; PAGE as usize];
                if !self.copy_out(page, &mut bytes) {
                    return Err(format!("memory at {page:#x} that cannot be read"));
                }
                dump.add_page(page, &bytes);
            }
        }
        dump.pages = extents
            .last()
            .map_or(0, |last| last.end().div_ceil(megabinary_format::WASM_PAGE));
        Ok(extents)
    }

    /// The space of a process in `memory`, which holds the contents of a snapshot and nothing accessible
    /// besides. New maps go where they would in a program that begins with `initial` bytes; at most
    /// `limit` bytes are mapped from now on.
    pub(crate) fn thaw(
        memory: Memory,
        initial: u64,
        limit: u64,
        state: &ProcessState,
    ) -> Result<Space, Errno> {
        let space = Space::new(memory, 0, limit);
        let mut regions = super::Regions::with_floor(pages(initial).max(PAGE * 16));
        for extent in &state.extents {
            // The index has been checked; nothing outside of the space is ever touched.
            if extent.end() > END || extent.start % PAGE != 0 || extent.len % PAGE != 0 {
                return Err(Errno::INVAL);
            }
            let protection = match extent.access {
                Access::None => libc::PROT_NONE,
                Access::Read => libc::PROT_READ,
                Access::Write => libc::PROT_READ | libc::PROT_WRITE,
            };
            space.protect(extent, protection)?;
            regions.insert(extent.start, extent.end(), true);
        }
        *space.lock() = regions;
        Ok(space)
    }

    /// Has the stack begin at `start`, as the limit of its size says now, where it began at another page in
    /// the snapshot: `pointer` is where its used part begins.
    pub(crate) fn fit_stack(&self, start: u64, pointer: u64) -> Result<(), Errno> {
        let mut regions = self.lock();
        let Some((first, _)) = regions.ranges().first().copied() else {
            return Ok(());
        };
        // The page that null pointers lead to stays what it is.
        let start = (start / PAGE * PAGE).max(PAGE);
        let used = pointer / PAGE * PAGE;
        if first <= PAGE || start == first || first > used {
            return Ok(());
        }
        match start < first {
            // What the policy does not leave room for is a stack that ends earlier.
            true if !self.has_room(&regions, first - start) => {}
            true => {
                self.open(start, first, libc::PROT_READ | libc::PROT_WRITE)?;
                regions.insert(start, first, true);
            }
            false => {
                let end = start.min(used);
                if end > first {
                    self.close(first, end)?;
                    regions.remove(first, end);
                }
            }
        }
        Ok(())
    }

    fn protect(&self, extent: &Extent, protection: i32) -> Result<(), Errno> {
        let args = [self.arg(extent.start), extent.len.into(), protection.into()];
        // SAFETY: a range of guest memory that the callers have looked at; never executable.
        unsafe { syscall::call(libc::SYS_mprotect, args) }.map(drop)
    }

    /// How a page may be accessed: one of its bytes is read, and written back.
    fn access(&self, page: u64) -> Access {
        let mut byte = [0_u8; 1];
        if !self.copy_out(page, &mut byte) {
            return Access::None;
        }
        // SAFETY: guest memory, in which no other thread runs; a page that cannot be written is no error.
        match unsafe { copy::copy(self.host(page), byte.as_ptr(), byte.len()) } {
            true => Access::Write,
            false => Access::Read,
        }
    }

    /// Reads guest memory, also at address 0.
    fn copy_out(&self, at: u64, to: &mut [u8]) -> bool {
        // SAFETY: guest memory or nothing that is accessible; `to` is the caller's own.
        unsafe { copy::copy(to.as_mut_ptr(), self.host(at), to.len()) }
    }

    fn host(&self, at: u64) -> *mut u8 {
        self.at(at) as *mut u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::memory::guest::tests::memory;

    const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
    const PLAIN: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

    fn space() -> Space {
        Space::new(memory(4 * 65536), 4 * 65536, u64::MAX)
    }

    #[test]
    fn a_space_is_the_same_again() {
        let old = space();
        old.memory().write(70000, b"data").unwrap();
        old.protect_first().unwrap();
        let map = old.map(0, 5 * 4096, RW, PLAIN, -1, 0).unwrap();
        old.memory().write(map + 4096, b"hidden").unwrap();
        old.memory().write(map + 8192, b"constant").unwrap();
        let protect = |at: u32, protection: i32| {
            old.over(at, 4096, libc::SYS_mprotect, protection.into())
                .unwrap();
        };
        protect(map + 4096, libc::PROT_NONE);
        protect(map + 8192, libc::PROT_READ);
        old.unmap(map + 3 * 4096, 4096).unwrap();
        let mut dump = SnapshotDump::default();
        let state = ProcessState {
            extents: old.freeze(&mut dump).unwrap(),
            ..ProcessState::default()
        };
        state.check(dump.pages).unwrap();
        assert_eq!(state.mapped(), 4 * 65536 + 4 * 4096);
        // In a memory where only what has contents is accessible.
        let new = memory(0);
        for stretch in &dump.memory {
            // SAFETY: the test's own memory.
            unsafe {
                let at = new.at(stretch.offset as u32);
                libc::mprotect(at.cast(), stretch.bytes.len(), RW);
                std::ptr::copy_nonoverlapping(stretch.bytes.as_ptr(), at, stretch.bytes.len());
            }
        }
        let new = Space::thaw(new, 4 * 65536, u64::MAX, &state).unwrap();
        assert_eq!(new.memory().array(70000), Ok(*b"data"));
        assert_eq!(new.memory().write(100, b"x"), Err(Errno::FAULT));
        assert_eq!(new.memory().array::<1>(map + 4096), Err(Errno::FAULT));
        assert_eq!(new.memory().array(map + 8192), Ok(*b"constant"));
        assert_eq!(new.memory().write(map + 8192, b"x"), Err(Errno::FAULT));
        assert_eq!(new.memory().array::<1>(map + 3 * 4096), Err(Errno::FAULT));
        new.over(map + 4096, 4096, libc::SYS_mprotect, RW.into())
            .unwrap();
        assert_eq!(new.memory().array(map + 4096), Ok(*b"hidden"));
        // New maps fill the gap, as they would have in the old one.
        assert_eq!(new.map(0, 4096, RW, PLAIN, -1, 0), Ok(map + 3 * 4096));
        new.memory().write(map + 3 * 4096, b"x").unwrap();
    }

    #[test]
    fn what_is_shared_or_kept_from_children_is_refused() {
        let shared = space();
        shared
            .map(0, 4096, RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)
            .unwrap();
        let refused = shared.freeze(&mut SnapshotDump::default()).unwrap_err();
        assert!(refused.contains("shared memory"), "{refused}");
        let kept = space();
        kept.keep_back(4096, 4096, true).unwrap();
        let refused = kept.freeze(&mut SnapshotDump::default()).unwrap_err();
        assert!(refused.contains("MADV_DONTFORK"), "{refused}");
    }

    #[test]
    fn a_stack_follows_the_limit() {
        let stack = |first: u64| {
            let state = ProcessState {
                extents: vec![Extent {
                    start: first,
                    len: (1 << 20) - first,
                    access: Access::Write,
                }],
                ..ProcessState::default()
            };
            Space::thaw(memory(0), 1 << 20, u64::MAX, &state).unwrap()
        };
        let begins = |space: &Space| space.ranges()[0].0;
        let space = stack(0x80000);
        space.fit_stack(0x40000, 0xc0000).unwrap();
        assert_eq!(begins(&space), 0x40000);
        space.memory().write(0x40000, b"x").unwrap();
        space.fit_stack(0xa0000, 0xc0000).unwrap();
        assert_eq!(begins(&space), 0xa0000);
        // Not what is in use, and not the first page.
        space.fit_stack(0xf0000, 0xc0010).unwrap();
        assert_eq!(begins(&space), 0xc0000);
        space.fit_stack(0, 0xc0000).unwrap();
        assert_eq!(begins(&space), PAGE);
    }
}
