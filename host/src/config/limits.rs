//! `[limits]`: what one client, and all together, may ask of the HTTP service. The defaults are for a company behind one
//! address that comes to work at the same hour. The sandbox has bounds of its own.

use std::time::Duration;

use toml::Table;

use super::file::Reader;
use super::reference::names;

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Steps of sign-ins for each client.
    pub client: Rate,
    /// Steps of sign-ins of everybody together.
    pub global: Rate,
    /// Connections that are open at once, those that pass to `upstream` included.
    pub connections: u32,
    /// Of these, for each address that isn't a trusted proxy's.
    pub client_connections: u32,
    /// Steps of sign-ins that are worked on at once.
    pub requests: u32,
    /// How long one more waits for its turn.
    pub requests_wait: Duration,
    /// From the moment that a connection has nothing to do until the whole head of a request is there.
    pub header_timeout: Duration,
    /// From the head of a request of ours until its whole body is there.
    pub body_timeout: Duration,
    /// How long a client may take none of an answer of ours.
    pub write_timeout: Duration,
}

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run, each second; 0: without limit.
    pub per_second: u32,
    /// At once, after a rest.
    pub burst: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            // A sign-in has two steps. 10 000 people behind one address within five minutes: 67 steps a second.
            client: Rate { per_second: 200, burst: 4000 },
            global: Rate { per_second: 1000, burst: 20_000 },
            connections: 12_288,
            client_connections: 4096,
            requests: 1024, // four times as many as there are instances; those that wait hold little
            // 10 000 who come back within a second to a provider whose answers take one are all in within this.
            requests_wait: Duration::from_secs(60),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
        }
    }
}

pub(super) fn read(reader: &mut Reader, table: &Table) -> Option<LimitsConfig> {
    let default = LimitsConfig::default();
    let limits = reader.table(table, "limits", &names("limits"));
    let mut number = |key: &str, default: u64, range: std::ops::RangeInclusive<u64>| {
        let number = reader.number(&limits, "limits", key, default, range)?;
        u32::try_from(number).ok()
    };
    let client = Rate {
        per_second: number("client_rate", default.client.per_second.into(), 0..=1_000_000)?,
        burst: number("client_burst", default.client.burst.into(), 1..=1_000_000)?,
    };
    let global = Rate {
        per_second: number("global_rate", default.global.per_second.into(), 0..=1_000_000)?,
        burst: number("global_burst", default.global.burst.into(), 1..=1_000_000)?,
    };
    let connections = number("connections", default.connections.into(), 16..=1_000_000)?;
    let client_connections = number("client_connections", default.client_connections.into(), 1..=1_000_000)?;
    let requests = number("requests", default.requests.into(), 1..=1_000_000)?;
    let requests_wait = number("requests_wait_s", default.requests_wait.as_secs(), 0..=600)?;
    let mut seconds = |key: &str, default: Duration| {
        number(key, default.as_secs(), 1..=600).map(|seconds| Duration::from_secs(seconds.into()))
    };
    Some(LimitsConfig {
        client,
        global,
        connections,
        client_connections,
        requests,
        requests_wait: Duration::from_secs(requests_wait.into()),
        header_timeout: seconds("header_timeout_s", default.header_timeout)?,
        body_timeout: seconds("body_timeout_s", default.body_timeout)?,
        write_timeout: seconds("write_timeout_s", default.write_timeout)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(more: &str) -> Result<LimitsConfig, String> {
        let text = format!(
            "public_url = \"https://enroll.example\"\n[handover]\nkind = \"local\"\n[[provider]]\nid = \"op\"\nkind = \"oidc\"\n\
             base_url = \"https://op.example\"\nclient_id = \"x\"\nclient_secret_env = \"CARGO_PKG_NAME\"\n{more}"
        );
        Config::parse("openid.toml".as_ref(), &text).map(|config| config.limits).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_needs_to_be_said() {
        assert_eq!(parse("").unwrap(), LimitsConfig::default());
    }

    #[test]
    fn what_is_said_counts() {
        let limits = parse("[limits]\nclient_rate = 0\nconnections = 100\nbody_timeout_s = 2").unwrap();
        assert_eq!((limits.client.per_second, limits.connections, limits.body_timeout.as_secs()), (0, 100, 2));
        assert_eq!(limits.requests, LimitsConfig::default().requests);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_key() {
        for (line, key) in [
            ("client_rate = -1", "limits.client_rate"),
            ("client_burst = 0", "limits.client_burst"),
            ("connections = 3", "limits.connections"),
            ("requests_wait_s = 601", "limits.requests_wait_s"),
            ("header_timeout_s = 0", "limits.header_timeout_s"),
            ("write_timeout_s = \"1\"", "limits.write_timeout_s"),
            ("speed = 1", "limits.speed"),
        ] {
            let error = parse(&format!("[limits]\n{line}")).unwrap_err();
            assert!(error.contains(key) && error.contains("line "), "{line}: {error}");
        }
    }
}
