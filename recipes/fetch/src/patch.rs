//! Unified diffs, applied exactly.
//!
//! Stricter than `patch(1)`: a hunk applies at the line that it names and nowhere else, all its
//! context must match, and a patch changes all its files or none. Sources are pinned by digest, so
//! a patch that needs fuzz is a patch for something else.
//!
//! Understood are the bodies that `diff -u`, `git diff` and quilt write, with one leading folder
//! in the names (`-p1`), creation and deletion of files by `/dev/null`, and the note about a
//! missing newline at the end. Renames, modes and binary patches are refused.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Why a patch does not apply.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The patch or a file that it changes cannot be read or written.
    #[error("cannot {doing} {}: {error}", .path.display())]
    Io {
        /// "read", "write", …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Not a unified diff, or one of a kind that is not supported.
    #[error("{}:{line}: {why}", .patch.display())]
    Malformed {
        /// The patch.
        patch: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The file does not have the lines that the patch expects.
    #[error(
        "{}:{line}: the hunk does not apply to {file} at line {at}: {why}; make the patch anew \
         for this version of the source",
        .patch.display()
    )]
    Mismatch {
        /// The patch.
        patch: PathBuf,
        /// Line of the hunk in it, from 1.
        line: usize,
        /// The file to change, as the patch names it.
        file: String,
        /// Line in that file, from 1.
        at: usize,
        /// What differs.
        why: String,
    },
}

/// Applies the unified diff in `patch` to the files below `folder`.
pub fn apply_patch(patch: &Path, folder: &Path) -> Result<(), PatchError> {
    let bytes = fs::read(patch).map_err(io_error("read", patch))?;
    let mut run = Run {
        patch,
        folder,
        lines: bytes.split_inclusive(|b| *b == b'\n').collect(),
        at: 0,
        changed: BTreeMap::new(),
    };
    run.read()?;
    run.write()
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PatchError {
    let path = path.into();
    move |error| PatchError::Io { doing, path, error }
}

struct Run<'a> {
    patch: &'a Path,
    folder: &'a Path,
    lines: Vec<&'a [u8]>,
    /// Index of the line to read next.
    at: usize,
    /// New contents; `None`: to be deleted.
    changed: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

/// `@@ -START,LEN +START,LEN @@`.
struct Range {
    old_start: usize,
    old_len: usize,
    new_len: usize,
}

impl<'a> Run<'a> {
    fn malformed(&self, why: &'static str) -> PatchError {
        PatchError::Malformed {
            patch: self.patch.into(),
            line: self.at + 1,
            why,
        }
    }

    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).copied()
    }

    /// Reads the patch and computes the new contents; writes nothing.
    fn read(&mut self) -> Result<(), PatchError> {
        while let Some(line) = self.peek() {
            if line.starts_with(b"GIT binary patch") || line.starts_with(b"Binary files ") {
                return Err(self.malformed("binary patches are not supported"));
            }
            let refused: [&[u8]; 4] = [b"rename from ", b"copy from ", b"old mode ", b"new mode "];
            if refused.iter().any(|r| line.starts_with(r)) {
                return Err(self.malformed("renames, copies and modes are not supported"));
            }
            if line.starts_with(b"--- ") {
                self.file()?;
            } else if line.starts_with(b"@@ ") {
                return Err(self.malformed("a hunk without the names of its files before it"));
            } else {
                // Words between the files.
                self.at += 1;
            }
        }
        match self.changed.is_empty() {
            true => Err(self.malformed("the patch changes no file; is it a unified diff?")),
            false => Ok(()),
        }
    }

    /// One file: `--- OLD`, `+++ NEW`, hunks.
    fn file(&mut self) -> Result<(), PatchError> {
        let old = self.file_name(b"--- ")?;
        let new = self.file_name(b"+++ ")?;
        let (path, created, deleted) = match (old, new) {
            (Some(old), Some(new)) if old == new => (new, false, false),
            (None, Some(new)) => (new, true, false),
            (Some(old), None) => (old, false, true),
            _ => {
                self.at -= 1;
                return Err(self.malformed("the two names differ; renames are not supported"));
            }
        };
        let original = self.original(&path, created)?;
        let old: Vec<&[u8]> = original.split_inclusive(|b| *b == b'\n').collect();
        let mut result: Vec<u8> = Vec::with_capacity(original.len());
        // Lines of the original that are done.
        let mut done = 0;
        let mut hunks = 0;
        while self.peek().is_some_and(|l| l.starts_with(b"@@ ")) {
            self.hunk(&path, &old, &mut done, &mut result)?;
            hunks += 1;
        }
        if hunks == 0 {
            return Err(self.malformed("a file without hunks"));
        }
        for line in old.iter().skip(done) {
            result.extend_from_slice(line);
        }
        if deleted && !result.is_empty() {
            return Err(self.malformed("the patch deletes a file and leaves lines of it"));
        }
        self.changed.insert(path, (!deleted).then_some(result));
        Ok(())
    }

    /// The name in a header line, its first folder removed; `None` for `/dev/null`.
    fn file_name(&mut self, prefix: &[u8]) -> Result<Option<PathBuf>, PatchError> {
        let name = self.peek().and_then(|l| l.strip_prefix(prefix));
        let name = name.ok_or_else(|| self.malformed("`--- ` is not followed by `+++ `"))?;
        let name = std::str::from_utf8(name)
            .map_err(|_| self.malformed("a name that is not UTF-8"))?
            .trim_end_matches(['\n', '\r']);
        // A time may follow, after a tab.
        let name = name.split('\t').next().unwrap_or(name);
        if name == "/dev/null" {
            self.at += 1;
            return Ok(None);
        }
        let mut parts = Path::new(name).components();
        parts.next();
        let path = parts.as_path().to_owned();
        let normal = parts.all(|c| matches!(c, Component::Normal(_)));
        if !normal || path.as_os_str().is_empty() || Path::new(name).is_absolute() {
            return Err(self.malformed(
                "a name that leads elsewhere; names begin with one folder, as in `a/src/main.c`",
            ));
        }
        self.at += 1;
        Ok(Some(path))
    }

    /// The present content of a file: what the patch made of it so far, or what is there.
    fn original(&self, path: &Path, created: bool) -> Result<Vec<u8>, PatchError> {
        if let Some(Some(content)) = self.changed.get(path) {
            return Ok(content.clone());
        }
        let mut full = self.folder.to_owned();
        for part in path.components() {
            full.push(part);
            if fs::symlink_metadata(&full).is_ok_and(|m| m.is_symlink()) {
                return Err(self.malformed("the file, or a folder that it is in, is a link"));
            }
        }
        match fs::read(&full) {
            Err(e) if created && e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Ok(_) if created => Err(self.malformed("the patch creates a file that is there")),
            other => other.map_err(io_error("read", &full)),
        }
    }

    fn hunk(
        &mut self,
        path: &Path,
        old: &[&[u8]],
        done: &mut usize,
        result: &mut Vec<u8>,
    ) -> Result<(), PatchError> {
        let hunk_line = self.at + 1;
        let range = self
            .peek()
            .and_then(parse_range)
            .ok_or_else(|| self.malformed("a hunk header that is none"))?;
        self.at += 1;
        let mismatch = |at: usize, why: String| PatchError::Mismatch {
            patch: self.patch.into(),
            line: hunk_line,
            file: path.display().to_string(),
            at,
            why,
        };
        // An insertion into nothing names the line before it (POSIX diff, "-U").
        let start = match range.old_len {
            0 => range.old_start,
            _ => range.old_start.saturating_sub(1),
        };
        let Some(between) = old.get(*done..start) else {
            return Err(mismatch(start + 1, "the file has fewer lines".into()));
        };
        between.iter().for_each(|l| result.extend_from_slice(l));
        *done = start;
        let (mut old_left, mut new_left) = (range.old_len, range.new_len);
        let mut at = self.at;
        let lines = &self.lines;
        while old_left > 0 || new_left > 0 {
            let line = lines.get(at).copied().unwrap_or_default();
            let next = lines.get(at + 1).copied().unwrap_or_default();
            let no_newline = next.starts_with(b"\\ ");
            at += 1 + usize::from(no_newline);
            let (sign, body) = match line.split_first() {
                Some((sign, body)) => (*sign, body),
                None => (b'!', line),
            };
            let body = match no_newline {
                true => body.strip_suffix(b"\n").unwrap_or(body),
                false => body,
            };
            // Some mailers remove the blank of an empty context line.
            let (sign, body) = match sign {
                b'\n' => (b' ', line),
                other => (other, body),
            };
            if !matches!(sign, b' ' | b'-' | b'+') {
                self.at = at.saturating_sub(1);
                return Err(self.malformed("the hunk ends before its header says"));
            }
            if sign != b'+' {
                let found = old.get(*done).copied();
                if found != Some(body) {
                    let text = |b: &[u8]| String::from_utf8_lossy(b).trim_end().to_owned();
                    let found =
                        found.map_or("the end of the file".into(), |f| format!("`{}`", text(f)));
                    let why = format!("expected `{}`, found {found}", text(body));
                    return Err(mismatch(*done + 1, why));
                }
                *done += 1;
                old_left = old_left.checked_sub(1).ok_or_else(|| too_long(self))?;
            }
            if sign != b'-' {
                result.extend_from_slice(body);
                new_left = new_left.checked_sub(1).ok_or_else(|| too_long(self))?;
            }
        }
        self.at = at;
        Ok(())
    }

    /// Writes the new contents.
    fn write(&self) -> Result<(), PatchError> {
        for (path, content) in &self.changed {
            let full = self.folder.join(path);
            match content {
                None => fs::remove_file(&full).map_err(io_error("remove", &full))?,
                Some(content) => {
                    if let Some(parent) = full.parent() {
                        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
                    }
                    // Written in place, to keep the mode: the folder is not public yet.
                    fs::write(&full, content).map_err(io_error("write", &full))?;
                }
            }
        }
        Ok(())
    }
}

fn too_long(run: &Run<'_>) -> PatchError {
    run.malformed("the hunk has more lines than its header says")
}

fn parse_range(line: &[u8]) -> Option<Range> {
    // The name of a function, in any encoding, may follow the second `@@`.
    let line = String::from_utf8_lossy(line);
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let pair = |text: &str| -> Option<(usize, usize)> {
        let (start, len) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, len.parse().ok()?))
    };
    let ((old_start, old_len), (_, new_len)) = (pair(old)?, pair(new)?);
    Some(Range {
        old_start,
        old_len,
        new_len,
    })
}
