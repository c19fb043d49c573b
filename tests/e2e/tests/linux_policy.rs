//! The policy over paths for programs with Linux system calls: each call that takes a path, by every
//! way that leads to what is guarded, and races against it; the same calls on what is outside of the
//! root; and what another process has.
//!
//! Needs root, `out/musl-1.2.5` and `tests/install`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    collections::BTreeSet,
    fs,
    os::{fd::AsRawFd, unix::fs::symlink},
    path::Path,
};

use polybuild_e2e::{Said, linux::Sandbox, run};

/// A sandbox with the guest, and a folder `/g` that policies guard.
fn guarded(policy: &str) -> Sandbox {
    let sandbox = Sandbox::new("policy", policy);
    let root = sandbox.root();
    fs::create_dir_all(root.join("g/dir")).unwrap();
    fs::write(root.join("g/file"), "SECRET").unwrap();
    symlink("file", root.join("g/link")).unwrap();
    sandbox
}

/// That a mode says what is expected.
fn check(sandbox: &Sandbox, args: &[&str], expected: &str) {
    let said = sandbox.run(args, &[]);
    assert_eq!(said.status, 0, "{args:?}: {said:?}");
    let found = said.stdout.trim();
    assert_eq!(found, expected.trim(), "{args:?}: {}", said.stderr);
}

/// That nothing of what is guarded has changed.
fn untouched(sandbox: &Sandbox) {
    let root = sandbox.root();
    let text = fs::read_to_string(root.join("g/file")).unwrap();
    assert_eq!(text, "SECRET");
    assert_eq!(names(&root.join("g")), ["dir", "file", "link"]);
    assert_eq!(names(&root.join(".vkernel")), ["megabinary"]);
    assert_eq!(names(&root.join("usr/bin")), ["policy"]);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// Every line of a mode says nothing but what is `usual`, but for those that are named with what
/// they say.
fn all_say(said: &Said, usual: &str, others: &[(&str, &str)]) {
    assert_eq!(said.status, 0, "{said:?}");
    let mut wrong = String::new();
    let mut lines = 0;
    for line in said.stdout.lines() {
        let Some((call, result)) = line.split_once(": ") else {
            continue;
        };
        lines += 1;
        let expected: BTreeSet<&str> = others
            .iter()
            .filter(|(name, _)| *name == call)
            .map(|(_, result)| *result)
            .collect();
        let fits = match expected.is_empty() {
            true => result.split(' ').all(|r| usual.split(' ').any(|u| u == r)),
            false => expected.contains(result),
        };
        if !fits {
            wrong.push_str(&format!("{line}\n"));
        }
    }
    assert!(lines > 10, "{said:?}");
    assert!(wrong.is_empty(), "not {usual}:\n{wrong}{}", said.stderr);
}

#[test]
fn what_is_hidden_is_not_there() {
    let sandbox = guarded("hidden = [\"/g\"]\n");
    for mode in ["looks", "names"] {
        let said = sandbox.run(&[mode, "/g"], &[]);
        all_say(&said, "ENOENT", &[]);
        assert!(
            said.stderr.contains("\"reason\":\"path is hidden\""),
            "{}",
            said.stderr
        );
    }
    // There is no descriptor of it either.
    let said = sandbox.run(&["changes", "/g"], &[]);
    all_say(&said, "ENOENT EBADF", &[]);
    check(
        &sandbox,
        &["list", "/"],
        ".\n..\n.vkernel\ndev\nproc\ntmp\nusr\nw",
    );
    untouched(&sandbox);
}

#[test]
fn what_is_read_only_can_be_looked_at() {
    let sandbox = guarded("read-only = [\"/g\"]\n");
    let said = sandbox.run(&["looks", "/g"], &[]);
    all_say(
        &said,
        "ok",
        &[
            ("getxattr", "ENODATA"),
            ("lgetxattr", "ENODATA"),
            // It is no program, and no socket.
            ("execve", "EACCES"),
            ("execveat", "EACCES"),
            ("connect", "ECONNREFUSED"),
            ("sendto", "ECONNREFUSED"),
            ("sendmsg", "ECONNREFUSED"),
            ("sendmmsg", "ECONNREFUSED"),
        ],
    );
    for mode in ["changes", "names"] {
        let said = sandbox.run(&[mode, "/g"], &[]);
        all_say(&said, "EROFS", &[]);
        assert!(
            said.stderr.contains("\"reason\":\"path is read-only\""),
            "{}",
            said.stderr
        );
    }
    untouched(&sandbox);
}

#[test]
fn a_read_only_root_is_read_only_everywhere() {
    let sandbox = guarded("read-only-root = true\n");
    for mode in ["changes", "names"] {
        let said = sandbox.run(&[mode, "/g"], &[]);
        // The links of some ways could not be made, and lead nowhere.
        let others = [("dangling", "EROFS"), ("folder", "EROFS")];
        all_say(&said, "EROFS ENOENT", &others);
    }
    untouched(&sandbox);
}

#[test]
fn programs_and_the_vkernel_stay_as_they_are() {
    let sandbox = guarded("");
    let (binary, stub) = (
        sandbox.root().join(".vkernel/megabinary"),
        sandbox.root().join("usr/bin/policy"),
    );
    let before = (fs::read(&binary).unwrap(), fs::read(&stub).unwrap());
    for (folder, name) in [("/usr/bin", "policy"), ("/.vkernel", "megabinary")] {
        let said = sandbox.run(&["changes", folder, name], &[]);
        all_say(&said, "EACCES", &[]);
        for reason in ["installed program", "vkernel's own"] {
            let expected = (reason == "installed program") == (name == "policy");
            assert_eq!(said.stderr.contains(reason), expected, "{}", said.stderr);
        }
    }
    check(&sandbox, &["programs"], PROGRAMS);
    assert!(before == (fs::read(binary).unwrap(), fs::read(stub).unwrap()));
    untouched(&sandbox);
}

const PROGRAMS: &str = r#"
rename("/usr", "/w/usr"): EACCES
rename("/usr/bin", "/usr/nib"): EACCES
rename("/.vkernel", "/.other"): EACCES
rename("/.vkernel/megabinary", "/tmp/m"): EACCES
rename(own(), "/.vkernel/megabinary"): EACCES
rename(own(), "/usr/bin/policy"): EACCES
rmdir("/usr/bin"): EACCES
unlink("/.vkernel/megabinary"): EACCES
unlink("/w/u/bin/policy"): EACCES
renameat(AT_FDCWD, "bin", AT_FDCWD, "nib"): EACCES
unlinkat(fd, "policy", 0): EACCES
unlinkat(fd, "../bin/policy", 0): EACCES
rename("/w/bin/policy", "/w/policy"): 0
rename("/w/policy", "/w/bin/megabinary"): 0
unlink("/w/bin/megabinary"): 0
rmdir("/w/bin"): 0
shut(open("/w/same", O_WRONLY | O_TRUNC)) >= 0: 1
chmod("/w/same", 0644): 0
"#;

/// Spellings of a folder of the host's by which it could be reached from inside of a root, if
/// anything led out of it; `descriptor` is one of this process that is open on it.
fn ways_out(folder: &Path, descriptor: i32) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let (up, own) = ("/..".repeat(12), std::process::id());
    vec![
        format!("{up}{folder}"),
        format!("/w{up}{folder}"),
        format!(".{up}{folder}"),
        format!("/proc/self/root{up}{folder}"),
        format!("/proc/self/cwd{up}{folder}"),
        format!("/proc/1/root{folder}"),
        format!("/proc/1/cwd{up}{folder}"),
        format!("/proc/{own}/root{folder}"),
        format!("/proc/{own}/cwd{up}{folder}"),
        format!("/proc/{own}/fd/{descriptor}"),
    ]
}

#[test]
fn outside_of_the_root_nothing_is_there() {
    let sandbox = Sandbox::new("policy", "");
    let folder = sandbox.outside().join("g");
    fs::create_dir_all(folder.join("dir")).unwrap();
    fs::write(folder.join("file"), "SECRET").unwrap();
    symlink("file", folder.join("link")).unwrap();
    let open = fs::File::open(&folder).unwrap();
    let ways = ways_out(&folder, open.as_raw_fd());
    for mode in ["looks", "changes", "names"] {
        let mut args = vec![mode, folder.to_str().unwrap(), "file"];
        args.extend(ways.iter().map(String::as_str));
        all_say(&run(&mut sandbox.alone(&args)), "ENOENT EBADF", &[]);
        // Here process 1 is one of the host's, whose root the guest may not look at.
        all_say(&sandbox.run(&args, &[]), "ENOENT EBADF EACCES", &[]);
    }
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "SECRET");
    assert_eq!(names(&folder), ["dir", "file", "link"]);

    // The same ways lead somewhere, if that is in the root.
    let sandbox = guarded("");
    let ways = ways_out(Path::new("/g"), 0);
    let mut args = vec!["looks", "/g", "file"];
    args.extend(ways[..5].iter().map(String::as_str));
    let said = run(&mut sandbox.alone(&args));
    assert!(
        said.stdout.starts_with("open: ok\nopenat: ok\n"),
        "{said:?}"
    );
}

#[test]
fn another_process_has_nothing_for_it() {
    let sandbox = Sandbox::new("policy", "");
    fs::write(sandbox.outside().join("secret"), "SECRET").unwrap();
    let open = fs::File::open(sandbox.outside().join("secret")).unwrap();
    let (own, descriptor) = (std::process::id().to_string(), open.as_raw_fd().to_string());
    let args = ["others", own.as_str(), descriptor.as_str()];
    let refused = [
        "pidfd_getfd",
        "kcmp",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "kill",
        "rt_sigqueueinfo",
    ];
    let mut others: Vec<_> = refused.map(|call| (call, "EPERM")).into();
    others.extend([("pidfd_open", "EPERM"), ("move_pages", "ENOSYS")]);
    all_say(&run(&mut sandbox.alone(&args)), "ENOENT", &others);
}

#[test]
fn races_do_not_reach_it() {
    for (policy, env) in [
        ("hidden = [\"/g\"]\n", &["HIDDEN=1"][..]),
        ("read-only = [\"/g\"]\n", &[]),
    ] {
        let sandbox = guarded(policy);
        for mode in ["processes", "threads"] {
            let env = [&["VKERNEL_AUDIT=off"], env].concat();
            let said = sandbox.run(&[mode, "/g", "3000"], &env);
            assert_eq!(said.status, 0, "{policy} {mode}: {said:?}");
            assert_eq!(
                said.stdout, "raced: mine refused\n",
                "{policy} {mode}: {said:?}"
            );
            untouched(&sandbox);
        }
    }
}

#[test]
fn the_attempts_can_succeed() {
    let sandbox = guarded("");
    let said = sandbox.run(&["changes", "/g"], &[]);
    assert!(said.stdout.contains("\nunlink: ok"), "{said:?}");
    assert!(!sandbox.root().join("g/file").exists());
    let sandbox = guarded("");
    let file = sandbox.root().join("g/file");
    // It is a race, and the secret may be overwritten before it is read.
    let read = (0..20).any(|_| {
        fs::write(&file, "SECRET").unwrap();
        let said = sandbox.run(&["processes", "/g", "3000"], &["HIDDEN=1"]);
        said.stdout == "read the secret\n"
    });
    assert!(read, "the race cannot be won");
    fs::write(&file, "SECRET").unwrap();
    let said = sandbox.run(&["processes", "/g", "3000"], &[]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_ne!(
        fs::read_to_string(sandbox.root().join("g/file")).unwrap_or_default(),
        "SECRET"
    );
}

#[test]
fn threads_get_no_descriptor_that_is_to_be_refused() {
    let sandbox = guarded("");
    let said = sandbox.run(&["memory", "", "3000"], &["VKERNEL_AUDIT=off"]);
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "closed: EACCES\n"),
        "{said:?}"
    );
}
