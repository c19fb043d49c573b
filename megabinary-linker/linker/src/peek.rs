//! Reads the index and the signature of a megabinary in either form without judging them: for
//! showing what a file claims. Whoever acts on it calls [`crate::verify`].

use megabinary_format::{FormatError, Index, PT_VKERNEL, Signature, Tail};

use crate::{
    elf::raw::Header,
    portable::{Parsed, PortableError},
};

/// Why a file shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum PeekError {
    /// It is no ELF, or a damaged one.
    #[error("not a megabinary: {0}")]
    Elf(String),
    /// An ELF without the header that leads to an index.
    #[error("this ELF is no megabinary: it has no vkernel program header")]
    NoTail,
    /// The tail, index or signature cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The portable form cannot be read.
    #[error(transparent)]
    Portable(#[from] PortableError),
}

/// The index and the signature in `bytes`.
pub fn peek(bytes: &[u8]) -> Result<(Index, Signature), PeekError> {
    if bytes.starts_with(b"\0asm") {
        let parsed = Parsed::read(bytes)?;
        return Ok((
            Index::decode(parsed.index)?,
            Signature::decode(parsed.signature)?,
        ));
    }
    let header = Header::read(bytes).map_err(PeekError::Elf)?;
    let phdrs = header.phdrs(bytes).map_err(PeekError::Elf)?;
    let range = phdrs
        .iter()
        .find(|p| p.kind == PT_VKERNEL)
        .and_then(|p| {
            let start = usize::try_from(p.offset).ok()?;
            bytes.get(start..start.checked_add(usize::try_from(p.filesz).ok()?)?)
        })
        .ok_or(PeekError::NoTail)?;
    let tail = Tail::decode(range)?;
    Ok((
        Index::decode(tail.index)?,
        Signature::decode(tail.signature)?,
    ))
}
