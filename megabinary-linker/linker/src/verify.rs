//! Verification of finished files.
use megabinary_format::PublicKey;
/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Checks that passed, for people.
    pub checked: Vec<String>,
}
/// All problems found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct VerifyError {
    /// One sentence each.
    pub problems: Vec<String>,
}
/// Verifies an executable megabinary.
pub fn verify_elf(_bytes: &[u8], _trusted: &[PublicKey]) -> Result<Report, VerifyError> {
    Err(VerifyError {
        problems: vec!["verification is not implemented yet".into()],
    })
}
/// Verifies a portable megabinary.
pub fn verify_portable(_bytes: &[u8], _trusted: &[PublicKey]) -> Result<Report, VerifyError> {
    Err(VerifyError {
        problems: vec!["verification is not implemented yet".into()],
    })
}
