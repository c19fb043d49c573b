//! The network policy: which addresses sockets may talk to, and which they may have.
//!
//! Addresses are judged after they were copied from the guest, in the calls that give one: connect,
//! bind, listen, and messages. What a socket receives on an address that it may have is not judged.
//!
//! Invariant: no packet leaves for an address that no rule has. So options that send packets by other
//! ways (source routes) are refused, and so are protocols that find addresses by themselves.
#![allow(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libc::*;
use megabinary_format::NetworkRule;
use rustix::io::Errno;

use super::{
    super::syscall::{self, Arg},
    caller::Caller,
};

/// The rules; `None` allows all.
#[derive(Debug)]
pub(crate) struct Network(Option<Vec<NetworkRule>>);

/// Options, and kinds of control messages, that send packets by other ways: `IP_OPTIONS` and
/// `IP_RETOPTS` (ip(7)), the routing headers of RFC 3542 and RFC 2292.
const ROUTES: &[(i32, i32)] = &[
    (IPPROTO_IP, IP_OPTIONS),
    (IPPROTO_IP, IP_RETOPTS),
    (IPPROTO_IPV6, 57),
    (IPPROTO_IPV6, 5),
    (IPPROTO_IPV6, 6),
];

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// bind(2).
    Own,
    /// connect(2).
    Peer,
    /// sendto(2) and its like.
    Message,
}

const REASON: &str = "the network policy has no rule for it";

impl Network {
    pub(crate) fn new(rules: Option<Vec<NetworkRule>>) -> Network {
        Network(rules)
    }

    /// Whether there is anything to judge.
    pub(crate) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// socket(2) of one of the internet's families.
    pub(crate) fn judge_socket(&self, caller: &Caller<'_>) -> Result<(), Errno> {
        match &self.0 {
            Some(rules) if rules.is_empty() => {
                Err(refuse(caller, "socket", "the internet", REASON))
            }
            _ => Ok(()),
        }
    }

    /// An address that a guest gives.
    pub(crate) fn judge(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        address: &[u8],
        wanted: Use,
    ) -> Result<(), Errno> {
        let Some(rules) = &self.0 else { return Ok(()) };
        // What is no address of the internet, or too short for one, the host decides.
        let Some(address) = decode(address, wanted) else {
            return Ok(());
        };
        let allowed = match wanted {
            Use::Own => may_have(rules, address),
            Use::Peer | Use::Message => may_reach(rules, address),
        };
        match allowed {
            true => Ok(()),
            false => Err(refuse(caller, operation, &address.to_string(), REASON)),
        }
    }

    /// listen(2): by the address that the socket has. Without one it would get any.
    pub(crate) fn judge_listening(
        &self,
        caller: &Caller<'_>,
        descriptor: Arg<'_>,
    ) -> Result<(), Errno> {
        let Some(rules) = &self.0 else { return Ok(()) };
        let mut bytes = [0_u8; 128];
        let mut len = bytes.len() as u32;
        let args = [descriptor, Arg::output(&mut bytes), Arg::output(&mut len)];
        // SAFETY: the host writes at most `len` bytes, and `len`.
        let result = unsafe { syscall::call(SYS_getsockname, args) };
        let len = (len as usize).min(bytes.len());
        let address = decode(&bytes[..len], Use::Own);
        let Some(address) = address.filter(|_| result == Ok(0)) else {
            return Ok(());
        };
        let allowed = rules.iter().any(|rule| {
            let port = match address.port() {
                0 => rule.has_port(1) && rule.has_port(u16::MAX),
                port => rule.has_port(port),
            };
            port && rule.has_address(address.ip())
        });
        match allowed {
            true => Ok(()),
            false => Err(refuse(caller, "listen", &address.to_string(), REASON)),
        }
    }

    /// An option, or a kind of control message.
    pub(crate) fn judge_option(
        &self,
        caller: &Caller<'_>,
        operation: &str,
        level: i32,
        option: i32,
    ) -> Result<(), Errno> {
        if self.is_limited() && ROUTES.contains(&(level, option)) {
            let what = format!("option {option} of level {level}");
            let reason = "under a network policy packets have no routes of their own";
            return Err(refuse(caller, operation, &what, reason));
        }
        Ok(())
    }

    /// Control messages of sendmsg(2), as the host is to get them (cmsg(3)).
    pub(crate) fn judge_control(&self, caller: &Caller<'_>, control: &[u8]) -> Result<(), Errno> {
        const HEADER: usize = 16;
        let mut rest = control;
        while rest.len() >= HEADER {
            let word = |at: usize| {
                rest[at..]
                    .first_chunk()
                    .map_or(0, |b| i32::from_le_bytes(*b))
            };
            let len = rest.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
            self.judge_option(caller, "sendmsg", word(8), word(12))?;
            let step = usize::try_from(len)
                .unwrap_or(usize::MAX)
                .max(HEADER)
                .checked_next_multiple_of(8);
            rest = step.and_then(|step| rest.get(step..)).unwrap_or_default();
        }
        Ok(())
    }
}

/// The address of the internet that the host reads from these bytes, if it would read one.
fn decode(bytes: &[u8], wanted: Use) -> Option<SocketAddr> {
    let family = i32::from(u16::from_le_bytes(*bytes.first_chunk()?));
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    let address: IpAddr = match family {
        // Linux takes it for IPv4 in messages and in bind; for connect it means to let go.
        AF_UNSPEC if wanted == Use::Peer => return None,
        AF_INET | AF_UNSPEC => Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?).into(),
        AF_INET6 => Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(address.to_canonical(), port))
}

fn may_reach(rules: &[NetworkRule], address: SocketAddr) -> bool {
    // The unspecified address leads to the machine itself.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    rules
        .iter()
        .any(|rule| rule.has_address(ip) && rule.has_port(address.port()))
}

fn may_have(rules: &[NetworkRule], address: SocketAddr) -> bool {
    let any = address.port() == 0;
    // What a socket gets by itself when it is used; listening is judged again.
    if any && address.ip().is_unspecified() && !rules.is_empty() {
        return true;
    }
    rules
        .iter()
        .any(|rule| rule.has_address(address.ip()) && (any || rule.has_port(address.port())))
}

fn refuse(caller: &Caller<'_>, operation: &str, object: &str, reason: &str) -> Errno {
    caller
        .audit
        .refuse(operation, object.as_bytes(), reason, "EACCES");
    Errno::ACCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<NetworkRule> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn peers() {
        let check = |texts: &[&str], address: &str, expected: bool| {
            let address = address.parse().unwrap();
            assert_eq!(
                may_reach(&rules(texts), address),
                expected,
                "{texts:?} {address}"
            );
        };
        check(&["127.0.0.0/8"], "127.0.0.1:80", true);
        check(&["127.0.0.0/8"], "0.0.0.0:80", true);
        check(&["[::1]"], "[::]:80", true);
        check(&["0.0.0.0:80"], "0.0.0.0:80", false);
        check(&["10.0.0.0/8:80"], "10.0.0.1:81", false);
        check(&[], "127.0.0.1:80", false);
    }

    #[test]
    fn own_addresses() {
        let check = |texts: &[&str], address: &str, expected: bool| {
            let address = address.parse().unwrap();
            assert_eq!(
                may_have(&rules(texts), address),
                expected,
                "{texts:?} {address}"
            );
        };
        check(&["127.0.0.0/8"], "127.0.0.1:80", true);
        check(&["127.0.0.0/8"], "0.0.0.0:80", false);
        check(&["127.0.0.0/8"], "0.0.0.0:0", true);
        check(&["0.0.0.0:80"], "0.0.0.0:80", true);
        check(&["10.0.0.0/8:80"], "10.0.0.1:0", true);
        check(&[], "0.0.0.0:0", false);
    }

    #[test]
    fn addresses_as_the_host_reads_them() {
        let v4 = [2, 0, 0, 80, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let expected = Some("10.0.0.1:80".parse().unwrap());
        assert_eq!(decode(&v4, Use::Peer), expected);
        let mut nothing = v4;
        nothing[0] = 0;
        assert_eq!(decode(&nothing, Use::Peer), None);
        assert_eq!(decode(&nothing, Use::Message), expected);
        assert_eq!(decode(&nothing, Use::Own), expected);
        assert_eq!(decode(&v4[..7], Use::Peer), None);
        let mut v6 = [0; 28];
        v6[0] = 10;
        v6[3] = 80;
        v6[18..20].fill(0xff);
        v6[20..24].copy_from_slice(&[10, 0, 0, 1]);
        assert_eq!(decode(&v6, Use::Peer), expected);
        assert_eq!(decode(&[1, 0, b'/'], Use::Peer), None);
    }
}
