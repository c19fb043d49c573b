//! The documents of a docker archive: `manifest.json` and the configuration it names.
//!
//! The archive states no digest of the configuration (its file name is only a habit), so the image
//! ID is computed, as Docker does; the layers are held to the digests in the configuration.

use std::path::Path;

use megabinary_format::Digest;
use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use super::{Files, Form, LayerSource, Limits, ReadError, ReadImage, oci};
use crate::{name::ImageName, path};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

pub(super) fn open(
    target: &Path,
    files: Files,
    name: Option<&ImageName>,
    limits: Limits,
) -> Result<ReadImage, ReadError> {
    const MANIFEST: &str = "manifest.json";
    if files.is_folder() {
        return Err(ReadError::NotAnImage {
            path: target.to_owned(),
            what: "a docker archive that was unpacked; give the tar".into(),
        });
    }
    let items: Vec<Item> = oci::parse(target, MANIFEST, &files.document(MANIFEST, &limits)?)?;
    let tags = |item: &Item| item.repo_tags.clone().unwrap_or_default();
    let names = || items.iter().flat_map(tags).collect::<Vec<_>>().join(", ");
    let mut wanted = items.iter().filter(|item| {
        let tags = tags(item);
        name.is_none_or(|wanted| {
            tags.is_empty()
                || tags
                    .iter()
                    .any(|t| t.parse::<ImageName>().is_ok_and(|n| n == *wanted))
        })
    });
    let item = match (wanted.next(), wanted.next()) {
        (Some(item), None) => item,
        (first, _) => {
            let count = if first.is_none() {
                "no image"
            } else {
                "several images"
            };
            return Err(ReadError::Choice {
                path: target.to_owned(),
                problem: format!("{count} of that name; it holds: {}", names()),
            });
        }
    };

    let document = |file: &str, problem: String| ReadError::Document {
        path: target.to_owned(),
        file: file.into(),
        problem,
    };
    let inside = |file: &str| -> Result<String, ReadError> {
        let normal = path::normal(file.as_bytes())
            .map_err(|e| document(MANIFEST, format!("`{file}`: {e}")))?;
        String::from_utf8(normal).map_err(|e| document(MANIFEST, e.to_string()))
    };
    let config_file = inside(&item.config)?;
    let config_bytes = files.document(&config_file, &limits)?;
    let config: ImageConfiguration = oci::parse(target, &config_file, &config_bytes)?;
    let diff_ids = oci::diff_ids(target, &config_file, &config, item.layers.len(), &limits)?;
    let layers = item
        .layers
        .iter()
        .zip(diff_ids)
        .map(|(file, diff_id)| {
            Ok(LayerSource {
                file: inside(file)?,
                stored: None,
                diff_id,
            })
        })
        .collect::<Result<_, ReadError>>()?;
    let names = tags(item);
    Ok(ReadImage {
        path: target.to_owned(),
        files,
        form: Form::DockerArchive,
        names,
        manifest: None,
        config_digest: Digest::of(&config_bytes),
        config_bytes,
        config,
        layers,
        limits,
    })
}
