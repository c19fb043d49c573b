//! Unified diffs, applied exactly.
//!
//! Two styles. A recipe's **own** patches are applied more strictly than by `patch(1)`: a hunk applies
//! at the line that it names and nowhere else. The patches of a distribution's **series** are applied
//! as `dpkg-source` has them applied: a hunk may have moved, files that become empty go away, and a
//! file is chosen among the two names of a header. In both, all context must match (no fuzz), a
//! patch changes all its files or none, and no name leads out of the folder or through a link.
//!
//! Understood are the bodies that `diff -u`, `git diff` and quilt write, creation and deletion of
//! files by `/dev/null`, and the note about a missing newline at the end; in series, git's modes of
//! ordinary files, renames and copies, too. Links and binary patches are refused.

mod hunk;

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use hunk::{Hunk, Sign};

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

/// Applies the unified diff in `patch` to the files below `folder`, as a recipe's own: exactly.
pub fn apply_patch(patch: &Path, folder: &Path) -> Result<(), PatchError> {
    let bytes = fs::read(patch).map_err(io_error("read", patch))?;
    apply(&bytes, patch, folder, Style::Own)
}

/// Applies a patch of a distribution's series, with `strip` folders removed from its names. `patch`
/// is for messages.
pub(crate) fn apply_of_series(
    bytes: &[u8],
    patch: &Path,
    folder: &Path,
    strip: usize,
) -> Result<(), PatchError> {
    apply(bytes, patch, folder, Style::Series { strip })
}

fn apply(bytes: &[u8], patch: &Path, folder: &Path, style: Style) -> Result<(), PatchError> {
    let mut run = Run {
        patch,
        folder,
        style,
        lines: bytes.split_inclusive(|b| *b == b'\n').collect(),
        at: 0,
        git: Git::default(),
        changed: BTreeMap::new(),
    };
    run.read()?;
    run.write()
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PatchError {
    let path = path.into();
    move |error| PatchError::Io { doing, path, error }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Own,
    Series { strip: usize },
}

/// What git's lines before a file say of it.
#[derive(Default)]
struct Git {
    /// The file of `diff --git a/FILE b/FILE`, for a change of mode alone.
    file: Option<PathBuf>,
    /// The file that it is a copy of, or was.
    from: Option<PathBuf>,
    /// What becomes of that one.
    to: Option<PathBuf>,
    /// Whether the first one goes away.
    renamed: bool,
    /// The line of `diff --git`.
    at: Option<usize>,
    /// Whether it becomes executable, or ceases to be.
    executable: Option<bool>,
}

struct Run<'a> {
    patch: &'a Path,
    folder: &'a Path,
    style: Style,
    lines: Vec<&'a [u8]>,
    /// Index of the line to read next.
    at: usize,
    git: Git,
    changed: BTreeMap<PathBuf, Change>,
}

/// What becomes of a file.
#[derive(Default)]
struct Change {
    /// New content; `None`: it is to be deleted.
    content: Option<Vec<u8>>,
    /// Whether it becomes executable; `None`: as it is.
    executable: Option<bool>,
}

impl<'a> Run<'a> {
    fn malformed(&self, why: &'static str) -> PatchError {
        self.malformed_at(self.at, why)
    }

    fn malformed_at(&self, at: usize, why: &'static str) -> PatchError {
        PatchError::Malformed {
            patch: self.patch.into(),
            line: at + 1,
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
            // In a description, too: a patch that means them literally can say so otherwise.
            let renames: [&[u8]; 2] = [b"rename from ", b"copy from "];
            let modes: [&[u8]; 2] = [b"old mode ", b"new mode "];
            let git = renames.iter().chain(&modes).any(|r| line.starts_with(r));
            if git && self.style == Style::Own {
                return Err(self.malformed("renames, copies and modes are not supported"));
            }
            if line.starts_with(b"--- ") && self.is_header() {
                self.file()?;
            } else if line.starts_with(b"@@ ") {
                return Err(self.malformed("a hunk without the names of its files before it"));
            } else {
                // Words between the files.
                self.git_line(line)?;
                self.at += 1;
            }
        }
        self.git_alone()?;
        match self.changed.is_empty() {
            true => Err(self.malformed("the patch changes no file; is it a unified diff?")),
            false => Ok(()),
        }
    }

    /// Whether a line with `--- ` begins a file: descriptions of a series may have such lines, too.
    fn is_header(&self) -> bool {
        let next = self.lines.get(self.at + 1).copied().unwrap_or_default();
        self.style == Style::Own || next.starts_with(b"+++ ")
    }

    /// A line that git writes before a file.
    fn git_line(&mut self, line: &[u8]) -> Result<(), PatchError> {
        let Style::Series { strip } = self.style else {
            return Ok(());
        };
        if let Some(names) = line.strip_prefix(b"diff --git ") {
            self.git_alone()?;
            let names = String::from_utf8_lossy(names);
            // `a/FILE b/FILE`, the same file: both halves have one length.
            let names = names.trim_end();
            let halves = names.split_at_checked(names.len() / 2);
            let (old, new) = halves.map_or(("", ""), |(a, b)| (a, b.trim_start()));
            let (old, new) = (stripped(old, strip), stripped(new, strip));
            self.git.file = old.filter(|old| new.as_ref() == Some(old));
            self.git.at = Some(self.at);
        }
        for (word, renamed) in [("rename", true), ("copy", false)] {
            let name = |way: &str| {
                let rest = line
                    .strip_prefix(word.as_bytes())?
                    .strip_prefix(way.as_bytes())?;
                Some(String::from_utf8_lossy(rest).trim_end().to_owned())
            };
            let (from, to) = (name(" from "), name(" to "));
            let Some(name) = from.as_ref().or(to.as_ref()) else {
                continue;
            };
            // In a description they are words like others.
            if self.git.at.is_none() {
                return Ok(());
            }
            // These names have no folder before them, and so are only known for `-p1`.
            let path = stripped(name, 0).filter(|_| strip == 1).ok_or_else(|| {
                self.malformed("a rename or copy with a name that leads elsewhere, or not by -p1")
            })?;
            self.git.renamed = renamed;
            match from {
                Some(_) => self.git.from = Some(path),
                None => self.git.to = Some(path),
            }
        }
        let mode = line
            .strip_prefix(b"new mode ")
            .or(line.strip_prefix(b"new file mode "));
        if let Some(mode) = mode {
            self.git.executable = Some(match mode.trim_ascii() {
                b"100644" => false,
                b"100755" => true,
                _ => return Err(self.malformed("a mode that is not an ordinary file's")),
            });
        }
        Ok(())
    }

    /// The end of what git said of a file: a change of mode, a rename or a copy may be all of it.
    fn git_alone(&mut self) -> Result<(), PatchError> {
        let mut git = std::mem::take(&mut self.git);
        let at = git.at.unwrap_or(self.at);
        if let Some((path, content)) = self.moved(&mut git, at)? {
            self.change(path, Some(content), git.executable);
        } else if let (Some(path), Some(executable)) = (git.file, git.executable) {
            let content = self
                .original(&path)?
                .ok_or_else(|| self.malformed_at(at, "a mode for a file that is not there"))?;
            self.change(path, Some(content), Some(executable));
        }
        Ok(())
    }

    /// A rename or copy: the new path, and the content that is there before the hunks.
    fn moved(
        &mut self,
        git: &mut Git,
        at: usize,
    ) -> Result<Option<(PathBuf, Vec<u8>)>, PatchError> {
        let (from, to) = match (git.from.take(), git.to.take()) {
            (None, None) => return Ok(None),
            (Some(from), Some(to)) => (from, to),
            _ => return Err(self.malformed_at(at, "a rename or copy with one name")),
        };
        let content = self
            .original(&from)?
            .ok_or_else(|| self.malformed_at(at, "a rename or copy of a file that is not there"))?;
        if self.original(&to)?.is_some() {
            return Err(self.malformed_at(at, "a rename or copy to a file that is there"));
        }
        let metadata = fs::metadata(self.folder.join(&from));
        let executable = metadata.is_ok_and(|m| m.permissions().mode() & 0o100 != 0);
        let changed = self.changed.get(&from).and_then(|change| change.executable);
        git.executable.get_or_insert(changed.unwrap_or(executable));
        if git.renamed {
            self.change(from, None, None);
        }
        Ok(Some((to, content)))
    }

    fn change(&mut self, path: PathBuf, content: Option<Vec<u8>>, executable: Option<bool>) {
        let before = self.changed.get(&path).and_then(|change| change.executable);
        let change = Change {
            content,
            executable: executable.or(before),
        };
        self.changed.insert(path, change);
    }

    /// One file: `--- OLD`, `+++ NEW`, hunks.
    fn file(&mut self) -> Result<(), PatchError> {
        let header = self.at;
        let old = self.file_name(b"--- ")?;
        let new = self.file_name(b"+++ ")?;
        let mut git = std::mem::take(&mut self.git);
        let names = (git.from.clone(), git.to.clone());
        let (path, deleted, original) = match self.moved(&mut git, header)? {
            Some((to, content)) => {
                if names != (old, new) {
                    return Err(self.malformed_at(header, "other names than those of the rename"));
                }
                (to, false, content)
            }
            None => self.named(old, new, header)?,
        };
        let old: Vec<&[u8]> = original.split_inclusive(|b| *b == b'\n').collect();
        let mut result: Vec<u8> = Vec::with_capacity(original.len());
        // Lines of the original that are done, and by how much the last hunk was moved.
        let (mut done, mut moved) = (0, 0);
        let mut hunks = 0;
        while self.peek().is_some_and(|l| l.starts_with(b"@@ ")) {
            self.hunk(&path, &old, &mut done, &mut moved, &mut result)?;
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
        let gone = deleted || self.style != Style::Own && result.is_empty();
        self.change(path, (!gone).then_some(result), git.executable);
        Ok(())
    }

    /// The file that a header names: its path, whether it is to be deleted, and its content.
    fn named(
        &self,
        old: Option<PathBuf>,
        new: Option<PathBuf>,
        header: usize,
    ) -> Result<(PathBuf, bool, Vec<u8>), PatchError> {
        let (path, created, deleted) = match (old, new) {
            (Some(old), Some(new)) => (self.choose(old, new, header)?, false, false),
            (None, Some(new)) => (new, true, false),
            (Some(old), None) => (old, false, true),
            (None, None) => {
                return Err(self.malformed_at(header, "a file that neither was nor will be"));
            }
        };
        let first = self.lines.get(self.at..).unwrap_or_default();
        // GNU patch takes a first hunk for an empty file as leave to create it.
        let may_create = created
            || self.style != Style::Own
                && Hunk::parse(first, true).is_ok_and(|(hunk, _)| hunk.creates());
        match self.original(&path)? {
            Some(content) if created && (self.style == Style::Own || !content.is_empty()) => {
                Err(self.malformed_at(header, "the patch creates a file that is there"))
            }
            Some(content) => Ok((path, deleted, content)),
            None if may_create => Ok((path, deleted, Vec::new())),
            None => {
                let path = self.folder.join(&path);
                let error = io::ErrorKind::NotFound.into();
                Err(io_error("read", &path)(error))
            }
        }
    }

    /// Which of two names is meant: the one that is there; of two, the shorter, as dpkg has it.
    fn choose(&self, old: PathBuf, new: PathBuf, header: usize) -> Result<PathBuf, PatchError> {
        if old == new {
            return Ok(new);
        }
        if self.style == Style::Own {
            return Err(
                self.malformed_at(header, "the two names differ; renames are not supported")
            );
        }
        let there = |path: &Path| Ok(self.original(path)?.is_some());
        Ok(match (there(&old)?, there(&new)?) {
            (true, false) => old,
            (false, true) => new,
            _ => {
                let weight = |path: &Path| {
                    let name = path.file_name().map_or(0, |n| n.len());
                    (path.components().count(), name, path.as_os_str().len())
                };
                if weight(&old) < weight(&new) {
                    old
                } else {
                    new
                }
            }
        })
    }

    /// The name in a header line, its first folders removed; `None` for `/dev/null`.
    fn file_name(&mut self, prefix: &[u8]) -> Result<Option<PathBuf>, PatchError> {
        let name = self.peek().and_then(|l| l.strip_prefix(prefix));
        let name = name.ok_or_else(|| self.malformed("`--- ` is not followed by `+++ `"))?;
        let name = std::str::from_utf8(name)
            .map_err(|_| self.malformed("a name that is not UTF-8"))?
            .trim_end_matches(['\n', '\r']);
        // A time may follow, after a tab.
        let name = name.split('\t').next().unwrap_or(name);
        let (name, strip) = match self.style {
            Style::Own => (name, 1),
            Style::Series { strip } => (name.trim_end(), strip),
        };
        if name == "/dev/null" {
            self.at += 1;
            return Ok(None);
        }
        let Some(path) = stripped(name, strip) else {
            return Err(self.malformed(
                "a name that leads elsewhere; names begin with one folder, as in `a/src/main.c`",
            ));
        };
        self.at += 1;
        Ok(Some(path))
    }

    /// The present content of a file: what the patch made of it so far, or what is there.
    fn original(&self, path: &Path) -> Result<Option<Vec<u8>>, PatchError> {
        if let Some(change) = self.changed.get(path) {
            return Ok(change.content.clone());
        }
        let mut full = self.folder.to_owned();
        for part in path.components() {
            full.push(part);
            if fs::symlink_metadata(&full).is_ok_and(|m| m.is_symlink()) {
                return Err(self.malformed("the file, or a folder that it is in, is a link"));
            }
        }
        match fs::read(&full) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(io_error("read", &full)),
        }
    }

    fn hunk(
        &mut self,
        path: &Path,
        old: &[&[u8]],
        done: &mut usize,
        moved: &mut isize,
        result: &mut Vec<u8>,
    ) -> Result<(), PatchError> {
        let header = self.at;
        let lines = self.lines.get(header..).unwrap_or_default();
        let (hunk, taken) = Hunk::parse(lines, self.style != Style::Own)
            .map_err(|(at, why)| self.malformed_at(header + at, why))?;
        let mismatch = |at: usize, why: String| PatchError::Mismatch {
            patch: self.patch.into(),
            line: header + 1,
            file: path.display().to_string(),
            at,
            why,
        };
        let named = hunk.start();
        let start = match self.style {
            Style::Own => named,
            Style::Series { .. } => hunk.find(old, *done, *moved).ok_or_else(|| {
                let why = "neither there nor anywhere else has the file these lines".into();
                mismatch(named + 1, why)
            })?,
        };
        *moved = start.cast_signed() - named.cast_signed();
        let Some(between) = old.get(*done..start) else {
            return Err(mismatch(start + 1, "the file has fewer lines".into()));
        };
        between.iter().for_each(|l| result.extend_from_slice(l));
        *done = start;
        for (sign, text) in &hunk.lines {
            if *sign != Sign::New {
                let found = old.get(*done).copied();
                if found != Some(*text) {
                    let shown = |b: &[u8]| String::from_utf8_lossy(b).trim_end().to_owned();
                    let found =
                        found.map_or("the end of the file".into(), |f| format!("`{}`", shown(f)));
                    let why = format!("expected `{}`, found {found}", shown(text));
                    return Err(mismatch(*done + 1, why));
                }
                *done += 1;
            }
            if *sign != Sign::Old {
                result.extend_from_slice(text);
            }
        }
        self.at = header + taken;
        Ok(())
    }

    /// Writes the new contents. The folder is not public yet.
    fn write(&self) -> Result<(), PatchError> {
        for (path, change) in &self.changed {
            let full = self.folder.join(path);
            // Removed first: another name of the same file (a hard link) keeps its content.
            let mode = match fs::symlink_metadata(&full) {
                Ok(metadata) => {
                    fs::remove_file(&full).map_err(io_error("remove", &full))?;
                    metadata.permissions().mode()
                }
                Err(_) => 0o644,
            };
            let Some(content) = &change.content else {
                self.remove_empty_folders(&full);
                continue;
            };
            if let Some(parent) = full.parent() {
                fs::create_dir_all(parent).map_err(io_error("create", parent))?;
            }
            fs::write(&full, content).map_err(io_error("write", &full))?;
            let mode = match change.executable {
                Some(true) => mode | 0o111,
                Some(false) => mode & !0o111,
                None => mode,
            };
            fs::set_permissions(&full, fs::Permissions::from_mode(mode & 0o777))
                .map_err(io_error("set the permissions of", &full))?;
        }
        Ok(())
    }

    /// A folder whose last file goes away goes too, as with GNU patch; in series only.
    fn remove_empty_folders(&self, file: &Path) {
        let inside = |p: &&Path| p.starts_with(self.folder) && *p != self.folder;
        if self.style != Style::Own {
            // A folder that is not empty is not removed, and ends it.
            let parents = file.ancestors().skip(1).take_while(inside);
            let _ = parents
                .map(fs::remove_dir)
                .take_while(Result::is_ok)
                .count();
        }
    }
}

/// A name in a header with its first folders removed; `None` if it leads elsewhere, or is nothing then.
fn stripped(name: &str, strip: usize) -> Option<PathBuf> {
    let path = Path::new(name);
    let mut parts = path.components();
    let ok = !path.is_absolute() && parts.by_ref().take(strip).count() == strip;
    let rest = parts.as_path().to_owned();
    let normal = parts.all(|c| matches!(c, Component::Normal(_)));
    (ok && normal && !rest.as_os_str().is_empty()).then_some(rest)
}
