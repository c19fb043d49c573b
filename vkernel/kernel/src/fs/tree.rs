//! Internal file trees: the read-only files inside a megabinary.
//!
//! Look-up is a binary search over sorted paths; nothing is unpacked or copied at start. Not here:
//! walking a path (see [`walker`](super::walker)), positions and descriptors (see
//! [`table`](super::table)), and checks of the tree itself, which comes from a signed index.
//!
//! Invariant: whatever the index holds, a look-up gives a node or an errno. A tree that is not
//! sorted makes files unfindable, nothing worse.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use megabinary_format::{FileKind, FileNode, FileTree};
use rustix::io::Errno;

use super::Result;

/// Where the bytes of internal files are.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Mapped for the life of the process (the ELF's own mapping).
    Static {
        /// The bytes.
        bytes: &'static [u8],
        /// The offset, as file nodes count it, of the first byte.
        base: u64,
    },
    /// In memory, shared.
    Shared {
        /// The bytes.
        bytes: Arc<[u8]>,
        /// The offset, as file nodes count it, of the first byte.
        base: u64,
    },
    /// In a file that is read on demand; offsets are the file's own.
    File(Arc<OwnedFd>),
}

/// The bytes of one internal file.
pub(crate) enum Bytes<'a> {
    Slice(&'a [u8]),
    /// `len` bytes from `offset` of a host file.
    File {
        fd: BorrowedFd<'a>,
        offset: u64,
        len: u64,
    },
}

/// A tree, its contents and what the guest sees as its device.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Arc<FileTree>,
    contents: Contents,
    /// Device number in `filestat`, different for each tree and from the host's.
    pub(crate) device: u64,
}

/// Device number of the first internal tree: none that Linux gives out, whose minor numbers have 20
/// bits (`MINORBITS`, `linux/kdev_t.h`).
pub(crate) const DEVICE: u64 = 0xfff_0000_0000;

/// Whether a device number is an internal tree's.
pub(crate) fn is_internal(device: u64) -> bool {
    device >= DEVICE
}

impl Tree {
    pub(crate) fn new(files: Arc<FileTree>, contents: Contents, device: u64) -> Tree {
        Tree {
            files,
            contents,
            device,
        }
    }

    pub(crate) fn node(&self, node: usize) -> Result<&FileNode> {
        self.files.nodes.get(node).ok_or(Errno::NOENT)
    }

    /// Inode number: 1 for the root, then the nodes in their order.
    pub(crate) fn inode(node: Option<usize>) -> u64 {
        node.map_or(1, |node| node as u64 + 2)
    }

    /// The text of the link `node`; EINVAL if it is none.
    pub(crate) fn target(&self, node: Option<usize>) -> Result<&[u8]> {
        match &self.node(node.ok_or(Errno::INVAL)?)?.kind {
            FileKind::Symlink(target) => Ok(target.as_bytes()),
            _ => Err(Errno::INVAL),
        }
    }

    pub(crate) fn is_folder(&self, node: Option<usize>) -> bool {
        match node {
            None => true,
            Some(node) => self
                .node(node)
                .is_ok_and(|node| matches!(node.kind, FileKind::Directory)),
        }
    }

    /// The entry `name` of a folder.
    pub(crate) fn child(&self, folder: Option<usize>, name: &[u8]) -> Result<usize> {
        let mut wanted = Vec::new();
        if let Some(folder) = folder {
            wanted.extend_from_slice(self.node(folder)?.path.as_bytes());
            wanted.push(b'/');
        }
        wanted.extend_from_slice(name);
        if name.len() > 255 {
            return Err(Errno::NAMETOOLONG);
        }
        self.find(&wanted).ok_or(Errno::NOENT)
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        let nodes = &self.files.nodes;
        nodes
            .binary_search_by(|node| node.path.as_bytes().cmp(path))
            .ok()
    }

    /// The folder that holds `node`. EPERM above the root, as for any folder that is not a root.
    pub(crate) fn parent(&self, node: Option<usize>) -> Result<Option<usize>> {
        let node = self.node(node.ok_or(Errno::PERM)?)?;
        match node.path.rsplit_once('/') {
            None => Ok(None),
            Some((parent, _)) => self.find(parent.as_bytes()).map(Some).ok_or(Errno::NOENT),
        }
    }

    /// The direct children of a folder, in order.
    pub(crate) fn children(&self, folder: Option<usize>) -> Result<Vec<usize>> {
        let prefix = match folder {
            None => String::new(),
            Some(folder) => format!("{}/", self.node(folder)?.path),
        };
        let nodes = &self.files.nodes;
        let mut at = nodes.partition_point(|node| node.path.as_str() < prefix.as_str());
        let mut found = Vec::new();
        while let Some(node) = nodes.get(at) {
            let Some(rest) = node.path.strip_prefix(&prefix) else {
                break;
            };
            match rest.split_once('/') {
                None => {
                    found.push(at);
                    at += 1;
                }
                Some((child, _)) => {
                    // Over everything below `child/`: '0' is the byte after '/'.
                    let end = format!("{prefix}{child}0");
                    let skip = nodes.partition_point(|node| node.path < end);
                    at = skip.max(at + 1);
                }
            }
        }
        Ok(found)
    }

    /// Length of a file, or of a link's text; 0 for a folder.
    pub(crate) fn len(&self, node: Option<usize>) -> Result<u64> {
        let Some(node) = node else { return Ok(0) };
        Ok(match &self.node(node)?.kind {
            FileKind::Directory => 0,
            FileKind::File { len, .. } => *len,
            FileKind::Symlink(target) => target.len() as u64,
        })
    }

    /// The bytes of the file `node` from `position` on. EIO when the contents do not hold what
    /// the tree says.
    pub(crate) fn bytes(&self, node: usize, position: u64) -> Result<Bytes<'_>> {
        let FileKind::File { offset, len, .. } = self.node(node)?.kind else {
            return Err(Errno::ISDIR);
        };
        let position = position.min(len);
        let len = len - position;
        let offset = offset.checked_add(position).ok_or(Errno::IO)?;
        let (bytes, base) = match &self.contents {
            Contents::File(fd) => {
                let fd = fd.as_fd();
                return Ok(Bytes::File { fd, offset, len });
            }
            Contents::Static { bytes, base } => (*bytes, *base),
            Contents::Shared { bytes, base } => (&**bytes, *base),
        };
        let start = offset
            .checked_sub(base)
            .and_then(|at| usize::try_from(at).ok());
        let start = start.ok_or(Errno::IO)?;
        let len = usize::try_from(len).map_err(|_| Errno::IO)?;
        let end = start.checked_add(len).ok_or(Errno::IO)?;
        Ok(Bytes::Slice(bytes.get(start..end).ok_or(Errno::IO)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::resolve::{At, Last, Resolver, Scope, Start},
        *,
    };

    fn tree() -> Tree {
        let node = |path: &str, kind| FileNode {
            path: path.into(),
            kind,
        };
        let link = |target: &str| FileKind::Symlink(target.into());
        let file = |offset, len| FileKind::File {
            offset,
            len,
            executable: false,
        };
        let mut nodes = vec![
            node("a", FileKind::Directory),
            node("a-b", file(100, 2)),
            node("a/b", FileKind::Directory),
            node("a/b/c", file(102, 3)),
            node("a/b-c", file(105, 0)),
            node("a/up", link("../a-b")),
            node("abs", link("/lib/a/b")),
            node("escape", link("../../etc")),
            node("loop", link("loop")),
            node("out", link("/etc")),
            node("slash", link("a-b/")),
        ];
        nodes.sort_by(|a, b| a.path.cmp(&b.path));
        let files = FileTree {
            mount: "/lib".into(),
            nodes,
        };
        let contents = Contents::Static {
            bytes: b"xyabc",
            base: 100,
        };
        Tree::new(Arc::new(files), contents, 7)
    }

    fn check(path: &str, last: Last, expected: Result<&str>) {
        let tree = Arc::new(tree());
        let at = At::Tree {
            tree: &tree,
            node: None,
        };
        let scope = Scope::Beneath;
        let found = Resolver::new(None, false).object(Start { at, scope }, path.as_bytes(), last);
        let got = found.map(|found| match found.at() {
            At::Tree { node, .. } => node.map_or(".", |n| tree.files.nodes[n].path.as_str()),
            At::Host { .. } => "a host file",
        });
        assert_eq!(got, expected, "{path}");
    }

    #[test]
    fn resolution() {
        use Last::{Follow, NoFollow};
        check(".", Follow, Ok("."));
        check("a", Follow, Ok("a"));
        check("a/", Follow, Ok("a"));
        check("a/b/../b/./c", Follow, Ok("a/b/c"));
        check("a/up", Follow, Ok("a-b"));
        check("a/up", NoFollow, Ok("a/up"));
        check("abs/c", NoFollow, Ok("a/b/c"));
        check("abs", NoFollow, Ok("abs"));
        check("abs/", NoFollow, Ok("a/b"));
        check("a-b/", Follow, Err(Errno::NOTDIR));
        check("a-b/x", Follow, Err(Errno::NOTDIR));
        check("slash", Follow, Err(Errno::NOTDIR));
        check("none", Follow, Err(Errno::NOENT));
        check("a/none/x", Follow, Err(Errno::NOENT));
        check("loop", Follow, Err(Errno::LOOP));
        check("escape", Follow, Err(Errno::PERM));
        check("out", Follow, Err(Errno::PERM));
        check("..", Follow, Err(Errno::PERM));
        check("a/../..", Follow, Err(Errno::PERM));
        check("", Follow, Err(Errno::NOENT));
        check("/a", Follow, Err(Errno::PERM));
        check(&"n".repeat(256), Follow, Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn children_are_direct_and_complete() {
        let tree = tree();
        let names = |folder: Option<usize>| -> Vec<&str> {
            let children = tree.children(folder).unwrap();
            children
                .iter()
                .map(|n| tree.files.nodes[*n].path.as_str())
                .collect()
        };
        assert_eq!(
            names(None),
            ["a", "a-b", "abs", "escape", "loop", "out", "slash"]
        );
        assert_eq!(names(tree.find(b"a")), ["a/b", "a/b-c", "a/up"]);
        assert_eq!(names(tree.find(b"a/b")), ["a/b/c"]);
    }

    #[test]
    fn contents() {
        let tree = tree();
        let node = tree.find(b"a/b/c").unwrap();
        let read = |at| match tree.bytes(node, at) {
            Ok(Bytes::Slice(bytes)) => bytes.to_vec(),
            _ => panic!("not a slice"),
        };
        assert_eq!(read(0), b"abc");
        assert_eq!(read(2), b"c");
        assert_eq!(read(3), b"");
        assert_eq!(read(u64::MAX), b"");
        assert_eq!(
            tree.bytes(tree.find(b"a").unwrap(), 0).err(),
            Some(Errno::ISDIR)
        );
    }

    #[test]
    fn contents_that_are_missing() {
        let mut tree = tree();
        tree.contents = Contents::Static {
            bytes: b"xyab",
            base: 100,
        };
        let node = tree.find(b"a/b/c").unwrap();
        assert_eq!(tree.bytes(node, 0).err(), Some(Errno::IO));
        tree.contents = Contents::Static {
            bytes: b"",
            base: 200,
        };
        assert_eq!(tree.bytes(node, 0).err(), Some(Errno::IO));
    }
}
