//! Calls without files: arguments, environment, clocks, randomness, ends, the working directory.

use megabinary_format::{Limit, Limits};

use super::*;
use crate::{ProcessExit, Source, preview1::cwd_get};

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn arguments_and_environment() {
    let mut s = Sandbox::bare(
        builder()
            .args(words(&["prog", "", "-x"]))
            .env(words(&["A=1", "B=", "C=x=y"])),
    );
    s.call(|p, m| wasi::args_sizes_get(p, m, 0, 4)).unwrap();
    assert_eq!((s.load::<u32>(0), s.load::<u32>(4)), (3, 9));
    s.call(|p, m| wasi::args_get(p, m, 0, 100)).unwrap();
    assert_eq!([s.load::<u32>(0), s.load(4), s.load(8)], [100, 105, 106]);
    assert_eq!(s.bytes(100, 9), b"prog\0\0-x\0");

    s.call(|p, m| wasi::environ_sizes_get(p, m, 0, 4)).unwrap();
    assert_eq!((s.load::<u32>(0), s.load::<u32>(4)), (3, 13));
    s.call(|p, m| wasi::environ_get(p, m, 0, 100)).unwrap();
    assert_eq!(s.bytes(100, 13), b"A=1\0B=\0C=x=y\0");

    let near_end = SIZE as i32 - 4;
    for (table, block) in [(SIZE as i32, 0), (0, near_end), (-4, 0), (0, -1)] {
        let got = s.call(|p, m| wasi::args_get(p, m, table, block));
        assert_eq!(got, Err(Errno::Fault), "{table} {block}");
        let got = s.call(|p, m| wasi::environ_get(p, m, table, block));
        assert_eq!(got, Err(Errno::Fault), "{table} {block}");
    }
    let got = s.call(|p, m| wasi::args_sizes_get(p, m, 0, -1));
    assert_eq!(got, Err(Errno::Fault));
    let got = s.call(|p, m| wasi::environ_sizes_get(p, m, 2, 4));
    assert_eq!(got, Err(Errno::Inval), "not aligned");
}

#[test]
fn clocks() {
    let mut s = Sandbox::bare(builder());
    for id in 0..4 {
        s.call(|p, m| wasi::clock_res_get(p, m, id, 8)).unwrap();
        assert!(s.load::<u64>(8) > 0);
        s.call(|p, m| wasi::clock_time_get(p, m, id, 0, 8)).unwrap();
        let first = s.load::<u64>(8);
        s.call(|p, m| wasi::clock_time_get(p, m, id, 0, 8)).unwrap();
        assert!(s.load::<u64>(8) >= first && first > 0, "clock {id}");
    }
    for id in [4, -1] {
        let got = s.call(|p, m| wasi::clock_time_get(p, m, id, 0, 8));
        assert_eq!(got, Err(Errno::Inval));
        let got = s.call(|p, m| wasi::clock_res_get(p, m, id, 8));
        assert_eq!(got, Err(Errno::Inval));
    }
    let got = s.call(|p, m| wasi::clock_time_get(p, m, 0, 0, SIZE as i32));
    assert_eq!(got, Err(Errno::Fault));
}

#[test]
fn fixed_source() {
    let run = || {
        let source = Source::Fixed {
            seed: 42,
            time_ns: 1_000_000_000,
        };
        let mut s = Sandbox::bare(builder().source(source));
        s.call(|p, m| wasi::random_get(p, m, 256, 19)).unwrap();
        s.call(|p, m| wasi::clock_time_get(p, m, 0, 0, 8)).unwrap();
        let time = s.load::<u64>(8);
        // Nothing of the host's files either.
        let stat = s.fstat(0).unwrap();
        assert_eq!((stat.dev, stat.ino), (1, 1));
        assert_eq!((stat.atim, stat.mtim, stat.ctim), (0, 0, 0));
        (s.bytes(256, 20), time)
    };
    assert_eq!(run(), run());
    assert_eq!(run().1, 1_000_001_000);
}

#[test]
fn randomness() {
    let mut s = Sandbox::bare(builder());
    s.call(|p, m| wasi::random_get(p, m, 256, 64)).unwrap();
    let first = s.bytes(256, 65);
    assert_ne!(first, [0; 65]);
    assert_eq!(first[64], 0, "one too many");
    s.call(|p, m| wasi::random_get(p, m, SIZE as i32, 0))
        .unwrap();
    for (at, len) in [(0, SIZE as i32 + 1), (SIZE as i32, 1), (-1, 1), (0, -1)] {
        let got = s.call(|p, m| wasi::random_get(p, m, at, len));
        assert_eq!(got, Err(Errno::Fault));
    }
}

#[test]
fn randomness_in_shared_memory() {
    let mut process = builder().build().unwrap();
    let cells: Vec<std::cell::UnsafeCell<u8>> = (0..1024).map(|_| 0.into()).collect();
    let mut memory = GuestMemory::Shared(&cells);
    outcome(wasi::random_get(&mut process, &mut memory, 0, 1000)).unwrap();
    let all = memory
        .to_vec(GuestPtr::<u8>::new(0).as_array(1024))
        .unwrap();
    assert!(all[700..1000].iter().any(|b| *b != 0));
    assert_eq!(all[1000..], [0; 24]);
    let got = outcome(wasi::random_get(&mut process, &mut memory, 512, 513));
    assert_eq!(got, Err(Errno::Fault));
}

#[test]
fn ends() {
    let mut s = Sandbox::bare(builder());
    for status in [0, 1, 125, 255, -1] {
        let mut memory = GuestMemory::Unshared(&mut s.memory.0);
        let error = wasi::proc_exit(&mut s.process, &mut memory, status).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&ProcessExit(status)));
    }
    assert_eq!(s.call(|p, m| wasi::proc_raise(p, m, 2)), Err(Errno::Notsup));
    assert_eq!(s.call(|p, m| wasi::proc_raise(p, m, 99)), Err(Errno::Inval));
    assert_eq!(s.call(wasi::sched_yield), Ok(()));
}

#[test]
fn working_directory() {
    let mut s = Sandbox::bare(builder().cwd("/srv//app/."));
    let mut get = |at, len| {
        let mut memory = GuestMemory::Unshared(&mut s.memory.0);
        cwd_get(&mut s.process, &mut memory, at, len)
    };
    assert_eq!(get(8, 100), 8);
    assert_eq!(get(100, 7), 8, "too small");
    assert_eq!(get(-1, 100), -21);
    assert_eq!(get(SIZE as i32 - 7, 8), -21);
    assert_eq!(s.bytes(8, 9), b"/srv/app\0");
    assert_eq!(
        s.bytes(100, 1),
        [0],
        "nothing is written when it does not fit"
    );
}

#[test]
fn builder_refuses() {
    use crate::BuildError;
    let check = |builder: ProcessBuilder, expected: fn(&BuildError) -> bool| {
        let error = builder.build().unwrap_err();
        assert!(expected(&error), "{error:?}");
    };
    check(builder().args(words(&["a\0"])), |e| {
        matches!(e, BuildError::Nul { number: 0, .. })
    });
    check(builder().env(words(&["A=1", "B"])), |e| {
        matches!(e, BuildError::Environment(1))
    });
    check(builder().cwd("app"), |e| {
        matches!(e, BuildError::Path { .. })
    });
    check(
        builder().mount(Mount::Root(File::open("/dev/null").unwrap().into())),
        |e| matches!(e, BuildError::NotAFolder(_)),
    );
    let dir = tempfile::tempdir().unwrap();
    let root = || Mount::Root(open_dir(dir.path()));
    check(builder().mount(root()).mount(root()), |e| {
        matches!(e, BuildError::Twice(_))
    });
    let few = Policy {
        limits: Limits::default().with(Limit::OpenFiles, 3),
        ..Policy::default()
    };
    check(builder().mount(root()).policy(few), |e| {
        matches!(e, BuildError::TooMany(_))
    });
    fn is_send<T: Send>(_: &T) {}
    is_send(&builder().build().unwrap());
}
