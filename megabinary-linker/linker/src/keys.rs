//! Signing keys: minisign's, in minisign's own text files, signing reproducibly.
//!
//! Signatures are valid minisign signatures, but made here: minisign mixes randomness into each
//! (and a time into its comment), and the same image must be the same bytes. Ed25519 as RFC 8032
//! defines it is deterministic.
//!
//! Who decides where keys lie, and asks for passwords, is the caller.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use blake2::{Blake2b512, Digest as _};
use megabinary_format::{COMMENT_MAX, PublicKey, Signature};

/// A key pair that can sign.
pub struct Keys {
    public: PublicKey,
    secret: ed25519_compact::SecretKey,
    /// Kept for [`Keys::secret_text`]: the key as minisign stores it, without a password.
    boxed: String,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a minisign secret key file.
    #[error(
        "not a minisign secret key ({0}); expected the two lines of a .key file as `polybuild \
         keygen` or `minisign -G` writes them"
    )]
    Malformed(String),
    /// Protected, and no password was given.
    #[error("the secret key is protected by a password, and none was given")]
    NeedsPassword,
    /// Wrong password.
    #[error("the password does not open the secret key")]
    WrongPassword,
    /// The host gave no randomness.
    #[error("cannot make a key: {0}")]
    Generate(String),
}

impl Keys {
    /// Makes a new key pair from the host's randomness.
    pub fn generate() -> Result<Keys, KeyError> {
        let generated = |e: minisign::PError| KeyError::Generate(e.to_string());
        let pair = minisign::KeyPair::generate_unencrypted_keypair().map_err(generated)?;
        Keys::from_minisign(pair.sk)
    }

    /// Reads the text of a secret key file. `password` is called only when the key has one; it
    /// gives `None` to give up.
    pub fn parse(text: &str, password: impl FnOnce() -> Option<String>) -> Result<Keys, KeyError> {
        let line = text
            .lines()
            .nth(1)
            .ok_or_else(|| malformed("it has no second line"))?;
        let raw = BASE64_STANDARD
            .decode(line.trim())
            .map_err(|e| malformed(&format!("its second line is not base64: {e}")))?;
        // Algorithm `Ed`, then the key derivation's: zeros for none, `Sc` for scrypt.
        let kdf = match raw.get(..4) {
            Some([b'E', b'd', kdf @ ..]) => kdf,
            _ => return Err(malformed("its algorithm is not Ed25519")),
        };
        let boxed =
            minisign::SecretKeyBox::from_string(text).map_err(|e| malformed(&e.to_string()))?;
        let secret = if kdf == [0, 0] {
            boxed
                .into_unencrypted_secret_key()
                .map_err(|e| malformed(&e.to_string()))?
        } else {
            let password = password().ok_or(KeyError::NeedsPassword)?;
            boxed
                .into_secret_key(Some(password))
                .map_err(|_| KeyError::WrongPassword)?
        };
        Keys::from_minisign(secret)
    }

    fn from_minisign(secret: minisign::SecretKey) -> Result<Keys, KeyError> {
        // sig_alg 2, kdf_alg 2, chk_alg 2, salt 32, limits 16, key id 8, key 64, checksum 32.
        let raw = secret.to_bytes();
        let key = raw
            .get(62..126)
            .and_then(|k| ed25519_compact::SecretKey::from_slice(k).ok());
        let key = key.ok_or_else(|| malformed("it has another length"))?;
        let public = minisign::PublicKey::from_secret_key(&secret)
            .map_err(|e| malformed(&e.to_string()))?
            .to_bytes();
        let public = public
            .try_into()
            .map_err(|_| malformed("its public key is malformed"))?;
        let public = PublicKey::from_bytes(public).map_err(|e| malformed(&e.to_string()))?;
        // The half that minisign stores as the public key must belong to the seed.
        if key.public_key().as_ref() != public.as_bytes().get(10..).unwrap_or_default()
            || ed25519_compact::KeyPair::from_seed(key.seed()).sk != key
        {
            return Err(malformed("its two halves do not belong together"));
        }
        let comment = format!("minisign secret key {}", public.key_id());
        let boxed = secret
            .to_box(Some(&comment))
            .map_err(|e| malformed(&e.to_string()))?
            .into_string();
        Ok(Keys {
            public,
            secret: key,
            boxed,
        })
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Text of an unprotected secret key file, which `minisign -S` reads too. Only for
    /// development keys; whoever writes it gives it mode 0600.
    ///
    /// For a key that was read with a password the text is still the protected form's header with
    /// the opened key, so it is not offered: see [`Keys::is_protected`].
    pub fn secret_text(&self) -> Option<&str> {
        (!self.is_protected()).then_some(&self.boxed)
    }

    /// Whether the key came from a file protected by a password.
    pub fn is_protected(&self) -> bool {
        let kdf = self
            .boxed
            .lines()
            .nth(1)
            .and_then(|l| BASE64_STANDARD.decode(l).ok());
        kdf.is_some_and(|raw| raw.get(2..4) != Some(&[0, 0]))
    }

    /// Signs an index. Control characters in the comment become spaces; it is cut to
    /// [`COMMENT_MAX`] bytes.
    pub fn sign(&self, index: &[u8], trusted_comment: &str) -> Signature {
        let trusted_comment = clean_comment(trusted_comment);
        let hash = Blake2b512::digest(index);
        let raw = self.secret.sign(hash, None);
        let mut covered = raw.as_ref().to_vec();
        covered.extend_from_slice(trusted_comment.as_bytes());
        let global = self.secret.sign(covered, None);
        let mut signature = [0; 74];
        let id = self.public.as_bytes().get(2..10).unwrap_or_default();
        for (to, from) in signature
            .iter_mut()
            .zip(b"ED".iter().chain(id).chain(raw.as_ref()))
        {
            *to = *from;
        }
        Signature {
            public_key: self.public,
            signature,
            global_signature: *global,
            trusted_comment,
        }
    }
}

/// The comment as [`Keys::sign`] stores it.
pub(crate) fn clean_comment(comment: &str) -> String {
    let mut out = String::new();
    for c in comment
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
    {
        if out.len() + c.len_utf8() > COMMENT_MAX {
            break;
        }
        out.push(c);
    }
    out
}

/// Only the key's id: a secret never reaches a log.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.public.key_id())
    }
}

fn malformed(problem: &str) -> KeyError {
    KeyError::Malformed(problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_reproducibly_and_minisign_agrees() {
        let keys = Keys::generate().unwrap();
        let again = Keys::parse(keys.secret_text().unwrap(), || None).unwrap();
        let signature = keys.sign(b"index", "image x");
        assert_eq!(signature, again.sign(b"index", "image x"));
        assert_eq!(signature.verify(b"index"), Ok(()));
        assert!(signature.verify(b"indey").is_err());
        // The independent verifier of the minisign crate reads our texts.
        let key = minisign::PublicKeyBox::from_string(&keys.public_key().to_text())
            .and_then(minisign::PublicKeyBox::into_public_key)
            .unwrap();
        let text = minisign::SignatureBox::from_string(&signature.to_text()).unwrap();
        minisign::verify(
            &key,
            &text,
            std::io::Cursor::new(b"index"),
            true,
            false,
            false,
        )
        .unwrap();
    }

    #[test]
    fn our_verifier_takes_minisigns_own_signature() {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let text = minisign::sign(Some(&pair.pk), &pair.sk, &b"data"[..], Some("c"), None).unwrap();
        let lines: Vec<String> = text.to_string().lines().map(ToOwned::to_owned).collect();
        let bytes = |line: &str| BASE64_STANDARD.decode(line).unwrap();
        let signature = Signature {
            public_key: PublicKey::parse(&pair.pk.to_base64()).unwrap(),
            signature: bytes(&lines[1]).try_into().unwrap(),
            global_signature: bytes(&lines[3]).try_into().unwrap(),
            trusted_comment: "c".into(),
        };
        assert_eq!(signature.verify(b"data"), Ok(()));
    }

    #[test]
    fn bad_key_files() {
        let check = |text: &str, expected: &str| {
            let message = Keys::parse(text, || None).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("", "no second line");
        check("comment\n!!", "not base64");
        check("comment\nAAAA", "not Ed25519");
        check("comment\nRWQAAAAA", "not a minisign secret key");
        let good = Keys::generate().unwrap();
        let text = good.secret_text().unwrap();
        let mut raw = BASE64_STANDARD
            .decode(text.lines().nth(1).unwrap())
            .unwrap();
        raw[70] ^= 1;
        check(
            &format!("c\n{}", BASE64_STANDARD.encode(&raw)),
            "not a minisign secret key",
        );
        raw[2..4].copy_from_slice(b"Sc");
        check(
            &format!("c\n{}", BASE64_STANDARD.encode(&raw)),
            "protected by a password",
        );
    }

    #[test]
    fn comments_cannot_break_the_text_form() {
        let keys = Keys::generate().unwrap();
        let signature = keys.sign(b"", &format!("a\nb\r{}", "é".repeat(COMMENT_MAX)));
        assert!(signature.trusted_comment.starts_with("a b é"));
        assert_eq!(
            Signature::decode(&signature.encode()).as_ref(),
            Ok(&signature)
        );
        assert_eq!(signature.verify(b""), Ok(()));
    }
}
