//! One line of JSON, built within a fixed budget.
//!
//! For the flat objects of audit events; not a general serialiser. Invariant: the result is one
//! valid JSON object (RFC 8259) in valid UTF-8, ends in a line feed, has no other control
//! character, and is at most [`MAX_LINE`] bytes. What does not fit is cut, and a member beside it
//! says how much there was; bytes that are not UTF-8 appear as U+FFFD, and a `_hex` member beside
//! them has the exact bytes.

use super::MAX_LINE;

/// Most bytes of one escaped string: leaves room for the other members of an event.
const MAX_STRING: usize = 1024;
/// Most original bytes shown in a `_hex` member.
const MAX_HEX: usize = 256;
/// Kept free while a list is written, for its end and the members that describe it.
const RESERVE: usize = 64;

/// A line under construction. Members appear in the order of the calls; keys are plain ASCII.
pub(super) struct Line {
    out: String,
}

impl Line {
    /// An empty object.
    pub(super) fn begin() -> Line {
        let mut out = String::with_capacity(512);
        out.push('{');
        Line { out }
    }

    /// The finished line.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.out.push_str("}\n");
        self.out.into_bytes()
    }

    /// An unsigned integer.
    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.raw(key, &value.to_string());
    }

    /// A signed integer.
    pub(super) fn signed(&mut self, key: &str, value: i64) {
        self.raw(key, &value.to_string());
    }

    /// A string.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.bytes(key, value.as_bytes());
    }

    /// A string of arbitrary bytes; cut, with a member `KEY_bytes`, if it is long.
    pub(super) fn bytes(&mut self, key: &str, value: &[u8]) {
        let (escaped, whole) = escape(value, MAX_STRING);
        self.raw(key, &escaped);
        if !whole {
            self.number(&format!("{key}_bytes"), value.len() as u64);
        }
        if std::str::from_utf8(value).is_err() {
            let shown = value.get(..MAX_HEX).unwrap_or(value);
            let hex: String = shown.iter().map(|b| format!("{b:02x}")).collect();
            self.raw(&format!("{key}_hex"), &format!("\"{hex}\""));
        }
    }

    /// An array of strings, last member of a line: as many as fit; if not all do, a member
    /// `KEY_count` tells how many there are. An element that is not UTF-8 is shown with U+FFFD.
    pub(super) fn list(&mut self, key: &str, values: &[Vec<u8>]) {
        if !self.raw(key, "[") {
            return;
        }
        let mut complete = true;
        for (i, value) in values.iter().enumerate() {
            let (escaped, whole) = escape(value, MAX_STRING);
            if self.out.len() + escaped.len() + 1 > MAX_LINE - RESERVE {
                complete = false;
                break;
            }
            complete &= whole;
            if i > 0 {
                self.out.push(',');
            }
            self.out.push_str(&escaped);
        }
        self.out.push(']');
        if !complete {
            self.number(&format!("{key}_count"), values.len() as u64);
        }
    }

    /// Adds a member if it fits. An event has few members and each is bounded, so the refusal is
    /// a safety net only.
    fn raw(&mut self, key: &str, value: &str) -> bool {
        if self.out.len() + key.len() + value.len() + 4 > MAX_LINE - 2 {
            return false;
        }
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out.push_str(value);
        true
    }
}

/// `value` as a JSON string in quotes, and whether all of it fitted into `max` bytes.
fn escape(value: &[u8], max: usize) -> (String, bool) {
    let mut out = String::from("\"");
    let mut whole = true;
    'all: for chunk in value.utf8_chunks() {
        let replaced = (!chunk.invalid().is_empty()).then_some('\u{fffd}');
        for c in chunk.valid().chars().chain(replaced) {
            let before = out.len();
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                // C0, DEL and C1: JSON demands the first, a terminal that shows the line the rest.
                c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
            if out.len() + 1 > max {
                out.truncate(before);
                whole = false;
                break 'all;
            }
        }
    }
    out.push('"');
    (out, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &[u8], expected: &str) {
        assert_eq!(escape(value, MAX_STRING), (expected.to_string(), true));
    }

    #[test]
    fn escaping() {
        check(b"", r#""""#);
        check(b"a/b c", r#""a/b c""#);
        check(b"\"\\\n\r\t", r#""\"\\\n\r\t""#);
        check(b"\0\x1b\x7f", r#""\u0000\u001b\u007f""#);
        check("\u{85}".as_bytes(), r#""\u0085""#);
        check("é€𝄞".as_bytes(), "\"é€𝄞\"");
        check(b"\xff", "\"\u{fffd}\"");
        check(b"a\xc3(", "\"a\u{fffd}(\"");
        check(b"\xf0\x9d\x84", "\"\u{fffd}\"");
    }

    #[test]
    fn cutting_keeps_characters_and_escapes_whole() {
        assert_eq!(
            escape(b"\x01\x01\x01", 15),
            (r#""\u0001\u0001""#.into(), false)
        );
        assert_eq!(escape("ééé".as_bytes(), 7), ("\"éé\"".into(), false));
    }

    #[test]
    fn a_line_never_exceeds_its_budget() {
        for size in [0, 1, 100, 1000, 5000] {
            let mut line = Line::begin();
            for key in ["a", "b", "c", "d", "e", "f"] {
                line.bytes(key, &vec![0xff; size]);
            }
            line.list("z", &vec![vec![b'"'; size]; 50]);
            let bytes = line.end();
            assert!(bytes.len() <= MAX_LINE, "{} for {size}", bytes.len());
            assert!(std::str::from_utf8(&bytes).unwrap().ends_with("}\n"));
        }
    }
}
