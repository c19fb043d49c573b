//! Documents attached to an image in a registry: manifests that name it as their *subject* (OCI image
//! and distribution specifications 1.1, "Referrers").
//!
//! Registries that know referrers list them by the image's digest. For those that do not there is the
//! specification's fallback: an index under the tag `sha256-HEX`, which is kept here.

use megabinary_format::Digest;
use oci_client::Reference;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Progress, PushError, Session};
use crate::json;

/// A document to attach to an image.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a> {
    /// Media type of the document, which also is the artifact's type.
    pub media_type: &'a str,
    /// What the registry's pages show it as.
    pub title: &'a str,
    /// The document.
    pub bytes: &'a [u8],
}

/// Media type of SPDX in JSON.
pub const SPDX: &str = "application/spdx+json";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The configuration of what has none ("Guidance for an Empty Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const NOTHING: &[u8] = b"{}";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'a> {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'a str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
    subject: Descriptor<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Title<'a>>,
}

#[derive(Serialize)]
struct Title<'a> {
    #[serde(rename = "org.opencontainers.image.title")]
    title: &'a str,
}

impl<'a> Descriptor<'a> {
    fn of(media_type: &'a str, bytes: &[u8]) -> Descriptor<'a> {
        Descriptor {
            media_type,
            digest: Digest::of(bytes).to_string(),
            size: bytes.len(),
            artifact_type: None,
            annotations: None,
        }
    }
}

/// An index under a fallback tag; what others wrote in it is kept as it is.
#[derive(Deserialize, Default)]
struct Others {
    #[serde(default)]
    manifests: Vec<Value>,
}

impl<P: Fn(Progress) + Send + Sync + 'static> Session<'_, P> {
    /// Attaches a document to the image whose manifest is `subject`, which need not be there yet.
    /// Returns the bytes sent.
    pub(super) async fn attach(
        &self,
        document: &Attachment<'_>,
        subject: &[u8],
        subject_type: &str,
    ) -> Result<u64, PushError> {
        let mut sent = 0;
        for bytes in [NOTHING, document.bytes] {
            sent += self.small_blob(bytes).await?;
        }
        let artifact = Artifact {
            schema_version: 2,
            media_type: MANIFEST,
            artifact_type: document.media_type,
            config: Descriptor::of(EMPTY, NOTHING),
            layers: [Descriptor {
                annotations: Some(Title {
                    title: document.title,
                }),
                ..Descriptor::of(document.media_type, document.bytes)
            }],
            subject: Descriptor::of(subject_type, subject),
        };
        let manifest = canonical(&artifact)?;
        sent += manifest.len() as u64;
        let digest = Digest::of(&manifest).to_string();
        let what = format!("the attached {}", document.title);
        self.client
            .push_manifest_raw(
                &self.with_digest(&digest),
                manifest.clone(),
                http::HeaderValue::from_static(MANIFEST),
            )
            .await
            .map_err(|e| self.error(&what, e))?;
        let subject = Digest::of(subject);
        let listed = self
            .client
            .pull_referrers(&self.with_digest(&subject.to_string()), None)
            .await
            .map_err(|e| self.error(&what, e))?;
        if listed.manifests.iter().any(|entry| entry.digest == digest) {
            return Ok(sent);
        }
        let entry = Descriptor {
            artifact_type: Some(document.media_type),
            ..Descriptor::of(MANIFEST, &manifest)
        };
        sent += self.fallback(&subject, &entry, &what).await?;
        Ok(sent)
    }

    /// Adds an entry to the index under an image's fallback tag.
    async fn fallback(
        &self,
        subject: &Digest,
        entry: &Descriptor<'_>,
        what: &str,
    ) -> Result<u64, PushError> {
        let image = self.name.reference();
        let tag = Reference::with_tag(
            image.registry().to_owned(),
            image.repository().to_owned(),
            subject.to_string().replace(':', "-"),
        );
        let auth = self.auth.clone();
        let before = self.client.pull_manifest_raw(&tag, &auth, &[INDEX]).await;
        // A tag that is not there, or holds something else, has nothing to be kept.
        let before = before.map(|(bytes, _)| serde_json::from_slice::<Others>(&bytes));
        let mut manifests = before
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
            .manifests;
        let entry = serde_json::to_value(entry).map_err(|e| PushError::Client(e.to_string()))?;
        manifests.retain(|other| other.get("digest") != entry.get("digest"));
        manifests.push(entry);
        let index = canonical(&serde_json::json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": manifests,
        }))?;
        let len = index.len() as u64;
        self.client
            .push_manifest_raw(&tag, index, http::HeaderValue::from_static(INDEX))
            .await
            .map_err(|e| self.error(what, e))?;
        Ok(len)
    }

    async fn small_blob(&self, bytes: &[u8]) -> Result<u64, PushError> {
        let digest = Digest::of(bytes).to_string();
        let what = format!("the blob {digest}");
        let image = self.name.reference();
        let existed = self.client.blob_exists(image, &digest).await;
        if existed.map_err(|e| self.error(&what, e))? {
            return Ok(0);
        }
        let chunk = bytes::Bytes::copy_from_slice(bytes);
        let len = bytes.len() as u64;
        let chunks = futures_util::stream::iter([Ok(chunk)]);
        self.client
            .push_blob_stream(image, chunks, &digest, Some(len))
            .await
            .map_err(|e| self.error(&what, e))?;
        Ok(len)
    }

    fn with_digest(&self, digest: &str) -> Reference {
        let image = self.name.reference();
        Reference::with_digest(
            image.registry().to_owned(),
            image.repository().to_owned(),
            digest.to_owned(),
        )
    }
}

fn canonical(value: &impl Serialize) -> Result<Vec<u8>, PushError> {
    json::canonical(value).map_err(|e| PushError::Client(e.to_string()))
}
