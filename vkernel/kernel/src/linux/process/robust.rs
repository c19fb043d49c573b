//! Robust mutexes of a thread that ends: each that it still holds is marked and one waiter woken,
//! as the host kernel does natively (`futex.rst` and `robust-futexes.rst` of its documentation).
//!
//! Invariant: the list is the guest's and may be anything: every access tolerates faults, and a
//! ring ends after as many entries as the kernel follows.

use rustix::io::Errno;

use super::super::{
    memory::{copy, guest::Memory},
    syscall,
};

/// Most entries that are followed (ROBUST_LIST_LIMIT).
const MOST: usize = 2048;

/// FUTEX_WAITERS, FUTEX_OWNER_DIED and FUTEX_TID_MASK.
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const OWNER: u32 = 0x3fff_ffff;

/// Gives up what the calling thread holds; `head` is its `robust_list_head` (see
/// `polyfills/sysroot/README.md`), 0 for none.
pub(crate) fn release(memory: Memory, head: u32) {
    if head != 0 {
        // A broken list is given up, as natively.
        let _ = walk(memory, head);
    }
}

fn walk(memory: Memory, head: u32) -> Result<(), Errno> {
    let owner = rustix::thread::gettid().as_raw_nonzero().get() as u32;
    let offset = memory.u64(head.wrapping_add(8))? as u32;
    let pending = memory.u32(head.wrapping_add(16))?;
    let mut entry = memory.u32(head)?;
    for _ in 0..MOST {
        if entry == head || entry == 0 {
            break;
        }
        // Read first: whoever gets the mutex may free it.
        let next = memory.u32(entry)?;
        if entry != pending {
            died(memory, entry.wrapping_add(offset), owner)?;
        }
        entry = next;
    }
    match pending {
        0 => Ok(()),
        pending => died(memory, pending.wrapping_add(offset), owner),
    }
}

fn died(memory: Memory, address: u32, owner: u32) -> Result<(), Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::INVAL);
    }
    loop {
        let word = memory.u32(address)?;
        if word & OWNER != owner {
            return Ok(());
        }
        let new = word & WAITERS | OWNER_DIED;
        if copy::exchange(memory.at(address), word, new).ok_or(Errno::FAULT)? != word {
            continue;
        }
        if word & WAITERS != 0 {
            let wake = [memory.arg(address), libc::FUTEX_WAKE.into(), 1.into()];
            // SAFETY: an address of guest memory, at which the kernel does not even look.
            #[allow(unsafe_code)]
            let _ = unsafe { syscall::call(libc::SYS_futex, wake) };
        }
        return Ok(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::memory::guest::tests::memory;

    #[test]
    fn what_the_thread_holds_is_marked_and_rings_end() {
        let memory = memory(8192);
        let own = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        let put = |at: u32, value: u32| memory.write(at, &value.to_le_bytes()).unwrap();
        // Head at 64, entries at 128 (held), 160 (another's), the word 8 before the entry.
        put(64, 128);
        memory.write(72, &(-8_i64).to_le_bytes()).unwrap();
        put(80, 0);
        put(128, 160);
        put(160, 160);
        put(120, own | WAITERS);
        put(152, own + 1);
        release(memory, 64);
        assert_eq!(memory.u32(120), Ok(WAITERS | OWNER_DIED));
        assert_eq!(memory.u32(152), Ok(own + 1));
        // Nothing there, and nothing happens.
        release(memory, 1 << 30);
    }
}
