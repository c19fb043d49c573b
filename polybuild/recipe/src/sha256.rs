//! SHA-256 digests of inputs, as recipes and lock files write them.
//!
//! Two text forms are read: `sha256:` and 64 lower-case hexadecimal digits, which is also the one
//! written, and the bare digits, because that is what `sha256sum(1)` prints.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Sha256Error {
    /// Not as many digits as a SHA-256 digest has.
    #[error("a SHA-256 digest has 64 hexadecimal digits, this has {0}")]
    Length(usize),
    /// Something else than the digits of a lower-case hexadecimal number.
    #[error("a SHA-256 digest consists of the digits 0-9 and a-f, this has `{0}`")]
    Digit(char),
}

impl Sha256 {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Sha256 {
        Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits alone, as file names use them.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Sha256, Sha256Error> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        if let Some(c) = digits.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(Sha256Error::Digit(c));
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| Sha256Error::Length(digits.len()))?;
        Ok(Sha256(bytes))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_one_is_written() {
        let d = Sha256::of(b"");
        assert_eq!(d.to_string().parse(), Ok(d));
        assert_eq!(d.hex().parse(), Ok(d));
        assert!(d.to_string().starts_with("sha256:e3b0c442"));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!("".parse::<Sha256>(), Err(Sha256Error::Length(0)));
        assert_eq!("sha256:00".parse::<Sha256>(), Err(Sha256Error::Length(2)));
        assert_eq!(
            "0".repeat(65).parse::<Sha256>(),
            Err(Sha256Error::Length(65))
        );
        assert_eq!(
            "A".repeat(64).parse::<Sha256>(),
            Err(Sha256Error::Digit('A'))
        );
        assert_eq!("sha512:00".parse::<Sha256>(), Err(Sha256Error::Digit('s')));
    }
}
