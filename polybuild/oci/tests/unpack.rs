//! Unpacking: the right files, nothing outside, nothing half done.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, with its line"
)]

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use common::{Entry, docker_archive, image, name, read_all, tar};
use polybuild_oci::{
    BlobStore, export,
    unpack::{UnpackError, Unpacked, unpack},
};

fn unpack_layers(layers: &[&[Entry<'_>]], home: &Path) -> Result<Unpacked, UnpackError> {
    let path = home.join("image.tar");
    docker_archive(&layers.iter().map(|l| tar(l)).collect::<Vec<_>>(), &path);
    let (image, tree) = read_all(&path)?;
    unpack(&image, &tree, &home.join("root"))
}

#[test]
fn a_root_file_system() {
    let home = tempfile::tempdir().unwrap();
    let image = image(&BlobStore::open(home.path()).unwrap());
    let layout = home.path().join("layout");
    export::oci_layout(&image, &name(), &layout).unwrap();
    let (image, tree) = read_all(&layout).unwrap();
    let root = home.path().join("root");
    let unpacked = unpack(&image, &tree, &root).unwrap();
    assert_eq!(
        unpacked,
        Unpacked {
            files: 1,
            skipped: vec![]
        }
    );
    assert_eq!(fs::read(root.join("bin/python3")).unwrap(), b"stub\n");
    let metadata = fs::metadata(root.join("usr/bin/python3")).unwrap();
    assert_eq!(
        (metadata.mode() & 0o7777, metadata.mtime()),
        (0o755, 1_700_000_000)
    );
    assert_eq!(
        fs::read_link(root.join("usr/bin/python")).unwrap(),
        Path::new("/usr/bin/python3")
    );
    // What is there is not touched.
    assert!(unpack(&image, &tree, &root).is_err());
}

#[test]
fn links_and_modes() {
    let home = tempfile::tempdir().unwrap();
    let unpacked = unpack_layers(
        &[&[
            Entry(b'5', "d", b""),
            Entry(b'0', "d/a", b"1"),
            Entry(b'1', "d/b", b"d/a"),
            Entry(b'3', "dev", b""),
            Entry(b'2', "etc", b"/d"),
        ]],
        home.path(),
    )
    .unwrap();
    assert_eq!(unpacked.files, 2);
    assert_eq!(unpacked.skipped, [("/dev".to_owned(), "character device")]);
    let inode = |p: &str| {
        fs::metadata(home.path().join("root").join(p))
            .unwrap()
            .ino()
    };
    assert_eq!(inode("d/a"), inode("d/b"));
    // Mode 644 of the folder came last, when everything was in it.
    let mode = fs::metadata(home.path().join("root/d"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[test]
fn nothing_escapes() {
    let cases: &[&[&[Entry<'_>]]] = &[
        &[&[Entry(b'2', "l", b"../../x")]],
        &[&[Entry(b'5', "d", b""), Entry(b'2', "d/l", b"../../x")]],
        &[&[Entry(b'0', "../x", b"1")]],
        &[&[Entry(b'1', "l", b"../x")]],
    ];
    for layers in cases {
        let home = tempfile::tempdir().unwrap();
        assert!(unpack_layers(layers, home.path()).is_err());
        let left: Vec<_> = fs::read_dir(home.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["image.tar"]);
    }
}

/// A link to the outside is kept as text, and what is put "below" it lands inside.
#[test]
fn writing_through_links() {
    let home = tempfile::tempdir().unwrap();
    let outside = home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap().as_bytes();
    let unpacked = unpack_layers(
        &[&[Entry(b'2', "l", target)], &[Entry(b'0', "l/x", b"1")]],
        home.path(),
    )
    .unwrap();
    assert_eq!(unpacked.files, 1);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let inside = home
        .path()
        .join("root")
        .join(outside.strip_prefix("/").unwrap());
    assert_eq!(fs::read(inside.join("x")).unwrap(), b"1");
}
