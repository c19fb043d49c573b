//! The executable form: one static ELF, made by appending to the launcher.
pub use self::error::PackError;
mod error;
use crate::{Keys, Megabinary};
use megabinary_format::{Index, Target};
/// A packed and signed megabinary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMegabinary {
    pub(crate) bytes: Vec<u8>,
    pub(crate) index: Index,
}
impl SignedMegabinary {
    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
    /// Its index.
    pub fn index(&self) -> &Index {
        &self.index
    }
}
/// Packs.
pub fn pack(
    _mb: &Megabinary,
    _target: Target,
    _launcher: &[u8],
    _code: &[Vec<u8>],
    _keys: &Keys,
) -> Result<SignedMegabinary, PackError> {
    Err(PackError::Unfinished)
}
