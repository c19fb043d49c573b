//! The one name space of a guest with a root: mounts and trees appear in it, and lead back.

use std::{
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use megabinary_format::{FileKind, FileNode, FileTree};

use super::*;
use crate::{BuildError, Contents, preview1::types::Filetype};

/// `/app`, with a link to each kind of place.
fn tree() -> Arc<FileTree> {
    let link = |target: &str| FileKind::Symlink(target.into());
    let file = FileKind::File {
        offset: 0,
        len: 4,
        executable: false,
    };
    let mut nodes = vec![
        ("lib", FileKind::Directory),
        ("lib/mod.py", file),
        ("to-etc", link("/etc/passwd")),
        ("to-mount", link("../work/file")),
        ("to-root", link("..")),
        ("to-secret", link("../../secret/file")),
    ];
    nodes.sort_by_key(|(path, _)| *path);
    let nodes = nodes.into_iter().map(|(path, kind)| FileNode {
        path: path.into(),
        kind,
    });
    Arc::new(FileTree {
        mount: "/app".into(),
        nodes: nodes.collect(),
    })
}

/// The root; in it the folder `work` beside the root at `/work` and at `/srv/deep/er`, below
/// `work` the folder `inner` at `/work/inner`, and the tree at `/app`.
fn spaces(test: impl Fn(&mut Sandbox)) {
    spaces_with(|_| {}, |builder| builder, test);
}

fn spaces_with(
    prepare: impl Fn(&Path),
    change: impl Fn(ProcessBuilder) -> ProcessBuilder,
    test: impl Fn(&mut Sandbox),
) {
    for walk in [false, true] {
        let dir = playground();
        let outer = dir.path();
        for folder in ["root/etc", "root/srv", "work/sub", "inner"] {
            std::fs::create_dir_all(outer.join(folder)).unwrap();
        }
        for (file, text) in [
            ("root/etc/passwd", "etc"),
            ("work/file", "work"),
            ("work/sub/file", "sub"),
            ("inner/file", "inner"),
        ] {
            std::fs::write(outer.join(file), text).unwrap();
        }
        prepare(outer);
        let directory = |guest_path: &str, host: &str| Mount::Directory {
            guest_path: guest_path.into(),
            fd: open_dir(&outer.join(host)),
        };
        let builder = builder()
            .mount(directory("/work/inner", "inner"))
            .mount(directory("/srv/deep/er", "work"))
            .mount(directory("/work", "work"))
            .mount(Mount::Tree {
                tree: tree(),
                contents: Contents::Static {
                    bytes: b"tree",
                    base: 0,
                },
            })
            .mount(Mount::Root(open_dir(&outer.join("root"))))
            .without_openat2(walk);
        let process = change(builder);
        test(&mut Sandbox::new(process, dir));
    }
}

impl Sandbox {
    fn text(&mut self, dir: u32, path: &str) -> Outcome<String> {
        let fd = self.open(dir, path, READ)?;
        let bytes = self.read(fd, 100);
        self.close(fd).unwrap();
        Ok(String::from_utf8(bytes?).unwrap())
    }

    /// The names in a folder and whether each is a folder, without `.` and `..`.
    fn listing(&mut self, path: &str) -> Vec<(String, bool)> {
        let fd = self.open(ROOT, path, FOLDER).unwrap();
        let mut all: Vec<_> = self.readdir(fd, 4096).unwrap()[2..]
            .iter()
            .map(|(name, _, kind)| (name.clone(), *kind == Filetype::Directory as u8))
            .collect();
        self.close(fd).unwrap();
        all.sort();
        all
    }
}

fn folders(names: &[&str]) -> Vec<(String, bool)> {
    names.iter().map(|name| (name.to_string(), true)).collect()
}

#[test]
fn ways_in_and_back_out() {
    spaces(|s| {
        for (path, text) in [
            ("work/file", "work"),
            ("work/./sub/../file", "work"),
            ("work/sub/file", "sub"),
            ("work/inner/file", "inner"),
            ("work/inner/../file", "work"),
            ("work/inner/../../etc/passwd", "etc"),
            ("work/../etc/passwd", "etc"),
            ("srv/deep/er/file", "work"),
            ("srv/deep/../deep/er/sub/../../../../etc/passwd", "etc"),
            ("app/lib/mod.py", "tree"),
            ("app/lib/../../etc/passwd", "etc"),
            ("etc/../app/lib/mod.py", "tree"),
            ("../../app/../work/file", "work"),
            // Links of the tree are read in the one name space.
            ("app/to-etc", "etc"),
            ("app/to-mount", "work"),
            ("app/to-root/work/file", "work"),
        ] {
            assert_eq!(s.text(ROOT, path).as_deref(), Ok(text), "{path}");
        }
        // The same folder mounted twice: what appears in one does not appear in the other.
        assert_eq!(s.text(ROOT, "srv/deep/er/inner/file"), Err(Errno::Noent));
        assert_eq!(s.text(ROOT, "app/to-secret"), Err(Errno::Noent));
        // From an opened folder nothing above it is reached, whatever it is.
        for folder in ["work", "work/inner", "app/lib", "srv/deep"] {
            let fd = s.open(ROOT, folder, FOLDER).unwrap();
            let above = s.open(fd, "../etc/passwd", READ);
            assert!(matches!(above, Err(Errno::Perm | Errno::Noent)), "{folder}");
            assert_eq!(s.open(fd, "../../etc/passwd", READ), Err(Errno::Perm));
        }
        let srv = s.open(ROOT, "srv", FOLDER).unwrap();
        assert_eq!(s.text(srv, "deep/er/file").as_deref(), Ok("work"));
        assert_eq!(s.text(srv, "deep/er/../../../etc/passwd"), Err(Errno::Perm));
        let root = s.open(ROOT, ".", FOLDER).unwrap();
        assert_eq!(s.text(root, "work/file").as_deref(), Ok("work"));
    });
}

#[test]
fn links_lead_in_and_out() {
    let prepare = |outer: &Path| {
        let link = |target: &str, at: &str| symlink(target, outer.join(at)).unwrap();
        link("/work/file", "root/abs-in");
        link("work/sub", "root/rel-in");
        link("/etc/passwd", "work/abs-out");
        link("../etc/passwd", "work/rel-out");
        link("/", "work/slash");
        link("/app/lib/mod.py", "work/to-tree");
        link("sub/file", "work/inside");
        link("/work/new", "root/dangling");
        link("../../secret/file", "work/secret");
        link("/../../secret/file", "work/secret2");
        link("loop", "work/loop");
    };
    spaces_with(
        prepare,
        |builder| builder,
        |s| {
            for (path, text) in [
                ("abs-in", "work"),
                ("rel-in/file", "sub"),
                ("rel-in/../file", "work"),
                ("work/abs-out", "etc"),
                ("work/rel-out", "etc"),
                ("work/slash/etc/passwd", "etc"),
                ("work/to-tree", "tree"),
                ("work/inside", "sub"),
                ("work/slash/rel-in/file", "sub"),
            ] {
                assert_eq!(s.text(ROOT, path).as_deref(), Ok(text), "{path}");
            }
            assert_eq!(s.text(ROOT, "work/secret"), Err(Errno::Noent));
            assert_eq!(s.text(ROOT, "work/secret2"), Err(Errno::Noent));
            assert_eq!(s.text(ROOT, "work/loop"), Err(Errno::Loop));
            assert_eq!(
                s.readlink(ROOT, "work/abs-out", 99).as_deref(),
                Ok("/etc/passwd")
            );
            assert_eq!(
                s.readlink(ROOT, "app/to-etc", 99).as_deref(),
                Ok("/etc/passwd")
            );
            // Created where the link leads: in the mount.
            let fd = s.open(ROOT, "dangling", NEW).unwrap();
            s.write(fd, b"new").unwrap();
            assert_eq!(
                std::fs::read(s.dir.path().join("work/new")).unwrap(),
                b"new"
            );
            assert_eq!(s.symlink("/etc", ROOT, "work/made"), Ok(()));
            assert_eq!(s.text(ROOT, "work/made/passwd").as_deref(), Ok("etc"));
        },
    );
}

#[test]
fn listings_show_what_is_attached() {
    spaces(|s| {
        assert_eq!(s.listing("."), folders(&["app", "etc", "srv", "work"]));
        assert_eq!(s.listing("srv"), folders(&["deep"]));
        assert_eq!(s.listing("srv/deep"), folders(&["er"]));
        assert_eq!(
            s.listing("work"),
            [("file", false), ("inner", true), ("sub", true)].map(|(n, d)| (n.to_owned(), d))
        );
        let (work, app) = (
            s.stat(ROOT, "work", true).unwrap(),
            s.stat(ROOT, "app", false).unwrap(),
        );
        assert_eq!(
            (work.filetype, app.filetype),
            (Filetype::Directory, Filetype::Directory)
        );
        assert_ne!(work.ino, s.stat(ROOT, "srv", true).unwrap().ino);
        // Nothing was made on the host.
        assert!(!s.host("work").exists() && !s.host("srv/deep").exists());
        assert!(!s.dir.path().join("work/inner").exists());
    });
}

#[test]
fn what_lies_below_is_covered() {
    let prepare = |outer: &Path| {
        std::fs::create_dir(outer.join("root/work")).unwrap();
        std::fs::write(outer.join("root/work/below"), "below").unwrap();
        std::fs::write(outer.join("root/app"), "a file").unwrap();
        symlink("work/below", outer.join("root/below")).unwrap();
    };
    spaces_with(
        prepare,
        |builder| builder,
        |s| {
            for path in ["work/below", "below", "etc/../work/below", "app/../below"] {
                assert_eq!(s.text(ROOT, path), Err(Errno::Noent), "{path}");
            }
            assert_eq!(s.text(ROOT, "app/lib/mod.py").as_deref(), Ok("tree"));
            assert_eq!(s.listing("."), {
                let mut all = folders(&["app", "etc", "srv", "work"]);
                all.insert(1, ("below".into(), false));
                all
            });
        },
    );
}

#[test]
fn points_stay() {
    spaces(|s| {
        std::fs::write(s.host("mine"), "mine").unwrap();
        std::fs::create_dir(s.host("folder")).unwrap();
        for at in [
            "work",
            "work/",
            "app",
            "srv/deep",
            "work/inner",
            "etc/../work",
        ] {
            assert_eq!(s.rmdir(ROOT, at), Err(Errno::Busy), "{at}");
            assert_eq!(s.unlink(ROOT, at), Err(Errno::Isdir), "{at}");
            assert_eq!(s.mkdir(ROOT, at), Err(Errno::Exist), "{at}");
            assert_eq!(s.symlink("x", ROOT, at), Err(Errno::Exist), "{at}");
            assert_eq!(s.open(ROOT, at, NEW), Err(Errno::Isdir), "{at}");
            assert_eq!(s.open(ROOT, at, WRITE), Err(Errno::Isdir), "{at}");
            let exclusive = Open {
                oflags: CREAT | EXCL,
                ..WRITE
            };
            assert_eq!(s.open(ROOT, at, exclusive), Err(Errno::Exist), "{at}");
        }
        for at in ["work", "app", "srv/deep"] {
            assert_eq!(s.rename(ROOT, at, ROOT, "moved"), Err(Errno::Busy), "{at}");
            assert_eq!(s.rename(ROOT, "folder", ROOT, at), Err(Errno::Busy), "{at}");
            assert_eq!(s.rename(ROOT, "mine", ROOT, at), Err(Errno::Isdir), "{at}");
            assert_eq!(s.rename(ROOT, "none", ROOT, at), Err(Errno::Noent), "{at}");
            assert_eq!(s.link(ROOT, "mine", ROOT, at), Err(Errno::Exist), "{at}");
        }
        // The folder that holds one is not empty, though the host's is.
        assert_eq!(s.rmdir(ROOT, "srv"), Err(Errno::Notempty));
        assert_eq!(s.rename(ROOT, "folder", ROOT, "srv"), Err(Errno::Notempty));
        assert_eq!(s.rename(ROOT, "srv", ROOT, "srv"), Ok(()));
        // Made-up folders and trees cannot be written to.
        for at in ["srv/deep/new", "app/new"] {
            assert_eq!(s.mkdir(ROOT, at), Err(Errno::Rofs), "{at}");
            assert_eq!(s.open(ROOT, at, NEW), Err(Errno::Rofs), "{at}");
            assert_eq!(s.symlink("x", ROOT, at), Err(Errno::Rofs), "{at}");
        }
        // It moves along with the folder that holds it.
        assert_eq!(s.rename(ROOT, "srv", ROOT, "moved"), Ok(()));
        assert_eq!(s.text(ROOT, "moved/deep/er/file").as_deref(), Ok("work"));
        assert_eq!(s.text(ROOT, "srv/deep/er/file"), Err(Errno::Noent));
    });
}

#[test]
fn nothing_moves_between_mounts() {
    spaces(|s| {
        std::fs::write(s.host("mine"), "mine").unwrap();
        for (from, to) in [
            ("mine", "work/mine"),
            ("work/file", "file"),
            ("work/file", "srv/deep/er/file2"),
            ("work/file", "work/inner/file2"),
            ("work/sub", "sub"),
            ("mine", "app/mine"),
            ("app/lib", "lib"),
        ] {
            assert_eq!(s.rename(ROOT, from, ROOT, to), Err(Errno::Xdev), "{from}");
        }
        assert_eq!(s.link(ROOT, "mine", ROOT, "work/mine"), Err(Errno::Xdev));
        assert_eq!(s.link(ROOT, "work/file", ROOT, "f"), Err(Errno::Xdev));
        assert_eq!(s.link(ROOT, "app/lib/mod.py", ROOT, "f"), Err(Errno::Xdev));
        assert_eq!(s.link(ROOT, "mine", ROOT, "app/mine"), Err(Errno::Rofs));
        // Inside one, by any way there.
        assert_eq!(
            s.rename(ROOT, "work/file", ROOT, "etc/../work/sub/f"),
            Ok(())
        );
        assert_eq!(s.link(ROOT, "work/sub/f", ROOT, "work/file"), Ok(()));
        let work = s.open(ROOT, "work", FOLDER).unwrap();
        let sub = s.open(work, "sub", FOLDER).unwrap();
        assert_eq!(s.rename(work, "file", sub, "g"), Ok(()));
        assert_eq!(s.rename(sub, "g", ROOT, "g"), Err(Errno::Xdev));
    });
}

#[test]
fn policy_paths_reach_into_mounts() {
    let policy = |builder: ProcessBuilder| {
        builder.policy(policy_for_tests(
            &["/work/sub", "/srv/deep/er"],
            &["/work/inner", "/etc"],
        ))
    };
    let change = |outer: &Path| symlink("/work/sub/file", outer.join("root/link")).unwrap();
    spaces_with(change, policy, |s| {
        assert_eq!(s.listing("."), {
            let mut all = folders(&["app", "srv", "work"]);
            all.insert(1, ("link".into(), false));
            all
        });
        for path in [
            "work/inner/file",
            "work/inner",
            "app/to-etc",
            "work/../etc/passwd",
        ] {
            assert_eq!(s.open(ROOT, path, READ), Err(Errno::Noent), "{path}");
        }
        for path in ["work/sub/file", "link", "srv/deep/er/sub/file"] {
            assert_eq!(s.open(ROOT, path, WRITE), Err(Errno::Rofs), "{path}");
            assert_eq!(s.text(ROOT, path).as_deref(), Ok("sub"), "{path}");
        }
        assert!(s.listing("work").iter().all(|(name, _)| name != "inner"));
    });
}

#[test]
fn mount_points_below_a_file_are_refused() {
    let dir = playground();
    std::fs::write(dir.path().join("root/file"), "").unwrap();
    let built = builder()
        .mount(Mount::Root(open_dir(&dir.path().join("root"))))
        .mount(Mount::Directory {
            guest_path: "/file/below".into(),
            fd: open_dir(dir.path()),
        })
        .build();
    let error = built.err().map(|error: BuildError| error.to_string());
    assert_eq!(
        error.as_deref(),
        Some("making a mount appear at `/file/below` in the root: Not a directory (os error 20)")
    );
}

/// Another thread swaps the folder that holds a point, and a folder inside the mount, with links
/// to the outside, while the guest goes through both.
#[test]
fn races() {
    let prepare = |outer: &Path| {
        symlink("../secret", outer.join("work/evil")).unwrap();
        symlink("/secret", outer.join("work/evil2")).unwrap();
        symlink("../secret", outer.join("root/evil")).unwrap();
    };
    spaces_with(
        prepare,
        |builder| builder,
        |s| {
            let outer = s.dir.path().to_owned();
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mv =
                        |a: &str, b: &str| std::fs::rename(outer.join(a), outer.join(b)).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        for (good, evil, at) in [
                            ("work/sub", "work/evil", "work/x"),
                            ("work/sub", "work/evil2", "work/x"),
                            ("root/srv", "root/evil", "root/x"),
                        ] {
                            mv(good, at);
                            mv(at, good);
                            mv(evil, at);
                            mv(at, evil);
                        }
                        // Out of the mount, for `..` from within it.
                        mv("work/sub", "secret/sub");
                        mv("secret/sub", "work/sub");
                    }
                });
                let mut reached = [0; 2];
                for _ in 0..2000 {
                    let ways = [("work/x/file", "sub"), ("x/deep/er/file", "work")];
                    for (at, (path, inside)) in ways.into_iter().enumerate() {
                        if let Ok(text) = s.text(ROOT, path) {
                            assert_eq!(text, inside, "{path}");
                            reached[at] += 1;
                        }
                    }
                    for path in [
                        "work/sub/../file",
                        "work/sub/../../file",
                        "work/x/../secret/file",
                    ] {
                        if let Ok(text) = s.text(ROOT, path) {
                            assert_eq!(text, "work", "{path}");
                        }
                    }
                    let _ = s.open(ROOT, "work/x/new", NEW).map(|fd| s.close(fd));
                    let _ = s.unlink(ROOT, "work/x/new");
                    let _ = s.mkdir(ROOT, "x/new");
                    let _ = s.rmdir(ROOT, "x/new");
                }
                stop.store(true, Ordering::Relaxed);
                println!("reached the files inside {reached:?} times");
            });
            assert_eq!(
                std::fs::read_dir(s.dir.path().join("secret"))
                    .unwrap()
                    .count(),
                1
            );
        },
    );
}
