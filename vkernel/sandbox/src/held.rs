//! A file that is looked at and then used: nobody changes it in between.
#![allow(unsafe_code)]

use std::{fs::File, io, os::fd::AsRawFd};

use crate::check;

/// Whether others are kept from opening the file for writing, for as long as this descriptor is open
/// and the host's `lease-break-time` lasts (`fcntl(2)`, F_SETLEASE). An error if somebody has it open
/// for writing now; `false` where the file system has no leases, or the file is somebody else's.
pub fn keep_unchanged(file: &File) -> io::Result<bool> {
    // F_SETSIG of `<asm-generic/fcntl.h>`.
    const SET_SIGNAL: libc::c_int = 10;
    let number = file.as_raw_fd();
    // SAFETY: both take numbers only. The signal that says that somebody waits is one whose default
    // action is to be ignored; SIGIO would end the process.
    let leased = unsafe {
        check(libc::fcntl(number, SET_SIGNAL, libc::SIGURG).into())?;
        check(libc::fcntl(number, libc::F_SETLEASE, libc::F_RDLCK).into())
    };
    match leased {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(error),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_open_for_writing_is_noticed() {
        let path = std::env::temp_dir().join(format!("vkernel-held-{}", std::process::id()));
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        let error = keep_unchanged(&reader).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        drop(writer);
        if keep_unchanged(&reader).unwrap() {
            let writer = rustix::fs::open(
                &path,
                rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK,
                rustix::fs::Mode::empty(),
            );
            assert_eq!(writer.unwrap_err(), rustix::io::Errno::AGAIN);
        }
        std::fs::remove_file(path).unwrap();
    }
}
