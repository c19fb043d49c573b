//! Requirements of Python packages, `flask[async]>=3,<4; python_version > "3.8"`, one by one or as a file.
//!
//! They are handed to pip, so what is not understood here is refused: an option could name another index, an
//! address or a folder would make pip run the code of what it finds there.
//!
//! The grammar is that of "Dependency specifiers" (packaging.python.org) without addresses; files have
//! comments, lines that go on after `\`, and `--hash=sha256:…`.

use megabinary_format::Digest;

/// A requirement in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement(String);

impl Requirement {
    /// The line of a requirements file.
    pub(crate) fn line(&self) -> &str {
        &self.0
    }
}

/// Reads one requirement, as `packages` has them.
pub(crate) fn parse(text: &str) -> Result<Requirement, &'static str> {
    let text = text.trim();
    if text.contains(|c: char| c.is_control()) {
        return Err("it has more than one line");
    }
    if text.starts_with('-') {
        return Err("it is an option of pip, which a recipe does not pass on");
    }
    // Where the hashes begin: a marker has no two hyphens in a row.
    let (text, hashes) = match text.find(" --") {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (wanted, marker) = match text.split_once(';') {
        Some((wanted, marker)) => (wanted, Some(marker.trim())),
        None => (text, None),
    };
    if wanted.contains('@') || wanted.contains("://") {
        return Err(
            "it names an address; only packages of the index can be locked by their version",
        );
    }
    let end = wanted
        .find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .unwrap_or(wanted.len());
    let (name, rest) = wanted.split_at(end);
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    if !name.starts_with(alphanumeric) || !name.ends_with(alphanumeric) {
        return Err("it does not begin with the name of a package");
    }
    if [".txt", ".whl", ".zip", ".gz"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        return Err("it names a file; only packages of the index can be locked by their version");
    }
    let mut line = name.to_owned();
    let mut rest = rest.trim();
    if let Some(inner) = rest.strip_prefix('[') {
        let (extras, after) = inner.split_once(']').ok_or("its `[` is not closed")?;
        let extras: Vec<&str> = extras.split(',').map(str::trim).collect();
        if !extras.iter().all(|extra| crate::value::is_name(extra)) {
            return Err("its extras are not names");
        }
        line.push_str(&format!("[{}]", extras.join(",")));
        rest = after.trim();
    }
    if !rest.is_empty() {
        let parts: Option<Vec<String>> = rest.split(',').map(version).collect();
        let parts =
            parts.ok_or("after the name it has no version, such as `==3.1.2` or `>=2,<3`")?;
        line.push_str(&parts.join(","));
    }
    if let Some(marker) = marker {
        let known = |c: char| c.is_ascii_graphic() || c == ' ';
        if marker.is_empty() || !marker.chars().all(known) || marker.contains(['#', '\\', ';']) {
            return Err("what follows its `;` is no marker");
        }
        line.push_str(&format!(" ; {marker}"));
    }
    for hash in hashes.split_whitespace() {
        let digits = hash.strip_prefix("--hash=sha256:");
        if digits.is_none_or(|digits| Digest::from_hex(digits).is_err()) {
            return Err("it has an option other than `--hash=sha256:…`");
        }
        line.push_str(&format!(" {hash}"));
    }
    Ok(Requirement(line))
}

/// One part of a version: an operator and what it compares with.
fn version(text: &str) -> Option<String> {
    let text = text.trim();
    let operator = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"]
        .into_iter()
        .find(|operator| text.starts_with(operator))?;
    let version = text.strip_prefix(operator)?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+!*-".contains(c);
    (!version.is_empty() && version.chars().all(plain)).then(|| format!("{operator}{version}"))
}

/// Reads a requirements file; of each line that cannot be used its number and what is wrong.
pub(crate) fn parse_file(text: &str) -> (Vec<Requirement>, Vec<(usize, String, &'static str)>) {
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let mut whole = first.to_owned();
        // A comment does not go on; a line that does, does so up to the end of the file.
        while let Some(before) = whole.strip_suffix('\\') {
            whole = before.to_owned();
            match lines.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let line = without_comment(&whole).trim();
        if line.is_empty() {
            continue;
        }
        // Blanks may be tabs.
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        match parse(&line) {
            Ok(requirement) => found.push(requirement),
            Err(why) => wrong.push((number + 1, line, why)),
        }
    }
    (found, wrong)
}

/// What stands before a `#` that begins a line or follows a blank.
fn without_comment(line: &str) -> &str {
    let at = line.match_indices('#').map(|(at, _)| at).find(|&at| {
        let before = line.get(..at).unwrap_or_default();
        before.is_empty() || before.ends_with([' ', '\t'])
    });
    at.and_then(|at| line.get(..at)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_by_one() {
        let check = |text: &str, expected: Option<&str>| {
            let found = parse(text).ok();
            assert_eq!(found.as_ref().map(Requirement::line), expected, "{text}");
        };
        check("flask==3.1.2", Some("flask==3.1.2"));
        check(
            " Flask [ async , dotenv ] >= 3 , < 4 ",
            Some("Flask[async,dotenv]>=3,<4"),
        );
        check("a.b_c-d", Some("a.b_c-d"));
        check("x==1.*", Some("x==1.*"));
        check("x===2!1.0+local-1", Some("x===2!1.0+local-1"));
        let marked = "tomli; python_version < \"3.11\" and sys_platform == 'linux'";
        check(
            marked,
            Some("tomli ; python_version < \"3.11\" and sys_platform == 'linux'"),
        );
        let hashed = format!("six==1.17.0 --hash=sha256:{}", "0a".repeat(32));
        check(&hashed, Some(&hashed));
        for bad in [
            "",
            "-r other.txt",
            "-e .",
            "--index-url=https://h.example/simple",
            "flask --index-url=https://h.example/simple",
            "flask --hash=sha256:00",
            "flask --hash=md5:00",
            "flask @ https://h.example/flask.whl",
            "git+https://h.example/flask",
            "https://h.example/flask-1.whl",
            "./flask-1.whl",
            "flask-1.whl",
            "../x",
            "-x",
            "_x",
            "x-",
            "x[",
            "x[a b]",
            "x 1",
            "x=1",
            "x==",
            "x==1 2",
            "x==1;",
            "x; a # b",
            "x\n-r other",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn as_a_file() {
        let text = "# tools\n\nflask==3.1.2  # web\nsix==1.17.0 \\\n    --hash=sha256:\
                    0000000000000000000000000000000000000000000000000000000000000000\n\
                    -r more.txt\nx\t>=\t1\nurl#fragment\nlast \\";
        let (found, wrong) = parse_file(text);
        let lines: Vec<&str> = found.iter().map(Requirement::line).collect();
        let zeros = "0".repeat(64);
        assert_eq!(
            lines,
            [
                "flask==3.1.2",
                &format!("six==1.17.0 --hash=sha256:{zeros}"),
                "x>=1",
                "last"
            ]
        );
        let numbers: Vec<usize> = wrong.iter().map(|(number, ..)| *number).collect();
        assert_eq!(numbers, [6, 8]);
    }

    #[test]
    fn whatever_is_in_it() {
        for text in [
            "\\", "\\\n", "#", "[", ";", "x[]", "\u{0}", "x;\u{e9}", " --", "é",
        ] {
            let _ = parse(text);
            let _ = parse_file(text);
        }
    }
}
