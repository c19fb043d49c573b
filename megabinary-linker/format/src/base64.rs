//! Base64 (RFC 4648, section 4, with padding): minisign's text files use it.
//!
//! Decoding is strict: exactly one text for each value, no white space.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = (word >> (18 - 6 * i) & 63) as usize;
            let pad = i > chunk.len();
            out.push(if pad {
                '='
            } else {
                char::from(ALPHABET[digit])
            });
        }
    }
    out
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.as_bytes().chunks(4) {
        let padding = chunk.iter().rev().take_while(|b| **b == b'=').count();
        let mut word = 0;
        for byte in chunk.get(..4 - padding)? {
            word = word << 6 | ALPHABET.iter().position(|a| a == byte)? as u32;
        }
        word <<= 6 * padding;
        let [_, bytes @ ..] = word.to_be_bytes();
        out.extend_from_slice(bytes.get(..3usize.checked_sub(padding)?)?);
    }
    // Strictness (padding only at the end, unused bits zero) by writing it again.
    (encode(&out) == text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_examples() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "Z", "Zg", "Zg=", "Zh==", "Zg==Zg==", "Zg==\n", "====", "Z===", "Zm9é", "Zm 9",
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
