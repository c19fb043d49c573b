//! Objects that are not plain files: procfs and its kin, devices.
//!
//! Decides by what an open descriptor *is* (file system magic, device number), never by the path
//! that led there. Why: `/proc/self/mem` writes through page protections, so opening it would undo
//! the promise that nothing becomes executable; a device file is a door to the host kernel.
//!
//! One table for all personalities. Invariant: nothing on a pseudo file system is ever opened for writing
//! or changed, and only the devices that [`is_harmless`] lists are opened at all. The exceptions that
//! Linux programs have are `linux::policy::objects`'.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Stat, major, minor};

use super::Result;

/// `PROC_SUPER_MAGIC` (statfs(2)).
const PROC: u32 = 0x9fa0;

/// Magic numbers of file systems whose files are switches of the host kernel (statfs(2),
/// `linux/magic.h`).
const PSEUDO: &[u32] = &[
    PROC,
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x4249_4e4d, // binfmt_misc
    0x6573_5543, // fusectl
    0x6165_676c, // pstore
    0x6e73_6673, // nsfs
    0xabba_1974, // xenfs
    0x0000_9fa1, // openpromfs
    0x0000_9fa2, // usbfs
];

/// Names in procfs that show or change memory, or tell where it is.
const MEMORY_FILES: &[&[u8]] = &[
    b"mem",
    b"kmem",
    b"kcore",
    b"maps",
    b"map_files",
    b"smaps",
    b"smaps_rollup",
    b"numa_maps",
    b"pagemap",
    b"auxv",
    b"syscall",
    b"stack",
    b"kallsyms",
    b"vmallocinfo",
    b"iomem",
    b"kpagecount",
    b"kpageflags",
    b"kpagecgroup",
];

/// The name of a file of procfs about a process or a thread, by its real path: what comes behind the
/// number.
pub(crate) fn of_process(real: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = real.rsplit(|b| *b == b'/');
    let (name, number) = (parts.next()?, parts.next()?);
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    is_number.then_some((number, name))
}

/// Whether a file of procfs tells addresses of a process among other things.
pub(crate) fn tells_addresses(real: &[u8]) -> bool {
    of_process(real).is_some_and(|(_, name)| name == b"stat")
}

/// Names of the symbolic links in procfs that are ordinary; all others are magic (proc(5)).
const PLAIN_LINKS: &[&[u8]] = &[b"self", b"thread-self", b"mounts", b"net"];

/// Why an object may not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A device that is not on the list.
    Device,
    /// A pseudo file system, for writing.
    PseudoWrite,
    /// A file of procfs that shows memory.
    MemoryFile,
}

impl Unfit {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Unfit::Device => "device is not on the vkernel's list",
            Unfit::PseudoWrite => "kernel file systems are read-only for guests",
            Unfit::MemoryFile => "memory of processes is not visible to guests",
        }
    }
}

/// Judges an object about to be opened; `real` is its path, from its descriptor.
pub(crate) fn judge(
    object: BorrowedFd<'_>,
    stat: &Stat,
    real: &[u8],
    write: bool,
) -> Result<Option<Unfit>> {
    let unfit = match FileType::from_raw_mode(stat.st_mode) {
        FileType::BlockDevice => Some(Unfit::Device),
        FileType::CharacterDevice if !is_harmless(major(stat.st_rdev), minor(stat.st_rdev)) => {
            Some(Unfit::Device)
        }
        _ => {
            let magic = magic(object)?;
            let shows_memory = || {
                real.split(|b| *b == b'/')
                    .any(|part| MEMORY_FILES.contains(&part))
                    || tells_addresses(real)
            };
            if write && PSEUDO.contains(&magic) {
                Some(Unfit::PseudoWrite)
            } else if magic == PROC && shows_memory() {
                Some(Unfit::MemoryFile)
            } else {
                None
            }
        }
    };
    Ok(unfit)
}

/// Whether the object lies on a pseudo file system, where guests change nothing.
pub(crate) fn is_pseudo(object: BorrowedFd<'_>) -> Result<bool> {
    Ok(PSEUDO.contains(&magic(object)?))
}

/// Whether guests may change the metadata of an object: of no device that is everybody's, and of nothing
/// that is the host kernel's. Terminals belong to who opened them.
pub(crate) fn is_changeable(object: BorrowedFd<'_>, stat: &Stat) -> Result<bool> {
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::BlockDevice => false,
        FileType::CharacterDevice => is_terminal(major(stat.st_rdev)),
        _ => !is_pseudo(object)?,
    })
}

/// Whether this folder is the host's procfs.
pub(crate) fn is_procfs(object: BorrowedFd<'_>) -> Result<bool> {
    Ok(magic(object)? == PROC)
}

/// Whether a symbolic link (an `O_PATH` descriptor and its name) is one whose text does not say
/// where it leads.
pub(crate) fn is_magic_link(link: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    Ok(!PLAIN_LINKS.contains(&name) && magic(link)? == PROC)
}

/// The devices a guest may open (`Documentation/admin-guide/devices.txt` of Linux): null, zero,
/// full, random, urandom, tty, and the terminals of devpts.
pub(crate) fn is_harmless(major: u32, minor: u32) -> bool {
    matches!((major, minor), (1, 3 | 5 | 7 | 8 | 9) | (5, 0)) || is_terminal(major)
}

/// Whether a device is a terminal of devpts.
fn is_terminal(major: u32) -> bool {
    (136..=143).contains(&major)
}

fn magic(object: BorrowedFd<'_>) -> Result<u32> {
    let stat = rustix::fs::fstatfs(object)?;
    // The field is a signed word of varying width; magic numbers are 32 bits (statfs(2)).
    Ok((stat.f_type as u64 & 0xffff_ffff) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for ok in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (136, 4)] {
            assert!(is_harmless(ok.0, ok.1), "{ok:?}");
        }
        // mem, port, kmsg, console, ptmx, tty1, disks, loop, misc (kvm, fuse, tun).
        for bad in [
            (1, 1),
            (1, 4),
            (1, 11),
            (5, 1),
            (5, 2),
            (4, 1),
            (8, 0),
            (10, 232),
            (10, 200),
        ] {
            assert!(!is_harmless(bad.0, bad.1), "{bad:?}");
        }
    }

    #[test]
    fn files_about_processes() {
        assert_eq!(
            of_process(b"/proc/12/stat"),
            Some((&b"12"[..], &b"stat"[..]))
        );
        assert!(tells_addresses(b"/host/proc/1/task/22/stat"));
        for other in [
            &b"/proc/stat"[..],
            b"/proc/self/stat",
            b"stat",
            b"",
            b"/proc/1/stat/x",
        ] {
            assert!(!tells_addresses(other));
        }
    }
}
