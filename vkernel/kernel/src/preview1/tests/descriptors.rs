//! `fd_*`.

use super::*;
use crate::preview1::types::{Fdflags, Filetype, Rights};

#[test]
fn read_write_and_position() {
    both(|s| {
        let fd = s.open(ROOT, "f", NEW).unwrap();
        assert_eq!(fd, 4);
        assert_eq!(s.write(fd, b"hello world"), Ok(11));
        assert_eq!(s.call(|p, m| wasi::fd_tell(p, m, fd as i32, 64)), Ok(()));
        assert_eq!(s.load::<u64>(64), 11);
        assert_eq!(s.read(fd, 10), Ok(vec![]));
        assert_eq!(s.seek(fd, 6, 0), Ok(6));
        assert_eq!(s.read(fd, 100), Ok(b"world".to_vec()));
        assert_eq!(s.seek(fd, -5, 2), Ok(6));
        assert_eq!(s.seek(fd, -1, 1), Ok(5));
        assert_eq!(s.seek(fd, -6, 1), Err(Errno::Inval));
        assert_eq!(s.seek(fd, -1, 0), Err(Errno::Inval));
        assert_eq!(s.seek(fd, 0, 3), Err(Errno::Inval));
        assert_eq!(s.pread(fd, 4, 1), Ok(b"ello".to_vec()));
        assert_eq!(s.pwrite(fd, b"J", 0), Ok(1));
        assert_eq!(
            s.seek(fd, 0, 1),
            Ok(5),
            "pread and pwrite leave the position alone"
        );
        assert_eq!(s.pread(fd, 1, u64::MAX), Err(Errno::Inval));
        assert_eq!(s.pwrite(fd, b"x", 1 << 63), Err(Errno::Inval));
        assert_eq!(std::fs::read(s.host("f")).unwrap(), b"Jello world");
    });
}

#[test]
fn large_offsets() {
    both(|s| {
        let fd = s.open(ROOT, "sparse", NEW).unwrap();
        let far = (5 << 30) + 3;
        assert_eq!(s.pwrite(fd, b"far", far), Ok(3));
        assert_eq!(s.fstat(fd).unwrap().size, far + 3);
        assert_eq!(s.seek(fd, far as i64, 0), Ok(far));
        assert_eq!(s.read(fd, 9), Ok(b"far".to_vec()));
        assert_eq!(s.pread(fd, 2, far - 1), Ok(b"\0f".to_vec()));
    });
}

#[test]
fn vectors() {
    both(|s| {
        std::fs::write(s.host("f"), b"abcdefgh").unwrap();
        let fd = s.open(ROOT, "f", READ).unwrap() as i32;
        // Several buffers, an empty one among them.
        let iovs = s.vector(&[3, 0, 2]);
        s.call(|p, m| wasi::fd_read(p, m, fd, iovs, 3, 64)).unwrap();
        assert_eq!(
            (s.load::<u32>(64), s.bytes(16384, 5)),
            (5, b"abcde".to_vec())
        );
        // Overlapping ones.
        let (at, _) = s.put(&[0, 64, 0, 0, 2, 0, 0, 0, 1, 64, 0, 0, 2, 0, 0, 0]);
        s.call(|p, m| wasi::fd_pread(p, m, fd, at, 2, 0, 64))
            .unwrap();
        assert_eq!((s.load::<u32>(64), s.bytes(16384, 3)), (4, b"acd".to_vec()));
        // None, and only empty ones, wherever they point.
        s.call(|p, m| wasi::fd_read(p, m, fd, 0, 0, 64)).unwrap();
        assert_eq!(s.load::<u32>(64), 0);
        let (at, _) = s.put(&[255, 255, 255, 255, 0, 0, 0, 0]);
        s.call(|p, m| wasi::fd_read(p, m, fd, at, 1, 64)).unwrap();
        assert_eq!(s.load::<u32>(64), 0);
        // More than the host takes at once: the first 1024 count.
        let many: Vec<u8> = [0, 64, 0, 0, 1, 0, 0, 0].repeat(1100);
        let (at, _) = s.put(&many);
        s.call(|p, m| wasi::fd_pread(p, m, fd, at, 1100, 0, 64))
            .unwrap();
        assert_eq!(s.load::<u32>(64), 8);
        // Out of bounds.
        let (at, _) = s.put(&[0, 0, 0, 0, 1, 0, 1, 0]);
        let got = s.call(|p, m| wasi::fd_read(p, m, fd, at, 1, 64));
        assert_eq!(got, Err(Errno::Fault));
        let (at, _) = s.put(&[255, 255, 255, 255, 255, 255, 255, 255]);
        let got = s.call(|p, m| wasi::fd_read(p, m, fd, at, 1, 64));
        assert_eq!(got, Err(Errno::Fault));
    });
}

#[test]
fn shared_memory() {
    both(|s| {
        std::fs::write(s.host("f"), b"shared").unwrap();
        let fd = s.open(ROOT, "f", READ).unwrap() as i32;
        let cells: Vec<std::cell::UnsafeCell<u8>> = (0..1024).map(|_| 0.into()).collect();
        // The vector at an aligned address.
        let at = cells.as_ptr().align_offset(8) as u32;
        let mut memory = GuestMemory::Shared(&cells);
        memory.write(GuestPtr::new(at), 100_u32).unwrap();
        memory.write(GuestPtr::new(at + 4), 50_u32).unwrap();
        let (iovs, result) = (at as i32, at as i32 + 16);
        outcome(wasi::fd_read(
            &mut s.process,
            &mut memory,
            fd,
            iovs,
            1,
            result,
        ))
        .unwrap();
        assert_eq!(memory.read::<u32>(GuestPtr::new(at + 16)).unwrap(), 6);
        let got = memory.to_vec(GuestPtr::<u8>::new(100).as_array(6)).unwrap();
        assert_eq!(got, b"shared");
    });
}

#[test]
fn access_modes() {
    both(|s| {
        std::fs::write(s.host("f"), b"x").unwrap();
        let reader = s.open(ROOT, "f", READ).unwrap();
        assert_eq!(s.write(reader, b"y"), Err(Errno::Badf));
        let writer = Open {
            rights: RIGHT_WRITE,
            ..READ
        };
        let writer = s.open(ROOT, "f", writer).unwrap();
        assert_eq!(s.read(writer, 1), Err(Errno::Badf));
        for call in [s.read(ROOT, 1).err(), s.write(ROOT, b"x").err()] {
            assert_eq!(call, Some(Errno::Badf), "a folder");
        }
        assert_eq!(s.pread(ROOT, 1, 0), Err(Errno::Badf));
        assert_eq!(s.pwrite(ROOT, b"x", 0), Err(Errno::Badf));
        assert_eq!(s.seek(ROOT, 0, 0), Err(Errno::Badf));
        assert_eq!(s.read(99, 1), Err(Errno::Badf));
        assert_eq!(s.write(99, b"x"), Err(Errno::Badf));
    });
}

#[test]
fn append() {
    both(|s| {
        std::fs::write(s.host("f"), b"abc").unwrap();
        let append = Open {
            fdflags: 1,
            ..WRITE
        };
        let fd = s.open(ROOT, "f", append).unwrap();
        assert_eq!(s.fdstat(fd).unwrap().fs_flags, Fdflags::APPEND);
        s.write(fd, b"d").unwrap();
        s.seek(fd, 0, 0).unwrap();
        s.write(fd, b"e").unwrap();
        assert_eq!(std::fs::read(s.host("f")).unwrap(), b"abcde");
        // Off and on again.
        s.call(|p, m| wasi::fd_fdstat_set_flags(p, m, fd as i32, 0))
            .unwrap();
        s.seek(fd, 0, 0).unwrap();
        s.write(fd, b"A").unwrap();
        s.call(|p, m| wasi::fd_fdstat_set_flags(p, m, fd as i32, 1 | 4))
            .unwrap();
        let flags = s.fdstat(fd).unwrap().fs_flags;
        assert_eq!(flags, Fdflags::APPEND | Fdflags::NONBLOCK);
        s.write(fd, b"f").unwrap();
        assert_eq!(std::fs::read(s.host("f")).unwrap(), b"Abcdef");
    });
}

#[test]
fn status_flags() {
    both(|s| {
        let fd = s.open(ROOT, "f", Open { fdflags: 2, ..NEW }).unwrap();
        assert_eq!(s.fdstat(fd).unwrap().fs_flags, Fdflags::DSYNC);
        let fd = s.open(ROOT, "f", Open { fdflags: 16, ..NEW }).unwrap() as i32;
        let flags = s.fdstat(fd as u32).unwrap().fs_flags;
        assert!(flags.contains(Fdflags::SYNC));
        let mut set = |fd: i32, flags| s.call(|p, m| wasi::fd_fdstat_set_flags(p, m, fd, flags));
        for flags in [2, 8, 16, 31] {
            assert_eq!(set(fd, flags), Err(Errno::Inval));
        }
        assert_eq!(set(fd, 32), Err(Errno::Inval), "unknown flag");
        assert_eq!(set(99, 1), Err(Errno::Badf));
        assert_eq!(set(ROOT as i32, 1), Err(Errno::Badf));
        assert_eq!(
            set(1, 4),
            Err(Errno::Badf),
            "shared with whoever started us"
        );
    });
}

#[test]
fn rights() {
    both(|s| {
        let root = s.fdstat(ROOT).unwrap();
        assert!(
            root.fs_rights_base
                .contains(Rights::PATH_OPEN | Rights::FD_READDIR)
        );
        assert!(!root.fs_rights_base.contains(Rights::FD_SEEK));
        assert!(
            root.fs_rights_inheriting
                .contains(Rights::FD_WRITE | Rights::FD_SEEK)
        );
        s.mkdir(ROOT, "d").unwrap();
        let fd = s.open(ROOT, "d", FOLDER).unwrap();
        let dir = s.fdstat(fd).unwrap();
        assert_eq!(dir.fs_filetype, Filetype::Directory);
        assert!(
            !dir.fs_rights_base
                .intersects(Rights::FD_SEEK | Rights::FD_WRITE)
        );
        let fd = s.open(ROOT, "f", NEW).unwrap();
        assert_eq!(s.fdstat(fd).unwrap().fs_rights_base, Rights::all());
        let fd = s.open(ROOT, "f", READ).unwrap();
        let rights = s.fdstat(fd).unwrap().fs_rights_base;
        assert_eq!(rights, Rights::all() & !Rights::FD_WRITE);
        // Not a terminal for wasi-libc: a character device that can seek.
        let null = s.fdstat(0).unwrap();
        assert_eq!(null.fs_filetype, Filetype::CharacterDevice);
        assert!(null.fs_rights_base.contains(Rights::FD_SEEK));
        let set = |p: &mut Process, m: &mut GuestMemory<'_>, fd| {
            wasi::fd_fdstat_set_rights(p, m, fd, 0, 0)
        };
        assert_eq!(s.call(|p, m| set(p, m, fd as i32)), Err(Errno::Notsup));
        assert_eq!(s.call(|p, m| set(p, m, 99)), Err(Errno::Badf));
        assert_eq!(s.fdstat(99).err(), Some(Errno::Badf));
    });
}

#[test]
fn sizes() {
    both(|s| {
        let fd = s.open(ROOT, "f", NEW).unwrap() as i32;
        let mut set = |fd: i32, size| s.call(|p, m| wasi::fd_filestat_set_size(p, m, fd, size));
        assert_eq!(set(fd, 100), Ok(()));
        assert_eq!(set(fd, -1), Err(Errno::Inval));
        assert_eq!(set(ROOT as i32, 0), Err(Errno::Badf));
        assert_eq!(set(99, 0), Err(Errno::Badf));
        assert_eq!(s.fstat(fd as u32).unwrap().size, 100);
        let reader = s.open(ROOT, "f", READ).unwrap() as i32;
        let got = s.call(|p, m| wasi::fd_filestat_set_size(p, m, reader, 1));
        assert_eq!(got, Err(Errno::Inval), "not open for writing");

        let mut allocate = |fd: i32, at, len| s.call(|p, m| wasi::fd_allocate(p, m, fd, at, len));
        assert_eq!(allocate(fd, 100, 28), Ok(()));
        assert_eq!(allocate(fd, 0, 0), Err(Errno::Inval));
        assert_eq!(allocate(fd, -1, 1), Err(Errno::Inval));
        assert_eq!(allocate(reader, 0, 1), Err(Errno::Badf));
        assert_eq!(allocate(ROOT as i32, 0, 1), Err(Errno::Badf));
        assert_eq!(s.fstat(fd as u32).unwrap().size, 128);
    });
}

#[test]
fn advice_and_sync() {
    both(|s| {
        let fd = s.open(ROOT, "f", NEW).unwrap() as i32;
        for advice in 0..6 {
            assert_eq!(
                s.call(|p, m| wasi::fd_advise(p, m, fd, 0, 0, advice)),
                Ok(())
            );
        }
        let mut advise =
            |fd: i32, at, advice| s.call(|p, m| wasi::fd_advise(p, m, fd, at, 1, advice));
        assert_eq!(advise(fd, 0, 6), Err(Errno::Inval));
        assert_eq!(advise(fd, -1, 0), Err(Errno::Inval));
        assert_eq!(advise(ROOT as i32, 0, 0), Err(Errno::Badf));
        assert_eq!(advise(99, 0, 0), Err(Errno::Badf));
        for fd in [fd, ROOT as i32] {
            assert_eq!(s.call(|p, m| wasi::fd_sync(p, m, fd)), Ok(()));
            assert_eq!(s.call(|p, m| wasi::fd_datasync(p, m, fd)), Ok(()));
        }
        assert_eq!(s.call(|p, m| wasi::fd_sync(p, m, 99)), Err(Errno::Badf));
        assert_eq!(s.call(|p, m| wasi::fd_datasync(p, m, -1)), Err(Errno::Badf));
    });
}

#[test]
fn times() {
    both(|s| {
        let fd = s.open(ROOT, "f", NEW).unwrap() as i32;
        let mut set = |fd: i32, a, b, flags| {
            s.call(|p, m| wasi::fd_filestat_set_times(p, m, fd, a, b, flags))
        };
        let (a, b) = (1_000_000_007, 2_000_000_009);
        assert_eq!(set(fd, a, b, 1 | 4), Ok(()));
        assert_eq!(set(fd, a, b, 3), Err(Errno::Inval), "both a value and now");
        assert_eq!(set(fd, a, b, 12), Err(Errno::Inval));
        assert_eq!(set(fd, a, b, 16), Err(Errno::Inval), "unknown flag");
        assert_eq!(set(99, a, b, 1), Err(Errno::Badf));
        assert_eq!(set(0, a, b, 1), Err(Errno::Badf));
        let stat = s.fstat(fd as u32).unwrap();
        assert_eq!((stat.atim, stat.mtim), (a as u64, b as u64));
        s.call(|p, m| wasi::fd_filestat_set_times(p, m, fd, 0, 0, 2))
            .unwrap();
        let stat = s.fstat(fd as u32).unwrap();
        assert!(stat.atim > 1_500_000_000_000_000_000, "now");
        assert_eq!(stat.mtim, b as u64, "left alone");
        let dir = ROOT as i32;
        s.call(|p, m| wasi::fd_filestat_set_times(p, m, dir, 5, 6, 5))
            .unwrap();
        assert_eq!(s.fstat(ROOT).unwrap().mtim, 6);
    });
}

#[test]
fn close_and_renumber() {
    both(|s| {
        std::fs::write(s.host("a"), b"a").unwrap();
        std::fs::write(s.host("b"), b"b").unwrap();
        let a = s.open(ROOT, "a", READ).unwrap();
        let b = s.open(ROOT, "b", READ).unwrap();
        let renumber = |s: &mut Sandbox, from: u32, to: u32| {
            s.call(|p, m| wasi::fd_renumber(p, m, from as i32, to as i32))
        };
        assert_eq!(renumber(s, a, 99), Err(Errno::Badf));
        assert_eq!(renumber(s, 99, a), Err(Errno::Badf));
        assert_eq!(renumber(s, a, a), Ok(()));
        assert_eq!(renumber(s, a, b), Ok(()));
        assert_eq!(s.read(a, 1), Err(Errno::Badf));
        assert_eq!(s.read(b, 1), Ok(b"a".to_vec()));
        assert_eq!(s.close(b), Ok(()));
        assert_eq!(s.close(b), Err(Errno::Badf));
        assert_eq!(s.close(u32::MAX), Err(Errno::Badf));
        assert_eq!(s.open(ROOT, "a", READ), Ok(a), "the lowest free number");
        // A preopened folder moves, and closes, like any other.
        assert_eq!(renumber(s, ROOT, a), Ok(()));
        s.call(|p, m| wasi::fd_prestat_get(p, m, a as i32, 64))
            .unwrap();
        assert_eq!(s.stat(a, "b", true).map(|stat| stat.size), Ok(1));
        assert_eq!(s.close(a), Ok(()));
        assert_eq!(s.stat(a, "b", true).err(), Some(Errno::Badf));
        assert_eq!(s.close(0), Ok(()));
        assert_eq!(s.read(0, 1), Err(Errno::Badf));
    });
}

#[test]
fn prestats() {
    both_as_directory(|s| {
        s.call(|p, m| wasi::fd_prestat_get(p, m, 3, 64)).unwrap();
        assert_eq!((s.load::<u8>(64), s.load::<u32>(68)), (0, 5));
        let mut name = |fd, at, len| s.call(|p, m| wasi::fd_prestat_dir_name(p, m, fd, at, len));
        assert_eq!(name(3, 100, 5), Ok(()));
        assert_eq!(name(3, 200, 4), Err(Errno::Nametoolong));
        assert_eq!(name(3, SIZE as i32 - 4, 5), Err(Errno::Fault));
        assert_eq!(name(0, 200, 5), Err(Errno::Notdir));
        assert_eq!(name(4, 200, 5), Err(Errno::Badf));
        assert_eq!(s.bytes(100, 6), b"/data\0");
        let mut prestat = |fd| s.call(|p, m| wasi::fd_prestat_get(p, m, fd, 64));
        assert_eq!(prestat(0), Err(Errno::Badf));
        assert_eq!(prestat(4), Err(Errno::Badf));
    });
}

/// A mount needs no more than `O_PATH`.
#[test]
fn mounts_by_path_descriptor() {
    use rustix::fs::{Mode, OFlags};
    let dir = playground();
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let root = rustix::fs::open(dir.path().join("root"), flags, Mode::empty()).unwrap();
    let mut s = Sandbox::new(builder().mount(Mount::Root(root)), dir);
    s.mkdir(ROOT, "d").unwrap();
    assert_eq!(s.names(ROOT), [".", "..", "d"]);
    let root = ROOT as i32;
    s.call(|p, m| wasi::fd_filestat_set_times(p, m, root, 5, 6, 5))
        .unwrap();
    assert_eq!(s.fstat(ROOT).unwrap().mtim, 6);
    assert!(s.fdstat(ROOT).is_ok());
    let fd = s.open(ROOT, ".", FOLDER).unwrap();
    assert_eq!(s.names(fd), [".", "..", "d"]);
}

#[test]
fn directories() {
    both(|s| {
        s.mkdir(ROOT, "d").unwrap();
        let dir = s.open(ROOT, "d", FOLDER).unwrap();
        for number in 0..300 {
            std::fs::write(s.host(&format!("d/file-{number:03}")), b"").unwrap();
        }
        s.symlink("x", dir, "link").unwrap();
        s.mkdir(dir, "sub").unwrap();
        let all = s.readdir(dir, 4096).unwrap();
        assert_eq!(all.len(), 304);
        assert_eq!((all[0].0.as_str(), all[0].1, all[0].2), (".", 1, 3));
        assert_eq!((all[1].0.as_str(), all[1].1, all[1].2), ("..", 2, 3));
        let kind = |name: &str| all.iter().find(|entry| entry.0 == name).unwrap().2;
        assert_eq!((kind("link"), kind("sub"), kind("file-007")), (7, 3, 4));
        // Any buffer that holds one entry gives the same.
        for room in [32, 33, 57, 100, 1000] {
            assert_eq!(s.readdir(dir, room).unwrap(), all, "{room}");
        }
        // Too small for one: cut anywhere, exactly full.
        for room in [0, 1, 23, 24, 25] {
            assert_eq!(s.readdir_raw(dir, room, 0).unwrap().len(), room as usize);
        }
        // Cookies stay valid while the folder changes; cookie 0 looks again.
        for (number, entry) in all.iter().enumerate().skip(2).step_by(2) {
            if entry.2 == 4 {
                std::fs::remove_file(s.host("d").join(&entry.0)).unwrap();
            }
            let raw = s.readdir_raw(dir, 60, number as u64).unwrap();
            assert_eq!(raw[24..24 + entry.0.len()], *entry.0.as_bytes());
        }
        assert!(s.readdir(dir, 4096).unwrap().len() < 200);
        assert_eq!(s.readdir_raw(dir, 60, 100_000), Ok(vec![]));
        assert_eq!(s.readdir_raw(dir, 60, u64::MAX), Ok(vec![]));
        assert_eq!(s.readdir_raw(0, 60, 0), Err(Errno::Badf));
        assert_eq!(s.readdir_raw(99, 60, 0), Err(Errno::Badf));
        let got = s.call(|p, m| wasi::fd_readdir(p, m, ROOT as i32, SIZE as i32 - 8, 99, 0, 64));
        assert_eq!(got, Err(Errno::Fault));
        // Inode numbers agree with filestat.
        let ino = u64::from_le_bytes(
            s.readdir_raw(dir, 24, 0).unwrap()[8..16]
                .try_into()
                .unwrap(),
        );
        assert_eq!(s.fstat(dir).unwrap().ino, ino);
    });
}

#[test]
fn standard_streams() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (input, mut feed) = std::io::pipe().unwrap();
    let error = writer.try_clone().unwrap();
    let stdio = Stdio::Given([input.into(), writer.into(), error.into()]);
    let mut s = Sandbox::bare(ProcessBuilder::new().stdio(stdio));
    std::io::Write::write_all(&mut feed, b"in").unwrap();
    assert_eq!(s.read(0, 10), Ok(b"in".to_vec()));
    drop(feed);
    assert_eq!(s.read(0, 10), Ok(vec![]));
    assert_eq!(s.write(1, b"out "), Ok(4));
    assert_eq!(s.write(2, b"err"), Ok(3));
    assert_eq!(s.write(0, b"x"), Err(Errno::Badf));
    assert_eq!(s.read(1, 1), Err(Errno::Badf));
    assert_eq!(s.seek(0, 0, 1), Err(Errno::Spipe));
    assert_eq!(s.call(|p, m| wasi::fd_tell(p, m, 1, 64)), Err(Errno::Spipe));
    assert_eq!(s.pread(0, 1, 0), Err(Errno::Spipe));
    assert_eq!(s.pwrite(1, b"x", 0), Err(Errno::Spipe));
    assert_eq!(
        s.fdstat(0).unwrap().fs_filetype,
        Filetype::Unknown,
        "preview 1 has no FIFO"
    );
    assert_eq!(s.close(1), Ok(()));
    assert_eq!(s.close(2), Ok(()));
    let mut all = String::new();
    std::io::Read::read_to_string(&mut reader, &mut all).unwrap();
    assert_eq!(all, "out err");

    let (reader, writer) = std::io::pipe().unwrap();
    let copy = || writer.try_clone().unwrap().into();
    let stdio = Stdio::Given([copy(), copy(), copy()]);
    drop(reader); // Rust ignores SIGPIPE, as the launcher does.
    let mut s = Sandbox::bare(ProcessBuilder::new().stdio(stdio));
    assert_eq!(s.write(1, b"x"), Err(Errno::Pipe));
}
