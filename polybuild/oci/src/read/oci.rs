//! The documents of an OCI layout: index, manifest, configuration.

use std::path::Path;

use megabinary_format::Digest;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, Os,
};
use serde::de::DeserializeOwned;

use super::{Files, Form, LayerSource, Limits, ReadError, ReadImage};
use crate::{export::CONTAINERD_NAME, name::ImageName};

/// Indexes inside indexes; BuildKit makes two levels.
const DEPTH: usize = 4;
/// Manifests looked at.
const MANIFESTS: usize = 256;

pub(super) fn open(
    path: &Path,
    files: Files,
    name: Option<&ImageName>,
    limits: Limits,
) -> Result<ReadImage, ReadError> {
    let index: ImageIndex = parse(path, "index.json", &files.document("index.json", &limits)?)?;
    let mut manifests = Vec::new();
    let mut names = Vec::new();
    for descriptor in index.manifests() {
        let carried = names_of(descriptor);
        if name.is_none_or(|wanted| carried.is_empty() || carried.iter().any(|c| is(c, wanted))) {
            names.extend(carried);
            collect(path, &files, descriptor, DEPTH, &limits, &mut manifests)?;
        }
    }
    let choice = |problem| ReadError::Choice {
        path: path.to_owned(),
        problem,
    };
    names.dedup();
    let descriptor = match manifests.as_slice() {
        [one] => one,
        [] => {
            let wanted = name.map_or(String::new(), |n| format!(" named {n}"));
            return Err(choice(format!("no linux/amd64 image{wanted} is in it")));
        }
        several => {
            return Err(choice(format!(
                "{} linux/amd64 images are in it ({}); name the one you want",
                several.len(),
                names.join(", ")
            )));
        }
    };

    let (manifest_digest, manifest_bytes) = blob(path, &files, descriptor, &limits)?;
    let manifest_file = blob_file(&manifest_digest);
    let manifest: ImageManifest = parse(path, &manifest_file, &manifest_bytes)?;
    let (config_digest, config_bytes) = blob(path, &files, manifest.config(), &limits)?;
    let config_file = blob_file(&config_digest);
    let config: ImageConfiguration = parse(path, &config_file, &config_bytes)?;
    let diff_ids = diff_ids(
        path,
        &config_file,
        &config,
        manifest.layers().len(),
        &limits,
    )?;

    let mut layers = Vec::new();
    for (layer, diff_id) in manifest.layers().iter().zip(diff_ids) {
        let digest = digest(path, &manifest_file, layer)?;
        layers.push(LayerSource {
            file: blob_file(&digest),
            stored: Some((digest, layer.size())),
            diff_id,
        });
    }
    Ok(ReadImage {
        path: path.to_owned(),
        form: if files.is_folder() {
            Form::OciLayout
        } else {
            Form::OciArchive
        },
        files,
        names,
        manifest: Some((manifest_digest, manifest_bytes)),
        config_digest,
        config_bytes,
        config,
        layers,
        limits,
    })
}

/// The digests of the layers' tars; there must be one for each of `layers`.
pub(super) fn diff_ids(
    path: &Path,
    file: &str,
    config: &ImageConfiguration,
    layers: usize,
    limits: &Limits,
) -> Result<Vec<Digest>, ReadError> {
    let problem = |problem| ReadError::Document {
        path: path.to_owned(),
        file: file.into(),
        problem,
    };
    let found = config.rootfs().diff_ids();
    if layers > limits.layers {
        return Err(ReadError::Limit {
            what: "layers",
            limit: limits.layers as u64,
        });
    }
    if found.len() != layers {
        return Err(problem(format!(
            "it lists {} layers, the manifest {layers}",
            found.len()
        )));
    }
    found
        .iter()
        .map(|d| d.parse().map_err(|e| problem(format!("{e}"))))
        .collect()
}

/// Parses a JSON document of the image.
pub(super) fn parse<T: DeserializeOwned>(
    path: &Path,
    file: &str,
    bytes: &[u8],
) -> Result<T, ReadError> {
    serde_json::from_slice(bytes).map_err(|e| ReadError::Document {
        path: path.to_owned(),
        file: file.into(),
        problem: e.to_string(),
    })
}

/// Gathers descriptors of linux/amd64 image manifests below `descriptor`.
fn collect(
    path: &Path,
    files: &Files,
    descriptor: &Descriptor,
    depth: usize,
    limits: &Limits,
    found: &mut Vec<Descriptor>,
) -> Result<(), ReadError> {
    let media_type = descriptor.media_type().to_string();
    match media_type.as_str() {
        "application/vnd.oci.image.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v2+json" => {
            // BuildKit lists attestations as manifests of the platform `unknown/unknown`.
            let ours = descriptor
                .platform()
                .as_ref()
                .is_none_or(|p| *p.os() == Os::Linux && *p.architecture() == Arch::Amd64);
            if found.len() >= MANIFESTS {
                return Err(ReadError::Limit {
                    what: "manifests",
                    limit: MANIFESTS as u64,
                });
            }
            // The same image under several names is one image.
            if ours && !found.iter().any(|f| f.digest() == descriptor.digest()) {
                found.push(descriptor.clone());
            }
            Ok(())
        }
        "application/vnd.oci.image.index.v1+json"
        | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(ReadError::Limit {
                    what: "indexes inside indexes",
                    limit: DEPTH as u64,
                });
            };
            let (digest, bytes) = blob(path, files, descriptor, limits)?;
            let index: ImageIndex = parse(path, &blob_file(&digest), &bytes)?;
            for inner in index.manifests() {
                collect(path, files, inner, depth, limits, found)?;
            }
            Ok(())
        }
        // Artifacts that are no images.
        _ => Ok(()),
    }
}

fn names_of(descriptor: &Descriptor) -> Vec<String> {
    let annotations = descriptor.annotations().as_ref();
    [CONTAINERD_NAME, ANNOTATION_REF_NAME]
        .into_iter()
        .filter_map(|key| annotations?.get(key).cloned())
        .collect()
}

/// Whether a name in an index means `wanted`; Docker writes the tag alone as `ref.name`.
fn is(carried: &str, wanted: &ImageName) -> bool {
    carried == wanted.tag()
        || carried
            .parse::<ImageName>()
            .is_ok_and(|name| name == *wanted)
}

/// Reads a document by descriptor and checks it.
fn blob(
    path: &Path,
    files: &Files,
    descriptor: &Descriptor,
    limits: &Limits,
) -> Result<(Digest, Vec<u8>), ReadError> {
    let expected = digest(path, "index.json", descriptor)?;
    let file = blob_file(&expected);
    let bytes = files.document(&file, limits)?;
    let found = Digest::of(&bytes);
    if found != expected {
        return Err(ReadError::Digest {
            path: path.to_owned(),
            what: format!("`{file}`"),
            expected,
            found,
        });
    }
    if bytes.len() as u64 != descriptor.size() {
        return Err(ReadError::Size {
            path: path.to_owned(),
            what: format!("`{file}`"),
            expected: descriptor.size(),
            found: bytes.len() as u64,
        });
    }
    Ok((expected, bytes))
}

fn digest(path: &Path, file: &str, descriptor: &Descriptor) -> Result<Digest, ReadError> {
    descriptor
        .digest()
        .to_string()
        .parse()
        .map_err(|e| ReadError::Document {
            path: path.to_owned(),
            file: file.into(),
            problem: format!("{e}; other digests than SHA-256 are not supported"),
        })
}

fn blob_file(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
