//! Unified diffs: what applies, and what does not and why.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{fs, os::unix::fs::symlink};

use polybuild_fetch::apply_patch;

const LINES: &str = "one\ntwo\nthree\nfour\nfive\nsix\n";

/// Applies a patch to a folder with `f` (the six lines) and `sub/g`; returns `f`, or the error
/// without the patch's path.
fn apply(patch: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("f"), LINES).unwrap();
    fs::write(root.join("sub/g"), "g\n").unwrap();
    symlink("f", root.join("link")).unwrap();
    let file = dir.path().join("p");
    fs::write(&file, patch).unwrap();
    match apply_patch(&file, &root) {
        Ok(()) => Ok(
            fs::read_to_string(root.join("f")).unwrap_or("(gone)".into())
                + &fs::read_to_string(root.join("new/h")).unwrap_or_default(),
        ),
        Err(e) => {
            // All or nothing.
            assert_eq!(fs::read_to_string(root.join("f")).unwrap(), LINES);
            assert_eq!(fs::read_to_string(root.join("sub/g")).unwrap(), "g\n");
            Err(e.to_string().replace(&format!("{}:", file.display()), ""))
        }
    }
}

#[test]
fn what_applies() {
    let check = |patch: &str, expected: &str| assert_eq!(apply(patch).as_deref(), Ok(expected));
    check(
        "words before\ndiff --git a/f b/f\nindex 1..2 100644\n--- a/f\t2026-01-01\n+++ b/f\n\
         @@ -1,3 +1,3 @@ fn x()\n one\n-two\n+2\n three\n@@ -5,2 +5,3 @@\n five\n six\n+seven\n",
        "one\n2\nthree\nfour\nfive\nsix\nseven\n",
    );
    // Insertion at the start, without context.
    check(
        "--- a/f\n+++ b/f\n@@ -0,0 +1 @@\n+zero\n",
        &format!("zero\n{LINES}"),
    );
    // The end loses its newline.
    check(
        "--- a/f\n+++ b/f\n@@ -6 +6 @@\n-six\n+6\n\\ No newline at end of file\n",
        "one\ntwo\nthree\nfour\nfive\n6",
    );
    check(
        "--- /dev/null\n+++ b/new/h\n@@ -0,0 +1 @@\n+new\n",
        &format!("{LINES}new\n"),
    );
    check(
        "--- a/f\n+++ /dev/null\n@@ -1,6 +0,0 @@\n-one\n-two\n-three\n-four\n-five\n-six\n",
        "(gone)",
    );
    // Two patches of one file in one.
    check(
        "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+1\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-1\n+I\n",
        "I\ntwo\nthree\nfour\nfive\nsix\n",
    );
}

#[test]
fn what_does_not() {
    let check = |patch: &str, words: &str| {
        let error = apply(patch).unwrap_err();
        assert!(error.contains(words), "wanted: {words}\nfound: {error}");
    };
    let hunk = |hunk: &str| format!("--- a/f\n+++ b/f\n{hunk}");
    check("", "1: the patch changes no file");
    check("hello\n", "the patch changes no file");
    check(&hunk(""), "3: a file without hunks");
    check(
        &hunk("@@ -1 +1 @@\n-two\n+2\n"),
        "at line 1: expected `two`, found `one`",
    );
    check(
        &hunk("@@ -9 +9 @@\n-six\n+6\n"),
        "at line 9: the file has fewer lines",
    );
    check(
        &hunk("@@ -6,2 +6 @@\n six\n-seven\n"),
        "expected `seven`, found the end of the file",
    );
    check(
        &hunk("@@ -1,2 +1,2 @@\n one\n"),
        "the hunk ends before its header says",
    );
    check(
        &hunk("@@ -1,1 +1,0 @@\n one\n"),
        "more lines than its header says",
    );
    check(
        &hunk("@@ -a +1 @@\n-one\n"),
        "3: a hunk header that is none",
    );
    check(
        &hunk("@@ -99999999999999999999 +1 @@\n-one\n"),
        "a hunk header that is none",
    );
    check("@@ -1 +1 @@\n-one\n+1\n", "without the names of its files");
    check("--- a/f\n@@ -1 +1 @@\n", "`--- ` is not followed by `+++ `");
    check(
        "--- a/f\n+++ b/g\n@@ -1 +1 @@\n-one\n+1\n",
        "renames are not supported",
    );
    check(
        "--- a/../f\n+++ b/../f\n@@ -1 +1 @@\n-one\n+1\n",
        "a name that leads elsewhere",
    );
    check(
        "--- /f\n+++ /f\n@@ -1 +1 @@\n-one\n+1\n",
        "a name that leads elsewhere",
    );
    check(
        "--- f\n+++ f\n@@ -1 +1 @@\n-one\n+1\n",
        "a name that leads elsewhere",
    );
    check(
        "--- a/link\n+++ b/link\n@@ -1 +1 @@\n-one\n+1\n",
        "is a link",
    );
    check("--- a/no\n+++ b/no\n@@ -1 +1 @@\n-one\n+1\n", "cannot read");
    check(
        "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n",
        "creates a file that is there",
    );
    check(
        "--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n",
        "leaves lines of it",
    );
    check(
        "diff --git a/x b/x\nrename from x\nrename to y\n",
        "2: renames",
    );
    check("diff --git a/x b/x\nold mode 100644\n", "modes");
    check("diff --git a/x b/x\nGIT binary patch\n", "binary");
    // The second file fails, so the first stays as it was.
    check(
        "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+1\n--- a/sub/g\n+++ b/sub/g\n@@ -1 +1 @@\n-x\n+y\n",
        "the hunk does not apply to sub/g",
    );
}
