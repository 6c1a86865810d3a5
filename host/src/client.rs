//! Who asks: the one place that says which address a request comes from. It is what rate limits, the log, the audit record and
//! the proxy behind go by. A header counts only if it comes from a reverse proxy that the configuration trusts.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::header::HeaderName;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

/// The header that counts. `Forwarded` (RFC 7239) is never read: a proxy appends to one of the two, and a client could write
/// whatever it likes into the other.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Addresses that are read of one header: no chain of proxies is longer.
const MAX_HOPS: usize = 32;

/// `trusted_proxies`: the reverse proxies in front of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl From<Vec<IpNet>> for TrustedProxies {
    fn from(nets: Vec<IpNet>) -> Self {
        Self(nets.into())
    }
}

impl TrustedProxies {
    /// Whether this address is one of theirs.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The address that a request comes from: whoever connected, or, if that is a trusted proxy, the rightmost address of
    /// `X-Forwarded-For` that isn't one. What stands left of it anybody can have written. What isn't an address ends the search at
    /// the proxy that passed it on.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let hops = headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|value| {
            // A line that isn't text has one part that is no address.
            value.to_str().unwrap_or("?").rsplit(',')
        });
        for hop in hops.take(MAX_HOPS) {
            if !self.contains(client) {
                break;
            }
            let Some(address) = hop_address(hop) else { break };
            client = address;
        }
        client
    }
}

/// An address as proxies write it: bare, with a port, IPv6 in brackets or not.
fn hop_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// Who connected, if the server says so; an application around us may not.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip().to_canonical())
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, which is what one household or machine gets.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// The client that limits go by. `None`: it isn't known, since whoever connected is on this machine (a reverse proxy that
/// `trusted_proxies` doesn't name, most likely); a limit for all behind it together would hurt everybody.
pub(crate) fn limited(client: Option<IpAddr>) -> Option<IpAddr> {
    client.filter(|address| !address.to_canonical().is_loopback()).map(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> TrustedProxies {
        vec!["10.0.0.0/8".parse().unwrap(), "2001:db8:1::/48".parse().unwrap(), "127.0.0.1/32".parse().unwrap()].into()
    }

    #[test]
    fn the_rightmost_address_that_nobody_of_ours_has() {
        let table: [(&str, &str, &[&str], &str); 15] = [
            ("nobody in front", "192.0.2.7", &[], "192.0.2.7"),
            ("a client's lie", "192.0.2.7", &["198.51.100.1"], "192.0.2.7"),
            ("one proxy", "10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("one proxy, and a lie before it", "10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("a lie that looks like a proxy", "10.0.0.1", &["10.9.9.9, 198.51.100.1"], "198.51.100.1"),
            ("two proxies", "10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("two proxies, two lines", "10.0.0.1", &["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("two lines, the first a lie", "10.0.0.1", &["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
            ("a proxy that asks for itself", "10.0.0.1", &[], "10.0.0.1"),
            ("proxies only", "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("with a port", "10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("IPv6 in brackets", "10.0.0.1", &["[2001:db8:2::1]:4711"], "2001:db8:2::1"),
            ("IPv6, bare", "2001:db8:1::1", &["2001:db8:2::1"], "2001:db8:2::1"),
            ("IPv4 within IPv6", "::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("no address", "10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
        ];
        for (name, peer, lines, expected) in table {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            headers.append("forwarded", "for=203.0.113.77".parse().unwrap());
            let client = trusted().client(peer.parse().unwrap(), &headers);
            assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{name}");
        }
    }

    #[test]
    fn a_chain_without_end_is_not_followed() {
        let mut headers = HeaderMap::new();
        let chain = vec!["10.0.0.2"; 10_000].join(",");
        headers.append(FORWARDED_FOR, format!("198.51.100.1,{chain}").parse().unwrap());
        assert_eq!(trusted().client("10.0.0.1".parse().unwrap(), &headers), "10.0.0.2".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn what_counts_as_one_client() {
        let same =
            |one: &str, other: &str| limited(Some(one.parse().unwrap())) == limited(Some(other.parse().unwrap()));
        assert!(same("2001:db8::1", "2001:db8::ffff:1:2:3"), "one /64");
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"), "two");
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert_eq!(limited(Some("127.0.0.1".parse().unwrap())), None);
        assert_eq!(limited(Some("::1".parse().unwrap())), None);
        assert_eq!(limited(None), None);
    }
}
