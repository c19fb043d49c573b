//! What a container engine would put around a guest, for guests that have none: no descriptors of
//! whoever started it ([`descriptors`]), namespaces ([`namespaces`], [`supervise`]), a root of its
//! own ([`root`]), and few capabilities ([`capabilities`]). The launcher does it; [`host`] says what of it this machine can do, for
//! `polybuild doctor --host`.
//!
//! Not here: what the process puts on itself (filter, Landlock), which is `vkernel_kernel::confine`'s
//! and the same in a container. Nothing here knows guests, images or policies.
//!
//! Invariant: a step that fails is an error with what was being done; nothing is left out in silence.
//! Whoever accepts less says so by name ([`Promise`]).

pub mod capabilities;
pub mod descriptors;
pub mod held;
pub mod host;
pub mod ignored;
pub mod namespaces;
mod promise;
pub mod root;
pub mod supervise;

use std::io;

pub use promise::{Accepted, Promise, Refused, UnknownPromise};

/// A step that the host refused.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct Error {
    /// What was being done, and on what.
    pub doing: String,
    /// What the host kernel said.
    #[source]
    pub source: io::Error,
}

/// Says what was being done when it failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error {
            doing: doing(),
            source: error.into(),
        })
    }
}

/// The result of a C function that says -1 and sets errno.
pub(crate) fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
