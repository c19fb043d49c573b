//! Archives of each format, and container images.

use std::io::{Cursor, Write as _};

use flate2::{Compression, write::GzEncoder};
use megabinary_format::Digest;
use tar::{EntryType, Header};

const FILE: EntryType = EntryType::Regular;

/// A tar with exactly these names; the contents of links are their targets.
fn tar(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, name, contents) in entries {
        let link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        if link {
            header.as_old_mut().linkname[..contents.len()].copy_from_slice(contents);
        }
        let body = if link { &[] } else { *contents };
        header.set_size(body.len() as u64);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(body);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// Each kind of entry.
fn sample() -> Vec<u8> {
    tar(&[
        (EntryType::Directory, "p/", b""),
        (FILE, "p/a.txt", b"hello"),
        (FILE, "p/sub/run.sh", b"#!/bin/sh"),
        (EntryType::Symlink, "p/link", b"sub/../a.txt"),
        (EntryType::Symlink, "p/up", b"../p"),
        (EntryType::Link, "p/hard", b"p/a.txt"),
    ])
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.add_directory("p/", options).unwrap();
    writer.add_symlink("p/link", "a.txt", options).unwrap();
    for method in [
        zip::CompressionMethod::Deflated,
        zip::CompressionMethod::Stored,
    ] {
        let name = format!("p/{method}.txt");
        writer
            .start_file(name, options.compression_method(method))
            .unwrap();
        writer.write_all(b"hello hello hello").unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn deb(data: &[u8]) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("data.tar", data)] {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Sources' archives: tar plain and compressed, zip, deb.
pub fn archives() -> Vec<Vec<u8>> {
    let tar = sample();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&tar).unwrap();
    vec![
        tar.clone(),
        gz(&tar),
        xz.finish().unwrap(),
        zstd::encode_all(&tar[..], 1).unwrap(),
        zip(),
        deb(&tar),
    ]
}

/// A docker archive over these layer tars, its digests right.
pub(crate) fn docker_archive(layers: &[Vec<u8>]) -> Vec<u8> {
    let list = |items: Vec<String>| items.join(",");
    let diff_ids = layers.iter().map(|l| format!("\"{}\"", Digest::of(l)));
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["A=b"],"Cmd":["x"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        list(diff_ids.collect())
    );
    let names: Vec<_> = (0..layers.len())
        .map(|n| format!("l{n}/layer.tar"))
        .collect();
    let manifest = format!(
        r#"[{{"Config":"c.json","RepoTags":["test/image:1"],"Layers":[{}]}}]"#,
        list(names.iter().map(|n| format!("\"{n}\"")).collect())
    );
    let mut entries: Vec<(EntryType, &str, &[u8])> = vec![
        (FILE, "c.json", config.as_bytes()),
        (FILE, "manifest.json", manifest.as_bytes()),
    ];
    entries.extend(
        names
            .iter()
            .zip(layers)
            .map(|(n, l)| (FILE, n.as_str(), l.as_slice())),
    );
    tar(&entries)
}

/// An `oci-archive` of one layer.
fn oci_archive() -> Vec<u8> {
    let layer = sample();
    let stored = gz(&layer);
    let diff_id = Digest::of(&layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let blob = |kind: &str, bytes: &[u8]| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{}","size":{}}}"#,
            Digest::of(bytes),
            bytes.len()
        )
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
        blob("config.v1+json", config.as_bytes()),
        blob("layer.v1.tar+gzip", &stored)
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        blob("manifest.v1+json", manifest.as_bytes())
    );
    let blobs = [config.as_bytes(), manifest.as_bytes(), &stored];
    let names = blobs.map(|b| format!("blobs/sha256/{}", Digest::of(b).hex()));
    let mut entries: Vec<(EntryType, &str, &[u8])> = vec![
        (FILE, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        (FILE, "index.json", index.as_bytes()),
    ];
    entries.extend(names.iter().zip(blobs).map(|(n, b)| (FILE, n.as_str(), b)));
    tar(&entries)
}

/// Layers, and whole images over them.
pub fn images() -> Vec<Vec<u8>> {
    let upper = tar(&[
        (FILE, "p/.wh.a.txt", b""),
        (FILE, "q/.wh..wh..opq", b""),
        (EntryType::Symlink, "bin", b"/p/sub"),
        (EntryType::Fifo, "pipe", b""),
    ]);
    vec![
        sample(),
        upper.clone(),
        docker_archive(&[sample(), upper]),
        oci_archive(),
    ]
}
