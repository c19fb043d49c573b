//! Where audit events go, as the environment variable says.

#![allow(unsafe_code)]

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    io,
    os::{
        fd::{BorrowedFd, RawFd},
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
    path::PathBuf,
};

use super::{Audit, AuditError};

/// The environment variable that switches auditing: `off` (the default), `stderr`, `fd:N`, or an
/// absolute path of a file to append to. It is read by the launcher and never reaches a guest.
///
/// A file inside the guest's own root could be changed by the guest: prefer a descriptor.
pub const ENV: &str = "VKERNEL_AUDIT";

impl Audit {
    /// The stream that `value`, the value of [`ENV`] if it is set, asks for.
    pub fn from_setting(value: Option<&OsStr>) -> Result<Audit, AuditError> {
        let value = value.unwrap_or_default();
        let bytes = value.as_bytes();
        match bytes {
            b"" | b"off" => Ok(Audit::off()),
            b"stderr" => inherited(2),
            [b'/', ..] => append(PathBuf::from(value)),
            _ => match bytes.strip_prefix(b"fd:").and_then(descriptor) {
                Some(fd) => inherited(fd),
                None => Err(AuditError::Syntax {
                    value: value.to_string_lossy().into_owned(),
                }),
            },
        }
    }
}

fn descriptor(digits: &[u8]) -> Option<RawFd> {
    // `parse` would also take a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A stream to a copy of an inherited descriptor: a copy, so that the handle owns what it closes.
fn inherited(fd: RawFd) -> Result<Audit, AuditError> {
    let failed = |source: io::Error| AuditError::Descriptor { fd, source };
    // SAFETY: borrowed only for the two calls below; `fcntl` answers EBADF for a number that is
    // not an open descriptor, and `descriptor` gives no negative number (-1 is the invalid one).
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = rustix::fs::fcntl_getfl(borrowed).map_err(|e| failed(e.into()))?;
    if !flags.intersects(rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::RDWR) {
        return Err(failed(io::Error::other("it is open for reading only")));
    }
    // Not 0 to 2: those numbers belong to the guest's standard streams.
    let copy = rustix::io::fcntl_dupfd_cloexec(borrowed, 3).map_err(|e| failed(e.into()))?;
    Ok(Audit::to_fd(copy))
}

fn append(path: PathBuf) -> Result<Audit, AuditError> {
    match OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(&path)
    {
        Ok(file) => match is_ordinary(&file) {
            Ok(()) => Ok(Audit::to_fd(file.into())),
            Err(source) => Err(AuditError::Open { path, source }),
        },
        Err(source) => Err(AuditError::Open { path, source }),
    }
}

/// The setting may be an image's: events are not written to the host kernel's own files, where
/// writing sets something.
fn is_ordinary(file: &std::fs::File) -> io::Result<()> {
    const KERNELS: [libc::c_long; 11] = [
        libc::PROC_SUPER_MAGIC,
        libc::SYSFS_MAGIC,
        libc::DEBUGFS_MAGIC,
        libc::TRACEFS_MAGIC,
        libc::SECURITYFS_MAGIC,
        libc::SELINUX_MAGIC,
        libc::CGROUP_SUPER_MAGIC,
        libc::CGROUP2_SUPER_MAGIC,
        libc::BPF_FS_MAGIC,
        // efivarfs and configfs (`<linux/magic.h>`, `fs/configfs/mount.c`).
        0xde5e_81e4,
        0x6265_6570,
    ];
    let system = rustix::fs::fstatfs(file)?;
    match KERNELS.contains(&(system.f_type as libc::c_long)) {
        true => Err(io::Error::other("it is one of the host kernel's own files")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn parse(value: &str) -> Result<Audit, String> {
        Audit::from_setting(Some(OsStr::new(value))).map_err(|e| e.to_string())
    }

    #[test]
    fn settings() {
        assert!(!Audit::from_setting(None).unwrap().is_on());
        assert!(!parse("off").unwrap().is_on());
        assert!(parse("stderr").unwrap().is_on());
        for bad in [
            "on",
            "fd:",
            "fd:x",
            "fd:-1",
            "fd:+3",
            "audit.log",
            "fd:99999999999",
        ] {
            let message = parse(bad).unwrap_err();
            assert!(
                message.starts_with(&format!("VKERNEL_AUDIT={bad}: expected")),
                "{message}"
            );
        }
    }

    #[test]
    fn descriptors_must_be_writable() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(
            parse(&format!("fd:{}", writer.as_raw_fd()))
                .unwrap()
                .is_on()
        );
        let message = parse(&format!("fd:{}", reader.as_raw_fd())).unwrap_err();
        assert!(message.contains("reading only"), "{message}");
        let message = parse("fd:1000000").unwrap_err();
        assert!(message.contains("Bad file descriptor"), "{message}");
    }

    #[test]
    fn files_are_appended_to() {
        let dir = std::env::temp_dir().join(format!("vkernel-audit-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("audit.jsonl");
        for status in 0..2 {
            parse(path.to_str().unwrap()).unwrap().exit(b"p", status);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        let message = parse("/proc/self/comm").unwrap_err();
        assert!(message.contains("host kernel's own"), "{message}");
        assert!(
            parse("/does/not/exist")
                .unwrap_err()
                .contains("/does/not/exist")
        );
    }
}
