//! `[[source]]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;

/// Something to fetch. Packages come through their own package manager's client (npm, pip, cargo,
/// apt), so that your mirrors, proxies and credentials apply.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceTable {
    /// Name by which the rest of the recipe refers to it. Letters, digits and `._+-`; `path` and
    /// `build` are taken.
    pub id: At<String>,
    /// Address of the source; see "Source addresses".
    pub url: At<String>,
    /// SHA-256 digest of the file, 64 hexadecimal digits. Needed for `https:`; elsewhere optional,
    /// because `recipe.lock` pins it.
    pub sha256: Option<At<String>>,
    /// Whether to unpack it. Default: yes for `npm:`, `pypi:`, `crates:` and `debian:`, and for
    /// other addresses whose name ends in `.tar.gz`, `.tgz`, `.tar.xz`, `.tar.bz2`, `.tar.zst`,
    /// `.zip`, `.whl`, `.crate` or `.deb`.
    pub extract: Option<bool>,
    /// How many leading folders to remove from the paths in the archive. Default: 1 for `npm:`,
    /// `crates:`, `debian-source:` and source distributions of `pypi:`, whose archives hold one
    /// folder; else 0.
    pub strip_components: Option<u32>,
    /// Unified diffs to apply after unpacking, in this order: `path:` references. They must apply
    /// exactly.
    #[serde(default)]
    pub patches: Vec<At<String>>,
    /// Of a `debian-source:`: whether the distribution's patches are part of the source. Default:
    /// they are.
    pub series: Option<At<SeriesChoice>>,
    /// Why `series` is `"none"`; needed then, and only then. One line for people.
    pub series_reason: Option<At<String>>,
}

/// What is done with the distribution's series of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesChoice {
    /// The whole source package is fetched and its patches are applied, in their order.
    Applied,
    /// The upstream archive alone: nothing may then claim the distribution's revision.
    None,
}
