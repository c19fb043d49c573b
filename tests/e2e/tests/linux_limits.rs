//! The policy over the network and over amounts, for programs with Linux system calls: each limit is
//! met by a guest that does what it can against it, and each has a reason that people can read.
//!
//! Needs root, `out/musl-1.2.5` and `tests/install`. Loopback only.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    net::{TcpListener, UdpSocket},
    time::{Duration, Instant},
};

use polybuild_e2e::{Said, linux::Sandbox};

/// What a call came to in the output of the mode `network`.
fn result<'a>(said: &'a Said, call: &str) -> &'a str {
    let start = format!("{call}: ");
    said.stdout
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap_or_else(|| panic!("{call} is not in {said:?}"))
}

/// Calls of the guest's mode `network`, in groups that a policy treats alike.
const LOOPBACK: &[&str] = &[
    "to4(0, SOCK_STREAM, \"127.0.0.1\", port)",
    "to4(0, SOCK_DGRAM, \"127.0.0.1\", port)",
    "to4(0, SOCK_STREAM, \"0.0.0.0\", port)",
    "to6(0, SOCK_DGRAM, \"::1\", 53)",
    "to4(4, SOCK_DGRAM, \"127.0.0.1\", 0)",
    "to4(5, SOCK_STREAM, \"127.0.0.1\", 0)",
    "to6(5, SOCK_STREAM, \"::1\", 0)",
];
const ELSEWHERE: &[&str] = &[
    "to4(0, SOCK_DGRAM, \"192.0.2.1\", 53)",
    "to4(1, SOCK_DGRAM, \"192.0.2.1\", 53)",
    "to4(2, SOCK_DGRAM, \"192.0.2.1\", 53)",
    "to4(3, SOCK_DGRAM, \"192.0.2.1\", 53)",
    "to4(1, SOCK_STREAM, \"192.0.2.1\", 53)",
    "no_family(1, SOCK_DGRAM, \"192.0.2.1\", 53)",
    "to6(0, SOCK_DGRAM, \"::ffff:192.0.2.1\", 53)",
    "to6(1, SOCK_DGRAM, \"::ffff:192.0.2.1\", 53)",
    "to6(0, SOCK_DGRAM, \"2001:db8::1\", 53)",
];
const ANYWHERE: &[&str] = &[
    "to4(4, SOCK_DGRAM, \"0.0.0.0\", port)",
    "no_family(4, SOCK_DGRAM, \"0.0.0.0\", port)",
    "listen_anywhere()",
    "listen_on_any_port()",
    "to6(5, SOCK_STREAM, \"::\", 0)",
];
const ROUTED: &[&str] = &["routed()", "routed_message()"];

/// Runs the mode against a server of ours; gives what was said.
fn network(policy: &str) -> Said {
    let (listener, port) = server();
    let sandbox = Sandbox::new("limits", policy);
    let said = sandbox.run(&["network", &port.to_string()], &[]);
    drop(listener);
    assert_eq!(said.status, 0, "{said:?}");
    // Whatever the policy says.
    for (call, error) in [
        ("socket(AF_NETLINK, SOCK_RAW, 0)", "EAFNOSUPPORT"),
        ("socket(AF_PACKET, SOCK_RAW, 0)", "EAFNOSUPPORT"),
        ("socket(AF_INET, SOCK_RAW, 1)", "EPERM"),
        ("socket(AF_INET6, SOCK_RAW, 58)", "EPERM"),
        ("socket(AF_INET, SOCK_PACKET, 3)", "EPERM"),
        ("socket(AF_UNIX, SOCK_STREAM, 0) >= 0", "1"),
    ] {
        assert_eq!(result(&said, call), error, "{policy}: {call}");
    }
    said
}

fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[track_caller]
fn all(said: &Said, calls: &[&str], fits: impl Fn(&str) -> bool) {
    for call in calls {
        assert!(fits(result(said, call)), "{call}: {said:?}");
    }
}

#[test]
fn without_a_network() {
    let said = network("network = \"none\"\n");
    for calls in [LOOPBACK, ELSEWHERE, ANYWHERE] {
        // EBADF: there is no socket.
        all(&said, calls, |r| r == "EACCES" || r == "EBADF");
    }
    assert!(
        said.stderr
            .contains("the network policy has no rule for it"),
        "{}",
        said.stderr
    );
}

#[test]
fn the_machine_itself() {
    let said = network("network = \"loopback\"\n");
    all(&said, LOOPBACK, |r| r == "0");
    for calls in [ELSEWHERE, ANYWHERE, ROUTED] {
        all(&said, calls, |r| r == "EACCES");
    }
    assert_eq!(result(&said, "to4(4, SOCK_DGRAM, \"0.0.0.0\", 0)"), "0");
    assert_eq!(
        result(&said, "socket(AF_INET, SOCK_STREAM, 262)"),
        "EPROTONOSUPPORT"
    );
    assert!(
        said.stderr.contains("\"object\":\"192.0.2.1:53\""),
        "{}",
        said.stderr
    );
    let sandbox = Sandbox::new("limits", "network = \"loopback\"\n");
    let said = sandbox.run(&["echo"], &[]);
    assert!(said.stdout.ends_with("\nhello\n"), "{said:?}");
}

#[test]
fn listed_addresses() {
    let (listener, port) = server();
    let list = format!("network = [\"127.0.0.1:{port}\", \"192.0.2.0/24:53\"]\n");
    let sandbox = Sandbox::new("limits", &list);
    let said = sandbox.run(&["network", &port.to_string()], &[]);
    drop(listener);
    assert_eq!(result(&said, LOOPBACK[0]), "0", "{said:?}");
    // Another port of the same machine, and another address.
    all(
        &said,
        &["to6(0, SOCK_DGRAM, \"::1\", 53)", ELSEWHERE[8], LOOPBACK[5]],
        |r| r == "EACCES",
    );
    all(&said, &ELSEWHERE[..4], |r| r != "EACCES");
    all(&said, ROUTED, |r| r == "EACCES");
    // One that the policy of this start takes away.
    let said = sandbox.run(
        &["network", &port.to_string()],
        &["VKERNEL_POLICY=network=192.0.2.0/24"],
    );
    all(&said, &LOOPBACK[..3], |r| r == "EACCES");
}

#[test]
fn without_a_policy_all_is_as_the_host_has_it() {
    let said = network("");
    for calls in [LOOPBACK, ANYWHERE] {
        all(&said, calls, |r| r == "0");
    }
    all(&said, ELSEWHERE, |r| r != "EACCES");
    all(&said, &["routed()"], |r| r != "EACCES");
}

#[test]
fn addresses_that_change_while_they_are_judged() {
    let other = UdpSocket::bind("127.0.0.2:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let policy = format!("network = [\"127.0.0.1:{port}\"]\n");
    let sandbox = Sandbox::new("limits", &policy);
    let said = sandbox.run(&["race", &port.to_string()], &["VKERNEL_AUDIT=off"]);
    assert_eq!(said.stdout, "sent 1 refused 1 other 0\n", "{said:?}");
}

/// A mode under a policy: what it says on standard output, and words of the audit.
#[track_caller]
fn check(policy: &str, args: &[&str], expected: &str, audit: &str) {
    let said = Sandbox::new("limits", policy).run(args, &[]);
    assert_eq!(
        said.stdout.trim(),
        expected.trim(),
        "{policy}: {}",
        said.stderr
    );
    assert!(said.stderr.contains(audit), "{policy}: {}", said.stderr);
}

#[test]
fn processes() {
    check(
        "processes-max = 8\n",
        &["processes"],
        "made 7, then EAGAIN\nanother: exit 7",
        "policy `processes-max`",
    );
}

#[test]
fn a_fork_bomb_is_a_dud() {
    let policy = "processes-max = 20\nwall-time-max = \"2s\"\n";
    let begun = Instant::now();
    let said = Sandbox::new("limits", policy).run(&["bomb"], &["VKERNEL_AUDIT=off"]);
    assert_eq!(said.status, 137, "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn threads() {
    check(
        "threads-max = 5\n",
        &["threads"],
        "threads 5, then EAGAIN\nanother: -",
        "policy `threads-max`",
    );
}

#[test]
fn descriptors() {
    check(
        "open-files-max = 40\n",
        &["files", "40"],
        "opened all: EMFILE\nlast 39\nsetrlimit(RLIMIT_NOFILE, &l): EPERM",
        "",
    );
}

#[test]
fn a_hundred_thousand_open_files() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|l| l.starts_with("Max open files"));
    let hard = line.unwrap().split_whitespace().nth(4).unwrap();
    // Where the host allows fewer, all that it allows but the vkernel's own.
    let most = hard.parse::<u32>().unwrap().saturating_sub(64).min(100_000);
    let policy = format!("open-files-max = {most}\n");
    let said =
        Sandbox::new("limits", &policy).run(&["files", &most.to_string()], &["RAISE_FILES=1"]);
    assert!(said.stdout.starts_with("opened all: EMFILE\n"), "{said:?}");
    let last = said.stdout.lines().find_map(|l| l.strip_prefix("last "));
    assert_eq!(last.unwrap().parse::<u32>().unwrap() + 1, most, "{said:?}");
}

#[test]
fn sizes_of_files() {
    check(
        "file-size-max = \"1MiB\"\n",
        &["file-size"],
        "wrote 1048576: EFBIG\nftruncate(fd, 1 << 30): EFBIG\nfallocate(fd, 0, 0, 1 << 30): EFBIG\n\
         setrlimit(RLIMIT_FSIZE, &l): EPERM",
        "",
    );
}

#[test]
fn memory() {
    let expected = "mapped less than 64 MiB: ENOMEM";
    check("memory-max = \"64MiB\"\n", &["memory"], expected, "");
}

/// A guest that ignores all signals and stops all timers ends in time all the same.
#[track_caller]
fn ends(policy: &str, mode: &str, what: &str, key: &str) {
    let begun = Instant::now();
    let said = Sandbox::new("limits", policy).run(&[mode], &[]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{policy}");
    assert_eq!(
        (said.status, said.stdout.lines().next()),
        (137, Some("begins")),
        "{said:?}"
    );
    assert!(
        said.stderr
            .contains(&format!("vkernel: ended: the {what} limit of")),
        "{said:?}"
    );
    let event = format!("\"event\":\"limit\",\"limit\":\"{key}\"");
    assert!(said.stderr.contains(&event), "{said:?}");
}

#[test]
fn wall_clock_time() {
    for mode in ["sleep", "work", "child"] {
        ends(
            "wall-time-max = \"600ms\"\n",
            mode,
            "wall-clock",
            "wall-time-max",
        );
    }
}

#[test]
fn processor_time() {
    let policy = "cpu-time-max = \"300ms\"\nwall-time-max = \"20s\"\n";
    ends(policy, "work", "CPU-time", "cpu-time-max");
}

#[test]
fn the_audit_cannot_be_touched() {
    let sandbox = Sandbox::new("limits", "");
    let said = sandbox.run(&["audit"], &["VKERNEL_AUDIT=/tmp/audit"]);
    let refused = "tried some, forged 0\nopen(\"/tmp/audit\", O_WRONLY | O_APPEND): EACCES\n\
                   truncate(\"/tmp/audit\", 0): EACCES\nsetrlimit(RLIMIT_FSIZE, &l): 0\n";
    assert!(said.stdout.starts_with(refused), "{said:?}");
    let events = std::fs::read_to_string(sandbox.root().join("tmp/audit")).unwrap();
    let count = |event: &str| events.matches(&format!("\"event\":\"{event}\"")).count();
    assert_eq!((count("launch"), count("exit")), (2, 1), "{events}");
    assert!(
        events.lines().all(|line| line.starts_with("{\"time\"")),
        "{events}"
    );
}
