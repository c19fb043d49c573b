//! Archives, good and hostile.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    fs,
    io::{Cursor, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use polybuild_fetch::{Extract, ExtractError, Limits, extract};
use tar::{EntryType, Header};

/// One entry: kind, name, content or target of a link.
type Entry<'a> = (EntryType, &'a str, &'a str);

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

/// A tar archive with exactly these bytes as names: the tar crate would refuse to write the
/// hostile ones.
fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, name, content) in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if name.ends_with(".sh") { 0o4755 } else { 0o600 });
        let link = matches!(*kind, LINK | HARD);
        if link {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let body = if link { "" } else { content };
        header.set_size(body.len() as u64);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(body.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bz2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn deb(member: &str, data: &[u8]) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), (member, data)] {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        match name.strip_prefix("link ") {
            Some(name) => writer.add_symlink(name, *text, options).unwrap(),
            None => {
                writer.start_file(*name, options).unwrap();
                writer.write_all(text.as_bytes()).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

struct Unpacked {
    dir: tempfile::TempDir,
    result: Result<(), ExtractError>,
}

impl Unpacked {
    fn path(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

fn unpack_with(archive: &[u8], how: &Extract) -> Unpacked {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive");
    fs::write(&file, archive).unwrap();
    let result = extract(&file, &dir.path().join("out"), how);
    let unpacked = Unpacked { dir, result };
    // Whole, or not at all: nothing unfinished is left either way.
    let mut names: Vec<_> = fs::read_dir(unpacked.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    match &unpacked.result {
        Ok(()) => assert_eq!(names, ["archive", "out"]),
        Err(_) => assert_eq!(names, ["archive"]),
    }
    unpacked
}

fn unpack(archive: &[u8]) -> Unpacked {
    unpack_with(archive, &Extract::default())
}

/// The archive is refused with these words.
fn refused(archive: &[u8], words: &str) {
    let error = unpack(archive).result.unwrap_err().to_string();
    assert!(error.contains(words), "wanted: {words}\nfound: {error}");
}

const GOOD: &[Entry<'_>] = &[
    (DIR, "p/", ""),
    (FILE, "p/a.txt", "hello"),
    (FILE, "p/sub/run.sh", "#!/bin/sh"),
    (LINK, "p/link", "sub/../a.txt"),
    (HARD, "p/hard", "p/a.txt"),
];

#[test]
fn every_compression_of_tar() {
    let plain = tar(GOOD);
    let forms = [
        plain.clone(),
        gz(&plain),
        xz(&plain),
        bz2(&plain),
        zst(&plain),
        deb("data.tar", &plain),
        deb("data.tar.xz", &xz(&plain)),
        deb("data.tar.zst/", &zst(&plain)),
        deb("data.tar.gz", &gz(&plain)),
    ];
    for (i, archive) in forms.iter().enumerate() {
        let unpacked = unpack(archive);
        unpacked
            .result
            .as_ref()
            .unwrap_or_else(|e| panic!("form {i}: {e}"));
        assert_eq!(unpacked.read("p/a.txt"), "hello");
        assert_eq!(unpacked.read("p/link"), "hello");
        assert_eq!(unpacked.read("p/hard"), "hello");
        let mode = |name: &str| {
            let meta = fs::metadata(unpacked.path().join(name)).unwrap();
            meta.permissions().mode() & 0o7777
        };
        // Execute permission is kept; set-uid, owners and the rest are not.
        assert_eq!((mode("p/a.txt"), mode("p/sub/run.sh")), (0o644, 0o755));
    }
}

#[test]
fn zip_archives() {
    let unpacked = unpack(&zip(&[("a/b.py", "x = 1"), ("link a/l", "b.py")]));
    unpacked.result.as_ref().unwrap();
    assert_eq!(unpacked.read("a/l"), "x = 1");
    refused(
        &zip(&[("link l", "../../etc/passwd")]),
        "leads out of the archive",
    );
    refused(&zip(&[("../evil", "x")]), "has a `..` in its name");
    refused(&zip(&[("/etc/evil", "x")]), "has an absolute path");
    refused(&zip(&[("a\\..\\b", "x")]), "backslash");
}

#[test]
fn leading_folders_are_stripped() {
    let strip = |strip_components| {
        let how = Extract {
            strip_components,
            ..Extract::default()
        };
        unpack_with(&tar(GOOD), &how)
    };
    assert_eq!(strip(1).read("a.txt"), "hello");
    let two = strip(2);
    assert_eq!(two.read("run.sh"), "#!/bin/sh");
    assert_eq!(
        fs::read_dir(two.path()).unwrap().count(),
        1,
        "the rest is left out"
    );
}

#[test]
fn paths_that_lead_out() {
    let check = |entries: &[Entry<'_>], words| refused(&tar(entries), words);
    check(&[(FILE, "../evil", "x")], "has a `..` in its name");
    check(&[(FILE, "a/../../evil", "x")], "has a `..` in its name");
    check(
        &[(FILE, "/etc/evil", "x")],
        "has an absolute path as its name",
    );
    check(&[(DIR, "..", "")], "has a `..` in its name");
    check(
        &[(LINK, "l", "/etc/passwd")],
        "is a link to an absolute path",
    );
    check(&[(LINK, "l", "../x")], "leads out of the archive");
    check(&[(LINK, "a/l", "../../x")], "leads out of the archive");
    // Each link by itself looks harmless.
    check(
        &[(LINK, "a/b/up", "../.."), (LINK, "a/b/m", "up/../x")],
        "leads out of the archive",
    );
    check(&[(HARD, "h", "/etc/passwd")], "has an absolute path");
    check(&[(HARD, "h", "../../etc/passwd")], "has a `..` in its name");
    check(
        &[(HARD, "h", "never")],
        "is a hard link to a file that is not before it",
    );
    check(
        &[(LINK, "l", "a"), (HARD, "h", "l")],
        "is a hard link to a file that is not before it",
    );
}

#[test]
fn writing_through_a_link() {
    let check = |entries: &[Entry<'_>], words| refused(&tar(entries), words);
    check(
        &[(LINK, "d", "a"), (FILE, "d/evil", "x")],
        "is behind a link",
    );
    check(&[(LINK, "f", "a"), (FILE, "f", "x")], "replaces a link");
    check(&[(LINK, "f", "a"), (DIR, "f", "")], "is behind a link");
    check(&[(FILE, "f", "x"), (LINK, "f", "a")], "is there twice");
    check(&[(FILE, "f", "x"), (FILE, "./f", "y")], "is there twice");
    check(
        &[(FILE, "f", "x"), (FILE, "f/g", "y")],
        "is inside of a file",
    );
}

#[test]
fn links_that_stay_inside() {
    let unpacked = unpack(&tar(&[
        (LINK, "dangling", "nowhere"),
        (LINK, "loop", "loop"),
        (LINK, "a/root", ".."),
        (LINK, "a/b/deep", "../root/a"),
    ]));
    unpacked.result.as_ref().unwrap();
    let target = fs::read_link(unpacked.path().join("a/b/deep")).unwrap();
    assert_eq!(target, Path::new("../root/a"));
}

/// A Debian package is a file system's from its root on.
#[test]
fn absolute_links_of_a_package() {
    let package = |entries: &[Entry<'_>]| deb("data.tar", &tar(entries));
    let unpacked = unpack(&package(&[
        (LINK, "./usr/lib/l", "/etc/x/y"),
        (LINK, "top", "/usr"),
    ]));
    unpacked.result.as_ref().unwrap();
    let target = |link: &str| fs::read_link(unpacked.path().join(link)).unwrap();
    assert_eq!(target("usr/lib/l"), Path::new("../../etc/x/y"));
    assert_eq!(target("top"), Path::new("usr"));
    refused(
        &package(&[(LINK, "usr/l", "/../x")]),
        "leads out of the archive",
    );
}

#[test]
fn devices_and_pipes() {
    refused(&tar(&[(EntryType::Char, "tty", "")]), "is a device");
    refused(&tar(&[(EntryType::Block, "sda", "")]), "is a device");
    refused(&tar(&[(EntryType::Fifo, "pipe", "")]), "is a pipe");
    refused(&tar(&[(EntryType::new(b'Z'), "x", "")]), "unknown kind");
}

/// Every archive cut at many places is refused, and said to be truncated where that is certain.
#[test]
fn truncated() {
    let text: String = (0..20_000).map(|i| format!("{}", i * 7919)).collect();
    let plain = tar(&[(FILE, "a", &text), (FILE, "b", &text)]);
    let wheel = zip(&[("a", &text), ("b", &text)]);
    for whole in [
        gz(&plain),
        xz(&plain),
        bz2(&plain),
        zst(&plain),
        deb("data.tar.xz", &xz(&plain)),
        wheel,
    ] {
        for cut in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let error = unpack(&whole[..cut]).result.unwrap_err();
            let ok = matches!(error, ExtractError::Truncated { .. });
            assert!(ok, "{cut} of {}: {error}", whole.len());
        }
    }
    let error = unpack(&plain[..plain.len() / 4]).result.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is truncated: it ends in the middle of `a`"),
        "{error}"
    );
}

#[test]
fn damaged() {
    let mut archive = gz(&tar(GOOD));
    let at = archive.len() - 6;
    archive[at] ^= 1;
    refused(&archive, "is damaged: ");
    refused(&deb("control.tar.gz", b""), "has no member `data.tar`");
    refused(
        &deb("data.tar.lzma", b"12345678"),
        "compression of data.tar.lzma is not known",
    );
}

#[test]
fn wrong_kind() {
    for bytes in [&b""[..], b"<html>not found</html>", b"\x7fELF", &[0; 600]] {
        refused(bytes, "is not an archive of a known kind");
    }
}

#[test]
fn too_much() {
    let check = |limits: Limits, words: &str| {
        let how = Extract {
            limits,
            ..Extract::default()
        };
        let error = unpack_with(&gz(&tar(GOOD)), &how).result.unwrap_err();
        assert!(error.to_string().ends_with(words), "{error}");
    };
    let bytes = Limits {
        bytes: 6,
        ..Limits::default()
    };
    check(bytes, "is refused: it holds more than 6 bytes");
    let entries = Limits {
        entries: 3,
        ..Limits::default()
    };
    check(entries, "is refused: it holds more than 3 entries");
}

#[test]
fn the_target_must_be_new() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive");
    fs::write(&file, tar(GOOD)).unwrap();
    let error = extract(&file, dir.path(), &Extract::default()).unwrap_err();
    assert!(matches!(error, ExtractError::Exists { .. }), "{error}");
    let missing = dir.path().join("no/out");
    let error = extract(&file, &missing, &Extract::default()).unwrap_err();
    assert!(matches!(error, ExtractError::Io { .. }), "{error}");
}

/// A patch is part of unpacking: without it there is no folder.
#[test]
fn patches_are_applied_or_nothing_appears() {
    let dir = tempfile::tempdir().unwrap();
    let with = |text: &str| {
        let patch = dir.path().join("x.patch");
        fs::write(&patch, text).unwrap();
        let how = Extract {
            strip_components: 1,
            patches: vec![patch],
            ..Extract::default()
        };
        unpack_with(&tar(GOOD), &how)
    };
    let good =
        with("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-hello\n\\ No newline at end of file\n+bye\n");
    good.result.as_ref().unwrap();
    assert_eq!(good.read("a.txt"), "bye\n");
    let bad = with("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-hallo\n+bye\n");
    let error = bad.result.unwrap_err().to_string();
    assert!(error.contains("expected `hallo`, found `hello`"), "{error}");
}
