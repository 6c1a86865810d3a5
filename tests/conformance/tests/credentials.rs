//! How the client proves who it is: secret, certificate, two certificates, federated credential. Against the emulator, which
//! verifies assertions as Entra does.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::{self, group, person};
use entra_emulator::{ConfidentialKind, Emulator, Seed};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

/// Writes the client's certificate and key; the folder lives as long as the test.
fn credential_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, pem) in [
        ("good.pem", fixtures::CLIENT_CERTIFICATE_PEM),
        ("expired.pem", fixtures::EXPIRED_CERTIFICATE_PEM),
        ("key.pem", fixtures::CLIENT_CERTIFICATE_KEY_PEM),
    ] {
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    folder
}

/// A host whose provider has these keys in place of the secret.
async fn with(settings: &[(&str, String)]) -> Entra {
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Vec<_>>();
    let mut options = HostOptions { without_secret: true, ..HostOptions::default() };
    options.overrides.extend(settings);
    Entra::start(options).await
}

fn path(folder: &Path, name: &str) -> String {
    format!("{:?}", folder.join(name))
}

/// What stands in an assertion, without its signature.
fn parts(assertion: &str) -> (Value, Value) {
    let part = |index: usize| {
        let text = assertion.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    (part(0), part(1))
}

fn assertions(entra: &Emulator) -> Vec<String> {
    let all = entra.control().confidential();
    all.into_iter().filter(|one| one.kind == ConfidentialKind::ClientAssertion).map(|one| one.value).collect()
}

#[tokio::test]
async fn a_certificate_signs_each_assertion_anew() {
    let folder = credential_folder();
    let folder = folder.path();
    for (algorithm, thumbprint) in [(None, "x5t#S256"), (Some("PS256"), "x5t#S256"), (Some("RS256"), "x5t")] {
        let mut settings =
            vec![("certificate_file", path(folder, "good.pem")), ("private_key_file", path(folder, "key.pem"))];
        settings.extend(algorithm.map(|algorithm| ("client_assertion_algorithm", format!("{algorithm:?}"))));
        let stack = with(&settings).await;
        // Entra would refuse an identifier that comes twice.
        stack.entra.control().refuse_replayed_assertions(true);
        for _ in 0..2 {
            let finished = stack.browser().sign_in(person::ADA).await;
            assert_eq!(finished.status, 200, "{algorithm:?}: {}", finished.body);
        }
        let sent = assertions(&stack.entra);
        assert_eq!(sent.len(), 2, "{algorithm:?}");
        for assertion in &sent {
            let (header, claims) = parts(assertion);
            assert_eq!((&header["alg"], &header["typ"]), (&json!(algorithm.unwrap_or("PS256")), &json!("JWT")));
            assert!(header[thumbprint].is_string() && header.as_object().unwrap().len() == 3, "{header}");
            let endpoint = format!("{}/{}/oauth2/v2.0/token", stack.entra.login_url(), fixtures::CONTOSO);
            assert_eq!(claims["aud"], endpoint, "V25: the configured token endpoint");
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!(fixtures::CLIENT_ID), &json!(fixtures::CLIENT_ID)));
            let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
            assert!((1..=300).contains(&life), "{claims}");
        }
        assert_ne!(parts(&sent[0]).1["jti"], parts(&sent[1]).1["jti"]);
        let requests = stack.entra.control().requests();
        assert!(requests.iter().all(|request| !request.secret_in_url && !request.secret_outside_token_endpoint));
    }
}

#[tokio::test]
async fn an_expired_certificate_gives_way_to_the_next() {
    let folder = credential_folder();
    let folder = folder.path();
    let both = |first: &str, second: &str| {
        vec![
            ("certificate_file", format!("[{}, {}]", path(folder, first), path(folder, second))),
            ("private_key_file", format!("[{}, {}]", path(folder, "key.pem"), path(folder, "key.pem"))),
        ]
    };
    let stack = with(&both("expired.pem", "good.pem")).await;
    let finished = stack.browser().sign_in(person::ADA).await;
    assert_eq!(finished.status, 200, "{}", finished.body);
    assert_eq!(assertions(&stack.entra).len(), 1, "the expired one isn't tried");
}

#[tokio::test]
async fn a_certificate_that_the_provider_does_not_know_yet_gives_way_to_the_next() {
    let folder = credential_folder();
    let folder = folder.path();
    std::fs::write(folder.join("new.pem"), include_str!("../../../host/tests/data/client-1.crt.pem")).unwrap();
    std::fs::write(folder.join("new-key.pem"), include_str!("../../../host/tests/data/client-1.key.pem")).unwrap();
    let stack = with(&[
        ("certificate_file", format!("[{}, {}]", path(folder, "new.pem"), path(folder, "good.pem"))),
        ("private_key_file", format!("[{}, {}]", path(folder, "new-key.pem"), path(folder, "key.pem"))),
    ])
    .await;
    for (round, sent) in [(1, 2), (2, 3)] {
        let finished = stack.browser().sign_in(person::ADA).await;
        assert_eq!(finished.status, 200, "{round}: {}", finished.body);
        assert_eq!(assertions(&stack.entra).len(), sent, "{round}: the one that worked goes first from then on");
    }
}

#[tokio::test]
async fn a_federated_token_is_read_again_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let issue = |subject: &str| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": fixtures::FEDERATED_KEY_ID });
        let claims = json!({
            "iss": fixtures::FEDERATED_ISSUER, "sub": subject, "aud": fixtures::FEDERATED_AUDIENCE,
            "iat": now, "nbf": now, "exp": now + 600, "jti": format!("{subject}-{now}"),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let der = pem_to_der(fixtures::FEDERATED_KEY_PEM);
        let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
        std::fs::write(&file, format!("{message}.{}\n", URL_SAFE_NO_PAD.encode(signature))).unwrap();
    };
    issue("somebody else");
    let stack = with(&[("federated_token_file", format!("{file:?}"))]).await;
    let refused = stack.browser().sign_in(person::ADA).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "request_refused"), "{}", refused.body);
    issue(fixtures::FEDERATED_SUBJECT);
    let finished = stack.browser().sign_in(person::ADA).await;
    assert_eq!(finished.status, 200, "the file is read again: {}", finished.body);
    for (name, text) in [("gone", None), ("empty", Some("")), ("no token", Some("a b"))] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let refused = stack.browser().sign_in(person::ADA).await;
        assert_eq!((refused.status, refused.code().as_str()), (500, "credential_unusable"), "{name}: {}", refused.body);
    }
}

fn pem_to_der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

#[tokio::test]
async fn the_directory_is_read_with_each_credential() {
    let folder = credential_folder();
    let folder = folder.path();
    let source = ("groups.source", "\"directory\"".to_owned());
    let settings =
        [source, ("certificate_file", path(folder, "good.pem")), ("private_key_file", path(folder, "key.pem"))];
    let stack = with(&settings).await;
    let browser = stack.browser();
    let finished = browser.sign_in(person::IN_GROUPS).await;
    let identity = browser.identity(&finished).await;
    let ids: Vec<&str> =
        identity["groups"]["groups"].as_array().unwrap().iter().map(|group| group["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&group::VPN_USERS), "{identity}");
    // The tenant's own token endpoint, whatever authority people sign in at.
    for assertion in assertions(&stack.entra) {
        assert_eq!(
            parts(&assertion).1["aud"],
            format!("{}/{}/oauth2/v2.0/token", stack.entra.login_url(), fixtures::CONTOSO)
        );
    }
}

#[tokio::test]
async fn several_tenants_each_with_its_own_token_endpoint() {
    let entra = Emulator::start(Seed::demo()).await.unwrap();
    let options = HostOptions::default()
        .set("base_url", &format!("{:?}", entra.authority("organizations")))
        .set("client_id", &format!("{:?}", fixtures::MULTI_TENANT_CLIENT_ID))
        .set("allowed_tenants", &format!("{:?}", [fixtures::CONTOSO, fixtures::FABRIKAM]))
        .set("groups.source", "\"directory\"")
        .with_provider(&conformance::entra_provider(&entra));
    let host = conformance::TestHost::start(options).await;
    conformance::register(&entra, &host);
    for (person, group) in [(person::IN_GROUPS, group::VPN_USERS), (person::FABRIKAM_MEMBER, group::FABRIKAM_STAFF)] {
        let browser = conformance::Browser::new(&host.url);
        let finished = browser.sign_in(person).await;
        let identity = browser.identity(&finished).await;
        assert!(identity["groups"].to_string().contains(group), "{person}: {identity}");
    }
}
