//! Which addresses a task may reach: public ones, and those that the configuration allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that may be reached although it is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// A network, or one address of it.
    Net {
        /// The network's address.
        address: IpAddr,
        /// How many of its first bits count.
        prefix: u8,
        /// Only this port.
        port: Option<u16>,
    },
    /// A host by its name, wherever that leads.
    Host {
        /// The name, in small letters.
        name: String,
        /// Only this port.
        port: Option<u16>,
    },
}

impl Allowed {
    /// Reads `10.0.0.0/8`, `127.0.0.1:8080`, `[::1]:8080`, `fd00::/8`, `crm.internal` or
    /// `crm.internal:8443`.
    ///
    /// # Errors
    /// In words, when it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no address that could be allowed: write a network (10.0.0.0/8), an \
                 address with or without a port (127.0.0.1:8080, [::1]:8080) or a host's name \
                 (crm.internal, crm.internal:8443)"
            )
        };
        if let Some((address, prefix)) = text.split_once('/') {
            return net(address, prefix).ok_or_else(wrong);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::one(address, None));
        }
        if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
            return Ok(Self::one(socket.ip(), Some(socket.port())));
        }
        host(text).ok_or_else(wrong)
    }

    fn one(address: IpAddr, port: Option<u16>) -> Self {
        Self::Net {
            address,
            prefix: bits(address),
            port,
        }
    }

    fn covers(&self, ip: IpAddr, at: u16) -> bool {
        match self {
            Self::Net {
                address,
                prefix,
                port,
            } => port.is_none_or(|port| port == at) && within(ip, *address, *prefix),
            Self::Host { .. } => false,
        }
    }

    fn names(&self, host: &str, at: u16) -> bool {
        match self {
            Self::Host { name, port } => {
                port.is_none_or(|port| port == at) && name.eq_ignore_ascii_case(host)
            }
            Self::Net { .. } => false,
        }
    }
}

fn net(address: &str, prefix: &str) -> Option<Allowed> {
    let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
    (prefix <= bits(address)).then_some(Allowed::Net {
        address,
        prefix,
        port: None,
    })
}

fn host(text: &str) -> Option<Allowed> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (!name.is_empty() && name.bytes().all(letter)).then(|| Allowed::Host {
        name: name.to_ascii_lowercase(),
        port,
    })
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn within(ip: IpAddr, net: IpAddr, prefix: u8) -> bool {
    match (ip, net) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            let shift = 32u32.saturating_sub(prefix.into());
            ip.to_bits().checked_shr(shift) == net.to_bits().checked_shr(shift)
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => {
            let shift = 128u32.saturating_sub(prefix.into());
            ip.to_bits().checked_shr(shift) == net.to_bits().checked_shr(shift)
        }
        _ => false,
    }
}

/// Whether this host was allowed by its name.
pub(crate) fn trusted(allowed: &[Allowed], host: &str, port: u16) -> bool {
    allowed.iter().any(|one| one.names(host, port))
}

/// Why an address may not be reached; nothing where it may.
pub(crate) fn refused(allowed: &[Allowed], ip: IpAddr, port: u16) -> Option<&'static str> {
    let reason = special(ip)?;
    let meant = meant(ip);
    let covered = |one: &Allowed| one.covers(ip, port) || one.covers(meant, port);
    (!allowed.iter().any(covered)).then_some(reason)
}

/// The address that a packet to `ip` ends at, where `ip` wraps an IPv4 address.
fn meant(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(ip) => wrapped(ip).map_or(IpAddr::V6(ip), IpAddr::V4),
        v4 => v4,
    }
}

/// The IPv4 address inside an IPv6 address: mapped, compatible, NAT64 or 6to4.
fn wrapped(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(pair(high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(pair(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(pair(high, low)),
        [0x2002, high, low, ..] => Some(pair(high, low)),
        _ => None,
    }
}

/// What is special about an address that is not a public one.
fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => match wrapped(ip) {
            Some(inner) => special_v4(inner),
            None => special_v6(ip),
        },
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("an address of this machine"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        [169, 254, ..] => Some("a link-local address"),
        [100, 64..=127, ..] => Some("an address of a provider's own network"),
        [224..=239, ..] => Some("a multicast address"),
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Some("a reserved address")
        }
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("an address of this machine"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x64, 0xff9b, ..] | [0x2001, 0, ..] | [0x2001, 0xdb8, ..] | [0x100, 0, 0, 0, ..] => {
            Some("a reserved address")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(allowed: &[&str], ip: &str) -> bool {
        let allowed: Vec<_> = allowed.iter().map(|a| Allowed::parse(a).unwrap()).collect();
        refused(&allowed, ip.parse().unwrap(), 80).is_none()
    }

    #[test]
    fn public_addresses_are_reached_and_others_are_not() {
        let public = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"];
        let other = [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:1::1",
            "2001:db8::1",
            "::ffff:0:127.0.0.1",
        ];
        for ip in public {
            assert!(reach(&[], ip), "{ip}");
        }
        for ip in other {
            assert!(!reach(&[], ip), "{ip}");
        }
        assert!(reach(&[], "::ffff:1.1.1.1"));
    }

    #[test]
    fn what_is_allowed_is_reached_and_nothing_beside_it() {
        assert!(reach(&["10.0.0.0/8"], "10.9.9.9"));
        assert!(reach(&["10.0.0.0/8"], "::ffff:10.9.9.9"));
        assert!(!reach(&["10.0.0.0/16"], "10.9.9.9"));
        assert!(reach(&["127.0.0.1"], "127.0.0.1"));
        assert!(reach(&["127.0.0.1:80"], "127.0.0.1"));
        assert!(!reach(&["127.0.0.1:81"], "127.0.0.1"));
        assert!(reach(&["[::1]:80"], "::1"));
        assert!(reach(&["fd00::/8"], "fd12::1"));
        assert!(reach(&["0.0.0.0/0"], "127.0.0.1"));
        assert!(!reach(&["localhost"], "127.0.0.1"));
    }

    #[test]
    fn hosts_are_trusted_by_name_and_port() {
        let allowed = [Allowed::parse("CRM.internal:8443").unwrap()];
        assert!(trusted(&allowed, "crm.internal", 8443));
        assert!(!trusted(&allowed, "crm.internal", 443));
        assert!(!trusted(&allowed, "evil.crm.internal", 8443));
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        for text in ["", "10.0.0.0/33", "a b", "host:port", "http://x", "::1/129"] {
            assert!(Allowed::parse(text).is_err(), "{text}");
        }
        insta::assert_snapshot!(Allowed::parse("10.0.0.0/33").unwrap_err(), @r#""10.0.0.0/33" is no address that could be allowed: write a network (10.0.0.0/8), an address with or without a port (127.0.0.1:8080, [::1]:8080) or a host's name (crm.internal, crm.internal:8443)"#);
    }
}
