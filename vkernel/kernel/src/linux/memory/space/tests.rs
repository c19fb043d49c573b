//! Maps, and that nothing that a guest asks for leaves a hole in the reservation.

use super::{super::guest, *};

const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

fn space(limit: u64) -> Space {
    Space::new(guest::tests::memory(16 * 4096), 16 * 4096, limit)
}

fn protect(space: &Space, address: u32, len: u32, protection: i32) -> Result<i64, Errno> {
    space.over(address, len, libc::SYS_mprotect, protection.into())
}

fn anywhere(space: &Space, len: u32) -> Result<u32, Errno> {
    space.map(0, len, RW, PRIVATE, -1, 0)
}

#[test]
fn maps_are_zero_writable_and_gone_after_munmap() {
    let space = space(u64::MAX);
    let a = anywhere(&space, 5000).unwrap();
    let b = anywhere(&space, 4096).unwrap();
    assert_eq!(b, a + 8192);
    space.memory().write(a + 8000, b"x").unwrap();
    space.unmap(a, 8192).unwrap();
    assert_eq!(space.memory().array::<1>(a + 8000), Err(Errno::FAULT));
    // The lowest gap is taken again, and is zero.
    assert_eq!(anywhere(&space, 100), Ok(a));
    assert_eq!(space.memory().array::<1>(a), Ok([0]));
}

#[test]
fn growing_keeps_contents() {
    let space = space(u64::MAX);
    let a = anywhere(&space, 4096).unwrap();
    space.memory().write(a, b"kept").unwrap();
    assert_eq!(space.remap(a, 4096, 8192, 0, 0), Ok(a));
    let _wall = anywhere(&space, 4096).unwrap();
    assert_eq!(space.remap(a, 8192, 12288, 0, 0), Err(Errno::NOMEM));
    let b = space
        .remap(a, 8192, 12288, libc::MREMAP_MAYMOVE, 0)
        .unwrap();
    assert_ne!(a, b);
    assert_eq!(space.memory().array(b), Ok(*b"kept"));
    space.memory().write(b + 12000, b"x").unwrap();
    assert_eq!(space.memory().array::<1>(a), Err(Errno::FAULT));
    assert_eq!(space.remap(b, 12288, 4096, 0, 0), Ok(b));
    assert_eq!(space.memory().array::<1>(b + 4096), Err(Errno::FAULT));
}

#[test]
fn shared_memory_grows_by_moving() {
    let space = space(u64::MAX);
    let shared = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let a = space.map(0, 8192, RW, shared, -1, 0).unwrap();
    space.memory().write(a, b"kept").unwrap();
    assert_eq!(space.remap(a, 4096, 8192, 0, 0), Err(Errno::NOMEM));
    let b = space.remap(a, 4096, 8192, libc::MREMAP_MAYMOVE, 0).unwrap();
    assert_ne!(a, b);
    assert_eq!(space.memory().array(b), Ok(*b"kept"));
    space.memory().write(b + 5000, b"x").unwrap();
    assert_eq!(space.memory().array(a + 5000), Ok(*b"x"));
    assert_eq!(space.memory().array::<1>(a), Err(Errno::FAULT));
}

#[test]
fn writes_through_null_pointers_fault() {
    let space = space(u64::MAX);
    space.memory().write(100, b"x").unwrap();
    space.protect_first().unwrap();
    assert_eq!(space.memory().array::<1>(100), Ok(*b"x"));
    assert_eq!(space.memory().write(100, b"y"), Err(Errno::FAULT));
    space.memory().write(4096, b"y").unwrap();
}

#[test]
fn bad_ranges_and_the_limit() {
    let space = space(32 * 4096);
    assert_eq!(anywhere(&space, 0), Err(Errno::INVAL));
    assert_eq!(anywhere(&space, 17 * 4096), Err(Errno::NOMEM));
    assert_eq!(anywhere(&space, u32::MAX), Err(Errno::NOMEM));
    assert_eq!(space.unmap(1, 4096), Err(Errno::INVAL));
    assert_eq!(space.unmap(u32::MAX - 4095, 8192), Err(Errno::INVAL));
    let fixed = PRIVATE | libc::MAP_FIXED;
    assert_eq!(space.map(1, 1, RW, fixed, -1, 0), Err(Errno::INVAL));
    let top = u32::MAX - 4095;
    assert_eq!(space.map(top, 4096, RW, fixed, -1, 0), Ok(top));
    assert_eq!(space.map(top, 8192, RW, fixed, -1, 0), Err(Errno::NOMEM));
    let careful = PRIVATE | libc::MAP_FIXED_NOREPLACE;
    assert_eq!(space.map(top, 4096, RW, careful, -1, 0), Err(Errno::EXIST));
    assert_eq!(protect(&space, top, 4096, libc::PROT_NONE), Ok(0));
    assert_eq!(protect(&space, top - 4096, 4096, RW), Err(Errno::NOMEM));
}

/// Whether every page of the guest's address space is mapped to something, by the host's own word.
fn is_whole(space: &Space) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let (mut at, end) = (space.at(0), space.at(END));
    for line in maps.lines() {
        let (range, _) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|n| u64::from_str_radix(n, 16).unwrap());
        if (from..to).contains(&at) {
            at = to;
        }
    }
    at >= end
}

#[test]
fn a_map_that_fails_leaves_no_hole() {
    use std::os::fd::AsRawFd;
    let space = space(u64::MAX);
    let file = |path: &str| std::fs::File::open(path).unwrap();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (pipe, _writer) = std::io::pipe().unwrap();
    let (version, maps, folder) = (file("/proc/version"), file("/proc/self/maps"), file("/"));
    let (null, program) = (file("/dev/null"), file("/proc/self/exe"));
    let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap();
    let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
    let at = anywhere(&space, 64 * 4096).unwrap();
    let free = at + (1 << 28);
    let descriptors = [
        socket.as_raw_fd(),
        listener.as_raw_fd(),
        pipe.as_raw_fd(),
        version.as_raw_fd(),
        maps.as_raw_fd(),
        folder.as_raw_fd(),
        null.as_raw_fd(),
        epoll.as_raw_fd(),
        event.as_raw_fd(),
        i32::MAX,
    ];
    for descriptor in descriptors {
        for (place, flags) in [(at, libc::MAP_PRIVATE), (free, libc::MAP_SHARED)] {
            let fixed = flags | libc::MAP_FIXED;
            let mapped = space.map(place, 4096, RW, fixed, descriptor, 0);
            assert!(mapped.is_err(), "{descriptor}: {mapped:?}");
            assert!(is_whole(&space), "{descriptor}");
        }
    }
    // An offset that is none, a file that may not be written, a type that is none.
    let fixed = libc::MAP_FIXED;
    let program = program.as_raw_fd();
    for (flags, offset) in [
        (libc::MAP_PRIVATE, 1),
        (libc::MAP_SHARED, 0),
        (0, 0),
        (libc::MAP_PRIVATE, i64::MIN),
    ] {
        assert!(
            space
                .map(at, 4096, RW, flags | fixed, program, offset)
                .is_err()
        );
        assert!(is_whole(&space));
    }
    // What was there is there.
    space.memory().write(at, b"x").unwrap();
    assert_eq!(
        space.map(
            at,
            4096,
            libc::PROT_READ,
            libc::MAP_PRIVATE | fixed,
            program,
            0
        ),
        Ok(at)
    );
    assert_eq!(space.memory().array(at), Ok(*b"\x7fELF"));
    assert!(is_whole(&space));
}

#[test]
fn more_than_the_host_has_leaves_no_hole() {
    let space = space(u64::MAX);
    let most = u32::MAX - (1 << 20);
    let _ = space.map(1 << 19, most, RW, PRIVATE | libc::MAP_FIXED, -1, 0);
    assert!(is_whole(&space));
    let _ = space.map(1 << 19, most, RW, PRIVATE | libc::MAP_FIXED, -1, 0);
    assert!(is_whole(&space));
}

#[test]
fn a_move_that_fails_leaves_no_hole() {
    let space = space(u64::MAX);
    let a = anywhere(&space, 4 * 4096).unwrap();
    let wall = anywhere(&space, 4 * 4096).unwrap();
    space.memory().write(a, b"kept").unwrap();
    // Two mappings of the host's.
    protect(&space, a + 4096, 4096, libc::PROT_READ).unwrap();
    let fixed = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let _ = space.remap(a, 4 * 4096, 4 * 4096, fixed, wall);
    assert!(is_whole(&space));
    let _ = space.remap(a, 4 * 4096, 8 * 4096, fixed, wall);
    assert!(is_whole(&space));
    // A private map of a file, a second time; and to a place that is none.
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let b = space.map(0, 4096, 1, libc::MAP_PRIVATE, number, 0).unwrap();
    assert_eq!(space.remap(b, 4096, 8192, 1, 0), Err(Errno::NOMEM));
    assert_eq!(space.remap(b, 4096, 4096, fixed, b), Err(Errno::INVAL));
    assert_eq!(space.remap(b, 4096, 4096, fixed, wall), Ok(wall));
    assert_eq!(space.memory().array(wall), Ok(*b"\x7fELF"));
    assert_eq!(space.memory().array::<1>(b), Err(Errno::FAULT));
    assert!(is_whole(&space));
}

#[test]
fn a_move_replaces_what_was_there_and_grows() {
    let space = space(u64::MAX);
    let a = anywhere(&space, 4096).unwrap();
    let b = anywhere(&space, 4 * 4096).unwrap();
    space.memory().write(a, b"kept").unwrap();
    space.memory().write(b + 5000, b"old").unwrap();
    let fixed = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    assert_eq!(space.remap(a, 4096, 3 * 4096, fixed, b), Ok(b));
    assert_eq!(space.memory().array(b), Ok(*b"kept"));
    assert_eq!(space.memory().array(b + 5000), Ok([0_u8; 3]));
    assert_eq!(space.memory().array::<1>(a), Err(Errno::FAULT));
    space.memory().write(b + 3 * 4096, b"x").unwrap();
    assert!(is_whole(&space));
}

#[test]
fn a_child_does_not_get_what_is_kept_back_and_has_no_hole() {
    let space = space(u64::MAX);
    let a = anywhere(&space, 8 * 4096).unwrap();
    space.memory().write(a, b"secret").unwrap();
    assert_eq!(space.keep_back(a, 64 * 4096, true), Err(Errno::NOMEM));
    space.keep_back(a, 2 * 4096, true).unwrap();
    space.keep_back(a + 4096, 4096, false).unwrap();
    // Moves take it along; what is mapped anew is as any other.
    let b = space.remap(a, 4096, 4096, 3, a + (1 << 24)).unwrap();
    // What the child does after its fork.
    space.after_fork().unwrap();
    assert_eq!(space.memory().array::<1>(b), Err(Errno::FAULT));
    space.memory().write(a + 4096, b"x").unwrap();
    assert!(is_whole(&space));
    assert_eq!(
        space.map(b, 4096, RW, PRIVATE | libc::MAP_FIXED, -1, 0),
        Ok(b)
    );
    space.after_fork().unwrap();
    space.memory().write(b, b"x").unwrap();
}

#[test]
fn what_is_shared_is_not_made_private() {
    let space = space(u64::MAX);
    let anonymous = libc::MAP_ANONYMOUS;
    let a = space.map(0, 4096, RW, libc::MAP_SHARED | anonymous, -1, 0);
    // What is shared can be mapped twice, and so grows by moving only.
    let a = a.unwrap();
    assert_eq!(space.remap(a, 4096, 8192, 0, 0), Err(Errno::NOMEM));
    assert!(space.remap(a, 4096, 8192, libc::MREMAP_MAYMOVE, 0).is_ok());
    // It has the bits of both kinds, and is for files.
    let validated = libc::MAP_SHARED_VALIDATE | anonymous;
    assert_eq!(space.map(0, 4096, RW, validated, -1, 0), Err(Errno::INVAL));
    assert_eq!(space.map(0, 4096, RW, anonymous, -1, 0), Err(Errno::INVAL));
}
