//! Reading images that we or other tools wrote: OCI layout, `oci-archive`, `docker-archive`.
//!
//! What an image *means* is decided here: which manifest, which layers, and, in [`Tree`], which
//! file a path ends at. `polybuild verify` trusts the answer, so wherever container engines could
//! understand an image differently from us, it is refused.
//!
//! What it does not do: put anything on disk (see [`crate::unpack`]), read zstd or encrypted
//! layers, fetch layers that are elsewhere (`urls`).
//!
//! Invariant: contents leave this module only when the digests in the manifest and in the
//! configuration have been compared with the bytes read.

mod docker;
mod entries;
mod error;
mod files;
mod oci;
mod stored;
mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    path::{Path, PathBuf},
};

use megabinary_format::Digest;
use oci_spec::image::ImageConfiguration;

pub use error::ReadError;
use files::Files;
pub use tree::{ContentId, Metadata, Node, NodeKind, ResolveError, Tree};

use crate::{hashing::Hashing, image::Settings, name::ImageName, publish};

/// Bounds on what a hostile image can make us do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Layers of one image.
    pub layers: usize,
    /// Bytes of one layer's tar.
    pub layer_bytes: u64,
    /// Files, folders and links of an image, replaced and deleted ones included.
    pub entries: usize,
    /// Bytes of all their paths.
    pub path_bytes: usize,
    /// Bytes of a manifest, index or configuration.
    pub document_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            layers: 512,
            layer_bytes: 16 << 30,
            entries: 2_000_000,
            path_bytes: 512 << 20,
            document_bytes: 8 << 20,
        }
    }
}

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A folder with `oci-layout`.
    OciLayout,
    /// The same in a tar.
    OciArchive,
    /// A tar with `manifest.json`.
    DockerArchive,
}

/// An opened image. Documents are read and checked; layers are read when asked for.
#[derive(Debug)]
pub struct ReadImage {
    path: PathBuf,
    files: Files,
    form: Form,
    /// Names that the image carries, as written in it.
    names: Vec<String>,
    /// The manifest; a docker archive has none.
    manifest: Option<(Digest, Vec<u8>)>,
    config_digest: Digest,
    config_bytes: Vec<u8>,
    config: ImageConfiguration,
    layers: Vec<LayerSource>,
    limits: Limits,
}

/// Where a layer is and what it must be.
#[derive(Clone, Debug)]
struct LayerSource {
    /// Name of the file in the layout or archive.
    file: String,
    /// Digest and size of the stored bytes, where the manifest gives them.
    stored: Option<(Digest, u64)>,
    /// Digest of the uncompressed tar.
    diff_id: Digest,
}

/// What [`ReadImage::find`] found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the path ends once links are followed, without a leading slash.
    pub resolved: Vec<u8>,
    /// Mode, owner, time.
    pub metadata: Metadata,
    /// Contents of a regular file; `None` for anything else.
    pub bytes: Option<Vec<u8>>,
}

/// What [`ReadImage::glance`] saw of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Its first bytes: four, or of one that can be executed as many as decide what runs it.
    pub head: Vec<u8>,
    /// Digest of the whole file, if it can be executed.
    pub digest: Option<Digest>,
}

/// Bytes of a file that the host kernel looks at to find out what runs it (BINPRM_BUF_SIZE).
const HEAD: u64 = 256;

impl ReadImage {
    /// Opens the image at `path`. If it holds several, `name` says which; an image that carries
    /// other names than `name` is refused.
    pub fn open(
        path: &Path,
        name: Option<&ImageName>,
        limits: Limits,
    ) -> Result<ReadImage, ReadError> {
        let files = Files::open(path, &limits)?;
        let is_oci = files.has("oci-layout") && files.has("index.json");
        if is_oci {
            oci::open(path, files, name, limits)
        } else if files.has("manifest.json") {
            docker::open(path, files, name, limits)
        } else {
            Err(ReadError::NotAnImage {
                path: path.to_owned(),
                what: "it holds neither `oci-layout` and `index.json` nor `manifest.json`".into(),
            })
        }
    }

    /// How it is stored.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The names it carries, as they are written in it.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Digest of the manifest; a docker archive has none.
    pub fn manifest_digest(&self) -> Option<Digest> {
        self.manifest.as_ref().map(|(digest, _)| *digest)
    }

    /// Digest of the configuration, which is Docker's image ID.
    pub fn config_digest(&self) -> Digest {
        self.config_digest
    }

    /// The configuration.
    pub fn config(&self) -> &ImageConfiguration {
        &self.config
    }

    /// The configuration as it is stored: container engines know keys that the OCI specification
    /// does not.
    pub fn config_document(&self) -> &[u8] {
        &self.config_bytes
    }

    /// Digests of the layers' tars, bottom first.
    pub fn diff_ids(&self) -> impl Iterator<Item = Digest> + '_ {
        self.layers.iter().map(|l| l.diff_id)
    }

    /// What a container gets from the image.
    pub fn settings(&self) -> Settings {
        let Some(config) = self.config.config() else {
            return Settings::default();
        };
        let list = |values: &Option<Vec<String>>| values.clone().unwrap_or_default();
        let text = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
        let mut exposed_ports = list(config.exposed_ports());
        exposed_ports.sort();
        let mut volumes = list(config.volumes());
        volumes.sort();
        Settings {
            env: list(config.env())
                .iter()
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (name.to_owned(), value.to_owned())
                })
                .collect(),
            entrypoint: list(config.entrypoint()),
            cmd: list(config.cmd()),
            user: text(config.user()),
            workdir: text(config.working_dir()),
            labels: config.labels().clone().into_iter().flatten().collect(),
            exposed_ports,
            volumes,
            stop_signal: text(config.stop_signal()),
        }
    }

    /// Reads every layer and works out the files that a container of this image starts with.
    pub fn flatten(&self) -> Result<Tree, ReadError> {
        let mut tree = tree::Builder::new(&self.limits);
        for (number, layer) in self.layers.iter().enumerate() {
            let mut ordinal = 0;
            tree.start_layer(number);
            self.read_layer(number, layer, &mut |head, _| {
                tree.apply(
                    head,
                    ContentId {
                        layer: number,
                        ordinal,
                    },
                )?;
                ordinal += 1;
                Ok(())
            })?;
        }
        Ok(tree.finish())
    }

    /// Passes the contents of the wanted files to `visit`, layer by layer. An error afterwards
    /// means that what was passed was not what the image's digests say: discard it.
    pub(crate) fn contents(
        &self,
        wanted: &BTreeSet<ContentId>,
        visit: &mut dyn FnMut(ContentId, &mut dyn Read) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        for (number, layer) in self.layers.iter().enumerate() {
            let from = ContentId {
                layer: number,
                ordinal: 0,
            };
            let to = ContentId {
                layer: number,
                ordinal: usize::MAX,
            };
            if wanted.range(from..=to).next().is_none() {
                continue;
            }
            let mut ordinal = 0;
            self.read_layer(number, layer, &mut |_, bytes| {
                let id = ContentId {
                    layer: number,
                    ordinal,
                };
                ordinal += 1;
                if wanted.contains(&id) {
                    visit(id, bytes)
                } else {
                    Ok(())
                }
            })?;
        }
        Ok(())
    }

    /// What a process that opens each of `paths` in a fresh container would find, links followed.
    /// Paths that lead nowhere are missing from the answer. A file longer than `max_bytes` is an
    /// error; for large ones see [`ReadImage::extract`].
    pub fn find(
        &self,
        tree: &Tree,
        paths: &[&str],
        max_bytes: u64,
    ) -> Result<BTreeMap<String, Found>, ReadError> {
        let mut found = BTreeMap::new();
        let mut wanted: BTreeMap<ContentId, Vec<String>> = BTreeMap::new();
        for &path in paths {
            let Ok((resolved, node)) = tree.resolve(path.as_bytes()) else {
                continue;
            };
            if let NodeKind::File { content, size } = node.kind {
                if size > max_bytes {
                    return Err(ReadError::TooLarge {
                        path: path.into(),
                        size,
                        limit: max_bytes,
                    });
                }
                wanted.entry(content).or_default().push(path.into());
            }
            found.insert(
                path.to_owned(),
                Found {
                    resolved,
                    metadata: node.metadata,
                    bytes: None,
                },
            );
        }
        let ids = wanted.keys().copied().collect();
        self.contents(&ids, &mut |id, reader| {
            let mut bytes = Vec::new();
            reader
                .take(max_bytes)
                .read_to_end(&mut bytes)
                .map_err(|e| self.failed(e))?;
            for path in wanted.get(&id).into_iter().flatten() {
                if let Some(entry) = found.get_mut(path) {
                    entry.bytes = Some(bytes.clone());
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The first bytes of every file of the tree, and of those that can be executed the digest.
    pub fn glance(&self, tree: &Tree) -> Result<BTreeMap<ContentId, Glance>, ReadError> {
        let mut wanted = BTreeMap::new();
        for (_, node) in tree.iter() {
            if let NodeKind::File { content, .. } = node.kind {
                *wanted.entry(content).or_insert(false) |= node.metadata.mode & 0o111 != 0;
            }
        }
        let mut seen = BTreeMap::new();
        let ids = wanted.keys().copied().collect();
        self.contents(&ids, &mut |id, reader| {
            let executable = wanted.get(&id).copied().unwrap_or_default();
            let mut head = Vec::new();
            let len = if executable { HEAD } else { 4 };
            (&mut *reader)
                .take(len)
                .read_to_end(&mut head)
                .map_err(|e| self.failed(e))?;
            let mut digest = None;
            if executable {
                let mut hashing = Hashing::new(io::sink());
                io::copy(&mut head.as_slice().chain(reader), &mut hashing)
                    .map_err(|e| self.failed(e))?;
                digest = Some(hashing.finish().0);
            }
            seen.insert(id, Glance { head, digest });
            Ok(())
        })?;
        Ok(seen)
    }

    /// Copies the file at `path` of the image to `target` on the host, which appears only when the
    /// image's digests have been checked. Returns the digest of the file.
    pub fn extract(&self, tree: &Tree, path: &str, target: &Path) -> Result<Digest, ReadError> {
        let content = match tree.resolve(path.as_bytes()) {
            Ok((
                _,
                Node {
                    kind: NodeKind::File { content, .. },
                    ..
                },
            )) => *content,
            Ok(_) => return Err(ReadError::NotAFile { path: path.into() }),
            Err(cause) => {
                return Err(ReadError::NoSuchFile {
                    path: path.into(),
                    cause,
                });
            }
        };
        let on_io = |path, cause| ReadError::Write { path, cause };
        publish::file(target, on_io, |to| {
            let mut hashing = Hashing::new(to);
            self.contents(&BTreeSet::from([content]), &mut |_, reader| {
                io::copy(reader, &mut hashing)
                    .map(drop)
                    .map_err(|cause| on_io(target.to_owned(), cause))
            })?;
            Ok(hashing.finish().0)
        })
    }

    fn failed(&self, cause: io::Error) -> ReadError {
        ReadError::Io {
            path: self.path.clone(),
            cause,
        }
    }
}
