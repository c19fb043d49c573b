//! WASI preview 1 against wasmtime itself: the same module, the same folder, the same calls; what
//! they give and what they leave on disk must be equal. The differences that we mean are a table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use polybuild_e2e::{Said, guests, run_with, workspace};

/// A line on which we mean to differ.
struct Difference {
    section: &'static str,
    label: &'static str,
    ours: &'static str,
    reference: &'static str,
    /// Why; `vkernel/kernel/src/preview1/table.rs` notes the same.
    #[allow(dead_code, reason = "for the reader")]
    reason: &'static str,
}

const fn differs(
    section: &'static str,
    label: &'static str,
    ours: &'static str,
    reference: &'static str,
    reason: &'static str,
) -> Difference {
    Difference {
        section,
        label,
        ours,
        reference,
        reason,
    }
}

const SLASH: &str = "a name that ends in a slash means a folder, as on Linux; wasmtime drops it";
const BYTES: &str = "the bytes that are left in the file; wasmtime says 1 whatever there is";

/// Every documented difference; one that no longer shows fails the test too.
const DIFFERENCES: &[Difference] = &[
    differs(
        "reading",
        "allocate",
        "0",
        "58",
        "fd_allocate allocates; wasmtime has NOTSUP",
    ),
    differs(
        "reading",
        "sync folder",
        "0",
        "8",
        "folders can be synced; wasmtime has BADF",
    ),
    differs(
        "polling",
        "file",
        "0 1 7 0 1 bytes 5",
        "0 1 7 0 1 bytes 1",
        BYTES,
    ),
    differs("opening", "stat f/", "54", "0 type 4 size 5 links 1", SLASH),
    differs(
        "opening",
        "stat f/.",
        "54",
        "0 type 4 size 5 links 1",
        SLASH,
    ),
    differs(
        "opening",
        "stat to-f/",
        "54",
        "0 type 7 size 1 links 1",
        SLASH,
    ),
    differs(
        "opening",
        "stat to-d/",
        "0 type 3",
        "0 type 7 size 1 links 1",
        SLASH,
    ),
    differs("tree", "rmdir slash", "0", "28", SLASH),
    differs("tree", "link to slash", "20", "54", SLASH),
    differs("tree", "rename to slash", "54", "0", SLASH),
];

const INPUT: &[u8] = b"first line\nsecond line\n";

fn ours(module: &Path, folder: &Path, section: &str) -> Said {
    let mut command = guests::run_wasm(module);
    command.arg("--dir").arg(format!("{}::/", folder.display()));
    command.args(["--env", "A=1", "--env", "B=two words"]);
    run_with(guests::args(&mut command, &[section, "x y"]), INPUT)
}

fn reference(module: &Path, folder: &Path, section: &str) -> Said {
    let mut command = Command::new(guests::test_tools_python());
    command.arg(workspace().join("tests/e2e/guests/reference.py"));
    command.arg(module).arg(folder).args([section, "x y"]);
    run_with(&mut command, INPUT)
}

/// What is in a folder, as text.
fn on_disk(folder: &Path) -> String {
    fn walk(folder: &Path, prefix: &str, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            if meta.is_dir() {
                out.push(format!("{name}/ {:o}", meta.mode()));
                walk(&path, &name, out);
            } else if meta.is_symlink() {
                out.push(format!(
                    "{name} -> {}",
                    fs::read_link(&path).unwrap().display()
                ));
            } else {
                let text = fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&text);
                out.push(format!(
                    "{name} {:o} {} {text:?}",
                    meta.mode(),
                    meta.nlink()
                ));
            }
        }
    }
    let mut lines = Vec::new();
    walk(folder, "", &mut lines);
    lines.sort_unstable();
    lines.join("\n")
}

/// Label → what was said of it; a label that comes again gets a number.
fn by_label(stdout: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for line in stdout.lines() {
        let (label, value) = line.split_once(": ").unwrap_or((line, ""));
        let mut name = label.to_owned();
        let mut again = 2;
        while out.contains_key(&name) {
            name = format!("{label} #{again}");
            again += 1;
        }
        out.insert(name, value.to_owned());
    }
    out
}

#[track_caller]
fn check(section: &str) {
    let module = guests::c("conformance");
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, reference) = (
        ours(&module, a.path(), section),
        reference(&module, b.path(), section),
    );
    assert_eq!(reference.status, 17, "the reference: {reference:?}");
    assert_eq!(ours.status, 17, "{ours:?}");
    assert_eq!(ours.stderr, "");
    let (ours, reference) = (by_label(&ours.stdout), by_label(&reference.stdout));
    assert!(!ours.is_empty());
    let mut wrong = Vec::new();
    for label in ours
        .keys()
        .chain(reference.keys().filter(|l| !ours.contains_key(*l)))
    {
        let found = (
            ours.get(label).map_or("(absent)", String::as_str),
            reference.get(label).map_or("(absent)", String::as_str),
        );
        let known = DIFFERENCES
            .iter()
            .find(|d| d.section == section && d.label == label);
        let expected = match known {
            Some(difference) => found == (difference.ours, difference.reference),
            None => found.0 == found.1,
        };
        if !expected {
            wrong.push(format!(
                "{label}: ours {:?}, reference {:?}",
                found.0, found.1
            ));
        }
    }
    for difference in DIFFERENCES.iter().filter(|d| d.section == section) {
        if !ours.contains_key(difference.label) {
            wrong.push(format!(
                "{}: listed as a difference, and never tried",
                difference.label
            ));
        }
    }
    assert!(wrong.is_empty(), "{section}:\n  {}", wrong.join("\n  "));
    assert_eq!(on_disk(a.path()), on_disk(b.path()));
}

#[test]
fn opening() {
    check("opening");
}

#[test]
fn reading() {
    check("reading");
}

#[test]
fn tree() {
    check("tree");
}

#[test]
fn listing() {
    check("listing");
}

#[test]
fn times() {
    check("times");
}

#[test]
fn descriptors() {
    check("descriptors");
}

#[test]
fn polling() {
    check("polling");
}

#[test]
fn environment() {
    check("environment");
}
