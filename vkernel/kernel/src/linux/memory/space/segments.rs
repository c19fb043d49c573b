//! Segments of System V shared memory in the address space (`shmop(2)`).
//!
//! They are attached aside, like every mapping that is not plain memory ([`super::aside`]), and moved into
//! place. The host's `shmdt(2)` would unmap what is left of one, and so leave a hole; here what was
//! attached is noted, and what is left of it is closed.
#![allow(unsafe_code)]

use rustix::io::Errno;

use super::{
    super::super::syscall::{self, Arg},
    Aside, END, PAGE, Space, pages,
};

/// A segment that is attached, but not yet in the guest's memory. Detached when dropped.
pub(crate) struct Segment(Aside);

impl Segment {
    /// Attaches a segment at an address of the host's choice; `flags` is SHM_RDONLY or 0.
    pub(crate) fn attach(id: i32, flags: i32) -> Result<Segment, Errno> {
        let args = [id.into(), Arg::NONE, flags.into()];
        // SAFETY: a new mapping at an address that nobody uses; not executable.
        let at = unsafe { syscall::call(libc::SYS_shmat, args) }? as u64;
        // Asked afterwards: what is attached keeps its id, so that this is the size of this one.
        // SAFETY: a plain C structure for which zeroes are valid.
        let mut known: libc::shmid_ds = unsafe { std::mem::zeroed() };
        let args = [id.into(), libc::IPC_STAT.into(), Arg::output(&mut known)];
        // SAFETY: the host writes one such structure.
        match unsafe { syscall::call(libc::SYS_shmctl, args) } {
            // SAFETY: attached there just now, in this length, and known to nobody else.
            Ok(_) => Ok(Segment(unsafe {
                Aside::of(at, pages(known.shm_segsz as u64))
            })),
            Err(errno) => {
                // SAFETY: attached there just now, and known to nobody else.
                let _ = unsafe { syscall::call(libc::SYS_shmdt, [Arg::address(at)]) };
                Err(errno)
            }
        }
    }
}

impl Space {
    /// Puts a segment where `shmat(2)` wants it: at `address`, or anywhere if that is 0.
    pub(crate) fn place_segment(
        &self,
        mut segment: Segment,
        address: u32,
        flags: i32,
    ) -> Result<u32, Errno> {
        let len = segment.0.len();
        let replaces = flags & libc::SHM_REMAP != 0;
        let mut regions = self.lock();
        let start = match u64::from(address) {
            0 if replaces => return Err(Errno::INVAL),
            0 => regions.gap(len).ok_or(Errno::NOMEM)?,
            address => {
                let start = address / PAGE * PAGE;
                if start != address && flags & libc::SHM_RND == 0 || start == 0 {
                    return Err(Errno::INVAL);
                }
                if start + len > END || !replaces && !regions.is_free(start, start + len) {
                    return Err(Errno::INVAL);
                }
                start
            }
        };
        if !self.has_room(&regions, len) {
            return Err(Errno::NOMEM);
        }
        self.move_in(&mut regions, &mut segment.0, start, start + len)?;
        regions.insert(start, start + len, false);
        regions.attach(start, start + len);
        Ok(start as u32)
    }

    /// `shmdt(2)`: what is left of the segment that was attached at `address`.
    pub(crate) fn detach(&self, address: u32) -> Result<(), Errno> {
        let mut regions = self.lock();
        let parts = regions.detach(address.into()).ok_or(Errno::INVAL)?;
        for (start, end) in parts {
            self.close(start, end)?;
            regions.remove(start, end);
        }
        Ok(())
    }
}
