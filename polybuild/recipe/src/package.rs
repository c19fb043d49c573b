//! What a lock file holds of a distribution's source package: its parts and its patches.
//!
//! Invariant (kept by the fetcher): the lists are what the package's own `.dsc` and series say. They
//! are computed anew at each fetch, and a lock file that says something else is refused.

use megabinary_format::Digest;
use serde::{Deserialize, Serialize, Serializer};

/// A source package, or its upstream archives alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Whether the distribution's patches are applied.
    pub series: bool,
    /// Name of the file whose digest is the input's: the `.dsc` or, without series, the upstream archive.
    pub file: String,
    /// The archive's folder that has the files, `pool/main/m/musl`.
    pub folder: String,
    /// When the archive had them: the date of its signed index, `20261121T091544Z`. Archives of
    /// snapshots are asked for that time.
    pub seen: String,
    /// The other files.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "part")]
    pub parts: Vec<LockedPart>,
    /// The patches that are applied, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "patch")]
    pub patches: Vec<LockedPatch>,
}

/// A file of a source package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPart {
    /// Its name.
    pub file: String,
    /// Its digest.
    #[serde(serialize_with = "hex_digits")]
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A patch of a source package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPatch {
    /// Its name in the series.
    pub name: String,
    /// Its digest.
    #[serde(serialize_with = "hex_digits")]
    pub sha256: Digest,
    /// The vulnerabilities that its name or its header names, `CVE-2025-26519`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cves: Vec<String>,
}

pub(crate) fn hex_digits<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest.hex())
}
