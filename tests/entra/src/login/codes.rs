//! Authorization codes: what is remembered from the authorization request until the token request, and the checks between the two.

use ring::digest::{SHA256, digest};

use super::authority::Authority;
use super::errors::Refusal;
use super::scopes::Scopes;
use super::session::Session;
use crate::encoding::base64url;
use crate::seed::{App, Guid, Person};

/// How long a code lives, by the emulator's clock.
pub(crate) const CODE_LIFETIME_S: i64 = 600;

/// How the verifier turns into the challenge (RFC 7636 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// `plain`, also if no method was named.
    Plain(String),
    /// `S256`.
    S256(String),
}

impl Challenge {
    fn is_met_by(&self, verifier: &str) -> bool {
        match self {
            Self::Plain(challenge) => challenge == verifier,
            Self::S256(challenge) => *challenge == base64url(digest(&SHA256, verifier.as_bytes())),
        }
    }
}

/// An issued code.
#[derive(Debug, Clone)]
pub(crate) struct IssuedCode {
    pub(crate) client_id: Guid,
    pub(crate) person: Person,
    pub(crate) authority: Authority,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) nonce: Option<String>,
    pub(crate) scopes: Scopes,
    pub(crate) session: Session,
    pub(crate) issued_at_unix_s: i64,
    pub(crate) redeemed: bool,
}

/// What a token request brings along with its code.
#[derive(Debug)]
pub(crate) struct Redemption<'a> {
    pub(crate) app: &'a App,
    pub(crate) authority: &'a Authority,
    pub(crate) redirect_uri: &'a str,
    pub(crate) code_verifier: Option<&'a str>,
    pub(crate) now_unix_s: i64,
}

impl IssuedCode {
    /// Checks a redemption (RFC 6749 section 4.1.3, RFC 7636 section 4.6). A refused one leaves the code usable.
    pub(crate) fn check(&self, redemption: &Redemption<'_>) -> Result<(), Refusal> {
        if self.client_id != redemption.app.client_id {
            return Err(Refusal::CodeInvalid);
        }
        if !self.authority.hands_code_to(redemption.authority, &self.person) {
            return Err(Refusal::CodeForOtherTenant);
        }
        if self.redeemed {
            return Err(Refusal::CodeRedeemed);
        }
        if redemption.now_unix_s - self.issued_at_unix_s > CODE_LIFETIME_S {
            return Err(Refusal::CodeExpired);
        }
        if self.redirect_uri != redemption.redirect_uri {
            return Err(Refusal::CodeRedirectUriMismatch {
                sent: redemption.redirect_uri.to_owned(),
                expected: self.redirect_uri.clone(),
            });
        }
        match (&self.challenge, redemption.code_verifier) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Refusal::VerifierUnexpected),
            (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => Ok(()),
            (Some(_), _) => Err(Refusal::VerifierMismatch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_follow_rfc_7636() {
        // RFC 7636 appendix B
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let s256 = Challenge::S256("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned());
        assert!(s256.is_met_by(verifier));
        assert!(!s256.is_met_by("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), "S256 is not plain");
        assert!(Challenge::Plain(verifier.to_owned()).is_met_by(verifier));
    }
}
