//! What a hostile guest with Linux system calls tries against its vkernel, by kind: signals that claim to be
//! faults and maps that fail are cases of the comparison (`forged`, `failing_maps`); here are descriptors
//! swapped in a race, objects that are no plain files, sockets, and limits that somebody wants to put off.
//!
//! Needs root, `out/musl-1.2.5` and `tests/install`. Loopback only.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::Stdio,
    time::{Duration, Instant},
};

use polybuild_e2e::{Said, linux::Sandbox};

#[track_caller]
fn says(said: &Said, line: &str) {
    assert!(said.stdout.lines().any(|l| l == line), "{line}: {said:?}");
}

#[test]
fn what_is_judged_by_descriptor_is_what_is_changed() {
    let sandbox = Sandbox::new("hostile", "read-only = [\"/g\"]\n");
    let root = sandbox.root();
    fs::create_dir_all(root.join("g")).unwrap();
    fs::write(root.join("g/file"), "SECRET").unwrap();
    let said = sandbox.run(&["races"], &[]);
    assert_eq!(said.status, 0, "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 10, "{said:?}");
    for line in lines {
        assert!(line.ends_with(": tried, unchanged"), "{line}");
    }
    let file = fs::metadata(root.join("g/file")).unwrap();
    assert_eq!(fs::read(root.join("g/file")).unwrap(), b"SECRET");
    assert_eq!(
        (file.uid(), file.nlink(), file.mode() & 0o777),
        (0, 1, 0o644)
    );
}

#[test]
fn nobody_listens_where_the_policy_does_not_allow_it() {
    let sandbox = Sandbox::new("hostile", "network = \"loopback\"\n");
    let said = sandbox.run(&["listens"], &[]);
    assert_eq!(said.status, 0, "{said:?}");
    says(&said, "listen(forbidden, 1): EACCES");
    says(&said, "another socket: does not listen");
    says(&said, "the same socket: does not listen");
}

/// Calls that change metadata or make nodes.
const CHANGES: &[&str] = &[
    "chmod(",
    "chown(",
    "lchown(",
    "fchmod(",
    "fchown(",
    "utimensat(",
    "setxattr(",
    "mknod(",
    "syscall(SYS_fchmodat,",
];

#[test]
fn objects_that_are_no_plain_files() {
    let sandbox = Sandbox::new("hostile", "");
    let host = fs::metadata("/dev/null").unwrap();
    let log = sandbox.outside().join("audit");
    let outside = || {
        let megabinary = fs::metadata(sandbox.root().join(".vkernel/megabinary")).unwrap();
        let audit = fs::metadata(&log).unwrap();
        (
            megabinary.mode(),
            megabinary.uid(),
            megabinary.nlink(),
            audit.mode(),
            audit.uid(),
            audit.nlink(),
        )
    };
    fs::write(&log, "").unwrap();
    let before = outside();
    let mut command = sandbox.alone(&["objects"]);
    command.env("VKERNEL_AUDIT", &log);
    let said = polybuild_e2e::run(&mut command);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!said.stdout.contains("OPENED"), "{said:?}");
    for (line, answer) in said.stdout.lines().filter_map(|l| l.rsplit_once(": ")) {
        let expected = match line {
            "own map" => "there, the guest's",
            "stat" => "whole, no addresses",
            "the vkernel's own" => "out of reach",
            line if line.contains("\"task\"") => "0",
            line if line.contains("thread-self/maps") => "0",
            "mknod(\"/w/null\", S_IFCHR | 0600, 0x103)" | "mkfifo(\"/w/fifo\", 0600)" => answer,
            line if CHANGES.iter().any(|call| line.starts_with(call)) => "EPERM",
            line if line.starts_with("reads(") && answer == "0" => "0",
            _ => "EACCES",
        };
        // Some are not there on every host, or refused by the host kernel in its own words.
        let fits = answer == expected || ["ENOENT", "EOPNOTSUPP", "EROFS"].contains(&answer);
        assert!(fits, "{line}: {answer}, not {expected}");
    }
    let now = fs::metadata("/dev/null").unwrap();
    assert_eq!(
        (host.mode(), host.uid(), host.mtime()),
        (now.mode(), now.uid(), now.mtime())
    );
    assert_eq!(outside(), before);
}

#[test]
fn sockets_are_those_that_policies_know() {
    for policy in ["", "network = \"loopback\"\n"] {
        let sandbox = Sandbox::new("hostile", policy);
        let said = sandbox.run(&["sockets"], &[]);
        says(&said, "none of them");
        for option in [
            "getsockopt(tcp, IPPROTO_TCP, 35, value, &size): EPERM",
            "setsockopt(tcp, IPPROTO_TCP, 35, value, size): EPERM",
            "setsockopt(tcp, IPPROTO_IP, 64, value, size): EPERM",
            "getsockopt(tcp, IPPROTO_IP, 1024 + 64, value, &size): EPERM",
            "getsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, value, &size): 0",
            "socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP) >= 0: 1",
            "socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair): 0",
        ] {
            says(&said, option);
        }
    }
}

#[test]
fn threads_have_one_table_of_descriptors() {
    let said = Sandbox::new("hostile", "").run(&["tables"], &[]);
    for line in [
        "syscall(SYS_close_range, 900L, 901L, flags): EINVAL",
        "unshare(CLONE_FILES): EPERM",
        "close(50): 0",
        "fcntl(50, F_GETFD): EBADF",
    ] {
        says(&said, line);
    }
}

/// How long the guest lives, which does what it can against its limits: `e` standard error is a full pipe,
/// `t` which a thread writes to as well, `m` all signals blocked, `d` timers deleted, `k` signals to all
/// threads, `s` stopped, `w` waits in a write, `p` pauses.
fn lifetime(sandbox: &Sandbox, how: &str) -> (Duration, Option<i32>) {
    let start = Instant::now();
    let mut child = sandbox
        .alone(&["outlives", how])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{how}: still alive after 30 s");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    use std::os::unix::process::ExitStatusExt;
    (
        start.elapsed(),
        status.code().or(status.signal().map(|s| 128 + s)),
    )
}

#[test]
fn limits_of_time_cannot_be_put_off() {
    let wall = Sandbox::new("hostile", "wall-time-max = \"1s\"\n");
    for how in [
        "-", "e", "et", "em", "ed", "emdk", "etw", "ep", "s", "es", "eds", "w",
    ] {
        let (took, status) = lifetime(&wall, how);
        assert_eq!(status, Some(137), "{how} after {took:?}");
    }
    let cpu = Sandbox::new("hostile", "cpu-time-max = \"500ms\"\n");
    for how in ["-", "e", "et", "emdk"] {
        let (took, status) = lifetime(&cpu, how);
        assert_eq!(status, Some(137), "{how} after {took:?}");
    }
}

#[test]
fn memory_is_limited_from_the_start() {
    let sandbox = Sandbox::new("hostile", "memory-max = \"64KiB\"\n");
    let said = sandbox.run(&["sockets"], &[]);
    assert_eq!(said.status, 125, "{said:?}");
    assert!(
        said.stderr.contains("to start, its policy allows 65536"),
        "{said:?}"
    );
    assert_eq!(said.stdout, "");
}
