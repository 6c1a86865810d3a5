//! The Graph side: who may call, what a user looks like, userinfo, and the refusals.

use entra_emulator::fixtures::{self, person};
use entra_emulator::{DocumentMischief, Rotation};
use serde_json::{Value, json};

use crate::support::{Lab, claims};

const ADA: &str = "33333333-3333-4333-8333-000000000001";

async fn person_token(lab: &Lab, scope: &str) -> String {
    let tokens = lab.sign_in_as(fixtures::CONTOSO, person::ADA, &[("scope", Some(scope))]).await;
    tokens["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_has_graphs_default_properties() {
    let lab = Lab::start().await;
    let reply = lab.get_with_token(&lab.graph(&format!("/v1.0/users/{ADA}")), &lab.app_token().await).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let expected = json!({
        "@odata.context": lab.graph("/v1.0/$metadata#users/$entity"),
        "businessPhones": [],
        "displayName": "Ada Example",
        "givenName": "Ada",
        "jobTitle": "Engineer",
        "mail": "ada@contoso.example",
        "mobilePhone": "+48 555 000 001",
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": "Example",
        "userPrincipalName": "ada@contoso.example",
        "id": ADA,
    });
    assert_eq!(reply.json(), expected);
    for name in ["request-id", "client-request-id", "x-ms-ags-diagnostic", "x-ms-resource-unit"] {
        assert!(!reply.header(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn users_are_found_by_id_or_principal_name_in_the_tokens_tenant() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    // name, path segment, properties selected, expected status and body
    let table = [
        ("principal name", "ada@contoso.example", "id", 200, json!({"id": ADA})),
        ("case does not count", "ADA@contoso.example", "id", 200, json!({"id": ADA})),
        (
            "guest by its principal name",
            "grace_fabrikam.example%23EXT%23@contoso.onmicrosoft.example",
            "userType,mail",
            200,
            json!({"userType": "Guest", "mail": "grace@fabrikam.example"}),
        ),
        ("apostrophe", "miles.o'brien%2Btag@contoso.example", "surname", 200, json!({"surname": "O'Brien"})),
        (
            "no mailbox",
            "nora@contoso.example",
            "mail,id",
            200,
            json!({"mail": null, "id": "33333333-3333-4333-8333-000000000003"}),
        ),
        ("disabled", "dina@contoso.example", "accountEnabled", 200, json!({"accountEnabled": false})),
        ("unknown", "nobody@contoso.example", "id", 404, json!("Request_ResourceNotFound")),
        ("another tenant's", "frank@fabrikam.example", "id", 404, json!("Request_ResourceNotFound")),
        ("unknown property", ADA, "id,shoeSize", 400, json!("Request_BadRequest")),
    ];
    for (name, id, select, status, expected) in table {
        let reply = lab.get_with_token(&lab.graph(&format!("/v1.0/users/{id}?$select={select}")), &token).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        let body = reply.json();
        match expected {
            Value::Object(members) => {
                let mut expected = members;
                let context = lab.graph(&format!("/v1.0/$metadata#users({select})/$entity"));
                expected.insert("@odata.context".into(), context.into());
                assert_eq!(body, Value::Object(expected), "{name}");
            }
            code => assert_eq!(body["error"]["code"], code, "{name}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_loudly() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let table = [
        ("expand", format!("/v1.0/users/{ADA}?$expand=memberOf"), "Request_UnsupportedQuery"),
        ("unknown resource", "/v1.0/planets".to_owned(), "BadRequest"),
        ("beta", format!("/beta/users/{ADA}"), "BadRequest"),
    ];
    for (name, path, code) in table {
        let reply = lab.get_with_token(&lab.graph(&path), &token).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(code)), "{name}");
        assert_eq!(lab.get(&lab.graph(&path)).await.status, 401, "{name} without a token");
    }
}

#[tokio::test]
async fn an_error_body_has_graphs_shape() {
    let lab = Lab::start().await;
    let url = lab.graph(&format!("/v1.0/users/{ADA}"));
    let id = "77777777-7777-4777-8777-777777777777";
    let reply = lab.send(lab.client.get(&url).header("client-request-id", id)).await;
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").starts_with("Bearer realm=\"\", authorization_uri="));
    let error = &reply.json()["error"];
    assert_eq!(error["code"], "InvalidAuthenticationToken");
    assert_eq!(error["message"], "Access token is empty.");
    assert_eq!(error["innerError"]["client-request-id"], id);
    assert!(!error["innerError"]["request-id"].as_str().unwrap().is_empty());
    assert_eq!(error["innerError"]["date"].as_str().unwrap().len(), 19);
    assert_eq!(reply.header("client-request-id"), id);
}

#[tokio::test]
async fn tokens_that_graph_does_not_accept() {
    let lab = Lab::start().await;
    let genuine = lab.app_token().await;
    let id_token = lab.sign_in(person::ADA).await["id_token"].as_str().unwrap().to_owned();
    let (input, signature) = genuine.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let other_payload = id_token.split('.').nth(1).unwrap();
    let table = [
        ("empty", String::new()),
        ("not a token", "garbage".to_owned()),
        ("no signature", format!("{input}.")),
        ("another payload", format!("{header}.{other_payload}.{signature}")),
        ("payload cut", format!("{header}.{}.{signature}", &payload[..payload.len() - 4])),
        ("an ID token", id_token.clone()),
    ];
    let url = lab.graph(&format!("/v1.0/users/{ADA}"));
    for (name, token) in table {
        let reply = lab.get_with_token(&url, &token).await;
        assert_eq!(reply.status, 401, "{name}: {}", reply.body);
        assert_eq!(reply.json()["error"]["code"], "InvalidAuthenticationToken", "{name}");
    }
    lab.control.rotate_keys(Rotation::Emergency);
    assert_eq!(lab.get_with_token(&url, &genuine).await.status, 200, "a roll-over does not end access tokens");
    lab.control.advance_clock(3600);
    let reply = lab.get_with_token(&url, &genuine).await;
    assert_eq!(reply.status, 401);
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("the token is expired"));
    let fresh = lab.app_token().await;
    assert_eq!(lab.get_with_token(&url, &fresh).await.status, 200, "fresh");
    lab.control.revoke_access_tokens();
    assert_eq!(lab.get_with_token(&url, &fresh).await.status, 401, "revoked");
}

#[tokio::test]
async fn permissions_are_those_in_the_token() {
    let lab = Lab::start().await;
    let (ada, nora) = (lab.graph(&format!("/v1.0/users/{ADA}")), lab.graph("/v1.0/users/nora@contoso.example"));
    let with_role = lab.app_token().await;
    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles = vec!["GroupMember.Read.All".into()]).unwrap();
    let without_role = lab.app_token().await;
    let nobody = lab.graph("/v1.0/users/nobody@contoso.example");
    let with_user_read = person_token(&lab, "openid User.Read").await;
    let table = [
        ("app with the role, though consent is gone since", &with_role, &ada, 200),
        ("app without the role", &without_role, &ada, 403),
        ("app without the role does not learn who exists", &without_role, &nobody, 403),
        ("person: oneself", &with_user_read, &ada, 200),
        ("person: someone else", &with_user_read, &nora, 403),
    ];
    for (name, token, url, status) in table {
        let reply = lab.get_with_token(url, token).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        if status == 403 {
            assert_eq!(reply.json()["error"]["code"], "Authorization_RequestDenied", "{name}");
        }
    }
    let openid_only = person_token(&lab, "openid").await;
    assert_eq!(lab.get_with_token(&ada, &openid_only).await.status, 403, "person without User.Read");
}

#[tokio::test]
async fn userinfo_answers_the_subject_of_the_id_token_and_claims_by_scope() {
    let lab = Lab::start().await;
    let url = lab.graph("/oidc/userinfo");
    let picture = lab.graph("/v1.0/me/photo/$value");
    let table = [
        (
            "all scopes",
            "openid profile email",
            json!({"name": "Ada Example", "given_name": "Ada", "family_name": "Example", "email": "ada@contoso.example"}),
        ),
        ("openid alone", "openid", json!({})),
        ("email", "openid email", json!({"email": "ada@contoso.example"})),
    ];
    for (name, scope, expected) in table {
        let tokens = lab.sign_in_as(fixtures::CONTOSO, person::ADA, &[("scope", Some(scope))]).await;
        let token = tokens["access_token"].as_str().unwrap();
        let mut expected = expected;
        expected["sub"] = claims(tokens["id_token"].as_str().unwrap())["sub"].clone();
        expected["picture"] = picture.clone().into();
        assert_eq!(lab.get_with_token(&url, token).await.json(), expected, "{name}");
        let post = lab.client.post(&url).header("authorization", format!("Bearer {token}"));
        assert_eq!(lab.send(post).await.json(), expected, "{name}, POST");
    }
    let app_only = lab.app_token().await;
    assert_eq!(lab.get_with_token(&url, &app_only).await.status, 403, "an app is not a person");
    let no_openid = person_token(&lab, "User.Read").await;
    assert_eq!(lab.get_with_token(&url, &no_openid).await.status, 403, "openid is needed");
    assert_eq!(lab.get(&url).await.status, 401, "no token");
}

#[tokio::test]
async fn userinfo_can_be_about_someone_else_or_nobody() {
    let lab = Lab::start().await;
    let tokens = lab.sign_in(person::ADA).await;
    let subject = claims(tokens["id_token"].as_str().unwrap())["sub"].clone();
    let sub = async || {
        let token = tokens["access_token"].as_str().unwrap();
        lab.get_with_token(&lab.graph("/oidc/userinfo"), token).await.json().get("sub").cloned()
    };
    lab.control.set_document_mischief(DocumentMischief::UserinfoOtherSubject, true);
    assert!(sub().await.is_some_and(|other| other != subject), "another subject");
    lab.control.clear_mischief();
    lab.control.set_document_mischief(DocumentMischief::UserinfoNoSubject, true);
    assert_eq!(sub().await, None, "no subject");
    lab.control.clear_mischief();
    assert_eq!(sub().await, Some(subject), "honest again");
}
