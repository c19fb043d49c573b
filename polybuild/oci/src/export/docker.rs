//! The archive that `docker load` reads: configuration, uncompressed layers, `manifest.json`
//! (Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format").

use std::{
    collections::BTreeSet,
    io::{self, Read as _},
    path::Path,
};

use serde::Serialize;

use super::{ExportError, archive, archive::Archive, write_failed};
use crate::{
    decode::Decoder, hashing::Hashing, image::Image, json, layer::Layer, name::ImageName, publish,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes the tar `target`, replacing what is there.
pub fn docker_archive(image: &Image, name: &ImageName, target: &Path) -> Result<(), ExportError> {
    let file_of = |layer: &Layer| format!("{}.tar", layer.diff_id.hex());
    let item = Item {
        config: format!("{}.json", image.config.digest.hex()),
        // In full: docker shows the short form anyway, podman would put `localhost/` before it.
        repo_tags: vec![name.full()],
        layers: image.layers.iter().map(file_of).collect(),
    };
    let manifest = json::canonical(&[&item])?;
    publish::file(target, write_failed, |to| {
        let mut archive = Archive::new(target, to);
        archive.bytes("manifest.json", &manifest)?;
        archive.blob(&item.config, &image.config)?;
        let mut written = BTreeSet::new();
        for layer in &image.layers {
            if written.insert(layer.diff_id) {
                put_layer(&mut archive, &file_of(layer), layer)?;
            }
        }
        archive.finish()
    })
}

/// Two passes over the compressed layer: a tar header needs the length beforehand, and the length
/// of an uncompressed layer is written nowhere.
fn put_layer(
    to: &mut Archive<'_, impl io::Write>,
    file: &str,
    layer: &Layer,
) -> Result<(), ExportError> {
    let blob = |cause| ExportError::Blob {
        path: layer.path.clone(),
        cause,
    };
    let open = || Decoder::new(archive::open(&layer.path)?).map_err(blob);
    let size = io::copy(&mut open()?, &mut io::sink()).map_err(blob)?;
    let mut tar = Hashing::new(open()?);
    to.stream(file, size, tar.by_ref())?;
    let (found, bytes, _) = tar.finish();
    if found != layer.diff_id || bytes != size {
        return Err(ExportError::Damaged {
            path: layer.path.clone(),
            found,
        });
    }
    Ok(())
}
