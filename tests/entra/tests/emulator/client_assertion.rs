//! Client assertions at the token endpoint: both forms of `private_key_jwt` and the federated credential, at both grants, and every
//! deviation with its refusal.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra_emulator::fixtures::{self, person};
use entra_emulator::{ClientAuth, Seed, Side};
use serde_json::{Value, json};

use crate::assertions::{Draft, certificate_pem, der, token_endpoint, x5t, x5t_s256};
use crate::support::{Lab, Params, Reply, app_token_request, changed, params, token_request};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const STRANGER_KEY: &[u8] = include_bytes!("../../keys/stranger.pk8");
const STRANGER_CERTIFICATE: &[u8] = include_bytes!("../../keys/stranger.crt");

/// A token request with an assertion in place of its secret.
fn with_assertion(mut form: Params, assertion: &str) -> Params {
    form.remove("client_secret");
    form.extend(params(&[("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)]));
    form
}

/// The answer to client credentials with this assertion, at Contoso.
async fn app_token(lab: &Lab, assertion: &str) -> Reply {
    lab.token(fixtures::CONTOSO, &with_assertion(app_token_request(lab.entra.graph_url()), assertion)).await
}

/// Status, error and AADSTS number; a number of 0 stands for tokens.
fn outcome(reply: &Reply) -> (u16, String, u64) {
    let body = reply.json();
    let error = body["error"].as_str().unwrap_or_default().to_owned();
    (reply.status, error, body["error_codes"][0].as_u64().unwrap_or_default())
}

/// How a table writes a refusal.
type Refused = (u16, &'static str, u64);

const MALFORMED: Refused = (400, "invalid_request", 50_027);
const BAD_HEADER: Refused = (401, "invalid_client", 50_012);
const BAD_SIGNATURE: Refused = (401, "invalid_client", 700_027);
const OTHER_CLIENT: Refused = (401, "invalid_client", 700_021);
const BAD_AUDIENCE: Refused = (401, "invalid_client", 700_023);
const BAD_TIME: Refused = (401, "invalid_client", 700_024);
const NO_MATCH: Refused = (400, "invalid_request", 70_021);

#[track_caller]
fn assert_refused(name: &str, reply: &Reply, (status, error, number): Refused) {
    assert_eq!(outcome(reply), (status, error.to_owned(), number), "{name}: {}", reply.body);
}

#[tokio::test]
async fn every_good_form_is_accepted_at_both_grants_and_logged_as_an_assertion() {
    let lab = Lab::start().await;
    let now = lab.control.now_unix_s();
    let domain = token_endpoint(&lab, fixtures::CONTOSO_DOMAIN);
    let endpoint = token_endpoint(&lab, fixtures::CONTOSO);
    let table = [
        ("PS256 and x5t#S256", Draft::ps256(&lab)),
        ("RS256 and x5t", Draft::rs256(&lab)),
        ("no typ", Draft::ps256(&lab).header(&json!({"typ": null}))),
        ("both thumbprints", Draft::ps256(&lab).header(&json!({"x5t": x5t(&der(fixtures::CLIENT_CERTIFICATE_PEM))}))),
        ("the tenant's domain in aud", Draft::ps256(&lab).claims(&json!({"aud": domain}))),
        ("aud as a list of one", Draft::ps256(&lab).claims(&json!({"aud": [endpoint]}))),
        ("iat without nbf", Draft::ps256(&lab).claims(&json!({"nbf": null}))),
        ("nbf without iat", Draft::ps256(&lab).claims(&json!({"iat": null}))),
        ("last minute of its life", Draft::ps256(&lab).claims(&json!({"nbf": now - 540, "exp": now + 60}))),
        ("federated", Draft::federated(&lab)),
    ];
    for (name, draft) in table {
        let assertion = draft.sign();
        let reply = app_token(&lab, &assertion).await;
        assert_eq!(reply.status, 200, "{name}, client credentials: {}", reply.body);
        let token = crate::support::claims(reply.json()["access_token"].as_str().unwrap());
        assert_eq!(token["roles"], json!(["User.Read.All", "GroupMember.Read.All"]), "{name}");
        assert_eq!(token["appidacr"], "2", "{name}: not by secret");
        let form = with_assertion(token_request(&lab.code(person::ADA).await), &assertion);
        let reply = lab.token(fixtures::CONTOSO, &form).await;
        assert_eq!(reply.status, 200, "{name}, code: {}", reply.body);
        assert!(reply.json()["id_token"].is_string(), "{name}");
        let record = lab.control.requests().pop().unwrap();
        assert_eq!((record.client_auth, record.status), (ClientAuth::Assertion, Some(200)), "{name}");
        assert!(!serde_json::to_string(&lab.control.requests()).unwrap().contains(&assertion), "{name}: in the log");
    }
    assert_eq!(serde_json::to_value(ClientAuth::Assertion).unwrap(), "assertion");
}

#[tokio::test]
async fn the_form_around_the_assertion() {
    let lab = Lab::start().await;
    let good = with_assertion(app_token_request(lab.entra.graph_url()), &Draft::ps256(&lab).sign());
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    let table = [
        ("no type", vec![("client_assertion_type", None)], (400, "invalid_request", 900_144)),
        ("another type", vec![("client_assertion_type", Some(saml))], (400, "invalid_request", 90_023)),
        ("no assertion", vec![("client_assertion", None)], (401, "invalid_client", 7_000_218)),
        ("no client_id", vec![("client_id", None)], (400, "invalid_request", 900_144)),
        (
            "a secret besides",
            vec![("client_secret", Some(fixtures::CLIENT_SECRET))],
            (400, "invalid_request", 9_000_411),
        ),
        (
            "client_id of an app without certificates",
            vec![("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))],
            NO_MATCH,
        ),
    ];
    for (name, changes, refused) in table {
        assert_refused(name, &lab.token(fixtures::CONTOSO, &changed(good.clone(), &changes)).await, refused);
    }
    let request = lab.form(&token_endpoint(&lab, fixtures::CONTOSO), &good).header("origin", "https://app.example");
    assert_refused("out of a browser", &lab.send(request).await, (400, "invalid_request", 9_002_326));
    assert_eq!(lab.token(fixtures::CONTOSO, &good).await.status, 200, "the request itself was right");
}

#[tokio::test]
async fn deviations_of_a_certificate_assertion() {
    let lab = Lab::start().await;
    let now = lab.control.now_unix_s();
    let (ps256, rs256) = (Draft::ps256(&lab), Draft::rs256(&lab));
    let expired = der(fixtures::EXPIRED_CERTIFICATE_PEM);
    let other_app = fixtures::MULTI_TENANT_CLIENT_ID;
    let endpoint = token_endpoint(&lab, fixtures::CONTOSO);
    let issuer = lab.entra.authority(fixtures::CONTOSO);
    let header = |changes: Value| ps256.clone().header(&changes);
    let claims = |changes: Value| ps256.clone().claims(&changes);
    let table: Vec<(&str, Draft, Refused)> = vec![
        // Header
        ("PS256 with x5t alone", rs256.clone().header(&json!({"alg": "PS256"})), BAD_HEADER),
        ("RS256 with x5t#S256 alone", header(json!({"alg": "RS256"})), BAD_HEADER),
        ("no thumbprint, only a kid", header(json!({"x5t#S256": null, "kid": "key"})), BAD_HEADER),
        ("alg none", header(json!({"alg": "none"})), BAD_HEADER),
        ("RS384", rs256.clone().header(&json!({"alg": "RS384"})), BAD_HEADER),
        ("HS256", header(json!({"alg": "HS256"})), BAD_HEADER),
        ("no alg", header(json!({"alg": null})), MALFORMED),
        // Key
        ("PS256, unregistered certificate", header(json!({"x5t#S256": x5t_s256(STRANGER_CERTIFICATE)})), BAD_SIGNATURE),
        (
            "RS256, unregistered certificate",
            rs256.clone().header(&json!({"x5t": x5t(STRANGER_CERTIFICATE)})),
            BAD_SIGNATURE,
        ),
        ("PS256, expired certificate", header(json!({"x5t#S256": x5t_s256(&expired)})), BAD_SIGNATURE),
        ("RS256, expired certificate", rs256.clone().header(&json!({"x5t": x5t(&expired)})), BAD_SIGNATURE),
        ("PS256, another key", ps256.clone().key(STRANGER_KEY), BAD_SIGNATURE),
        ("RS256, another key", rs256.clone().key(STRANGER_KEY), BAD_SIGNATURE),
        // Who
        ("iss of another app", claims(json!({"iss": other_app})), OTHER_CLIENT),
        ("sub of another app", claims(json!({"sub": other_app})), OTHER_CLIENT),
        ("iss and sub of another app", claims(json!({"iss": other_app, "sub": other_app})), NO_MATCH),
        ("no iss", claims(json!({"iss": null})), MALFORMED),
        ("no sub", claims(json!({"sub": null})), MALFORMED),
        ("no jti", claims(json!({"jti": null})), MALFORMED),
        // For whom
        ("aud is the issuer", claims(json!({"aud": issuer})), BAD_AUDIENCE),
        ("aud of another tenant", claims(json!({"aud": token_endpoint(&lab, fixtures::FABRIKAM)})), BAD_AUDIENCE),
        ("aud of common", claims(json!({"aud": token_endpoint(&lab, "common")})), BAD_AUDIENCE),
        ("aud of an unknown tenant", claims(json!({"aud": token_endpoint(&lab, "nowhere.example")})), BAD_AUDIENCE),
        ("aud on another host", claims(json!({"aud": endpoint.replace("127.0.0.1", "localhost")})), BAD_AUDIENCE),
        ("aud with a slash at the end", claims(json!({"aud": format!("{endpoint}/")})), BAD_AUDIENCE),
        ("aud of token exchange", claims(json!({"aud": fixtures::FEDERATED_AUDIENCE})), BAD_AUDIENCE),
        ("aud as a list of two", claims(json!({"aud": [endpoint, issuer]})), BAD_AUDIENCE),
        ("no aud", claims(json!({"aud": null})), MALFORMED),
        // When
        ("expired", claims(json!({"nbf": now - 600, "exp": now})), BAD_TIME),
        ("not valid yet", claims(json!({"nbf": now + 60, "exp": now + 120})), BAD_TIME),
        ("longer than ten minutes", claims(json!({"exp": now + 601})), BAD_TIME),
        ("longer than ten minutes, begun before", claims(json!({"nbf": now - 300, "exp": now + 301})), BAD_TIME),
        ("no exp", claims(json!({"exp": null})), BAD_TIME),
        ("neither nbf nor iat", claims(json!({"nbf": null, "iat": null})), BAD_TIME),
        ("exp as text", claims(json!({"exp": (now + 60).to_string()})), MALFORMED),
    ];
    for (name, draft, refused) in table {
        assert_refused(name, &app_token(&lab, &draft.sign()).await, refused);
    }
    assert_eq!(app_token(&lab, &ps256.sign()).await.status, 200, "what the table varies was right");
    assert_eq!(app_token(&lab, &rs256.sign()).await.status, 200, "what the table varies was right");
}

#[tokio::test]
async fn assertions_that_are_no_signed_jwt() {
    let lab = Lab::start().await;
    let good = Draft::ps256(&lab).sign();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let other_claims = URL_SAFE_NO_PAD.encode(Draft::ps256(&lab).claims(&json!({"jti": "another"})).claims.to_string());
    let table = [
        ("one part", "assertion".to_owned(), MALFORMED),
        ("two parts", signed.to_owned(), MALFORMED),
        ("four parts", format!("{good}.x"), MALFORMED),
        ("five parts, as if encrypted", format!("{good}.x.y"), MALFORMED),
        ("no base64url", "a.b.c".to_owned(), MALFORMED),
        ("padding", format!("{good}=="), MALFORMED),
        ("empty signature", format!("{signed}."), BAD_SIGNATURE),
        ("signature cut off", good[..good.len() - 2].to_owned(), BAD_SIGNATURE),
        ("claims of another assertion", format!("{header}.{other_claims}.{signature}"), BAD_SIGNATURE),
        ("header without thumbprint", format!("e30.{claims}.{signature}"), MALFORMED),
    ];
    for (name, assertion, refused) in table {
        assert_refused(name, &app_token(&lab, &assertion).await, refused);
    }
    let body = app_token(&lab, &format!("{signed}.")).await.json();
    let text = body["error_description"].as_str().unwrap();
    let thumbprint = x5t_s256(&der(fixtures::CLIENT_CERTIFICATE_PEM));
    assert!(text.contains("[Reason - The provided signature value") && text.contains(&thumbprint), "{text}");
}

#[tokio::test]
async fn deviations_of_a_federated_assertion() {
    let lab = Lab::start().await;
    let now = lab.control.now_unix_s();
    let good = Draft::federated(&lab);
    let header = |changes: Value| good.clone().header(&changes);
    let claims = |changes: Value| good.clone().claims(&changes);
    let table: Vec<(&str, Draft, Refused)> = vec![
        ("another issuer", claims(json!({"iss": "https://workloads.issuer.example/cluster-2"})), NO_MATCH),
        (
            "issuer with a slash at the end",
            claims(json!({"iss": format!("{}/", fixtures::FEDERATED_ISSUER)})),
            NO_MATCH,
        ),
        ("another subject", claims(json!({"sub": "system:serviceaccount:defguard:core"})), NO_MATCH),
        ("subject in capitals", claims(json!({"sub": fixtures::FEDERATED_SUBJECT.to_uppercase()})), NO_MATCH),
        ("another audience", claims(json!({"aud": "api://AzureADTokenExchangeChina"})), NO_MATCH),
        ("the token endpoint as audience", claims(json!({"aud": token_endpoint(&lab, fixtures::CONTOSO)})), NO_MATCH),
        ("two audiences", claims(json!({"aud": [fixtures::FEDERATED_AUDIENCE, "other"]})), NO_MATCH),
        ("another kid", header(json!({"kid": "workload-2"})), BAD_SIGNATURE),
        ("no kid", header(json!({"kid": null})), BAD_SIGNATURE),
        ("another key", good.clone().key(STRANGER_KEY), BAD_SIGNATURE),
        ("the client's own key", good.clone().key(&der(fixtures::CLIENT_CERTIFICATE_KEY_PEM)), BAD_SIGNATURE),
        ("PS256", header(json!({"alg": "PS256"})), BAD_HEADER),
        ("alg none", header(json!({"alg": "none"})), BAD_HEADER),
        ("expired", claims(json!({"exp": now})), BAD_TIME),
        ("not valid yet", claims(json!({"nbf": now + 60})), BAD_TIME),
        ("no exp", claims(json!({"exp": null})), BAD_TIME),
    ];
    for (name, draft, refused) in table {
        assert_refused(name, &app_token(&lab, &draft.sign()).await, refused);
    }
    assert_eq!(app_token(&lab, &good.sign()).await.status, 200, "what the table varies was right");

    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.federated_credentials.clear()).unwrap();
    let reply = app_token(&lab, &good.sign()).await;
    assert_refused("credential taken away", &reply, NO_MATCH);
    let text = reply.json()["error_description"].to_string();
    let presented = [fixtures::FEDERATED_ISSUER, fixtures::FEDERATED_SUBJECT, fixtures::FEDERATED_AUDIENCE];
    assert!(presented.iter().all(|value| text.contains(&format!("'{value}'"))), "what was presented: {text}");
}

#[tokio::test]
async fn a_refused_client_leaves_the_code_usable() {
    let lab = Lab::start().await;
    let code = lab.code(person::ADA).await;
    let forged = Draft::ps256(&lab).key(STRANGER_KEY).sign();
    let reply = lab.token(fixtures::CONTOSO, &with_assertion(token_request(&code), &forged)).await;
    assert_refused("another key", &reply, BAD_SIGNATURE);
    let good = Draft::ps256(&lab).sign();
    let reply = lab.token(fixtures::CONTOSO, &with_assertion(token_request(&code), &good)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(lab.control.count(Side::Login, "*/token"), 2);
}

#[tokio::test]
async fn time_is_the_emulators() {
    let lab = Lab::start().await;
    let assertion = Draft::ps256(&lab).sign();
    lab.control.advance_clock(-60);
    assert_refused("before nbf", &app_token(&lab, &assertion).await, BAD_TIME);
    lab.control.set_clock_offset(601);
    assert_refused("after exp", &app_token(&lab, &assertion).await, BAD_TIME);
    // The certificate is valid from 2020 to 2120.
    for (name, moment, refused) in [("2019", 1_570_000_000, Some(BAD_SIGNATURE)), ("2119", 4_720_000_000, None)] {
        lab.control.advance_clock(moment - lab.control.now_unix_s());
        let reply = app_token(&lab, &Draft::ps256(&lab).sign()).await;
        match refused {
            Some(refused) => assert_refused(name, &reply, refused),
            None => assert_eq!(reply.status, 200, "{name}: {}", reply.body),
        }
    }
    // In 2019 the other certificate of the same key was the valid one.
    lab.control.advance_clock(1_570_000_000 - lab.control.now_unix_s());
    let former = x5t_s256(&der(fixtures::EXPIRED_CERTIFICATE_PEM));
    let reply = app_token(&lab, &Draft::ps256(&lab).header(&json!({"x5t#S256": former})).sign()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn certificates_overlap_while_one_replaces_the_other() {
    let lab = Lab::start().await;
    let old = Draft::ps256(&lab);
    let new = old.clone().header(&json!({"x5t#S256": x5t_s256(STRANGER_CERTIFICATE)})).key(STRANGER_KEY);
    let attempts = async || (app_token(&lab, &old.sign()).await.status, app_token(&lab, &new.sign()).await.status);
    let edit = |change: fn(&mut Vec<_>)| {
        lab.control.edit_app(fixtures::CLIENT_ID, |app| change(&mut app.certificates)).unwrap();
    };

    assert_eq!(attempts().await, (200, 401), "before");
    edit(|certificates| {
        certificates.push(entra_emulator::seed::Certificate { pem: certificate_pem(STRANGER_CERTIFICATE) });
    });
    assert_eq!(attempts().await, (200, 200), "both registered");
    edit(|certificates| drop(certificates.remove(0)));
    assert_eq!(attempts().await, (401, 200), "the old one taken away");
    let refused = lab.control.edit_app(fixtures::CLIENT_ID, |app| app.certificates[0].pem = "no PEM".to_owned());
    assert!(refused.unwrap_err().to_string().contains("is not PEM"));
    assert_eq!(attempts().await, (401, 200), "a refused change changes nothing");
}

#[tokio::test]
async fn replays_are_refused_if_asked_for() {
    let lab = Lab::start().await;
    let replayed: Refused = (401, "invalid_client", 50_013);
    let numbered = |number: u32| Draft::ps256(&lab).claims(&json!({"jti": format!("jti-{number}")})).sign();
    let first = numbered(1);
    assert_eq!(app_token(&lab, &first).await.status, 200);
    assert_eq!(app_token(&lab, &first).await.status, 200, "off at start");

    lab.control.refuse_replayed_assertions(true);
    assert_eq!(app_token(&lab, &first).await.status, 200, "those from before are not remembered");
    assert_refused("same assertion", &app_token(&lab, &first).await, replayed);
    assert_refused("same jti in another assertion", &app_token(&lab, &numbered(1)).await, replayed);
    assert_eq!(app_token(&lab, &numbered(2)).await.status, 200, "another jti");
    let forged = Draft::ps256(&lab).claims(&json!({"jti": "jti-3"})).key(STRANGER_KEY).sign();
    assert_refused("forged", &app_token(&lab, &forged).await, BAD_SIGNATURE);
    assert_eq!(app_token(&lab, &numbered(3)).await.status, 200, "a refused assertion uses no jti up");

    lab.control.reset();
    for _ in 0..2 {
        assert_eq!(app_token(&lab, &first).await.status, 200, "off after a reset");
    }
    let order = lab.post_json(&lab.login("/__admin/assertions"), &json!({"refuse_replays": true})).await;
    assert_eq!(order.status, 204);
    assert_eq!(app_token(&lab, &first).await.status, 200);
    assert_refused("switched on over HTTP", &app_token(&lab, &first).await, replayed);
}

#[test]
fn the_seed_registers_the_credentials_of_the_single_tenant_app_alone() {
    let seed = Seed::demo();
    let count = |client_id| {
        let app = seed.app(client_id).unwrap();
        (app.certificates.len(), app.federated_credentials.iter().map(|trust| trust.jwks.keys.len()).sum::<usize>())
    };
    assert_eq!(count(fixtures::CLIENT_ID), (2, 1));
    assert_eq!(count(fixtures::MULTI_TENANT_CLIENT_ID), (0, 0));
}
