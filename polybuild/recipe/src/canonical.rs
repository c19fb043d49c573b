//! The digest of a resolved recipe.
//!
//! Canonical form: the JSON of [`Recipe`], whose fields are in the order of their declaration and
//! whose maps are sorted. It contains what was inherited and no path of the machine, so that two
//! clones agree. Contents of local files are not in it; lock files list them one by one.
//!
//! A recipe *file* has a digest of its own, of what is written in it without comments and layout. It is
//! what lock files compare: it does not change when another recipe does.

use megabinary_format::Digest;

use crate::Recipe;

/// SHA-256 digest of a recipe file's content: the JSON of its TOML, whose keys are sorted. A file that is
/// not TOML, of which there is no recipe either, has the digest of its bytes.
pub(crate) fn digest_of_file(text: &str) -> Digest {
    let table: Option<toml::Table> = text.parse().ok();
    let bytes = table.and_then(|table| serde_json::to_vec(&table).ok());
    Digest::of(bytes.as_deref().unwrap_or(text.as_bytes()))
}

impl Recipe {
    /// SHA-256 digest of the canonical form.
    pub fn digest(&self) -> Digest {
        // Writing to a vector cannot fail, and every key is a string. Were that to change, the
        // digest of nothing would make every lock file stale, which is noticed.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        Digest::of(&bytes)
    }
}
