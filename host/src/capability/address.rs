//! The second wall after the allow-list: which addresses a name may resolve to. Pure. A provider on the internet has a
//! public address; anything else is either a mistake or somebody who points a name at our insides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is never connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// 127.0.0.0/8, ::1.
    #[error("a loopback address (allowed with development.loopback_http = true only)")]
    Loopback,
    /// RFC 1918, RFC 4193, RFC 6598 (shared).
    #[error("a private address")]
    Private,
    /// RFC 3927, RFC 4291: the cloud's metadata service lives there.
    #[error("a link-local address")]
    LinkLocal,
    /// Multicast and broadcast.
    #[error("a multicast or broadcast address")]
    Multicast,
    /// Unspecified, documentation, benchmarking, protocol assignments, discard, future use.
    #[error("an address of no public host")]
    Reserved,
}

/// Whether a connection to `address` may be made.
pub fn check(address: IpAddr, loopback_allowed: bool) -> Result<(), AddressRefusal> {
    match address.to_canonical() {
        IpAddr::V4(address) => check_v4(address, loopback_allowed),
        IpAddr::V6(address) => check_v6(address, loopback_allowed),
    }
}

fn check_v4(address: Ipv4Addr, loopback_allowed: bool) -> Result<(), AddressRefusal> {
    let [a, b, c, d] = address.octets();
    match (a, b, c) {
        (127, ..) if loopback_allowed => Ok(()),
        (127, ..) => Err(AddressRefusal::Loopback),
        (10, ..) | (192, 168, _) => Err(AddressRefusal::Private),
        (172, 16..=31, _) | (100, 64..=127, _) => Err(AddressRefusal::Private),
        (169, 254, _) => Err(AddressRefusal::LinkLocal),
        // Azure's own service for the machines in it, on a public number.
        (168, 63, 129) if d == 16 => Err(AddressRefusal::LinkLocal),
        (224..=239, ..) | (255, 255, 255) => Err(AddressRefusal::Multicast),
        (0, ..) | (240..=255, ..) => Err(AddressRefusal::Reserved),
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => Err(AddressRefusal::Reserved),
        (198, 18 | 19, _) => Err(AddressRefusal::Reserved),
        _ => Ok(()),
    }
}

fn check_v6(address: Ipv6Addr, loopback_allowed: bool) -> Result<(), AddressRefusal> {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        // A translator would connect to our own network's loopback: never allowed this way.
        check_v4(Ipv4Addr::new(a, b, c, d), false)
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] if loopback_allowed => Ok(()),
        [0, 0, 0, 0, 0, 0, 0, 1] => Err(AddressRefusal::Loopback),
        [0, 0, 0, 0, 0, 0, 0, 0] => Err(AddressRefusal::Reserved),
        // NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056) carry an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] => Err(AddressRefusal::Private),
        [0x2002, high, low, ..] => embedded(high, low),
        // IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0xffff, 0, high, low] => embedded(high, low),
        [0xfc00..=0xfdff, ..] => Err(AddressRefusal::Private),
        [0xfe80..=0xfebf, ..] => Err(AddressRefusal::LinkLocal),
        [0xfec0..=0xfeff, ..] => Err(AddressRefusal::Private), // site-local, deprecated
        [0xff00..=0xffff, ..] => Err(AddressRefusal::Multicast),
        // Discard (RFC 6666), Teredo and other protocol assignments, documentation, IPv4-compatible.
        [0x100, 0, 0, 0, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] => {
            Err(AddressRefusal::Reserved)
        }
        [0, 0, 0, 0, 0, 0, ..] => Err(AddressRefusal::Reserved),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        use AddressRefusal::{LinkLocal, Loopback, Multicast, Private, Reserved};
        let table = [
            ("20.190.128.1", Ok(())),
            ("2603:1006:2000::1", Ok(())),
            ("127.0.0.1", Err(Loopback)),
            ("127.8.9.1", Err(Loopback)),
            ("168.63.129.16", Err(LinkLocal)),
            ("168.63.129.17", Ok(())),
            ("::ffff:0:127.0.0.1", Err(Loopback)),
            ("::1", Err(Loopback)),
            ("::ffff:127.0.0.1", Err(Loopback)),
            ("10.1.2.3", Err(Private)),
            ("172.16.0.1", Err(Private)),
            ("172.31.255.255", Err(Private)),
            ("172.32.0.1", Ok(())),
            ("192.168.1.1", Err(Private)),
            ("100.64.0.1", Err(Private)),
            ("169.254.169.254", Err(LinkLocal)),
            ("::ffff:169.254.169.254", Err(LinkLocal)),
            ("64:ff9b::a9fe:a9fe", Err(LinkLocal)),
            ("64:ff9b::7f00:1", Err(Loopback)),
            ("2002:7f00:1::", Err(Loopback)),
            ("2002:a00:1::", Err(Private)),
            ("fe80::1", Err(LinkLocal)),
            ("fd00:ec2::254", Err(Private)),
            ("0.0.0.0", Err(Reserved)),
            ("::", Err(Reserved)),
            ("255.255.255.255", Err(Multicast)),
            ("224.0.0.1", Err(Multicast)),
            ("ff02::1", Err(Multicast)),
            ("240.0.0.1", Err(Reserved)),
            ("192.0.2.1", Err(Reserved)),
            ("198.18.0.1", Err(Reserved)),
            ("2001:db8::1", Err(Reserved)),
            ("2001::1", Err(Reserved)),
            ("100::1", Err(Reserved)),
            ("::7f00:1", Err(Reserved)),
        ];
        for (address, expected) in table {
            assert_eq!(check(address.parse().unwrap(), false), expected, "{address}");
        }
    }

    #[test]
    fn loopback_only_when_asked_for() {
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(check(address.parse().unwrap(), true), Ok(()), "{address}");
        }
        for address in ["10.0.0.1", "169.254.169.254", "0.0.0.0", "64:ff9b::7f00:1"] {
            assert!(check(address.parse().unwrap(), true).is_err(), "{address}");
        }
    }
}
