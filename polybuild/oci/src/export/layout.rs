//! The OCI layout, as a folder and as one tar (OCI image specification, "Image Layout").

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Write as _},
    path::Path,
};

use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, ImageIndexBuilder, MediaType, Os, PlatformBuilder,
};

use super::{CONTAINERD_NAME, ExportError, archive::Archive, write_failed};
use crate::{
    hashing::Hashing,
    image::{Image, descriptor},
    json,
    name::ImageName,
    publish,
    store::Blob,
};

/// Contents of the file that marks a layout.
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes the folder `target`. An OCI layout that is already there is replaced.
pub fn oci_layout(image: &Image, name: &ImageName, target: &Path) -> Result<(), ExportError> {
    let replaceable = |old: &Path| old.join("oci-layout").is_file();
    publish::dir(target, replaceable, write_failed, |dir| {
        let io = |e| write_failed(target.to_owned(), e);
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(io)?;
        for blob in blobs_of(image).values() {
            let to = blobs.join(blob.digest.hex());
            let mut from = super::archive::open(&blob.path)?;
            let mut to = Hashing::new(fs::File::create(to).map_err(io)?);
            io::copy(&mut from, &mut to).map_err(io)?;
            let (found, _, _) = to.finish();
            if found != blob.digest {
                return Err(ExportError::Damaged {
                    path: blob.path.clone(),
                    found,
                });
            }
        }
        let put = |file: &str, bytes: &[u8]| {
            fs::File::create(dir.join(file))
                .and_then(|mut f| f.write_all(bytes))
                .map_err(io)
        };
        put("index.json", &index(image, name)?)?;
        put("oci-layout", LAYOUT)
    })
}

/// Writes the tar `target`, replacing what is there.
pub fn oci_archive(image: &Image, name: &ImageName, target: &Path) -> Result<(), ExportError> {
    let index = index(image, name)?;
    publish::file(target, write_failed, |to| {
        let mut archive = Archive::new(target, to);
        archive.bytes("oci-layout", LAYOUT)?;
        archive.bytes("index.json", &index)?;
        archive.folder("blobs")?;
        archive.folder("blobs/sha256")?;
        for (hex, blob) in &blobs_of(image) {
            archive.blob(&format!("blobs/sha256/{hex}"), blob)?;
        }
        archive.finish()
    })
}

/// All blobs by name, each once (two layers may be equal).
fn blobs_of(image: &Image) -> BTreeMap<String, Blob> {
    image
        .blobs()
        .chain([image.manifest.clone()])
        .map(|b| (b.digest.hex(), b))
        .collect()
}

/// `index.json`: one manifest, named for containerd and, by `ref.name`, for everybody else.
fn index(image: &Image, name: &ImageName) -> Result<Vec<u8>, ExportError> {
    let mut manifest = descriptor(
        MediaType::ImageManifest,
        &image.manifest.digest,
        image.manifest.size,
    )?;
    manifest.set_platform(Some(
        PlatformBuilder::default()
            .architecture(Arch::Amd64)
            .os(Os::Linux)
            .build()?,
    ));
    // podman takes `ref.name` as the whole name, so the tag alone would become localhost/TAG.
    manifest.set_annotations(Some(HashMap::from([
        (ANNOTATION_REF_NAME.to_owned(), name.full()),
        (CONTAINERD_NAME.to_owned(), name.full()),
    ])));
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .manifests(vec![manifest])
        .build()?;
    Ok(json::canonical(&index)?)
}
