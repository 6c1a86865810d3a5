//! Callbacks that anybody may have written, driven through `login::complete` in a scripted world. Input: a script.
//!
//! ```text
//! provider oidc-iss            microsoft (default), oidc, oidc-iss (announces RFC 9207); first line only
//! begin                        a transaction: @state0, @binding0; the next one is 1
//! wait 599                     seconds
//! cookie @binding0             the browser's, from then on; `no cookie`
//! flow mfa | redirect TEXT | client TEXT      what the host or the configuration says, from then on
//! come code=@code&state=@state0&iss=@issuer   a callback; `@x8193` is that many x
//! ```
//!
//! Asserted, against a model that knows nothing of the plugin's code: a token request is made only for exactly one state and
//! one code, of a live transaction, in its browser, with its verifier, once; a doubled parameter is refused without any
//! request; no refusal, trace or record has a code, state or binding; nobody without the cookie ends another's sign-in.

use std::cell::RefCell;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openid::login::Flow;
use openid::login::begin::Authorization;
use openid::login::complete::{CompleteRequest, complete};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::Seeds;
use crate::properties::{assert_checks, assert_refusal, assert_secret, text_of_checks, text_of_refusal};
use crate::support::{ISSUER, LOGIN, Stage, TENANT, discovery_url, id_token, json_response, oidc_document, with};

/// The parameters that mean something (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207, Entra).
const KNOWN: [&str; 7] = ["code", "state", "iss", "error", "error_description", "error_subcode", "error_uri"];
/// What `@code` stands for: nothing else contains it.
const CODE: &str = "0.AXkA-fuzz-code-7Gk2vQ-that-is-in-no-other-text";
/// RFC 6749 section 4.1.2 recommends 10 minutes for a code; a transaction lives as long, in seconds.
const LIFE_S: u64 = 600;
const MAX_LINES: usize = 32;
const MAX_BEGUN: usize = 4;

/// Plays one script; whether somebody is signed in by it.
pub fn check(input: &[u8]) -> bool {
    let Ok(script) = std::str::from_utf8(input) else { return false };
    let mut play = Play::new(script.lines().next().unwrap_or_default());
    for line in script.lines().take(MAX_LINES) {
        play.line(line);
    }
    let signed_in = play.begun.iter().any(|begun| begun.signed_in);
    play.end();
    signed_in
}

struct Begun {
    authorization: Authorization,
    at_s: u64,
    client: usize,
    /// A callback of its browser came: from then on it may be gone.
    touched: bool,
    redeemed: bool,
    signed_in: bool,
}

struct Play {
    stage: Stage,
    issuer: String,
    announces_issuer: bool,
    begun: Vec<Begun>,
    cookie: Option<String>,
    flow: Flow,
    redirect_uri: Option<String>,
    /// How often the configuration was changed.
    client: usize,
}

impl Play {
    fn new(first: &str) -> Self {
        let (stage, issuer) = match first {
            "provider oidc" | "provider oidc-iss" => (Stage::oidc(), ISSUER.to_owned()),
            _ => (Stage::microsoft(), format!("{LOGIN}/{TENANT}/v2.0")),
        };
        let announces_issuer = first == "provider oidc-iss";
        if announces_issuer {
            let announced = json!({ "authorization_response_iss_parameter_supported": true });
            stage.answer_json(&discovery_url(ISSUER), &with(oidc_document(), &announced));
        }
        let mut play = Self {
            stage,
            issuer,
            announces_issuer,
            begun: Vec::new(),
            cookie: None,
            flow: Flow::Enrollment,
            redirect_uri: None,
            client: 0,
        };
        play.begin();
        play.cookie = Some(play.fill("@binding0"));
        play
    }

    fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "begin" if self.begun.len() < MAX_BEGUN => self.begin(),
            "wait" => self.stage.pass_time(rest.parse::<u64>().unwrap_or(1).min(100_000)),
            "cookie" => self.cookie = Some(self.fill(rest)),
            "no" => self.cookie = None,
            "flow" => self.flow = if rest == "mfa" { Flow::Mfa } else { Flow::Enrollment },
            "redirect" => self.redirect_uri = Some(rest.to_owned()),
            "client" => {
                self.client += 1;
                let client_id = format!("client-{}", self.client);
                self.stage.configure(&json!({ "client_id": client_id }));
                self.stage.claim(&json!({ "aud": client_id }));
            }
            "come" => self.come(rest),
            _ => {}
        }
    }

    fn begin(&mut self) {
        let authorization = self.stage.begun();
        let at_s = self.stage.now_s.get();
        self.begun.push(Begun {
            authorization,
            at_s,
            client: self.client,
            touched: false,
            redeemed: false,
            signed_in: false,
        });
    }

    /// Puts what a fuzzer can't guess in place of its name.
    fn fill(&self, text: &str) -> String {
        let mut filled = text.replace("@code", CODE).replace("@issuer", &self.issuer);
        for (at, begun) in self.begun.iter().enumerate() {
            filled = filled
                .replace(&format!("@state{at}"), &begun.authorization.state)
                .replace(&format!("@binding{at}"), &begun.authorization.browser_binding);
        }
        if let Some(long) = filled.strip_prefix("@x").and_then(|count| count.parse::<usize>().ok()) {
            filled = "x".repeat(long.min(20_000));
        }
        filled
    }

    fn come(&mut self, written: &str) {
        let parameters: Vec<(String, String)> = form_urlencoded::parse(written.as_bytes())
            .map(|(name, value)| (name.into_owned(), self.fill(&value)))
            .collect();
        let request = self.request(&parameters);
        self.prepare_tokens(&parameters);
        let model = Model::new(&parameters);
        let (asked, token_asked) = (self.stage.requests().len(), self.stage.token_requests().len());
        let stored = self.stage.stored_keys();
        let live = self.live(&model);

        let outcome = complete(self.stage.world(), &request);

        let token_requests = self.stage.token_requests().split_off(token_asked);
        assert!(token_requests.len() <= 1, "one callback, {} token requests", token_requests.len());
        if let Some((token_request, _)) = token_requests.first() {
            let live = live.expect("a token request, but no live transaction of this state and browser");
            assert!(!model.doubled && model.error.is_none(), "a token request for {parameters:?}");
            let code = model.code.as_deref().expect("a token request without a code");
            if self.announces_issuer {
                assert!(model.issuer.is_some(), "an announced iss is missing");
            }
            assert!(model.issuer.as_ref().is_none_or(|found| *found == self.issuer), "iss {:?}", model.issuer);
            self.assert_token_request(live, code, token_request.body.as_deref().unwrap_or_default());
            let begun = self.begun.get_mut(live).unwrap();
            (begun.redeemed, begun.signed_in) = (true, outcome.is_ok());
        }
        if model.doubled {
            let code = outcome.as_ref().err().map(|(refusal, _)| refusal.rule.code);
            assert_eq!(code, Some("callback_parameter_doubled"), "{parameters:?}");
        }
        if model.doubled || live.is_none() {
            assert_eq!(self.stage.requests().len(), asked, "a request for a callback that isn't ours");
            assert_eq!(self.stage.stored_keys(), stored, "a transaction is taken by a callback that isn't its own");
        }
        let text = match &outcome {
            Ok(completion) => {
                assert_eq!(token_requests.len(), 1, "signed in without a token request");
                assert_checks(&completion.checks);
                format!("{:?}{}", completion.identity, text_of_checks(&completion.checks))
            }
            Err((refusal, checks)) => {
                assert_refusal(refusal, checks);
                text_of_refusal(refusal, checks)
            }
        };
        self.assert_no_secret(&parameters, &format!("{text}\n{}", self.stage.log().join("\n")));
        for begun in &mut self.begun {
            let named = parameters.iter().any(|(_, value)| *value == begun.authorization.state);
            begun.touched |= named && self.cookie.as_ref() == Some(&begun.authorization.browser_binding);
        }
    }

    fn request(&self, parameters: &[(String, String)]) -> CompleteRequest {
        let pairs: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let first = &self.begun.first().unwrap().authorization;
        let mut request = self.stage.callback_with(first, &pairs);
        request.browser_binding.clone_from(&self.cookie);
        request.flow = self.flow;
        if let Some(redirect_uri) = &self.redirect_uri {
            request.redirect_uri.clone_from(redirect_uri);
        }
        request
    }

    /// The provider answers with a good token for the transaction that the callback names.
    fn prepare_tokens(&self, parameters: &[(String, String)]) {
        let named = |begun: &&Begun| parameters.iter().any(|(_, value)| *value == begun.authorization.state);
        let begun = self.begun.iter().find(named).or(self.begun.first()).unwrap();
        let now = self.stage.now_s.get();
        self.stage.claim(&json!({
            "nonce": parameter(&begun.authorization.url, "nonce"), "iat": now, "nbf": now, "exp": now + 300,
        }));
        let tokens = json!({ "token_type": "Bearer", "access_token": "the-access-token", "id_token": signed(&self.stage.claims.borrow()) });
        self.stage.answer_tokens(move || Ok(json_response(200, &tokens)));
    }

    /// The transaction that a callback of this browser, host and configuration may finish.
    fn live(&self, model: &Model) -> Option<usize> {
        let state = model.state.as_deref()?;
        let now = self.stage.now_s.get();
        self.begun.iter().position(|begun| {
            begun.authorization.state == state
                && self.cookie.as_ref() == Some(&begun.authorization.browser_binding)
                && !begun.redeemed
                && now - begun.at_s < LIFE_S
        })
    }

    /// RFC 6749 section 4.1.3, RFC 7636 section 4.6.
    fn assert_token_request(&self, live: usize, code: &str, body: &[u8]) {
        let begun = self.begun.get(live).unwrap();
        assert_eq!(self.flow, Flow::Enrollment, "another flow than it began with");
        assert_eq!(self.client, begun.client, "another configuration than it began with");
        let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let one = |name: &str| {
            let mut values = form.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
            let value = values.next().unwrap_or_default();
            assert_eq!(values.next(), None, "{name} twice in the token request");
            value
        };
        assert_eq!((one("grant_type"), one("code")), ("authorization_code", code));
        let url = &begun.authorization.url;
        assert_eq!(Some(one("redirect_uri").to_owned()), parameter(url, "redirect_uri"));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(one("code_verifier").as_bytes()));
        assert_eq!(Some(challenge), parameter(url, "code_challenge"), "another transaction's verifier");
    }

    /// But where the caller wrote the secret into what the provider is said to have said.
    fn assert_no_secret(&self, parameters: &[(String, String)], text: &str) {
        let echoed = |secret: &str| {
            let said = parameters.iter().filter(|(name, _)| name == "iss" || name.starts_with("error"));
            said.into_iter().any(|(_, value)| value.contains(secret))
        };
        let own = self.begun.iter().flat_map(|begun| {
            [("state", begun.authorization.state.as_str()), ("binding", begun.authorization.browser_binding.as_str())]
        });
        for (what, secret) in own.chain([("code", CODE)]) {
            if !echoed(secret) {
                assert_secret(text, what, secret);
            }
        }
    }

    /// V6: whatever others sent, a browser that has its cookie still finishes.
    fn end(mut self) {
        (self.flow, self.redirect_uri) = (Flow::Enrollment, None);
        let now = self.stage.now_s.get();
        for at in 0..self.begun.len() {
            let begun = self.begun.get(at).unwrap();
            if begun.touched || now - begun.at_s >= LIFE_S || begun.client != self.client {
                continue;
            }
            self.cookie = Some(begun.authorization.browser_binding.clone());
            let issuer = self.issuer.clone();
            let state = begun.authorization.state.clone();
            let parameters = [("code", CODE), ("state", &state), ("iss", &issuer)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            self.prepare_tokens(&parameters);
            let outcome = complete(self.stage.world(), &self.request(&parameters));
            assert!(outcome.is_ok(), "somebody else ended a sign-in: {outcome:?}");
        }
    }
}

/// A callback's parameters, read once more and otherwise: exactly one of each counts, an empty one is none.
struct Model {
    doubled: bool,
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    issuer: Option<String>,
}

impl Model {
    fn new(parameters: &[(String, String)]) -> Self {
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in parameters {
            values.entry(name).or_default().push(value);
        }
        let one = |name: &str| match values.get(name).map(Vec::as_slice) {
            Some([value]) if !value.is_empty() => Some((*value).to_owned()),
            _ => None,
        };
        Self {
            doubled: KNOWN.iter().any(|name| values.get(name).is_some_and(|values| values.len() > 1)),
            state: one("state"),
            code: one("code"),
            error: one("error"),
            issuer: one("iss"),
        }
    }
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// Signing takes longer than all the rest, and the same claims come again and again: the world's randomness is a counter.
fn signed(claims: &Value) -> String {
    thread_local!(static TOKENS: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) });
    TOKENS.with_borrow_mut(|tokens| {
        if tokens.len() > 4096 {
            tokens.clear();
        }
        tokens.entry(claims.to_string()).or_insert_with(|| id_token(claims)).clone()
    })
}

/// The cases of `plugin/tests/callback.rs`.
pub fn seeds() -> Seeds {
    let honest = "come code=@code&state=@state0";
    #[rustfmt::skip]
    let cases = [
        ("honest", format!("provider microsoft\n{honest}")),
        ("honest-oidc", format!("provider oidc\n{honest}")),
        ("announced-issuer", format!("provider oidc-iss\n{honest}&iss=@issuer")),
        ("announced-issuer-missing", format!("provider oidc-iss\n{honest}")),
        ("another-issuer", format!("{honest}&iss=https%3A%2F%2Fevil.example")),
        ("parameters-of-others", format!("{honest}&session_state=x&utm=1&utm=2&access_token=evil")),
        ("empty-error", format!("{honest}&error=")),
        ("code-of-8-kib", "come code=@x8192&state=@state0".into()),
        ("code-too-long", "come code=@x8193&state=@state0".into()),
        ("state-too-long", "come code=@code&state=@x513".into()),
        ("description-too-long", "come error=x&state=@state0&error_description=@x5120".into()),
        ("nothing", "come ".into()),
        ("no-state", "come code=@code".into()),
        ("no-code", "come state=@state0".into()),
        ("code-and-error", format!("{honest}&error=access_denied")),
        ("two-states", format!("{honest}&state=evil")),
        ("two-codes", format!("{honest}&code=")),
        ("two-issuers", format!("{honest}&iss=@issuer&iss=https%3A%2F%2Fevil.example")),
        ("two-descriptions", "come error=x&state=@state0&error_description=a&error_description=b".into()),
        ("cancelled", "come error=access_denied&error_subcode=cancel&state=@state0&error_description=AADSTS65004%3A+no".into()),
        ("provider-errors", "begin\nbegin\ncome error=server_error&state=@state0\ncookie @binding1\ncome error=invalid_request&state=@state1\ncookie @binding2\ncome error=consent_required&state=@state2".into()),
        ("state-with-a-path", "come code=@code&state=..%2Ftxn%2F%00".into()),
        ("state-in-a-description", "come error=x&state=@state0&error_description=@state0".into()),
        ("no-cookie", format!("no cookie\n{honest}")),
        ("another-cookie", format!("begin\ncookie @binding1\n{honest}")),
        ("state-as-cookie", format!("cookie @state0\n{honest}")),
        ("replay", format!("{honest}\n{honest}")),
        ("two-tabs", format!("begin\ncookie @binding1\ncome code=@code&state=@state1\ncookie @binding0\n{honest}")),
        ("nearly-too-late", format!("wait 599\n{honest}")),
        ("too-late", format!("wait 600\n{honest}")),
        ("another-flow", format!("flow mfa\n{honest}")),
        ("another-redirect-uri", format!("redirect https://vpn.example/other\n{honest}")),
        ("another-configuration", format!("client x\n{honest}")),
    ];
    cases.map(|(name, script)| (name.to_owned(), script.into_bytes())).into()
}
