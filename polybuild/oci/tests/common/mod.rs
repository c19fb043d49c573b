//! Small images and hand-made, possibly hostile, archives.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::{fs, path::Path};

use megabinary_format::Digest;
use polybuild_oci::{
    BlobStore, Epoch, Image, ImageBuilder, ImageName, LayerBuilder, Limits, ReadImage, Settings,
    read::ReadError,
};

pub fn epoch() -> Epoch {
    Epoch::new(1_700_000_000).unwrap()
}

pub fn name() -> ImageName {
    "vkernel/python:3.12".parse().unwrap()
}

/// One layer of each kind of entry.
pub fn layer() -> LayerBuilder {
    let mut layer = LayerBuilder::new(epoch());
    layer
        .file("/usr/bin/python3", &b"stub\n"[..], 0o755)
        .unwrap()
        .symlink("/bin", "usr/bin")
        .unwrap()
        .symlink("/usr/bin/python", "/usr/bin/python3")
        .unwrap()
        .directory("/tmp", 0o1777)
        .unwrap();
    layer
}

pub fn settings() -> Settings {
    Settings {
        env: vec![
            ("PATH".into(), "/usr/bin".into()),
            ("A".into(), "b=c".into()),
        ],
        entrypoint: vec!["python3".into()],
        cmd: vec!["-c".into(), "pass".into()],
        user: Some("1000:1000".into()),
        workdir: Some("/tmp".into()),
        labels: [("z".into(), "1".into()), ("a".into(), "2".into())].into(),
        exposed_ports: vec!["80/tcp".into(), "8080".into()],
        volumes: vec!["/a".into(), "/b".into()],
        stop_signal: Some("SIGTERM".into()),
    }
}

pub fn image(store: &BlobStore) -> Image {
    let layer = layer().write(store).unwrap();
    ImageBuilder::new(epoch(), settings())
        .layer(layer, "test")
        .annotation("b", "1")
        .annotation("a", "2")
        .build(store)
        .unwrap()
}

/// One entry of a hand-made tar.
pub struct Entry<'a>(pub u8, pub &'a str, pub &'a [u8]);

/// A tar with raw headers: nothing is checked, links have their target as contents.
pub fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for Entry(kind, path, body) in entries {
        let mut header = tar::Header::new_gnu();
        let is_link = matches!(kind, b'1' | b'2');
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        if is_link {
            header.as_old_mut().linkname[..body.len()].copy_from_slice(body);
        }
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(if is_link { 0 } else { body.len() as u64 });
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        if !is_link {
            out.extend_from_slice(body);
            out.resize(out.len().next_multiple_of(512), 0);
        }
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// A docker archive over these layer tars, with right digests.
pub fn docker_archive(layers: &[Vec<u8>], to: &Path) {
    let diff_ids: Vec<_> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
    docker_archive_with(layers, &diff_ids, to);
}

/// The same, with the digests of one's choice.
pub fn docker_archive_with(layers: &[Vec<u8>], diff_ids: &[String], to: &Path) {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Entrypoint": null, "Labels": null},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    let files: Vec<String> = (0..layers.len())
        .map(|i| format!("l{i}/layer.tar"))
        .collect();
    let manifest = serde_json::json!([
        {"Config": "c.json", "RepoTags": ["vkernel/python:3.12"], "Layers": files}
    ])
    .to_string();
    let mut entries = vec![
        Entry(b'0', "c.json", config.as_bytes()),
        Entry(b'0', "manifest.json", manifest.as_bytes()),
    ];
    for (file, layer) in files.iter().zip(layers) {
        entries.push(Entry(b'0', file, layer));
    }
    fs::write(to, tar(&entries)).unwrap();
}

/// Opens and reads everything.
pub fn read_all(path: &Path) -> Result<(ReadImage, polybuild_oci::read::Tree), ReadError> {
    let image = ReadImage::open(path, None, Limits::default())?;
    let tree = image.flatten()?;
    Ok((image, tree))
}
