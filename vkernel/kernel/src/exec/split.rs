//! Splitting the string of `env -S` into words, as GNU coreutils does (coreutils manual,
//! "-S/--split-string syntax").

/// Why a string cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A quote without its partner.
    #[error("no closing quote")]
    Quote,
    /// A backslash at the end.
    #[error("a backslash at the end")]
    TrailingBackslash,
    /// `\c` inside double quotes.
    #[error("`\\c` must not appear inside double quotes")]
    StopInQuotes,
    /// A backslash before another character than those with a meaning.
    #[error("unknown escape `\\{}`", .0.escape_ascii())]
    Escape(u8),
    /// `$` not followed by `{NAME}`.
    #[error("only ${{NAME}} is expanded; found another use of `$`")]
    Variable,
}

/// Splits `string`; `variable` gives the values of variables, an unset one being empty.
pub(super) fn words<'v>(
    string: &[u8],
    variable: impl Fn(&[u8]) -> Option<&'v [u8]>,
) -> Result<Vec<Vec<u8>>, SplitError> {
    let mut words = Vec::new();
    // The word being read; `None` between words.
    let mut word: Option<Vec<u8>> = None;
    let mut quote: Option<u8> = None;
    let mut bytes = string;
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        let push = |word: &mut Option<Vec<u8>>, byte: u8| word.get_or_insert_default().push(byte);
        match (*byte, quote) {
            (b'\'' | b'"', None) => {
                quote = Some(*byte);
                word.get_or_insert_default();
            }
            (q, Some(open)) if q == open => quote = None,
            (b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r', None) => words.extend(word.take()),
            (b'#', None) if word.is_none() => break,
            // Between single quotes only these two are escaped.
            (b'\\', Some(b'\'')) => match bytes {
                [next @ (b'\\' | b'\''), rest @ ..] => {
                    push(&mut word, *next);
                    bytes = rest;
                }
                _ => push(&mut word, b'\\'),
            },
            (b'\\', _) => {
                let [next, rest @ ..] = bytes else {
                    return Err(SplitError::TrailingBackslash);
                };
                bytes = rest;
                match (*next, quote) {
                    (b'_', None) => words.extend(word.take()),
                    (b'_', Some(_)) => push(&mut word, b' '),
                    (b'c', Some(_)) => return Err(SplitError::StopInQuotes),
                    (b'c', None) => break,
                    (b'f', _) => push(&mut word, b'\x0c'),
                    (b'n', _) => push(&mut word, b'\n'),
                    (b'r', _) => push(&mut word, b'\r'),
                    (b't', _) => push(&mut word, b'\t'),
                    (b'v', _) => push(&mut word, b'\x0b'),
                    (b'"' | b'#' | b'$' | b'\'' | b'\\', _) => push(&mut word, *next),
                    (other, _) => return Err(SplitError::Escape(other)),
                }
            }
            (b'$', quote) if quote != Some(b'\'') => {
                let inner = bytes.strip_prefix(b"{").ok_or(SplitError::Variable)?;
                let end = inner
                    .iter()
                    .position(|b| *b == b'}')
                    .ok_or(SplitError::Variable)?;
                let (name, rest) = inner.split_at(end);
                if !is_name(name) {
                    return Err(SplitError::Variable);
                }
                bytes = rest.get(1..).unwrap_or_default();
                // An unset variable makes no word of its own.
                if let Some(value) = variable(name) {
                    word.get_or_insert_default().extend_from_slice(value);
                }
            }
            (other, _) => push(&mut word, other),
        }
    }
    if quote.is_some() {
        return Err(SplitError::Quote);
    }
    words.extend(word);
    Ok(words)
}

fn is_name(name: &[u8]) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    name.iter().all(part) && name.first().is_some_and(|b| !b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(string: &str, expected: &str) {
        let variable = |name: &[u8]| (name == b"V").then_some(&b"a b"[..]);
        let got = match words(string.as_bytes(), variable) {
            Ok(words) => String::from_utf8(words.join(&b'|')).unwrap(),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(got, expected, "{string}");
    }

    // `tests/host_exec/native.rs` compares the same kinds of strings with the host's env.
    #[test]
    fn strings() {
        check("", "");
        check("  a \t b\n", "a|b");
        check("a'b c'd \"e f\"", "ab cd|e f");
        check("'' x", "|x");
        check(r"a\_b '\_' \t\#", "a|b|\\_|\t#");
        check("a #b", "a");
        check("a#b", "a#b");
        check(r"a\cb", "a");
        check("x${V}y ${W} z", "xa by|z");
        check("'${V}'", "${V}");
        check(r"'a\'b\\c\d'", r"a'b\c\d");
        check("$V", "! only ${NAME} is expanded; found another use of `$`");
        check(
            "${1}",
            "! only ${NAME} is expanded; found another use of `$`",
        );
        check("\"", "! no closing quote");
        check("\\", "! a backslash at the end");
        check(r"\q", r"! unknown escape `\q`");
        check(r#""\c""#, r"! `\c` must not appear inside double quotes");
    }
}
