//! The client's credential: how this host proves to a provider's token endpoint that it is the registered application
//! (RFC 6749 section 2.3, RFC 7521, RFC 7523). Here are the credentials themselves and what they sign; how one goes into
//! a request is `capability::credentials`' subject, how one is configured `config`'s.

mod assertion;
mod audience;
mod certificate;
mod expiry;
mod federated;

use time::Date;

pub use assertion::{AssertionAlgorithm, LIFETIME_S};
pub use audience::Audience;
pub use certificate::{Certificate, CertificateError, Validity};
pub use expiry::{Expiry, Notice, Verdict, What, expiries, notices, verdict};
pub(crate) use expiry::{date, watch};
pub use federated::{FederatedToken, TokenError};

use crate::config::Secret;

/// Why a credential can't be used for a request. The texts never hold a secret, a key or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UseError {
    /// The credential itself: an administrator's to mend.
    #[error("{0}")]
    Unusable(String),
    /// The request isn't one that this credential may go with.
    #[error("{0}")]
    Request(String),
}

/// How the client proves who it is: exactly one way for a provider.
#[derive(Debug, Clone)]
pub enum Credential {
    /// RFC 6749 section 2.3.1.
    Secret(ClientSecret),
    /// RFC 7523 section 2.2, signed here.
    Certificates(SigningCertificates),
    /// RFC 7523 section 2.2, signed by somebody whom the provider trusts: Entra's federated credential.
    Federated(FederatedCredential),
}

/// A client secret.
#[derive(Debug, Clone)]
pub struct ClientSecret {
    /// The secret.
    pub secret: Secret,
    /// When it expires, as the administrator says: nothing in the secret tells.
    pub expires: Option<Date>,
}

/// One certificate, or two while one takes over from the other.
#[derive(Debug, Clone)]
pub struct SigningCertificates {
    /// In the order of the configuration, which is the order of preference.
    pub certificates: Vec<std::sync::Arc<Certificate>>,
    /// What they sign with.
    pub algorithm: AssertionAlgorithm,
    /// Whom assertions are for.
    pub audience: Audience,
}

/// A token of another issuer, renewed by somebody else.
#[derive(Debug, Clone)]
pub struct FederatedCredential {
    /// Where it is.
    pub token: FederatedToken,
    /// Where it may go. Its own `aud` is its issuer's doing.
    pub audience: Audience,
}

impl SigningCertificates {
    /// The certificates that may sign now, each with its position from 0, `preferred` before the others.
    pub fn usable(&self, now_unix_s: u64, preferred: usize) -> Result<Vec<(usize, &Certificate)>, UseError> {
        let mut usable: Vec<(usize, &Certificate)> = self
            .certificates
            .iter()
            .enumerate()
            .filter(|(_, certificate)| certificate.validity(now_unix_s) == Validity::Valid)
            .map(|(position, certificate)| (position, certificate.as_ref()))
            .collect();
        // Stable: the others keep their order.
        usable.sort_by_key(|(position, _)| *position != preferred);
        if usable.is_empty() { Err(UseError::Unusable(self.why_none(now_unix_s))) } else { Ok(usable) }
    }

    fn why_none(&self, now_unix_s: u64) -> String {
        let one = |(position, certificate): (usize, &std::sync::Arc<Certificate>)| {
            let name = if self.certificates.len() == 1 {
                "the client certificate".to_owned()
            } else {
                format!("client certificate {}", position + 1)
            };
            match certificate.validity(now_unix_s) {
                Validity::NotYet => {
                    format!("{name} isn't valid before {}", expiry::date(certificate.not_before_unix_s()))
                }
                _ => format!("{name} expired on {}", expiry::date(certificate.not_after_unix_s())),
            }
        };
        self.certificates.iter().enumerate().map(one).collect::<Vec<_>>().join("; ")
    }

    /// A fresh assertion (RFC 7523 section 3) in the name of `client_id`, for `audience`.
    pub fn assertion(
        &self,
        certificate: &Certificate,
        client_id: &str,
        audience: &str,
        now_unix_s: u64,
    ) -> Result<Secret, UseError> {
        assertion::sign(certificate, self.algorithm, client_id, audience, now_unix_s)
    }
}

#[cfg(test)]
pub(crate) mod fixtures {
    //! The PEM files of `host/tests/data`, see the README there.

    use std::sync::Arc;

    use super::*;

    pub(crate) const CERTIFICATE_1: &str = include_str!("../../tests/data/client-1.crt.pem");
    pub(crate) const KEY_1: &str = include_str!("../../tests/data/client-1.key.pem");
    pub(crate) const CERTIFICATE_2: &str = include_str!("../../tests/data/client-2.crt.pem");
    pub(crate) const KEY_2: &str = include_str!("../../tests/data/client-2.key.pem");
    pub(crate) const CERTIFICATE_1_EXPIRED: &str = include_str!("../../tests/data/client-1-expired.crt.pem");

    /// 2026-07-01T00:00:00Z: both certificates are valid.
    pub(crate) const BOTH_VALID_UNIX_S: u64 = 1_782_864_000;
    /// 2025-07-01T00:00:00Z: the second isn't valid yet.
    pub(crate) const ONLY_FIRST_UNIX_S: u64 = 1_751_328_000;
    /// 2099-06-01T00:00:00Z: the second has expired.
    pub(crate) const SECOND_EXPIRED_UNIX_S: u64 = 4_083_955_200;
    /// 2100-06-01T00:00:00Z: both have expired.
    pub(crate) const NONE_UNIX_S: u64 = 4_115_491_200;

    pub(crate) fn first() -> Arc<Certificate> {
        Arc::new(Certificate::parse(CERTIFICATE_1.as_bytes(), KEY_1.as_bytes()).unwrap())
    }

    pub(crate) fn second() -> Arc<Certificate> {
        Arc::new(Certificate::parse(CERTIFICATE_2.as_bytes(), KEY_2.as_bytes()).unwrap())
    }

    pub(crate) fn both(audience: Audience) -> SigningCertificates {
        SigningCertificates { certificates: vec![first(), second()], algorithm: AssertionAlgorithm::Ps256, audience }
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::{
        BOTH_VALID_UNIX_S, CERTIFICATE_1_EXPIRED, KEY_1, NONE_UNIX_S, ONLY_FIRST_UNIX_S, SECOND_EXPIRED_UNIX_S, both,
        second,
    };
    use super::*;

    /// Name, certificates, time, preferred, positions or the reason.
    type Case<'a> = (&'a str, &'a SigningCertificates, u64, usize, Result<&'a [usize], &'a str>);

    #[test]
    fn which_certificates_sign_and_in_which_order() {
        let expired = Certificate::parse(CERTIFICATE_1_EXPIRED.as_bytes(), KEY_1.as_bytes()).unwrap();
        let two = both(Audience::configured("https://op.example"));
        let overtaken = SigningCertificates { certificates: vec![expired.into(), second()], ..two.clone() };
        let table: [Case<'_>; 6] = [
            ("both valid", &two, BOTH_VALID_UNIX_S, 0, Ok(&[0, 1])),
            ("both valid, the second has worked", &two, BOTH_VALID_UNIX_S, 1, Ok(&[1, 0])),
            ("the second not before its day, though it has worked", &two, ONLY_FIRST_UNIX_S, 1, Ok(&[0])),
            ("the second expired", &two, SECOND_EXPIRED_UNIX_S, 1, Ok(&[0])),
            ("the first expired long ago", &overtaken, BOTH_VALID_UNIX_S, 0, Ok(&[1])),
            (
                "none",
                &two,
                NONE_UNIX_S,
                0,
                Err("client certificate 1 expired on 2099-12-31; client certificate 2 expired on 2098-12-31"),
            ),
        ];
        for (name, certificates, now, preferred, expected) in table {
            match (certificates.usable(now, preferred), expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found.iter().map(|(position, _)| *position).collect::<Vec<_>>(), expected, "{name}");
                }
                (Err(UseError::Unusable(reason)), Err(expected)) => assert_eq!(reason, expected, "{name}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
        let only = SigningCertificates { certificates: vec![second()], ..two };
        let early = only.usable(ONLY_FIRST_UNIX_S, 0).unwrap_err();
        assert_eq!(early, UseError::Unusable("the client certificate isn't valid before 2026-01-01".into()));
    }

    #[test]
    fn a_credential_prints_no_secret() {
        let credentials = [
            Credential::Secret(ClientSecret { secret: Secret::new("hunter2"), expires: None }),
            Credential::Certificates(both(Audience::configured("https://op.example"))),
        ];
        for credential in credentials {
            let printed = format!("{credential:?}");
            assert!(!printed.contains("hunter2") && !printed.to_lowercase().contains("rsakeypair"), "{printed}");
        }
    }
}
