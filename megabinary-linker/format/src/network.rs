//! Rules of the network policy: addresses and ports.
//!
//! One spelling each: `192.0.2.7:443`, `10.0.0.0/8` (all ports), `[2001:db8::]/32:80-90`. Bits behind
//! the prefix are zero, a prefix of all bits and a range of all ports are left out. No names of
//! hosts: they mean other addresses at other times, and programs ask for them by themselves.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    str::FromStr,
};

/// A network of addresses, and ports on them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkRule {
    address: IpAddr,
    prefix: u8,
    first: u16,
    last: u16,
}

/// Why a text is no rule; the words follow "is not a rule:".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(&'static str);

impl NetworkRule {
    /// The rules for addresses of the machine itself.
    pub fn loopback() -> Vec<NetworkRule> {
        let rule = |address: IpAddr, prefix| NetworkRule {
            address,
            prefix,
            first: 0,
            last: u16::MAX,
        };
        vec![
            rule(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
            rule(Ipv6Addr::LOCALHOST.into(), 128),
        ]
    }

    /// Whether an address is of this network, whatever the port.
    pub fn has_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }

    /// Whether a port is one of the rule's.
    pub fn has_port(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The rule's ports.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Whether all that this rule allows is allowed by `other` too, or nothing of it: then what both
    /// allow.
    fn and(&self, other: &NetworkRule) -> Option<NetworkRule> {
        let (wide, narrow) = match self.prefix <= other.prefix {
            true => (self, other),
            false => (other, self),
        };
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (wide.has_address(narrow.address) && first <= last).then(|| NetworkRule {
            first,
            last,
            ..narrow.clone()
        })
    }

    /// What two lists both allow, in the order of the format.
    pub fn both(a: &[NetworkRule], b: &[NetworkRule]) -> Vec<NetworkRule> {
        let mut rules: Vec<NetworkRule> = a
            .iter()
            .flat_map(|a| b.iter().filter_map(|b| a.and(b)))
            .collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

/// The bits of an address behind the prefix set to zero.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(a.to_bits() & mask).into()
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(a.to_bits() & mask).into()
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}")?,
            IpAddr::V6(address) => write!(f, "[{address}]")?,
        }
        if self.prefix != bits(self.address) {
            write!(f, "/{}", self.prefix)?;
        }
        match (self.first, self.last) {
            (0, u16::MAX) => Ok(()),
            (first, last) if first == last => write!(f, ":{first}"),
            (first, last) => write!(f, ":{first}-{last}"),
        }
    }
}

/// A decimal number without sign or leading zeros.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

impl FromStr for NetworkRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<NetworkRule, RuleError> {
        const SHAPE: RuleError = RuleError(
            "expected an address, such as 192.0.2.7 or [2001:db8::1], perhaps a prefix (/24), \
             perhaps ports (:443, :8000-8999); names of hosts are not possible, because programs \
             look them up by themselves: write the address",
        );
        let (address, rest) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or(SHAPE)?;
                (IpAddr::V6(address.parse().map_err(|_| SHAPE)?), rest)
            }
            None => {
                let end = text.find(['/', ':']).unwrap_or(text.len());
                let (address, rest) = text.split_at(end);
                (IpAddr::V4(address.parse().map_err(|_| SHAPE)?), rest)
            }
        };
        let (prefix, ports) = match rest.split_once(':') {
            Some((prefix, ports)) => (prefix, Some(ports)),
            None => (rest, None),
        };
        let prefix = match prefix.strip_prefix('/') {
            Some(prefix) => number(prefix)
                .filter(|p| *p <= bits(address))
                .ok_or(RuleError(
                    "the prefix is not a number of bits of the address",
                ))?,
            None if prefix.is_empty() => bits(address),
            None => return Err(SHAPE),
        };
        if masked(address, prefix) != address {
            return Err(RuleError("the address has bits behind its prefix"));
        }
        if address.to_canonical() != address {
            return Err(RuleError("it is an IPv4 address: write it as one"));
        }
        const PORTS: RuleError = RuleError("the ports are neither a number nor two with a `-`");
        let (first, last) = match ports {
            None => (0, u16::MAX),
            Some(ports) => {
                let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
                let number = |text| number(text).ok_or(PORTS);
                (number(first)?, number(last)?)
            }
        };
        if first > last {
            return Err(RuleError("the first port is above the last"));
        }
        Ok(NetworkRule {
            address,
            prefix,
            first,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> NetworkRule {
        text.parse().unwrap()
    }

    #[test]
    fn one_spelling() {
        for text in [
            "192.0.2.7:443",
            "10.0.0.0/8",
            "0.0.0.0/0:53",
            "[2001:db8::]/32:80-90",
            "[::1]",
            "[::]/0",
        ] {
            assert_eq!(rule(text).to_string(), text);
        }
        assert_eq!(rule("192.0.2.7/32:0-65535").to_string(), "192.0.2.7");
        for text in [
            "",
            "example.org:443",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0:70000",
            "10.0.0.0:9-8",
            "10.0.0.0:",
            "::1",
            "[::1",
            "[::1]443",
            "[::ffff:10.0.0.1]",
        ] {
            assert!(text.parse::<NetworkRule>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_rule_has() {
        let check = |text: &str, address: &str, expected: bool| {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(
                rule(text).has_address(address),
                expected,
                "{text} {address}"
            );
        };
        check("10.0.0.0/8", "10.1.2.3", true);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("0.0.0.0/0", "11.0.0.0", true);
        check("0.0.0.0/0", "::1", false);
        check("[::]/0", "::1", true);
        check("[::]/0", "1.2.3.4", false);
        check("[2001:db8::]/33", "2001:db8:8000::", false);
        assert!(rule("1.2.3.4:5-7").has_port(6) && !rule("1.2.3.4:5-7").has_port(8));
    }

    #[test]
    fn what_two_lists_allow() {
        let list = |texts: &[&str]| texts.iter().map(|t| rule(t)).collect::<Vec<_>>();
        let check = |a: &[&str], b: &[&str], expected: &[&str]| {
            assert_eq!(NetworkRule::both(&list(a), &list(b)), list(expected));
            assert_eq!(NetworkRule::both(&list(b), &list(a)), list(expected));
        };
        check(&["10.0.0.0/8:80"], &["10.1.0.0/16"], &["10.1.0.0/16:80"]);
        check(&["10.0.0.0/8:80"], &["11.0.0.0/8"], &[]);
        check(
            &["10.0.0.0/8:80-90"],
            &["10.0.0.0/8:85-99"],
            &["10.0.0.0/8:85-90"],
        );
        check(&["0.0.0.0/0"], &["[::]/0"], &[]);
        check(&[], &["[::]/0"], &[]);
    }
}
