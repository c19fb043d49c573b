//! A harness that calls the public functions as a module would, and the tests over it.
//!
//! Every case about paths runs in both ways of resolving them, see [`both`].

mod descriptors;
mod escape;
mod hostile;
mod namespace;
mod paths;
mod policy;
mod polling;
mod proc_files;
mod simple;
mod sockets;
mod trees;

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use megabinary_format::{Policy, Program};
use wiggle::{GuestMemory, GuestPtr, GuestType};

use super::{
    types::{Errno, Fdstat, Filestat},
    wasi_snapshot_preview1 as wasi,
};
use crate::{Mount, Process, ProcessBuilder, Stdio};

/// Guest memory: one page of WebAssembly, aligned as a real one.
#[repr(align(4096))]
struct Page([u8; SIZE]);
const SIZE: usize = 65536;

/// A process with a root in a temporary folder, and its memory.
pub(super) struct Sandbox {
    pub(super) process: Process,
    memory: Box<Page>,
    /// Where the next argument goes.
    free: u32,
    /// Holds `root`, and beside it `secret` with a file that nobody may reach.
    pub(super) dir: tempfile::TempDir,
}

/// Descriptor of the first mount.
pub(super) const ROOT: u32 = 3;
/// Where results go.
const RESULT: u32 = 64;
pub(super) const SECRET: &str = "top secret";

pub(super) type Outcome<T> = Result<T, Errno>;

/// Runs a test with both resolvers over a sandbox root.
pub(super) fn both(test: impl Fn(&mut Sandbox)) {
    both_with(|builder| builder, test);
}

/// As [`both`], with a change to how the process is built.
pub(super) fn both_with(
    change: impl Fn(ProcessBuilder) -> ProcessBuilder,
    test: impl Fn(&mut Sandbox),
) {
    for walk in [false, true] {
        let dir = playground();
        let root = open_dir(&dir.path().join("root"));
        let builder = builder().mount(Mount::Root(root)).without_openat2(walk);
        test(&mut Sandbox::new(change(builder), dir));
    }
}

/// As [`both`], but the folder is mounted as `--dir` does, not as a root.
pub(super) fn both_as_directory(test: impl Fn(&mut Sandbox)) {
    for walk in [false, true] {
        let dir = playground();
        let mount = Mount::Directory {
            guest_path: "/data".into(),
            fd: open_dir(&dir.path().join("root")),
        };
        let builder = builder().mount(mount).without_openat2(walk);
        test(&mut Sandbox::new(builder, dir));
    }
}

fn builder() -> ProcessBuilder {
    let null = || {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap()
    };
    ProcessBuilder::new().stdio(Stdio::Given([null().into(), null().into(), null().into()]))
}

fn playground() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    std::fs::create_dir(dir.path().join("secret")).unwrap();
    std::fs::write(dir.path().join("secret/file"), SECRET).unwrap();
    dir
}

pub(super) fn open_dir(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

pub(super) fn policy_for_tests(read_only: &[&str], hidden: &[&str]) -> Policy {
    let own = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    Policy {
        read_only: own(read_only),
        hidden: own(hidden),
        ..Policy::default()
    }
}

pub(super) fn program(path: &str) -> Program {
    Program {
        path: path.into(),
        entry: 0,
    }
}

/// Turns a function's result into an outcome.
fn outcome(result: wiggle::error::Result<i32>) -> Outcome<()> {
    match Errno::try_from(result.unwrap()).unwrap() {
        Errno::Success => Ok(()),
        errno => Err(errno),
    }
}

/// How `path_open` is called.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) lookup: i32,
    pub(super) oflags: i32,
    pub(super) rights: i64,
    pub(super) fdflags: i32,
}

pub(super) const CREAT: i32 = 1;
pub(super) const DIRECTORY: i32 = 2;
pub(super) const EXCL: i32 = 4;
pub(super) const TRUNC: i32 = 8;
pub(super) const RIGHT_READ: i64 = 1 << 1;
pub(super) const RIGHT_WRITE: i64 = 1 << 6;
/// Follows links and reads.
pub(super) const READ: Open = Open {
    lookup: 1,
    oflags: 0,
    rights: RIGHT_READ,
    fdflags: 0,
};
pub(super) const WRITE: Open = Open {
    rights: RIGHT_READ | RIGHT_WRITE,
    ..READ
};
pub(super) const NEW: Open = Open {
    oflags: CREAT,
    ..WRITE
};
pub(super) const FOLDER: Open = Open {
    oflags: DIRECTORY,
    ..READ
};
pub(super) const NOFOLLOW: Open = Open { lookup: 0, ..READ };

impl Sandbox {
    pub(super) fn new(builder: ProcessBuilder, dir: tempfile::TempDir) -> Sandbox {
        Sandbox {
            process: builder.build().unwrap(),
            memory: Box::new(Page([0; SIZE])),
            free: 0,
            dir,
        }
    }

    /// A sandbox for calls that need no files.
    pub(super) fn bare(builder: ProcessBuilder) -> Sandbox {
        Sandbox::new(builder, tempfile::tempdir().unwrap())
    }

    /// A path in the sandbox root, on the host.
    pub(super) fn host(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    /// Calls a function with fresh argument space.
    pub(super) fn call(
        &mut self,
        function: impl FnOnce(&mut Process, &mut GuestMemory<'_>) -> wiggle::error::Result<i32>,
    ) -> Outcome<()> {
        let mut memory = GuestMemory::Unshared(&mut self.memory.0);
        let result = outcome(function(&mut self.process, &mut memory));
        self.free = 0;
        result
    }

    /// Puts bytes where arguments go; gives address and length.
    pub(super) fn put(&mut self, bytes: &[u8]) -> (i32, i32) {
        let at = 1024 + self.free as usize;
        self.memory.0[at..at + bytes.len()].copy_from_slice(bytes);
        self.free = (self.free + bytes.len() as u32).next_multiple_of(8);
        (at as i32, bytes.len() as i32)
    }

    pub(super) fn load<T: GuestType>(&mut self, at: u32) -> T {
        GuestMemory::Unshared(&mut self.memory.0)
            .read(GuestPtr::new(at))
            .unwrap()
    }

    pub(super) fn bytes(&self, at: u32, len: u32) -> Vec<u8> {
        self.memory.0[at as usize..][..len as usize].to_vec()
    }

    /// One vector of buffers of these lengths from address 16384 on; gives its address.
    pub(super) fn vector(&mut self, lens: &[u32]) -> i32 {
        let mut at = 16384_u32;
        let mut raw = Vec::new();
        for len in lens {
            raw.extend(at.to_le_bytes());
            raw.extend(len.to_le_bytes());
            at += len;
        }
        self.put(&raw).0
    }

    pub(super) fn open(&mut self, dir: u32, path: &str, how: Open) -> Outcome<u32> {
        let (at, len) = self.put(path.as_bytes());
        self.call(|p, m| {
            wasi::path_open(
                p,
                m,
                dir as i32,
                how.lookup,
                at,
                len,
                how.oflags,
                how.rights,
                0,
                how.fdflags,
                RESULT as i32,
            )
        })?;
        Ok(self.load(RESULT))
    }

    pub(super) fn close(&mut self, fd: u32) -> Outcome<()> {
        self.call(|p, m| wasi::fd_close(p, m, fd as i32))
    }

    pub(super) fn read(&mut self, fd: u32, len: u32) -> Outcome<Vec<u8>> {
        let iovs = self.vector(&[len]);
        self.call(|p, m| wasi::fd_read(p, m, fd as i32, iovs, 1, RESULT as i32))?;
        let got = self.load(RESULT);
        Ok(self.bytes(16384, got))
    }

    pub(super) fn pread(&mut self, fd: u32, len: u32, at: u64) -> Outcome<Vec<u8>> {
        let iovs = self.vector(&[len]);
        self.call(|p, m| wasi::fd_pread(p, m, fd as i32, iovs, 1, at as i64, RESULT as i32))?;
        let got = self.load(RESULT);
        Ok(self.bytes(16384, got))
    }

    pub(super) fn write(&mut self, fd: u32, bytes: &[u8]) -> Outcome<u32> {
        self.memory.0[16384..][..bytes.len()].copy_from_slice(bytes);
        let iovs = self.vector(&[bytes.len() as u32]);
        self.call(|p, m| wasi::fd_write(p, m, fd as i32, iovs, 1, RESULT as i32))?;
        Ok(self.load(RESULT))
    }

    pub(super) fn pwrite(&mut self, fd: u32, bytes: &[u8], at: u64) -> Outcome<u32> {
        self.memory.0[16384..][..bytes.len()].copy_from_slice(bytes);
        let iovs = self.vector(&[bytes.len() as u32]);
        self.call(|p, m| wasi::fd_pwrite(p, m, fd as i32, iovs, 1, at as i64, RESULT as i32))?;
        Ok(self.load(RESULT))
    }

    pub(super) fn seek(&mut self, fd: u32, by: i64, whence: i32) -> Outcome<u64> {
        self.call(|p, m| wasi::fd_seek(p, m, fd as i32, by, whence, RESULT as i32))?;
        Ok(self.load(RESULT))
    }

    pub(super) fn fstat(&mut self, fd: u32) -> Outcome<Filestat> {
        self.call(|p, m| wasi::fd_filestat_get(p, m, fd as i32, RESULT as i32))?;
        Ok(self.load(RESULT))
    }

    pub(super) fn fdstat(&mut self, fd: u32) -> Outcome<Fdstat> {
        self.call(|p, m| wasi::fd_fdstat_get(p, m, fd as i32, RESULT as i32))?;
        Ok(self.load(RESULT))
    }

    pub(super) fn stat(&mut self, dir: u32, path: &str, follow: bool) -> Outcome<Filestat> {
        let (at, len) = self.put(path.as_bytes());
        let follow = i32::from(follow);
        self.call(|p, m| {
            wasi::path_filestat_get(p, m, dir as i32, follow, at, len, RESULT as i32)
        })?;
        Ok(self.load(RESULT))
    }

    pub(super) fn mkdir(&mut self, dir: u32, path: &str) -> Outcome<()> {
        let (at, len) = self.put(path.as_bytes());
        self.call(|p, m| wasi::path_create_directory(p, m, dir as i32, at, len))
    }

    pub(super) fn rmdir(&mut self, dir: u32, path: &str) -> Outcome<()> {
        let (at, len) = self.put(path.as_bytes());
        self.call(|p, m| wasi::path_remove_directory(p, m, dir as i32, at, len))
    }

    pub(super) fn unlink(&mut self, dir: u32, path: &str) -> Outcome<()> {
        let (at, len) = self.put(path.as_bytes());
        self.call(|p, m| wasi::path_unlink_file(p, m, dir as i32, at, len))
    }

    pub(super) fn rename(&mut self, dir: u32, from: &str, to_dir: u32, to: &str) -> Outcome<()> {
        let (a, a_len) = self.put(from.as_bytes());
        let (b, b_len) = self.put(to.as_bytes());
        self.call(|p, m| wasi::path_rename(p, m, dir as i32, a, a_len, to_dir as i32, b, b_len))
    }

    pub(super) fn link(&mut self, dir: u32, from: &str, to_dir: u32, to: &str) -> Outcome<()> {
        let (a, a_len) = self.put(from.as_bytes());
        let (b, b_len) = self.put(to.as_bytes());
        self.call(|p, m| wasi::path_link(p, m, dir as i32, 0, a, a_len, to_dir as i32, b, b_len))
    }

    pub(super) fn symlink(&mut self, target: &str, dir: u32, path: &str) -> Outcome<()> {
        let (a, a_len) = self.put(target.as_bytes());
        let (b, b_len) = self.put(path.as_bytes());
        self.call(|p, m| wasi::path_symlink(p, m, a, a_len, dir as i32, b, b_len))
    }

    pub(super) fn readlink(&mut self, dir: u32, path: &str, room: i32) -> Outcome<String> {
        let (at, len) = self.put(path.as_bytes());
        self.call(|p, m| {
            wasi::path_readlink(p, m, dir as i32, at, len, 16384, room, RESULT as i32)
        })?;
        let got = self.load(RESULT);
        Ok(String::from_utf8(self.bytes(16384, got)).unwrap())
    }

    pub(super) fn set_times(
        &mut self,
        dir: u32,
        path: &str,
        times: (u64, u64),
        flags: i32,
    ) -> Outcome<()> {
        let (at, len) = self.put(path.as_bytes());
        let (a, m_) = (times.0 as i64, times.1 as i64);
        self.call(|p, m| wasi::path_filestat_set_times(p, m, dir as i32, 1, at, len, a, m_, flags))
    }

    /// The bytes that one `fd_readdir` gives.
    pub(super) fn readdir_raw(&mut self, fd: u32, room: u32, cookie: u64) -> Outcome<Vec<u8>> {
        let room = room as i32;
        self.call(|p, m| {
            wasi::fd_readdir(p, m, fd as i32, 16384, room, cookie as i64, RESULT as i32)
        })?;
        let got = self.load(RESULT);
        Ok(self.bytes(16384, got))
    }

    /// All entries, read through a buffer of `room` bytes: name, cookie of the next, type.
    pub(super) fn readdir(&mut self, fd: u32, room: u32) -> Outcome<Vec<(String, u64, u8)>> {
        let mut all = Vec::new();
        let mut cookie = 0;
        loop {
            let raw = self.readdir_raw(fd, room, cookie)?;
            let mut rest = raw.as_slice();
            let before = all.len();
            while rest.len() >= 24 {
                let next = u64::from_le_bytes(rest[..8].try_into().unwrap());
                let len = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
                let Some(name) = rest.get(24..24 + len) else {
                    break;
                };
                all.push((String::from_utf8(name.to_vec()).unwrap(), next, rest[20]));
                cookie = next;
                rest = &rest[24 + len..];
            }
            if (raw.len() as u32) < room {
                return Ok(all);
            }
            assert!(all.len() > before, "no progress with {room} bytes");
        }
    }

    pub(super) fn names(&mut self, fd: u32) -> Vec<String> {
        let mut names: Vec<String> = self
            .readdir(fd, 4096)
            .unwrap()
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        names.sort();
        names
    }
}
