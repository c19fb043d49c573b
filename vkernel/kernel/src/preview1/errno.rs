//! Errors of preview 1: from host errnos, and from mistakes in a guest's own arguments.
//!
//! Source of the numbers' meaning: the WASI preview 1 specification, errno(3). Invariant: every
//! Linux errno has an answer; those without a counterpart become `IO`, as wasmtime has it.

use rustix::io::Errno as Host;
use wiggle::GuestError;

use super::types::{Errno, Error};

/// Result of a preview 1 function's implementation.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The preview 1 errno for a host errno.
pub(crate) fn from_host(host: Host) -> Errno {
    from_number(host.raw_os_error())
}

fn from_number(number: i32) -> Errno {
    let found = TABLE.iter().find(|(host, _)| *host == number);
    found.map_or(Errno::Io, |(_, errno)| *errno)
}

/// Host errnos that have a counterpart. `EWOULDBLOCK`, `EOPNOTSUPP` and `EDEADLOCK` are the same
/// numbers as `EAGAIN`, `ENOTSUP` and `EDEADLK` on Linux.
const TABLE: &[(i32, Errno)] = &[
    (libc::E2BIG, Errno::TooBig),
    (libc::EACCES, Errno::Acces),
    (libc::EADDRINUSE, Errno::Addrinuse),
    (libc::EADDRNOTAVAIL, Errno::Addrnotavail),
    (libc::EAFNOSUPPORT, Errno::Afnosupport),
    (libc::EAGAIN, Errno::Again),
    (libc::EALREADY, Errno::Already),
    (libc::EBADF, Errno::Badf),
    (libc::EBADMSG, Errno::Badmsg),
    (libc::EBUSY, Errno::Busy),
    (libc::ECANCELED, Errno::Canceled),
    (libc::ECHILD, Errno::Child),
    (libc::ECONNABORTED, Errno::Connaborted),
    (libc::ECONNREFUSED, Errno::Connrefused),
    (libc::ECONNRESET, Errno::Connreset),
    (libc::EDEADLK, Errno::Deadlk),
    (libc::EDESTADDRREQ, Errno::Destaddrreq),
    (libc::EDOM, Errno::Dom),
    (libc::EDQUOT, Errno::Dquot),
    (libc::EEXIST, Errno::Exist),
    (libc::EFAULT, Errno::Fault),
    (libc::EFBIG, Errno::Fbig),
    (libc::EHOSTUNREACH, Errno::Hostunreach),
    (libc::EIDRM, Errno::Idrm),
    (libc::EILSEQ, Errno::Ilseq),
    (libc::EINPROGRESS, Errno::Inprogress),
    (libc::EINTR, Errno::Intr),
    (libc::EINVAL, Errno::Inval),
    (libc::EIO, Errno::Io),
    (libc::EISCONN, Errno::Isconn),
    (libc::EISDIR, Errno::Isdir),
    (libc::ELOOP, Errno::Loop),
    (libc::EMFILE, Errno::Mfile),
    (libc::EMLINK, Errno::Mlink),
    (libc::EMSGSIZE, Errno::Msgsize),
    (libc::EMULTIHOP, Errno::Multihop),
    (libc::ENAMETOOLONG, Errno::Nametoolong),
    (libc::ENETDOWN, Errno::Netdown),
    (libc::ENETRESET, Errno::Netreset),
    (libc::ENETUNREACH, Errno::Netunreach),
    (libc::ENFILE, Errno::Nfile),
    (libc::ENOBUFS, Errno::Nobufs),
    (libc::ENODEV, Errno::Nodev),
    (libc::ENOENT, Errno::Noent),
    (libc::ENOEXEC, Errno::Noexec),
    (libc::ENOLCK, Errno::Nolck),
    (libc::ENOLINK, Errno::Nolink),
    (libc::ENOMEM, Errno::Nomem),
    (libc::ENOMSG, Errno::Nomsg),
    (libc::ENOPROTOOPT, Errno::Noprotoopt),
    (libc::ENOSPC, Errno::Nospc),
    (libc::ENOSYS, Errno::Nosys),
    (libc::ENOTCONN, Errno::Notconn),
    (libc::ENOTDIR, Errno::Notdir),
    (libc::ENOTEMPTY, Errno::Notempty),
    (libc::ENOTRECOVERABLE, Errno::Notrecoverable),
    (libc::ENOTSOCK, Errno::Notsock),
    (libc::ENOTSUP, Errno::Notsup),
    (libc::ENOTTY, Errno::Notty),
    (libc::ENXIO, Errno::Nxio),
    (libc::EOVERFLOW, Errno::Overflow),
    (libc::EOWNERDEAD, Errno::Ownerdead),
    (libc::EPERM, Errno::Perm),
    (libc::EPIPE, Errno::Pipe),
    (libc::EPROTO, Errno::Proto),
    (libc::EPROTONOSUPPORT, Errno::Protonosupport),
    (libc::EPROTOTYPE, Errno::Prototype),
    (libc::ERANGE, Errno::Range),
    (libc::EROFS, Errno::Rofs),
    (libc::ESPIPE, Errno::Spipe),
    (libc::ESRCH, Errno::Srch),
    (libc::ESTALE, Errno::Stale),
    (libc::ETIMEDOUT, Errno::Timedout),
    (libc::ETXTBSY, Errno::Txtbsy),
    (libc::EXDEV, Errno::Xdev),
];

/// The errno for an argument that makes no sense. wasmtime 48 ends the program where a pointer
/// leads out of its memory; here it is `FAULT`, as the specification has it.
pub(crate) fn from_guest(error: &GuestError) -> Errno {
    match error {
        GuestError::InvalidFlagValue(_)
        | GuestError::InvalidEnumValue(_)
        | GuestError::TryFromIntError(_)
        | GuestError::PtrNotAligned(..) => Errno::Inval,
        GuestError::PtrOverflow
        | GuestError::PtrOutOfBounds(_)
        | GuestError::SliceLengthsDiffer => Errno::Fault,
        GuestError::InvalidUtf8(_) => Errno::Ilseq,
        GuestError::InFunc { err, .. } => from_guest(err),
    }
}

impl From<Host> for Error {
    fn from(host: Host) -> Error {
        from_host(host).into()
    }
}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Error {
        from_guest(&error).into()
    }
}

impl wiggle::GuestErrorType for Errno {
    fn success() -> Errno {
        Errno::Success
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux errnos that preview 1 does not know (`asm-generic/errno.h`).
    const UNKNOWN: &[i32] = &[
        libc::ENOTBLK,
        libc::ECHRNG,
        libc::EL2NSYNC,
        libc::EL3HLT,
        libc::EL3RST,
        libc::ELNRNG,
        libc::EUNATCH,
        libc::ENOCSI,
        libc::EL2HLT,
        libc::EBADE,
        libc::EBADR,
        libc::EXFULL,
        libc::ENOANO,
        libc::EBADRQC,
        libc::EBADSLT,
        libc::EBFONT,
        libc::ENOSTR,
        libc::ENODATA,
        libc::ETIME,
        libc::ENOSR,
        libc::ENONET,
        libc::ENOPKG,
        libc::EREMOTE,
        libc::EADV,
        libc::ESRMNT,
        libc::ECOMM,
        libc::EDOTDOT,
        libc::ENOTUNIQ,
        libc::EBADFD,
        libc::EREMCHG,
        libc::ELIBACC,
        libc::ELIBBAD,
        libc::ELIBSCN,
        libc::ELIBMAX,
        libc::ELIBEXEC,
        libc::ERESTART,
        libc::ESTRPIPE,
        libc::EUSERS,
        libc::ESOCKTNOSUPPORT,
        libc::EPFNOSUPPORT,
        libc::ESHUTDOWN,
        libc::ETOOMANYREFS,
        libc::EHOSTDOWN,
        libc::EUCLEAN,
        libc::ENOTNAM,
        libc::ENAVAIL,
        libc::EISNAM,
        libc::EREMOTEIO,
        libc::ENOMEDIUM,
        libc::EMEDIUMTYPE,
        libc::ENOKEY,
        libc::EKEYEXPIRED,
        libc::EKEYREVOKED,
        libc::EKEYREJECTED,
        libc::ERFKILL,
        libc::EHWPOISON,
    ];

    #[test]
    fn every_linux_errno_is_known_or_known_to_be_unknown() {
        // 41 and 58 are unused: EWOULDBLOCK and EDEADLOCK are aliases.
        for number in (1..=133).filter(|n| ![41, 58].contains(n)) {
            let mapped = TABLE.iter().filter(|(host, _)| *host == number).count();
            let unknown = UNKNOWN.iter().filter(|host| **host == number).count();
            assert_eq!(mapped + unknown, 1, "errno {number}");
            if unknown == 1 {
                assert_eq!(from_number(number), Errno::Io);
            }
        }
    }

    #[test]
    fn every_preview1_errno_is_reachable_once() {
        // Success is no error, and NOTCAPABLE belongs to the rights that nobody checks any more.
        for number in 1..76 {
            let errno = Errno::try_from(number).unwrap();
            let count = TABLE.iter().filter(|(_, wasi)| *wasi == errno).count();
            assert_eq!(count, 1, "{errno:?}");
        }
        assert_eq!(Errno::try_from(76).unwrap(), Errno::Notcapable);
        assert!(Errno::try_from(77).is_err());
    }

    #[test]
    fn numbers() {
        let check = |host: Host, expected| assert_eq!(from_host(host) as i32, expected);
        check(Host::NOENT, 44);
        check(Host::BADF, 8);
        check(Host::PERM, 63);
        check(Host::ACCESS, 2);
        check(Host::XDEV, 75);
        check(Host::TOOBIG, 1);
    }
}
