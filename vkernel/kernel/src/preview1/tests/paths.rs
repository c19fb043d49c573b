//! `path_*`: what each does, and its errnos. What must not be reached is in `escape`.

use megabinary_format::{Limit, Limits};

use super::*;
use crate::preview1::types::Filetype;

#[test]
fn opening() {
    both(|s| {
        std::fs::create_dir_all(s.host("d/e")).unwrap();
        std::fs::write(s.host("d/f"), b"content").unwrap();
        s.symlink("d/f", ROOT, "link").unwrap();
        s.symlink("nowhere", ROOT, "dangling").unwrap();
        s.symlink("loop", ROOT, "loop").unwrap();
        s.symlink("d", ROOT, "dlink").unwrap();
        let mut check = |path: &str, how: Open, expected: Outcome<()>| {
            let got = s.open(ROOT, path, how);
            if let Ok(fd) = got {
                s.close(fd).unwrap();
            }
            assert_eq!(got.map(drop), expected, "{path}");
        };
        for path in ["d/f", "d//f", "./d/./f", "d/e/../f", "link", "dlink/f"] {
            check(path, READ, Ok(()));
            check(path, WRITE, Ok(()));
        }
        for path in [".", "d", "d/", "d/.", "d/e/..", "dlink", "dlink/"] {
            check(path, READ, Ok(()));
            check(path, FOLDER, Ok(()));
            check(path, WRITE, Err(Errno::Isdir));
            check(path, NEW, Err(Errno::Isdir));
        }
        check("d/f/", READ, Err(Errno::Notdir));
        check("d/f/x", READ, Err(Errno::Notdir));
        check("d/f/..", READ, Err(Errno::Notdir));
        check("d/f", FOLDER, Err(Errno::Notdir));
        check("link", FOLDER, Err(Errno::Notdir));
        check("none", READ, Err(Errno::Noent));
        check("none/x", READ, Err(Errno::Noent));
        check("none/x", NEW, Err(Errno::Noent));
        check("", READ, Err(Errno::Noent));
        check("", NEW, Err(Errno::Noent));
        check("/d/f", READ, Err(Errno::Perm));
        check("a\0b", READ, Err(Errno::Inval));
        check(&"n".repeat(255), READ, Err(Errno::Noent));
        check(&"n".repeat(256), READ, Err(Errno::Nametoolong));
        check(&"n".repeat(256), NEW, Err(Errno::Nametoolong));
        check(&"d/../".repeat(1000), READ, Err(Errno::Nametoolong));
        check("dangling", READ, Err(Errno::Noent));
        check("loop", READ, Err(Errno::Loop));
        check("loop/x", READ, Err(Errno::Loop));
        check("link", NOFOLLOW, Err(Errno::Loop));
        check("dlink", NOFOLLOW, Err(Errno::Loop));
        check("dlink/f", NOFOLLOW, Ok(()));
        check("dlink/", NOFOLLOW, Ok(()));
        check(
            "d/f",
            Open {
                oflags: CREAT | EXCL,
                ..WRITE
            },
            Err(Errno::Exist),
        );
        check(
            "dangling",
            Open {
                oflags: CREAT | EXCL,
                ..WRITE
            },
            Err(Errno::Exist),
        );
        check("new/", NEW, Err(Errno::Isdir));
        check(
            "d",
            Open {
                oflags: DIRECTORY | CREAT,
                ..READ
            },
            Err(Errno::Inval),
        );
        check(
            "d",
            Open {
                oflags: DIRECTORY | TRUNC,
                ..READ
            },
            Err(Errno::Inval),
        );
        check(
            "d",
            Open {
                oflags: DIRECTORY | EXCL,
                ..READ
            },
            Err(Errno::Inval),
        );
        check("d/f", Open { oflags: 16, ..READ }, Err(Errno::Inval));
        check("d/f", Open { lookup: 2, ..READ }, Err(Errno::Inval));
        check(
            "d/f",
            Open {
                fdflags: 32,
                ..READ
            },
            Err(Errno::Inval),
        );
        check(
            "d/f",
            Open {
                rights: 1 << 40,
                ..READ
            },
            Err(Errno::Inval),
        );
        assert_eq!(s.open(99, "d", READ), Err(Errno::Badf));
        assert_eq!(s.open(0, "d", READ), Err(Errno::Badf));
        let file = s.open(ROOT, "d/f", READ).unwrap();
        assert_eq!(s.open(file, "d", READ), Err(Errno::Notdir));
        let (at, _) = s.put(b"\xff\xfe");
        let got = s.call(|p, m| wasi::path_open(p, m, 3, 0, at, 2, 0, 2, 0, 0, 64));
        assert_eq!(got, Err(Errno::Ilseq));
    });
}

#[test]
fn creating() {
    both(|s| {
        s.mkdir(ROOT, "d").unwrap();
        s.symlink("d/target", ROOT, "dangling").unwrap();
        s.symlink("dangling", ROOT, "twice").unwrap();
        s.symlink("/d/abs", ROOT, "abs").unwrap();
        let fd = s.open(ROOT, "twice", NEW).unwrap();
        s.write(fd, b"through").unwrap();
        assert_eq!(std::fs::read(s.host("d/target")).unwrap(), b"through");
        s.open(ROOT, "abs", NEW).unwrap();
        assert!(s.host("d/abs").exists(), "absolute links are the root's");
        // Truncation, with and without.
        s.open(ROOT, "d/target", NEW).unwrap();
        assert_eq!(std::fs::read(s.host("d/target")).unwrap(), b"through");
        let truncate = Open {
            oflags: CREAT | TRUNC,
            ..WRITE
        };
        s.open(ROOT, "d/target", truncate).unwrap();
        assert_eq!(std::fs::read(s.host("d/target")).unwrap(), b"");
        let only_truncate = Open {
            oflags: TRUNC,
            ..READ
        };
        std::fs::write(s.host("t"), b"x").unwrap();
        s.open(ROOT, "t", only_truncate).unwrap();
        assert_eq!(std::fs::read(s.host("t")).unwrap(), b"");
        let exclusive = Open {
            oflags: CREAT | EXCL,
            ..WRITE
        };
        assert!(s.open(ROOT, "fresh", exclusive).is_ok());
        assert_eq!(s.open(ROOT, "fresh", exclusive), Err(Errno::Exist));
        // Without follow, a dangling link is in the way.
        s.symlink("void", ROOT, "lone").unwrap();
        let nofollow = Open { lookup: 0, ..NEW };
        assert_eq!(s.open(ROOT, "lone", nofollow), Err(Errno::Loop));
    });
}

#[test]
fn folders() {
    both(|s| {
        assert_eq!(s.mkdir(ROOT, "d"), Ok(()));
        assert_eq!(s.mkdir(ROOT, "d/e/"), Ok(()));
        assert_eq!(s.mkdir(ROOT, "d"), Err(Errno::Exist));
        assert_eq!(s.mkdir(ROOT, "."), Err(Errno::Exist));
        assert_eq!(
            s.mkdir(ROOT, ".."),
            Err(Errno::Exist),
            "the root's parent is the root"
        );
        assert_eq!(s.mkdir(ROOT, "x/y"), Err(Errno::Noent));
        assert_eq!(s.mkdir(ROOT, ""), Err(Errno::Noent));
        assert_eq!(s.mkdir(ROOT, "/x"), Err(Errno::Perm));
        assert_eq!(s.mkdir(99, "x"), Err(Errno::Badf));
        assert_eq!(s.mkdir(0, "x"), Err(Errno::Badf));
        std::fs::write(s.host("f"), b"").unwrap();
        assert_eq!(s.mkdir(ROOT, "f/x"), Err(Errno::Notdir));
        assert_eq!(s.rmdir(ROOT, "d"), Err(Errno::Notempty));
        assert_eq!(s.rmdir(ROOT, "f"), Err(Errno::Notdir));
        assert_eq!(s.rmdir(ROOT, "none"), Err(Errno::Noent));
        assert_eq!(s.rmdir(ROOT, "d/e/."), Err(Errno::Inval));
        assert_eq!(s.rmdir(ROOT, ""), Err(Errno::Noent));
        assert_eq!(s.rmdir(99, "d"), Err(Errno::Badf));
        assert_eq!(s.rmdir(ROOT, "d/e/"), Ok(()));
        s.symlink("d", ROOT, "link").unwrap();
        assert_eq!(s.rmdir(ROOT, "link"), Err(Errno::Notdir));
        assert_eq!(s.rmdir(ROOT, "link/"), Err(Errno::Notdir));
        assert_eq!(s.rmdir(ROOT, "d"), Ok(()));
    });
}

#[test]
fn unlinking() {
    both(|s| {
        s.mkdir(ROOT, "d").unwrap();
        std::fs::write(s.host("d/f"), b"").unwrap();
        s.symlink("d/f", ROOT, "link").unwrap();
        s.symlink("d", ROOT, "dlink").unwrap();
        assert_eq!(s.unlink(ROOT, "d"), Err(Errno::Isdir));
        assert_eq!(s.unlink(ROOT, "d/"), Err(Errno::Isdir));
        assert_eq!(s.unlink(ROOT, "."), Err(Errno::Isdir));
        assert_eq!(s.unlink(ROOT, "none"), Err(Errno::Noent));
        assert_eq!(s.unlink(ROOT, ""), Err(Errno::Noent));
        assert_eq!(s.unlink(ROOT, "d/f/"), Err(Errno::Notdir));
        assert_eq!(s.unlink(ROOT, "dlink/"), Err(Errno::Notdir));
        assert_eq!(s.unlink(99, "link"), Err(Errno::Badf));
        assert_eq!(
            s.unlink(ROOT, "link"),
            Ok(()),
            "the link, not what it names"
        );
        assert!(s.host("d/f").exists());
        assert_eq!(s.unlink(ROOT, "dlink/f"), Ok(()));
        assert!(!s.host("d/f").exists());
    });
}

#[test]
fn renaming() {
    both(|s| {
        s.mkdir(ROOT, "a").unwrap();
        s.mkdir(ROOT, "b").unwrap();
        std::fs::write(s.host("a/f"), b"f").unwrap();
        std::fs::write(s.host("g"), b"g").unwrap();
        let (a, b) = (
            s.open(ROOT, "a", FOLDER).unwrap(),
            s.open(ROOT, "b", FOLDER).unwrap(),
        );
        assert_eq!(s.rename(a, "f", b, "moved"), Ok(()));
        assert_eq!(
            s.rename(ROOT, "g", b, "moved"),
            Ok(()),
            "over an existing file"
        );
        assert_eq!(std::fs::read(s.host("b/moved")).unwrap(), b"g");
        assert_eq!(s.rename(ROOT, "none", ROOT, "x"), Err(Errno::Noent));
        assert_eq!(s.rename(ROOT, "", ROOT, "x"), Err(Errno::Noent));
        assert_eq!(s.rename(ROOT, "a", ROOT, ""), Err(Errno::Noent));
        assert_eq!(s.rename(ROOT, "a", ROOT, "a/inside"), Err(Errno::Inval));
        assert_eq!(s.rename(ROOT, "a", ROOT, "b"), Err(Errno::Notempty));
        assert_eq!(s.rename(ROOT, "a", ROOT, "b/moved"), Err(Errno::Notdir));
        assert_eq!(s.rename(ROOT, "b/moved", ROOT, "a"), Err(Errno::Isdir));
        assert_eq!(s.rename(ROOT, "b/moved/", ROOT, "x"), Err(Errno::Notdir));
        assert_eq!(s.rename(ROOT, "b/moved", ROOT, "x/"), Err(Errno::Notdir));
        assert_eq!(s.rename(ROOT, ".", ROOT, "x"), Err(Errno::Busy));
        assert_eq!(s.rename(99, "a", ROOT, "x"), Err(Errno::Badf));
        assert_eq!(s.rename(ROOT, "a", 99, "x"), Err(Errno::Badf));
        assert_eq!(s.rename(ROOT, "a/", ROOT, "c/"), Ok(()));
        assert!(s.host("c").is_dir());
        // A link is moved itself, even when it dangles.
        s.symlink("void", ROOT, "link").unwrap();
        assert_eq!(s.rename(ROOT, "link", ROOT, "link2"), Ok(()));
        assert_eq!(s.readlink(ROOT, "link2", 99).as_deref(), Ok("void"));
    });
}

#[test]
fn linking() {
    both(|s| {
        s.mkdir(ROOT, "d").unwrap();
        std::fs::write(s.host("f"), b"f").unwrap();
        assert_eq!(s.link(ROOT, "f", ROOT, "d/g"), Ok(()));
        assert_eq!(s.stat(ROOT, "f", true).unwrap().nlink, 2);
        let same = s.stat(ROOT, "f", true).unwrap().ino == s.stat(ROOT, "d/g", true).unwrap().ino;
        assert!(same);
        assert_eq!(s.link(ROOT, "f", ROOT, "d/g"), Err(Errno::Exist));
        assert_eq!(s.link(ROOT, "none", ROOT, "x"), Err(Errno::Noent));
        assert_eq!(s.link(ROOT, "d", ROOT, "x"), Err(Errno::Perm));
        assert_eq!(s.link(ROOT, "f/", ROOT, "x"), Err(Errno::Notdir));
        assert_eq!(s.link(ROOT, "f", ROOT, "x/"), Err(Errno::Noent));
        assert_eq!(s.link(ROOT, "f", ROOT, ""), Err(Errno::Noent));
        assert_eq!(s.link(99, "f", ROOT, "x"), Err(Errno::Badf));
        assert_eq!(s.link(ROOT, "f", 0, "x"), Err(Errno::Badf));
        let (a, a_len) = s.put(b"f");
        let (b, b_len) = s.put(b"x");
        let got = s.call(|p, m| wasi::path_link(p, m, 3, 1, a, a_len, 3, b, b_len));
        assert_eq!(
            got,
            Err(Errno::Inval),
            "following is refused, as by wasmtime"
        );
        // A link is linked itself.
        s.symlink("f", ROOT, "soft").unwrap();
        assert_eq!(s.link(ROOT, "soft", ROOT, "soft2"), Ok(()));
        assert_eq!(s.readlink(ROOT, "soft2", 99).as_deref(), Ok("f"));
    });
}

#[test]
fn symbolic_links() {
    both(|s| {
        s.mkdir(ROOT, "d").unwrap();
        assert_eq!(s.symlink("../target", ROOT, "d/link"), Ok(()));
        assert_eq!(s.readlink(ROOT, "d/link", 100).as_deref(), Ok("../target"));
        assert_eq!(
            s.readlink(ROOT, "d/link", 4).as_deref(),
            Ok("../t"),
            "cut, as by Linux"
        );
        assert_eq!(s.readlink(ROOT, "d/link", 0).as_deref(), Ok(""));
        assert_eq!(s.symlink("x", ROOT, "d/link"), Err(Errno::Exist));
        assert_eq!(s.symlink("x", ROOT, "d"), Err(Errno::Exist));
        assert_eq!(s.symlink("x", ROOT, "new/"), Err(Errno::Noent));
        assert_eq!(s.symlink("", ROOT, "new"), Err(Errno::Noent));
        assert_eq!(s.symlink("x", ROOT, ""), Err(Errno::Noent));
        assert_eq!(s.symlink("x", ROOT, "none/new"), Err(Errno::Noent));
        assert_eq!(s.symlink("x", 99, "new"), Err(Errno::Badf));
        assert_eq!(s.symlink("a\0b", ROOT, "new"), Err(Errno::Inval));
        assert_eq!(s.symlink("/in/the/root", ROOT, "abs"), Ok(()));
        assert_eq!(s.readlink(ROOT, "abs", 100).as_deref(), Ok("/in/the/root"));
        assert_eq!(s.readlink(ROOT, "d", 100), Err(Errno::Inval));
        assert_eq!(s.readlink(ROOT, "none", 100), Err(Errno::Noent));
        assert_eq!(s.readlink(ROOT, "", 100), Err(Errno::Noent));
        assert_eq!(s.readlink(0, "d", 100), Err(Errno::Badf));
    });
}

#[test]
fn forty_links_and_no_more() {
    both(|s| {
        std::fs::write(s.host("l0"), b"").unwrap();
        for number in 1..=41 {
            let (target, name) = (format!("l{}", number - 1), format!("l{number}"));
            s.symlink(&target, ROOT, &name).unwrap();
        }
        assert!(s.open(ROOT, "l40", READ).is_ok());
        assert_eq!(s.open(ROOT, "l41", READ), Err(Errno::Loop));
    });
}

#[test]
fn looking() {
    both(|s| {
        s.mkdir(ROOT, "d").unwrap();
        std::fs::write(s.host("d/f"), b"12345").unwrap();
        s.symlink("d/f", ROOT, "link").unwrap();
        s.symlink("void", ROOT, "dangling").unwrap();
        let stat = s.stat(ROOT, "link", true).unwrap();
        assert_eq!((stat.filetype, stat.size), (Filetype::RegularFile, 5));
        let stat = s.stat(ROOT, "link", false).unwrap();
        assert_eq!((stat.filetype, stat.size), (Filetype::SymbolicLink, 3));
        assert_eq!(
            s.stat(ROOT, "d", true).unwrap().filetype,
            Filetype::Directory
        );
        assert_eq!(s.stat(ROOT, "dangling", true).err(), Some(Errno::Noent));
        assert!(s.stat(ROOT, "dangling", false).is_ok());
        let fd = s.open(ROOT, "d/f", READ).unwrap();
        assert_eq!(s.fstat(fd).unwrap(), s.stat(ROOT, "d/f", true).unwrap());
        let mut check = |path: &str, expected| {
            assert_eq!(s.stat(ROOT, path, true).err(), Some(expected), "{path}");
        };
        check("none", Errno::Noent);
        check("", Errno::Noent);
        check("d/f/", Errno::Notdir);
        check("/d", Errno::Perm);
        check("a\0", Errno::Inval);
        check(&"n".repeat(256), Errno::Nametoolong);
        check(&"n".repeat(5000), Errno::Nametoolong);
        assert_eq!(s.stat(99, "d", true).err(), Some(Errno::Badf));
        assert_eq!(s.stat(0, "d", true).err(), Some(Errno::Badf));
    });
}

#[test]
fn touching() {
    both(|s| {
        std::fs::write(s.host("f"), b"").unwrap();
        s.symlink("f", ROOT, "link").unwrap();
        assert_eq!(s.set_times(ROOT, "link", (7, 1_000_000_009), 5), Ok(()));
        let stat = s.stat(ROOT, "f", true).unwrap();
        assert_eq!((stat.atim, stat.mtim), (7, 1_000_000_009));
        let (at, len) = s.put(b"link");
        s.call(|p, m| wasi::path_filestat_set_times(p, m, 3, 0, at, len, 3, 4, 5))
            .unwrap();
        let stat = s.stat(ROOT, "link", false).unwrap();
        assert_eq!(stat.mtim, 4, "the link itself");
        assert_eq!(s.stat(ROOT, "f", true).unwrap().mtim, 1_000_000_009);
        assert_eq!(s.set_times(ROOT, "f", (1, 1), 3), Err(Errno::Inval));
        assert_eq!(s.set_times(ROOT, "none", (1, 1), 1), Err(Errno::Noent));
        assert_eq!(s.set_times(99, "f", (1, 1), 1), Err(Errno::Badf));
        assert_eq!(s.set_times(ROOT, "f", (0, 0), 10), Ok(()));
        assert!(s.stat(ROOT, "f", true).unwrap().mtim > 1_500_000_000_000_000_000);
    });
}

#[test]
fn limit_on_descriptors() {
    let limit = |builder: ProcessBuilder| {
        builder.policy(Policy {
            limits: Limits::default().with(Limit::OpenFiles, 6),
            ..Policy::default()
        })
    };
    both_with(limit, |s| {
        s.open(ROOT, "a", NEW).unwrap();
        s.open(ROOT, "b", NEW).unwrap();
        assert_eq!(s.open(ROOT, "c", NEW), Err(Errno::Mfile));
        assert!(!s.host("c").exists(), "nothing was created");
        s.close(4).unwrap();
        assert_eq!(s.open(ROOT, "c", NEW), Ok(4));
    });
}
