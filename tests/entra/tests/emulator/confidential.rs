//! The secrets that went through: complete for every way of signing in, and for tests of this process alone.

use entra_emulator::ConfidentialKind as K;
use entra_emulator::fixtures::{self, person};
use entra_emulator::{Fault, FaultAction, TokenMischief};

use crate::assertions::Draft;
use crate::support::{Lab, VERIFIER, app_token_request, authorization_request, basic, changed, token_request};

/// The values of one kind, oldest first.
fn values(lab: &Lab, kind: K) -> Vec<String> {
    lab.control.confidential().into_iter().filter(|found| found.kind == kind).map(|found| found.value).collect()
}

#[tokio::test]
async fn every_secret_of_a_sign_in_is_known() {
    let lab = Lab::start().await;
    assert_eq!(lab.control.confidential(), [], "none at the start");
    let tokens = lab.sign_in_as(fixtures::CONTOSO, person::ADA, &[("scope", Some("openid offline_access"))]).await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let codes = values(&lab, K::AuthorizationCode);
    let table = [
        ("state", K::State, "state-1".to_owned()),
        ("nonce", K::Nonce, "nonce-1".to_owned()),
        ("verifier", K::CodeVerifier, VERIFIER.to_owned()),
        ("client secret", K::ClientSecret, fixtures::CLIENT_SECRET.to_owned()),
        ("ID token", K::IdToken, text("id_token")),
        ("access token", K::AccessToken, text("access_token")),
        ("refresh token", K::RefreshToken, text("refresh_token")),
        ("code", K::AuthorizationCode, codes[0].clone()),
    ];
    for (name, kind, value) in &table {
        assert_eq!(values(&lab, *kind), [value.as_str()], "{name}");
    }
    assert_eq!(lab.control.confidential().len(), table.len(), "and nothing else");
    let shown = format!("{:?}", lab.control.confidential());
    assert!(table.iter().all(|(_, _, value)| !shown.contains(value.as_str())), "never printed: {shown}");

    lab.sign_in(person::ADA).await;
    assert_eq!(values(&lab, K::ClientSecret).len(), 1, "a value that comes again is known already");
    assert_eq!(values(&lab, K::AuthorizationCode).len(), 2);
    lab.control.reset();
    assert_eq!(lab.control.confidential(), [], "forgotten with everything else");
}

#[tokio::test]
async fn refused_and_broken_requests_count_too() {
    let lab = Lab::start().await;
    let request =
        changed(authorization_request(), &[("x_user", Some(person::CANCELS)), ("state", Some("of-an-error"))]);
    lab.authorize(fixtures::CONTOSO, &request).await;
    let request = changed(authorization_request(), &[("client_id", Some("unknown")), ("state", Some("of-a-page"))]);
    lab.authorize(fixtures::CONTOSO, &request).await;
    assert_eq!(values(&lab, K::State), ["of-an-error", "of-a-page"]);
    assert_eq!(values(&lab, K::AuthorizationCode), [""; 0], "none was issued");

    let wrong = changed(token_request("made-up"), &[("client_secret", Some("wrong"))]);
    lab.token(fixtures::CONTOSO, &wrong).await;
    lab.control.add_fault(Fault::new(FaultAction::Html).path("*/token").times(1));
    let faulty = changed(token_request("made-up"), &[("client_secret", Some("met a fault"))]);
    lab.token(fixtures::CONTOSO, &faulty).await;
    assert_eq!(values(&lab, K::ClientSecret), ["wrong", "met a fault"]);
    lab.control.mischief_once(TokenMischief::BadSignature);
    let tokens = lab.sign_in(person::ADA).await;
    assert_eq!(values(&lab, K::IdToken), [tokens["id_token"].as_str().unwrap()], "as spoiled as it was sent");
}

#[tokio::test]
async fn every_way_of_authenticating_the_client_counts() {
    let lab = Lab::start().await;
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let form = changed(app_token_request(lab.entra.graph_url()), &[("client_secret", None)]);
    let credentials = basic(fixtures::CLIENT_ID, fixtures::CLIENT_SECRET);
    let token = lab.send(lab.form(&url, &form).header("authorization", &credentials)).await.json();
    assert_eq!(values(&lab, K::ClientSecret), [fixtures::CLIENT_SECRET], "decoded");
    assert_eq!(values(&lab, K::BasicCredentials), [credentials.strip_prefix("Basic ").unwrap()], "as it was sent");

    let assertion = Draft::ps256(&lab).sign();
    let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let changes = [("client_assertion", Some(assertion.as_str())), ("client_assertion_type", Some(jwt_bearer))];
    let other = lab.token(fixtures::CONTOSO, &changed(form, &changes)).await.json();
    assert_eq!(values(&lab, K::ClientAssertion), [assertion]);
    let tokens = [token, other].map(|answer| answer["access_token"].as_str().unwrap().to_owned());
    assert_eq!(values(&lab, K::AccessToken), tokens, "an app's own tokens");
}
