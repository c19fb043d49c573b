//! Socket addresses: copied once, and judged: paths here, the internet's in [`network`].
//!
//! [`network`]: super::network

use rustix::io::Errno;

use super::{
    super::{
        answer::word,
        syscall::{self, Arg},
    },
    caller::Caller,
    held::Held,
    judge::Act,
    network::{Network, Use},
    object::{self, split},
    paths::{Paths, Reach},
};

/// Largest address (`_K_SS_MAXSIZE`); the host refuses a longer one by its length alone.
const MOST: usize = 128;

/// Where the path of a `sockaddr_un` begins.
const PATH: usize = 2;

/// Size of a `sockaddr_un`; the host refuses a longer one by its length alone.
const UNIX: usize = size_of::<libc::sockaddr_un>();

/// An address as the host is to get it.
pub(crate) struct Address<'a> {
    bytes: [u8; MOST],
    len: usize,
    /// The guest's own, where nothing is judged.
    given: Option<[Arg<'static>; 2]>,
    /// What the path in `bytes` leads to.
    _held: Option<Held<'a>>,
}

impl Address<'_> {
    /// Address and length for the host.
    pub(crate) fn args(&self) -> [Arg<'_>; 2] {
        self.given
            .unwrap_or([Arg::input(&self.bytes), self.len.into()])
    }
}

/// Judges the address that a guest gives for a socket; null is none.
pub(crate) fn judged<'a>(
    caller: &Caller<'_>,
    (paths, network): (&'a Paths, &Network),
    operation: &str,
    socket: Arg<'_>,
    (pointer, len): (u64, u64),
    wanted: Use,
) -> Result<Address<'a>, Errno> {
    let (pointer, size) = (word(pointer), len as i32);
    let mut address = Address {
        bytes: [0; MOST],
        len: 0,
        given: Some([caller.memory().arg(pointer), len.into()]),
        _held: None,
    };
    let size = match usize::try_from(size) {
        Ok(size) if pointer != 0 && (PATH..=MOST).contains(&size) => size,
        _ => return Ok(address),
    };
    if paths.reach == Reach::Programs && !network.is_limited() {
        return Ok(address);
    }
    caller.memory().read(pointer, &mut address.bytes[..size])?;
    address.given = None;
    address.len = size;
    network.judge(caller, operation, &address.bytes[..size], wanted)?;
    let family = u16::from_le_bytes([address.bytes[0], address.bytes[1]]);
    if i32::from(family) == libc::AF_UNIX && size <= UNIX && paths.reach > Reach::Programs {
        let rest = &address.bytes[PATH..size];
        let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        let path = rest[..end].to_vec();
        // Abstract names and no names are no paths (unix(7)).
        if !path.is_empty()
            && let Err(errno) = judge_path(caller, paths, operation, &path, wanted, &mut address)
        {
            if !is_of_another_family(socket) {
                return Err(errno);
            }
            // The host says what such a socket says to such an address; it gets no path, for by then
            // another thread may have put another socket here.
            address.bytes[PATH..size].fill(0);
        }
    }
    Ok(address)
}

/// Whether a socket's addresses have no paths.
fn is_of_another_family(socket: Arg<'_>) -> bool {
    let mut family = 0_i32;
    let mut len = size_of_val(&family) as u32;
    let args = [
        socket,
        libc::SOL_SOCKET.into(),
        libc::SO_DOMAIN.into(),
        Arg::output(&mut family),
        Arg::output(&mut len),
    ];
    // SAFETY: the kernel writes at most `len` bytes to `family`, and `len`.
    #[allow(unsafe_code)]
    let result = unsafe { syscall::call(libc::SYS_getsockopt, args) };
    result == Ok(0) && family != libc::AF_UNIX
}

fn judge_path<'a>(
    caller: &Caller<'_>,
    paths: &'a Paths,
    operation: &str,
    path: &[u8],
    wanted: Use,
    address: &mut Address<'a>,
) -> Result<(), Errno> {
    match wanted {
        Use::Own => {
            // The host keeps the string as the socket's name, so that it has to be the guest's.
            if let Some((above, name)) = split(path) {
                let folder = paths.object(caller, libc::AT_FDCWD, above, true)?;
                paths.judge_name(caller, operation, &folder, name, Act::Name)?;
            }
        }
        Use::Peer | Use::Message if paths.reach == Reach::Everything => {
            let held = paths.object(caller, libc::AT_FDCWD, path, true)?;
            paths.judge(caller, operation, &held, Act::Look)?;
            let string = object::path_of(&held);
            let string = string.to_bytes_with_nul();
            address.bytes[PATH..].fill(0);
            address.bytes[PATH..PATH + string.len()].copy_from_slice(string);
            address.len = PATH + string.len();
            address._held = Some(held);
        }
        Use::Peer | Use::Message => {}
    }
    Ok(())
}
