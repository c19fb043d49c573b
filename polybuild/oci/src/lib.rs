//! OCI images: made reproducibly, exported, read back, unpacked, pushed, and described.
//!
//! | task | module |
//! |---|---|
//! | one layer, sorted and time-stamped by the caller | [`layer`] |
//! | configuration and manifest over layers | [`image`] |
//! | OCI layout, `oci-archive`, `docker-archive` | [`export`] |
//! | any of those three, also as other tools wrote them | [`read`] |
//! | a root file system on disk for `polybuild run` | [`unpack`] |
//! | an OCI registry | [`push`] |
//! | SPDX bill of materials, provenance labels | [`sbom`], [`labels`] |
//!
//! What is not here: what goes into an image (recipes and the linker decide) and running one.
//!
//! Invariants. The same inputs give the same bytes, on any machine, at any time. An output appears
//! whole, by rename, or not at all. Bytes read from an image are handed out only after the digest
//! that names them has been checked; any input gives a value or an error, never a panic.
//!
//! Sources: OCI image specification 1.1, OCI distribution specification 1.1, Docker image
//! specification 1.2 (the archive of `docker save`).

mod decode;
pub mod export;
mod hashing;
pub mod image;
mod json;
pub mod labels;
pub mod layer;
pub mod name;
mod path;
mod publish;
pub mod push;
pub mod read;
pub mod sbom;
pub mod store;
pub mod time;
pub mod unpack;

pub use image::{Image, ImageBuilder, Settings};
pub use layer::{Layer, LayerBuilder};
pub use name::ImageName;
pub use read::{Limits, ReadImage};
pub use store::BlobStore;
pub use time::Epoch;
