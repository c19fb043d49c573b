//! Calls on open descriptors: `fd_*`.
//!
//! Decodes preview 1's flags and records, moves data between descriptors and guest memory, and
//! leaves the rest to [`crate::fs`]. Rights are reported as wasmtime does and never checked.

use std::os::fd::AsFd;

use rustix::{
    fs::{Advice as HostAdvice, FileType, OFlags, SeekFrom, Timespec, Timestamps},
    io::Errno as Host,
    net::SocketType,
};
use wiggle::{GuestMemory, GuestPtr, GuestType};

use super::{
    errno::Result,
    memory::Buffers,
    types::{
        Advice, CiovecArray, Dirent, Errno, Fdflags, Fdstat, Filestat, Filetype, Fstflags,
        IovecArray, Prestat, PrestatDir, Rights, Whence,
    },
};
use crate::{
    fs::{
        Files,
        descriptor::Metadata,
        readdir::Entry,
        retry,
        table::Object,
        tree::{Bytes, is_internal},
    },
    sources::Sources,
};

/// `O_DSYNC`; rustix 1.1 gives the value of `O_SYNC` under that name.
const DSYNC: OFlags = OFlags::from_bits_retain(libc::O_DSYNC as u32);

/// Where to read or write.
#[derive(Clone, Copy)]
pub(super) enum At {
    Position,
    Offset(u64),
}

pub(super) fn read(
    files: &mut Files,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: IovecArray,
    at: At,
) -> Result<u32> {
    let mut buffers = Buffers::new(memory, iovs)?;
    match &mut files.table.get_mut(fd)?.object {
        Object::File(host) => match at {
            At::Position => buffers.read(host.as_fd()),
            At::Offset(offset) => buffers.read_at(host.as_fd(), offset),
        },
        Object::TreeFile {
            tree,
            node,
            position,
        } => {
            let from = match at {
                At::Position => *position,
                At::Offset(offset) => offset,
            };
            let got = match tree.bytes(*node, from)? {
                Bytes::Slice(bytes) => buffers.fill(bytes),
                Bytes::File { fd, offset, len } => {
                    buffers.truncate(len);
                    buffers.read_at(fd, offset)?
                }
            };
            if let At::Position = at {
                *position = position.saturating_add(u64::from(got));
            }
            Ok(got)
        }
        Object::Directory { .. } | Object::TreeDirectory { .. } => Err(Errno::Badf.into()),
    }
}

pub(super) fn write(
    files: &Files,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: CiovecArray,
    at: At,
) -> Result<u32> {
    let buffers = Buffers::new(memory, iovs)?;
    let host = files.host_file(fd)?;
    match at {
        At::Position => buffers.write(host),
        At::Offset(offset) => buffers.write_at(host, offset),
    }
}

pub(super) fn advise(files: &Files, fd: u32, offset: u64, len: u64, advice: Advice) -> Result<()> {
    let advice = match advice {
        Advice::Normal => HostAdvice::Normal,
        Advice::Sequential => HostAdvice::Sequential,
        Advice::Random => HostAdvice::Random,
        Advice::Willneed => HostAdvice::WillNeed,
        Advice::Dontneed => HostAdvice::DontNeed,
        Advice::Noreuse => HostAdvice::NoReuse,
    };
    // fadvise64(2) takes signed numbers.
    if i64::try_from(offset).is_err() || i64::try_from(len).is_err() {
        return Err(Errno::Inval.into());
    }
    if let Object::TreeFile { .. } = files.table.get(fd)?.object {
        return Ok(());
    }
    let host = files.host_file(fd)?;
    Ok(rustix::fs::fadvise(
        host,
        offset,
        std::num::NonZeroU64::new(len),
        advice,
    )?)
}

/// fallocate(2) without flags. wasmtime 48 answers NOTSUP; the specification has it work.
pub(super) fn allocate(files: &Files, fd: u32, offset: u64, len: u64) -> Result<()> {
    if let Object::TreeFile { .. } = files.table.get(fd)?.object {
        return Err(Errno::Rofs.into());
    }
    let host = files.host_file(fd)?;
    let flags = rustix::fs::FallocateFlags::empty();
    Ok(retry(|| rustix::fs::fallocate(host, flags, offset, len))?)
}

pub(super) fn seek(files: &mut Files, fd: u32, offset: i64, whence: Whence) -> Result<u64> {
    let to = match whence {
        Whence::Set => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        Whence::Cur => SeekFrom::Current(offset),
        Whence::End => SeekFrom::End(offset),
    };
    Ok(files.seek(fd, to)?)
}

pub(super) fn fdstat(files: &Files, fd: u32) -> Result<Fdstat> {
    let descriptor = files.table.get(fd)?;
    let filetype = filetype(files, fd, &files.metadata(fd)?);
    let is_directory = matches!(filetype, Filetype::Directory);
    if is_directory && descriptor.preopen.is_some() {
        let base = preopen_rights();
        return Ok(Fdstat {
            fs_filetype: filetype,
            fs_flags: Fdflags::empty(),
            fs_rights_base: base,
            fs_rights_inheriting: base | inherited_rights(),
        });
    }
    let status = files.status(fd)?;
    let mut rights = Rights::all();
    if is_directory {
        rights &=
            !(Rights::FD_SEEK | Rights::FD_FILESTAT_SET_SIZE | Rights::PATH_FILESTAT_SET_SIZE);
    }
    let access = status & OFlags::RWMODE;
    if access == OFlags::WRONLY {
        rights &= !(Rights::FD_READ | Rights::FD_READDIR);
    }
    if access == OFlags::RDONLY {
        rights &= !Rights::FD_WRITE;
    }
    // wasi-libc's isatty(3) takes a character device that cannot seek for a terminal, and every
    // other one for none.
    if let Object::File(host) = &descriptor.object
        && (matches!(filetype, Filetype::CharacterDevice) && rustix::termios::isatty(host.as_fd()))
    {
        rights &= !(Rights::FD_SEEK | Rights::FD_TELL);
    }
    let mut flags = Fdflags::empty();
    let pairs = [
        (OFlags::APPEND, Fdflags::APPEND),
        (OFlags::NONBLOCK, Fdflags::NONBLOCK),
        (DSYNC, Fdflags::DSYNC),
        // `O_SYNC` includes the bit of `O_DSYNC`; `O_RSYNC` is the same number on Linux.
        (OFlags::SYNC, Fdflags::SYNC | Fdflags::RSYNC),
    ];
    for (host, wasi) in pairs {
        if status.contains(host) {
            flags |= wasi;
        }
    }
    Ok(Fdstat {
        fs_filetype: filetype,
        fs_flags: flags,
        fs_rights_base: rights,
        fs_rights_inheriting: rights,
    })
}

/// What wasmtime reports for a preopened folder, because old libcs look at it.
fn preopen_rights() -> Rights {
    Rights::PATH_CREATE_DIRECTORY
        | Rights::PATH_CREATE_FILE
        | Rights::PATH_LINK_SOURCE
        | Rights::PATH_LINK_TARGET
        | Rights::PATH_OPEN
        | Rights::FD_READDIR
        | Rights::PATH_READLINK
        | Rights::PATH_RENAME_SOURCE
        | Rights::PATH_RENAME_TARGET
        | Rights::PATH_SYMLINK
        | Rights::PATH_REMOVE_DIRECTORY
        | Rights::PATH_UNLINK_FILE
        | Rights::PATH_FILESTAT_GET
        | Rights::PATH_FILESTAT_SET_TIMES
        | Rights::FD_FILESTAT_GET
        | Rights::FD_FILESTAT_SET_TIMES
}

fn inherited_rights() -> Rights {
    Rights::FD_DATASYNC
        | Rights::FD_READ
        | Rights::FD_SEEK
        | Rights::FD_FDSTAT_SET_FLAGS
        | Rights::FD_SYNC
        | Rights::FD_TELL
        | Rights::FD_WRITE
        | Rights::FD_ADVISE
        | Rights::FD_ALLOCATE
        | Rights::FD_FILESTAT_SET_SIZE
        | Rights::POLL_FD_READWRITE
}

pub(super) fn set_flags(files: &mut Files, fd: u32, flags: Fdflags) -> Result<()> {
    files.table.get(fd)?;
    // F_SETFL cannot change these (fcntl(2)).
    if flags.intersects(Fdflags::DSYNC | Fdflags::SYNC | Fdflags::RSYNC) {
        return Err(Errno::Inval.into());
    }
    Ok(files.set_status(fd, status_flags(flags))?)
}

/// The host's status flags for preview 1's.
pub(super) fn status_flags(flags: Fdflags) -> OFlags {
    let pairs = [
        (Fdflags::APPEND, OFlags::APPEND),
        (Fdflags::NONBLOCK, OFlags::NONBLOCK),
        (Fdflags::DSYNC, DSYNC),
        (Fdflags::RSYNC, OFlags::SYNC),
        (Fdflags::SYNC, OFlags::SYNC),
    ];
    let mut status = OFlags::empty();
    for (wasi, host) in pairs {
        if flags.contains(wasi) {
            status |= host;
        }
    }
    status
}

pub(super) fn filestat(files: &Files, fd: u32) -> Result<Filestat> {
    let metadata = files.metadata(fd)?;
    Ok(Filestat {
        filetype: filetype(files, fd, &metadata),
        ..record(&metadata)
    })
}

/// A `filestat` record.
pub(super) fn record(metadata: &Metadata) -> Filestat {
    Filestat {
        dev: metadata.device,
        ino: metadata.inode,
        filetype: kind(metadata.kind),
        nlink: metadata.links,
        size: metadata.size,
        atim: metadata.accessed,
        mtim: metadata.modified,
        ctim: metadata.changed,
    }
}

/// Inode and device numbers where nothing may depend on the host.
const FIXED_NUMBER: u64 = 1;

/// What a guest is told of a file: with fixed sources neither numbers nor times of the host, which
/// would end up in snapshots. Times are 0, older than those of any file, so that whatever a guest
/// remembers of a folder is looked up again. What internal trees tell is the same in every run.
pub(super) fn told(stat: Filestat, sources: &Sources) -> Filestat {
    if !sources.fixed() || is_internal(stat.dev) {
        return stat;
    }
    Filestat {
        dev: FIXED_NUMBER,
        ino: FIXED_NUMBER,
        atim: 0,
        mtim: 0,
        ctim: 0,
        ..stat
    }
}

/// Preview 1's file type. It has none for FIFOs, and needs a socket's type, which only an open
/// one can tell.
fn kind(kind: FileType) -> Filetype {
    match kind {
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Directory => Filetype::Directory,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        FileType::BlockDevice => Filetype::BlockDevice,
        _ => Filetype::Unknown,
    }
}

fn filetype(files: &Files, fd: u32, metadata: &Metadata) -> Filetype {
    if metadata.kind != FileType::Socket {
        return kind(metadata.kind);
    }
    match files
        .host_file(fd)
        .and_then(rustix::net::sockopt::socket_type)
    {
        Ok(SocketType::STREAM) => Filetype::SocketStream,
        Ok(SocketType::DGRAM) => Filetype::SocketDgram,
        _ => Filetype::Unknown,
    }
}

/// Two times as utimensat(2) takes them. Setting a time both to a value and to now is a mistake.
pub(super) fn timestamps(accessed: u64, modified: u64, flags: Fstflags) -> Result<Timestamps> {
    let one = |value: u64, set: Fstflags, now: Fstflags| -> Result<Timespec> {
        let (tv_sec, tv_nsec) = match (flags.contains(set), flags.contains(now)) {
            (true, true) => return Err(Errno::Inval.into()),
            (true, false) => ((value / 1_000_000_000) as i64, (value % 1_000_000_000) as _),
            (false, true) => (0, rustix::fs::UTIME_NOW),
            (false, false) => (0, rustix::fs::UTIME_OMIT),
        };
        Ok(Timespec { tv_sec, tv_nsec })
    };
    Ok(Timestamps {
        last_access: one(accessed, Fstflags::ATIM, Fstflags::ATIM_NOW)?,
        last_modification: one(modified, Fstflags::MTIM, Fstflags::MTIM_NOW)?,
    })
}

/// Guest path of a preopened folder.
fn preopen(files: &Files, fd: u32) -> std::result::Result<Option<&str>, Host> {
    Ok(files.table.get(fd)?.preopen.as_deref())
}

pub(super) fn prestat(files: &Files, fd: u32) -> Result<Prestat> {
    let path = preopen(files, fd)?.ok_or(Errno::Badf)?;
    let pr_name_len = u32::try_from(path.len()).map_err(|_| Errno::Overflow)?;
    Ok(Prestat::Dir(PrestatDir { pr_name_len }))
}

pub(super) fn prestat_name(
    files: &Files,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    buffer: GuestPtr<[u8]>,
) -> Result<()> {
    let path = preopen(files, fd)?.ok_or(Errno::Notdir)?;
    let len = u32::try_from(path.len()).map_err(|_| Errno::Overflow)?;
    if len > buffer.len() {
        return Err(Errno::Nametoolong.into());
    }
    memory.copy_from_slice(path.as_bytes(), buffer.as_ptr().as_array(len))?;
    Ok(())
}

/// Writes entries until the buffer is full; the last one may be cut anywhere, which tells the
/// guest that there is more.
pub(super) fn readdir(
    files: &mut Files,
    sources: &Sources,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    buffer: GuestPtr<[u8]>,
    cookie: u64,
) -> Result<u32> {
    let mut used = 0;
    for (entry, next) in files
        .entries(fd, cookie)?
        .iter()
        .zip(cookie.saturating_add(1)..)
    {
        let header = header(entry, next, sources)?;
        for part in [header.as_slice(), &entry.name] {
            let room = buffer.len() - used;
            let len = u32::try_from(part.len()).map_or(room, |len| len.min(room));
            let part = part.get(..len as usize).unwrap_or_default();
            memory.copy_from_slice(part, buffer.as_ptr().add(used)?.as_array(len))?;
            used += len;
        }
        if used == buffer.len() {
            break;
        }
    }
    Ok(used)
}

/// A `dirent` record as it lies in memory.
fn header(entry: &Entry, next: u64, sources: &Sources) -> Result<[u8; 24]> {
    let dirent = Dirent {
        d_next: next,
        d_ino: if sources.fixed() {
            FIXED_NUMBER
        } else {
            entry.inode
        },
        d_namlen: u32::try_from(entry.name.len()).map_err(|_| Errno::Overflow)?,
        d_type: kind(entry.kind),
    };
    let mut bytes = Aligned([0; 24]);
    Dirent::write(
        &mut GuestMemory::Unshared(&mut bytes.0),
        GuestPtr::new(0),
        dirent,
    )?;
    Ok(bytes.0)
}

/// Guest memory is aligned as its records are; so is this stand-in for it.
#[repr(align(8))]
struct Aligned([u8; 24]);
