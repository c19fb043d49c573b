//! Socket addresses: copied once, and judged: paths here, the internet's in [`super::super::network`].

use rustix::io::Errno;

use super::{
    super::{
        call::{Cx, word},
        host,
    },
    Held, Reach,
    object::{self, Act, split},
};

/// Largest address (`_K_SS_MAXSIZE`); the host refuses a longer one by its length alone.
const MOST: usize = 128;

/// Where the path of a `sockaddr_un` begins.
const PATH: usize = 2;

/// Size of a `sockaddr_un`; the host refuses a longer one by its length alone.
const UNIX: usize = size_of::<libc::sockaddr_un>();

/// An address as the host is to get it.
pub(in super::super) struct Address<'a> {
    bytes: [u8; MOST],
    len: usize,
    /// The guest's own, where nothing is judged.
    passed: Option<(u64, u64)>,
    /// What the path in `bytes` leads to.
    _held: Option<Held<'a>>,
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Use {
    /// bind(2).
    Own,
    /// connect(2).
    Peer,
    /// sendto(2) and its like.
    Message,
}

impl Address<'_> {
    /// Address and length for the host.
    pub(in super::super) fn arguments(&self) -> (u64, u64) {
        self.passed
            .unwrap_or((self.bytes.as_ptr() as u64, self.len as u64))
    }
}

/// Judges the address that a guest gives for a socket; null is none.
pub(in super::super) fn judged<'a>(
    cx: &Cx<'a>,
    operation: &str,
    socket: u64,
    (pointer, len): (u64, u64),
    wanted: Use,
) -> Result<Address<'a>, Errno> {
    let paths = &cx.process.host.paths;
    let (pointer, size) = (word(pointer), len as i32);
    let mut address = Address {
        bytes: [0; MOST],
        len: 0,
        passed: Some((cx.memory().address(pointer), len)),
        _held: None,
    };
    let size = match usize::try_from(size) {
        Ok(size) if pointer != 0 && (PATH..=MOST).contains(&size) => size,
        _ => return Ok(address),
    };
    let network = &cx.process.host.network;
    if paths.reach == Reach::Programs && !network.is_limited() {
        return Ok(address);
    }
    cx.memory().read(pointer, &mut address.bytes[..size])?;
    address.passed = None;
    address.len = size;
    network.judge(cx, operation, &address.bytes[..size], wanted)?;
    let family = u16::from_le_bytes([address.bytes[0], address.bytes[1]]);
    if i32::from(family) == libc::AF_UNIX && size <= UNIX && paths.reach > Reach::Programs {
        let rest = &address.bytes[PATH..size];
        let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        let path = rest[..end].to_vec();
        // Abstract names and no names are no paths (unix(7)).
        if !path.is_empty()
            && let Err(errno) = judge_path(cx, operation, &path, wanted, &mut address)
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
fn is_of_another_family(socket: u64) -> bool {
    let mut family = 0_i32;
    let mut len = size_of_val(&family) as u32;
    let args = [
        socket,
        libc::SOL_SOCKET as u64,
        libc::SO_DOMAIN as u64,
        (&raw mut family) as u64,
        (&raw mut len) as u64,
        0,
    ];
    // SAFETY: the kernel writes at most `len` bytes to `family`.
    #[allow(unsafe_code)]
    let result = unsafe { host::call(libc::SYS_getsockopt, &args) };
    result == 0 && std::hint::black_box(family) != libc::AF_UNIX
}

fn judge_path<'a>(
    cx: &Cx<'a>,
    operation: &str,
    path: &[u8],
    wanted: Use,
    address: &mut Address<'a>,
) -> Result<(), Errno> {
    let paths = &cx.process.host.paths;
    match wanted {
        Use::Own => {
            // The host keeps the string as the socket's name, so that it has to be the guest's.
            if let Some((above, name)) = split(path) {
                let folder = paths.object(cx, libc::AT_FDCWD, above, true)?;
                paths.judge_name(cx, operation, &folder, name, Act::Name)?;
            }
        }
        Use::Peer | Use::Message if paths.reach == Reach::Everything => {
            let held = paths.object(cx, libc::AT_FDCWD, path, true)?;
            paths.judge(cx, operation, &held, Act::Look)?;
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
