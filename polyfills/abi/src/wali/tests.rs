//! The table is in order, and what cannot include it is what would be made from it.

extern crate std;

use std::{collections::BTreeSet, format, fs, string::String, vec::Vec};

use super::*;

#[test]
fn is_sorted_and_without_repetition() {
    assert!(SYSCALLS.windows(2).all(|w| w[0].name < w[1].name));
    let numbers: BTreeSet<u16> = SYSCALLS.iter().map(|call| call.number).collect();
    assert_eq!(numbers.len(), SYSCALLS.len());
    assert!(SYSCALLS.iter().all(|call| call.params.len() <= 6));
}

#[test]
fn notes_say_what_is_missing_and_why_something_is_refused() {
    for call in SYSCALLS {
        let has_note = !call.note.is_empty();
        match call.by {
            By::Nobody => assert!(!has_note, "{}", call.name),
            By::Refused => assert!(has_note, "{}", call.name),
            By::Host | By::Vkernel => {}
        }
    }
}

/// What the C side is made from: `VKERNEL_BLESS=1 cargo test -p vkernel-abi` writes it anew.
#[test]
fn the_sysroots_list_is_made_from_the_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../sysroot/syscalls.txt");
    let text = fs::read_to_string(file).unwrap();
    let head = text.lines().take_while(|line| line.starts_with('#'));
    let mut calls: Vec<&Syscall> = SYSCALLS.iter().collect();
    calls.sort_by_key(|call| call.number);
    let lines = calls.into_iter().map(|call| {
        let types: Vec<&str> = call.params.iter().map(|param| param.word()).collect();
        let line = format!("{:<23} {:<4} {}", call.name, call.number, types.join(" "));
        String::from(line.trim_end())
    });
    let lines: Vec<String> = head.map(String::from).chain(lines).collect();
    let expected = lines.join("\n") + "\n";
    if std::env::var_os("VKERNEL_BLESS").is_some() {
        fs::write(file, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap(), expected);
}

#[test]
fn imports_are_found_by_field() {
    assert_eq!(syscall("SYS_openat").map(|c| c.number), Some(257));
    assert_eq!(syscall("openat"), None);
    assert_eq!(syscall("SYS_"), None);
    assert!(function("__cl_get_argc").is_some() && function("SYS_read").is_none());
}

/// Calls whose names say that they take a path have one: what is answered later is judged.
#[test]
fn no_path_is_forgotten() {
    let words = [
        "open",
        "stat",
        "link",
        "dir",
        "xattr",
        "chmod",
        "chown",
        "mknod",
        "rename",
        "access",
        "truncate",
        "utime",
        "execve",
        "chroot",
        "mount",
        "inotify_add",
        "handle_at",
    ];
    // By descriptor, by number, or by a name that is no path.
    let others = [
        "cachestat",
        "fgetxattr",
        "flistxattr",
        "ftruncate",
        "open_by_handle_at",
        "fsopen",
        "fsmount",
        "mq_open",
        "mq_unlink",
        "pidfd_open",
        "perf_event_open",
        "ustat",
    ];
    for call in SYSCALLS {
        let named = words.iter().any(|word| call.name.contains(word));
        if named && !others.contains(&call.name) {
            assert!(call.judged() > Judged::Nothing, "{}", call.name);
        }
    }
}

#[test]
fn flags_of_paths_come_with_a_path() {
    for call in SYSCALLS {
        let is_path = |param: &Param| matches!(param, Param::Path(_));
        let flags = call
            .params
            .iter()
            .filter(|param| matches!(param, Param::AtFlags | Param::LinkFlags | Param::WatchFlags));
        let (flags, paths) = (
            flags.count(),
            call.params.iter().filter(|p| is_path(p)).count(),
        );
        assert!(flags <= 1 && (flags == 0 || paths > 0), "{}", call.name);
    }
}
