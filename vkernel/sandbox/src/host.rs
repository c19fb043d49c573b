//! What this machine can do: questions to the host kernel, answered by trying.
//!
//! Each answer changes the process that asks, for good: ask in a process of its own that ends
//! afterwards and has one thread.
#![allow(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    ptr,
};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use crate::{
    Error, check, descriptors, namespaces,
    root::{self, Base, Guarded, Plan},
    supervise,
};

/// Whether namespaces of processes, IPC, host name, mounts and networks can be made.
pub fn namespaces() -> Result<(), Error> {
    namespaces::gain_rights()?;
    namespaces::begin_processes()?;
    namespaces::enter_others(true)
}

/// Whether a run can have a root of its own over `folder`: the whole of it, in all its namespaces.
/// Comes back in another process, as [`supervise::enter`] does.
pub fn own_root(folder: &Path) -> Result<(), Error> {
    namespaces::gain_rights()?;
    supervise::enter(|| Ok(()))?;
    namespaces::enter_others(false)?;
    root::enter(&Plan {
        base: Base::Fresh(folder),
        folders: &[],
        guarded: &Guarded::default(),
        make_usual: true,
    })
}

/// Whether paths can be resolved below a folder by the host kernel.
pub fn openat2_works() -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
    Ok(())
}

/// Whether inherited descriptors can be closed by one call.
pub fn close_range_works() -> Result<(), Error> {
    descriptors::close_inherited(&BTreeSet::new())
}

/// Whether the host keeps `/proc/self/mem` from writing pages that are mapped read-only
/// (`proc_mem.force_override`, Linux 6.12).
pub fn keeps_pages_read_only() -> io::Result<bool> {
    const LEN: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let page = unsafe { libc::mmap(ptr::null_mut(), LEN, libc::PROT_READ, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let memory = match fs::OpenOptions::new().write(true).open("/proc/self/mem") {
        Ok(memory) => memory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
        Err(_) => return Ok(true),
    };
    match memory.write_at(&[1], page as u64) {
        Err(_) => Ok(true),
        // SAFETY: the page that was just mapped, readable.
        Ok(_) => Ok(unsafe { page.cast::<u8>().read_volatile() } == 0),
    }
}

/// The version of the host's Landlock; 0 if it has none (`landlock_create_ruleset(2)`).
pub fn landlock_version() -> i64 {
    // SAFETY: with this flag, LANDLOCK_CREATE_RULESET_VERSION, the other arguments are empty.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<u8>(),
            0_usize,
            1_u32,
        )
    };
    check(answer).unwrap_or(0)
}

/// Ends the process that asked, with its answer on standard output.
pub fn answer(text: &str) -> ! {
    let _ = io::stdout().write_all(text.as_bytes());
    // SAFETY: has no preconditions.
    unsafe { libc::_exit(0) }
}
