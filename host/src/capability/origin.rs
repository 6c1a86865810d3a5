//! The allow-list: scheme, host and port of where requests may go. Pure; addresses are [`super::address`]'s subject.
//!
//! | configured | allows |
//! |---|---|
//! | `https://login.example` | `https://login.example/…`, port 443 |
//! | `https://login.example:8443/x` | the same host on port 8443; the path doesn't count |
//! | `http://127.0.0.1:9101` | that port of the loopback address, if `development.loopback_http` is on |
//!
//! An empty list allows nothing.

use std::collections::BTreeSet;

use url::{Host, Url};

/// A set of origins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    origins: BTreeSet<String>,
    loopback_http: bool,
}

/// Why a URL can't be requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// Not a URL.
    #[error("not an absolute URL: {0}")]
    Syntax(String),
    /// Something that a request's URL may not have.
    #[error("a URL with {0} is never requested")]
    Part(&'static str),
    /// Plain HTTP.
    #[error("{0} isn't https (plain http is for loopback addresses, with development.loopback_http = true)")]
    Scheme(String),
    /// Not on the list.
    #[error(
        "{origin} isn't among the allowed origins ({allowed}); if the provider really uses it, add it to the provider's allowed_origins"
    )]
    Origin {
        /// What was asked for.
        origin: String,
        /// What there is.
        allowed: String,
    },
}

impl AllowedOrigins {
    /// An empty list. `loopback_http`: whether plain HTTP to loopback addresses is a possibility at all.
    pub fn new(loopback_http: bool) -> Self {
        Self { origins: BTreeSet::new(), loopback_http }
    }

    /// Adds the origin of a URL.
    pub fn add(&mut self, url: &Url) -> Result<(), UrlRefusal> {
        self.check_scheme(url)?;
        self.origins.insert(url.origin().ascii_serialization());
        Ok(())
    }

    /// As [`AllowedOrigins::check`], when only the answer counts.
    pub fn allows(&self, url: &str) -> Result<(), UrlRefusal> {
        if self.is_plainly_allowed(url) { Ok(()) } else { self.check(url).map(drop) }
    }

    /// Whether a URL is an origin of the list as it is written there, alone or with a path or a query, in letters that a parser only copies: that
    /// its parts are where they seem is beyond doubt then.
    fn is_plainly_allowed(&self, url: &str) -> bool {
        let is_copied = |byte: u8| byte.is_ascii_graphic() && !b"#\\".contains(&byte);
        let Some((scheme, rest)) = url.split_once("://") else { return false };
        let authority = rest.find(['/', '?']).unwrap_or(rest.len());
        let origin = url.get(..scheme.len() + "://".len() + authority);
        url.bytes().all(is_copied) && origin.is_some_and(|origin| self.origins.contains(origin))
    }

    /// Parses a URL and checks it against the list.
    pub fn check(&self, url: &str) -> Result<Url, UrlRefusal> {
        let url = Url::parse(url).map_err(|error| UrlRefusal::Syntax(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefusal::Part("user information"));
        }
        if url.fragment().is_some() {
            return Err(UrlRefusal::Part("a fragment"));
        }
        self.check_scheme(&url)?;
        let origin = url.origin().ascii_serialization();
        if self.origins.contains(&origin) {
            return Ok(url);
        }
        let allowed = self.origins.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Err(UrlRefusal::Origin { origin, allowed })
    }

    /// The origins, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().map(String::as_str)
    }

    fn check_scheme(&self, url: &Url) -> Result<(), UrlRefusal> {
        match url.scheme() {
            "https" if url.host().is_some() => Ok(()),
            "http" if self.loopback_http && is_loopback(url) => Ok(()),
            _ => Err(UrlRefusal::Scheme(url.origin().ascii_serialization())),
        }
    }
}

/// Whether the host of a URL is a loopback address, or the name `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_against_the_list() {
        let mut list = AllowedOrigins::new(true);
        for url in ["https://login.example/tenant/v2.0", "https://api.example:8443", "http://127.0.0.1:9101"] {
            list.add(&Url::parse(url).unwrap()).unwrap();
        }
        let table = [
            ("same origin", "https://login.example/keys", true),
            ("default port written out", "https://login.example:443/keys", true),
            ("host in upper case", "https://LOGIN.example/keys", true),
            ("other port", "https://login.example:444/", false),
            ("port of another host", "https://login.example:8443/", false),
            ("subdomain", "https://a.login.example/", false),
            ("suffix", "https://evil-login.example/", false),
            ("trailing dot", "https://login.example./", false),
            ("user information", "https://login.example@evil.example/", false),
            ("password", "https://a:b@login.example/", false),
            ("fragment", "https://login.example/#x", false),
            ("plain http", "http://login.example/", false),
            ("loopback with its port", "http://127.0.0.1:9101/x", true),
            ("loopback, other port", "http://127.0.0.1:9102/x", false),
            ("loopback by another name", "http://localhost:9101/", false),
            ("decimal address", "http://2130706433:9101/", true), // is 127.0.0.1:9101
            ("file", "file:///etc/passwd", false),
            ("no scheme", "//login.example/", false),
            ("backslash host", "https:\\\\evil.example/", false),
            ("backslash after the host", "https://login.example\\@evil.example/", true), // is a path
            ("user information after a line break", "https://login.example\n@evil.example/", false),
            ("line break in the host", "https://login.exa\nmple/", true), // parsers take it out
            ("query at once", "https://login.example?a=https://evil.example", true),
            ("no path", "https://login.example", true),
            ("a fragment behind a query", "https://login.example/?a#b", false),
            ("blank in front", " https://login.example/", true), // parsers take it away
            ("empty port", "https://login.example:/", true),
            ("letters of other scripts", "https://login.example/\u{e9}", true),
        ];
        for (name, url, allowed) in table {
            assert_eq!(list.check(url).is_ok(), allowed, "{name}: {:?}", list.check(url));
            assert_eq!(list.allows(url).is_ok(), allowed, "{name}, when only the answer counts");
        }
    }

    #[test]
    fn plain_http_needs_the_development_switch() {
        let mut list = AllowedOrigins::new(false);
        assert!(list.add(&Url::parse("http://127.0.0.1:1").unwrap()).is_err());
        assert!(AllowedOrigins::new(true).add(&Url::parse("http://10.0.0.1:1").unwrap()).is_err());
    }
}
