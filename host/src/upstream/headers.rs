//! What a reverse proxy does to headers: those of one connection end there (RFC 9110 section 7.6.1), and who asked, and under
//! which address, is said anew; what a client says of that counts only if its address is trusted.

use std::net::IpAddr;

use axum::http::header::{
    CONNECTION, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::value;
use crate::config::PublicUrl;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Of one connection only.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Our own cookies: nothing behind has any use for them.
const OUR_COOKIES: &str = "__Host-openid-";

/// Who asked, and under which address.
pub(super) struct Forwarding<'a> {
    pub(super) peer: Option<IpAddr>,
    pub(super) is_trusted: bool,
    pub(super) public: &'a PublicUrl,
}

/// `upgrade`: the protocol that is asked for.
pub(super) fn towards_upstream(headers: &mut HeaderMap, forwarding: &Forwarding<'_>, upgrade: Option<HeaderValue>) {
    strip(headers);
    switch(headers, upgrade);
    drop_our_cookies(headers);
    let before = forwarding.is_trusted.then(|| joined(headers, &FORWARDED_FOR)).flatten();
    let real_ip = forwarding.is_trusted.then(|| headers.get(REAL_IP).cloned()).flatten();
    for name in [FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, REAL_IP] {
        headers.remove(name);
    }
    // Where browsers find us is the configuration's word, never a request's.
    let public = forwarding.public;
    set(headers, HOST, &public.authority());
    set(headers, FORWARDED_HOST, &public.authority());
    set(headers, FORWARDED_PROTO, if public.is_https() { "https" } else { "http" });
    if let Some(peer) = forwarding.peer {
        set(headers, FORWARDED_FOR, &before.map_or_else(|| peer.to_string(), |before| format!("{before}, {peer}")));
        match real_ip {
            Some(real_ip) => {
                headers.insert(REAL_IP, real_ip);
            }
            None => set(headers, REAL_IP, &peer.to_string()),
        }
    }
}

/// `protocol`: the one that both sides go on with.
pub(super) fn towards_client(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    strip(headers);
    switch(headers, protocol);
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn switch(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

fn drop_our_cookies(headers: &mut HeaderMap) {
    let kept: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(without_ours).collect();
    headers.remove(COOKIE);
    for cookie in kept {
        headers.append(COOKIE, cookie);
    }
}

/// `None`: nothing is left.
fn without_ours(header: &HeaderValue) -> Option<HeaderValue> {
    let Ok(text) = header.to_str() else { return Some(header.clone()) };
    if !text.contains(OUR_COOKIES) {
        return Some(header.clone());
    }
    let kept: Vec<&str> = text.split(';').map(str::trim).filter(|pair| !pair.starts_with(OUR_COOKIES)).collect();
    if kept.is_empty() { None } else { value(&kept.join("; ")) }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let all: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Some(value) = value(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn passed(lines: &[(&str, &str)], is_trusted: bool) -> HeaderMap {
        let public = PublicUrl::parse("https://enroll.example.com", false).unwrap();
        let mut headers = headers(lines);
        let peer = Some("192.0.2.7".parse().unwrap());
        towards_upstream(&mut headers, &Forwarding { peer, is_trusted, public: &public }, None);
        headers
    }

    #[test]
    #[expect(clippy::type_complexity, reason = "a table")]
    fn what_the_proxy_behind_sees() {
        let table: [(&str, &[(&str, &str)], bool, &str, Option<&str>); 11] = [
            ("who asked", &[], false, "x-forwarded-for", Some("192.0.2.7")),
            ("a lie of who asked", &[("x-forwarded-for", "10.0.0.1")], false, "x-forwarded-for", Some("192.0.2.7")),
            (
                "a trusted word",
                &[("x-forwarded-for", "10.0.0.1")],
                true,
                "x-forwarded-for",
                Some("10.0.0.1, 192.0.2.7"),
            ),
            ("another lie", &[("x-real-ip", "10.0.0.1")], false, "x-real-ip", Some("192.0.2.7")),
            ("another lie (RFC 7239)", &[("forwarded", "for=10.0.0.1")], false, "forwarded", None),
            ("a lie of the host", &[("host", "evil.example")], false, "host", Some("enroll.example.com")),
            ("a lie of the scheme", &[("x-forwarded-proto", "http")], false, "x-forwarded-proto", Some("https")),
            ("named by Connection", &[("connection", "x-secret"), ("x-secret", "1")], false, "x-secret", None),
            ("hop by hop", &[("te", "gzip")], false, "te", None),
            ("our cookie", &[("cookie", "a=1; __Host-openid-00=x; b=2")], false, "cookie", Some("a=1; b=2")),
            ("only our cookie", &[("cookie", "__Host-openid-00=x")], false, "cookie", None),
        ];
        for (name, lines, is_trusted, header, expected) in table {
            let seen = passed(lines, is_trusted);
            let found = seen.get(header).map(|value| value.to_str().unwrap());
            assert_eq!(found, expected, "{name}");
            assert_eq!(seen.get_all(header).iter().count(), usize::from(expected.is_some()), "{name}");
        }
    }
}
