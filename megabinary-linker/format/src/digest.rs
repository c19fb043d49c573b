//! SHA-256 digests: the names of inputs, files, modules, segments and routes. The workspace has no
//! other type for them.

use std::{fmt, str::FromStr};

use sha2::Digest as _;

/// A SHA-256 digest. Its text form is `sha256:` and 64 lower-case hexadecimal digits, as in the
/// OCI image specification's descriptors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No `sha256:` in front.
    #[error("a digest starts with `sha256:`, found `{0}`")]
    Algorithm(String),
    /// Not as many digits as a SHA-256 digest has.
    #[error("a SHA-256 digest has 64 hexadecimal digits, this has {0}")]
    Length(usize),
    /// Something else than the digits of a lower-case hexadecimal number.
    #[error("a SHA-256 digest consists of the digits 0-9 and a-f, this has `{0}`")]
    Digit(char),
}

impl Digest {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(sha2::Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits without the algorithm, as file names use them.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads the 64 hexadecimal digits without the algorithm, as `sha256sum(1)` prints them.
    pub fn from_hex(digits: &str) -> Result<Digest, DigestError> {
        if let Some(c) = digits.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(DigestError::Digit(c));
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestError::Length(digits.len()))?;
        Ok(Digest(bytes))
    }

    /// Reads either form, for what people write: recipes, lock files.
    pub fn from_either(text: &str) -> Result<Digest, DigestError> {
        Digest::from_hex(text.strip_prefix(PREFIX).unwrap_or(text))
    }
}

const PREFIX: &str = "sha256:";

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let digits = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| DigestError::Algorithm(text.into()))?;
        Digest::from_hex(digits)
    }
}

/// Written as text, read in either form.
#[cfg(feature = "serde")]
mod with_serde {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::Digest;

    impl Serialize for Digest {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Digest {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
            let text = String::deserialize(deserializer)?;
            Digest::from_either(&text).map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let d = Digest::of(b"");
        assert_eq!(
            d.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(d.to_string().parse::<Digest>().unwrap(), d);
    }

    #[test]
    fn refuses_what_is_not_a_digest() {
        for bad in [
            "",
            "sha256:",
            "sha512:00",
            "sha256:00",
            &format!("sha256:{}", "A".repeat(64)),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_people_write_may_be_the_bare_digits() {
        let d = Digest::of(b"");
        assert_eq!(Digest::from_either(&d.to_string()), Ok(d));
        assert_eq!(Digest::from_either(&d.hex()), Ok(d));
        assert!(d.hex().parse::<Digest>().is_err());
        for (bad, why) in [
            ("", DigestError::Length(0)),
            ("sha256:00", DigestError::Length(2)),
            (&"0".repeat(65), DigestError::Length(65)),
            (&"A".repeat(64), DigestError::Digit('A')),
            ("sha512:00", DigestError::Digit('s')),
        ] {
            assert_eq!(Digest::from_either(bad), Err(why), "{bad}");
        }
    }
}
