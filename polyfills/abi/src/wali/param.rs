//! What a parameter of a system call is: its width, what the host is given for it, and what the policy
//! has to say.

use crate::personality::Type;

/// A parameter. Where nothing else is said it is an `i32` of WebAssembly, which is zero-extended when it is
/// widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// `int`; sign-extended when it is widened.
    Int,
    /// `unsigned int`, or a word whose meaning another argument decides (fcntl, ioctl, semctl).
    Unsigned,
    /// `size_t`.
    Size,
    /// A `long` or `unsigned long` of Linux on x86-64: an `i64`.
    Long,
    /// `off_t` or `loff_t`: an `i64`.
    Offset,

    /// A descriptor of the guest's; sign-extended.
    Fd,
    /// A descriptor whose object the call looks at.
    FdLook,
    /// A descriptor whose object the call changes, whatever it was opened for.
    FdChange,
    /// A descriptor of a folder that the call lists; a function of the vkernel's judges what it shows.
    FdList,
    /// A descriptor, or a negative number for none.
    FdOrNone,
    /// A folder's descriptor, or AT_FDCWD: what the path behind it is relative to.
    Folder,

    /// The address of something that the call reads.
    In,
    /// The address of something that the call writes.
    Out,
    /// The address of something that the call reads and writes.
    InOut,
    /// The address of a string that is no path.
    Text,
    /// An address as such: where a map is, or is to be.
    Range,

    /// The address of a path, and what the call does with what the path names.
    Path(PathUse),
    /// The address of a socket address, which may be a path, or of a message header that may have one. A
    /// function of the vkernel's judges it.
    SocketAddress,

    /// Flags that say how a path is taken: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH; an `int`.
    AtFlags,
    /// The same: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH; an `int`.
    LinkFlags,
    /// Flags of inotify(7): IN_DONT_FOLLOW.
    WatchFlags,
}

/// What a call does with what a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathUse {
    /// Its object is looked at; a last link is followed unless flags say otherwise.
    Look,
    /// The same; a last link is not followed.
    LookAtLink,
    /// Its object is changed; a last link is followed unless flags say otherwise.
    Change,
    /// The same; a last link is not followed.
    ChangeLink,
    /// It becomes or loses a name.
    Name,
    /// It is renamed, or replaced by a rename.
    Rename,
    /// The file that gets another name; a last link is followed only if flags say so.
    Link,
    /// It is opened or read, by a function of the vkernel's, which judges it.
    Open,
}

impl Param {
    /// Its core WebAssembly type.
    pub const fn ty(self) -> Type {
        match self {
            Param::Long | Param::Offset => Type::I64,
            _ => Type::I32,
        }
    }

    /// Whether an `i32` is sign-extended when it is widened.
    pub const fn is_signed(self) -> bool {
        matches!(self, Param::Int | Param::AtFlags | Param::LinkFlags) || self.is_descriptor()
    }

    /// Whether it is a descriptor, or may be one.
    pub const fn is_descriptor(self) -> bool {
        matches!(
            self,
            Param::Fd
                | Param::FdLook
                | Param::FdChange
                | Param::FdList
                | Param::FdOrNone
                | Param::Folder
        )
    }

    /// Whether it is an address of the guest's.
    pub const fn is_address(self) -> bool {
        matches!(
            self,
            Param::In
                | Param::Out
                | Param::InOut
                | Param::Text
                | Param::Range
                | Param::Path(_)
                | Param::SocketAddress
        )
    }

    /// The word for its type in `polyfills/sysroot/syscalls.txt`.
    pub const fn word(self) -> &'static str {
        match self {
            Param::Size => "size",
            Param::Long => "long",
            Param::Offset => "offset",
            _ if self.is_address() => "pointer",
            _ if self.is_signed() => "int",
            _ => "unsigned",
        }
    }
}
