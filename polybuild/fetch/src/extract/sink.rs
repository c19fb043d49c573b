//! Where entries of archives go. The only code that creates anything while unpacking.
//!
//! Invariant: whatever an archive says, nothing outside the folder is touched, and no link in the
//! result leads outside of it. Paths are checked as text, and no parent is ever a link, because the
//! folder is new and ours and the sink knows every node in it; links are resolved at the end, all
//! of them together, since links may lead through links.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Component, Path, PathBuf},
};

use super::{Extract, ExtractError, Limits, error};

/// Most links that a path may lead through, as in Linux (`path_resolution(7)`).
const LINKS: usize = 40;

/// A node that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File,
    Link(PathBuf),
}

pub(super) struct Sink<'a> {
    archive: &'a Path,
    folder: &'a Path,
    strip: usize,
    limits: Limits,
    /// Whether the archive is a file system's: an absolute link leads to a place in it.
    is_root: bool,
    /// Every node by its path relative to the folder.
    nodes: BTreeMap<PathBuf, Node>,
    entries: u64,
    bytes: u64,
}

impl<'a> Sink<'a> {
    /// Creates the folder.
    pub(super) fn new(
        archive: &'a Path,
        folder: &'a Path,
        how: &Extract,
    ) -> Result<Sink<'a>, ExtractError> {
        DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(error::io("create", folder))?;
        Ok(Sink {
            archive,
            folder,
            strip: usize::try_from(how.strip_components).unwrap_or(usize::MAX),
            limits: how.limits,
            is_root: false,
            nodes: BTreeMap::new(),
            entries: 0,
            bytes: 0,
        })
    }

    /// The archive is a file system's from its root on: where it is unpacked, absolute links lead to the same
    /// places in it.
    pub(super) fn is_a_root(&mut self) {
        self.is_root = self.strip == 0;
    }

    pub(super) fn refuse(&self, entry: &[u8], why: &'static str) -> ExtractError {
        ExtractError::Refused {
            archive: self.archive.into(),
            entry: String::from_utf8_lossy(entry).into_owned(),
            why,
        }
    }

    /// An error of reading the archive: it ends too early, or says nonsense.
    pub(super) fn read_error(&self, within: &[u8], error: &io::Error) -> ExtractError {
        let archive = self.archive.into();
        let text = error.to_string();
        // The decoders have words of their own for an early end.
        let early = [
            "unexpected end",
            "unexpected EOF",
            "incomplete frame",
            "premature eof",
        ];
        let truncated = error.kind() == io::ErrorKind::UnexpectedEof
            || early.iter().any(|words| text.contains(words));
        if truncated {
            let within = match String::from_utf8_lossy(within) {
                name if name.is_empty() => "its table of contents".to_owned(),
                name => format!("`{name}`"),
            };
            ExtractError::Truncated { archive, within }
        } else {
            ExtractError::Damaged {
                archive,
                what: text,
            }
        }
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> ExtractError {
        ExtractError::Damaged {
            archive: self.archive.into(),
            what: what.into(),
        }
    }

    /// Creates a folder; its being there is no error.
    pub(super) fn folder(&mut self, entry: &[u8]) -> Result<(), ExtractError> {
        self.count()?;
        match self.place(entry)? {
            Some(path) => self.make_folder(entry, &path),
            None => Ok(()),
        }
    }

    /// Creates a file with the content that `read` gives.
    pub(super) fn file(
        &mut self,
        entry: &[u8],
        executable: bool,
        read: &mut dyn Read,
    ) -> Result<(), ExtractError> {
        self.count()?;
        let Some(path) = self.new_node(entry)? else {
            return Ok(());
        };
        let full = self.folder.join(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o755 } else { 0o644 })
            .open(&full)
            .map_err(error::io("create", &full))?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match read.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.read_error(entry, &e)),
            };
            self.bytes += n as u64;
            if self.bytes > self.limits.bytes {
                return Err(self.too_much(self.limits.bytes, "bytes"));
            }
            file.write_all(buffer.get(..n).unwrap_or_default())
                .map_err(error::io("write", &full))?;
        }
        self.nodes.insert(path, Node::File);
        Ok(())
    }

    /// Creates a symbolic link. Where it leads is checked at the end.
    pub(super) fn symlink(&mut self, entry: &[u8], target: &[u8]) -> Result<(), ExtractError> {
        self.count()?;
        if target.is_empty() || target.contains(&0) {
            return Err(self.refuse(entry, "is a link to nothing"));
        }
        let is_absolute = target.starts_with(b"/");
        if is_absolute && !self.is_root {
            return Err(self.refuse(entry, "is a link to an absolute path"));
        }
        let Some(path) = self.new_node(entry)? else {
            return Ok(());
        };
        let full = self.folder.join(&path);
        let mut target = PathBuf::from(OsStr::from_bytes(target));
        if is_absolute {
            let up = path.components().skip(1).map(|_| "..");
            let down = target.components().skip(1);
            target = up
                .map(OsStr::new)
                .chain(down.map(|name| name.as_os_str()))
                .collect();
        }
        std::os::unix::fs::symlink(&target, &full).map_err(error::io("create", &full))?;
        self.nodes.insert(path, Node::Link(target));
        Ok(())
    }

    /// Creates a hard link to a file that the archive had before.
    pub(super) fn hard_link(&mut self, entry: &[u8], target: &[u8]) -> Result<(), ExtractError> {
        self.count()?;
        let target = self.place(target)?;
        let Some(path) = self.new_node(entry)? else {
            return Ok(());
        };
        let known = target.filter(|t| self.nodes.get(t) == Some(&Node::File));
        let Some(target) = known else {
            return Err(self.refuse(entry, "is a hard link to a file that is not before it"));
        };
        let full = self.folder.join(&path);
        fs::hard_link(self.folder.join(target), &full).map_err(error::io("create", &full))?;
        self.nodes.insert(path, Node::File);
        Ok(())
    }

    /// Checks that no link leads out.
    pub(super) fn finish(&self) -> Result<(), ExtractError> {
        let links = self.nodes.iter().filter_map(|(path, node)| match node {
            Node::Link(target) => Some((path.clone(), target.clone())),
            _ => None,
        });
        match first_that_leaves(&links.collect()) {
            None => Ok(()),
            Some(path) => {
                let entry = path.as_os_str().as_bytes();
                Err(self.refuse(entry, "is a link that leads out of the archive"))
            }
        }
    }

    fn too_much(&self, limit: u64, unit: &'static str) -> ExtractError {
        ExtractError::TooMuch {
            archive: self.archive.into(),
            limit,
            unit,
        }
    }

    fn count(&mut self) -> Result<(), ExtractError> {
        self.entries += 1;
        match self.entries > self.limits.entries {
            true => Err(self.too_much(self.limits.entries, "entries")),
            false => Ok(()),
        }
    }

    /// The path of an entry in the folder, leading components removed; `None` if nothing is left.
    fn place(&self, entry: &[u8]) -> Result<Option<PathBuf>, ExtractError> {
        if entry.contains(&0) {
            return Err(self.refuse(entry, "has a NUL in its name"));
        }
        let mut path = PathBuf::new();
        let mut left = self.strip;
        for part in Path::new(OsStr::from_bytes(entry)).components() {
            match part {
                Component::Normal(_) if left > 0 => left -= 1,
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                Component::ParentDir => return Err(self.refuse(entry, "has a `..` in its name")),
                Component::RootDir | Component::Prefix(_) => {
                    return Err(self.refuse(entry, "has an absolute path as its name"));
                }
            }
        }
        Ok((!path.as_os_str().is_empty()).then_some(path))
    }

    /// The path of an entry that must be new, its parents created.
    fn new_node(&mut self, entry: &[u8]) -> Result<Option<PathBuf>, ExtractError> {
        let Some(path) = self.place(entry)? else {
            return Ok(None);
        };
        match self.nodes.get(&path) {
            Some(Node::Link(_)) => return Err(self.refuse(entry, "replaces a link")),
            Some(_) => return Err(self.refuse(entry, "is there twice")),
            None => {}
        }
        if let Some(parent) = path.parent() {
            self.make_folder(entry, parent)?;
        }
        Ok(Some(path))
    }

    fn make_folder(&mut self, entry: &[u8], path: &Path) -> Result<(), ExtractError> {
        let mut at = PathBuf::new();
        for part in path.components() {
            at.push(part);
            match self.nodes.get(&at) {
                Some(Node::Folder) => {}
                Some(Node::File) => return Err(self.refuse(entry, "is inside of a file")),
                Some(Node::Link(_)) => return Err(self.refuse(entry, "is behind a link")),
                None => {
                    let full = self.folder.join(&at);
                    DirBuilder::new()
                        .mode(0o755)
                        .create(&full)
                        .map_err(error::io("create", full))?;
                    self.nodes.insert(at.clone(), Node::Folder);
                }
            }
        }
        Ok(())
    }
}

/// The first of the links (path and target) that leads out of the folder that has them.
pub(super) fn first_that_leaves(links: &BTreeMap<PathBuf, PathBuf>) -> Option<&Path> {
    let path = links.keys().find(|path| !stays_inside(links, path))?;
    Some(path)
}

/// Follows a path through the known links, as the system would, with the folder as the world:
/// `false` as soon as it would leave. A dangling or circular link stays inside.
fn stays_inside(links: &BTreeMap<PathBuf, PathBuf>, path: &Path) -> bool {
    let mut at = PathBuf::new();
    // What is left to walk, the next part last.
    let mut left: Vec<Component<'_>> = path.components().rev().collect();
    let mut followed = 0;
    while let Some(part) = left.pop() {
        match part {
            Component::Normal(name) => at.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !at.pop() {
                    return false;
                }
            }
            Component::RootDir | Component::Prefix(_) => return false,
        }
        if let Some(target) = links.get(&at) {
            followed += 1;
            if followed > LINKS {
                return true;
            }
            at.pop();
            left.extend(target.components().rev());
        }
    }
    true
}
