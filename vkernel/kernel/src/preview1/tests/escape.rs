//! Nothing outside the mount can be reached: `..`, links, races, in both ways of resolving.

use std::{
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;

/// Fails if any way to use `path` gives the secret, or changes anything outside. Names nothing of the
/// host but what the test made: a resolver that fails this must not cost the developer a file.
fn unreachable(s: &mut Sandbox, dir: u32, path: &str) {
    if let Ok(fd) = s.open(dir, path, READ) {
        if let Ok(bytes) = s.read(fd, 100) {
            assert_ne!(bytes, SECRET.as_bytes(), "{path}");
        }
        s.close(fd).unwrap();
    }
    if let Ok(stat) = s.stat(dir, path, true) {
        assert_ne!(stat.size, SECRET.len() as u64, "{path}");
    }
    let _ = s.open(dir, path, NEW).map(|fd| s.close(fd));
    for name in ["new", "file"] {
        let inside = format!("{path}/{name}");
        let _ = s.mkdir(dir, &inside);
        let _ = s.symlink("x", dir, &inside);
        let _ = s.unlink(dir, &inside);
        let _ = s.rmdir(dir, &inside);
    }
    let _ = s.set_times(dir, path, (1, 1), 5);
    let _ = s.unlink(dir, path);
    untouched(s);
}

fn untouched(s: &Sandbox) {
    let secret = s.dir.path().join("secret");
    let entries: Vec<_> = std::fs::read_dir(&secret).unwrap().collect();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        std::fs::read_to_string(secret.join("file")).unwrap(),
        SECRET
    );
    let meta = std::fs::metadata(secret.join("file")).unwrap();
    assert!(meta.modified().unwrap().elapsed().unwrap().as_secs() < 3600);
    assert_eq!(std::fs::read_dir(s.dir.path()).unwrap().count(), 2);
}

const CLIMBS: &[&str] = &[
    "../secret/file",
    "../../../../../../../../no-such-folder-of-the-vkernel/file",
    "d/../../secret/file",
    "d/../../secret",
    "./../secret",
    "../root/../secret/file",
    "../secret/../secret/file",
];

#[test]
fn climbing() {
    both(|s| {
        s.mkdir(ROOT, "d").unwrap();
        for path in CLIMBS {
            unreachable(s, ROOT, path);
        }
        // `..` stays in the root, as for the host's own root.
        assert!(s.host("../root").exists());
        std::fs::write(s.host("here"), b"h").unwrap();
        assert!(s.open(ROOT, "../../here", READ).is_ok());
        let d = s.open(ROOT, "d", FOLDER).unwrap();
        for path in ["..", "../here", "../d", "../../secret/file"] {
            assert_eq!(s.open(d, path, READ), Err(Errno::Perm), "{path}");
            unreachable(s, d, path);
        }
    });
}

#[test]
fn climbing_from_a_mounted_folder() {
    both_as_directory(|s| {
        s.mkdir(ROOT, "d").unwrap();
        for path in CLIMBS {
            assert_eq!(s.open(ROOT, path, READ), Err(Errno::Perm), "{path}");
            assert_eq!(s.stat(ROOT, path, true).err(), Some(Errno::Perm), "{path}");
            assert_eq!(
                s.mkdir(ROOT, &format!("{path}/x")),
                Err(Errno::Perm),
                "{path}"
            );
            unreachable(s, ROOT, path);
        }
        assert_eq!(s.rename(ROOT, "d", ROOT, "../d"), Err(Errno::Perm));
        assert_eq!(s.link(ROOT, "../secret/file", ROOT, "f"), Err(Errno::Perm));
        assert_eq!(s.readlink(ROOT, "../secret", 9), Err(Errno::Perm));
        assert_eq!(s.symlink("/etc", ROOT, "etc"), Err(Errno::Perm));
        untouched(s);
    });
}

fn hostile_links(s: &Sandbox) -> Vec<&'static str> {
    let outside = s.dir.path().join("secret");
    symlink(&outside, s.host("abs-dir")).unwrap();
    symlink(outside.join("file"), s.host("abs-file")).unwrap();
    symlink("../secret", s.host("rel-dir")).unwrap();
    symlink("../secret/file", s.host("rel-file")).unwrap();
    symlink("rel-dir", s.host("via")).unwrap();
    symlink("/", s.host("slash")).unwrap();
    symlink("..", s.host("up")).unwrap();
    symlink("up/..", s.host("upup")).unwrap();
    symlink("../secret/new-file", s.host("dangling")).unwrap();
    symlink(outside.join("new-abs"), s.host("dangling-abs")).unwrap();
    vec![
        "abs-dir/file",
        "abs-file",
        "rel-dir/file",
        "rel-file",
        "via/file",
        "up/secret/file",
        "upup/secret/file",
        "slash/secret/file",
        "dangling",
        "dangling-abs",
        "rel-dir/new",
        "abs-dir",
        "rel-dir",
    ]
}

#[test]
fn links() {
    both(|s| {
        for path in hostile_links(s) {
            unreachable(s, ROOT, path);
        }
    });
}

#[test]
fn links_in_a_mounted_folder() {
    both_as_directory(|s| {
        for path in hostile_links(s) {
            let got = s.open(ROOT, path, NEW);
            assert_eq!(got, Err(Errno::Perm), "{path}");
            assert_eq!(s.stat(ROOT, path, true).err(), Some(Errno::Perm), "{path}");
            unreachable(s, ROOT, path);
        }
        // Links that stay inside work, and what an absolute one says stays untold.
        symlink("x", s.host("abs2")).unwrap();
        assert_eq!(s.readlink(ROOT, "abs2", 9).as_deref(), Ok("x"));
        symlink("/etc", s.host("told")).unwrap();
        assert_eq!(s.readlink(ROOT, "told", 9), Err(Errno::Perm));
    });
}

#[test]
fn links_as_last_component_are_not_followed() {
    both(|s| {
        hostile_links(s);
        assert_eq!(s.mkdir(ROOT, "dangling"), Err(Errno::Exist));
        assert_eq!(s.mkdir(ROOT, "dangling/"), Err(Errno::Exist));
        std::fs::write(s.host("mine"), b"mine").unwrap();
        assert_eq!(s.rename(ROOT, "mine", ROOT, "rel-file"), Ok(()));
        assert_eq!(s.link(ROOT, "abs-file", ROOT, "copy"), Ok(()));
        assert!(s.host("copy").symlink_metadata().unwrap().is_symlink());
        assert_eq!(s.link(ROOT, "rel-dir/", ROOT, "copy2"), Err(Errno::Noent));
        assert_eq!(s.symlink("x", ROOT, "dangling"), Err(Errno::Exist));
        assert_eq!(s.rmdir(ROOT, "rel-dir/"), Err(Errno::Notdir));
        untouched(s);
    });
}

/// A folder moved out of the sandbox while the guest holds it: `..` from it must not lead on.
#[test]
fn a_folder_moved_outside() {
    both(|s| {
        std::fs::create_dir_all(s.host("a/b")).unwrap();
        let b = s.open(ROOT, "a/b", FOLDER).unwrap();
        std::fs::rename(s.host("a"), s.dir.path().join("moved")).unwrap();
        assert_eq!(s.open(b, "../../secret/file", READ), Err(Errno::Perm));
        assert_eq!(s.open(b, "..", READ), Err(Errno::Perm));
        std::fs::rename(s.dir.path().join("moved"), s.host("a")).unwrap();
    });
}

/// Ends the other thread also when an assertion fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Another thread swaps a folder with a link to the outside while the guest walks through it.
#[test]
fn races() {
    both(|s| {
        std::fs::create_dir(s.host("real")).unwrap();
        std::fs::write(s.host("real/file"), b"inside").unwrap();
        symlink(s.dir.path().join("secret"), s.host("evil")).unwrap();
        std::fs::create_dir(s.host("deep")).unwrap();
        let (real, evil, dir) = (s.host("real"), s.host("evil"), s.host("dir"));
        let (deep, aside) = (s.host("deep"), s.dir.path().join("secret/deep"));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::fs::rename(&real, &dir).unwrap();
                    std::fs::rename(&dir, &real).unwrap();
                    std::fs::rename(&evil, &dir).unwrap();
                    std::fs::rename(&dir, &evil).unwrap();
                    // And a folder that leaves the root, for `..` from within it.
                    std::fs::rename(&deep, &aside).unwrap();
                    std::fs::rename(&aside, &deep).unwrap();
                }
            });
            let _stop = StopOnDrop(&stop);
            let mut reached = 0;
            for _ in 0..2000 {
                if let Ok(fd) = s.open(ROOT, "dir/file", READ) {
                    assert_eq!(s.read(fd, 100).unwrap(), b"inside");
                    s.close(fd).unwrap();
                    reached += 1;
                }
                if let Ok(stat) = s.stat(ROOT, "dir/file", true) {
                    assert_eq!(stat.size, 6);
                }
                if let Ok(fd) = s.open(ROOT, "deep/../file", READ) {
                    assert_ne!(s.read(fd, 100).unwrap(), SECRET.as_bytes());
                    s.close(fd).unwrap();
                }
                let _ = s.open(ROOT, "dir/new", NEW).map(|fd| s.close(fd));
                let _ = s.unlink(ROOT, "dir/new");
                let _ = s.mkdir(ROOT, "dir/sub");
                let _ = s.rmdir(ROOT, "dir/sub");
            }
            println!("reached the file inside {reached} times");
        });
        untouched(s);
    });
}
