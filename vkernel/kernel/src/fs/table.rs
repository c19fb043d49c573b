//! The descriptor table: small numbers to open objects.
//!
//! Knows nothing of paths or of guests' memory. Invariants: numbers are dense, a new descriptor
//! gets the lowest free number (POSIX open(2)), and no more than the limit are ever open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::{
    Result,
    namespace::MountId,
    readdir::Listing,
    resolve::{At, Scope, Start},
    tree::Tree,
};

/// A host descriptor: this process's own, or one that outlives it and stays open when the guest
/// closes its number.
#[derive(Debug)]
pub(crate) enum HostFd {
    Owned(OwnedFd),
    Shared(Arc<OwnedFd>),
    Inherited(BorrowedFd<'static>),
}

impl AsFd for HostFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            HostFd::Owned(fd) => fd.as_fd(),
            HostFd::Shared(fd) => fd.as_fd(),
            HostFd::Inherited(fd) => *fd,
        }
    }
}

/// What a descriptor refers to.
#[derive(Debug)]
pub(crate) enum Object {
    /// A host object that is not a folder: file, pipe, device, socket. It keeps its own position.
    File(HostFd),
    /// A host folder and how far paths may reach from it.
    Directory {
        fd: HostFd,
        scope: Scope,
        mount: MountId,
    },
    /// A file of an internal tree, with the position in it.
    TreeFile {
        tree: Arc<Tree>,
        node: usize,
        position: u64,
    },
    /// A folder of an internal tree; `None` is its root.
    TreeDirectory {
        tree: Arc<Tree>,
        node: Option<usize>,
    },
}

impl Object {
    /// As the start of a resolution; EBADF for what is not a folder.
    pub(crate) fn start(&self) -> Result<Start<'_>> {
        match self {
            Object::Directory { fd, scope, mount } => Ok(Start {
                at: At::Host {
                    fd: fd.as_fd(),
                    mount: *mount,
                },
                scope: *scope,
            }),
            Object::TreeDirectory { tree, node } => Ok(Start {
                at: At::Tree { tree, node: *node },
                scope: Scope::Beneath,
            }),
            Object::File(_) | Object::TreeFile { .. } => Err(Errno::BADF),
        }
    }
}

/// An open descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor {
    pub(crate) object: Object,
    /// Guest path, if the descriptor was open from the start.
    pub(crate) preopen: Option<String>,
    /// Standard stream: its flags belong to others too and are not changed.
    pub(crate) is_stdio: bool,
    /// The entries read last from a folder.
    pub(crate) listing: Option<Listing>,
}

impl Descriptor {
    pub(crate) fn new(object: Object) -> Descriptor {
        Descriptor {
            object,
            preopen: None,
            is_stdio: false,
            listing: None,
        }
    }
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Option<Descriptor>>,
    open: usize,
    /// Every number below is taken.
    lowest: usize,
    max: Option<u32>,
}

impl Table {
    /// An empty table for at most `max` descriptors.
    pub(crate) fn new(max: Option<u32>) -> Table {
        Table {
            max,
            ..Table::default()
        }
    }

    /// EMFILE when nothing more may be opened. For callers that would have effects before
    /// [`Table::insert`] could refuse.
    pub(crate) fn room(&self) -> Result<()> {
        // The numbers 2^31 and above are taken by nobody: guests use signed ones.
        let max = self.max.unwrap_or(i32::MAX as u32);
        if self.open as u64 >= u64::from(max) {
            return Err(Errno::MFILE);
        }
        Ok(())
    }

    /// Gives `descriptor` the lowest free number.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        self.room()?;
        let free = self
            .slots
            .iter()
            .skip(self.lowest)
            .position(Option::is_none);
        let number = free.map_or(self.slots.len(), |at| self.lowest + at);
        match self.slots.get_mut(number) {
            Some(slot) => *slot = Some(descriptor),
            None => self.slots.push(Some(descriptor)),
        }
        self.open += 1;
        self.lowest = number + 1;
        u32::try_from(number).map_err(|_| Errno::MFILE)
    }

    pub(crate) fn get(&self, number: u32) -> Result<&Descriptor> {
        let slot = self.slots.get(number as usize);
        slot.and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Result<&mut Descriptor> {
        let slot = self.slots.get_mut(number as usize);
        slot.and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    /// Frees a number and gives back what it referred to.
    pub(crate) fn remove(&mut self, number: u32) -> Result<Descriptor> {
        let slot = self.slots.get_mut(number as usize);
        let descriptor = slot.and_then(Option::take).ok_or(Errno::BADF)?;
        self.open -= 1;
        self.lowest = self.lowest.min(number as usize);
        Ok(descriptor)
    }

    /// Moves `from` to `to`, which must be open and is closed. Unlike dup2(2), `to` may not be
    /// unused: a number that the guest's libc did not hand out must not appear by itself.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.remove(from)?;
            *self.get_mut(to)? = moved;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> Descriptor {
        Descriptor::new(Object::File(HostFd::Inherited(rustix::stdio::stdin())))
    }

    #[test]
    fn lowest_free_number() {
        let mut table = Table::new(None);
        for expected in 0..4 {
            assert_eq!(table.insert(any()), Ok(expected));
        }
        table.remove(2).unwrap();
        table.remove(1).unwrap();
        assert_eq!(table.insert(any()), Ok(1));
        assert_eq!(table.insert(any()), Ok(2));
        assert_eq!(table.insert(any()), Ok(4));
        assert_eq!(table.remove(9).err(), Some(Errno::BADF));
    }

    #[test]
    fn limit() {
        let mut table = Table::new(Some(2));
        table.insert(any()).unwrap();
        table.insert(any()).unwrap();
        assert_eq!(table.insert(any()), Err(Errno::MFILE));
        table.remove(0).unwrap();
        assert_eq!(table.insert(any()), Ok(0));
    }

    #[test]
    fn renumbering() {
        let mut table = Table::new(None);
        table.insert(any()).unwrap();
        table.insert(any()).unwrap();
        assert_eq!(table.renumber(0, 5), Err(Errno::BADF));
        assert_eq!(table.renumber(5, 0), Err(Errno::BADF));
        assert_eq!(table.renumber(1, 1), Ok(()));
        assert_eq!(table.renumber(1, 0), Ok(()));
        assert!(table.get(1).is_err() && table.get(0).is_ok());
        assert_eq!(table.insert(any()), Ok(1));
    }
}
