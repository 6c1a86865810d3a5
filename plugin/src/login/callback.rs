//! The parameters that come back (RFC 6749 section 4.1.2, OIDC Core 3.1.2.5 and 3.1.2.6, RFC 9207): anybody may have
//! written them. What the protocol doesn't name is ignored, an access token among them.

use super::refusal::{self, Refusal};
use super::trace::cut;
use crate::entra::aadsts;

/// The longest `state`; ours has 43 characters.
const MAX_STATE_BYTES: usize = 512;
/// The longest `code`; Entra's have 1 to 2 KiB.
const MAX_CODE_BYTES: usize = 8 << 10;
/// The longest of the others.
const MAX_OTHER_BYTES: usize = 4 << 10;
/// The longest text of the provider that is passed on.
const MAX_SAID_BYTES: usize = 300;
/// The parameters that mean something.
const KNOWN: [&str; 7] = ["code", "state", "iss", "error", "error_description", "error_subcode", "error_uri"];
const CHECK: &str = "callback";

/// A callback whose form is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Names the transaction.
    pub state: String,
    /// RFC 9207.
    pub issuer: Option<String>,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A code to redeem.
    Code(String),
    /// A refusal.
    Error(ProviderError),
}

/// The provider's refusal, in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// `error`.
    pub error: String,
    /// `error_description`.
    pub description: Option<String>,
    /// Entra's `error_subcode`.
    pub subcode: Option<String>,
}

/// Reads the parameters.
pub fn read(parameters: &[(String, String)]) -> Result<Callback, Refusal> {
    // RFC 6749 section 3.1: none more than once; of two, an attacker's may be the one that counts (V26).
    for name in KNOWN {
        if parameters.iter().filter(|(found, _)| found == name).count() > 1 {
            return Err(Refusal::new(&refusal::CALLBACK_DOUBLED, CHECK, format!("{name} is there twice")));
        }
    }
    let get = |name: &str, limit: usize| -> Result<Option<String>, Refusal> {
        match parameters.iter().find(|(found, _)| found == name) {
            Some((_, value)) if value.len() > limit => {
                let detail = format!("{name} has {} bytes, at most {limit} are read", value.len());
                Err(Refusal::new(&refusal::CALLBACK_OVERSIZED, CHECK, detail))
            }
            Some((_, value)) if value.is_empty() => Ok(None),
            Some((_, value)) => Ok(Some(value.clone())),
            None => Ok(None),
        }
    };
    let incomplete = |detail: &str| Refusal::new(&refusal::CALLBACK_INCOMPLETE, CHECK, detail);
    let state = get("state", MAX_STATE_BYTES)?.ok_or_else(|| incomplete("there is no state"))?;
    let (code, error) = (get("code", MAX_CODE_BYTES)?, get("error", MAX_OTHER_BYTES)?);
    let description = get("error_description", MAX_OTHER_BYTES)?;
    let outcome = match (code, error) {
        (Some(code), None) => Outcome::Code(code),
        (None, Some(error)) => {
            Outcome::Error(ProviderError { error, description, subcode: get("error_subcode", MAX_OTHER_BYTES)? })
        }
        (Some(_), Some(_)) => {
            return Err(Refusal::new(&refusal::CALLBACK_CONTRADICTORY, CHECK, "there are both code and error"));
        }
        (None, None) => return Err(incomplete("there is neither code nor error")),
    };
    Ok(Callback { state, issuer: get("iss", MAX_OTHER_BYTES)?, outcome })
}

/// RFC 9207 section 2.4: the callback names the issuer that the transaction began with, and must where the provider said
/// that it would.
pub fn check_issuer(found: Option<&str>, issuers: &[String], must: bool) -> Result<(), Refusal> {
    let mismatch = |detail: String| Err(Refusal::new(&refusal::CALLBACK_ISSUER, "callback.issuer", detail));
    match found {
        Some(found) if issuers.iter().any(|issuer| issuer == found) => Ok(()),
        Some(found) => mismatch(format!("iss is {:?}, expected {}", cut(found, 256), issuers.join(" or "))),
        None if must => mismatch("there is no iss, though the provider says that it sends one".into()),
        None => Ok(()),
    }
}

impl ProviderError {
    /// Which refusal it is. Only `error` decides, and Entra's subcode for a cancelled sign-in; the number in the text
    /// chooses words.
    pub fn refusal(&self) -> Refusal {
        let rule = match self.error.as_str() {
            "access_denied" if self.subcode.as_deref() == Some("cancel") => &refusal::LOGIN_CANCELLED,
            "access_denied" => &refusal::ACCESS_DENIED,
            "consent_required" => &refusal::CONSENT_REQUIRED,
            "login_required" | "interaction_required" | "account_selection_required" => &refusal::INTERACTION_REQUIRED,
            "server_error" | "temporarily_unavailable" => &refusal::PROVIDER_ERROR,
            "invalid_request"
            | "unauthorized_client"
            | "unsupported_response_type"
            | "invalid_scope"
            | "invalid_resource"
            | "request_not_supported"
            | "invalid_request_uri" => &refusal::REQUEST_REFUSED,
            _ => &refusal::DENIED_OTHER,
        };
        let said = [
            ("error", Some(&self.error)),
            ("error_subcode", self.subcode.as_ref()),
            ("error_description", self.description.as_ref()),
        ];
        let said =
            said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), cut(value?, MAX_SAID_BYTES)))).collect();
        let detail = format!("the provider answered {:?}", cut(&self.error, 64));
        let refusal = Refusal::new(rule, "provider", detail).with_provider_said(said);
        // Whoever cancelled knows it.
        let number = self.description.as_deref().and_then(aadsts::number).filter(|_| rule != &refusal::LOGIN_CANCELLED);
        refusal.explained_by(number)
    }
}
