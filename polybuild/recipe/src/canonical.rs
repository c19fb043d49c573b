//! The digest of a resolved recipe.
//!
//! Canonical form: the JSON of [`Recipe`], whose fields are in the order of their declaration and
//! whose maps are sorted. It contains what was inherited and no path of the machine, so that two
//! clones agree. Contents of local files are not in it; the lock file lists them one by one.

use megabinary_format::Digest;

use crate::Recipe;

impl Recipe {
    /// SHA-256 digest of the canonical form.
    pub fn digest(&self) -> Digest {
        // Writing to a vector cannot fail, and every key is a string. Were that to change, the
        // digest of nothing would make every lock file stale, which is noticed.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        Digest::of(&bytes)
    }
}
