//! A plugin that does what the contract asks, with every kind of capability that a sign-in has: a transaction in storage, a
//! request to the provider, random numbers. `lie` in the configuration spoils one thing of what it answers.

use crate::bindings::defguard::openid::http::{self, Method, Request};
use crate::bindings::defguard::openid::{clock, random, storage};
use crate::bindings::exports::defguard::openid::login;
use crate::{refusal, setting};

fn token() -> String {
    random::bytes(16).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn begin(request: &login::BeginRequest) -> Result<login::Authorization, login::Refusal> {
    let base_url = setting(&request.provider, "base_url").unwrap_or_default();
    let (state, browser_binding) = (token(), token());
    storage::put(&format!("tx/{state}"), browser_binding.as_bytes(), 600)
        .map_err(|error| refusal("storage", format!("{error:?}")))?;
    let mut begun = login::Authorization {
        url: format!("{base_url}/authorize?state={state}"),
        state,
        browser_binding,
        expires_at_unix_s: clock::now_unix_ms() / 1000 + 600,
        checks: Vec::new(),
    };
    let check = |detail: String| login::Check { name: "check".into(), verdict: login::Verdict::Pass, detail };
    match setting(&request.provider, "lie").unwrap_or_default() {
        "script" => begun.url = "javascript:alert(1)".into(),
        "data" => begun.url = "data:text/html,x".into(),
        "elsewhere" => begun.url = "https://attacker.example/authorize".into(),
        "userinfo" => begun.url = begun.url.replacen("://", "://login.example@attacker.example/", 1),
        "port" => begun.url = "http://127.0.0.1:1/authorize".into(),
        "header" => begun.url.push_str("\r\nSet-Cookie: a=b"),
        "tab" => begun.url.insert(2, '\t'),
        "long-url" => begun.url.push_str(&"a".repeat(20_000)),
        "huge-url" => begun.url.push_str(&"a".repeat(6 << 20)),
        "state" => begun.state = "a b\r\nc".into(),
        "no-state" => begun.state.clear(),
        "binding" => begun.browser_binding = "a; Domain=example; Max-Age=99999999".into(),
        "forever" => begun.expires_at_unix_s = u64::MAX,
        "checks" => begun.checks = vec![check(String::new()); 1_000_000],
        "checks-that-fit" => begun.checks = vec![check("x".repeat(1000)); 1000],
        _ => {}
    }
    Ok(begun)
}

pub(crate) fn complete(request: &login::CompleteRequest) -> Result<login::Completion, login::Refusal> {
    let base_url = setting(&request.provider, "base_url").unwrap_or_default();
    let parameter = |wanted: &str| request.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let state = parameter("state").ok_or_else(|| refusal("callback_incomplete", String::new()))?;
    let code = parameter("code").ok_or_else(|| refusal("callback_incomplete", String::new()))?;
    let stored = storage::take(&format!("tx/{state}")).map_err(|error| refusal("storage", format!("{error:?}")))?;
    let binding = request.browser_binding.as_deref().map(str::as_bytes);
    if stored.is_none() || stored.as_deref() != binding {
        return Err(refusal("transaction_unknown", String::new()));
    }
    if setting(&request.provider, "lie") == Some("trap-after-take") {
        panic!("between taking the transaction and redeeming the code");
    }
    let answer = http::send(&Request {
        method: Method::Get,
        url: format!("{base_url}/ok"),
        headers: Vec::new(),
        body: None,
        timeout_ms: 10_000,
        max_response_bytes: 1000,
    });
    match answer {
        Ok(answer) if answer.status == 200 => {}
        other => return Err(refusal("provider", format!("{other:?}"))),
    }
    let flow = match setting(&request.provider, "lie") {
        Some("another-flow") => login::Flow::Test,
        _ => request.flow,
    };
    Ok(login::Completion {
        flow,
        identity: identity(setting(&request.provider, "lie").unwrap_or_default(), base_url, code),
        email_linking: login::EmailLinking::Never("nobody vouches for it".into()),
        raw_claims: None,
        checks: Vec::new(),
    })
}

fn identity(lie: &str, base_url: &str, subject: &str) -> login::Identity {
    let mut identity = login::Identity {
        key: login::IdentityKey { issuer: base_url.into(), subject: subject.into(), tenant_id: None, object_id: None },
        username: subject.into(),
        email: format!("{subject}@contoso.example"),
        email_verified: None,
        given_name: "Ada".into(),
        family_name: "Example".into(),
        display_name: "Ada Example".into(),
        phone: None,
        groups: login::Groups::NotRequested,
        account: login::AccountKind::Unknown,
        attributes: Vec::new(),
    };
    match lie {
        "empty-subject" => identity.key.subject.clear(),
        "another-issuer" => identity.key.issuer = "https://login.microsoftonline.com/t/v2.0".into(),
        "issuer-no-url" => identity.key.issuer = "issuer".into(),
        "huge-email" => identity.email = format!("{}@contoso.example", "a".repeat(10 << 20)),
        "long-email" => identity.email = format!("{}@contoso.example", "a".repeat(2000)),
        "header-in-email" => identity.email = "a@contoso.example\r\nBcc: b@attacker.example".into(),
        "terminal-in-name" => identity.display_name = "\u{1b}[2J".into(),
        "long-phone" => identity.phone = Some("1".repeat(100_000)),
        "control-in-phone" => identity.phone = Some("1\n2".into()),
        "long-object" => {
            identity.key.tenant_id = Some("t".repeat(100_000));
            identity.key.object_id = Some("o\n".into());
        }
        "attributes" => identity.attributes = (0..1000).map(|number| (number.to_string(), "b".into())).collect(),
        "control-in-attribute" => identity.attributes = vec![("a\u{1b}".into(), "b".into())],
        "groups" => {
            let group = login::Group { id: "g".into(), name: None };
            identity.groups = login::Groups::Known(vec![group; 20_000]);
        }
        "control-in-group" => {
            identity.groups = login::Groups::Known(vec![login::Group { id: "g\n".into(), name: None }]);
        }
        _ => {}
    }
    identity
}
