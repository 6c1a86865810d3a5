//! Reading and checking an authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1, Entra's rules).
//! Until client and redirect URI are known to belong together a refusal is a page; afterwards it goes back to the client.

use super::authority::Authority;
use super::claims_parameter;
use super::codes::Challenge;
use super::errors::Refusal;
use super::scopes::Scopes;
use crate::directory::Directory;
use crate::encoding::Parameters;
use crate::seed::App;

/// How the answer reaches the client (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post Response Mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseMode {
    /// In the query of the redirect URI.
    Query,
    /// In its fragment.
    Fragment,
    /// As a form that the browser posts.
    FormPost,
}

/// Where and how an answer goes back.
#[derive(Debug, Clone)]
pub(crate) struct ReturnAddress {
    pub(crate) redirect_uri: String,
    pub(crate) mode: ResponseMode,
    pub(crate) state: Option<String>,
}

/// The `prompt` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// `none`: no page may be shown.
    Silent,
    /// `select_account`: the picker, always.
    SelectAccount,
    /// `login`: the person proves again who they are.
    Login,
    /// `consent`, or absent.
    Interactive,
}

/// A request that is fit to sign someone in.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizationRequest {
    pub(crate) app: App,
    pub(crate) authority: Authority,
    pub(crate) back: ReturnAddress,
    pub(crate) scopes: Scopes,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) prompt: Prompt,
    /// How old a session may be, seconds (`max_age`).
    pub(crate) max_age_s: Option<i64>,
    /// The authentication contexts that the parameter `claims` asks for.
    pub(crate) asked_contexts: Vec<String>,
}

/// What becomes of a request that is not.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// Told to the person; the client hears nothing.
    OnPage(Refusal),
    /// Told to the client.
    ToClient(ReturnAddress, Refusal),
}

impl AuthorizationRequest {
    /// Checks a request.
    pub(crate) fn read(
        directory: &Directory,
        graph_url: &str,
        segment: &str,
        parameters: &Parameters,
    ) -> Result<Self, Rejection> {
        let (app, authority, redirect_uri) = client(directory, segment, parameters).map_err(Rejection::OnPage)?;
        let state = parameters.get("state").map(str::to_owned);
        let plain = ReturnAddress { redirect_uri, mode: ResponseMode::Query, state };
        let mode = response_mode(parameters).map_err(|refusal| Rejection::ToClient(plain.clone(), refusal))?;
        let back = ReturnAddress { mode, ..plain };
        let to_client = |refusal| Rejection::ToClient(back.clone(), refusal);

        response_type(parameters).map_err(to_client)?;
        let scope = parameters.get("scope").ok_or_else(|| to_client(Refusal::MissingParameter { name: "scope" }))?;
        let scopes = Scopes::parse(scope, graph_url).map_err(to_client)?;
        let challenge = challenge(parameters).map_err(to_client)?;
        let prompt = prompt(parameters).map_err(to_client)?;
        let asked_contexts = parameters.get("claims").map(claims_parameter::asked_contexts).transpose();
        let asked_contexts = asked_contexts.map_err(to_client)?.unwrap_or_default();
        let nonce = parameters.get("nonce").map(str::to_owned);
        // Not documented: what is no number is ignored as the parameter itself may be.
        let max_age_s = parameters.get("max_age").and_then(|text| text.parse().ok());
        Ok(Self { app, authority, back, scopes, nonce, challenge, prompt, max_age_s, asked_contexts })
    }
}

fn client(directory: &Directory, segment: &str, parameters: &Parameters) -> Result<(App, Authority, String), Refusal> {
    let authority = Authority::resolve(directory, segment)?;
    if let Some(name) = parameters.duplicate() {
        return Err(Refusal::DuplicateParameter { name: name.to_owned() });
    }
    let client_id = parameters.get("client_id").ok_or(Refusal::MissingParameter { name: "client_id" })?;
    let app = directory.app(client_id).ok_or_else(|| Refusal::AppNotFound {
        client_id: client_id.to_owned(),
        tenant: authority.segment().to_owned(),
    })?;
    authority.knows(app)?;
    let redirect_uri = match parameters.get("redirect_uri") {
        Some(sent) if app.redirect_uris.iter().any(|registered| redirect_uri_matches(registered, sent)) => sent,
        Some(sent) => {
            return Err(Refusal::RedirectUriMismatch {
                redirect_uri: sent.to_owned(),
                client_id: client_id.to_owned(),
            });
        }
        // Entra picks any registered one.
        None => app.redirect_uris.first().ok_or_else(|| Refusal::NoRedirectUri { client_id: client_id.to_owned() })?,
    };
    Ok((app.clone(), authority, redirect_uri.to_owned()))
}

/// Exact and case-sensitive; the port is ignored for `localhost` alone.
fn redirect_uri_matches(registered: &str, sent: &str) -> bool {
    registered == sent
        || match (without_localhost_port(registered), without_localhost_port(sent)) {
            (Some(registered), Some(sent)) => registered == sent,
            _ => false,
        }
}

/// `http://localhost:1234/path` as `http://localhost/path`; none for another host.
fn without_localhost_port(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("http://localhost")?;
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (port, path) = rest.split_at_checked(path_at)?;
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    is_port.then(|| format!("http://localhost{path}"))
}

fn response_mode(parameters: &Parameters) -> Result<ResponseMode, Refusal> {
    match parameters.get("response_mode") {
        None | Some("query") => Ok(ResponseMode::Query),
        Some("fragment") => Ok(ResponseMode::Fragment),
        Some("form_post") => Ok(ResponseMode::FormPost),
        Some(other) => Err(Refusal::ResponseModeUnknown { response_mode: other.to_owned() }),
    }
}

fn response_type(parameters: &Parameters) -> Result<(), Refusal> {
    let response_type = parameters.get("response_type").ok_or(Refusal::MissingParameter { name: "response_type" })?;
    if response_type == "code" {
        return Ok(());
    }
    let known = |part: &str| ["code", "id_token", "token"].contains(&part);
    if response_type.split_ascii_whitespace().all(known) {
        // No app of the emulator has the implicit or the hybrid flow ticked.
        Err(Refusal::ResponseTypeNotEnabled { response_type: response_type.to_owned() })
    } else {
        Err(Refusal::ResponseTypeUnknown { response_type: response_type.to_owned() })
    }
}

/// RFC 7636 section 4.3: no method means `plain`; section 4.2 gives the sizes.
fn challenge(parameters: &Parameters) -> Result<Option<Challenge>, Refusal> {
    let challenge = match (parameters.get("code_challenge"), parameters.get("code_challenge_method")) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(Refusal::ChallengeMissing),
        (Some(challenge), method) => match method.unwrap_or("plain") {
            "plain" => Challenge::Plain(challenge.to_owned()),
            "S256" => Challenge::S256(challenge.to_owned()),
            other => return Err(Refusal::ChallengeMethodUnknown { method: other.to_owned() }),
        },
    };
    let size_is_right = match &challenge {
        Challenge::Plain(text) => (43..=128).contains(&text.len()),
        Challenge::S256(text) => text.len() == 43,
    };
    if size_is_right { Ok(Some(challenge)) } else { Err(Refusal::ChallengeSize) }
}

fn prompt(parameters: &Parameters) -> Result<Prompt, Refusal> {
    match parameters.get("prompt") {
        None | Some("consent") => Ok(Prompt::Interactive),
        Some("login") => Ok(Prompt::Login),
        Some("none") => Ok(Prompt::Silent),
        Some("select_account") if parameters.get("login_hint").is_some() => {
            Err(Refusal::PromptInvalid { reason: "'select_account' cannot be combined with 'login_hint'" })
        }
        Some("select_account") => Ok(Prompt::SelectAccount),
        Some(_) => Err(Refusal::PromptInvalid { reason: "only login, none, consent and select_account are supported" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_match_exactly_except_for_the_port_of_localhost() {
        let table = [
            ("same", "https://a.example/cb", "https://a.example/cb", true),
            ("path case", "https://a.example/cb", "https://a.example/CB", false),
            ("slash", "https://a.example/cb", "https://a.example/cb/", false),
            ("scheme", "https://a.example/cb", "http://a.example/cb", false),
            ("query", "https://a.example/cb", "https://a.example/cb?x=1", false),
            ("localhost, other port", "http://localhost/cb", "http://localhost:4711/cb", true),
            ("localhost, registered port", "http://localhost:1/cb", "http://localhost:2/cb", true),
            ("localhost, other path", "http://localhost/cb", "http://localhost:4711/other", false),
            ("127.0.0.1, other port", "http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", false),
            ("host that starts alike", "http://localhost/cb", "http://localhost.attacker.example/cb", false),
            ("user information", "http://localhost/cb", "http://localhost:1@attacker.example/cb", false),
        ];
        for (name, registered, sent, expected) in table {
            assert_eq!(redirect_uri_matches(registered, sent), expected, "{name}");
        }
    }
}
