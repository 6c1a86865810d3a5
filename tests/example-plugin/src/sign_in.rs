//! The two steps of a sign-in. What the second must know of the first is in `storage`, under the `state`; each call has a fresh
//! instance.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use crate::bindings::defguard::openid::{clock, credentials, http, random, storage};
use crate::bindings::exports::defguard::openid::login::{
    AccountKind, Authorization, BeginRequest, Check, CompleteRequest, Completion, EmailLinking, Flow, Groups, Identity,
    IdentityKey, Refusal, RefusalKind, Verdict,
};
use crate::provider::{Endpoints, Provider, get};

/// Seconds that a sign-in may take.
const LIFE_S: u32 = 600;

/// What `complete` must know of `begin`.
#[derive(Debug, Serialize, Deserialize)]
struct Transaction {
    binding: String,
    verifier: String,
    redirect_uri: String,
    flow: u8,
}

#[derive(Debug, Deserialize)]
struct Token {
    access_token: String,
}

/// OpenID Connect Core 1.0 section 5.1, as much as is used.
#[derive(Debug, Deserialize)]
struct UserInfo {
    sub: String,
    email: String,
    given_name: Option<String>,
    family_name: Option<String>,
}

pub(crate) fn begin(request: &BeginRequest) -> Result<Authorization, Refusal> {
    let (provider, endpoints) = known(&request.provider)?;
    let (state, binding, verifier) = (secret(), secret(), secret());
    let transaction = Transaction {
        binding: binding.clone(),
        verifier: verifier.clone(),
        redirect_uri: request.redirect_uri.clone(),
        flow: request.flow as u8,
    };
    let stored = serde_json::to_vec(&transaction).map_err(|error| internal(&error.to_string()))?;
    storage::put(&place(&state), &stored, LIFE_S).map_err(|error| no_storage(&error))?;
    let query = Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &provider.client_id)
        .append_pair("redirect_uri", &request.redirect_uri)
        .append_pair("scope", "openid profile email")
        .append_pair("state", &state)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)))
        .append_pair("code_challenge_method", "S256")
        .finish();
    Ok(Authorization {
        url: format!("{}?{query}", endpoints.authorization_endpoint),
        state,
        browser_binding: binding,
        expires_at_unix_s: clock::now_unix_ms() / 1000 + u64::from(LIFE_S),
        checks: Vec::new(),
    })
}

pub(crate) fn complete(request: &CompleteRequest) -> Result<Completion, Refusal> {
    let (provider, endpoints) = known(&request.provider)?;
    let state = parameter(request, "state").ok_or_else(|| unknown("there is no state, or more than one"))?;
    let place = place(state);
    let waiting = storage::get(&place).map_err(|error| no_storage(&error))?;
    let waiting = waiting.ok_or_else(|| unknown("nothing is stored under this state"))?;
    let transaction: Transaction = serde_json::from_slice(&waiting).map_err(|error| internal(&error.to_string()))?;
    // Before it is taken: whoever has the address alone can't end somebody's sign-in.
    if request.browser_binding.as_deref() != Some(&*transaction.binding) {
        let message = "Please sign in in the browser in which you began.";
        return Err(refusal(RefusalKind::BrowserMismatch, "browser_mismatch", message, "another browser's cookie"));
    }
    // Of two callbacks at once one goes on.
    let ours = storage::take(&place).map_err(|error| no_storage(&error))?;
    if ours != Some(waiting) || transaction.flow != request.flow as u8 {
        return Err(unknown("it was finished in this moment, or is another flow's"));
    }
    let code = parameter(request, "code").ok_or_else(|| {
        let message = "The provider did not let you in.";
        refusal(RefusalKind::DeniedByProvider, "denied_by_provider", message, "the callback has no code")
    })?;
    let token = redeem(&endpoints, &transaction, code)?;
    let answer =
        get(endpoints.userinfo_endpoint.clone(), Some(&token.access_token)).map_err(|error| unavailable(&error))?;
    let person: UserInfo = serde_json::from_slice(&answer.body).map_err(|error| unavailable(&error.to_string()))?;
    Ok(completion(request.flow, &provider, person))
}

/// The token request. The host adds the client's credential on the way out: this plugin never sees it.
fn redeem(endpoints: &Endpoints, transaction: &Transaction, code: &str) -> Result<Token, Refusal> {
    let form = Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", &transaction.redirect_uri)
        .append_pair("code_verifier", &transaction.verifier)
        .finish();
    let request = http::Request {
        method: http::Method::Post,
        url: endpoints.token_endpoint.clone(),
        headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
        body: Some(form.into_bytes()),
        timeout_ms: 10_000,
        max_response_bytes: 64 << 10,
    };
    let method = credentials::available().first().copied().ok_or_else(|| unavailable("no way to authenticate"))?;
    let answer =
        credentials::send_authenticated(&request, method).map_err(|error| unavailable(&format!("{error:?}")))?;
    if answer.status != 200 {
        return Err(unavailable(&format!("the token endpoint answers with {}", answer.status)));
    }
    serde_json::from_slice(&answer.body).map_err(|error| unavailable(&error.to_string()))
}

fn completion(flow: Flow, provider: &Provider, person: UserInfo) -> Completion {
    let local = person.email.split('@').next().unwrap_or_default();
    let username: String = local.chars().filter(char::is_ascii_alphanumeric).take(63).collect();
    let given_name = person.given_name.unwrap_or_else(|| username.clone());
    let family_name = person.family_name.unwrap_or_else(|| username.clone());
    let identity = Identity {
        key: IdentityKey { issuer: provider.base_url.clone(), subject: person.sub, tenant_id: None, object_id: None },
        display_name: format!("{given_name} {family_name}"),
        username,
        email: person.email,
        email_verified: None,
        given_name,
        family_name,
        phone: None,
        groups: Groups::NotRequested,
        account: AccountKind::Unknown,
        attributes: Vec::new(),
    };
    Completion {
        flow,
        identity,
        // An address proves nothing here, so it links nothing.
        email_linking: EmailLinking::NeedsApproval("this plugin trusts no address".into()),
        raw_claims: None,
        checks: vec![Check { name: "userinfo".into(), verdict: Verdict::Pass, detail: "it names a person".into() }],
    }
}

fn known(json: &str) -> Result<(Provider, Endpoints), Refusal> {
    let provider = Provider::parse(json).map_err(|(path, message)| {
        let hint = format!("{path}: {message}");
        refusal(RefusalKind::Misconfigured, "configuration_invalid", "Sign-in isn't set up right.", &hint)
    })?;
    let endpoints = provider.endpoints().map_err(|error| unavailable(&error))?;
    Ok((provider, endpoints))
}

/// A parameter that is there once.
fn parameter<'a>(request: &'a CompleteRequest, name: &str) -> Option<&'a str> {
    let mut values = request.parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    values.next().filter(|_| values.next().is_none())
}

/// Keys are visible ASCII of at most 200 bytes; a `state` may be anything.
fn place(state: &str) -> String {
    Sha256::digest(state).iter().fold("transaction/".to_owned(), |mut key, byte| {
        // Writing to a String can't fail.
        let _ = write!(key, "{byte:02x}");
        key
    })
}

/// 256 bits, as text.
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes(32))
}

fn refusal(kind: RefusalKind, code: &str, message: &str, hint: &str) -> Refusal {
    Refusal {
        kind,
        code: code.into(),
        message: message.into(),
        admin_hint: hint.into(),
        http_status: match kind {
            RefusalKind::ProviderUnavailable | RefusalKind::Misconfigured => 502,
            RefusalKind::StorageUnavailable => 503,
            RefusalKind::Internal => 500,
            _ => 400,
        },
        retry_helps: kind != RefusalKind::Misconfigured,
        provider_said: Vec::new(),
        checks: Vec::new(),
    }
}

fn unknown(hint: &str) -> Refusal {
    let message = "This sign-in is over. Please begin again.";
    refusal(RefusalKind::TransactionUnknown, "transaction_unknown", message, hint)
}

fn unavailable(hint: &str) -> Refusal {
    refusal(
        RefusalKind::ProviderUnavailable,
        "provider_answer_invalid",
        "The provider doesn't answer as it should.",
        hint,
    )
}

fn no_storage(error: &storage::Error) -> Refusal {
    let message = "Sign-in isn't possible right now.";
    refusal(RefusalKind::StorageUnavailable, "storage_unavailable", message, &format!("{error:?}"))
}

fn internal(hint: &str) -> Refusal {
    refusal(RefusalKind::Internal, "internal", "Something is broken here.", hint)
}
