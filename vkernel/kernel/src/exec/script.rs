//! The first line of a script, exactly as Linux reads it (`load_script`, `fs/binfmt_script.c`;
//! `execve(2)`, "Interpreter scripts").
//!
//! The host kernel looks at 256 bytes, padded with zeroes if the file is shorter. The rules below
//! keep its corner cases: an interpreter path that may be cut off is refused, cut-off arguments
//! are not, a zero byte ends a word, and everything after the interpreter is one argument.

use super::ExecRequest;

/// Bytes of a file that are looked at (BINPRM_BUF_SIZE).
pub(super) const MAX_LINE: usize = 256;

/// A `#!` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Path of the interpreter, relative to the working directory unless absolute.
    pub(super) interpreter: Vec<u8>,
    /// The rest of the line, if there is any.
    pub(super) argument: Option<Vec<u8>>,
}

/// What the first bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// No `#!`.
    NoScript,
    /// `#!` without a usable interpreter (ENOEXEC).
    Malformed,
    /// A script.
    Line(Line),
}

/// Reads the first bytes of a file; total. Only the first [`MAX_LINE`] matter.
pub(super) fn parse(head: &[u8]) -> Parsed {
    if !head.starts_with(b"#!") {
        return Parsed::NoScript;
    }
    let mut buffer = [0; MAX_LINE];
    for (to, from) in buffer.iter_mut().zip(head) {
        *to = *from;
    }
    let text = &buffer[2..];
    let line = match text.iter().position(|b| *b == b'\n') {
        Some(end) => trim_end(&text[..end]),
        None => {
            // Without a line end the path must be ended by something else within the buffer.
            let after_blanks = trim_start(text);
            if !after_blanks.iter().any(|b| is_blank(*b) || *b == 0) {
                return Parsed::Malformed;
            }
            trim_end(&text[..text.len() - 1])
        }
    };
    let line = trim_start(line);
    let end = line.iter().position(|b| is_blank(*b) || *b == 0);
    let (interpreter, argument) = match end {
        None => (line, None),
        Some(end) if line.get(end) == Some(&0) => (&line[..end], None),
        Some(end) => {
            let rest = trim_start(&line[end..]);
            let word = rest.split(|b| *b == 0).next().unwrap_or_default();
            (&line[..end], (!rest.is_empty()).then(|| word.to_vec()))
        }
    };
    if interpreter.is_empty() {
        return Parsed::Malformed;
    }
    Parsed::Line(Line {
        interpreter: interpreter.to_vec(),
        argument,
    })
}

impl Line {
    /// Turns the request for the script into one for its interpreter: `argv[0]` gives way to the
    /// interpreter's path, the argument and the script's path.
    pub(super) fn apply(self, request: &mut ExecRequest) {
        let script = std::mem::replace(&mut request.path, self.interpreter.clone());
        let front = [Some(self.interpreter), self.argument, Some(script)];
        let first = request.argv.len().min(1);
        request.argv.splice(..first, front.into_iter().flatten());
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !is_blank(*b));
    start.map_or(&[], |start| &text[start..])
}

fn trim_end(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|b| !is_blank(*b));
    last.map_or(&[], |last| &text[..=last])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], expected: Option<(&str, Option<&str>)>) {
        let expected = match expected {
            None => Parsed::Malformed,
            Some((interpreter, argument)) => Parsed::Line(Line {
                interpreter: interpreter.into(),
                argument: argument.map(Into::into),
            }),
        };
        assert_eq!(parse(head), expected, "{}", head.escape_ascii());
    }

    // `tests/host_exec/native.rs` compares many more lines with the host kernel's own reading.
    #[test]
    fn lines() {
        check(b"#!/bin/sh\n", Some(("/bin/sh", None)));
        check(b"#! \t /bin/sh \t\n", Some(("/bin/sh", None)));
        check(
            b"#!/bin/sh -e -u x \nrest",
            Some(("/bin/sh", Some("-e -u x"))),
        );
        check(b"#!bin/sh\r\n", Some(("bin/sh\r", None)));
        check(b"#!/bin/sh", Some(("/bin/sh", None)));
        check(b"#!/bin/sh\0-x\n", Some(("/bin/sh", None)));
        check(b"#!/bin/sh a\0b\n", Some(("/bin/sh", Some("a"))));
        check(b"#!\n", None);
        check(b"#!", None);
        check(b"#!  \t \n", None);
        assert_eq!(parse(b""), Parsed::NoScript);
        assert_eq!(parse(b"#"), Parsed::NoScript);
        assert_eq!(parse(b" #!/bin/sh\n"), Parsed::NoScript);
    }

    #[test]
    fn long_lines() {
        let long = |n: usize| [b"#!/".as_slice(), &vec![b'x'; n], b"\n"].concat();
        check(&long(252), Some((&format!("/{}", "x".repeat(252)), None)));
        check(&long(253), None);
        check(&long(5000), None);
        let argument = [b"#!/i ".as_slice(), &vec![b'a'; 300], b"\n"].concat();
        check(&argument, Some(("/i", Some(&"a".repeat(250)))));
    }

    #[test]
    fn never_panics() {
        for length in 0..300 {
            for fill in [b' ', b'\0', b'\n', b'x', b'\t'] {
                parse(&[b"#!".as_slice(), &vec![fill; length]].concat());
            }
        }
    }
}
