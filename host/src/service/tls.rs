//! TLS of our own listener: TLS 1.2 and 1.3 by rustls, with a certificate that is read again when its files change. A new pair that
//! can't be used is said, and the old one stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use x509_cert::der::Decode as _;

use crate::config::{PublicUrl, TlsConfig};
use crate::metrics::ServiceMetrics;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Why a pair can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{file} can't be read: {reason} (the configuration's `tls.{key}`)")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Its key.
        key: &'static str,
        /// The system's words.
        reason: String,
    },
    /// There is no certificate in it.
    #[error("{0} holds no PEM certificate: write the certificate first, then those between it and the authority")]
    NoCertificate(PathBuf),
    /// There is no key in it.
    #[error(
        "{0} holds no PEM private key that isn't encrypted: openssl pkey -in KEY -out PLAIN takes a pass phrase off"
    )]
    NoKey(PathBuf),
    /// They don't belong together.
    #[error("the private key in {key} isn't that of the first certificate in {certificate}")]
    KeyOfAnother {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// It is something else than a certificate for a server.
    #[error("the certificate in {file} can't be used: {reason}")]
    Unusable {
        /// Which.
        file: PathBuf,
        /// The library's words.
        reason: String,
    },
    /// rustls doesn't start.
    #[error("TLS can't start: {0}")]
    Engine(String),
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The first second in which it is valid, since 1970.
    pub not_before_unix_s: u64,
    /// The last one.
    pub not_after_unix_s: u64,
    /// Whether it is for `public_url`'s host.
    pub fits_public_url: bool,
}

/// Reads a pair and looks at it: what it says, and what can't be used.
pub fn examine(config: &TlsConfig, public_url: &PublicUrl) -> Result<Facts, TlsError> {
    read(config).and_then(|pair| facts(config, &pair, public_url))
}

fn read(config: &TlsConfig) -> Result<CertifiedKey, TlsError> {
    let text = |file: &Path, key| {
        std::fs::read(file).map_err(|error| TlsError::Unreadable { file: file.into(), key, reason: error.to_string() })
    };
    let certificates = text(&config.certificate_file, "certificate_file")?;
    let key = zeroize::Zeroizing::new(text(&config.private_key_file, "private_key_file")?);
    let chain = CertificateDer::pem_slice_iter(&certificates).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(config.certificate_file.clone()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::NoKey(config.private_key_file.clone()))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyOfAnother {
            certificate: config.certificate_file.clone(),
            key: config.private_key_file.clone(),
        },
        other => TlsError::Unusable { file: config.certificate_file.clone(), reason: other.to_string() },
    })
}

fn facts(config: &TlsConfig, pair: &CertifiedKey, public_url: &PublicUrl) -> Result<Facts, TlsError> {
    let unusable = |reason: String| TlsError::Unusable { file: config.certificate_file.clone(), reason };
    let leaf = pair.end_entity_cert().map_err(|error| unusable(error.to_string()))?;
    let parsed = x509_cert::Certificate::from_der(leaf).map_err(|error| unusable(error.to_string()))?;
    let validity = parsed.tbs_certificate().validity();
    let certificate = ParsedCertificate::try_from(leaf).map_err(|error| unusable(error.to_string()))?;
    let name = ServerName::try_from(public_url.host());
    Ok(Facts {
        not_before_unix_s: validity.not_before.to_unix_duration().as_secs(),
        not_after_unix_s: validity.not_after.to_unix_duration().as_secs(),
        fits_public_url: name.is_ok_and(|name| rustls::client::verify_server_name(&certificate, &name).is_ok()),
    })
}

/// The pair in use.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// TLS with a pair that follows its files.
pub struct Tls {
    config: TlsConfig,
    public_url: PublicUrl,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    metrics: ServiceMetrics,
}

impl Tls {
    /// Reads the pair. One that is over, or for another name, is said in the log: a proxy in front may not mind.
    pub fn start(config: &TlsConfig, public_url: &PublicUrl, metrics: ServiceMetrics) -> Result<Arc<Self>, TlsError> {
        let pair = read(config)?;
        let facts = facts(config, &pair, public_url)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(pair)));
        let resolver = Arc::clone(&current) as Arc<dyn ResolvesServerCert>;
        let engine = |error: rustls::Error| TlsError::Engine(error.to_string());
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(engine)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let tls = Self { config: config.clone(), public_url: public_url.clone(), current, acceptor, metrics };
        tls.tell(&facts);
        Ok(Arc::new(tls))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Follows the files for ever: a new pair goes in when they change, or at the signal `HUP`.
    pub async fn watch(self: Arc<Self>) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut seen = stamps(&self.config);
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = asked(hangup.as_mut()) => true,
            };
            let now = stamps(&self.config);
            if asked || now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        let read = read(&self.config).and_then(|pair| Ok((facts(&self.config, &pair, &self.public_url)?, pair)));
        match read {
            Ok((facts, pair)) => {
                if self.current.0.load().cert != pair.cert {
                    tracing::info!(file = %self.config.certificate_file.display(), "a new certificate is in use");
                }
                self.current.0.store(Arc::new(pair));
                self.tell(&facts);
            }
            Err(error) => tracing::error!(%error, "the new certificate can't be used: the one before stays"),
        }
    }

    fn tell(&self, facts: &Facts) {
        self.metrics.certificate_expiry(i64::try_from(facts.not_after_unix_s).unwrap_or(i64::MAX));
        for warning in warnings(facts, now_unix_s()) {
            tracing::warn!(file = %self.config.certificate_file.display(), "the TLS certificate {warning}");
        }
    }
}

/// What speaks against a certificate that can be used.
pub fn warnings(facts: &Facts, now_unix_s: u64) -> Vec<&'static str> {
    const MONTH_S: u64 = 30 * 86_400;
    let mut warnings = Vec::new();
    if now_unix_s > facts.not_after_unix_s {
        warnings.push("is over: browsers refuse it");
    } else if facts.not_after_unix_s.saturating_sub(now_unix_s) < MONTH_S / 4 {
        warnings.push("ends within a week: renew it, it is read again by itself");
    }
    if now_unix_s < facts.not_before_unix_s {
        warnings.push("isn't valid yet: browsers refuse it");
    }
    if !facts.fits_public_url {
        warnings.push("isn't for the host of public_url: browsers that connect here directly refuse it");
    }
    warnings
}

fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What tells that a file isn't the same any more. A pair is often two writes: the first may fail to load, the second mends it.
fn stamps(config: &TlsConfig) -> [Option<(SystemTime, u64, u64)>; 2] {
    use std::os::unix::fs::MetadataExt as _;
    [&config.certificate_file, &config.private_key_file].map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    })
}

async fn asked(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            if signal.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
    }

    fn examined(certificate: &str, key: &str, public_url: &str) -> Result<Facts, String> {
        let config = TlsConfig { certificate_file: data(certificate), private_key_file: data(key) };
        let public_url = PublicUrl::parse(public_url, true).unwrap();
        examine(&config, &public_url).map_err(|error| error.to_string())
    }

    #[test]
    fn pairs() {
        const NOW: u64 = 1_800_000_000;
        let table: [(&str, &str, &str, &str); 7] = [
            ("tls-1.crt.pem", "tls-1.key.pem", "https://localhost", ""),
            ("tls-1.crt.pem", "tls-1.key.pem", "https://127.0.0.1:8443", ""),
            ("tls-1.crt.pem", "tls-1.key.pem", "https://enroll.example", "isn't for the host of public_url"),
            ("tls-expired.crt.pem", "tls-expired.key.pem", "https://localhost", "is over"),
            ("tls-1.crt.pem", "tls-2.key.pem", "https://localhost", "isn't that of the first certificate"),
            ("tls-1.key.pem", "tls-1.key.pem", "https://localhost", "holds no PEM certificate"),
            ("tls-1.crt.pem", "client-1.encrypted.key.pem", "https://localhost", "holds no PEM private key"),
        ];
        for (certificate, key, public_url, expected) in table {
            let said = match examined(certificate, key, public_url) {
                Ok(facts) => warnings(&facts, NOW).join("; "),
                Err(error) => error,
            };
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{certificate} {key} {public_url}: {said}"
            );
        }
        let missing = examined("nothing.pem", "tls-1.key.pem", "https://localhost").unwrap_err();
        assert!(missing.contains("nothing.pem can't be read") && missing.contains("tls.certificate_file"), "{missing}");
    }

    #[test]
    fn the_week_before_the_end() {
        let facts = Facts { not_before_unix_s: 0, not_after_unix_s: 1_000_000, fits_public_url: true };
        assert!(warnings(&facts, 100_000).is_empty());
        assert!(warnings(&facts, 900_000)[0].contains("within a week"));
    }
}
