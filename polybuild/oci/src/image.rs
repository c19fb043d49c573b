//! Configuration and manifest over stored layers: an image, before it has a place or a name.
//!
//! The platform is fixed to linux/amd64, the only one that megabinaries are made for.
//!
//! Invariant: the manifest's digest is a function of the layers' digests, the settings and the
//! epoch; labels, ports and annotations are sorted, so the order in which they are given is not
//! part of the image. The order of environment variables, arguments and layers is.

use std::collections::{BTreeMap, HashMap};

use megabinary_format::Digest;
use oci_spec::{
    OciSpecError,
    image::{
        Arch, ConfigBuilder, Descriptor, HistoryBuilder, ImageConfiguration,
        ImageConfigurationBuilder, ImageManifest, ImageManifestBuilder, MediaType, Os,
        RootFsBuilder,
    },
};

use crate::{
    json,
    layer::Layer,
    store::{Blob, BlobStore, StoreError},
    time::Epoch,
};

/// What a container gets from the image unless it is told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Environment variables, in order.
    pub env: Vec<(String, String)>,
    /// Program and leading arguments; empty: the first element of `cmd` is the program.
    pub entrypoint: Vec<String>,
    /// Default arguments.
    pub cmd: Vec<String>,
    /// `user`, `uid`, `user:group` or `uid:gid`; `None`: root.
    pub user: Option<String>,
    /// Absolute working directory; `None`: `/`.
    pub workdir: Option<String>,
    /// Labels; see [`crate::labels`] for those we define.
    pub labels: BTreeMap<String, String>,
    /// `PORT` or `PORT/PROTOCOL`, as in `8080/tcp`.
    pub exposed_ports: Vec<String>,
    /// Paths that hold data to be kept apart from the container's own layer.
    pub volumes: Vec<String>,
    /// Signal that asks the container to end, `SIGTERM`; `None`: the engine's default.
    pub stop_signal: Option<String>,
}

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A setting that container engines would refuse or misread.
    #[error("image setting {setting}: `{value}` {problem}")]
    Setting {
        /// Name of the setting, as in a recipe.
        setting: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// No layer was added.
    #[error("an image needs at least one layer")]
    NoLayers,
    /// `oci-spec` refused a document.
    #[error("writing the image's documents: {0}")]
    Document(#[from] OciSpecError),
    /// A document could not be serialised.
    #[error("writing the image's documents: {0}")]
    Json(#[from] serde_json::Error),
    /// A document could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An image whose blobs are all in files.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest; its digest names the image in registries.
    pub manifest: Blob,
    /// The configuration; its digest is Docker's image ID.
    pub config: Blob,
    /// Bottom layer first.
    pub layers: Vec<Layer>,
}

impl Image {
    /// Every blob except the manifest, in the order in which they are to be sent.
    pub fn blobs(&self) -> impl Iterator<Item = Blob> + '_ {
        self.layers
            .iter()
            .map(|l| Blob {
                digest: l.digest,
                size: l.size,
                path: l.path.clone(),
            })
            .chain([self.config.clone()])
    }

    /// Bytes of all blobs together, as a registry stores them.
    pub fn compressed_size(&self) -> u64 {
        self.manifest.size + self.blobs().map(|b| b.size).sum::<u64>()
    }
}

/// Puts layers and settings together.
#[derive(Debug)]
pub struct ImageBuilder {
    epoch: Epoch,
    settings: Settings,
    annotations: BTreeMap<String, String>,
    layers: Vec<(Layer, String)>,
}

impl ImageBuilder {
    /// An image created at `epoch`.
    pub fn new(epoch: Epoch, settings: Settings) -> ImageBuilder {
        ImageBuilder {
            epoch,
            settings,
            annotations: BTreeMap::new(),
            layers: Vec::new(),
        }
    }

    /// Adds a layer on top. `created_by` is shown by `docker history`.
    pub fn layer(mut self, layer: Layer, created_by: &str) -> Self {
        self.layers.push((layer, created_by.to_owned()));
        self
    }

    /// Adds an annotation to the manifest.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Writes configuration and manifest into `store`, which holds the layers.
    pub fn build(self, store: &BlobStore) -> Result<Image, ImageError> {
        if self.layers.is_empty() {
            return Err(ImageError::NoLayers);
        }
        self.settings.check()?;
        let config = store.put(&json::canonical(&self.configuration()?)?)?;
        let layers = self.layers.iter().map(|(layer, _)| layer);
        let manifest = manifest(&config, layers, self.annotations)?;
        let manifest = store.put(&json::canonical(&manifest)?)?;
        Ok(Image {
            manifest,
            config,
            layers: self.layers.into_iter().map(|(layer, _)| layer).collect(),
        })
    }

    fn configuration(&self) -> Result<ImageConfiguration, ImageError> {
        let created = self.epoch.to_string();
        let s = &self.settings;
        let mut config = ConfigBuilder::default();
        if !s.env.is_empty() {
            config = config.env(
                s.env
                    .iter()
                    .map(|(k, v)| format!("{k}={v}"))
                    .collect::<Vec<_>>(),
            );
        }
        if !s.entrypoint.is_empty() {
            config = config.entrypoint(s.entrypoint.clone());
        }
        if !s.cmd.is_empty() {
            config = config.cmd(s.cmd.clone());
        }
        if let Some(user) = &s.user {
            config = config.user(user.clone());
        }
        if let Some(workdir) = &s.workdir {
            config = config.working_dir(workdir.clone());
        }
        if !s.labels.is_empty() {
            config = config.labels(s.labels.clone().into_iter().collect::<HashMap<_, _>>());
        }
        if !s.exposed_ports.is_empty() {
            config = config.exposed_ports(s.exposed_ports.clone());
        }
        if !s.volumes.is_empty() {
            config = config.volumes(s.volumes.clone());
        }
        if let Some(signal) = &s.stop_signal {
            config = config.stop_signal(signal.clone());
        }
        let history = self
            .layers
            .iter()
            .map(|(_, by)| {
                HistoryBuilder::default()
                    .created(created.clone())
                    .created_by(by.clone())
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let diff_ids: Vec<_> = self
            .layers
            .iter()
            .map(|(l, _)| l.diff_id.to_string())
            .collect();
        Ok(ImageConfigurationBuilder::default()
            .created(created)
            .architecture(Arch::Amd64)
            .os(Os::Linux)
            .config(config.build()?)
            .rootfs(
                RootFsBuilder::default()
                    .typ("layers")
                    .diff_ids(diff_ids)
                    .build()?,
            )
            .history(history)
            .build()?)
    }
}

/// The manifest over a stored configuration and layers.
pub(crate) fn manifest<'a>(
    config: &Blob,
    layers: impl IntoIterator<Item = &'a Layer>,
    annotations: BTreeMap<String, String>,
) -> Result<ImageManifest, OciSpecError> {
    let layers = layers
        .into_iter()
        .map(|l| descriptor(l.media_type.clone(), &l.digest, l.size))
        .collect::<Result<Vec<_>, _>>()?;
    let mut manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(
            MediaType::ImageConfig,
            &config.digest,
            config.size,
        )?)
        .layers(layers);
    if !annotations.is_empty() {
        manifest = manifest.annotations(annotations.into_iter().collect::<HashMap<_, _>>());
    }
    manifest.build()
}

/// A descriptor of a blob.
pub(crate) fn descriptor(
    media_type: MediaType,
    digest: &Digest,
    size: u64,
) -> Result<Descriptor, OciSpecError> {
    let digest: oci_spec::image::Digest = digest.to_string().parse()?;
    Ok(Descriptor::new(media_type, size, digest))
}

impl Settings {
    /// Refuses what engines would refuse later, or take for something else.
    fn check(&self) -> Result<(), ImageError> {
        let refuse = |setting, value: &str, problem| {
            Err(ImageError::Setting {
                setting,
                value: value.into(),
                problem,
            })
        };
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return refuse(
                    "env",
                    name,
                    "is not a variable's name and a value without NUL",
                );
            }
        }
        for argument in self.entrypoint.iter().chain(&self.cmd) {
            if argument.contains('\0') {
                return refuse("entrypoint/cmd", argument, "has a NUL byte");
            }
        }
        if let Some(dir) = self.workdir.as_deref().filter(|d| !d.starts_with('/')) {
            return refuse("workdir", dir, "is not absolute; write /folder");
        }
        if let Some(user) = self
            .user
            .as_deref()
            .filter(|u| u.is_empty() || u.contains(char::is_whitespace))
        {
            return refuse("user", user, "is not USER[:GROUP]");
        }
        for port in &self.exposed_ports {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            let known = matches!(protocol, "tcp" | "udp" | "sctp");
            if !known || !number.parse::<u16>().is_ok_and(|n| n > 0) {
                return refuse(
                    "exposed-ports",
                    port,
                    "is not PORT[/tcp|udp|sctp] with PORT 1 to 65535",
                );
            }
        }
        if let Some(volume) = self.volumes.iter().find(|v| !v.starts_with('/')) {
            return refuse("volumes", volume, "is not absolute; write /folder");
        }
        if let Some(signal) = self.stop_signal.as_deref() {
            let number = signal.parse::<u8>().is_ok_and(|n| (1..=64).contains(&n));
            let name = signal.strip_prefix("SIG").is_some_and(|rest| {
                !rest.is_empty()
                    && rest
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"+-".contains(&b))
            });
            if !number && !name {
                return refuse("stop-signal", signal, "is not a signal such as SIGTERM");
            }
        }
        Ok(())
    }
}
