//! Building again: nothing changed is no work, anything changed is, and whatever interrupted the
//! build before, the next one gives the same digest and leaves nothing else behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use polybuild_e2e::{
    Said, said,
    sandbox::{Sandbox, files},
};
use rustix::process::{Pid, Signal, kill_process};

fn manifest(sandbox: &Sandbox, output: &str) -> String {
    let record: serde_json::Value =
        serde_json::from_slice(&sandbox.read(&format!("{output}/build.json"))).unwrap();
    record["built"]["manifest"].as_str().unwrap().to_owned()
}

/// Inode, size and time of every file of a folder.
fn identities(folder: PathBuf) -> BTreeMap<PathBuf, (u64, u64, i64, i64)> {
    files(&folder)
        .into_iter()
        .map(|path| {
            let m = fs::symlink_metadata(&path).unwrap();
            (path, (m.ino(), m.len(), m.mtime(), m.mtime_nsec()))
        })
        .collect()
}

#[test]
fn nothing_changed_is_no_work() {
    let sandbox = Sandbox::with("hello");
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    let before = identities(sandbox.home().to_owned());
    let begun = Instant::now();
    // No client, no compiler, no network.
    let mut command = sandbox.polybuild(&["recipe.toml", "-o", "out", "--offline", "--locked"]);
    command.env("PATH", "");
    let said = polybuild_e2e::run(&mut command);
    let took = begun.elapsed();
    assert_eq!(said.status, 0, "{said:#?}");
    assert_eq!(said.stderr.lines().count(), 1, "{said:#?}");
    assert!(
        said.stderr
            .trim_start()
            .starts_with("Unchanged test/hello:1"),
        "{said:#?}"
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(
        identities(sandbox.home().to_owned()),
        before,
        "something was written"
    );
}

#[test]
fn what_changed_is_built_again() {
    let sandbox = Sandbox::with("hello");
    let build = || sandbox.ok(&["recipe.toml", "-o", "out"]).stderr;
    build();
    let first = manifest(&sandbox, "out");
    // A file of the result is missing.
    fs::remove_file(sandbox.work().join("out/oci-archive.tar")).unwrap();
    assert!(!build().contains("Unchanged"));
    assert_eq!(manifest(&sandbox, "out"), first);
    // Another image setting.
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write("recipe.toml", recipe.replace("tag = \"1\"", "tag = \"2\""));
    assert!(!build().contains("Unchanged"));
    let second = manifest(&sandbox, "out");
    assert_ne!(second, first);
    // Another module; the lock is refreshed first, as the warning asks.
    let wat = String::from_utf8(sandbox.read("hello.wat")).unwrap();
    sandbox.write("hello.wat", wat.replace("hello\\n", "hallo\\n"));
    sandbox.ok(&["lock", "recipe.toml"]);
    assert!(!build().contains("Unchanged"));
    assert_ne!(manifest(&sandbox, "out"), second);
    let said = sandbox.ok(&["run", "out"]);
    assert_eq!(said.stdout, "hallo\n");
    // Another key.
    let third = manifest(&sandbox, "out");
    sandbox.ok(&["keygen", "other.key"]);
    sandbox.ok(&["recipe.toml", "-o", "out", "--key", "other.key"]);
    assert_ne!(manifest(&sandbox, "out"), third);
}

/// A step sees the patched source, so that another patch makes it run again.
#[test]
fn what_a_patch_changed_is_built_again() {
    let sandbox = Sandbox::with("hello");
    sandbox.write("said", "one\n");
    let archive = Command::new("tar")
        .args(["czf", "said.tar.gz", "said"])
        .current_dir(sandbox.work())
        .status();
    assert!(archive.unwrap().success());
    let patch = |word| format!("--- a/said\n+++ b/said\n@@ -1 +1 @@\n-one\n+{word}\n");
    sandbox.write("said.patch", patch("two"));
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write(
        "recipe.toml",
        recipe
            + "\n[[source]]\nid = \"said\"\nurl = \"path:said.tar.gz\"\n\
               patches = [\"path:said.patch\"]\n\n\
               [[build]]\nid = \"copy\"\ninputs = { folder = \"said\" }\n\
               script = \"cat folder/said > file\"\ntools = [\"cat\"]\noutputs = [\"file\"]\n\n\
               [[file]]\npath = \"/file\"\nsource = \"build:copy/file\"\n",
    );
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    let first = manifest(&sandbox, "out");
    sandbox.write("said.patch", patch("three"));
    sandbox.ok(&["lock", "recipe.toml"]);
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    assert_ne!(manifest(&sandbox, "out"), first);
}

/// A recipe whose build has a step that takes a while, so that there are many moments to hit.
fn slow() -> Sandbox {
    let sandbox = Sandbox::with("hello");
    let recipe = String::from_utf8(sandbox.read("recipe.toml")).unwrap();
    sandbox.write(
        "recipe.toml",
        recipe
            + "\n[[build]]\nid = \"wait\"\nscript = \"echo begun > file; sleep 0.2; echo done >> file\"\n\
               tools = [\"sleep\"]\noutputs = [\"file\"]\n\n\
               [[file]]\npath = \"/file\"\nsource = \"build:wait/file\"\n",
    );
    sandbox
}

fn begin(sandbox: &Sandbox) -> Child {
    sandbox
        .polybuild(&["recipe.toml", "-o", "out", "--rebuild"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: Child, signal: Signal) -> Said {
    kill_process(Pid::from_child(&child), signal).unwrap();
    said(&child.wait_with_output().unwrap())
}

/// How long a whole build takes, and what it gives.
fn reference() -> (Duration, String) {
    let sandbox = slow();
    let begun = Instant::now();
    let said = said(&begin(&sandbox).wait_with_output().unwrap());
    assert_eq!(said.status, 0, "{said:#?}");
    (begun.elapsed(), manifest(&sandbox, "out"))
}

/// Moments all over a build, and a little after it.
fn moments(whole: Duration, n: u32) -> impl Iterator<Item = Duration> {
    (0..n).map(move |i| whole * 11 * i / (10 * n))
}

fn after_it_the_build_succeeds(sandbox: &Sandbox, expected: &str) {
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    assert_eq!(manifest(sandbox, "out"), expected);
    sandbox.ok(&["verify", "out"]);
    sandbox.nothing_half_written();
}

#[test]
fn interrupted_by_a_signal() {
    let (whole, expected) = reference();
    let mut interrupted = 0;
    for signal in [Signal::INT, Signal::TERM] {
        let sandbox = slow();
        for moment in moments(whole, 12) {
            let _ = fs::remove_dir_all(sandbox.work().join("out"));
            let child = begin(&sandbox);
            std::thread::sleep(moment);
            let said = end(child, signal);
            let status = if signal == Signal::INT { 130 } else { 143 };
            match said.status {
                0 => {}
                s if s == status => interrupted += 1,
                s => panic!("after {moment:?}: {s}: {said:#?}"),
            }
            // Before the handler is there, the signal ends the process without a word.
            assert!(!said.stderr.contains("panicked"), "{said:#?}");
            sandbox.nothing_half_written();
            if sandbox.work().join("out").exists() {
                sandbox.ok(&["verify", "out"]);
            }
        }
        after_it_the_build_succeeds(&sandbox, &expected);
    }
    assert!(
        interrupted > 10,
        "only {interrupted} of 24 were interrupted"
    );
}

#[test]
fn an_interruption_says_so() {
    let sandbox = slow();
    let child = begin(&sandbox);
    std::thread::sleep(Duration::from_millis(100));
    let said = end(child, Signal::INT);
    assert_eq!(said.status, 130, "{said:#?}");
    assert!(
        said.stderr
            .contains("error: interrupted; nothing half-written is left"),
        "{said:#?}"
    );
    assert!(said.stderr.contains("hint: run it again"), "{said:#?}");
}

#[test]
fn killed() {
    let (whole, expected) = reference();
    let sandbox = slow();
    let mut killed = 0;
    for moment in moments(whole, 16) {
        let _ = fs::remove_dir_all(sandbox.work().join("out"));
        let child = begin(&sandbox);
        std::thread::sleep(moment);
        killed += usize::from(end(child, Signal::KILL).status == 137);
        if sandbox.work().join("out").exists() {
            sandbox.ok_with_leftovers(&["verify", "out"]);
        }
    }
    assert!(killed > 10, "only {killed} of 16 were killed");
    // The next build takes away what the killed ones left, all of it.
    let said = sandbox.ok_with_leftovers(&["recipe.toml", "-o", "out", "--rebuild"]);
    assert_eq!(said.status, 0);
    assert_eq!(manifest(&sandbox, "out"), expected);
    let left: Vec<_> = sandbox
        .half_written()
        .into_iter()
        .filter(|p| p.is_dir())
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn an_earlier_result_survives_an_interruption() {
    let sandbox = slow();
    sandbox.ok(&["recipe.toml", "-o", "out"]);
    let before = identities(sandbox.work().join("out"));
    let child = begin(&sandbox);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(end(child, Signal::INT).status, 130);
    assert_eq!(identities(sandbox.work().join("out")), before);
    sandbox.nothing_half_written();
}

#[test]
fn two_builds_at_once() {
    let sandbox = slow();
    let (one, two) = (begin(&sandbox), begin(&sandbox));
    for child in [one, two] {
        let said = said(&child.wait_with_output().unwrap());
        assert_eq!(said.status, 0, "{said:#?}");
    }
    sandbox.ok(&["verify", "out"]);
    sandbox.nothing_half_written();
}
