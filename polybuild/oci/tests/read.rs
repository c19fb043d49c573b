//! Reading back what we and others write, and refusing what is hostile.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, with its line"
)]

mod common;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    slice,
};

use common::{Entry, docker_archive, docker_archive_with, image, name, read_all, settings, tar};
use megabinary_format::Digest;
use polybuild_oci::{
    BlobStore, Limits, ReadImage, export,
    read::{Form, NodeKind, ReadError, Tree},
};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }
    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// The usual image in its three forms.
    fn forms(&self) -> [PathBuf; 3] {
        let image = image(&BlobStore::open(self.0.path()).unwrap());
        let forms = ["layout", "oci.tar", "docker.tar"].map(|n| self.at(n));
        export::oci_layout(&image, &name(), &forms[0]).unwrap();
        export::oci_archive(&image, &name(), &forms[1]).unwrap();
        export::docker_archive(&image, &name(), &forms[2]).unwrap();
        forms
    }
}

fn contents(image: &ReadImage, tree: &Tree, path: &str) -> Option<Vec<u8>> {
    image
        .find(tree, &[path], 1 << 20)
        .unwrap()
        .remove(path)?
        .bytes
}

#[test]
fn every_form_reads_the_same() {
    let home = Home::new();
    let mut ids = Vec::new();
    for (path, form) in
        home.forms()
            .iter()
            .zip([Form::OciLayout, Form::OciArchive, Form::DockerArchive])
    {
        let (image, tree) = read_all(path).unwrap();
        assert_eq!(image.form(), form);
        assert!(
            image
                .names()
                .iter()
                .all(|n| n == "docker.io/vkernel/python:3.12")
        );
        assert_eq!(image.settings(), settings());
        ids.push(image.config_digest());
        assert_eq!(
            contents(&image, &tree, "/bin/python"),
            Some(b"stub\n".to_vec())
        );
        assert_eq!(contents(&image, &tree, "/tmp"), None);
        assert_eq!(tree.get(b"tmp").unwrap().metadata.mode, 0o1777);
        let extracted = home.at("extracted");
        let digest = image
            .extract(&tree, "/usr/bin/python3", &extracted)
            .unwrap();
        assert_eq!(fs::read(&extracted).unwrap(), b"stub\n");
        assert_eq!(digest, Digest::of(b"stub\n"));
        assert!(image.extract(&tree, "/no", &home.at("no")).is_err());
        assert!(matches!(
            image.find(&tree, &["/bin/python"], 4),
            Err(ReadError::TooLarge { .. })
        ));
    }
    assert!(ids.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn images_pass_through_unchanged() {
    let home = Home::new();
    let store = BlobStore::open(&home.at("store2")).unwrap();
    let forms = home.forms();
    let manifest = read_all(&forms[0]).unwrap().0.manifest_digest().unwrap();
    for path in &forms[..2] {
        let again = read_all(path).unwrap().0.to_image(&store).unwrap();
        assert_eq!(again.manifest.digest, manifest);
    }
    // The archive has no annotations of the manifest, all else is the same.
    let (image, _) = read_all(&forms[2]).unwrap();
    let again = image.to_image(&store).unwrap();
    assert_eq!(again.config.digest, image.config_digest());
    export::docker_archive(&again, &name(), &home.at("again.tar")).unwrap();
    assert!(fs::read(home.at("again.tar")).unwrap() == fs::read(&forms[2]).unwrap());
}

#[test]
fn the_name_chooses() {
    let home = Home::new();
    for path in home.forms() {
        assert!(ReadImage::open(&path, Some(&name()), Limits::default()).is_ok());
        let other = "vkernel/node:24".parse().unwrap();
        let error = ReadImage::open(&path, Some(&other), Limits::default()).unwrap_err();
        assert!(matches!(error, ReadError::Choice { .. }), "{error}");
    }
}

/// Every flipped byte of every blob is noticed, in both archives.
#[test]
fn flipped_bytes_are_noticed() {
    let home = Home::new();
    let forms = home.forms();
    let good: Vec<_> = read_all(&forms[1])
        .unwrap()
        .1
        .iter()
        .map(|(p, n)| (p.to_vec(), n.clone()))
        .collect();
    for form in &forms[1..] {
        let bytes = fs::read(form).unwrap();
        let flipped = home.at("flipped.tar");
        for at in (0..bytes.len()).step_by(13) {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            fs::write(&flipped, &bad).unwrap();
            // Padding, times, owners and names of the outer tar are nobody's promise: if it still
            // opens, then with the same files.
            if let Ok((image, tree)) = read_all(&flipped) {
                let found: Vec<_> = tree.iter().map(|(p, n)| (p.to_vec(), n.clone())).collect();
                assert_eq!(found, good, "byte {at}");
                assert_eq!(
                    contents(&image, &tree, "/bin/python"),
                    Some(b"stub\n".to_vec())
                );
            }
        }
    }
}

#[test]
fn truncated_archives() {
    let home = Home::new();
    let forms = home.forms();
    for form in &forms[1..] {
        let bytes = fs::read(form).unwrap();
        // After the contents of the last file come its padding and the end mark.
        let end = bytes.iter().rposition(|b| *b != 0).unwrap();
        for len in (0..end).step_by(97).chain([end]) {
            let cut = home.at("cut.tar");
            fs::write(&cut, &bytes[..len]).unwrap();
            assert!(read_all(&cut).is_err(), "{len} of {}", bytes.len());
        }
    }
}

/// The result of flattening layers given as entries: `path` or `path=contents` or `path->target`.
fn flat(layers: &[&[Entry<'_>]]) -> Result<String, ReadError> {
    let home = Home::new();
    let path = home.at("image.tar");
    docker_archive(&layers.iter().map(|l| tar(l)).collect::<Vec<_>>(), &path);
    let (image, tree) = read_all(&path)?;
    let mut shown = Vec::new();
    for (path, node) in tree.iter() {
        let path = String::from_utf8_lossy(path);
        shown.push(match &node.kind {
            NodeKind::Directory => format!("{path}/"),
            NodeKind::File { .. } => {
                let bytes = contents(&image, &tree, &path).unwrap();
                format!("{path}={}", String::from_utf8_lossy(&bytes))
            }
            NodeKind::Symlink(to) => format!("{path}->{}", String::from_utf8_lossy(to)),
            NodeKind::Special(kind) => format!("{path} ({kind})"),
        });
    }
    Ok(shown.join(" "))
}

fn check(layers: &[&[Entry<'_>]], expected: &str) {
    assert_eq!(flat(layers).unwrap(), expected);
}

const fn file<'a>(path: &'a str, contents: &'a str) -> Entry<'a> {
    Entry(b'0', path, contents.as_bytes())
}
const fn dir(path: &str) -> Entry<'_> {
    Entry(b'5', path, b"")
}
const fn link<'a>(path: &'a str, target: &'a str) -> Entry<'a> {
    Entry(b'2', path, target.as_bytes())
}
const fn hard<'a>(path: &'a str, target: &'a str) -> Entry<'a> {
    Entry(b'1', path, target.as_bytes())
}

#[test]
fn layers_and_deletions() {
    let base: &[Entry<'_>] = &[
        dir("d/"),
        file("d/a", "1"),
        file("d/b", "2"),
        file("d-x", "3"),
    ];
    check(&[base], "d/ d-x=3 d/a=1 d/b=2");
    check(&[base, &[file("d/a", "new")]], "d/ d-x=3 d/a=new d/b=2");
    check(&[base, &[file("d/.wh.a", "")]], "d/ d-x=3 d/b=2");
    check(&[base, &[file(".wh.d", "")]], "d-x=3");
    check(
        &[base, &[file(".wh.d", ""), file("d/c", "4")]],
        "d/ d-x=3 d/c=4",
    );
    check(&[base, &[file("d/.wh..wh..opq", "")]], "d/ d-x=3");
    // An opaque mark hides lower layers only, wherever in the layer it comes.
    check(
        &[base, &[file("d/c", "4"), file("d/.wh..wh..opq", "")]],
        "d/ d-x=3 d/c=4",
    );
    check(&[base, &[file(".wh..wh..opq", ""), file("e", "5")]], "e=5");
    check(&[base, &[file(".wh.no-such", "")]], "d/ d-x=3 d/a=1 d/b=2");
    check(&[base, &[file(".wh..wh.plnk", "")]], "d/ d-x=3 d/a=1 d/b=2");
    // Kinds change: a folder's contents go with it.
    check(&[base, &[file("d", "file")]], "d=file d-x=3");
    check(&[base, &[file("d", "file")], &[dir("d")]], "d/ d-x=3");
    check(&[base, &[dir("./d/"), dir("./")]], "d/ d-x=3 d/a=1 d/b=2");
}

#[test]
fn links() {
    check(
        &[&[file("a", "1"), hard("b", "a")], &[file("a", "2")]],
        "a=2 b=1",
    );
    check(&[&[file("a", "1")], &[hard("b", "./a")]], "a=1 b=1");
    // An entry below a link goes where the link leads, inside the root.
    check(
        &[
            &[dir("usr/bin"), link("bin", "usr/bin")],
            &[file("bin/x", "1")],
        ],
        "bin->usr/bin usr/ usr/bin/ usr/bin/x=1",
    );
    check(
        &[
            &[dir("usr"), link("out", "../../../usr")],
            &[file("out/x", "1")],
        ],
        "out->../../../usr usr/ usr/x=1",
    );
    check(&[&[link("a", "/b"), link("b", "a")]], "a->/b b->a");
}

fn refused(layers: &[&[Entry<'_>]], part: &str) {
    let error = flat(layers).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn hostile_layers() {
    refused(&[&[file("../x", "")]], "`..`");
    refused(&[&[file("a/../../x", "")]], "`..`");
    refused(&[&[file("/../x", "")]], "`..`");
    refused(&[&[file("a", "1"), hard("b", "../a")]], "`..`");
    refused(&[&[hard("b", "a")]], "no file of the image");
    refused(&[&[dir("d"), hard("b", "d")]], "no file of the image");
    refused(&[&[file("a", "1"), file("a/b", "2")]], "not a folder");
    refused(
        &[&[link("a", "b"), link("b", "a"), file("a/x", "1")]],
        "too many links",
    );
    refused(&[&[link("a", "")]], "without a target");
    refused(
        &[&[file("a", "1"), file(".wh.a", "")]],
        "adds and then deletes",
    );
    refused(&[&[file(".wh.", "")]], "deletes no name");
    refused(&[&[file(".wh...", "")]], "deletes no name");
    refused(&[&[Entry(b'S', "sparse", b"")]], "unknown type");
    refused(&[&[Entry(b'Z', "odd", b"")]], "unknown type");
    refused(
        &[&[Entry(b'x', "pax", b"10 size=5\n"), file("a", "1")]],
        "PAX record",
    );
    refused(
        &[&[
            Entry(b'x', "pax", b"22 GNU.sparse.major=1\n"),
            file("a", "1"),
        ]],
        "sparse",
    );
    let long = vec![b'n'; (1 << 20) + 1];
    refused(
        &[&[Entry(b'L', "long", &long), file("a", "1")]],
        "extension of",
    );
}

#[test]
fn long_names() {
    let name = format!("{}/{}", "d".repeat(150), "f".repeat(200));
    let gnu = format!("{name}\0");
    check(
        &[&[Entry(b'L', "@", gnu.as_bytes()), file("cut", "1")]],
        &format!("{}/ {name}=1", "d".repeat(150)),
    );
    let pax = format!("361 path={name}\n");
    assert_eq!(pax.len(), 361);
    check(
        &[&[Entry(b'x', "@", pax.as_bytes()), file("cut", "1")]],
        &format!("{}/ {name}=1", "d".repeat(150)),
    );
    let global: &[Entry<'_>] = &[Entry(b'g', "@", b"14 path=other\n"), file("a", "1")];
    check(&[global], "a=1");
}

#[test]
fn wrong_digests() {
    let home = Home::new();
    let path = home.at("image.tar");
    let layer = tar(&[file("a", "1")]);
    docker_archive_with(
        slice::from_ref(&layer),
        &[Digest::of(b"other").to_string()],
        &path,
    );
    assert!(matches!(read_all(&path), Err(ReadError::Digest { .. })));
    // Bytes after the end of the tar count too.
    let mut longer = layer.clone();
    longer.extend_from_slice(&[0; 512]);
    docker_archive_with(&[longer], &[Digest::of(&layer).to_string()], &path);
    assert!(matches!(read_all(&path), Err(ReadError::Digest { .. })));
    docker_archive_with(slice::from_ref(&layer), &[], &path);
    assert!(matches!(read_all(&path), Err(ReadError::Document { .. })));
    docker_archive_with(&[layer], &["sha256:00".into()], &path);
    assert!(matches!(read_all(&path), Err(ReadError::Document { .. })));
}

#[test]
fn compressed_layers_in_docker_archives() {
    let home = Home::new();
    let path = home.at("image.tar");
    let layer = tar(&[file("a", "1")]);
    let diff_id = Digest::of(&layer).to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&layer).unwrap();
    docker_archive_with(&[gzip.finish().unwrap()], slice::from_ref(&diff_id), &path);
    assert!(read_all(&path).is_ok());
    docker_archive_with(&[vec![0x28, 0xb5, 0x2f, 0xfd, 0]], &[diff_id], &path);
    let error = read_all(&path).unwrap_err().to_string();
    assert!(error.contains("zstd"), "{error}");
}

#[test]
fn limits_hold() {
    let home = Home::new();
    let path = home.at("image.tar");
    docker_archive(
        &[tar(&[file("aaaa", "1"), file("bbbb", "2"), dir("c/c/c/c")])],
        &path,
    );
    let with = |limits| ReadImage::open(&path, None, limits).and_then(|i| i.flatten().map(drop));
    let default = Limits::default;
    assert!(with(default()).is_ok());
    assert!(
        with(Limits {
            entries: 4,
            ..default()
        })
        .is_err()
    );
    assert!(
        with(Limits {
            path_bytes: 8,
            ..default()
        })
        .is_err()
    );
    assert!(
        with(Limits {
            layers: 0,
            ..default()
        })
        .is_err()
    );
    assert!(
        with(Limits {
            layer_bytes: 600,
            ..default()
        })
        .is_err()
    );
    assert!(
        with(Limits {
            document_bytes: 10,
            ..default()
        })
        .is_err()
    );
}

#[test]
fn not_images() {
    let home = Home::new();
    let put = |bytes: &[u8]| {
        fs::write(home.at("x"), bytes).unwrap();
        read_all(&home.at("x")).unwrap_err().to_string()
    };
    for bytes in [
        &b""[..],
        b"hello",
        &[0; 4096],
        &[0xff; 4096],
        &tar(&[file("a", "1")]),
    ] {
        let message = put(bytes);
        assert!(message.contains("not an image"), "{message}");
    }
    let message = put(&tar(&[file("manifest.json", "{}")]));
    assert!(message.contains("malformed"), "{message}");
    let message = put(&tar(&[file(
        "manifest.json",
        r#"[{"Config":"../c","Layers":[]}]"#,
    )]));
    assert!(message.contains("`..`"), "{message}");
    let message = put(&tar(&[file(
        "manifest.json",
        r#"[{"Config":"c","Layers":[]}]"#,
    )]));
    assert!(message.contains("`c` is missing"), "{message}");
    let message = put(&tar(&[file("a", "1"), file("./a", "2")]));
    assert!(message.contains("twice"), "{message}");
    // Links inside the archive that go round in circles or out of it.
    let config = r#"[{"Config":"c","Layers":[]}]"#;
    let message = put(&tar(&[file("manifest.json", config), link("c", "c")]));
    assert!(message.contains("missing"), "{message}");
    let message = put(&tar(&[
        file("manifest.json", config),
        link("c", "../../etc/passwd"),
    ]));
    assert!(message.contains("missing"), "{message}");
    assert!(read_all(Path::new("/nonexistent")).is_err());
    assert!(
        read_all(&home.at("."))
            .unwrap_err()
            .to_string()
            .contains("not an image")
    );
}

#[test]
fn a_missing_blob_in_a_layout() {
    let home = Home::new();
    let [layout, ..] = home.forms();
    let (image, _) = read_all(&layout).unwrap();
    fs::remove_file(
        layout
            .join("blobs/sha256")
            .join(image.config_digest().hex()),
    )
    .unwrap();
    assert!(matches!(read_all(&layout), Err(ReadError::Missing { .. })));
}
