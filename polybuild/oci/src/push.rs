//! Sending an image to an OCI registry (OCI distribution specification 1.1).
//!
//! Blobs first, then the configuration, then a document to attach, the manifest last: a tag never points at an incomplete
//! image. Blobs that the registry has are not sent again, so an interrupted push continues where it
//! stopped, to the blob.
//!
//! What is not here: pulling, deleting, signing. Plain HTTP is spoken only to loopback addresses,
//! and only when the caller asks for it.

mod credentials;
mod referrer;

use std::{
    error::Error as _,
    fs::File,
    io::{self, Read},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use megabinary_format::Digest;
use oci_client::{
    Client, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    secrets::RegistryAuth,
};

pub use credentials::{Credentials, CredentialsError};
pub use referrer::{Attachment, SPDX};

use crate::{image::Image, name::ImageName, store::Blob};

/// Bytes sent in one request; registries that buffer requests in memory accept this much.
const CHUNK: usize = 4 << 20;
/// A registry that does not answer in this time is taken to be gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Silence for this long ends the push.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// What happens during a push, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A blob is about to be sent.
    Started {
        /// Its digest.
        blob: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// So many more bytes of it are on their way.
    Sent {
        /// Its digest.
        blob: Digest,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// The registry has it now, or had it before.
    Done {
        /// Its digest.
        blob: Digest,
        /// Whether it was there before.
        existed: bool,
    },
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Name with the manifest's digest, by which exactly this image can be pulled.
    pub by_digest: String,
    /// Bytes sent.
    pub sent: u64,
}

/// Why an image could not be pushed. The tag in the registry still is what it was.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Plain HTTP was asked for, to somewhere else than this machine.
    #[error(
        "plain HTTP is only spoken to loopback addresses, and {0} is none; give the registry a certificate"
    )]
    InsecureHost(String),
    /// The credentials were refused, or there were none.
    #[error(
        "{registry} refuses access to {repository}: {detail}; run `docker login {registry}` and check that the account may push there"
    )]
    Unauthorized {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// What the registry said.
        detail: String,
    },
    /// Nobody answers.
    #[error("cannot reach the registry {registry}: {detail}; is the name right and the registry running?{}", http_hint(*.plain, .detail))]
    Unreachable {
        /// The registry.
        registry: String,
        /// What the network said, to the root cause.
        detail: String,
        /// Whether plain HTTP was spoken.
        plain: bool,
    },
    /// The registry answered with an error.
    #[error("the registry {registry} refused {what}: {detail}")]
    Refused {
        /// The registry.
        registry: String,
        /// What was being sent.
        what: String,
        /// What it said.
        detail: String,
    },
    /// A blob could not be read.
    #[error("reading the image's blob {path}: {cause}; build the image again")]
    Blob {
        /// The blob.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The client could not be set up.
    #[error("starting the registry client: {0}")]
    Client(String),
    /// Credentials could not be found.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

fn http_hint(plain: bool, detail: &str) -> &'static str {
    if !plain && (detail.contains("certificate") || detail.contains("InvalidContentType")) {
        " A loopback registry without a certificate is reached with the plain-HTTP option."
    } else {
        ""
    }
}

/// Pushes `image` as `name`, with `attached` to it. `plain_http` speaks HTTP instead of HTTPS, to loopback addresses only.
pub fn push(
    image: &Image,
    name: &ImageName,
    credentials: &Credentials,
    plain_http: bool,
    attached: Option<Attachment<'_>>,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Pushed, PushError> {
    if plain_http && !is_loopback(name.registry()) {
        return Err(PushError::InsecureHost(name.registry().into()));
    }
    // Several providers may be compiled in by other crates; ours is named so that none is guessed.
    // An error says that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_from(ClientConfig {
        protocol: if plain_http {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        user_agent: concat!("polybuild/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    })
    .map_err(|e| PushError::Client(e.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| PushError::Client(e.to_string()))?;
    let session = Session {
        client,
        name,
        auth: credentials.to_auth(),
        plain_http,
        progress: std::sync::Arc::new(progress),
    };
    runtime.block_on(session.push(image, attached))
}

/// Whether a registry's `HOST[:PORT]` is this machine.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => registry,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

struct Session<'a, P> {
    client: Client,
    name: &'a ImageName,
    auth: RegistryAuth,
    plain_http: bool,
    progress: std::sync::Arc<P>,
}

impl<P: Fn(Progress) + Send + Sync + 'static> Session<'_, P> {
    async fn push(
        &self,
        image: &Image,
        attached: Option<Attachment<'_>>,
    ) -> Result<Pushed, PushError> {
        let reference = self.name.reference();
        self.client
            .auth(reference, &self.auth, RegistryOperation::Push)
            .await
            .map_err(|e| self.error("the login", e))?;
        let mut sent = 0;
        for blob in image.blobs() {
            sent += self.blob(&blob).await?;
        }
        let manifest = std::fs::read(&image.manifest.path).map_err(|cause| PushError::Blob {
            path: image.manifest.path.clone(),
            cause,
        })?;
        let media_type = media_type(&manifest);
        // Before the tag: an image that can be pulled by it has its documents.
        if let Some(document) = attached {
            let kind = media_type.to_str().unwrap_or_default();
            sent += self.attach(&document, &manifest, kind).await?;
        }
        sent += manifest.len() as u64;
        self.client
            .push_manifest_raw(reference, manifest, media_type)
            .await
            .map_err(|e| self.error("the manifest", e))?;
        Ok(Pushed {
            by_digest: format!(
                "{}/{}@{}",
                reference.registry(),
                reference.repository(),
                image.manifest.digest
            ),
            sent,
        })
    }

    /// Sends a blob unless it is there; returns the bytes sent.
    async fn blob(&self, blob: &Blob) -> Result<u64, PushError> {
        let what = || format!("the blob {}", blob.digest);
        let digest = blob.digest.to_string();
        let reference = self.name.reference();
        let existed = self
            .client
            .blob_exists(reference, &digest)
            .await
            .map_err(|e| self.error(&what(), e))?;
        if !existed {
            (self.progress)(Progress::Started {
                blob: blob.digest,
                size: blob.size,
            });
            let file = File::open(&blob.path).map_err(|cause| PushError::Blob {
                path: blob.path.clone(),
                cause,
            })?;
            let progress = self.progress.clone();
            let id = blob.digest;
            // Reading blocks the runtime's only thread, which has nothing else to do.
            let chunks = Chunks { file }.inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    progress(Progress::Sent {
                        blob: id,
                        bytes: chunk.len() as u64,
                    });
                }
            });
            self.client
                .push_blob_stream(
                    reference,
                    futures_util::stream::iter(chunks),
                    &digest,
                    Some(blob.size),
                )
                .await
                .map_err(|e| self.error(&what(), e))?;
        }
        (self.progress)(Progress::Done {
            blob: blob.digest,
            existed,
        });
        Ok(if existed { 0 } else { blob.size })
    }

    fn error(&self, what: &str, error: OciDistributionError) -> PushError {
        let registry = self.name.registry().to_owned();
        let repository = self.name.reference().repository().to_owned();
        let unauthorized = |detail: String| PushError::Unauthorized {
            registry: registry.clone(),
            repository: repository.clone(),
            detail,
        };
        let refused = |detail| PushError::Refused {
            registry: registry.clone(),
            what: what.into(),
            detail,
        };
        match error {
            OciDistributionError::UnauthorizedError { .. } => unauthorized("not authorized".into()),
            OciDistributionError::AuthenticationFailure(detail) => unauthorized(one_line(&detail)),
            OciDistributionError::ServerError { code, message, .. }
                if matches!(code, 401 | 403) =>
            {
                unauthorized(format!("HTTP {code} {}", one_line(&message)))
            }
            OciDistributionError::ServerError { code, message, .. } => {
                refused(format!("HTTP {code} {}", one_line(&message)))
            }
            OciDistributionError::RequestError(error) => match error.status().map(|s| s.as_u16()) {
                Some(code @ (401 | 403)) => unauthorized(format!("HTTP {code}")),
                Some(code) => refused(format!("HTTP {code}")),
                None => {
                    let mut detail = error.to_string();
                    let mut cause = error.source();
                    while let Some(inner) = cause {
                        detail = inner.to_string();
                        cause = inner.source();
                    }
                    PushError::Unreachable {
                        registry,
                        detail,
                        plain: self.plain_http,
                    }
                }
            },
            other => refused(one_line(&other.to_string())),
        }
    }
}

/// The media type that a manifest gives itself; OCI's if it gives none.
fn media_type(manifest: &[u8]) -> HeaderValue {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    serde_json::from_slice::<Typed>(manifest)
        .ok()
        .and_then(|typed| HeaderValue::from_str(&typed.media_type?).ok())
        .unwrap_or(HeaderValue::from_static(
            "application/vnd.oci.image.manifest.v1+json",
        ))
}

/// What a registry said, short enough for a terminal.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

/// A file in pieces.
struct Chunks {
    file: File,
}

impl Iterator for Chunks {
    type Item = Result<Bytes, OciDistributionError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = Vec::with_capacity(CHUNK);
        match self
            .file
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut chunk)
        {
            Ok(0) => None,
            Ok(_) => Some(Ok(chunk.into())),
            Err(e) => Some(Err(e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback() {
        for (registry, yes) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.1.2.3", true),
            ("[::1]:5000", true),
            ("docker.io", false),
            ("10.0.0.1:5000", false),
            ("localhost.example.com:5000", false),
            ("127.0.0.1.example.com", false),
        ] {
            assert_eq!(is_loopback(registry), yes, "{registry}");
        }
    }
}
