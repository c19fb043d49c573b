//! Building: the same inputs give the same bytes, and wrong inputs are refused.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, with its line"
)]

mod common;

use std::{fs, path::Path};

use common::{epoch, image, layer, name, settings};
use polybuild_oci::{
    BlobStore, Epoch, ImageBuilder, LayerBuilder, Settings, export, labels::Provenance,
    layer::LayerError,
};

fn store() -> (tempfile::TempDir, BlobStore) {
    let home = tempfile::tempdir().unwrap();
    let store = BlobStore::open(home.path()).unwrap();
    (home, store)
}

/// Changes when the tar, the compressor or a document changes. Every image then gets a new digest
/// although nothing in it changed: say so in the changelog, and put the new values here.
#[test]
fn golden_digests() {
    let (_home, store) = store();
    let image = image(&store);
    let layer = &image.layers[0];
    assert_eq!(
        [
            layer.diff_id,
            layer.digest,
            image.config.digest,
            image.manifest.digest
        ]
        .map(|d| d.to_string()),
        [
            "sha256:743c5f9aa0d3b64674587c35f7dfdf768e962b43408d596316de7ea58edcd6f7",
            "sha256:492381a45e5152a1081f0676417a6cea0d1bf51e15523541dfdbc251374170bd",
            "sha256:88867dc5a17a7931283ea27343df2c12c9998e503f6d592f479a5778222504bb",
            "sha256:f3663dc4678278e6b203088d9507336194f92994ff041fb31e224ec56f00d228"
        ]
    );
}

#[test]
fn the_order_of_calls_does_not_matter() {
    let (_home, store) = store();
    let mut other = LayerBuilder::new(epoch());
    other.directory("/tmp", 0o1777).unwrap();
    other
        .symlink("/usr/bin/python", "/usr/bin/python3")
        .unwrap();
    other
        .file("/usr/bin/python3", &b"stub\n"[..], 0o755)
        .unwrap();
    other.symlink("/bin", "usr/bin").unwrap();
    other.directory("/usr", 0o755).unwrap();
    assert_eq!(other.write(&store).unwrap(), layer().write(&store).unwrap());
}

#[test]
fn host_files_give_the_same_as_bytes() {
    let (home, store) = store();
    let source = home.path().join("source");
    fs::write(&source, "stub\n").unwrap();
    let mut other = layer();
    let mut same = layer();
    other.file("/x", source.as_path(), 0o600).unwrap();
    same.file("/x", &b"stub\n"[..], 0o600).unwrap();
    assert_eq!(other.write(&store).unwrap(), same.write(&store).unwrap());
}

#[test]
fn everything_given_is_part_of_the_digest() {
    let (_home, store) = store();
    let write = |l: &LayerBuilder| l.write(&store).unwrap().diff_id;
    let base = write(&layer());
    let mut later = LayerBuilder::new(Epoch::new(1).unwrap());
    later.directory("/a", 0o755).unwrap();
    let mut owned = LayerBuilder::new(Epoch::new(1).unwrap());
    owned.owner(1, 2).directory("/a", 0o755).unwrap();
    let mut mode = LayerBuilder::new(Epoch::new(1).unwrap());
    mode.directory("/a", 0o700).unwrap();
    let all = [base, write(&later), write(&owned), write(&mode)];
    for (i, a) in all.iter().enumerate() {
        assert!(!all[..i].contains(a));
    }
}

#[test]
fn three_exports_twice() {
    let (home, store) = store();
    let image = image(&store);
    let at = |n: &str| home.path().join(n);
    for run in ["1", "2"] {
        export::oci_layout(&image, &name(), &at(&format!("layout{run}"))).unwrap();
        export::oci_archive(&image, &name(), &at(&format!("oci{run}.tar"))).unwrap();
        export::docker_archive(&image, &name(), &at(&format!("docker{run}.tar"))).unwrap();
    }
    let same = |a: &Path, b: &Path| assert!(fs::read(a).unwrap() == fs::read(b).unwrap());
    same(&at("layout1/index.json"), &at("layout2/index.json"));
    same(&at("oci1.tar"), &at("oci2.tar"));
    same(&at("docker1.tar"), &at("docker2.tar"));
    // Again over what is there: a layout is replaced, any other folder is not.
    export::oci_layout(&image, &name(), &at("layout1")).unwrap();
    fs::create_dir(at("mine")).unwrap();
    fs::write(at("mine/file"), "").unwrap();
    let error = export::oci_layout(&image, &name(), &at("mine"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("not an OCI layout"), "{error}");
    assert!(at("mine/file").exists());
}

#[test]
fn a_damaged_blob_is_not_exported() {
    let (home, store) = store();
    let image = image(&store);
    fs::write(&image.config.path, "x").unwrap();
    let target = home.path().join("out.tar");
    let error = export::oci_archive(&image, &name(), &target)
        .unwrap_err()
        .to_string();
    assert!(error.contains("damaged"), "{error}");
    assert!(!target.exists());
}

/// `Err` of adding to the usual layer, as text.
fn refused<'a>(
    add: impl FnOnce(&'a mut LayerBuilder) -> Result<&'a mut LayerBuilder, LayerError>,
    part: &str,
) {
    let layer = Box::leak(Box::new(layer()));
    let error = add(layer).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn refused_entries() {
    let empty: &[u8] = b"";
    refused(|l| l.file("/tmp", empty, 0o644), "twice");
    refused(|l| l.file("/usr", empty, 0o644), "below");
    refused(|l| l.directory("/tmp", 0o755), "twice");
    refused(
        |l| l.file("/usr/bin/python3/x", empty, 0o644),
        "below `/usr/bin/python3`",
    );
    refused(|l| l.file("/bin/x", empty, 0o644), "below `/bin`");
    refused(|l| l.file("/a/../b", empty, 0o644), "`..`");
    refused(|l| l.file("b", empty, 0o644), "absolute");
    refused(|l| l.file("/.wh.b", empty, 0o644), "`.wh.`");
    refused(|l| l.file("/b", empty, 0o10644), "7777");
    refused(|l| l.symlink("/b", ""), "empty");
    refused(|l| l.symlink("/b", "../x"), "above");
    refused(|l| l.symlink("/b/c", "../../x"), "above");
}

#[test]
fn refused_host_files() {
    let (home, store) = store();
    let mut layer = LayerBuilder::new(epoch());
    layer
        .file("/x", home.path().join("missing").as_path(), 0o644)
        .unwrap();
    assert!(matches!(
        layer.write(&store),
        Err(LayerError::Source { .. })
    ));
    let mut layer = LayerBuilder::new(epoch());
    layer.file("/x", home.path(), 0o644).unwrap();
    assert!(matches!(
        layer.write(&store),
        Err(LayerError::SourceKind { .. })
    ));
    // Nothing half-written is in the store.
    assert_eq!(
        fs::read_dir(home.path().join("blobs/sha256"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn refused_settings() {
    let (_home, store) = store();
    let check = |change: &dyn Fn(&mut Settings), part: &str| {
        let mut settings = settings();
        change(&mut settings);
        let error = ImageBuilder::new(epoch(), settings)
            .layer(layer().write(&store).unwrap(), "test")
            .build(&store)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    };
    check(&|s| s.env.push(("A=B".into(), "".into())), "env");
    check(&|s| s.env.push(("".into(), "".into())), "env");
    check(&|s| s.workdir = Some("tmp".into()), "workdir");
    check(&|s| s.user = Some("a b".into()), "user");
    check(&|s| s.exposed_ports = vec!["0".into()], "exposed-ports");
    check(
        &|s| s.exposed_ports = vec!["80/icmp".into()],
        "exposed-ports",
    );
    check(&|s| s.volumes = vec!["data".into()], "volumes");
    check(&|s| s.stop_signal = Some("TERM".into()), "stop-signal");
    check(&|s| s.cmd = vec!["a\0".into()], "NUL");
    assert!(
        ImageBuilder::new(epoch(), settings())
            .build(&store)
            .is_err()
    );
}

#[test]
fn provenance_labels() {
    let digest = megabinary_format::Digest::of(b"x");
    let labels = Provenance {
        title: "python",
        version: "3.12.0",
        description: None,
        licenses: Some("PSF-2.0"),
        source: None,
        created: epoch(),
        megabinary: &digest,
        index: &digest,
        key_id: "ABCD",
        without_fixes: None,
        lock: &digest,
    }
    .labels();
    assert_eq!(
        labels["org.opencontainers.image.created"],
        "2023-11-14T22:13:20Z"
    );
    assert_eq!(labels["dev.vkernel.megabinary.digest"], digest.to_string());
    assert_eq!(labels["org.opencontainers.image.licenses"], "PSF-2.0");
    assert!(!labels.contains_key("org.opencontainers.image.source"));
}

#[test]
fn a_layer_takes_nothing_of_the_one_below_away() {
    let mut lower = LayerBuilder::new(epoch());
    lower
        .file("/bin/hello", b"".as_slice(), 0o755)
        .and_then(|l| l.directory("/srv/empty", 0o755))
        .unwrap();
    let refused = |add: &dyn Fn(&mut LayerBuilder), part: &str| {
        let mut upper = LayerBuilder::new(epoch());
        add(&mut upper);
        let error = upper.fits_on(&lower).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(
        &|l| {
            l.symlink("/bin", "usr/bin").unwrap();
        },
        "`/bin/hello` lies below `/bin`",
    );
    refused(
        &|l| {
            l.file("/bin", b"".as_slice(), 0o644).unwrap();
        },
        "`/bin/hello` lies below `/bin`",
    );
    refused(
        &|l| {
            l.file("/bin/hello", b"".as_slice(), 0o644).unwrap();
        },
        "`/bin/hello` is put into the image twice",
    );
    refused(
        &|l| {
            l.file("/bin/hello/x", b"".as_slice(), 0o644).unwrap();
        },
        "`/bin/hello/x` lies below `/bin/hello`",
    );
    refused(
        &|l| {
            l.symlink("/srv/empty", "/bin").unwrap();
        },
        "`/srv/empty` is put into the image twice",
    );
    let mut upper = LayerBuilder::new(epoch());
    upper
        .file("/bin/other", b"".as_slice(), 0o755)
        .and_then(|l| l.directory("/srv", 0o700))
        .unwrap();
    upper.fits_on(&lower).unwrap();
}
