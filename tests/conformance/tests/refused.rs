//! The ways in which a provider, a browser or an attacker deviates, each with the refusal that it must end in. The
//! numbers V… are the attack classes of the project's list, T… the tests that follow from Defguard's own weaknesses.

use conformance::{Browser, Entra, HostOptions, TestHost, entra_provider, register};
use entra_emulator::fixtures::{self, person};
use entra_emulator::{DocumentMischief, Fault, FaultAction, Rotation, Side, TokenMischief};
use serde_json::json;

/// What each lie of a token must end in; `None`: it is none.
fn expected(mischief: TokenMischief) -> Option<&'static str> {
    use TokenMischief as M;
    Some(match mischief {
        // V15
        M::WrongAudience | M::ForeignAudienceList | M::ForeignAudienceListAzp | M::ForeignAzp => {
            "id_token_audience_mismatch"
        }
        M::NoAudience | M::NoIssuer | M::NoTid | M::TidNotGuid | M::NoSub | M::EmptySub | M::NumericSub => {
            "id_token_claim_invalid"
        }
        M::WrongIssuer | M::IssuerTrailingSlash => "id_token_issuer_mismatch",
        // V3
        M::WrongTenant | M::ForeignTenantValidKey => "tenant_not_allowed",
        M::NoOid => "object_id_missing",
        // V11
        M::WrongNonce => "id_token_nonce_mismatch",
        M::NoNonce | M::NonceArray => "id_token_claim_invalid",
        M::Expired => "id_token_expired",
        M::NotYetValid | M::IssuedInFuture => "id_token_not_yet_valid",
        M::NoExpiry | M::NoIssuedAt => "id_token_claim_invalid",
        M::ExpiryAsText | M::ExpiryHuge => "id_token_claim_invalid",
        // V13, V14
        M::UnknownKid => "id_token_key_unknown",
        M::NoKid => "id_token_key_ambiguous",
        M::DuplicateKid => "id_token_key_ambiguous",
        // V12
        M::AlgNone | M::AlgNoneMixedCase | M::Hs256WithPublicKey | M::RequestedPs256 | M::RequestedRs384 => {
            "id_token_algorithm_refused"
        }
        M::ForeignKey => "id_token_key_issuer_mismatch",
        M::StrangerKey | M::BadSignature | M::EmptySignature => "id_token_signature_invalid",
        M::HeaderCrit
        | M::HeaderJwk
        | M::HeaderJku
        | M::HeaderX5u
        | M::HeaderX5c
        | M::HeaderZip
        | M::HeaderAccessTokenType => "id_token_header_refused",
        // V17
        M::TruncatedToken
        | M::Jwe5Parts
        | M::PaddedBase64
        | M::PayloadNotJson
        | M::PayloadArray
        | M::DuplicateClaims
        | M::DeepNesting => "id_token_malformed",
        M::OversizedToken => "id_token_too_large",
        M::V1Token => "id_token_version_refused",
        M::WrongAtHash => "id_token_at_hash_mismatch",
        M::NoIdToken | M::EmptyIdToken | M::TokenTypeMac => "provider_answer_invalid",
        M::RightAtHash => return None,
        #[allow(unreachable_patterns, reason = "the emulator may learn new lies before this table does")]
        other => panic!("{other:?} has no expectation"),
    })
}

#[tokio::test]
async fn every_lie_of_a_token_is_refused_by_name() {
    let stack = Entra::plain().await;
    let control = stack.entra.control();
    let mut wrong = Vec::new();
    for mischief in TokenMischief::ALL {
        let Some(code) = expected(*mischief) else { continue };
        control.clear_mischief();
        // This lie is in the key set, which our stack has fetched already.
        let fresh = (*mischief == TokenMischief::DuplicateKid).then_some(Entra::plain());
        let fresh = match fresh {
            Some(stack) => Some(stack.await),
            None => None,
        };
        let stack = fresh.as_ref().unwrap_or(&stack);
        stack.entra.control().mischief_once(*mischief);
        let browser = stack.browser();
        let refused = browser.sign_in(person::ADA).await;
        let found = refused.code();
        if refused.status < 400 || found != code {
            wrong.push(format!("{mischief:?}: expected {code}, got {} {}", refused.status, refused.body));
        }
        assert_eq!(browser.cookies(), [], "{mischief:?}: the cookie is gone");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(TokenMischief::ALL.len() >= 40);
    // After all that, an honest sign-in works.
    control.clear_mischief();
    let finished = stack.browser().sign_in(person::ADA).await;
    assert_eq!(finished.status, 200, "{}", finished.body);
    assert_eq!(control.count(Side::Login, "/attacker/*"), 0, "no address in a token's header was requested");
}

#[tokio::test]
async fn people_who_do_not_get_in_learn_why() {
    let table = [
        (person::CANCELS, 403, "login_cancelled"),
        (person::ADMIN_CONSENT, 403, ""),
        (person::DECLINES, 403, ""),
        (person::NOT_CONSENTED, 403, ""),
        (person::MFA, 403, ""),
        (person::BLOCKED, 403, ""),
        (person::DISABLED, 403, ""),
    ];
    let stack = Entra::plain().await;
    for (person, status, code) in table {
        let callback = stack.browser();
        let url = callback.begin().await;
        let back = callback.at_entra(&url, person).await;
        let Some(location) = back.location else { panic!("{person}: no callback: {} {}", back.status, back.body) };
        let page = callback.get(&location).await;
        assert_eq!(page.status, status, "{person}: {}", page.body);
        assert!(code.is_empty() || page.code() == code, "{person}: {}", page.body);
        assert!(!page.element("message").is_empty() && !page.element("trace").is_empty(), "{person}: {}", page.body);
        assert!(!page.body.contains("AADSTS"), "{person}: the provider's text isn't shown: {}", page.body);
    }
    let browser = stack.browser();
    let url = browser.begin().await;
    let page = browser.at_entra(&url, person::UNASSIGNED).await;
    assert_eq!(page.location, None, "not assigned: Entra shows its own page");
}

/// A way to spoil a callback: from the good URL to what the browser sends.
type Spoil = fn(&mut Vec<(String, String)>);

fn set(parameters: &mut Vec<(String, String)>, name: &str, value: &str) {
    parameters.retain(|(found, _)| found != name);
    parameters.push((name.into(), value.into()));
}

#[tokio::test]
async fn spoiled_callbacks_cost_no_token_request() {
    let table: &[(&str, Spoil, u16, &str)] = &[
        ("no state", |p| p.retain(|(name, _)| name != "state"), 400, "callback_incomplete"),
        ("empty state", |p| set(p, "state", ""), 400, "callback_incomplete"),
        ("no code", |p| p.retain(|(name, _)| name != "code"), 400, "callback_incomplete"),
        ("nothing at all", Vec::clear, 400, "callback_incomplete"),
        (
            "state altered (V5)",
            |p| {
                let state = format!("{}x", p.iter().find(|(n, _)| n == "state").unwrap().1);
                set(p, "state", &state);
            },
            400,
            "transaction_unknown",
        ),
        ("state of nobody", |p| set(p, "state", &"A".repeat(43)), 400, "transaction_unknown"),
        ("state of 513 bytes", |p| set(p, "state", &"A".repeat(513)), 400, "callback_parameter_oversized"),
        ("state with a zero byte", |p| set(p, "state", "a\0b"), 400, "transaction_unknown"),
        ("state twice (V26)", |p| p.push(("state".into(), "x".into())), 400, "callback_parameter_doubled"),
        (
            "state twice, the same",
            |p| {
                let state = p.iter().find(|(n, _)| n == "state").unwrap().clone();
                p.push(state);
            },
            400,
            "callback_parameter_doubled",
        ),
        ("code twice (V26)", |p| p.push(("code".into(), "x".into())), 400, "callback_parameter_doubled"),
        (
            "error twice",
            |p| {
                set(p, "error", "a");
                p.push(("error".into(), "b".into()));
            },
            400,
            "callback_parameter_doubled",
        ),
        (
            "iss twice (V8)",
            |p| {
                set(p, "iss", "a");
                p.push(("iss".into(), "b".into()));
            },
            400,
            "callback_parameter_doubled",
        ),
        ("code and error", |p| set(p, "error", "access_denied"), 400, "callback_contradictory"),
        ("code of 9 KiB", |p| set(p, "code", &"c".repeat(9 << 10)), 400, "callback_parameter_oversized"),
        ("17 KiB in all", |p| set(p, "x", &"c".repeat(17 << 10)), 400, "callback_oversized"),
        ("40 parameters", |p| p.extend((0..40).map(|n| (format!("p{n}"), "x".into()))), 400, "callback_oversized"),
        ("iss of another provider (V8)", |p| set(p, "iss", "https://evil.example"), 400, "callback_issuer_mismatch"),
        (
            "an error nobody knows",
            |p| {
                p.retain(|(name, _)| name != "code");
                set(p, "error", "strange");
            },
            403,
            "denied_by_provider",
        ),
        (
            "temporarily_unavailable",
            |p| {
                p.retain(|(name, _)| name != "code");
                set(p, "error", "temporarily_unavailable");
            },
            502,
            "provider_error",
        ),
        (
            "invalid_request",
            |p| {
                p.retain(|(name, _)| name != "code");
                set(p, "error", "invalid_request");
            },
            502,
            "request_refused",
        ),
        (
            "markup in the description (V28)",
            |p| {
                p.retain(|(name, _)| name != "code");
                set(p, "error", "access_denied");
                set(p, "error_description", "<script>alert(1)</script>");
            },
            403,
            "access_denied",
        ),
    ];
    let stack = Entra::plain().await;
    let control = stack.entra.control();
    for (name, spoil, status, code) in table {
        let browser = stack.browser();
        let callback = url::Url::parse(&browser.callback_url(person::ADA).await).unwrap();
        let mut parameters: Vec<(String, String)> = callback.query_pairs().into_owned().collect();
        spoil(&mut parameters);
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
        let page = browser.get(&format!("/openid/callback?{query}")).await;
        assert_eq!((page.status, page.code().as_str()), (*status, *code), "{name}: {}", page.body);
        assert!(!page.body.contains("<script"), "{name}: {}", page.body);
    }
    assert_eq!(control.count(Side::Login, "*/token"), 0, "no code was sent anywhere");
}

#[tokio::test]
async fn an_access_token_in_the_callback_means_nothing() {
    // V24
    let stack = Entra::plain().await;
    let page = stack.browser().get("/openid/callback?access_token=x&id_token=y&token_type=Bearer").await;
    assert_eq!((page.status, page.code().as_str()), (400, "callback_incomplete"), "{}", page.body);
}

#[tokio::test]
async fn another_browser_is_refused_and_spoils_nothing() {
    // V6: the state is known to somebody else, who has no cookie, or a wrong one.
    let stack = Entra::plain().await;
    let (ours, theirs) = (stack.browser(), stack.browser());
    let callback = ours.callback_url(person::ADA).await;
    let refused = theirs.finish(&callback).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "browser_mismatch"), "{}", refused.body);
    let (name, value) = ours.cookies()[0].clone();
    let altered = format!("{}{}", &value[..value.len() - 1], if value.ends_with('A') { 'B' } else { 'A' });
    for (case, cookie) in [
        ("altered", altered.as_str()),
        ("empty", ""),
        ("of another provider", "other.1.x"),
        ("long", &"x".repeat(5000)),
    ] {
        let stranger = stack.browser();
        stranger.set_cookie(&name, cookie);
        let refused = stranger.finish(&callback).await;
        assert!(refused.status == 401 || refused.status == 404, "{case}: {} {}", refused.status, refused.body);
    }
    assert_eq!(stack.entra.control().count(Side::Login, "*/token"), 0, "no code was sent anywhere");
    assert_eq!(ours.finish(&callback).await.status, 200, "the one who began still finishes");
}

#[tokio::test]
async fn a_callback_is_good_once() {
    // V7, T2
    let stack = Entra::plain().await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let cookie = browser.cookies()[0].clone();
    assert_eq!(browser.finish(&callback).await.status, 200);
    browser.set_cookie(&cookie.0, &cookie.1);
    let replayed = browser.finish(&callback).await;
    assert_eq!((replayed.status, replayed.code().as_str()), (400, "transaction_unknown"), "{}", replayed.body);
    assert_eq!(stack.entra.control().count(Side::Login, "*/token"), 1);
}

#[tokio::test]
async fn of_a_callback_sent_thirty_times_at_once_one_wins() {
    for storage in ["memory:", "redb:state.redb"] {
        let stack = Entra::start(HostOptions::default().storage(storage)).await;
        let browser = std::sync::Arc::new(stack.browser());
        let callback = browser.callback_url(person::ADA).await;
        let cookie = browser.cookies()[0].clone();
        let racers: Vec<_> = (0..30)
            .map(|_| {
                let (host, cookie, callback) = (stack.host.url.clone(), cookie.clone(), callback.clone());
                tokio::spawn(async move {
                    let racer = Browser::new(&host);
                    racer.set_cookie(&cookie.0, &cookie.1);
                    racer.finish(&callback).await
                })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            let answer = racer.await.unwrap();
            match answer.status {
                200 => won += 1,
                400 => assert!(answer.code().starts_with("transaction_"), "{storage}: {}", answer.body),
                status => panic!("{storage}: {status} {}", answer.body),
            }
        }
        assert_eq!(won, 1, "{storage}");
        assert_eq!(stack.entra.control().count(Side::Login, "*/token"), 1, "{storage}");
    }
}

#[tokio::test]
async fn a_transaction_lives_ten_minutes() {
    let stack = Entra::plain().await;
    for (seconds, status) in [(590, 200), (601, 400)] {
        let browser = stack.browser();
        let callback = browser.callback_url(person::ADA).await;
        stack.host.clock.advance(seconds);
        stack.entra.control().advance_clock(seconds);
        let answer = browser.finish(&callback).await;
        assert_eq!(answer.status, status, "after {seconds} s: {}", answer.body);
    }
}

#[tokio::test]
async fn clocks_may_differ_by_five_minutes() {
    // The emulator back-dates tokens by 300 s and lets them live an hour, as Entra does.
    for (ahead, status, code) in [
        (0, 200, ""),
        (590, 200, ""),
        (610, 403, "id_token_not_yet_valid"),
        (-3890, 200, ""),
        (-3910, 403, "id_token_expired"),
    ] {
        let stack = Entra::plain().await;
        let browser = stack.browser();
        stack.entra.control().advance_clock(ahead);
        let answer = browser.sign_in(person::ADA).await;
        assert_eq!(answer.status, status, "{ahead} s: {}", answer.body);
        assert!(code.is_empty() || answer.code() == code, "{ahead} s: {}", answer.body);
    }
}

#[tokio::test]
async fn a_provider_that_misbehaves_ends_in_a_clear_refusal() {
    let token = "*/oauth2/v2.0/token";
    let keys = "*/discovery/v2.0/keys";
    let status = |status, html| FaultAction::Status { status, retry_after: None, html };
    let table = [
        ("token: reset", token, FaultAction::Reset, 502, "provider_unreachable|provider_answer_invalid"),
        ("token: cut short", token, FaultAction::Truncate { at: 100 }, 502, "provider_answer_invalid"),
        ("token: broken JSON", token, FaultAction::BadJson, 502, "provider_answer_invalid"),
        ("token: HTML with 200", token, FaultAction::Html, 502, "provider_answer_invalid"),
        (
            "token: another content type",
            token,
            FaultAction::WrongContentType { content_type: "text/plain".into() },
            502,
            "provider_answer_invalid",
        ),
        (
            "token: redirect",
            token,
            FaultAction::Redirect { location: "http://127.0.0.1:1/".into(), status: 302 },
            502,
            "provider_answer_invalid",
        ),
        (
            "token: redirect that keeps the method",
            token,
            FaultAction::Redirect { location: "http://127.0.0.1:1/".into(), status: 307 },
            502,
            "provider_answer_invalid",
        ),
        ("token: 50 MB", token, FaultAction::BigBody { bytes: 50_000_000 }, 502, "provider_answer_invalid"),
        ("token: 500", token, status(500, false), 502, "provider_error"),
        ("token: 503 page", token, status(503, true), 502, "provider_error"),
        ("token: 429", token, status(429, false), 503, "provider_throttled"),
        ("token: the secret repeated", token, FaultAction::EchoSecret, 502, "provider_answer_invalid"),
        (
            "token: wrong secret",
            token,
            FaultAction::Aadsts { code: 7_000_215, error: "invalid_client".into(), suberror: None },
            502,
            "client_refused",
        ),
        (
            "token: code used",
            token,
            FaultAction::Aadsts { code: 54005, error: "invalid_grant".into(), suberror: None },
            400,
            "code_refused",
        ),
        (
            "token: MFA",
            token,
            FaultAction::Aadsts { code: 50076, error: "interaction_required".into(), suberror: None },
            403,
            "interaction_required",
        ),
        (
            "token: unknown error",
            token,
            FaultAction::Aadsts { code: 1, error: "odd".into(), suberror: None },
            403,
            "denied_by_provider",
        ),
        ("keys: reset", keys, FaultAction::Reset, 502, "provider_unreachable|provider_answer_invalid"),
        ("keys: HTML", keys, FaultAction::Html, 502, "provider_answer_invalid"),
        ("keys: 50 MB", keys, FaultAction::BigBody { bytes: 50_000_000 }, 502, "provider_answer_invalid"),
        ("keys: down", keys, FaultAction::JwksDown, 502, "provider_error"),
        (
            "keys: redirect",
            keys,
            FaultAction::Redirect { location: "http://127.0.0.1:1/".into(), status: 302 },
            502,
            "provider_answer_invalid",
        ),
    ];
    for (name, path, action, status, code) in table {
        let stack = Entra::plain().await;
        let control = stack.entra.control();
        let browser = stack.browser();
        let callback = browser.callback_url(person::ADA).await;
        let fault = control.add_fault(Fault::new(action).on(Side::Login).path(path));
        let refused = browser.finish(&callback).await;
        assert_eq!(refused.status, status, "{name}: {}", refused.body);
        assert!(code.split('|').any(|code| code == refused.code()), "{name}: {}", refused.body);
        assert_eq!(control.count(Side::Login, token), 1, "{name}: a token request is never repeated");
        assert_eq!(control.fault_hits(fault), 1, "{name}");
        control.clear_faults();
        stack.host.clock.advance(60);
        control.advance_clock(60);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_discovery_document_that_lies_is_not_believed() {
    use DocumentMischief as D;
    let table = [
        (D::DiscoveryWrongIssuer, "discovery_mismatch"),
        (D::DiscoveryNoIssuer, "provider_answer_invalid"),
        (D::DiscoveryForeignEndpoints, "provider_answer_invalid"),
        (D::DiscoveryPlainHttpEndpoints, "provider_answer_invalid"),
        (D::DiscoveryLinkLocalEndpoints, "provider_answer_invalid"),
        (D::DiscoveryNoTokenEndpoint, "provider_answer_invalid"),
        (D::DiscoveryNoAuthorizationEndpoint, "provider_answer_invalid"),
        (D::DiscoveryNoJwksUri, "provider_answer_invalid"),
        (D::DiscoveryTokenEndpointNotAUrl, "provider_answer_invalid"),
    ];
    for (mischief, code) in table {
        let stack = Entra::plain().await;
        stack.entra.control().set_document_mischief(mischief, true);
        let refused = stack.browser().auth_info().await;
        assert_eq!((refused.status, refused.code().as_str()), (502, code), "{mischief:?}: {}", refused.body);
    }
    for (mischief, code) in [
        (D::KeySetEmpty, "provider_answer_invalid"),
        (D::KeySetForEncryption, "provider_answer_invalid"),
        (D::KeySetForeignIssuers, "id_token_key_issuer_mismatch"),
        (D::KeySetDuplicateKid, "id_token_key_ambiguous"),
        (D::KeySetHuge, "provider_answer_invalid"),
    ] {
        let stack = Entra::plain().await;
        stack.entra.control().set_document_mischief(mischief, true);
        let refused = stack.browser().sign_in(person::ADA).await;
        assert!(refused.status >= 400 && refused.code() == code, "{mischief:?}: {} {}", refused.status, refused.body);
    }
}

#[tokio::test]
async fn userinfo_about_somebody_else_is_dropped() {
    // V27: what it would have added is missing then.
    for mischief in [DocumentMischief::UserinfoOtherSubject, DocumentMischief::UserinfoNoSubject] {
        let stack = Entra::start(HostOptions::default().set("claims", "{ email = [\"email\"] }")).await;
        let honest = stack.browser().sign_in(person::MAIL_IN_USERINFO).await;
        assert_eq!(honest.status, 200, "{}", honest.body);
        stack.entra.control().set_document_mischief(mischief, true);
        let refused = stack.browser().sign_in(person::MAIL_IN_USERINFO).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "email_missing"), "{mischief:?}: {}", refused.body);
    }
}

#[tokio::test]
async fn an_account_without_address_is_told_what_is_missing() {
    let stack = Entra::start(HostOptions::default().set("claims", "{ email = [\"email\"] }")).await;
    let refused = stack.browser().sign_in(person::NO_MAIL).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "email_missing"), "{}", refused.body);
}

#[tokio::test]
async fn key_changes_of_each_kind() {
    // A key that was published before it signs costs nothing.
    for (rotation, fetches) in [(Rotation::Add, 2), (Rotation::Swap, 1), (Rotation::Emergency, 2)] {
        let stack = Entra::plain().await;
        assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "{rotation:?}: before");
        stack.entra.control().rotate_keys(rotation);
        if rotation == Rotation::Add {
            stack.entra.control().rotate_keys(Rotation::Swap);
        }
        // All at once: one of them fetches the keys, the others wait for it.
        let people: Vec<_> = (0..20)
            .map(|_| {
                let browser = stack.browser();
                tokio::spawn(async move { browser.sign_in(person::ADA).await })
            })
            .collect();
        for person in people {
            let finished = person.await.unwrap();
            assert_eq!(finished.status, 200, "{rotation:?}: {}", finished.body);
        }
        assert_eq!(stack.entra.control().count(Side::Login, "*/keys"), fetches, "{rotation:?}");
    }
}

#[tokio::test]
async fn another_providers_callback_address_is_a_mix_up() {
    // V8: two providers, each with an address of its own.
    let first = entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap();
    let second = entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap();
    let mut other = entra_provider(&second);
    other.retain(|(key, _)| key != "id");
    other.push(("id".into(), "\"other\"".into()));
    let host =
        TestHost::start(HostOptions::default().with_provider(&entra_provider(&first)).with_provider(&other)).await;
    register(&first, &host);
    register(&second, &host);
    let browser = Browser::new(&host.url);
    let start = |id: &'static str| {
        let browser = &browser;
        async move { browser.get(&format!("/openid/start?provider={id}")).await.location.unwrap() }
    };
    let callback = browser.at_entra(&start("other").await, person::ADA).await.location.unwrap();
    assert!(callback.contains("/openid/callback/other?"), "{callback}");
    for path in ["/openid/callback?", "/openid/callback/entra?", "/openid/callback/none?"] {
        let page = browser.get(&callback.replace("/openid/callback/other?", path)).await;
        assert_eq!((page.status, page.code().as_str()), (400, "provider_mismatch"), "{path}: {}", page.body);
    }
    assert_eq!(browser.get(&callback).await.status, 200, "on its own address it is good");
    let callback = browser.at_entra(&start("entra").await, person::UNICODE).await.location.unwrap();
    assert_eq!(browser.get(&callback).await.status, 200, "and so is the first");
}

#[tokio::test]
async fn the_api_takes_json_of_its_own_form_only() {
    let stack = Entra::plain().await;
    let browser = stack.browser();
    let post = async |path: &str, body: &str, content_type: &str| {
        let client = reqwest::Client::new();
        let answer = client
            .post(format!("{}{path}", stack.host.url))
            .header("content-type", content_type)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str::<serde_json::Value>(&text).unwrap_or(serde_json::Value::Null))
    };
    let api = "/api/v1/openid/auth_info";
    for (name, body, content_type, status, code) in [
        ("not JSON", "{", "application/json", 400, "request_malformed"),
        ("no type", "{}", "application/json", 400, "request_malformed"),
        ("unknown type", r#"{"type":"x"}"#, "application/json", 400, "request_malformed"),
        ("a form", "type=enrollment", "application/x-www-form-urlencoded", 415, "request_malformed"),
        ("text/plain, as a foreign page may send", r#"{"type":"enrollment"}"#, "text/plain", 415, "request_malformed"),
        ("multi-factor sign-in", r#"{"type":"mfa"}"#, "application/json", 400, "flow_not_supported"),
        ("unknown provider", r#"{"type":"enrollment","provider":"x"}"#, "application/json", 404, "provider_unknown"),
        (
            "doubled member",
            r#"{"type":"enrollment","provider":"a","provider":"b"}"#,
            "application/json",
            400,
            "request_malformed",
        ),
    ] {
        let (found, json) = post(api, body, content_type).await;
        assert_eq!((found, json["code"].as_str()), (status, Some(code)), "{name}: {json}");
        assert_eq!(json["trace"].as_str().map(str::len), Some(10), "{name}: {json}");
    }
    let (status, json) =
        post("/api/v1/openid/callback", r#"{"type":"mfa","code":"c","state":"s"}"#, "application/json").await;
    assert_eq!(
        (status, json["error"].as_str()),
        (400, Some("Invalid flow type for OpenID enrollment callback")),
        "{json}"
    );
    let (status, _) = post(api, &" ".repeat(100 << 10), "application/json").await;
    assert!(status == 413 || status == 400, "{status}");
    assert_eq!(browser.get("/api/v1/openid/none").await.code(), "not_found");
    let redeem = browser.post_json("/api/v1/openid/local/redeem", &json!({"token": "x"})).await;
    assert_eq!((redeem.status, redeem.code().as_str()), (404, "token_unknown"));
}

#[tokio::test]
async fn wrong_credentials_are_the_administrators_to_mend() {
    let stack = Entra::start(HostOptions::default().set("secret", fixtures::EXPIRED_SECRET)).await;
    let refused = stack.browser().sign_in(person::ADA).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "client_refused"), "{}", refused.body);
    assert!(!refused.body.contains("AADSTS"), "{}", refused.body);
}

#[tokio::test]
async fn a_document_does_not_make_an_open_redirector_of_us() {
    // V18: for "oidc" the component takes endpoints anywhere; the host sends browsers and requests to allowed origins only.
    let entra = entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap();
    let mut provider = entra_provider(&entra);
    provider.retain(|(key, _)| !["kind", "cloud", "login_url", "graph_url"].contains(&key.as_str()));
    provider.push(("kind".into(), "\"oidc\"".into()));
    let host = TestHost::start(HostOptions::default().with_provider(&provider)).await;
    register(&entra, &host);
    entra.control().set_document_mischief(DocumentMischief::DiscoveryForeignEndpoints, true);
    let refused = Browser::new(&host.url).get("/openid/start?provider=entra").await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "authorization_url_refused"), "{}", refused.body);
    assert_eq!(refused.location, None);
}
