//! Path resolution one component at a time, for hosts without `openat2(2)`.
//!
//! Every component is opened by itself with `O_PATH | O_NOFOLLOW` in the folder opened before it;
//! links are read from the descriptor that was opened, and `..` pops a stack of open folders
//! instead of asking the host. So however the tree is changed meanwhile, the walk stands only in
//! folders that it entered downwards from the start.
//!
//! Invariant: the host never gets a name that contains `/` in front of another component, is
//! `..`, or is a link to follow.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    Result, path,
    resolve::{Last, Place, PlaceDir, Scope},
    retry, special,
};

/// Most symbolic links followed in one resolution (`MAXSYMLINKS` of Linux, path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// As [`super::resolve::Resolver::object`].
pub(crate) fn object(
    start: BorrowedFd<'_>,
    scope: Scope,
    path: &[u8],
    last: Last,
) -> Result<OwnedFd> {
    let mut walk = Walk::new(start, scope, path);
    while let Some(name) = walk.components.pop() {
        let is_last = walk.components.is_empty();
        if let Some(object) = walk.step(&name, is_last, last == Last::Follow)? {
            return Ok(object);
        }
    }
    walk.into_folder()
}

/// The folder at `path`.
pub(crate) fn folder(start: BorrowedFd<'_>, scope: Scope, path: &[u8]) -> Result<OwnedFd> {
    let mut walk = Walk::new(start, scope, path);
    walk.folder = true;
    while let Some(name) = walk.components.pop() {
        let is_last = walk.components.is_empty();
        walk.step(&name, is_last, true)?;
    }
    walk.into_folder()
}

/// As [`super::resolve::Resolver::place_behind_links`].
pub(crate) fn place_behind_links<'a>(
    start: BorrowedFd<'a>,
    scope: Scope,
    path: &[u8],
) -> Result<Place<'a>> {
    let mut walk = Walk::new(start, scope, path);
    while let Some(name) = walk.components.pop() {
        let is_last = walk.components.is_empty();
        if is_last && name != b"." && name != b".." {
            match open(walk.here(), &name) {
                Err(Errno::NOENT) => return Ok(walk.into_place(start, name)),
                Err(error) => return Err(error),
                Ok(found) if !is_link(found.as_fd())? => return Ok(walk.into_place(start, name)),
                Ok(link) => walk.follow(link.as_fd(), &name)?,
            }
        } else {
            walk.step(&name, is_last, true)?;
        }
    }
    Ok(walk.into_place(start, b".".to_vec()))
}

struct Walk<'a> {
    start: BorrowedFd<'a>,
    scope: Scope,
    /// Folders entered below the start, outermost first.
    entered: Vec<OwnedFd>,
    /// Components still to walk, the next one last.
    components: Vec<Vec<u8>>,
    /// Whether what the path ends in must be a folder.
    folder: bool,
    links: u32,
}

impl<'a> Walk<'a> {
    fn new(start: BorrowedFd<'a>, scope: Scope, path: &[u8]) -> Walk<'a> {
        let mut walk = Walk {
            start,
            scope,
            entered: Vec::new(),
            components: Vec::new(),
            folder: false,
            links: 0,
        };
        walk.push(path);
        walk
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().map_or(self.start, |fd| fd.as_fd())
    }

    /// Puts the components of `path` in front of those still to walk.
    fn push(&mut self, path: &[u8]) {
        if self.components.is_empty() && path::ends_in_slash(path) {
            self.folder = true;
        }
        let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
        self.components.extend(parts.rev().map(<[u8]>::to_vec));
    }

    /// Walks one component. Gives the object when the walk ends at something other than a
    /// folder that was entered.
    fn step(&mut self, name: &[u8], is_last: bool, follow: bool) -> Result<Option<OwnedFd>> {
        match name {
            b"." => {
                // As the kernel: search permission is needed even to stay.
                open(self.here(), b".")?;
                return Ok(None);
            }
            b".." => {
                if self.entered.pop().is_none() && self.scope == Scope::Beneath {
                    return Err(Errno::PERM);
                }
                return Ok(None);
            }
            _ => {}
        }
        let fd = open(self.here(), name)?;
        match file_type(fd.as_fd())? {
            FileType::Directory => {
                self.entered.push(fd);
                Ok(None)
            }
            FileType::Symlink if !is_last || follow || self.folder => {
                self.follow(fd.as_fd(), name)?;
                Ok(None)
            }
            _ if !is_last || self.folder => Err(Errno::NOTDIR),
            _ => Ok(Some(fd)),
        }
    }

    fn follow(&mut self, link: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX || special::is_magic_link(link, name)? {
            return Err(Errno::LOOP);
        }
        let target = rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes();
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.starts_with(b"/") {
            if self.scope == Scope::Beneath {
                return Err(Errno::PERM);
            }
            self.entered.clear();
        }
        self.push(&target);
        Ok(())
    }

    /// The folder in which the walk ended, as a descriptor of its own.
    fn into_folder(mut self) -> Result<OwnedFd> {
        match self.entered.pop() {
            Some(fd) => Ok(fd),
            None => open(self.start, b"."),
        }
    }

    fn into_place(mut self, start: BorrowedFd<'a>, mut name: Vec<u8>) -> Place<'a> {
        if self.folder && name != b"." {
            name.push(b'/');
        }
        Place {
            dir: match self.entered.pop() {
                Some(fd) => PlaceDir::Opened(fd),
                None => PlaceDir::Start(start),
            },
            name,
        }
    }
}

fn open(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry(|| rustix::fs::openat(dir, name, flags, Mode::empty()))
}

fn file_type(fd: BorrowedFd<'_>) -> Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

fn is_link(fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(file_type(fd)? == FileType::Symlink)
}
