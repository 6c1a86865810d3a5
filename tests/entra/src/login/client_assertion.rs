//! Client assertions at the token endpoint (RFC 7521 section 4.2, RFC 7523 section 3): `private_key_jwt` with a registered certificate,
//! in the two forms that Microsoft documents, and another provider's token for a federated credential.
//! Stricter than Entra where a client should not rely on Entra's patience: no clock skew, a life of ten minutes at most.

use std::collections::HashSet;

use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::authority::Authority;
use super::errors::Refusal;
use crate::certificate::X509;
use crate::encoding::{Parameters, entra_timestamp, from_base64url};
use crate::seed::{App, Guid, RsaJwk};
use crate::world::World;

/// The only `client_assertion_type` (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest life of an assertion of the client's own, seconds: the upper end of Microsoft's "5-10 minutes".
const MAX_LIFETIME_S: i64 = 600;

/// Which thumbprint of a certificate an assertion names it by.
type ThumbprintOf = fn(&X509) -> &str;

/// The `jti` of accepted assertions per client, if they are remembered at all.
#[derive(Debug, Default)]
pub(crate) struct UsedAssertions(Option<HashSet<(Guid, String)>>);

impl UsedAssertions {
    /// Remembers from now on, or does not.
    pub(crate) fn remembering(on: bool) -> Self {
        Self(on.then(HashSet::new))
    }

    fn accept(&mut self, client_id: &Guid, jti: String) -> Result<(), Refusal> {
        let Some(seen) = &mut self.0 else { return Ok(()) };
        if seen.insert((client_id.clone(), jti.clone())) { Ok(()) } else { Err(Refusal::AssertionReplayed { jti }) }
    }
}

/// Checks that the assertion of the form authenticates the app.
pub(crate) fn check(
    world: &World,
    app: &App,
    authority: &Authority,
    form: &Parameters,
    now_unix_s: i64,
) -> Result<(), Refusal> {
    let sent_type =
        form.get("client_assertion_type").ok_or(Refusal::MissingParameter { name: "client_assertion_type" })?;
    if sent_type != ASSERTION_TYPE {
        return Err(Refusal::AssertionTypeUnknown { sent: sent_type.to_owned(), expected: ASSERTION_TYPE });
    }
    let assertion = Assertion::parse(form.get("client_assertion").unwrap_or_default())?;
    let client_id = app.client_id.as_str();
    // An assertion that names the client at all is meant as its own; another provider does not know the client's id.
    if assertion.claims.iss != client_id && assertion.claims.sub != client_id {
        return assertion.check_federated(app, now_unix_s);
    }
    assertion.check_certificate(app, now_unix_s)?;
    if assertion.claims.iss != client_id || assertion.claims.sub != client_id {
        return Err(Refusal::AssertionOtherClient { client_id: client_id.to_owned() });
    }
    assertion.check_audience(world, authority)?;
    assertion.check_time(now_unix_s, Some(MAX_LIFETIME_S))?;
    let jti = assertion.claims.jti.ok_or(Refusal::AssertionMalformed { reason: "it has no 'jti'" })?;
    world.state().used_assertions.accept(&app.client_id, jti)
}

/// The header parameters that matter (RFC 7515 section 4.1).
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<String>,
}

/// The claims that matter (RFC 7523 section 3). Times are whole Unix seconds.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: Option<String>,
}

/// `aud`: one, or a list (RFC 7519 section 4.1.3). Only a list of one is as good as one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

impl Audience {
    fn only(&self) -> Option<&str> {
        match self {
            Self::One(audience) => Some(audience),
            Self::List(list) => match list.as_slice() {
                [audience] => Some(audience),
                _ => None,
            },
        }
    }
}

/// A JWT in compact form (RFC 7515 section 7.1), taken apart and not yet believed.
#[derive(Debug)]
struct Assertion<'a> {
    header: Header,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Assertion<'a> {
    fn parse(jwt: &'a str) -> Result<Self, Refusal> {
        let malformed = |reason| Refusal::AssertionMalformed { reason };
        let not_three = || malformed("it has not three parts");
        let (signed, signature) = jwt.rsplit_once('.').ok_or_else(not_three)?;
        let (header, claims) =
            signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or_else(not_three)?;
        Ok(Self {
            header: part(header).ok_or_else(|| malformed("its header is not the JSON of a JWS header"))?,
            claims: part(claims).ok_or_else(|| malformed("it has not the claims 'iss', 'sub' and 'aud'"))?,
            signed,
            signature: from_base64url(signature).ok_or_else(|| malformed("its signature is not base64url"))?,
        })
    }

    /// RS256 with `x5t`, or PS256 with `x5t#S256`, signed with the key of a registered certificate that is valid now.
    fn check_certificate(&self, app: &App, now_unix_s: i64) -> Result<(), Refusal> {
        let unsupported = |reason| Refusal::AssertionHeader { reason };
        let (scheme, thumbprint, thumbprint_of): (&RsaParameters, _, ThumbprintOf) = match self.header.alg.as_str() {
            "RS256" => {
                let x5t = self.header.x5t.as_ref().ok_or_else(|| unsupported("RS256 needs 'x5t'"))?;
                (&RSA_PKCS1_2048_8192_SHA256, x5t, |certificate| &certificate.sha1_thumbprint)
            }
            "PS256" => {
                let x5t = self.header.x5t_s256.as_ref().ok_or_else(|| unsupported("PS256 needs 'x5t#S256'"))?;
                (&RSA_PSS_2048_8192_SHA256, x5t, |certificate| &certificate.sha256_thumbprint)
            }
            _ => return Err(unsupported("'alg' must be PS256 or RS256")),
        };
        let invalid = |reason| Refusal::AssertionSignature { reason, key: thumbprint.clone() };
        let certificate = app
            .certificates
            .iter()
            .filter_map(|registered| X509::from_pem(&registered.pem).ok())
            .find(|certificate| thumbprint_of(certificate) == thumbprint)
            .ok_or_else(|| invalid("The key was not found."))?;
        if now_unix_s < certificate.not_before_unix_s {
            return Err(invalid("The key used is not valid yet."));
        }
        if now_unix_s > certificate.not_after_unix_s {
            return Err(invalid("The key used is expired."));
        }
        UnparsedPublicKey::new(scheme, &certificate.rsa_public_key)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| invalid("The provided signature value did not match the expected signature value."))
    }

    /// A federated credential with exactly this issuer, subject and audience, and an RS256 signature with a key of its set.
    fn check_federated(&self, app: &App, now_unix_s: i64) -> Result<(), Refusal> {
        let Claims { iss, sub, aud, .. } = &self.claims;
        let audience = aud.only().unwrap_or_default();
        let credential = app
            .federated_credentials
            .iter()
            .find(|known| known.issuer == *iss && known.subject == *sub && known.audience == audience)
            .ok_or_else(|| Refusal::NoFederatedCredential {
                presented: format!(
                    "Assertion Issuer: '{iss}'. Assertion Subject: '{sub}'. Assertion Audience: '{audience}'."
                ),
            })?;
        if self.header.alg != "RS256" {
            return Err(Refusal::AssertionHeader { reason: "the token of another provider must be signed with RS256" });
        }
        let kid = self.header.kid.clone().unwrap_or_default();
        let key = credential.jwks.keys.iter().find(|key| key.kid == kid).and_then(RsaJwk::modulus_and_exponent);
        let invalid = |reason| Refusal::AssertionSignature { reason, key: kid.clone() };
        let (n, e) = key.ok_or_else(|| invalid("The key was not found."))?;
        PublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, self.signed.as_bytes(), &self.signature)
            .map_err(|_| invalid("The provided signature value did not match the expected signature value."))?;
        // How long its tokens live is the other provider's affair.
        self.check_time(now_unix_s, None)
    }

    /// `aud` is the token endpoint of the tenant that the request was sent to, by GUID or by domain.
    fn check_audience(&self, world: &World, authority: &Authority) -> Result<(), Refusal> {
        let named = self.claims.aud.only().and_then(|audience| {
            audience.strip_prefix(world.login_url.as_str())?.strip_prefix('/')?.strip_suffix("/oauth2/v2.0/token")
        });
        let meant = named.and_then(|segment| Authority::resolve(&world.state().directory, segment).ok());
        if meant.as_ref() == Some(authority) {
            return Ok(());
        }
        let expected = format!("{}/{}/oauth2/v2.0/token", world.login_url, authority.segment());
        Err(Refusal::AssertionAudience { expected })
    }

    /// Valid from `nbf` (`iat` without it) until before `exp`, and for no longer than allowed.
    fn check_time(&self, now_unix_s: i64, longest_s: Option<i64>) -> Result<(), Refusal> {
        let (start, end) = (self.claims.nbf.or(self.claims.iat), self.claims.exp);
        let moment = |unix_s: Option<i64>| unix_s.map_or_else(|| "(none)".to_owned(), entra_timestamp);
        let outside = |reason| Refusal::AssertionTime {
            reason,
            now: entra_timestamp(now_unix_s),
            validity: format!("from {} to {}", moment(start), moment(end)),
        };
        let (Some(start), Some(end)) = (start, end) else {
            return Err(outside("it needs 'exp', and 'nbf' or 'iat'"));
        };
        if now_unix_s < start {
            return Err(outside("it is not valid yet"));
        }
        if now_unix_s >= end {
            return Err(outside("it has expired"));
        }
        if longest_s.is_some_and(|longest| end.saturating_sub(start) > longest) {
            return Err(outside("it is valid for longer than ten minutes"));
        }
        Ok(())
    }
}

/// The JSON of one part.
fn part<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    serde_json::from_slice(&from_base64url(encoded)?).ok()
}
