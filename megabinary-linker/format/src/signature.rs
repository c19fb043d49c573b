//! The signature over an index: minisign's, stored as binary fields.
//!
//! Minisign's text form has parts that no signature covers (the untrusted comment, base64
//! padding, line ends). Here only what is verified is stored, so a flip of any bit is noticed.
//! Only the prehashed kind is accepted (`ED`: Ed25519 over BLAKE2b-512), as minisign itself
//! writes since 0.10; see minisign(1) and its "Signature format".
//!
//! What a valid signature does *not* say is whether the key is one to trust: a file can carry
//! any key. [`Signature::verify_by`] asks for that.

use std::fmt;

use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Verifier as _, VerifyingKey};

use crate::{FormatError, base64, cursor::Cursor};

const WHAT: &str = "signature";
const MAGIC: &[u8; 8] = b"VKMBSIG\0";
const MAJOR: u16 = 1;
const FIXED: usize = 16 + 42 + 74 + 64;

/// Longest trusted comment in bytes.
pub const COMMENT_MAX: usize = 1024;

/// A minisign public key: algorithm (`Ed`), key id (8 bytes), Ed25519 public key (32 bytes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 42]);

/// Why a text or bytes are not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a minisign public key: {0}; expected the text of a .pub file or its second line, 56 \
     characters starting with `RW`"
)]
pub struct PublicKeyError(pub(crate) &'static str);

impl PublicKey {
    /// From the 42 bytes that minisign stores in base64.
    pub fn from_bytes(bytes: [u8; 42]) -> Result<PublicKey, PublicKeyError> {
        // Exactly `Ed`: minisign-verify also takes `ED` here, which would leave a bit uncovered.
        if !bytes.starts_with(b"Ed") {
            return Err(PublicKeyError("the algorithm is not Ed25519"));
        }
        Ok(PublicKey(bytes))
    }

    /// From the text of a `.pub` file (two lines), or its base64 line alone.
    pub fn parse(text: &str) -> Result<PublicKey, PublicKeyError> {
        let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
        let mut line = lines.next().ok_or(PublicKeyError("it is empty"))?;
        if line.starts_with("untrusted comment:") {
            line = lines
                .next()
                .ok_or(PublicKeyError("the key's line is missing"))?;
        }
        if lines.next().is_some() {
            return Err(PublicKeyError("there are lines after the key"));
        }
        let bytes = base64::decode(line).ok_or(PublicKeyError("it is not base64"))?;
        let bytes = bytes
            .try_into()
            .map_err(|_| PublicKeyError("it has another length"))?;
        PublicKey::from_bytes(bytes)
    }

    /// The 42 bytes.
    pub fn as_bytes(&self) -> &[u8; 42] {
        &self.0
    }

    /// The key's id, as minisign prints it.
    pub fn key_id(&self) -> KeyId {
        let [_, _, id @ ..] = self.0;
        KeyId(id.first_chunk().map_or(0, |id| u64::from_le_bytes(*id)))
    }

    /// The text of a `.pub` file.
    pub fn to_text(&self) -> String {
        format!(
            "untrusted comment: minisign public key {}\n{self}\n",
            self.key_id()
        )
    }
}

/// The base64 line.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A key's id: random, for people and for finding keys; not a proof of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// A signature with the key that it claims to be made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key.
    pub public_key: PublicKey,
    /// Algorithm (`ED`), key id, Ed25519 signature over the BLAKE2b-512 of the index.
    pub signature: [u8; 74],
    /// Ed25519 signature over the last 64 bytes of `signature` and the trusted comment.
    pub global_signature: [u8; 64],
    /// Says what was signed, for people; covered by `global_signature`. One line, no control
    /// characters, at most [`COMMENT_MAX`] bytes.
    pub trusted_comment: String,
}

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature was made by another key than the one stored with it.
    #[error("the signature names key {signature} but comes with key {key}")]
    KeyId {
        /// Id in the signature.
        signature: KeyId,
        /// Id of the key stored beside it.
        key: KeyId,
    },
    /// Not a prehashed Ed25519 signature.
    #[error("the signature is of another kind than minisign's prehashed Ed25519 (`ED`)")]
    Algorithm,
    /// It does not fit the index or the trusted comment.
    #[error(
        "the signature of key {0} does not fit: the index, the trusted comment or the signature \
         was altered"
    )]
    Invalid(KeyId),
    /// Valid, but by a key that is not among the expected ones.
    #[error("signed by key {found}, which is not trusted here (trusted: {trusted})")]
    Untrusted {
        /// The signer.
        found: KeyId,
        /// Ids of the trusted keys, for people.
        trusted: String,
    },
}

impl Signature {
    /// Length of the encoding of a signature with such a trusted comment.
    pub fn encoded_len(trusted_comment: &str) -> usize {
        FIXED + trusted_comment.len()
    }

    /// The one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Signature::encoded_len(&self.trusted_comment));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&0u16.to_le_bytes());
        let comment = u32::try_from(self.trusted_comment.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&comment.to_le_bytes());
        out.extend_from_slice(&self.public_key.0);
        out.extend_from_slice(&self.signature);
        out.extend_from_slice(&self.global_signature);
        out.extend_from_slice(self.trusted_comment.as_bytes());
        out
    }

    /// Reads a signature; total. Does not verify it.
    pub fn decode(bytes: &[u8]) -> Result<Signature, FormatError> {
        let mut c = Cursor::new(WHAT, bytes);
        c.magic_version(MAGIC, (MAJOR, 0), "1.0")?;
        let comment_len = c.u32()?;
        let public_key = PublicKey::from_bytes(c.array()?)
            .map_err(|_| c.inconsistent("its key is not an Ed25519 key"))?;
        let (signature, global_signature) = (c.array()?, c.array()?);
        if comment_len as usize > COMMENT_MAX {
            return Err(c.unknown("length of the trusted comment", u64::from(comment_len)));
        }
        let comment = std::str::from_utf8(c.take(u64::from(comment_len))?)
            .map_err(|_| FormatError::Text { what: WHAT })?;
        if comment.chars().any(char::is_control) {
            return Err(c.inconsistent("its trusted comment has control characters"));
        }
        let trusted_comment = comment.to_owned();
        c.finish()?;
        Ok(Signature {
            public_key,
            signature,
            global_signature,
            trusted_comment,
        })
    }

    /// Id of the key that it claims to be made with.
    pub fn key_id(&self) -> KeyId {
        self.public_key.key_id()
    }

    /// Whether it is a valid signature over `index`, with its trusted comment, by its own key:
    /// all that `minisign -V` checks.
    pub fn verify(&self, index: &[u8]) -> Result<(), SignatureError> {
        self.verify_index(index)?;
        let [_, _, _, _, _, _, _, _, _, _, signature @ ..] = &self.signature;
        let signed = [signature, self.trusted_comment.as_bytes()].concat();
        self.check(&signed, &self.global_signature)
    }

    /// Whether the index is signed by the key that comes with it. Leaves out the trusted comment,
    /// which says nothing that a launch depends on and would cost a second verification.
    pub fn verify_index(&self, index: &[u8]) -> Result<(), SignatureError> {
        if !self.signature.starts_with(b"ED") {
            return Err(SignatureError::Algorithm);
        }
        let [_, _, id @ ..] = self.signature;
        let signature = KeyId(id.first_chunk().map_or(0, |id| u64::from_le_bytes(*id)));
        if signature != self.key_id() {
            return Err(SignatureError::KeyId {
                signature,
                key: self.key_id(),
            });
        }
        let bytes = self.signature.last_chunk().unwrap_or(&[0; 64]);
        self.check(&Blake2b512::digest(index), bytes)
    }

    /// As `VerifyingKey::verify_strict`, without decompressing R, which costs a square root in the
    /// field: `verify` computes R anew and compares encodings, so that an R of small order is one
    /// of few byte strings.
    fn check(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
        let invalid = || SignatureError::Invalid(self.key_id());
        let key = self.public_key.0.last_chunk().unwrap_or(&[0; 32]);
        let key = VerifyingKey::from_bytes(key).map_err(|_| invalid())?;
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        if key.is_weak() || is_small_order(signature.r_bytes()) {
            return Err(invalid());
        }
        key.verify(message, &signature).map_err(|_| invalid())
    }

    /// Whether it is a valid signature over `index` by one of `trusted`.
    pub fn verify_by(&self, index: &[u8], trusted: &[PublicKey]) -> Result<(), SignatureError> {
        self.verify(index)?;
        if trusted.contains(&self.public_key) {
            return Ok(());
        }
        let mut names: Vec<_> = trusted.iter().map(|k| k.key_id().to_string()).collect();
        if names.is_empty() {
            names.push("none".into());
        }
        Err(SignatureError::Untrusted {
            found: self.key_id(),
            trusted: names.join(", "),
        })
    }

    /// The text that `minisign -V` reads, for a signature file beside the index's bytes.
    pub fn to_text(&self) -> String {
        format!(
            "untrusted comment: signature by key {}\n{}\ntrusted comment: {}\n{}\n",
            self.key_id(),
            base64::encode(&self.signature),
            self.trusted_comment,
            base64::encode(&self.global_signature),
        )
    }
}

/// The canonical encodings of the eight points of small order, without the sign of x: the orders
/// are 4, 1, 2, 8, 8 (RFC 8032, section 5.1, gives curve and encoding).
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether `point` is the canonical encoding of a point of small order.
fn is_small_order(point: &[u8; 32]) -> bool {
    let mut y = *point;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.contains(&y)
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Signature({}, {:?})",
            self.key_id(),
            self.trusted_comment
        )
    }
}
