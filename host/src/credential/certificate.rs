//! The client's certificate and its private key, from PEM. The provider knows the certificate; what counts here is its
//! thumbprint, its dates and that the key is its own. It isn't verified: it is ours, and self-signed more often than not.

use std::fmt;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::error::KeyRejected;
use ring::signature::RsaKeyPair;
use rustls::pki_types::pem::{self, PemObject as _, SectionKind};
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

/// RFC 8017 appendix A.1: `rsaEncryption`.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// What OpenSSL writes over a key with a pass phrase: PKCS#8, and the header inside an older form (RFC 1421).
const ENCRYPTED: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];

/// Why a certificate and a key can't be used. Nothing of the key is in the texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The certificate's file.
    #[error("there is no certificate in it: expected PEM, -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// The certificate's file.
    #[error("its certificate can't be read: {0}")]
    BadCertificate(String),
    /// The certificate's file.
    #[error("its certificate isn't for an RSA key: PS256 and RS256 need one")]
    CertificateNotRsa,
    /// The key's file.
    #[error(
        "there is no private key in it: expected PEM, -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"
    )]
    NoKey,
    /// The key's file.
    #[error("its private key is encrypted with a pass phrase, which nobody could type here")]
    KeyEncrypted,
    /// The key's file.
    #[error("its private key isn't RSA: PS256 and RS256 need an RSA key of at least 2048 bits")]
    KeyNotRsa,
    /// The key's file.
    #[error("its RSA key is too small: at least 2048 bits")]
    KeyTooSmall,
    /// The key's file.
    #[error("its private key can't be used: {0}")]
    KeyRejected(String),
    /// The key's file.
    #[error("its private key isn't the certificate's: the public keys differ")]
    KeyOfAnother,
}

impl CertificateError {
    /// Whether it is the certificate's file that is wrong, and not the key's.
    pub fn is_of_certificate(&self) -> bool {
        matches!(self, Self::NoCertificate | Self::BadCertificate(_) | Self::CertificateNotRsa)
    }

    /// What to do; may be empty.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::KeyEncrypted => {
                "openssl pkey -in KEY -out PLAIN takes the pass phrase off; keep that file readable by this service only"
            }
            Self::KeyOfAnother => {
                "certificate_file and private_key_file belong together, pair by pair in the same order"
            }
            Self::NoCertificate => {
                "openssl x509 -in FILE makes PEM of DER (-inform DER); openssl pkcs12 -in FILE of a .pfx"
            }
            Self::KeyTooSmall | Self::KeyNotRsa | Self::CertificateNotRsa => {
                "openssl req -x509 -newkey rsa:2048 -nodes -keyout KEY -out CERTIFICATE -days 365"
            }
            _ => "",
        }
    }
}

/// Whether a certificate may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Its first day is to come.
    NotYet,
    /// It may.
    Valid,
    /// Its last day is over.
    Expired,
}

/// A certificate with its key.
pub struct Certificate {
    key: RsaKeyPair,
    sha1: [u8; 20],
    sha256: [u8; 32],
    not_before_unix_s: u64,
    not_after_unix_s: u64,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Certificate({})", self.thumbprint())
    }
}

impl Certificate {
    /// From two PEM texts, or twice the same: the first certificate of the one, the first private key of the other.
    pub fn parse(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, CertificateError> {
        let der = first_certificate(certificate_pem)?;
        let bad = |error: x509_cert::der::Error| CertificateError::BadCertificate(error.to_string());
        let parsed = x509_cert::Certificate::from_der(&der).map_err(bad)?;
        let certificate = parsed.tbs_certificate();
        let public_key = certificate.subject_public_key_info();
        if public_key.algorithm.oid != RSA_ENCRYPTION {
            return Err(CertificateError::CertificateNotRsa);
        }
        let key = private_key(key_pem)?;
        // Both are the DER of RFC 8017 appendix A.1.1, which has one form for one key.
        if key.public().as_ref() != public_key.subject_public_key.raw_bytes() {
            return Err(CertificateError::KeyOfAnother);
        }
        let validity = certificate.validity();
        Ok(Self {
            key,
            sha1: thumbprint(&SHA1_FOR_LEGACY_USE_ONLY, &der),
            sha256: thumbprint(&SHA256, &der),
            not_before_unix_s: validity.not_before.to_unix_duration().as_secs(),
            not_after_unix_s: validity.not_after.to_unix_duration().as_secs(),
        })
    }

    /// RFC 5280 section 4.1.2.5: both ends belong to the period.
    pub fn validity(&self, now_unix_s: u64) -> Validity {
        if now_unix_s < self.not_before_unix_s {
            Validity::NotYet
        } else if now_unix_s <= self.not_after_unix_s {
            Validity::Valid
        } else {
            Validity::Expired
        }
    }

    /// The first second in which it is valid.
    pub fn not_before_unix_s(&self) -> u64 {
        self.not_before_unix_s
    }

    /// The last second in which it is valid.
    pub fn not_after_unix_s(&self) -> u64 {
        self.not_after_unix_s
    }

    /// SHA-1 of the DER in hexadecimal, as Entra's portal shows it under Certificates & secrets.
    pub fn thumbprint(&self) -> String {
        self.sha1.iter().fold(String::with_capacity(40), |text, byte| format!("{text}{byte:02X}"))
    }

    /// SHA-1 of the DER, for `x5t` (RFC 7515 section 4.1.7).
    pub(super) fn sha1(&self) -> &[u8] {
        &self.sha1
    }

    /// SHA-256 of the DER, for `x5t#S256` (RFC 7515 section 4.1.8).
    pub(crate) fn sha256(&self) -> &[u8] {
        &self.sha256
    }

    /// The private key, for the place that signs.
    pub(super) fn key(&self) -> &RsaKeyPair {
        &self.key
    }
}

fn thumbprint<const N: usize>(algorithm: &'static ring::digest::Algorithm, der: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    // The lengths are the same; if they weren't, the provider would know no such thumbprint.
    bytes.iter_mut().zip(digest(algorithm, der).as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

fn first_certificate(text: &[u8]) -> Result<Vec<u8>, CertificateError> {
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        match section {
            Ok((SectionKind::Certificate, der)) => return Ok(der),
            // Of a key in the same file.
            Ok((_, other)) => drop(Zeroizing::new(other)),
            // An encrypted key in the same file has lines that aren't base64: the certificate may follow.
            Err(pem::Error::Base64Decode(_)) => {}
            Err(_) => return Err(CertificateError::NoCertificate),
        }
    }
    Err(CertificateError::NoCertificate)
}

fn private_key(text: &[u8]) -> Result<RsaKeyPair, CertificateError> {
    let is_encrypted = ENCRYPTED.iter().any(|marker| text.windows(marker.len()).any(|window| window == *marker));
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let parsed = match section {
            Ok((SectionKind::PrivateKey, der)) => RsaKeyPair::from_pkcs8(&Zeroizing::new(der)),
            Ok((SectionKind::RsaPrivateKey, der)) => RsaKeyPair::from_der(&Zeroizing::new(der)),
            Ok((SectionKind::EcPrivateKey, der)) => {
                drop(Zeroizing::new(der));
                return Err(CertificateError::KeyNotRsa);
            }
            Ok(_) => continue,
            Err(_) => break,
        };
        return parsed.map_err(rejected);
    }
    Err(if is_encrypted { CertificateError::KeyEncrypted } else { CertificateError::NoKey })
}

/// ring's words are names of its own; a test holds us to those that matter.
fn rejected(error: KeyRejected) -> CertificateError {
    match error.to_string().as_str() {
        "TooSmall" => CertificateError::KeyTooSmall,
        "WrongAlgorithm" => CertificateError::KeyNotRsa,
        "TooLarge" => CertificateError::KeyRejected("it has more than 4096 bits".into()),
        "InvalidEncoding" => CertificateError::KeyRejected("it isn't the DER of an RSA key".into()),
        other => CertificateError::KeyRejected(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{CERTIFICATE_1, CERTIFICATE_1_EXPIRED, CERTIFICATE_2, KEY_1, KEY_2};
    use super::*;

    const PKCS1: &str = include_str!("../../tests/data/client-1.pkcs1.key.pem");
    const ENCRYPTED: &str = include_str!("../../tests/data/client-1.encrypted.key.pem");
    const PKCS1_ENCRYPTED: &str = include_str!("../../tests/data/client-1.pkcs1-encrypted.key.pem");
    const SMALL: &str = include_str!("../../tests/data/small.crt.pem");
    const SMALL_KEY: &str = include_str!("../../tests/data/small.key.pem");
    const EC: &str = include_str!("../../tests/data/ec.crt.pem");
    const EC_KEY: &str = include_str!("../../tests/data/ec.key.pem");
    const EC_SEC1: &str = include_str!("../../tests/data/ec.sec1.key.pem");

    fn parse(certificate: &str, key: &str) -> Result<Certificate, CertificateError> {
        Certificate::parse(certificate.as_bytes(), key.as_bytes())
    }

    #[test]
    fn what_is_taken() {
        let together = format!("{KEY_1}{CERTIFICATE_1}");
        let chain = format!("{CERTIFICATE_1}{CERTIFICATE_2}");
        let bag = format!("Bag Attributes\n    friendlyName: x\n{}", CERTIFICATE_1.replace('\n', "\r\n"));
        let after_encrypted = format!("{PKCS1_ENCRYPTED}{CERTIFICATE_1}");
        for (name, certificate, key) in [
            ("PKCS#8", CERTIFICATE_1, KEY_1),
            ("PKCS#1", CERTIFICATE_1, PKCS1),
            ("one file for both", together.as_str(), together.as_str()),
            ("the first of a chain", chain.as_str(), KEY_1),
            ("text around it, and line ends of Windows", bag.as_str(), KEY_1),
            ("an encrypted key before the certificate, the plain one elsewhere", after_encrypted.as_str(), KEY_1),
        ] {
            let certificate = parse(certificate, key).unwrap_or_else(|error| panic!("{name}: {error}"));
            // openssl x509 -fingerprint -sha1; dates as in the README.
            assert_eq!(certificate.thumbprint(), "C9BF9F760479BF5F606A1E0403B86E55652FAB8D", "{name}");
            assert_eq!(certificate.not_before_unix_s(), 1_735_689_600, "{name}");
            assert_eq!(certificate.not_after_unix_s(), 4_102_358_400, "{name}");
        }
    }

    /// Name, certificate, key, the error.
    type Refused<'a> = (&'a str, &'a str, &'a str, fn(&CertificateError) -> bool);

    #[test]
    fn what_is_not() {
        let other_der = CERTIFICATE_1.replace("MII", "AAA");
        let cut = CERTIFICATE_1.replace("-----END CERTIFICATE-----", "");
        let table: [Refused<'_>; 14] = [
            ("nothing", "", KEY_1, |error| *error == CertificateError::NoCertificate),
            ("a key for a certificate", KEY_1, KEY_1, |error| *error == CertificateError::NoCertificate),
            ("a certificate cut off", &cut, KEY_1, |error| *error == CertificateError::NoCertificate),
            ("rubbish in PEM", &other_der, KEY_1, |error| matches!(error, CertificateError::BadCertificate(_))),
            ("a certificate of an elliptic curve", EC, EC_KEY, |error| *error == CertificateError::CertificateNotRsa),
            ("no key", CERTIFICATE_1, "", |error| *error == CertificateError::NoKey),
            ("a certificate for a key", CERTIFICATE_1, CERTIFICATE_1, |error| *error == CertificateError::NoKey),
            ("the other's key", CERTIFICATE_1, KEY_2, |error| *error == CertificateError::KeyOfAnother),
            ("an encrypted key", CERTIFICATE_1, ENCRYPTED, |error| *error == CertificateError::KeyEncrypted),
            ("an encrypted key, PKCS#1", CERTIFICATE_1, PKCS1_ENCRYPTED, |error| {
                *error == CertificateError::KeyEncrypted
            }),
            ("1024 bits", SMALL, SMALL_KEY, |error| *error == CertificateError::KeyTooSmall),
            ("a key of an elliptic curve", CERTIFICATE_1, EC_KEY, |error| *error == CertificateError::KeyNotRsa),
            ("the same in SEC1", CERTIFICATE_1, EC_SEC1, |error| *error == CertificateError::KeyNotRsa),
            (
                "rubbish for a key",
                CERTIFICATE_1,
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                |error| matches!(error, CertificateError::KeyRejected(_)),
            ),
        ];
        for (name, certificate, key, expected) in table {
            match parse(certificate, key) {
                Err(error) => assert!(expected(&error), "{name}: {error:?}"),
                Ok(certificate) => panic!("{name}: {certificate:?}"),
            }
        }
    }

    #[test]
    fn both_ends_of_its_period_belong_to_it() {
        let certificate = parse(CERTIFICATE_1_EXPIRED, KEY_1).unwrap();
        let (first, last) = (1_514_764_800, 1_577_836_800);
        for (name, now, expected) in [
            ("the second before", first - 1, Validity::NotYet),
            ("the first second", first, Validity::Valid),
            ("the last second", last, Validity::Valid),
            ("the second after", last + 1, Validity::Expired),
        ] {
            assert_eq!(certificate.validity(now), expected, "{name}");
        }
    }
}
