//! Hostile arguments: every function with pointers that lead out of memory, and thousands of
//! random calls over random memory. The property: an errno comes back, nothing panics, nothing
//! outside the sandbox changes.

use super::*;

/// A function with all arguments as 64-bit numbers.
type Any = fn(&mut Process, &mut GuestMemory<'_>, &[i64]) -> wiggle::error::Result<i32>;

macro_rules! any {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        /// All functions but `proc_exit`, with their numbers of arguments.
        const ALL: &[(&str, usize, Any)] = &[$((
            stringify!($name),
            <[&str]>::len(&[$(stringify!($arg)),*]),
            |p, m, args| {
                let mut _args = args.iter();
                $(let $arg = *_args.next().unwrap() as $type;)*
                wasi::$name(p, m, $($arg),*)
            },
        )),*];
    };
}

any! {
    args_get(a: i32, b: i32);
    args_sizes_get(a: i32, b: i32);
    environ_get(a: i32, b: i32);
    environ_sizes_get(a: i32, b: i32);
    clock_res_get(a: i32, b: i32);
    clock_time_get(a: i32, b: i64, c: i32);
    fd_advise(a: i32, b: i64, c: i64, d: i32);
    fd_allocate(a: i32, b: i64, c: i64);
    fd_close(a: i32);
    fd_datasync(a: i32);
    fd_fdstat_get(a: i32, b: i32);
    fd_fdstat_set_flags(a: i32, b: i32);
    fd_fdstat_set_rights(a: i32, b: i64, c: i64);
    fd_filestat_get(a: i32, b: i32);
    fd_filestat_set_size(a: i32, b: i64);
    fd_filestat_set_times(a: i32, b: i64, c: i64, d: i32);
    fd_pread(a: i32, b: i32, c: i32, d: i64, e: i32);
    fd_prestat_get(a: i32, b: i32);
    fd_prestat_dir_name(a: i32, b: i32, c: i32);
    fd_pwrite(a: i32, b: i32, c: i32, d: i64, e: i32);
    fd_read(a: i32, b: i32, c: i32, d: i32);
    fd_readdir(a: i32, b: i32, c: i32, d: i64, e: i32);
    fd_renumber(a: i32, b: i32);
    fd_seek(a: i32, b: i64, c: i32, d: i32);
    fd_sync(a: i32);
    fd_tell(a: i32, b: i32);
    fd_write(a: i32, b: i32, c: i32, d: i32);
    path_create_directory(a: i32, b: i32, c: i32);
    path_filestat_get(a: i32, b: i32, c: i32, d: i32, e: i32);
    path_filestat_set_times(a: i32, b: i32, c: i32, d: i32, e: i64, f: i64, g: i32);
    path_link(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32);
    path_open(a: i32, b: i32, c: i32, d: i32, e: i32, f: i64, g: i64, h: i32, i: i32);
    path_readlink(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32);
    path_remove_directory(a: i32, b: i32, c: i32);
    path_rename(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32);
    path_symlink(a: i32, b: i32, c: i32, d: i32, e: i32);
    path_unlink_file(a: i32, b: i32, c: i32);
    poll_oneoff(a: i32, b: i32, c: i32, d: i32);
    proc_raise(a: i32);
    sched_yield();
    random_get(a: i32, b: i32);
    sock_accept(a: i32, b: i32, c: i32);
    sock_recv(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32);
    sock_send(a: i32, b: i32, c: i32, d: i32, e: i32);
    sock_shutdown(a: i32, b: i32);
}

/// Every argument that is a pointer leads out of memory in turn, the others being fine: FAULT, or
/// INVAL where the pointer is not aligned either.
#[test]
fn pointers_out_of_memory() {
    assert_eq!(ALL.len(), 45);
    // For each function that takes pointers: good arguments, and which are pointers. `P` is a
    // good pointer to zeros, `f` a file, `3` the root, `N` the path "n" of length 1.
    const P: i64 = 512;
    const N: i64 = 800;
    let cases: &[(&str, &[i64], &[usize])] = &[
        ("args_get", &[P, P], &[0, 1]),
        ("args_sizes_get", &[P, P], &[0, 1]),
        ("environ_get", &[P, P], &[0, 1]),
        ("environ_sizes_get", &[P, P], &[0, 1]),
        ("clock_res_get", &[0, P], &[1]),
        ("clock_time_get", &[0, 0, P], &[2]),
        ("fd_fdstat_get", &[4, P], &[1]),
        ("fd_filestat_get", &[4, P], &[1]),
        ("fd_pread", &[4, P, 1, 0, P], &[1, 4]),
        ("fd_prestat_get", &[3, P], &[1]),
        ("fd_prestat_dir_name", &[3, P, 1], &[1]),
        ("fd_pwrite", &[4, P, 1, 0, P], &[1, 4]),
        ("fd_read", &[4, P, 1, P], &[1, 3]),
        ("fd_readdir", &[3, P, 99, 0, P], &[1, 4]),
        ("fd_seek", &[4, 0, 0, P], &[3]),
        ("fd_tell", &[4, P], &[1]),
        ("fd_write", &[4, P, 1, P], &[1, 3]),
        ("path_create_directory", &[3, N, 1], &[1]),
        ("path_filestat_get", &[3, 0, N, 1, P], &[2, 4]),
        ("path_filestat_set_times", &[3, 0, N, 1, 0, 0, 0], &[2]),
        ("path_link", &[3, 0, N, 1, 3, N, 1], &[2, 5]),
        ("path_open", &[3, 0, N, 1, 0, 2, 0, 0, P], &[2, 8]),
        ("path_readlink", &[3, N + 8, 1, P, 9, P], &[1, 3, 5]),
        ("path_remove_directory", &[3, N, 1], &[1]),
        ("path_rename", &[3, N, 1, 3, N, 1], &[1, 4]),
        ("path_symlink", &[N, 1, 3, N, 1], &[0, 3]),
        ("path_unlink_file", &[3, N, 1], &[1]),
        ("poll_oneoff", &[P, P, 1, P], &[0, 1, 3]),
        ("random_get", &[P, 9], &[0]),
        ("sock_accept", &[5, 0, P], &[2]),
        ("sock_recv", &[6, P, 1, 0, P, P], &[1, 4, 5]),
        ("sock_send", &[6, P, 1, 0, P], &[1, 4]),
    ];
    for (name, good, pointers) in cases {
        for pointer in *pointers {
            for bad in [SIZE as i64, -1, i64::from(i32::MIN), -8] {
                both_with(
                    |builder| builder.args(vec![b"a".to_vec()]).env(vec![b"A=1".to_vec()]),
                    |s| {
                        prepare(s);
                        let mut args = good.to_vec();
                        args[*pointer] = bad;
                        let function = ALL.iter().find(|(n, ..)| n == name).unwrap().2;
                        let got = s.call(|p, m| function(p, m, &args));
                        let expected = matches!(got, Err(Errno::Fault))
                            || bad == -1 && got == Err(Errno::Inval);
                        assert!(expected, "{name} argument {pointer} = {bad}: {got:?}");
                    },
                );
            }
        }
    }
}

/// A file as descriptor 4, a listening socket with a client as 5, a stream with data as 6; `n`, a
/// file, named at 800, and `l`, a link, named at 808.
fn prepare(s: &mut Sandbox) {
    use crate::fs::table::{Descriptor, HostFd, Object};
    std::fs::write(s.host("n"), b"content").unwrap();
    s.symlink("n", ROOT, "l").unwrap();
    assert_eq!(s.open(ROOT, "n", WRITE), Ok(4));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    std::io::Write::write_all(&mut ours, b"data").unwrap();
    for fd in [
        OwnedFd::from(listener),
        theirs.into(),
        client.into(),
        ours.into(),
    ] {
        let object = Object::File(HostFd::Owned(fd));
        s.process
            .files
            .table
            .insert(Descriptor::new(object))
            .unwrap();
    }
    s.memory.0[800] = b'n';
    s.memory.0[808] = b'l';
}

/// A small generator, so that a failure can be repeated from its seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An argument: mostly something that gets past the first checks.
    fn argument(&mut self) -> i64 {
        match self.below(10) {
            0 => self.next() as i64,
            1 => [-1, i64::MIN, i64::MAX, i64::from(i32::MIN), SIZE as i64][self.below(5) as usize],
            2..=4 => self.below(12) as i64,
            5 => 1 << self.below(32),
            _ => (self.below(SIZE as u64 / 8) * 8) as i64,
        }
    }
}

const NAMES: &[&str] = &[
    "n",
    "l",
    "d",
    "d/e",
    "d/f",
    "..",
    "../secret",
    "../secret/file",
    "evil",
    "evil/file",
    "evil/new",
    ".",
    "/",
    "/no/such",
    "d/../n",
    "new",
    ".vkernel",
    "deep/../../secret",
];

#[test]
fn random_calls() {
    for seed in 0..6 {
        both(|s| {
            prepare(s);
            std::fs::create_dir(s.host("d")).unwrap();
            std::os::unix::fs::symlink("../secret", s.host("evil")).unwrap();
            rounds(s, seed, 1500);
            let secret = s.dir.path().join("secret");
            assert_eq!(
                std::fs::read_to_string(secret.join("file")).unwrap(),
                SECRET
            );
            assert_eq!(std::fs::read_dir(secret).unwrap().count(), 1);
            assert_eq!(std::fs::read_dir(s.dir.path()).unwrap().count(), 2);
        });
    }
}

#[test]
fn random_calls_on_a_tree() {
    for seed in 0..4 {
        let mut s = trees::sandbox();
        s.memory.0[800] = b'l';
        s.memory.0[808] = b'p';
        rounds(&mut s, 100 + seed, 1500);
    }
}

fn rounds(s: &mut Sandbox, seed: u64, count: usize) {
    let mut random = Random(seed);
    for round in 0..count {
        fill(s, &mut random);
        let (name, count, function) = ALL[random.below(45) as usize];
        let mut args: Vec<i64> = (0..count).map(|_| random.argument()).collect();
        steer(name, &mut args, &mut random);
        let mut memory = GuestMemory::Unshared(&mut s.memory.0);
        let got = function(&mut s.process, &mut memory, &args);
        let errno = got.unwrap_or_else(|e| panic!("{seed} {round} {name} {args:?}: {e}"));
        assert!(Errno::try_from(errno).is_ok(), "{name}: {errno}");
    }
}

/// Random memory, with names and small numbers strewn in.
fn fill(s: &mut Sandbox, random: &mut Random) {
    for _ in 0..32 {
        let at = random.below(SIZE as u64 - 64) as usize & !7;
        let name = NAMES[random.below(NAMES.len() as u64) as usize];
        s.memory.0[at..at + name.len()].copy_from_slice(name.as_bytes());
        let at = random.below(SIZE as u64 - 64) as usize & !7;
        let word = random.argument() as u32;
        s.memory.0[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
}

/// Makes calls meaningful more often than chance would, and keeps them from waiting for long.
fn steer(name: &str, args: &mut [i64], random: &mut Random) {
    if name.starts_with("path_") && random.below(4) > 0 {
        // The first pointer and length: a name with its true length is in memory at 800 or 808.
        let at = match name {
            "path_symlink" => 0,
            "path_filestat_get" | "path_filestat_set_times" | "path_link" | "path_open" => 2,
            _ => 1,
        };
        args[at] = if random.below(2) == 0 { 800 } else { 808 };
        args[at + 1] = 1;
        args[if at == 0 { 2 } else { 0 }] = 3;
    }
    match name {
        // Sparse files stay small, and the root stays open.
        "fd_allocate" => args[2] &= 0xffff,
        "fd_filestat_set_size" => args[1] &= 0xf_ffff,
        "fd_close" if args[0] == 3 => args[0] = 99,
        "fd_renumber" if args[..2].contains(&3) => args[0] = 99,
        "poll_oneoff" => args[2] = 0,
        _ => {}
    }
    if name == "fd_allocate" {
        args[1] &= 0xffff;
    }
    if name == "fd_pwrite" {
        args[3] &= 0xff_ffff;
    }
}
