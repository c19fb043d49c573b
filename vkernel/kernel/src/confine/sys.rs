//! The host calls of confinement, each wrapped once.

#![allow(unsafe_code)]

use std::io;

use super::bpf::Instruction;

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// `prctl(PR_SET_NO_NEW_PRIVS)`: no set-user-ID, no file capabilities, ever (`prctl(2)`).
pub(super) fn set_no_new_privs() -> io::Result<()> {
    // SAFETY: takes integers only and changes one flag of the calling thread.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())
}

/// `prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN)`: memory that is not executable cannot become so,
/// and memory cannot be mapped writable and executable. Linux 6.3; EINVAL before.
pub(super) fn set_mdwe() -> io::Result<()> {
    let zero: libc::c_ulong = 0;
    let refuse = libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN);
    // SAFETY: takes integers only and changes one flag of the address space.
    check(unsafe { libc::prctl(libc::PR_SET_MDWE, refuse, zero, zero, zero) }.into())
}

/// Clears READ_IMPLIES_EXEC, with which `PROT_READ` alone would map executable pages and no filter
/// on `PROT_EXEC` could see it (`personality(2)`).
pub(super) fn clear_read_implies_exec() -> io::Result<()> {
    // SAFETY: 0xffff_ffff only asks for the current value.
    let current = unsafe { libc::personality(0xffff_ffff) };
    if current < 0 || current & libc::READ_IMPLIES_EXEC == 0 {
        // An error here is a host filter that refuses the question: a container's, which also
        // refuses to set the flag.
        return Ok(());
    }
    let cleared = (current & !libc::READ_IMPLIES_EXEC) as libc::c_ulong;
    // SAFETY: the current value with one bit less; affects mappings made from now on.
    check(unsafe { libc::personality(cleared) }.into())
}

/// Puts a filter on every thread of the process (`seccomp(2)`).
pub(super) fn install(program: &[Instruction]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel copies `len` instructions of the layout of `struct sock_filter`
    // (`Instruction` is `repr(C)` and the same), does not write to them, and keeps no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    check(result)?;
    if result > 0 {
        return Err(io::Error::other(format!(
            "thread {result} has a filter of its own that it does not share"
        )));
    }
    Ok(())
}

/// Takes the given Landlock rights to the file system from the calling thread, everywhere, and what
/// `scopes` cover outside of its domain (`landlock(7)`). Fails with EINVAL or E2BIG, and changes
/// nothing, if the host kernel does not know one.
pub(super) fn landlock_all(rights: u64, scopes: u64) -> io::Result<()> {
    // `struct landlock_ruleset_attr` as of Linux 6.12: rights to files, to the network, and scopes.
    let attributes = [rights, 0, scopes];
    let len = size_of_val(&attributes);
    // SAFETY: the kernel reads `len` bytes.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            len,
            0,
        )
    };
    check(fd)?;
    // SAFETY: takes integers only.
    let result = check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd, 0) });
    // SAFETY: the descriptor was made above and is known here only.
    unsafe { libc::close(fd as libc::c_int) };
    result
}

#[cfg(test)]
mod tests {
    use super::super::testing::{End, check, result};

    /// MDWE alone, without the filter that would kill first.
    #[test]
    fn mdwe_refuses() {
        check(
            || {
                super::set_mdwe().unwrap();
                let map = |prot| {
                    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
                    unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) }
                };
                let page = map(libc::PROT_READ | libc::PROT_WRITE);
                assert_ne!(page, libc::MAP_FAILED);
                // SAFETY: the page just mapped, which nothing else uses.
                let exec = unsafe { libc::mprotect(page, 4096, libc::PROT_EXEC) };
                assert_eq!(result(exec.into()), -i64::from(libc::EACCES));
                let both = map(libc::PROT_WRITE | libc::PROT_EXEC);
                assert_eq!(both, libc::MAP_FAILED);
                // SAFETY: as above.
                unsafe { libc::mprotect(page, 4096, libc::PROT_READ) }
            },
            End::Exit(0),
        );
    }
}
