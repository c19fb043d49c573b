//! The portable form.
use crate::{Keys, Megabinary};
/// Why a portable megabinary cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortableError {
    /// Not written yet.
    #[error("the portable form is not implemented yet")]
    Unfinished,
}
/// Writes it.
pub fn write(_mb: &Megabinary, _keys: &Keys) -> Result<Vec<u8>, PortableError> {
    Err(PortableError::Unfinished)
}
/// Reads it.
pub fn read(_bytes: &[u8]) -> Result<Megabinary, PortableError> {
    Err(PortableError::Unfinished)
}
