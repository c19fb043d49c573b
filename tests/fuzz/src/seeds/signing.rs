//! The key that mended and seed megabinaries are signed with: made of a fixed seed, so that a
//! finding can be run again, and worth nothing.

use std::sync::OnceLock;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use blake2::{Blake2b256, Digest as _};
use ed25519_compact::{KeyPair, Seed};
use megabinary_linker::Keys;

/// The test key.
pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let pair = KeyPair::from_seed(Seed::new([7; 32]));
        // minisign's secret key without a password: algorithm, no key derivation, checksum's
        // algorithm, salt and limits of zeros, key id, key, checksum over the three.
        let mut signed = b"Ed".to_vec();
        signed.extend_from_slice(b"fuzzing!");
        signed.extend_from_slice(pair.sk.as_ref());
        let mut raw = b"Ed\0\0B2".to_vec();
        raw.extend_from_slice(&[0; 48]);
        raw.extend_from_slice(&signed[2..]);
        raw.extend_from_slice(&Blake2b256::digest(&signed));
        let text = format!(
            "untrusted comment: test key, worthless\n{}\n",
            BASE64_STANDARD.encode(raw)
        );
        Keys::parse(&text, || None).expect("the test key is malformed")
    })
}
