//! Verification of finished files from outside, as `polybuild verify` and host runtimes do it.
//!
//! It repeats nothing of how the file was made: it starts from the bytes, trusts only the keys
//! given, and looks at every byte of the file. It collects all problems rather than the first,
//! because whoever investigates a bad file wants to see them together.
//!
//! What it cannot say: that compiled code is the translation of the modules. That takes building
//! again from the portable form and comparing.

mod executable;

use megabinary_format::{Index, PublicKey};

use crate::portable;

pub use executable::verify_elf;

/// A file that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was checked, one sentence each.
    pub checked: Vec<String>,
    /// The index.
    pub index: Index,
    /// The key it is signed with, one of the trusted ones.
    pub signer: PublicKey,
    /// The comment that was signed with it.
    pub trusted_comment: String,
}

/// Everything that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the megabinary does not verify: {}", problems.join("; "))]
pub struct VerifyError {
    /// Problems, one sentence each; at least one.
    pub problems: Vec<String>,
}

/// Verifies a portable megabinary.
pub fn verify_portable(bytes: &[u8], trusted: &[PublicKey]) -> Result<Report, VerifyError> {
    let mut problems = Vec::new();
    let mut validator = wasmparser::Validator::new_with_features(
        crate::analysis::FEATURES | wasmparser::WasmFeatures::COMPONENT_MODEL,
    );
    if let Err(e) = validator.validate_all(bytes) {
        problems.push(format!("it is not a valid component: {e}"));
    }
    match portable::read_trusted(bytes, trusted) {
        Err(e) => problems.push(e.to_string()),
        Ok(portable) if problems.is_empty() => {
            return Ok(Report {
                checked: vec![
                    "a valid WebAssembly component in canonical layout".into(),
                    "signed by a trusted key; every module and section has its digest".into(),
                    "modules import only what personalities offer".into(),
                    "entries, stubs and routes belong together".into(),
                ],
                index: portable.index,
                signer: portable.signature.public_key,
                trusted_comment: portable.signature.trusted_comment,
            });
        }
        Ok(_) => {}
    }
    Err(VerifyError { problems })
}
