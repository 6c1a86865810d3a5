//! X.509 certificates of clients, as far as `private_key_jwt` needs them: thumbprints, validity and the RSA public key
//! (RFC 5280 section 4.1). No chain is built and no signature of an issuer is checked: Entra takes an uploaded certificate as it is.

mod der;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use thiserror::Error;

use crate::encoding::{base64url, unix_from_utc};
use der::{Reader, tag};

/// `rsaEncryption`, 1.2.840.113549.1.1.1 (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// Why a certificate cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// No block between `BEGIN CERTIFICATE` and `END CERTIFICATE`, or not base64 inside.
    #[error("it is not PEM: one block from BEGIN CERTIFICATE to END CERTIFICATE is needed")]
    NotPem,
    /// The bytes are not those of an X.509 certificate.
    #[error("it is not an X.509 certificate in DER")]
    NotX509,
    /// The key is of another kind.
    #[error("its key is not RSA; RS256 and PS256 need one")]
    NotRsa,
}

/// A certificate that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct X509 {
    /// `x5t`: base64url of the SHA-1 of the DER (RFC 7515 section 4.1.7).
    pub(crate) sha1_thumbprint: String,
    /// `x5t#S256`: base64url of the SHA-256 of the DER (RFC 7515 section 4.1.8).
    pub(crate) sha256_thumbprint: String,
    /// First second of validity, Unix.
    pub(crate) not_before_unix_s: i64,
    /// Last second of validity, Unix.
    pub(crate) not_after_unix_s: i64,
    /// `RSAPublicKey` in DER (RFC 8017 appendix A.1.1).
    pub(crate) rsa_public_key: Vec<u8>,
}

impl X509 {
    /// Reads one PEM block (RFC 7468 section 5.1).
    pub(crate) fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let (_, after) = pem.split_once("-----BEGIN CERTIFICATE-----").ok_or(CertificateError::NotPem)?;
        let (body, _) = after.split_once("-----END CERTIFICATE-----").ok_or(CertificateError::NotPem)?;
        let base64: String = body.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        Self::from_der(&STANDARD.decode(base64).map_err(|_| CertificateError::NotPem)?)
    }

    /// Reads the DER.
    fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        let fields = Fields::read(bytes).ok_or(CertificateError::NotX509)?;
        if fields.key_algorithm != RSA_ENCRYPTION {
            return Err(CertificateError::NotRsa);
        }
        Ok(Self {
            sha1_thumbprint: base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes)),
            sha256_thumbprint: base64url(digest(&SHA256, bytes)),
            not_before_unix_s: fields.not_before_unix_s,
            not_after_unix_s: fields.not_after_unix_s,
            rsa_public_key: fields.public_key.to_vec(),
        })
    }
}

/// The fields of a certificate that are used.
struct Fields<'a> {
    not_before_unix_s: i64,
    not_after_unix_s: i64,
    key_algorithm: &'a [u8],
    public_key: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Walks `Certificate` and `TBSCertificate` (RFC 5280 section 4.1).
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut outermost = Reader::new(bytes);
        let mut certificate = outermost.sequence()?;
        if !outermost.is_at_end() {
            return None;
        }
        let mut to_be_signed = certificate.sequence()?;
        certificate.sequence()?; // signatureAlgorithm
        certificate.expect(tag::BIT_STRING)?; // signatureValue

        if to_be_signed.peek() == Some(tag::EXPLICIT_0) {
            to_be_signed.next()?; // version
        }
        to_be_signed.expect(tag::INTEGER)?; // serialNumber
        to_be_signed.sequence()?; // signature
        to_be_signed.sequence()?; // issuer
        let mut validity = to_be_signed.sequence()?;
        to_be_signed.sequence()?; // subject
        let mut key_info = to_be_signed.sequence()?;

        let (not_before_unix_s, not_after_unix_s) = (time(validity.next()?)?, time(validity.next()?)?);
        let key_algorithm = key_info.sequence()?.expect(tag::OBJECT_IDENTIFIER)?;
        let (&unused_bits, public_key) = key_info.expect(tag::BIT_STRING)?.split_first()?;
        (unused_bits == 0).then_some(Self { not_before_unix_s, not_after_unix_s, key_algorithm, public_key })
    }
}

/// A `Time` (RFC 5280 section 4.1.2.5) as Unix seconds: `UTCTime` with a two-digit year until 2049, `GeneralizedTime` from 2050.
fn time((tag, contents): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(contents).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let number = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day, hour, minute, second) = (number(0)?, number(2)?, number(4)?, number(6)?, number(8)?);
    let possible = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    possible.then(|| unix_from_utc([year, month, day], [hour, minute, second]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::fixtures;

    #[test]
    fn the_fixture_reads_as_openssl_shows_it() {
        // `openssl x509 -in keys/client-expired.crt.pem -noout -dates`
        let expired = X509::from_pem(fixtures::EXPIRED_CERTIFICATE_PEM).unwrap();
        assert_eq!((expired.not_before_unix_s, expired.not_after_unix_s), (1_514_764_800, 1_577_836_800));
        let current = X509::from_pem(fixtures::CLIENT_CERTIFICATE_PEM).unwrap();
        assert_eq!(current.rsa_public_key, expired.rsa_public_key, "two certificates of one key");
        assert_ne!(current.sha256_thumbprint, expired.sha256_thumbprint);
        assert_eq!((current.sha1_thumbprint.len(), current.sha256_thumbprint.len()), (27, 43));
        assert_eq!(
            (current.not_before_unix_s, current.not_after_unix_s),
            (1_577_836_800, 4_733_510_400),
            "from 2020 to 2120, the end beyond UTCTime"
        );
    }

    #[test]
    fn times_of_both_types() {
        // name, tag, text, Unix seconds
        let table = [
            ("UTCTime of this century", tag::UTC_TIME, "260102030405Z", Some(1_767_323_045)),
            ("UTCTime of the last century", tag::UTC_TIME, "700101000000Z", Some(0)),
            ("GeneralizedTime", tag::GENERALIZED_TIME, "20260102030405Z", Some(1_767_323_045)),
            ("no Z", tag::UTC_TIME, "260102030405", None),
            ("an offset", tag::UTC_TIME, "260102030405+0100", None),
            ("no seconds", tag::UTC_TIME, "2601020304Z", None),
            ("fraction", tag::GENERALIZED_TIME, "20260102030405.5Z", None),
            ("month 13", tag::UTC_TIME, "261302030405Z", None),
            ("another type", tag::INTEGER, "260102030405Z", None),
        ];
        for (name, tag, text, expected) in table {
            assert_eq!(time((tag, text.as_bytes())), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_by_its_reason() {
        let block = |bytes: &[u8]| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(bytes))
        };
        let good = include_bytes!("../../keys/stranger.crt").as_slice();
        let oid = good.windows(RSA_ENCRYPTION.len()).position(|window| window == RSA_ENCRYPTION).unwrap();
        let mut other_key = good.to_vec();
        other_key[oid + 8] = 0x0a; // id-RSASSA-PSS
        let trailing = [good, &[0]].concat();
        let table = [
            ("good", block(good), None),
            ("text around the block", format!("subject=x\n{}\n", block(good)), None),
            ("nothing", String::new(), Some(CertificateError::NotPem)),
            ("a private key", fixtures::CLIENT_CERTIFICATE_KEY_PEM.to_owned(), Some(CertificateError::NotPem)),
            ("no end", block(good).replace("END", "DNE"), Some(CertificateError::NotPem)),
            ("no base64", block(good).replace("\nMII", "\n*II"), Some(CertificateError::NotPem)),
            ("no DER", block(b"certificate"), Some(CertificateError::NotX509)),
            ("cut off", block(&good[..good.len() - 1]), Some(CertificateError::NotX509)),
            ("a byte too many", block(&trailing), Some(CertificateError::NotX509)),
            ("a key of another algorithm", block(&other_key), Some(CertificateError::NotRsa)),
        ];
        for (name, pem, problem) in table {
            assert_eq!(X509::from_pem(&pem).err(), problem, "{name}");
        }
    }
}
