//! Internal trees through the calls: read-only, listed, linked, positioned.

use std::{io::Write, sync::Arc};

use megabinary_format::{FileKind, FileNode, FileTree};

use super::*;
use crate::{Contents, Source, preview1::types::Filetype};

const BYTES: &[u8] = b"....hello worldimport os";

fn tree() -> Arc<FileTree> {
    let file = |offset, len| FileKind::File {
        offset,
        len,
        executable: false,
    };
    let mut nodes = vec![
        ("README", file(4, 11)),
        ("empty", file(15, 0)),
        ("broken", file(20, 100)),
        ("pkg", FileKind::Directory),
        ("pkg/os.py", file(15, 9)),
        ("pkg-info", FileKind::Symlink("pkg/os.py".into())),
        ("pkg/up", FileKind::Symlink("../README".into())),
        ("out", FileKind::Symlink("../../etc/passwd".into())),
        ("l", FileKind::Symlink("l".into())),
        ("p", FileKind::Symlink("pkg".into())),
    ];
    nodes.sort_by_key(|(path, _)| *path);
    let nodes = nodes
        .into_iter()
        .map(|(path, kind)| FileNode {
            path: path.into(),
            kind,
        })
        .collect();
    Arc::new(FileTree {
        mount: "/usr/lib/python".into(),
        nodes,
    })
}

/// A sandbox with nothing but the tree.
pub(super) fn sandbox() -> Sandbox {
    let contents = Contents::Static {
        bytes: BYTES,
        base: 0,
    };
    let mount = Mount::Tree {
        tree: tree(),
        contents,
    };
    Sandbox::bare(builder().mount(mount))
}

/// Runs a test over every kind of contents.
fn each(test: impl Fn(&mut Sandbox)) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(BYTES).unwrap();
    let shared: Arc<[u8]> = Arc::from(&BYTES[4..]);
    for contents in [
        Contents::Static {
            bytes: BYTES,
            base: 0,
        },
        Contents::Shared {
            bytes: shared,
            base: 4,
        },
        Contents::File(Arc::new(file.into())),
    ] {
        let mount = Mount::Tree {
            tree: tree(),
            contents,
        };
        test(&mut Sandbox::bare(builder().mount(mount)));
    }
}

#[test]
fn reading() {
    each(|s| {
        s.call(|p, m| wasi::fd_prestat_dir_name(p, m, 3, 100, 15))
            .unwrap();
        assert_eq!(s.bytes(100, 15), b"/usr/lib/python");
        let fd = s.open(3, "README", READ).unwrap();
        assert_eq!(s.read(fd, 5), Ok(b"hello".to_vec()));
        assert_eq!(s.read(fd, 100), Ok(b" world".to_vec()));
        assert_eq!(s.read(fd, 100), Ok(vec![]));
        assert_eq!(s.pread(fd, 3, 6), Ok(b"wor".to_vec()));
        assert_eq!(s.pread(fd, 3, u64::MAX), Ok(vec![]));
        assert_eq!(s.seek(fd, -5, 2), Ok(6));
        assert_eq!(s.seek(fd, -7, 1), Err(Errno::Inval));
        assert_eq!(s.seek(fd, i64::MAX, 1), Err(Errno::Inval));
        assert_eq!(s.seek(fd, 100, 0), Ok(100));
        assert_eq!(s.read(fd, 1), Ok(vec![]));
        assert_eq!(s.call(|p, m| wasi::fd_tell(p, m, fd as i32, 64)), Ok(()));
        assert_eq!(s.load::<u64>(64), 100);
        let iovs = s.vector(&[2, 3, 50]);
        s.call(|p, m| wasi::fd_pread(p, m, fd as i32, iovs, 3, 0, 64))
            .unwrap();
        assert_eq!(
            (s.load::<u32>(64), s.bytes(16384, 11)),
            (11, b"hello world".to_vec())
        );
        let empty = s.open(3, "empty", READ).unwrap();
        assert_eq!(s.read(empty, 9), Ok(vec![]));
        for path in ["pkg-info", "pkg/os.py", "./pkg/../pkg/os.py"] {
            let fd = s.open(3, path, READ).unwrap();
            assert_eq!(s.read(fd, 100), Ok(b"import os".to_vec()), "{path}");
        }
        let dir = s.open(3, "pkg", FOLDER).unwrap();
        let fd = s.open(dir, "up", READ).unwrap();
        assert_eq!(s.read(fd, 5), Ok(b"hello".to_vec()));
    });
}

#[test]
fn contents_shorter_than_promised() {
    each(|s| {
        let fd = s.open(3, "broken", READ).unwrap();
        let got = s.read(fd, 100);
        // A file ends early; memory is refused as a whole.
        assert!(
            matches!(&got, Err(Errno::Io)) || got == Ok(b"t os".to_vec()),
            "{got:?}"
        );
    });
}

#[test]
fn looking() {
    each(|s| {
        let stat = s.stat(3, "README", true).unwrap();
        assert_eq!(
            (stat.filetype, stat.size, stat.mtim),
            (Filetype::RegularFile, 11, 0)
        );
        let stat = s.stat(3, "pkg-info", false).unwrap();
        assert_eq!((stat.filetype, stat.size), (Filetype::SymbolicLink, 9));
        let through = s.stat(3, "pkg-info", true).unwrap();
        assert_eq!(through, s.stat(3, "pkg/os.py", true).unwrap());
        assert_eq!(s.stat(3, ".", true).unwrap(), s.fstat(3).unwrap());
        assert_eq!(s.fstat(3).unwrap().filetype, Filetype::Directory);
        assert_eq!(s.readlink(3, "pkg-info", 99).as_deref(), Ok("pkg/os.py"));
        assert_eq!(s.readlink(3, "README", 99), Err(Errno::Inval));
        assert_eq!(s.readlink(3, ".", 99), Err(Errno::Inval));
        assert_eq!(s.fdstat(3).unwrap().fs_filetype, Filetype::Directory);
        let fd = s.open(3, "README", READ).unwrap();
        assert_eq!(s.fdstat(fd).unwrap().fs_filetype, Filetype::RegularFile);
        let list = s.readdir(3, 40).unwrap();
        let names: Vec<&str> = list.iter().map(|entry| entry.0.as_str()).collect();
        assert_eq!(
            names,
            [
                ".", "..", "README", "broken", "empty", "l", "out", "p", "pkg", "pkg-info"
            ]
        );
        let dir = s.open(3, "pkg", FOLDER).unwrap();
        assert_eq!(s.names(dir), [".", "..", "os.py", "up"]);
    });
}

#[test]
fn errors() {
    each(|s| {
        let mut check = |path: &str, how, expected| {
            assert_eq!(s.open(3, path, how), Err(expected), "{path}");
        };
        check("none", READ, Errno::Noent);
        check("none", NEW, Errno::Rofs);
        check("README", WRITE, Errno::Rofs);
        check(
            "README",
            Open {
                oflags: TRUNC,
                ..READ
            },
            Errno::Rofs,
        );
        check(
            "README",
            Open {
                oflags: CREAT | EXCL,
                ..WRITE
            },
            Errno::Exist,
        );
        check("README", FOLDER, Errno::Notdir);
        check("README/", READ, Errno::Notdir);
        check("pkg", WRITE, Errno::Isdir);
        check("pkg-info", NOFOLLOW, Errno::Loop);
        check("out", READ, Errno::Perm);
        check("..", READ, Errno::Perm);
        check("/etc", READ, Errno::Perm);
        check("", READ, Errno::Noent);
        let fd = s.open(3, "README", READ).unwrap();
        assert_eq!(s.open(fd, "x", READ), Err(Errno::Notdir));
        assert_eq!(s.write(fd, b"x"), Err(Errno::Badf));
        assert_eq!(s.pwrite(fd, b"x", 0), Err(Errno::Badf));
        assert_eq!(s.read(3, 1), Err(Errno::Badf));
        assert_eq!(s.seek(3, 0, 0), Err(Errno::Badf));
        assert_eq!(s.mkdir(3, "x"), Err(Errno::Rofs));
        assert_eq!(s.rmdir(3, "pkg"), Err(Errno::Rofs));
        assert_eq!(s.unlink(3, "README"), Err(Errno::Rofs));
        assert_eq!(s.rename(3, "README", 3, "x"), Err(Errno::Rofs));
        assert_eq!(s.symlink("x", 3, "y"), Err(Errno::Rofs));
        assert_eq!(s.link(3, "README", 3, "x"), Err(Errno::Xdev));
        assert_eq!(s.set_times(3, "README", (1, 1), 5), Err(Errno::Rofs));
        let fd = fd as i32;
        let got = s.call(|p, m| wasi::fd_filestat_set_times(p, m, fd, 1, 1, 5));
        assert_eq!(got, Err(Errno::Rofs));
        assert_eq!(
            s.call(|p, m| wasi::fd_filestat_set_size(p, m, fd, 0)),
            Err(Errno::Rofs)
        );
        assert_eq!(
            s.call(|p, m| wasi::fd_allocate(p, m, fd, 0, 1)),
            Err(Errno::Rofs)
        );
        assert_eq!(s.call(|p, m| wasi::fd_advise(p, m, fd, 0, 0, 0)), Ok(()));
        assert_eq!(s.call(|p, m| wasi::fd_sync(p, m, fd)), Ok(()));
        assert_eq!(
            s.call(|p, m| wasi::sock_shutdown(p, m, fd, 1)),
            Err(Errno::Notsock)
        );
    });
}

/// A snapshot may remember which file of its image it saw: the numbers are those of later runs.
#[test]
fn same_numbers_at_image_time() {
    let numbers = |source: Source| {
        let dir = playground();
        let root = open_dir(&dir.path().join("root"));
        let contents = Contents::Static {
            bytes: BYTES,
            base: 0,
        };
        let mount = Mount::Tree {
            tree: tree(),
            contents,
        };
        let builder = builder().mount(Mount::Root(root)).mount(mount);
        let mut s = Sandbox::new(builder.source(source), dir);
        let stat = s.stat(3, "usr/lib/python/pkg", true).unwrap();
        let made_up = s.stat(3, "usr/lib", true).unwrap();
        let host = s.stat(3, ".", true).unwrap();
        ((stat.dev, stat.ino), (made_up.dev, made_up.ino), host.dev)
    };
    let host = numbers(Source::Host);
    let fixed = numbers(Source::Fixed {
        seed: 1,
        time_ns: 0,
    });
    assert_eq!((host.0, host.1), (fixed.0, fixed.1));
    assert_ne!(host.0.0, host.1.0);
    assert_eq!(fixed.2, 1);
}

#[test]
fn order_of_preopens() {
    let preopens = |with_root: bool| {
        let dir = playground();
        let mut builder = builder()
            .mount(Mount::Tree {
                tree: tree(),
                contents: Contents::Static {
                    bytes: BYTES,
                    base: 0,
                },
            })
            .mount(Mount::Directory {
                guest_path: "/data/".into(),
                fd: open_dir(dir.path()),
            });
        if with_root {
            builder = builder.mount(Mount::Root(open_dir(&dir.path().join("root"))));
        }
        let mut s = Sandbox::new(builder, dir);
        let mut names = Vec::new();
        while s
            .call(|p, m| wasi::fd_prestat_get(p, m, 3 + names.len() as i32, 64))
            .is_ok()
        {
            let (fd, len) = (3 + names.len() as i32, s.load::<u32>(68));
            s.call(|p, m| wasi::fd_prestat_dir_name(p, m, fd, 100, len as i32))
                .unwrap();
            names.push(String::from_utf8(s.bytes(100, len)).unwrap());
        }
        (s, names)
    };
    // With a root there is one name space; without, each is a start of its own.
    assert_eq!(preopens(true).1, ["/"]);
    let (mut s, names) = preopens(false);
    assert_eq!(names, ["/data", "/usr/lib/python"]);
    assert_eq!(s.rename(4, "README", 3, "x"), Err(Errno::Xdev));
    assert_eq!(s.link(4, "README", 3, "x"), Err(Errno::Xdev));
}
