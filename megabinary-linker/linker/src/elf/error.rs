//! Errors.
/// Why packing failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Not written yet.
    #[error("packing is not implemented yet")]
    Unfinished,
}
