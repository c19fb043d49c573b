//! `@file` arguments: more arguments, in a file, quoted as gcc does it.
//!
//! A name that is no readable file stays an argument, as with gcc.

use std::{ffi::OsString, fs};

use crate::error::{Error, Result};

const MAX_DEPTH: usize = 16;

/// All arguments as text, with response files replaced by what they hold.
pub(crate) fn expand(arguments: Vec<OsString>) -> Result<Vec<String>> {
    let mut expanded = Vec::with_capacity(arguments.len());
    for argument in arguments {
        add(
            argument.into_string().map_err(Error::NotText)?,
            0,
            &mut expanded,
        )?;
    }
    Ok(expanded)
}

fn add(argument: String, depth: usize, expanded: &mut Vec<String>) -> Result<()> {
    let Some(text) = argument
        .strip_prefix('@')
        .and_then(|file| fs::read_to_string(file).ok())
    else {
        expanded.push(argument);
        return Ok(());
    };
    if depth == MAX_DEPTH {
        return Err(Error::DeepResponse(MAX_DEPTH, argument[1..].to_owned()));
    }
    for word in split(&text) {
        add(word, depth + 1, expanded)?;
    }
    Ok(())
}

/// White space separates; quotes of both kinds keep it; a backslash keeps any character.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word
                .get_or_insert_default()
                .push(letters.next().unwrap_or('\\')),
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(letter),
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        let check = |text: &str, expected: &[&str]| assert_eq!(split(text), expected, "{text:?}");
        check("", &[]);
        check("  -c\n a.c ", &["-c", "a.c"]);
        check("'a b' \"c 'd\"", &["a b", "c 'd"]);
        check(r#"-DX=\"y\" a\ b"#, &["-DX=\"y\"", "a b"]);
        check("''", &[""]);
        check("x\\", &["x\\"]);
    }

    #[test]
    fn files_in_files() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        let outer = dir.path().join("outer");
        fs::write(&inner, "-O2 'x y'").unwrap();
        fs::write(&outer, format!("-c @{}", inner.display())).unwrap();
        let expanded = expand(vec![format!("@{}", outer.display()).into()]).unwrap();
        assert_eq!(expanded, ["-c", "-O2", "x y"]);
        assert_eq!(expand(vec!["@/no/such".into()]).unwrap(), ["@/no/such"]);
        fs::write(&inner, format!("@{}", inner.display())).unwrap();
        assert!(expand(vec![format!("@{}", inner.display()).into()]).is_err());
    }
}
