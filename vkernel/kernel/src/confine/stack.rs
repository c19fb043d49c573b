//! The main thread's stack, on which the guest's frames live.
//!
//! The host kernel lets that stack grow up to the soft RLIMIT_STACK *of the moment of the fault*
//! (`setrlimit(2)`), so raising the limit in the running process is enough; no other stack and no
//! copy is needed. Only the main thread's: others have the size that they were created with.

#![allow(unsafe_code)]

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The host kernel keeps at least 128 MiB between the top of the stack and the mappings below it,
/// whatever the limit was at `execve` (`mmap_base`, `arch/x86/mm/mmap.c`); growth beyond that is
/// not certain. One MiB less, for its own guard gap.
const RESERVED: u64 = 127 << 20;

/// Makes room for `needed` bytes of stack below the caller's frame in the main thread, by raising
/// the soft RLIMIT_STACK as far as the hard one allows. Returns how many bytes are available; that
/// can be less than `needed`, and the caller decides whether it is enough.
///
/// Fails in any other thread. Call it before [`super::apply`], which forbids changing limits.
pub fn reserve(needed: u64) -> io::Result<u64> {
    if rustix::thread::gettid() != rustix::process::getpid() {
        return Err(io::Error::other(
            "only the main thread's stack can be resized; this is another thread",
        ));
    }
    let used = used();
    let want = needed.saturating_add(used);
    let limit = getrlimit(Resource::Stack);
    let mut soft = limit.current;
    if soft.is_some_and(|soft| soft < want) {
        let raised = limit.maximum.map_or(want, |hard| want.min(hard));
        // A hard limit below the soft one cannot be; still, never lower the limit.
        if soft.is_some_and(|soft| soft < raised) {
            setrlimit(
                Resource::Stack,
                Rlimit {
                    current: Some(raised),
                    maximum: limit.maximum,
                },
            )?;
            soft = Some(raised);
        }
    }
    Ok(soft.unwrap_or(RESERVED).min(RESERVED).saturating_sub(used))
}

/// Bytes between the stack's top, which the limit counts from, and this frame.
fn used() -> u64 {
    let here = 0u8;
    // The path of the program is the last thing on the stack but eight zero bytes
    // (`create_elf_tables`, `fs/binfmt_elf.c`): the page after it is the top.
    // SAFETY: getauxval only reads the vector that the process was started with.
    let path = unsafe { libc::getauxval(libc::AT_EXECFN) };
    // A page for the path's own length, which is at most PATH_MAX, and for rounding.
    const SLACK: u64 = 2 * 4096;
    path.saturating_sub(&raw const here as u64) + SLACK
}
