//! The first step: the authorization request (OIDC Core 3.1.2.1, RFC 7636 section 4.3), and the transaction behind it.

use std::sync::Arc;

use super::Flow;
use super::assurance;
use super::refusal::{self, Refusal};
use super::trace::{Check, Trace};
use super::transaction::{self, Beginning, LIFE_S};
use crate::capability::{Level, World};
use crate::configuration::{self, Provider, ResponseMode};
use crate::oidc::discovery::{self, Metadata};
use crate::oidc::{pkce, pushed_request};
use url::form_urlencoded;

/// The longest login hint, in bytes.
const MAX_HINT_BYTES: usize = 320;

/// `login.begin-request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginRequest {
    /// The provider's configuration.
    pub provider: String,
    /// What for.
    pub flow: Flow,
    /// Where to come back to.
    pub redirect_uri: String,
    /// Whom, if the host knows.
    pub login_hint: Option<String>,
}

/// `login.authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Where to send the browser.
    pub url: String,
    /// The `state` in it.
    pub state: String,
    /// For the browser's cookie.
    pub browser_binding: String,
    /// From then on it is gone.
    pub expires_at_unix_s: u64,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// Builds the authorization request and stores the transaction.
pub fn begin(world: World<'_>, request: &BeginRequest) -> Result<Authorization, (Refusal, Vec<Check>)> {
    let mut trace = Trace::default();
    let outcome = run(world, request, &mut trace);
    match outcome {
        Ok((url, state, browser_binding)) => Ok(Authorization {
            url,
            state,
            browser_binding,
            expires_at_unix_s: world.clock.now_unix_s().saturating_add(u64::from(LIFE_S)),
            checks: trace.into_checks(),
        }),
        Err(refusal) => {
            let checks = refusal.checks(trace);
            Err((refusal, checks))
        }
    }
}

fn run(world: World<'_>, request: &BeginRequest, trace: &mut Trace) -> Result<(String, String, String), Refusal> {
    let provider = usable(&request.provider)?;
    let metadata = discovery::metadata(world, &provider, trace)?;
    check_response_mode(&provider, &metadata)?;
    let begun = transaction::begin(
        world,
        Beginning {
            provider: &provider.id,
            flow: request.flow,
            redirect_uri: &request.redirect_uri,
            configuration: &provider.fingerprint,
            issuers: metadata.callback_issuers(),
            sends_issuer: metadata.sends_issuer,
        },
    )?;
    trace.pass("transaction", "stored for 600 s");
    let login_hint = match &request.login_hint {
        Some(hint) if hint.len() <= MAX_HINT_BYTES && provider.prompt.as_deref() != Some("select_account") => {
            Some(hint)
        }
        Some(_) => {
            world.log.write(Level::Warn, "login hint not sent", &[]);
            None
        }
        None => provider.login_hint.as_ref(),
    };
    let scope = provider.scopes.join(" ");
    let challenge = pkce::challenge(&begun.transaction.code_verifier);
    let mut parameters: Vec<(&str, &str)> = vec![
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &request.redirect_uri),
        ("scope", &scope),
        ("state", &begun.state),
        ("nonce", &begun.transaction.nonce),
        ("code_challenge", &challenge),
        // Left out it would mean "plain" (RFC 7636 section 4.3).
        ("code_challenge_method", "S256"),
    ];
    let options = &provider.sign_in;
    let (max_age, acr_values) = (options.max_age.map(|seconds| seconds.to_string()), options.acr_values.join(" "));
    let claims = assurance::claims_parameter(options);
    let optional = [
        ("response_mode", options.response_mode.map(ResponseMode::as_str)),
        ("prompt", provider.prompt.as_deref()),
        ("login_hint", login_hint.map(String::as_str)),
        ("domain_hint", provider.domain_hint.as_deref()),
        ("max_age", max_age.as_deref()),
        ("acr_values", Some(acr_values.as_str()).filter(|values| !values.is_empty())),
        ("claims", claims.as_deref()),
    ];
    parameters.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let url = match pushed_request::push(world, &provider, &metadata, &parameters, trace)? {
        // RFC 9126 section 4: client_id and the reference, nothing else.
        Some(reference) => {
            let parameters = [("client_id", provider.client_id.as_str()), ("request_uri", reference.as_str())];
            with_parameters(&metadata.authorization_endpoint, &parameters)
        }
        None => with_parameters(&metadata.authorization_endpoint, &parameters),
    };
    Ok((url, begun.state, begun.browser_binding))
}

/// A provider that says which response modes it has must have the configured one.
fn check_response_mode(provider: &Provider, metadata: &Metadata) -> Result<(), Refusal> {
    let (Some(mode), Some(offered)) = (provider.sign_in.response_mode, &metadata.response_modes) else { return Ok(()) };
    if offered.iter().any(|offered| offered == mode.as_str()) {
        return Ok(());
    }
    let detail = format!("the provider offers {:?}, the configuration wants {:?}", offered.join(", "), mode.as_str());
    Err(Refusal::new(&refusal::RESPONSE_MODE_UNSUPPORTED, "response_mode", detail))
}

/// The provider, if its configuration has no error.
pub(crate) fn usable(json: &str) -> Result<Arc<Provider>, Refusal> {
    configuration::parse(json).map_err(|problem| {
        let detail = format!("{}: {}", problem.path, problem.message);
        let refusal = Refusal::new(&refusal::CONFIGURATION_INVALID, "configuration", detail);
        if problem.hint.is_empty() { refusal } else { refusal.with_hint(problem.hint) }
    })
}

/// The endpoint, which is a URL without a fragment, may have a query of its own (RFC 6749 section 3.1): it stays, but for parameters of our
/// names.
fn with_parameters(endpoint: &str, parameters: &[(&str, &str)]) -> String {
    let (address, own) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let own =
        form_urlencoded::parse(own.as_bytes()).filter(|(name, _)| !parameters.iter().any(|(ours, _)| ours == name));
    let url = format!("{address}?");
    let query = url.len();
    form_urlencoded::Serializer::for_suffix(url, query).extend_pairs(own).extend_pairs(parameters).finish()
}
