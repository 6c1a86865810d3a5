//! `redis://HOST:PORT/DB` and `rediss://…`: parsed once, printed without a password.

use std::fmt;
use std::str::FromStr;

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

use crate::config::Secret;

/// Where a Redis is, and who this host is there.
#[derive(Clone)]
pub struct RedisUrl {
    info: Box<ConnectionInfo>,
}

impl RedisUrl {
    /// Whether what travels is encrypted, or stays on this machine.
    pub fn is_private(&self) -> bool {
        match self.info.addr() {
            ConnectionAddr::TcpTls { .. } | ConnectionAddr::Unix(_) => true,
            ConnectionAddr::Tcp(host, _) => {
                host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            _ => false,
        }
    }

    /// With a password from elsewhere, if there is one.
    pub(super) fn connection(&self, password: Option<&Secret>) -> ConnectionInfo {
        let Some(password) = password else { return (*self.info).clone() };
        let settings = self.info.redis_settings().clone().set_password(password.expose());
        (*self.info).clone().set_redis_settings(settings)
    }

    /// Whether the URL itself holds a password, which then stands in the configuration.
    pub fn has_password(&self) -> bool {
        self.info.redis_settings().password().is_some()
    }
}

impl FromStr for RedisUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The library's words may repeat the URL.
        let info = text
            .into_connection_info()
            .map_err(|_| "it isn't of the form redis://HOST:PORT/DB or rediss://HOST:PORT/DB".to_owned())?;
        match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                Err("#insecure: a certificate that nobody checks is worth nothing".into())
            }
            address if !address.is_supported() => Err("this kind of address isn't supported here".into()),
            _ => Ok(Self { info: Box::new(info) }),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if matches!(self.info.addr(), ConnectionAddr::TcpTls { .. }) { "rediss" } else { "redis" };
        write!(formatter, "{scheme}://{}/{}", self.info.addr(), self.info.redis_settings().db())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.info.redis_settings(), other.info.redis_settings());
        self.info.addr() == other.info.addr()
            && ours.db() == theirs.db()
            && ours.username() == theirs.username()
            && ours.password() == theirs.password()
    }
}

impl Eq for RedisUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_how_it_is_shown() {
        for (text, expected) in [
            ("redis://127.0.0.1", Ok("redis://127.0.0.1:6379/0")),
            ("redis://127.0.0.1:6380/3", Ok("redis://127.0.0.1:6380/3")),
            ("redis://user:s3cret@cache.example:6380/3", Ok("redis://cache.example:6380/3")),
            ("rediss://:s3cret@cache.example", Ok("rediss://cache.example:6379/0")),
            ("rediss://cache.example/#insecure", Err("#insecure")),
            ("redis://cache.example/three", Err("it isn't of the form")),
            ("redis:", Err("it isn't of the form")),
        ] {
            match (text.parse::<RedisUrl>(), expected) {
                (Ok(url), Ok(expected)) => {
                    assert_eq!(url.to_string(), expected, "{text}");
                    assert!(!format!("{url:?}").contains("s3cret"), "{text}");
                }
                (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn who_else_may_read_what_travels() {
        for (text, expected) in [
            ("redis://127.0.0.1", true),
            ("redis://localhost", true),
            ("redis://[::1]", true),
            ("rediss://cache.example", true),
            ("redis://cache.example", false),
            ("redis://10.0.0.7", false),
        ] {
            assert_eq!(text.parse::<RedisUrl>().unwrap().is_private(), expected, "{text}");
        }
    }
}
