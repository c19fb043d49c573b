//! Listings: the entries of a folder at one moment, addressed by cookies.
//!
//! A cookie is an entry's place in the listing plus one, so it stays valid while the descriptor
//! keeps the listing: until cookie 0 asks for a fresh one, as rewinddir(3) does. A folder that
//! changes meanwhile neither repeats nor skips entries that were there all along.
//!
//! Invariant: `.` and `..` come first, always with the folder's own inode number: the number of
//! a sandbox root's parent is nobody's business.

use std::os::fd::BorrowedFd;

use megabinary_format::FileKind;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

use super::{Result, retry, tree::Tree};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) inode: u64,
    pub(crate) kind: FileType,
}

/// The entries of a folder, `.` and `..` first.
pub(crate) type Listing = Vec<Entry>;

fn dots(inode: u64) -> Listing {
    let dot = |name: &[u8]| Entry {
        name: name.to_vec(),
        inode,
        kind: FileType::Directory,
    };
    vec![dot(b"."), dot(b"..")]
}

/// Lists a host folder, without the names for which `hides` is true.
pub(crate) fn host(dir: BorrowedFd<'_>, hides: impl Fn(&[u8]) -> bool) -> Result<Listing> {
    // A description of its own: its position is nobody else's, and `O_PATH` starts can be listed.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = retry(|| rustix::fs::openat(dir, ".", flags, Mode::empty()))?;
    let mut listing = dots(rustix::fs::fstat(&own)?.st_ino);
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut raw = RawDir::new(&own, buffer.spare_capacity_mut());
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." || hides(name) {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                match rustix::fs::statat(dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(_) => FileType::Unknown,
                }
            }
            kind => kind,
        };
        listing.push(Entry {
            name: name.to_vec(),
            inode: entry.ino(),
            kind,
        });
    }
    Ok(listing)
}

/// Lists a folder of an internal tree.
pub(crate) fn tree(tree: &Tree, folder: Option<usize>) -> Result<Listing> {
    let mut listing = dots(Tree::inode(folder));
    for child in tree.children(folder)? {
        let node = tree.node(child)?;
        let name = node.path.rsplit('/').next().unwrap_or_default();
        listing.push(Entry {
            name: name.as_bytes().to_vec(),
            inode: Tree::inode(Some(child)),
            kind: kind(&node.kind),
        });
    }
    Ok(listing)
}

/// Makes `name` the folder that is attached there, whatever lies below it.
pub(crate) fn cover(listing: &mut Listing, name: &[u8], inode: u64) {
    let kind = FileType::Directory;
    match listing.iter_mut().find(|entry| entry.name == name) {
        Some(covered) => (covered.inode, covered.kind) = (inode, kind),
        None => listing.push(Entry {
            name: name.to_vec(),
            inode,
            kind,
        }),
    }
}

/// The file type of a node of an internal tree.
pub(crate) fn kind(kind: &FileKind) -> FileType {
    match kind {
        FileKind::Directory => FileType::Directory,
        FileKind::File { .. } => FileType::RegularFile,
        FileKind::Symlink(_) => FileType::Symlink,
    }
}
