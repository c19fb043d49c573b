//! The path policy: hidden, read-only, installed programs; and that refusals are reported.

use std::{io::Read, os::unix::fs::symlink};

use super::*;
use crate::audit::Audit;

fn with_policy(policy: Policy, test: impl Fn(&mut Sandbox)) {
    both_with(|builder| builder.policy(policy.clone()), test);
}

/// A changing call, by the name under which it appears in messages.
type Change = (&'static str, fn(&mut Sandbox, &str) -> Outcome<()>);

/// Every call that changes something at a path or below it.
const CHANGES: &[Change] = &[
    ("open for writing", |s, p| s.open(ROOT, p, WRITE).map(drop)),
    ("truncate", |s, p| {
        s.open(
            ROOT,
            p,
            Open {
                oflags: TRUNC,
                ..READ
            },
        )
        .map(drop)
    }),
    ("create over", |s, p| s.open(ROOT, p, NEW).map(drop)),
    ("unlink", |s, p| s.unlink(ROOT, p)),
    ("rename away", |s, p| s.rename(ROOT, p, ROOT, "elsewhere")),
    ("rename over", |s, p| s.rename(ROOT, "victim", ROOT, p)),
    ("link", |s, p| s.link(ROOT, p, ROOT, "second-name")),
    ("set times", |s, p| s.set_times(ROOT, p, (1, 1), 5)),
];

#[test]
fn the_vkernel_folder_does_not_exist() {
    both(|s| {
        std::fs::create_dir(s.host(".vkernel")).unwrap();
        std::fs::write(s.host(".vkernel/megabinary"), b"ELF").unwrap();
        std::fs::create_dir(s.host("d")).unwrap();
        std::fs::write(s.host("victim"), b"").unwrap();
        symlink("/.vkernel", s.host("link")).unwrap();
        symlink(".vkernel/megabinary", s.host("flink")).unwrap();
        for path in [
            ".vkernel",
            ".vkernel/",
            "./.vkernel",
            "d/../.vkernel",
            "../.vkernel",
            ".vkernel/megabinary",
            "link/megabinary",
            "flink",
            ".vkernel/..",
        ] {
            if path != ".vkernel/.." {
                assert_eq!(s.open(ROOT, path, READ), Err(Errno::Noent), "{path}");
                assert_eq!(s.stat(ROOT, path, true).err(), Some(Errno::Noent), "{path}");
            }
            if path != "flink" {
                assert_eq!(
                    s.mkdir(ROOT, &format!("{path}/x")).is_ok(),
                    path.ends_with("..")
                );
            }
        }
        for (name, change) in CHANGES {
            let got = change(s, ".vkernel/megabinary");
            assert_eq!(got, Err(Errno::Noent), "{name}");
        }
        assert_eq!(s.rename(ROOT, ".vkernel", ROOT, "v"), Err(Errno::Noent));
        assert_eq!(s.rename(ROOT, "d", ROOT, ".vkernel"), Err(Errno::Noent));
        assert_eq!(s.rmdir(ROOT, ".vkernel"), Err(Errno::Noent));
        assert_eq!(s.mkdir(ROOT, ".vkernel"), Err(Errno::Noent));
        assert_eq!(s.readlink(ROOT, ".vkernel", 9), Err(Errno::Noent));
        assert!(!s.names(ROOT).contains(&".vkernel".to_owned()));
        assert!(s.names(ROOT).contains(&"d".to_owned()));
        assert_eq!(
            std::fs::read(s.host(".vkernel/megabinary")).unwrap(),
            b"ELF"
        );
    });
}

#[test]
fn hidden_paths() {
    with_policy(policy_for_tests(&[], &["/etc/shadow", "/private"]), |s| {
        std::fs::create_dir_all(s.host("etc")).unwrap();
        std::fs::create_dir_all(s.host("private/x")).unwrap();
        std::fs::write(s.host("etc/shadow"), b"").unwrap();
        std::fs::write(s.host("etc/passwd"), b"").unwrap();
        symlink("/private", s.host("link")).unwrap();
        for path in [
            "etc/shadow",
            "private",
            "private/x",
            "link",
            "link/x",
            "etc/../private/x",
        ] {
            assert_eq!(s.open(ROOT, path, READ), Err(Errno::Noent), "{path}");
            assert_eq!(s.stat(ROOT, path, true).err(), Some(Errno::Noent), "{path}");
        }
        let etc = s.open(ROOT, "etc", FOLDER).unwrap();
        assert_eq!(s.open(etc, "shadow", READ), Err(Errno::Noent));
        assert_eq!(s.names(etc), [".", "..", "passwd"]);
        assert_eq!(s.names(ROOT), [".", "..", "etc", "link"]);
        assert_eq!(
            s.rename(ROOT, "etc", ROOT, "etc2"),
            Err(Errno::Acces),
            "would unhide"
        );
        assert!(s.open(etc, "passwd", READ).is_ok());
        // Names that merely begin alike are others.
        assert_eq!(s.mkdir(ROOT, "private2"), Ok(()));
        assert!(s.open(ROOT, "private2", READ).is_ok());
    });
}

#[test]
fn read_only_paths() {
    with_policy(policy_for_tests(&["/usr"], &[]), |s| {
        std::fs::create_dir_all(s.host("usr/lib")).unwrap();
        std::fs::create_dir_all(s.host("home")).unwrap();
        std::fs::write(s.host("usr/lib/f"), b"keep").unwrap();
        std::fs::write(s.host("victim"), b"").unwrap();
        symlink("../usr/lib", s.host("home/lib")).unwrap();
        for path in ["usr/lib/f", "home/lib/f", "home/../usr/lib/f"] {
            for (name, change) in CHANGES {
                assert_eq!(change(s, path), Err(Errno::Rofs), "{name} {path}");
            }
            assert!(s.open(ROOT, path, READ).is_ok());
        }
        for path in ["usr/new", "home/lib/new"] {
            assert_eq!(s.mkdir(ROOT, path), Err(Errno::Rofs));
            assert_eq!(s.symlink("x", ROOT, path), Err(Errno::Rofs));
            assert_eq!(s.open(ROOT, path, NEW), Err(Errno::Rofs));
        }
        assert_eq!(s.rmdir(ROOT, "usr/lib"), Err(Errno::Rofs));
        assert_eq!(s.rename(ROOT, "usr", ROOT, "usr2"), Err(Errno::Rofs));
        let lib = s.open(ROOT, "usr/lib", FOLDER).unwrap();
        assert_eq!(s.open(lib, "f", WRITE), Err(Errno::Rofs));
        let fd = s.open(lib, "f", READ).unwrap() as i32;
        let got = s.call(|p, m| wasi::fd_filestat_set_times(p, m, fd, 1, 1, 5));
        assert_eq!(got, Err(Errno::Rofs));
        assert_eq!(s.mkdir(ROOT, "home/ok"), Ok(()));
        assert_eq!(std::fs::read(s.host("usr/lib/f")).unwrap(), b"keep");
    });
}

#[test]
fn read_only_root() {
    let policy = Policy {
        read_only_root: true,
        ..Policy::default()
    };
    with_policy(policy, |s| {
        std::fs::write(s.host("f"), b"keep").unwrap();
        std::fs::write(s.host("victim"), b"").unwrap();
        for (name, change) in CHANGES {
            assert_eq!(change(s, "f"), Err(Errno::Rofs), "{name}");
        }
        assert_eq!(s.mkdir(ROOT, "new"), Err(Errno::Rofs));
        assert_eq!(s.open(ROOT, "new", NEW), Err(Errno::Rofs));
        assert!(s.open(ROOT, "f", READ).is_ok());
        assert_eq!(std::fs::read_dir(s.host("")).unwrap().count(), 2);
    });
}

#[test]
fn installed_programs() {
    let programs = |builder: ProcessBuilder| {
        builder.programs(vec![program("/bin/python3"), program("/usr/bin/tool")])
    };
    both_with(programs, |s| {
        // As Debian has it: /bin is a link to usr/bin.
        std::fs::create_dir_all(s.host("usr/bin")).unwrap();
        symlink("usr/bin", s.host("bin")).unwrap();
        for name in ["python3", "tool", "other", "../victim", "../../victim"] {
            std::fs::write(s.host("usr/bin").join(name), name).unwrap();
        }
        for path in [
            "bin/python3",
            "usr/bin/python3",
            "usr/bin/tool",
            "bin/../bin/tool",
        ] {
            for (name, change) in CHANGES {
                assert_eq!(change(s, path), Err(Errno::Acces), "{name} {path}");
            }
            assert!(s.open(ROOT, path, READ).is_ok());
        }
        for folder in ["bin", "usr/bin", "usr"] {
            assert_eq!(
                s.rename(ROOT, folder, ROOT, "gone"),
                Err(Errno::Acces),
                "{folder}"
            );
        }
        assert_eq!(
            s.unlink(ROOT, "bin"),
            Err(Errno::Acces),
            "a link on the way to a program"
        );
        let bin = s.open(ROOT, "usr/bin", FOLDER).unwrap();
        assert_eq!(s.open(bin, "tool", WRITE), Err(Errno::Acces));
        // A second name made by somebody else is the same file.
        std::fs::hard_link(s.host("usr/bin/tool"), s.host("alias")).unwrap();
        assert_eq!(s.open(ROOT, "alias", WRITE), Err(Errno::Acces));
        // Neighbours are free.
        assert!(s.open(bin, "other", WRITE).is_ok());
        assert_eq!(s.unlink(bin, "other"), Ok(()));
        assert_eq!(s.mkdir(ROOT, "usr/new"), Ok(()));
        // The folder itself may be touched: that leaves the programs alone.
        assert_eq!(s.set_times(ROOT, "usr", (1, 1), 5), Ok(()));
        assert_eq!(std::fs::read(s.host("usr/bin/tool")).unwrap(), b"tool");
    });
}

#[test]
fn what_exec_finds() {
    use crate::exec::Files;
    both_with(
        |builder| builder.policy(policy_for_tests(&[], &["/hidden"])),
        |s| {
            std::fs::create_dir_all(s.host("usr/bin")).unwrap();
            std::fs::create_dir(s.host(".vkernel")).unwrap();
            std::fs::write(s.host("usr/bin/python3"), b"stub").unwrap();
            std::fs::write(s.host("hidden"), b"").unwrap();
            symlink("/usr/bin", s.host("bin")).unwrap();
            symlink("../../secret/file", s.host("usr/evil")).unwrap();
            let open = |path: &[u8]| {
                let mut text = String::new();
                let file = s
                    .process
                    .open(path)
                    .map_err(|e| e.raw_os_error().unwrap())?;
                File::from(file)
                    .read_to_string(&mut text)
                    .map_err(|e| e.raw_os_error().unwrap())?;
                Ok(text)
            };
            for path in [
                "/bin/python3",
                "//usr/bin/python3",
                "/../usr/bin/../bin/python3",
            ] {
                assert_eq!(open(path.as_bytes()).as_deref(), Ok("stub"), "{path}");
            }
            assert_eq!(open(b"/none"), Err(libc::ENOENT));
            assert_eq!(open(b"/hidden"), Err(libc::ENOENT));
            assert_eq!(open(b"/.vkernel"), Err(libc::ENOENT));
            assert_eq!(open(b"/usr/evil"), Err(libc::ENOENT));
            assert_eq!(open(b"/usr"), Err(libc::EISDIR));
            assert_eq!(open(b"/usr/bin/python3/"), Err(libc::ENOTDIR));
            assert_eq!(open(b"relative"), Err(libc::ENOENT));
        },
    );
}

#[test]
fn a_mounted_folder_inside_the_policy() {
    for walk in [false, true] {
        let dir = playground();
        std::fs::create_dir(dir.path().join("root/ro")).unwrap();
        let mount = Mount::Directory {
            guest_path: "/data".into(),
            fd: open_dir(&dir.path().join("root")),
        };
        let builder = builder()
            .mount(mount)
            .policy(policy_for_tests(&["/data/ro"], &["/data/secret"]))
            .without_openat2(walk);
        let mut s = Sandbox::new(builder, dir);
        std::fs::write(s.host("secret"), b"").unwrap();
        assert_eq!(s.mkdir(ROOT, "ro/x"), Err(Errno::Rofs));
        assert_eq!(s.open(ROOT, "secret", READ), Err(Errno::Noent));
        assert_eq!(s.mkdir(ROOT, "rw"), Ok(()));
        assert_eq!(
            s.mkdir(ROOT, ".vkernel"),
            Ok(()),
            "only a root has one of ours"
        );
    }
}

#[test]
fn refusals_are_reported() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let audit = Audit::to_fd(writer.into());
    let dir = playground();
    let builder = builder()
        .mount(Mount::Root(open_dir(&dir.path().join("root"))))
        .policy(policy_for_tests(&["/ro"], &[]))
        .programs(vec![program("/prog")])
        .audit(audit);
    let mut s = Sandbox::new(builder, dir);
    std::fs::create_dir(s.host("ro")).unwrap();
    std::fs::create_dir(s.host(".vkernel")).unwrap();
    std::fs::write(s.host("prog"), b"").unwrap();
    s.mkdir(ROOT, "ro/x").unwrap_err();
    s.unlink(ROOT, "prog").unwrap_err();
    s.open(ROOT, ".vkernel", READ).unwrap_err();
    s.open(ROOT, "none", READ).unwrap_err(); // An ordinary failure is no refusal.
    drop(s);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (line, words) in lines.iter().zip([
        ["create_directory", "EROFS", "/root/ro/x"],
        ["unlink_file", "EACCES", "/root/prog"],
        ["open", "ENOENT", "/root/.vkernel"],
    ]) {
        for word in words {
            assert!(line.contains(word), "{word} in {line}");
        }
    }
}
