//! A look at a provider's origin as `doctor` takes it: which addresses its name has, whether a connection comes about, and
//! until when its certificate is good. By the same resolver and the same trust as the component's requests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve as _;
use reqwest::tls::TlsInfo;
use url::{Host, Url};
use x509_cert::der::Decode as _;

use super::address;
use super::http::{CheckedResolver, OutgoingError, classify};
use crate::sandbox::bindings::defguard::openid::http::Error;

/// For everything that one origin is asked.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connected {
    /// The server's certificate is trusted, and good until then: seconds since 1970.
    Tls {
        /// None: the certificate says it in a way that can't be read.
        not_after_unix_s: Option<u64>,
    },
    /// Plain http.
    Plain,
}

/// Looks at origins.
pub struct Inspector {
    client: reqwest::Client,
    resolver: Arc<CheckedResolver>,
    loopback_allowed: bool,
}

impl Inspector {
    /// With the system's certificate authorities; `loopback_allowed` as for the component's requests.
    pub fn new(loopback_allowed: bool) -> Result<Self, OutgoingError> {
        // Fails only if there is one already, which then is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let resolver = Arc::new(CheckedResolver { loopback_allowed });
        let client = reqwest::Client::builder()
            .user_agent(concat!("defguard-openid/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_info(true)
            .timeout(TIMEOUT)
            .dns_resolver(Arc::clone(&resolver))
            .build()
            .map_err(|error| OutgoingError::new(&error))?;
        Ok(Self { client, resolver, loopback_allowed })
    }

    /// The addresses that a connection may go to.
    pub async fn addresses(&self, origin: &Url) -> Result<Vec<IpAddr>, Error> {
        let literal = match origin.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        let host = origin.host_str().unwrap_or_default();
        if let Some(literal) = literal {
            let refused = |refusal| Error::Denied(format!("{host} is {refusal}"));
            return address::check(literal, self.loopback_allowed).map(|()| vec![literal]).map_err(refused);
        }
        let name = host.parse().map_err(|_| Error::Dns(format!("{host} is no host name")))?;
        let resolved = tokio::time::timeout(TIMEOUT, self.resolver.resolve(name)).await.map_err(|_| Error::Timeout)?;
        let mut addresses: Vec<IpAddr> =
            resolved.map_err(|error| Error::Dns(error.to_string()))?.map(|socket| socket.ip()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// Connects, and asks for the origin's root: whatever it answers, it was reached.
    pub async fn connect(&self, origin: &Url) -> Result<Connected, Error> {
        let answer = self.client.head(origin.clone()).send().await.map_err(|error| classify(origin, &error))?;
        if origin.scheme() != "https" {
            return Ok(Connected::Plain);
        }
        let certificate = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        let certificate = certificate.and_then(|der| x509_cert::Certificate::from_der(der).ok());
        let validity = certificate.map(|certificate| *certificate.tbs_certificate().validity());
        Ok(Connected::Tls {
            not_after_unix_s: validity.map(|validity| validity.not_after.to_unix_duration().as_secs()),
        })
    }
}
