//! Labels that say what an image is made of and who vouches for it.
//!
//! They are claims, for people and for tools that index registries. What is true is in the signed
//! index of the megabinary; `polybuild verify` compares the two.

use std::collections::BTreeMap;

use megabinary_format::Digest;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_SOURCE,
    ANNOTATION_TITLE, ANNOTATION_VERSION,
};

use crate::time::Epoch;

/// Digest of `/.vkernel/megabinary`.
pub const MEGABINARY: &str = "dev.vkernel.megabinary.digest";
/// Digest of the signed index inside it.
pub const INDEX: &str = "dev.vkernel.index.digest";
/// Identifier of the key that signed the index, as minisign prints it.
pub const KEY_ID: &str = "dev.vkernel.signature.key-id";
/// Digest of the lock files the image was built from, one after the other: the recipe's own, then those
/// of the recipes that it is made from.
pub const LOCK: &str = "dev.vkernel.recipe.lock.digest";

/// Components that are the upstream version, without the fixes of the distribution that their source
/// came from: `NAME VERSION`, separated by commas. Missing if there are none.
pub const WITHOUT_FIXES: &str = "dev.vkernel.sources.without-fixes";
/// How build steps ran, where they were not confined: `unconfined`.
pub const STEPS: &str = "dev.vkernel.build.steps";

/// What is known about the origin of an image.
#[derive(Clone, Debug)]
pub struct Provenance<'a> {
    /// `org.opencontainers.image.title`.
    pub title: &'a str,
    /// `org.opencontainers.image.version`, of the packaged runtime or app.
    pub version: &'a str,
    /// `org.opencontainers.image.description`.
    pub description: Option<&'a str>,
    /// `org.opencontainers.image.licenses`, an SPDX expression.
    pub licenses: Option<&'a str>,
    /// `org.opencontainers.image.source`, a URL.
    pub source: Option<&'a str>,
    /// `org.opencontainers.image.created`.
    pub created: Epoch,
    /// See [`MEGABINARY`].
    pub megabinary: &'a Digest,
    /// See [`INDEX`].
    pub index: &'a Digest,
    /// See [`KEY_ID`].
    pub key_id: &'a str,
    /// See [`LOCK`].
    pub lock: &'a Digest,
    /// See [`WITHOUT_FIXES`].
    pub without_fixes: Option<&'a str>,
}

impl Provenance<'_> {
    /// The labels, sorted.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let always = [
            (ANNOTATION_TITLE, self.title.to_owned()),
            (ANNOTATION_VERSION, self.version.to_owned()),
            (ANNOTATION_CREATED, self.created.to_string()),
            (MEGABINARY, self.megabinary.to_string()),
            (INDEX, self.index.to_string()),
            (KEY_ID, self.key_id.to_owned()),
            (LOCK, self.lock.to_string()),
        ];
        let sometimes = [
            (ANNOTATION_DESCRIPTION, self.description),
            (ANNOTATION_LICENSES, self.licenses),
            (ANNOTATION_SOURCE, self.source),
            (WITHOUT_FIXES, self.without_fixes),
        ];
        always
            .into_iter()
            .chain(
                sometimes
                    .into_iter()
                    .filter_map(|(k, v)| Some((k, v?.to_owned()))),
            )
            .map(|(k, v)| (k.to_owned(), v))
            .collect()
    }
}
