//! Gets what a recipe names into a content-addressed cache, and unpacks it.
//!
//! Packages come through the ordinary clients (npm, pip, cargo, apt, curl), run as they are
//! installed and configured on the machine, so that the user's mirrors, proxies and credentials
//! apply and this crate knows no host. What they bring is checked against the lock file's digest
//! and kept under its SHA-256.
//!
//! What this crate does not do: decide where the cache is, read flags or environment variables of
//! its own, print, or judge whether a lock file is stale. The one place that touches the network
//! is a child process started by `client`.
//!
//! Invariants:
//! - A path that [`Fetcher::fetch`] returns holds the bytes of the digest beside it: they were
//!   hashed in this very call.
//! - Files and folders appear whole, by rename, or not at all.
//! - Nothing in an archive can name a place outside the folder that it is unpacked to.

mod cache;
mod client;
mod crates;
mod error;
mod extract;
mod fetcher;
mod package;
mod patch;
mod progress;
mod python;

pub use cache::Cache;
pub use error::{DigestMismatch, FetchError, Gone, NoPureWheel, PackageError, WhyNot};
pub use extract::{Extract, ExtractError, Limits, LockedCrate, extract, extract_package, vendor};
pub use fetcher::{Fetched, Fetcher, Options, Pin, Request};
pub use package::{SeriesPatch, SourcePackage};
pub use patch::{PatchError, apply_patch};
pub use progress::Progress;
