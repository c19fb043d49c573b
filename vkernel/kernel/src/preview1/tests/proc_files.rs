//! procfs and devices inside a root: the host's own `/` is the root here, as in a container.

use super::*;

/// A sandbox whose root is the host's.
fn host_root(test: impl Fn(&mut Sandbox)) {
    for walk in [false, true] {
        let builder = builder()
            .mount(Mount::Root(open_dir(Path::new("/"))))
            .without_openat2(walk);
        test(&mut Sandbox::bare(builder));
    }
}

#[test]
fn magic_links_are_not_followed() {
    host_root(|s| {
        let pid = std::process::id();
        let mut check = |path: &str| {
            assert_eq!(s.open(ROOT, path, READ), Err(Errno::Loop), "{path}");
            assert_eq!(s.stat(ROOT, path, true).err(), Some(Errno::Loop), "{path}");
            let inside = format!("{path}/etc/passwd");
            assert_eq!(s.open(ROOT, &inside, READ), Err(Errno::Loop), "{inside}");
            assert_eq!(s.readlink(ROOT, path, 99), Err(Errno::Acces), "{path}");
        };
        for folder in ["self".to_owned(), "thread-self".to_owned(), pid.to_string()] {
            for link in ["root", "cwd", "exe", "fd/0", "fd/1", "ns/mnt"] {
                check(&format!("proc/{folder}/{link}"));
            }
        }
        check(&format!("proc/self/task/{pid}/root"));
        // Ordinary links there work.
        assert_eq!(s.readlink(ROOT, "proc/self", 99), Ok(pid.to_string()));
        assert!(s.open(ROOT, "proc/self/status", READ).is_ok());
    });
}

#[test]
fn memory_is_out_of_reach() {
    host_root(|s| {
        for name in [
            "mem",
            "maps",
            "smaps",
            "pagemap",
            "syscall",
            "stack",
            "auxv",
            "numa_maps",
        ] {
            for how in [READ, WRITE] {
                let path = format!("proc/self/{name}");
                let got = s.open(ROOT, &path, how);
                // Some are missing, depending on how the kernel was built.
                assert!(
                    matches!(got, Err(Errno::Acces | Errno::Noent)),
                    "{path}: {got:?}"
                );
            }
        }
        assert_eq!(s.open(ROOT, "proc/self/mem", READ), Err(Errno::Acces));
        assert_eq!(
            s.open(ROOT, "proc/self/map_files", FOLDER),
            Err(Errno::Acces)
        );
        let dir = s.open(ROOT, "proc/self", FOLDER).unwrap();
        assert_eq!(s.open(dir, "mem", WRITE), Err(Errno::Acces));
        assert_eq!(s.open(dir, "task/../mem", READ), Err(Errno::Acces));
    });
}

#[test]
fn pseudo_file_systems_are_not_written() {
    host_root(|s| {
        for path in [
            "proc/self/comm",
            "proc/self/oom_score_adj",
            "proc/sys/kernel/hostname",
            "proc/self/attr/current",
            "sys/kernel/mm/transparent_hugepage/enabled",
        ] {
            for how in [
                WRITE,
                NEW,
                Open {
                    oflags: TRUNC,
                    ..READ
                },
            ] {
                let got = s.open(ROOT, path, how);
                assert!(
                    matches!(got, Err(Errno::Acces | Errno::Noent)),
                    "{path}: {got:?}"
                );
            }
        }
        assert_eq!(s.open(ROOT, "proc/self/comm", WRITE), Err(Errno::Acces));
        assert!(s.open(ROOT, "proc/self/comm", READ).is_ok());
        assert_eq!(s.mkdir(ROOT, "proc/x"), Err(Errno::Acces));
        assert_eq!(s.open(ROOT, "proc/x", NEW), Err(Errno::Acces));
        assert_eq!(s.unlink(ROOT, "proc/version"), Err(Errno::Acces));
        assert_eq!(
            s.set_times(ROOT, "proc/version", (1, 1), 5),
            Err(Errno::Acces)
        );
    });
}

#[test]
fn devices() {
    host_root(|s| {
        for path in [
            "dev/null",
            "dev/zero",
            "dev/full",
            "dev/random",
            "dev/urandom",
        ] {
            let fd = s.open(ROOT, path, WRITE).unwrap();
            s.close(fd).unwrap();
        }
        let zero = s.open(ROOT, "dev/zero", READ).unwrap();
        assert_eq!(s.read(zero, 3), Ok(vec![0; 3]));
        let full = s.open(ROOT, "dev/full", WRITE).unwrap();
        assert_eq!(s.write(full, b"x"), Err(Errno::Nospc));
        for path in [
            "dev/mem", "dev/kmsg", "dev/port", "dev/ptmx", "dev/fuse", "dev/kvm", "dev/vda",
        ] {
            for how in [READ, WRITE] {
                let got = s.open(ROOT, path, how);
                assert!(
                    matches!(got, Err(Errno::Acces | Errno::Noent)),
                    "{path}: {got:?}"
                );
            }
        }
    });
}

/// A device node under another name is still the device.
#[test]
fn devices_are_known_by_number() {
    both(|s| {
        let device = rustix::fs::makedev(1, 11);
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            s.host("innocent"),
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::Mode::from_raw_mode(0o666),
            device,
        );
        if made.is_err() {
            println!("not allowed to make devices here");
            return;
        }
        assert_eq!(s.open(ROOT, "innocent", READ), Err(Errno::Acces));
        assert!(s.stat(ROOT, "innocent", true).is_ok());
    });
}

#[test]
fn standard_streams_by_path() {
    host_root(|s| {
        if std::fs::read_link("/dev/stdin").is_err() {
            println!("this host has no /dev/stdin");
            return;
        }
        // Standard input is /dev/null in these tests.
        let fd = s.open(ROOT, "dev/stdin", READ).unwrap();
        assert_eq!(s.read(fd, 10), Ok(vec![]));
        assert_eq!(s.write(1, b"x"), Ok(1));
        s.close(1).unwrap();
        assert_eq!(s.open(ROOT, "dev/stdout", WRITE), Err(Errno::Noent));
        assert_eq!(s.open(ROOT, "dev/fd/0", READ), Err(Errno::Loop));
    });
}
