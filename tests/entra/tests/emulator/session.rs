//! How strong and how fresh a sign-in is: the `claims` parameter with authentication contexts, `auth_time`, `prompt=login`, `max_age`.

use entra_emulator::fixtures::{self, person};
use serde_json::{Value, json};

use crate::support::{Change, Lab, authorization_request, changed};

fn asking(contexts: &Value) -> String {
    json!({"id_token": {"acrs": contexts}}).to_string()
}

#[tokio::test]
async fn contexts_that_were_asked_for_and_satisfied_are_in_the_token() {
    let lab = Lab::start().await;
    let (c1, c2) = (json!({"essential": true, "value": "c1"}), json!({"essential": true, "value": "c2"}));
    // name, person, request, acrs
    let table = [
        ("satisfied", person::STEPPED_UP, asking(&c1), json!(["c1"])),
        ("one of several", person::STEPPED_UP, asking(&json!({"values": ["c2", "c1"]})), json!(["c1"])),
        ("another one", person::STEPPED_UP, asking(&c2), Value::Null),
        ("asked for without a value", person::STEPPED_UP, asking(&Value::Null), Value::Null),
        ("asked for in userinfo", person::STEPPED_UP, json!({"userinfo": {"acrs": c1}}).to_string(), Value::Null),
        ("cannot be satisfied: left out", person::ADA, asking(&c1), Value::Null),
    ];
    for (name, person, request, expected) in table {
        let claims = lab.id_token_of(person, &[("claims", Some(&request))]).await;
        assert_eq!(claims["acrs"], expected, "{name}");
    }
    let claims = lab.id_token_of(person::STEPPED_UP, &[]).await;
    assert!(claims.get("acrs").is_none(), "not asked for");

    lab.control
        .edit_person(person::STEPPED_UP, |person| person.authentication_contexts = vec!["c1".into(), "c2".into()])
        .unwrap();
    let both = asking(&json!({"values": ["c2", "c1", "c3"]}));
    let claims = lab.id_token_of(person::STEPPED_UP, &[("claims", Some(&both))]).await;
    assert_eq!(claims["acrs"], json!(["c2", "c1"]), "both");
}

#[tokio::test]
async fn a_policy_can_end_the_sign_in_of_whoever_cannot_step_up() {
    let lab = Lab::start().await;
    let asked = asking(&json!({"essential": true, "value": "c1"}));
    let request =
        changed(authorization_request(), &[("x_user", Some(person::STEP_UP_REFUSED)), ("claims", Some(&asked))]);
    let query = lab.authorize(fixtures::CONTOSO, &request).await.redirect_query();
    assert_eq!((query["error"].as_str(), query["state"].as_str()), ("interaction_required", "state-1"));
    assert!(query["error_description"].starts_with("AADSTS50074: ") && query["error_description"].contains("c1"));
    assert!(!query.contains_key("code"));

    let claims = lab.id_token_of(person::STEP_UP_REFUSED, &[]).await;
    assert!(claims.get("acrs").is_none(), "signs in where nobody asks");
    lab.control
        .edit_person(person::STEP_UP_REFUSED, |person| person.authentication_contexts = vec!["c2".into()])
        .unwrap();
    let either = asking(&json!({"values": ["c1", "c2"]}));
    let claims = lab.id_token_of(person::STEP_UP_REFUSED, &[("claims", Some(&either))]).await;
    assert_eq!(claims["acrs"], json!(["c2"]), "one of those asked for is enough");
}

#[tokio::test]
async fn auth_time_is_when_the_person_proved_who_they_are() {
    const OLD: i64 = 7200;
    let lab = Lab::start().await;
    // name, person, changes, age of the session
    let table: Vec<(&str, &str, Vec<Change<'_>>, i64)> = vec![
        ("fresh", person::ADA, vec![], 0),
        ("old", person::OLD_SESSION, vec![], OLD),
        ("prompt=login", person::OLD_SESSION, vec![("prompt", Some("login"))], 0),
        ("prompt=consent proves nothing", person::OLD_SESSION, vec![("prompt", Some("consent"))], OLD),
        ("max_age exceeded", person::OLD_SESSION, vec![("max_age", Some("7199"))], 0),
        ("max_age not exceeded", person::OLD_SESSION, vec![("max_age", Some("7200"))], OLD),
        ("max_age 0", person::OLD_SESSION, vec![("max_age", Some("0"))], 0),
        ("max_age that is no number is ignored", person::OLD_SESSION, vec![("max_age", Some("soon"))], OLD),
    ];
    for (name, person, changes, age) in table {
        let before = lab.control.now_unix_s();
        let claims = lab.id_token_of(person, &changes).await;
        let auth_time = claims["auth_time"].as_i64().unwrap();
        assert!((before - age..=lab.control.now_unix_s() - age).contains(&auth_time), "{name}: {auth_time}");
    }
    let code = lab.code(person::ADA).await;
    let issued = lab.control.now_unix_s();
    lab.control.advance_clock(500);
    let tokens = lab.token(fixtures::CONTOSO, &crate::support::token_request(&code)).await.json();
    let auth_time = crate::support::claims(tokens["id_token"].as_str().unwrap())["auth_time"].as_i64().unwrap();
    assert!((auth_time - issued).abs() < 30, "when the person signed in, not when the code was redeemed");

    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.optional_claims.retain(|claim| claim != "auth_time")).unwrap();
    assert!(lab.id_token_of(person::ADA, &[]).await.get("auth_time").is_none(), "not configured");
}

#[tokio::test]
async fn nobody_can_prove_anything_silently() {
    let lab = Lab::start().await;
    let silent = |max_age| {
        let changes = [("x_user", Some(person::OLD_SESSION)), ("prompt", Some("none")), ("max_age", Some(max_age))];
        changed(authorization_request(), &changes)
    };
    let query = lab.authorize(fixtures::CONTOSO, &silent("60")).await.redirect_query();
    assert_eq!(query["error"], "login_required", "the session is too old");
    let query = lab.authorize(fixtures::CONTOSO, &silent("9000")).await.redirect_query();
    assert!(query.contains_key("code"), "it is young enough");
}

#[tokio::test]
async fn prompt_login_still_lets_a_person_be_picked() {
    let lab = Lab::start().await;
    let page = lab.authorize(fixtures::CONTOSO, &changed(authorization_request(), &[("prompt", Some("login"))])).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("x_user=old-session\"") && page.body.contains("prompt=login"), "{}", page.body);
}
