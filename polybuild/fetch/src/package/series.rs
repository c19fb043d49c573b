//! The series of patches in the archive of a package's folder `debian/` (`deb-src-rules(5)`,
//! `quilt(1)`): which patches are applied, in which order, and which vulnerabilities they name.
//!
//! The archive is read into memory, and only files in it are patches: a link, a name that leads
//! elsewhere and a patch that is missing are errors.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek as _},
    path::Path,
};

use megabinary_format::Digest;
use polybuild_recipe::LockedPatch;
use tar::{Archive, EntryType};

use super::shown;
use crate::extract::compressed;

/// Most bytes of all files in `debian/patches`.
const BYTES: u64 = 256 << 20;
/// Most entries of the archive.
const ENTRIES: usize = 100_000;
/// Most patches.
const PATCHES: usize = 10_000;

const FOLDER: &str = "debian/patches/";

/// The list; the first that is there counts. Other vendors may have their own, Debian's is for us.
const LISTS: [&str; 2] = ["debian.series", "series"];

/// A patch of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesPatch {
    /// Its name in the series.
    pub name: String,
    /// Folders to remove from the names of files in it.
    pub strip: usize,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl SeriesPatch {
    /// What a lock file holds of it.
    pub(super) fn locked(&self) -> LockedPatch {
        LockedPatch {
            name: self.name.clone(),
            sha256: Digest::of(&self.bytes),
            cves: cves(&self.name, &self.bytes),
        }
    }
}

/// The patches of the archive of a folder `debian/`; the error says what is wrong with it.
pub(super) fn read(archive: &Path) -> Result<Vec<SeriesPatch>, String> {
    let mut files = files(archive)?;
    let list = LISTS
        .iter()
        .find_map(|name| Some((*name, files.get(*name)?.clone())));
    let Some((list, bytes)) = list else {
        return match files.is_empty() {
            true => Ok(Vec::new()),
            // Something was meant to be applied, and what is not known.
            false => Err(format!("it has files in {FOLDER} and no series")),
        };
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("its {list} is not UTF-8"))?;
    let mut patches: Vec<SeriesPatch> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let wrong = |why: String| format!("its {list}, line {}: {why}", at + 1);
        let Some((name, strip)) = parse_line(line).map_err(wrong)? else {
            continue;
        };
        if patches.len() == PATCHES {
            return Err(wrong(format!("more than {PATCHES} patches")));
        }
        // Taken out: a patch cannot be applied twice.
        let bytes = files.remove(name).ok_or_else(|| {
            wrong(format!(
                "the patch `{name}` is not a file of the archive, or is named before"
            ))
        })?;
        patches.push(SeriesPatch {
            name: name.to_owned(),
            strip,
            bytes,
        });
    }
    Ok(patches)
}

/// The patch of a line and how many folders are removed from its names; `None` for a comment.
fn parse_line(line: &str) -> Result<Option<(&str, usize)>, String> {
    let line = match line.find('#') {
        Some(0) => "",
        Some(at)
            if line
                .as_bytes()
                .get(at - 1)
                .is_some_and(u8::is_ascii_whitespace) =>
        {
            line.get(..at).unwrap_or_default()
        }
        _ => line,
    };
    let mut words = line.split_whitespace();
    let Some(name) = words.next() else {
        return Ok(None);
    };
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if !name.split('/').all(plain) || name.contains(char::is_control) {
        return Err(format!("the name `{name}` leads elsewhere"));
    }
    let mut strip = 1;
    for option in words {
        let level = option
            .strip_prefix("-p")
            .and_then(|level| level.parse().ok());
        strip = level
            .filter(|level| *level <= 9)
            .ok_or_else(|| format!("the option `{option}` is not supported; known is -pN"))?;
    }
    Ok(Some((name, strip)))
}

/// The files in `debian/patches`, by their names there.
fn files(archive: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let damaged = |error: std::io::Error| format!("{} is damaged: {error}", shown(archive));
    let mut file = File::open(archive).map_err(damaged)?;
    let mut head = Vec::new();
    (&mut file)
        .take(512)
        .read_to_end(&mut head)
        .map_err(damaged)?;
    file.rewind().map_err(damaged)?;
    let mut tar = Archive::new(compressed::open(file, &head));
    let (mut files, mut left) = (BTreeMap::new(), BYTES);
    for (count, entry) in tar.entries().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if count == ENTRIES {
            return Err(format!("it has more than {ENTRIES} files in debian/"));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        let kind = entry.header().entry_type();
        let regular = matches!(kind, EntryType::Regular | EntryType::Continuous);
        let Some(name) = path.strip_prefix(FOLDER).filter(|_| regular) else {
            continue;
        };
        let mut bytes = Vec::new();
        let len = (&mut entry)
            .take(left + 1)
            .read_to_end(&mut bytes)
            .map_err(damaged)?;
        left = left
            .checked_sub(len as u64)
            .ok_or_else(|| format!("it has more than {BYTES} bytes of patches"))?;
        if files.insert(name.to_owned(), bytes).is_some() {
            return Err(format!("it has {FOLDER}{name} twice"));
        }
    }
    Ok(files)
}

/// The identifiers of vulnerabilities in a patch's name and in its header (DEP-3), sorted.
fn cves(name: &str, bytes: &[u8]) -> Vec<String> {
    let header = bytes
        .split(|b| *b == b'\n')
        .take_while(|l| {
            !["--- ", "diff ", "Index: "]
                .iter()
                .any(|word| l.starts_with(word.as_bytes()))
        })
        .take(1000)
        .collect::<Vec<_>>()
        .join(&b'\n');
    let text = format!("{name}\n{}", String::from_utf8_lossy(&header)).to_ascii_uppercase();
    let mut found: Vec<String> = text
        .match_indices("CVE")
        .filter_map(|(at, _)| cve(&text, at))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// `CVE-YEAR-NUMBER` at a place of a text; underscores stand for hyphens in names of files.
fn cve(text: &str, at: usize) -> Option<String> {
    let digits = |text: &'_ str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text
        .get(at..)?
        .strip_prefix("CVE")?
        .strip_prefix(['-', '_'])?;
    let (year, rest) = rest
        .split_at_checked(4)
        .filter(|(year, _)| digits(year) == 4)?;
    let rest = rest.strip_prefix(['-', '_'])?;
    let number = rest
        .get(..digits(rest))
        .filter(|n| (4..=12).contains(&n.len()))?;
    Some(format!("CVE-{year}-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_series() {
        for (line, expected) in [
            ("a.patch", Some(("a.patch", 1))),
            ("  cve/a.patch\t-p0 # why", Some(("cve/a.patch", 0))),
            ("a#b.patch -p2", Some(("a#b.patch", 2))),
            ("# a.patch", None),
            ("", None),
        ] {
            assert_eq!(parse_line(line), Ok(expected), "{line}");
        }
        for line in [
            "../a",
            "a\u{1b}[2J",
            "/etc/x",
            "a/../../b",
            "a//b",
            "./a",
            "a -R",
            "a -p99",
            "a -pX",
        ] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn identifiers() {
        let check = |name: &str, text: &str, expected: &[&str]| {
            assert_eq!(cves(name, text.as_bytes()), expected, "{name}");
        };
        check("CVE-2025-26519.patch", "", &["CVE-2025-26519"]);
        check("cve_2025_26519-2.patch", "", &["CVE-2025-26519"]);
        check(
            "x",
            "Subject: fixes CVE-2024-12345 and cve-2024-1234\n--- a/f\n+++ b/f\n+CVE-2020-1111\n",
            &["CVE-2024-1234", "CVE-2024-12345"],
        );
        check("CVE-", "CVE CVE-20 CVE-2024 CVE-2024-1 CVE-202x-1234", &[]);
    }
}
