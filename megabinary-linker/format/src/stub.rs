//! The stub: the small file at each program's path, whose digest is the key of its route.
//!
//! One line and nothing else, so that equal entries have equal stubs:
//!
//! ```text
//! #!/.vkernel/megabinary sha256:<64 hex digits of the entry's digest>\n
//! ```
//!
//! The host kernel reads it as a script and runs the megabinary with the digest, the stub's path
//! and the arguments (`execve(2)`, "Interpreter scripts"). The line fits in the kernel's 256-byte
//! buffer (`BINPRM_BUF_SIZE`).

use vkernel_abi::MEGABINARY_PATH;

use crate::Digest;

/// Length in bytes of every stub.
pub const LEN: usize = 2 + MEGABINARY_PATH.len() + 1 + 7 + 64 + 1;

/// Why a text is not a stub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StubError {
    /// Wrong length, prefix or line end.
    #[error("not a vkernel stub: {0}")]
    Shape(&'static str),
    /// The digest in it is malformed.
    #[error("not a vkernel stub: {0}")]
    Digest(#[from] crate::DigestError),
}

/// The stub of the entry with this digest.
pub fn text(entry: &Digest) -> String {
    format!("#!{MEGABINARY_PATH} {entry}\n")
}

/// Reads a stub; total.
pub fn parse(bytes: &[u8]) -> Result<Digest, StubError> {
    if bytes.len() != LEN {
        return Err(StubError::Shape("wrong length"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| StubError::Shape("not text"))?;
    let digest = text
        .strip_prefix("#!")
        .and_then(|t| t.strip_prefix(MEGABINARY_PATH))
        .and_then(|t| t.strip_prefix(' '))
        .ok_or(StubError::Shape("another interpreter"))?
        .strip_suffix('\n')
        .ok_or(StubError::Shape("no line end"))?;
    Ok(digest.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let d = Digest::of(b"entry");
        let t = text(&d);
        assert_eq!(t.len(), LEN);
        assert!(t.len() < 256, "must fit in the host kernel's script line");
        assert_eq!(parse(t.as_bytes()), Ok(d));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = text(&Digest::of(b"entry"));
        for i in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[i] ^= 0x80;
            assert!(parse(&bad).is_err(), "flipped byte {i}");
        }
        assert!(parse(b"").is_err());
        assert!(parse(&good.as_bytes()[..good.len() - 1]).is_err());
        assert!(parse(format!("{good} ").as_bytes()).is_err());
    }
}
