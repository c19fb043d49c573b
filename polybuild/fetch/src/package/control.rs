//! Paragraphs of control files (`deb822(5)`): a `.dsc`, and what the index says of a package.

use megabinary_format::Digest;
use polybuild_recipe::LockedPart;

/// Most files of one package.
const FILES: usize = 64;

/// One paragraph.
#[derive(Debug)]
pub(crate) struct Paragraph<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Paragraph<'a> {
    /// The paragraph of a text without empty lines.
    pub(crate) fn parse(text: &'a str) -> Paragraph<'a> {
        let mut fields: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some((_, lines)) = fields.last_mut() {
                    lines.push(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name, vec![value.trim()]));
            }
        }
        Paragraph(fields)
    }

    /// The paragraph of a `.dsc`, whose armour of a clear-signed message (RFC 9580, section 7) is
    /// taken off and not checked: the file's digest is.
    pub(crate) fn of_dsc(bytes: &'a [u8]) -> Result<Paragraph<'a>, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "its .dsc is not UTF-8".to_owned())?;
        let text = match text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----") {
            None => text,
            Some(rest) => {
                // Headers of the armour, an empty line, the text, the signature.
                let (_, rest) = rest.split_once("\n\n").ok_or("its .dsc has no text")?;
                let end = rest.find("\n-----BEGIN PGP SIGNATURE-----");
                rest.get(..end.ok_or("its .dsc has no end")?)
                    .unwrap_or_default()
            }
        };
        // One paragraph: what follows an empty line would be read by some and not by others.
        match text.trim_end().contains("\n\n") {
            true => Err("its .dsc has several paragraphs".into()),
            false => Ok(Paragraph::parse(text)),
        }
    }

    /// A field's value on its own line; `None` if it is missing or there twice.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        Some(self.lines(name)?.first().copied().unwrap_or_default())
    }

    fn lines(&self, name: &str) -> Option<&[&'a str]> {
        let mut found = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let (_, lines) = found.next()?;
        found.next().is_none().then_some(lines.as_slice())
    }

    /// The files of a package, as `Checksums-Sha256` lists them.
    pub(crate) fn files(&self) -> Result<Vec<LockedPart>, String> {
        let lines = self.lines("Checksums-Sha256");
        let lines = lines.ok_or("it lists no SHA-256 digests of its files")?;
        let mut files: Vec<LockedPart> = Vec::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let (digest, size, file) = (words.next(), words.next(), words.next());
            let part = || {
                Some(LockedPart {
                    file: file.filter(|f| is_file_name(f))?.to_owned(),
                    sha256: Digest::from_hex(digest?).ok()?,
                    size: size?.parse().ok()?,
                })
            };
            let part = part().filter(|_| words.next().is_none());
            let part = part.ok_or_else(|| format!("it lists a file that is none: `{line}`"))?;
            if files.iter().any(|f| f.file == part.file) {
                return Err(format!("it lists {} twice", part.file));
            }
            if files.len() == FILES {
                return Err(format!("it lists more than {FILES} files"));
            }
            files.push(part);
        }
        Ok(files)
    }
}

/// Whether a text can be the name of a file of an archive: no folder, no option, nothing odd.
pub(crate) fn is_file_name(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-~".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> String {
        Digest::of(b"x").hex()
    }

    #[test]
    fn a_signed_dsc() {
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nFormat: 3.0 (quilt)\n\
             Version: 1-1\nChecksums-Sha256:\n {0} 1 p_1.orig.tar.gz\n {0} 2 p_1-1.debian.tar.xz\n\
             Files:\n 00 1 p_1.orig.tar.gz\n\n-----BEGIN PGP SIGNATURE-----\n\nxx\n\
             -----END PGP SIGNATURE-----\n",
            digest()
        );
        let dsc = Paragraph::of_dsc(text.as_bytes()).unwrap();
        assert_eq!(dsc.field("format"), Some("3.0 (quilt)"));
        let files = dsc.files().unwrap();
        let names: Vec<_> = files.iter().map(|f| f.file.as_str()).collect();
        assert_eq!(names, ["p_1.orig.tar.gz", "p_1-1.debian.tar.xz"]);
        assert_eq!(files[1].size, 2);
    }

    #[test]
    fn hostile_ones() {
        let list = |lines: &str| {
            let text = format!(
                "Format: x\nChecksums-Sha256:\n{}",
                lines.replace("D", &digest())
            );
            Paragraph::of_dsc(text.as_bytes())
                .unwrap()
                .files()
                .unwrap_err()
        };
        for file in ["../x", "/etc/passwd", "a/b", "-o", ".x", "a\u{e9}", "x y"] {
            let error = list(&format!(" D 1 {file}\n"));
            assert!(error.contains("a file that is none"), "{file}: {error}");
        }
        assert!(list(" D 1 a\n D 1 a\n").contains("twice"));
        assert!(list(" D -1 a\n").contains("none"));
        assert!(list(" 00 1 a\n").contains("none"));
        let many: String = (0..65).map(|n| format!(" D 1 a{n}\n")).collect();
        assert!(list(&many).contains("more than 64"));
        for (text, words) in [
            (&b"\xff"[..], "UTF-8"),
            (
                b"-----BEGIN PGP SIGNED MESSAGE-----\nFormat: x\n",
                "no text",
            ),
            (
                b"-----BEGIN PGP SIGNED MESSAGE-----\n\nFormat: x\n",
                "no end",
            ),
            (b"Format: x\n\nFormat: y\n", "several paragraphs"),
        ] {
            let error = Paragraph::of_dsc(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        // A field that is there twice has no value.
        assert_eq!(Paragraph::parse("A: 1\nA: 2\n").field("A"), None);
        assert!(
            Paragraph::parse("")
                .files()
                .unwrap_err()
                .contains("no SHA-256")
        );
    }
}
