//! From verified claims to Defguard's fields: what each claim becomes, what stands in for a missing one, when userinfo is
//! asked, and who isn't let in. Each row is a whole sign-in.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "in the helpers of these tests, where it fails the test")]

mod support;

use openid::capability::HttpError;
use openid::claims::identity::Identity;
use openid::login::trace::Verdict;
use serde_json::{Value, json};
use support::{
    GRAPH, ISSUER, LOGIN, MSA, OID, OTHER_TENANT, Stage, TENANT, USERINFO, json_response, response, verdict,
};

const OIDC_USERINFO: &str = "https://idp.example/realms/acme/userinfo";

/// The identity, or the refusal's code.
fn outcome(stage: &Stage) -> Result<Identity, String> {
    let outcome = stage.sign_in();
    let code = verdict(&outcome).0;
    outcome.map(|completion| completion.identity).map_err(|_| code)
}

/// One field of an identity, as text.
fn field(identity: &Identity, name: &str) -> String {
    match name {
        "email" => identity.email.clone(),
        "email_verified" => format!("{:?}", identity.email_verified),
        "username" => identity.username.clone(),
        "given_name" => identity.given_name.clone(),
        "family_name" => identity.family_name.clone(),
        "names" => format!("{}|{}", identity.given_name, identity.family_name),
        "display_name" => identity.display_name.clone(),
        "phone" => format!("{:?}", identity.phone),
        "tenant_id" => format!("{:?}", identity.tenant_id),
        "object_id" => format!("{:?}", identity.object_id),
        "issuer" => identity.issuer.clone(),
        "subject" => identity.subject.clone(),
        "attributes" => format!("{:?}", identity.attributes),
        other => panic!("no field {other}"),
    }
}

/// Name, configuration, claims (`null` takes one away), field, what it is or the refusal's code.
type Row<'a> = (&'a str, Value, Value, &'a str, Result<&'a str, &'a str>);

fn check(stage: fn() -> Stage, userinfo: &str, table: Vec<Row<'_>>) {
    for (name, configuration, claims, wanted, expected) in table {
        let mut stage = stage();
        stage.configure(&configuration);
        stage.claim(&claims);
        stage.answer(userinfo, |_| Ok(response(403, "application/json", "{}")));
        let found = outcome(&stage);
        match expected {
            Ok(value) => {
                let identity = found.unwrap_or_else(|code| panic!("{name}: refused with {code}"));
                assert_eq!(field(&identity, wanted), value, "{name}");
            }
            Err(code) => assert_eq!(found.err().as_deref(), Some(code), "{name}"),
        }
    }
}

#[test]
fn entras_claims() {
    let none = || json!({});
    let several = |tenants: Value| json!({ "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null, "allowed_tenants": tenants });
    // `organizations` has the template; its addresses are scripted by `with_template`.
    #[rustfmt::skip]
    let by_template: Vec<Row<'_>> = vec![
        ("an allowed tenant", several(json!([TENANT])), none(), "tenant_id", Ok("Some(\"11111111-1111-4111-8111-111111111111\")")),
        ("a tenant that isn't listed", several(json!([OTHER_TENANT])), none(), "", Err("tenant_not_allowed")),
        ("personal, not listed", several(json!([TENANT])), json!({ "tid": MSA, "iss": format!("{LOGIN}/{MSA}/v2.0") }), "", Err("tenant_not_allowed")),
        ("personal, listed", support::with(several(json!([TENANT, MSA])), &json!({ "personal_accounts": true })), json!({ "tid": MSA, "iss": format!("{LOGIN}/{MSA}/v2.0") }), "email", Ok("ada@contoso.example")),
        ("tid and iss of two tenants (V3)", several(json!([TENANT, OTHER_TENANT])), json!({ "tid": OTHER_TENANT }), "", Err("id_token_issuer_mismatch")),
        ("nobody decides over a login name", several(json!([TENANT])), json!({ "email": null }), "", Err("email_missing")),
    ];
    check(with_template, USERINFO, by_template);

    #[rustfmt::skip]
    check(Stage::microsoft, USERINFO, vec![
        ("the key: tenant", none(), none(), "tenant_id", Ok("Some(\"11111111-1111-4111-8111-111111111111\")")),
        ("the key: object", none(), none(), "object_id", Ok("Some(\"00000000-0000-4000-8000-00000000ada0\")")),
        ("no oid", none(), json!({ "oid": null }), "", Err("object_id_missing")),
        ("an oid that is no GUID", none(), json!({ "oid": "ada" }), "", Err("id_token_claim_invalid")),
        ("the address", none(), none(), "email", Ok("ada@contoso.example")),
        ("no address: the login name of a pinned tenant", none(), json!({ "email": null, "preferred_username": "ada.l@contoso.example" }), "email", Ok("ada.l@contoso.example")),
        ("neither", none(), json!({ "email": null, "preferred_username": null }), "", Err("email_missing")),
        ("a login name that is a phone number", none(), json!({ "email": null, "preferred_username": "+48 600 000 000" }), "", Err("email_missing")),
        ("a guest's login name", json!({ "guests": true }), json!({ "email": null, "preferred_username": "ada_home.example#EXT#@contoso.onmicrosoft.com" }), "", Err("email_missing")),
        ("an empty address", none(), json!({ "email": "", "preferred_username": "" }), "", Err("email_missing")),
        ("an address that is null", none(), json!({ "email": Value::Null, "preferred_username": [] }), "", Err("email_missing")),
        ("an address that is a number", none(), json!({ "email": 5, "preferred_username": null }), "", Err("email_missing")),
        // xms_edov in all its shapes
        ("verified: true", none(), json!({ "xms_edov": true }), "email_verified", Ok("Some(true)")),
        ("verified: \"1\"", none(), json!({ "xms_edov": "1" }), "email_verified", Ok("Some(true)")),
        ("verified: 1", none(), json!({ "xms_edov": 1 }), "email_verified", Ok("Some(true)")),
        ("verified: \"true\"", none(), json!({ "xms_edov": "true" }), "email_verified", Ok("Some(true)")),
        ("verified: false", none(), json!({ "xms_edov": false }), "email_verified", Ok("Some(false)")),
        ("verified: \"0\"", none(), json!({ "xms_edov": "0" }), "email_verified", Ok("Some(false)")),
        ("verified: 2", none(), json!({ "xms_edov": 2 }), "email_verified", Ok("Some(false)")),
        ("verified: absent", none(), none(), "email_verified", Ok("None")),
        ("verified: a list says nothing", none(), json!({ "xms_edov": [true] }), "email_verified", Ok("None")),
        ("email_verified isn't Entra's", none(), json!({ "email_verified": true }), "email_verified", Ok("None")),
        ("a login name is never verified", none(), json!({ "email": null, "xms_edov": true }), "email_verified", Ok("None")),
        // names (T/A2)
        ("names", none(), none(), "names", Ok("Ada|Lovelace")),
        ("only a given name", none(), json!({ "family_name": null, "name": null }), "names", Ok("Ada|adacontoso.example")),
        ("only a family name", none(), json!({ "given_name": null, "name": null }), "names", Ok("adacontoso.example|Lovelace")),
        ("only a name", none(), json!({ "given_name": null, "family_name": null, "name": "Ada King Lovelace" }), "names", Ok("Ada King|Lovelace")),
        ("a name of one word", none(), json!({ "given_name": null, "family_name": null, "name": "Ada" }), "names", Ok("Ada|adacontoso.example")),
        ("no name at all", none(), json!({ "given_name": null, "family_name": null, "name": null }), "names", Ok("adacontoso.example|adacontoso.example")),
        ("names of spaces", none(), json!({ "given_name": " ", "family_name": "\t", "name": " Ada  Lovelace " }), "names", Ok("Ada|Lovelace")),
        ("another alphabet", none(), json!({ "given_name": "安田", "family_name": "愛" }), "names", Ok("安田|愛")),
        ("control characters", none(), json!({ "given_name": "A\u{0}d\r\na" }), "given_name", Ok("Ada")),
        ("the shown name", none(), json!({ "name": null }), "display_name", Ok("Ada Lovelace")),
        ("the least that there can be", none(), json!({ "given_name": null, "family_name": null, "name": null, "preferred_username": null }), "username", Ok("adacontoso.example")),
    ]);
}

/// Personal accounts get in only where the configuration names their tenant, and nobody decides over their login names.
#[test]
fn personal_accounts() {
    let consumers =
        || json!({ "base_url": format!("{LOGIN}/consumers/v2.0"), "tenant": null, "personal_accounts": true });
    let domain = || json!({ "tenant": "outlook.example" });
    let personal =
        |changes: Value| support::with(json!({ "tid": MSA, "iss": format!("{LOGIN}/{MSA}/v2.0") }), &changes);
    #[rustfmt::skip]
    check(with_personal_tenant, USERINFO, vec![
        ("consumers", consumers(), personal(json!({})), "email", Ok("ada@contoso.example")),
        ("consumers: a work account", consumers(), json!({}), "", Err("tenant_not_allowed")),
        ("a domain that is theirs", domain(), personal(json!({})), "", Err("personal_account")),
        ("one tenant", json!({}), personal(json!({})), "", Err("tenant_not_allowed")),
    ]);
    let mut stage = with_personal_tenant();
    stage.configure(&consumers());
    stage.claim(&personal(json!({})));
    stage.claim(&json!({ "email": null, "preferred_username": "victim@contoso.example" }));
    assert_eq!(outcome(&stage).err().as_deref(), Some("email_missing"));
}

/// Entra's authorities that come to the tenant of personal accounts.
fn with_personal_tenant() -> Stage {
    let stage = Stage::microsoft();
    for segment in ["consumers", "outlook.example"] {
        let mut document = support::entra_document(segment);
        document["issuer"] = json!(format!("{LOGIN}/{MSA}/v2.0"));
        stage.answer_json(&support::discovery_url(&format!("{LOGIN}/{segment}/v2.0")), &document);
        let keys = support::key_set(&[(support::KID, support::Key::Provider)]);
        stage.answer_json(&format!("{LOGIN}/{segment}/discovery/v2.0/keys"), &keys);
    }
    stage
}

/// Entra's `organizations`: the issuer is a template.
fn with_template() -> Stage {
    let stage = Stage::microsoft();
    let mut document = support::entra_document("organizations");
    document["issuer"] = json!(format!("{LOGIN}/{{tenantid}}/v2.0"));
    stage.answer_json(&support::discovery_url(&format!("{LOGIN}/organizations/v2.0")), &document);
    let keys = support::key_set(&[(support::KID, support::Key::Provider)]);
    stage.answer_json(&format!("{LOGIN}/organizations/discovery/v2.0/keys"), &keys);
    stage
}

#[test]
fn any_providers_claims() {
    let none = || json!({});
    let sources = |name: &str, sources: Value| json!({ "claims": { name: sources } });
    #[rustfmt::skip]
    check(Stage::oidc, OIDC_USERINFO, vec![
        ("the key", none(), none(), "subject", Ok("ada-1815")),
        ("the issuer", none(), none(), "issuer", Ok(ISSUER)),
        ("tid and oid mean nothing here", none(), json!({ "tid": TENANT, "oid": OID }), "object_id", Ok("None")),
        ("the address", none(), none(), "email", Ok("ada@acme.example")),
        ("the login name is no address", none(), json!({ "email": null, "preferred_username": "ada@acme.example" }), "", Err("email_missing")),
        ("unless it is configured", sources("email", json!(["email", "preferred_username"])), json!({ "email": null, "preferred_username": "ada@acme.example" }), "email", Ok("ada@acme.example")),
        ("verified", none(), none(), "email_verified", Ok("Some(true)")),
        ("verified, as JumpCloud says it", none(), json!({ "email_verified": "true" }), "email_verified", Ok("Some(true)")),
        ("not verified", none(), json!({ "email_verified": false }), "email_verified", Ok("Some(false)")),
        ("nothing said", none(), json!({ "email_verified": null }), "email_verified", Ok("None")),
        ("email_verified speaks of email only (V1)", sources("email", json!(["upn"])), json!({ "upn": "victim@acme.example" }), "email_verified", Ok("None")),
        ("a flag of the provider's own", json!({ "claims": { "email": ["mail"], "email_verified": ["mail_ok"] } }), json!({ "mail": "ada@acme.example", "mail_ok": true }), "email_verified", Ok("Some(true)")),
        // sources
        ("the first source that says something", sources("email", json!(["a", "b", "email"])), json!({ "b": "b@acme.example" }), "email", Ok("b@acme.example")),
        ("a dotted path", sources("email", json!(["contact.mail"])), json!({ "contact": { "mail": "c@acme.example" } }), "email", Ok("c@acme.example")),
        ("a claim whose name has dots goes first", sources("email", json!(["contact.mail"])), json!({ "contact.mail": "literal@acme.example", "contact": { "mail": "path@acme.example" } }), "email", Ok("literal@acme.example")),
        ("a path through something else", sources("email", json!(["contact.mail.x", "email"])), json!({ "contact": "text" }), "email", Ok("ada@acme.example")),
        ("a claim named by its URL", sources("email", json!(["https://acme.example/claims/mail"])), json!({ "https://acme.example/claims/mail": "u@acme.example" }), "email", Ok("u@acme.example")),
        ("a list: its first", sources("email", json!(["mails"])), json!({ "mails": ["one@acme.example", "two@acme.example"] }), "email", Ok("one@acme.example")),
        ("a phone number", none(), json!({ "phone_number": "+48 600 000 000" }), "phone", Ok("Some(\"+48 600 000 000\")")),
        ("none", none(), none(), "phone", Ok("None")),
        ("a phone from elsewhere", sources("phone", json!(["mobile"])), json!({ "mobile": " 1 " }), "phone", Ok("Some(\"1\")")),
        ("no source for the phone", sources("phone", json!([])), json!({ "phone_number": "1" }), "phone", Ok("None")),
        // addresses (V22)
        ("two @", none(), json!({ "email": "attacker@evil.example@acme.example" }), "", Err("email_invalid")),
        ("a dot at the end", none(), json!({ "email": "ada@acme.example." }), "", Err("email_invalid")),
        ("a space", none(), json!({ "email": "ada lovelace@acme.example" }), "", Err("email_invalid")),
        ("a line break", none(), json!({ "email": "ada@acme.example\r\nBcc: x" }), "", Err("email_invalid")),
        ("a zero inside: never another address", none(), json!({ "email": "victim\u{0}@acme.example" }), "", Err("email_invalid")),
        ("a character that nobody sees", none(), json!({ "email": "victim\u{200b}@acme.example" }), "", Err("email_invalid")),
        ("no @", none(), json!({ "email": "ada" }), "", Err("email_invalid")),
        ("255 bytes", none(), json!({ "email": format!("ada@{}.example", "a.".repeat(122)) }), "", Err("email_invalid")),
        ("apostrophe and plus", none(), json!({ "email": "o'brien+vpn@acme.example" }), "email", Ok("o'brien+vpn@acme.example")),
        ("another alphabet", none(), json!({ "email": "ada@bücher.example" }), "email", Ok("ada@bücher.example")),
        ("spaces around", none(), json!({ "email": " ada@acme.example " }), "email", Ok("ada@acme.example")),
    ]);
}

/// T7, and Defguard's own defect D6: 64 characters.
#[test]
fn user_names() {
    let handling = |handling: &str| json!({ "username_handling": handling });
    let from = |text: &str| json!({ "preferred_username": text });
    let (a62, a63) = ("a".repeat(62), "a".repeat(63));
    #[rustfmt::skip]
    check(Stage::oidc, OIDC_USERINFO, vec![
        ("plain", json!({}), from("ada"), "username", Ok("ada")),
        ("capitals stay", json!({}), from("Ada.L_1-x"), "username", Ok("Ada.L_1-x")),
        ("an address, removed", handling("remove_forbidden"), from("john.doe@acme.com"), "username", Ok("john.doeacme.com")),
        ("an address, replaced", handling("replace_forbidden"), from("john.doe@acme.com"), "username", Ok("john.doe_acme.com")),
        ("an address, pruned", handling("prune_email_domain"), from("john.doe@acme.com"), "username", Ok("john.doe")),
        ("a guest, removed", handling("remove_forbidden"), from("ada_home.example#EXT#@c.onmicrosoft.com"), "username", Ok("ada_home.exampleEXTc.onmicrosoft.com")),
        ("a guest, replaced", handling("replace_forbidden"), from("ada_home.example#EXT#@c.example"), "username", Ok("ada_home.example_EXT__c.example")),
        ("a guest, pruned", handling("prune_email_domain"), from("ada_home.example#EXT#@c.example"), "username", Ok("ada_home.example_EXT_")),
        ("62 characters", json!({}), from(&a62), "username", Ok(&a62)),
        ("63 characters", json!({}), from(&a63), "username", Ok(&a63)),
        ("64 characters", json!({}), from(&"a".repeat(64)), "username", Ok(&a63)),
        ("65 characters", json!({}), from(&"a".repeat(65)), "username", Ok(&a63)),
        ("200 characters", json!({}), from(&"a".repeat(200)), "username", Ok(&a63)),
        ("200 characters, pruned", handling("prune_email_domain"), from(&format!("{}@acme.com", "a".repeat(200))), "username", Ok(&a63)),
        ("a dot in front", json!({}), from("..ada"), "username", Ok("ada")),
        ("a forbidden character in front, replaced", handling("replace_forbidden"), from("@ada"), "username", Ok("ada")),
        ("only symbols: the next source", json!({}), from("@#!"), "username", Ok("adaacme.example")),
        ("only a domain, pruned: the next source", handling("prune_email_domain"), from("@acme.com"), "username", Ok("ada")),
        ("no login name", json!({}), json!({ "preferred_username": null }), "username", Ok("adaacme.example")),
        ("another alphabet", json!({}), from("アダ"), "username", Ok("adaacme.example")),
        ("a source of its own", json!({ "claims": { "username": ["nick", "email"] } }), json!({ "nick": "countess" }), "username", Ok("countess")),
    ]);
}

#[test]
fn a_name_for_whom_there_is_none_is_the_same_each_time_and_anothers_is_another() {
    let name = |subject: &str| {
        let mut stage = Stage::oidc();
        stage.configure(&json!({ "claims": { "username": ["nick"] } }));
        stage.claim(&json!({ "sub": subject }));
        outcome(&stage).unwrap_or_else(|code| panic!("{code}")).username
    };
    let (first, again, another) = (name("ada"), name("ada"), name("babbage"));
    assert_eq!(first, again);
    assert_ne!(first, another);
    let hex = first.strip_prefix("user-").unwrap_or_else(|| panic!("{first}"));
    assert!(hex.len() == 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
}

/// Whatever a provider sends: the name is one that Defguard takes, and no field that must be there is empty.
#[test]
fn every_name_that_comes_out_is_good() {
    let texts = [
        "",
        " ",
        ".",
        "-",
        "_",
        "@",
        "a",
        "1",
        "a@",
        "@a",
        "..a..",
        "Ż",
        "ŻÓŁW@x.example",
        "\u{202e}evil",
        "a b c",
        "#EXT#",
        "\u{0}",
        "a\u{0}b",
        "😀",
        "😀a",
        "a'--",
        "../../etc",
        "<script>",
        "${x}",
        "a/b\\c",
    ];
    for handling in ["remove_forbidden", "replace_forbidden", "prune_email_domain"] {
        for text in texts {
            let mut stage = Stage::oidc();
            stage.configure(&json!({ "username_handling": handling }));
            stage.claim(&json!({ "preferred_username": text, "given_name": text, "family_name": text, "name": text }));
            let identity = outcome(&stage).unwrap_or_else(|code| panic!("{text:?} {handling}: {code}"));
            let name = &identity.username;
            let good = (1..=63).contains(&name.len())
                && name.starts_with(|first: char| first.is_ascii_alphanumeric())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            assert!(good, "{text:?} {handling}: {name:?}");
            assert!(!identity.given_name.is_empty() && !identity.family_name.is_empty(), "{text:?}");
        }
    }
}

/// A3: userinfo is asked for what the ID token lacks.
#[test]
fn userinfo_is_asked_when_something_is_missing() {
    // Name, kind of provider is Entra, configuration, claims, requests to userinfo.
    #[rustfmt::skip]
    let table: [(&str, bool, Value, Value, usize); 12] = [
        ("all is there", false, json!({}), json!({}), 0),
        ("no address", false, json!({}), json!({ "email": null }), 1),
        ("no login name, but an address", false, json!({}), json!({ "preferred_username": null }), 0),
        ("only a name", false, json!({}), json!({ "given_name": null, "family_name": null }), 0),
        ("no name at all", false, json!({}), json!({ "given_name": null, "family_name": null, "name": null }), 1),
        ("half a name", false, json!({}), json!({ "given_name": null, "name": null }), 1),
        ("always", false, json!({ "userinfo": "always" }), json!({}), 1),
        ("never", false, json!({ "userinfo": "never" }), json!({ "email": null }), 0),
        ("Entra: all is there", true, json!({}), json!({}), 0),
        ("Entra: only a login name", true, json!({}), json!({ "email": null }), 1),
        ("Entra: never", true, json!({ "userinfo": "never" }), json!({ "email": null }), 0),
        ("a phone number is worth no request", false, json!({}), json!({ "phone_number": null }), 0),
    ];
    for (name, entra, configuration, claims, requests) in table {
        let mut stage = if entra { Stage::microsoft() } else { Stage::oidc() };
        stage.configure(&configuration);
        stage.claim(&claims);
        let subject = stage.claims.borrow()["sub"].clone();
        let url = if entra { USERINFO } else { OIDC_USERINFO };
        stage.answer_json(url, &json!({ "sub": subject, "email": "from-userinfo@acme.example", "name": "Ada L" }));
        let found = outcome(&stage);
        assert_eq!(stage.count(url), requests, "{name}");
        if requests == 1 && claims.get("email").is_some() {
            assert_eq!(found.map(|identity| identity.email).as_deref(), Ok("from-userinfo@acme.example"), "{name}");
        }
    }
}

#[test]
fn the_userinfo_request_carries_the_token_and_nothing_else() {
    let mut stage = Stage::oidc();
    stage.configure(&json!({ "userinfo": "always" }));
    stage.answer_json(OIDC_USERINFO, &json!({ "sub": "ada-1815" }));
    assert!(outcome(&stage).is_ok());
    let requests = stage.requests();
    let request =
        requests.iter().find(|request| request.url == OIDC_USERINFO).unwrap_or_else(|| panic!("{requests:?}"));
    let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "authorization"]);
    assert!(request.headers.contains(&("authorization".into(), "Bearer the-access-token".into())));
    assert!(requests.iter().filter(|other| other.url != request.url).all(|other| other.headers.len() == 1));
}

/// V27: userinfo adds and never overrides; about somebody else it says nothing. Whether its failure matters is decided by
/// what is missing then.
#[test]
fn what_userinfo_may_say() {
    type Answer = fn() -> Result<openid::capability::Response, HttpError>;
    #[rustfmt::skip]
    let table: [(&str, Answer, Result<&str, &str>, Verdict); 13] = [
        ("the address", || Ok(json_response(200, &json!({ "sub": "ada-1815", "email": "ada@acme.example" }))), Ok("ada@acme.example"), Verdict::Pass),
        ("somebody else's", || Ok(json_response(200, &json!({ "sub": "victim", "email": "victim@acme.example" }))), Err("email_missing"), Verdict::Fail),
        ("no sub", || Ok(json_response(200, &json!({ "email": "victim@acme.example" }))), Err("email_missing"), Verdict::Fail),
        ("sub as a list", || Ok(json_response(200, &json!({ "sub": ["ada-1815"], "email": "victim@acme.example" }))), Err("email_missing"), Verdict::Fail),
        ("sub twice", || { Ok(response(200, "application/json", "{\"sub\":\"ada-1815\",\"sub\":\"victim\",\"email\":\"a@b.example\"}")) }, Err("email_missing"), Verdict::Fail),
        ("sub in upper case", || Ok(json_response(200, &json!({ "sub": "ADA-1815", "email": "victim@acme.example" }))), Err("email_missing"), Verdict::Fail),
        ("no address either", || Ok(json_response(200, &json!({ "sub": "ada-1815" }))), Err("email_missing"), Verdict::Pass),
        ("HTML", || Ok(response(200, "text/html", "<html>")), Err("email_missing"), Verdict::Fail),
        ("a signed answer", || Ok(response(200, "application/jwt", "e30.e30.AAAA")), Err("email_missing"), Verdict::Fail),
        ("refused", || Ok(response(401, "application/json", "{}")), Err("email_missing"), Verdict::Fail),
        ("a redirect", || Ok(response(302, "text/html", "")), Err("email_missing"), Verdict::Fail),
        ("silence", || Err(HttpError::Timeout), Err("email_missing"), Verdict::Fail),
        ("too large", || Ok(response(200, "application/json", vec![b' '; (128 << 10) + 1])), Err("email_missing"), Verdict::Fail),
    ];
    for (name, answer, expected, check) in table {
        let stage = Stage::oidc();
        stage.claim(&json!({ "email": null }));
        stage.answer(OIDC_USERINFO, move |_| answer());
        let found = stage.sign_in();
        let checks = match &found {
            Ok(completion) => &completion.checks,
            Err((_, checks)) => checks,
        };
        let seen = checks.iter().find(|check| check.name == "userinfo").map(|check| check.verdict);
        assert_eq!(seen, Some(check), "{name}");
        let code = verdict(&found).0;
        match expected {
            Ok(email) => {
                assert_eq!(found.map(|completion| completion.identity.email).ok().as_deref(), Some(email), "{name}");
            }
            Err(expected) => assert_eq!(code, expected, "{name}"),
        }
    }
}

#[test]
fn userinfo_never_overrides_and_its_failure_alone_refuses_nobody() {
    let mut stage = Stage::oidc();
    stage.configure(&json!({ "userinfo": "always" }));
    let other = json!({
        "sub": "ada-1815", "email": "other@acme.example", "email_verified": false, "given_name": "Eve",
        "preferred_username": "eve", "phone_number": "+48 1",
    });
    stage.answer_json(OIDC_USERINFO, &other);
    let identity = outcome(&stage).unwrap_or_else(|code| panic!("{code}"));
    assert_eq!(
        (identity.email.as_str(), identity.email_verified, identity.given_name.as_str(), identity.username.as_str()),
        ("ada@acme.example", Some(true), "Ada", "ada")
    );
    assert_eq!(identity.phone.as_deref(), Some("+48 1"), "what the ID token doesn't say is added");

    let stage = Stage::oidc();
    stage.claim(&json!({ "given_name": null, "family_name": null, "name": null }));
    stage.answer(OIDC_USERINFO, |_| Err(HttpError::Timeout));
    let identity = outcome(&stage).unwrap_or_else(|code| panic!("{code}"));
    assert_eq!((identity.given_name.as_str(), identity.family_name.as_str()), ("ada", "ada"));
}

/// An address of one document isn't verified by the flag of the other.
#[test]
fn a_flag_counts_for_the_address_beside_it() {
    let userinfo = |email: &str| json!({ "sub": "ada-1815", "email": email, "email_verified": true });
    for (name, claims, userinfo, expected) in [
        (
            "both in userinfo",
            json!({ "email": null, "email_verified": null }),
            userinfo("ada@acme.example"),
            Some(true),
        ),
        (
            "the flag alone in the ID token",
            json!({ "email": null }),
            json!({ "sub": "ada-1815", "email": "other@acme.example" }),
            None,
        ),
        (
            "userinfo's flag for the same address",
            json!({ "email_verified": null }),
            userinfo("ada@acme.example"),
            Some(true),
        ),
        (
            "userinfo's flag for another address",
            json!({ "email_verified": null }),
            userinfo("other@acme.example"),
            None,
        ),
    ] {
        let mut stage = Stage::oidc();
        stage.configure(&json!({ "userinfo": "always" }));
        stage.claim(&claims);
        stage.answer_json(OIDC_USERINFO, &userinfo);
        let identity = outcome(&stage).unwrap_or_else(|code| panic!("{name}: {code}"));
        assert_eq!(identity.email_verified, expected, "{name}");
    }
}

/// No access token, or no endpoint: nothing is asked, and that is noted.
#[test]
fn where_userinfo_cant_be_asked() {
    for (name, endpoint, access_token) in [("no endpoint", false, true), ("no access token", true, false)] {
        let stage = Stage::oidc();
        if !endpoint {
            let document = support::with(support::oidc_document(), &json!({ "userinfo_endpoint": null }));
            stage.answer_json(&support::discovery_url(ISSUER), &document);
        }
        stage.claim(&json!({ "email": null }));
        let begun = stage.begun();
        stage.claim(&json!({ "nonce": support::parameters(&begun.url)["nonce"] }));
        let change = if access_token { json!({}) } else { json!({ "access_token": null }) };
        let tokens = support::with(stage.tokens(), &change);
        stage.answer_tokens(move || Ok(json_response(200, &tokens)));
        let found = stage.finish(&begun, &stage.callback(&begun));
        assert_eq!(verdict(&found).0, "email_missing", "{name}");
        let Err((_, checks)) = found else { panic!("{name}") };
        assert!(checks.iter().any(|check| check.name == "userinfo" && check.verdict == Verdict::Skip), "{name}");
        assert_eq!(stage.count(OIDC_USERINFO), 0, "{name}");
    }
}

/// Expressions, transforms and attributes, by any provider's claims.
#[test]
fn what_a_list_of_claims_cant_say() {
    let claims = |keys: Value| json!({ "claims": keys });
    let email = |sources: Value| claims(json!({ "email": sources }));
    let transforms = |field: &str, steps: Value| claims(json!({ "transforms": { field: steps } }));
    let attributes = |keys: Value| claims(json!({ "attributes": keys }));
    let mails =
        || json!({ "mails": [{ "value": "old@acme.example" }, { "value": "new@acme.example", "primary": true }] });
    let (long, longer) = ("x".repeat(1024), "x".repeat(2000));
    let long_attribute = format!("[(\"a\", {long:?})]");
    #[rustfmt::skip]
    check(Stage::oidc, OIDC_USERINFO, vec![
        // expressions
        ("an expression", email(json!(["jmespath:mails[?primary].value | [0]"])), mails(), "email", Ok("new@acme.example")),
        ("a list: its first text", email(json!(["jmespath:mails[*].value"])), mails(), "email", Ok("old@acme.example")),
        ("with a space in front", email(json!(["jmespath: mails[0].value"])), mails(), "email", Ok("old@acme.example")),
        ("an expression that gives nothing: the next source", email(json!(["jmespath:nothing", "email"])), json!({}), "email", Ok("ada@acme.example")),
        ("a truth: the next source", email(json!(["jmespath:email_verified", "email"])), json!({}), "email", Ok("ada@acme.example")),
        ("a number: the next source", email(json!(["jmespath:iat", "email"])), json!({}), "email", Ok("ada@acme.example")),
        ("an object: the next source", email(json!(["jmespath:{a: email}", "email"])), json!({}), "email", Ok("ada@acme.example")),
        ("spaces: the next source", email(json!(["jmespath:' '", "email"])), json!({}), "email", Ok("ada@acme.example")),
        ("an expression that fails: the next source", email(json!(["jmespath:lower(nothing)", "email"])), json!({}), "email", Ok("ada@acme.example")),
        ("nothing but what fails", email(json!(["jmespath:lower(nothing)"])), json!({}), "", Err("email_missing")),
        ("no address", email(json!(["jmespath:name"])), json!({}), "", Err("email_invalid")),
        ("an expression's address is nobody's word (V1)", email(json!(["jmespath:email"])), json!({}), "email_verified", Ok("None")),
        ("a claim whose name begins like that", email(json!(["jmespath", "email"])), json!({ "jmespath": "j@acme.example" }), "email", Ok("j@acme.example")),
        ("a user name of parts", claims(json!({ "username": ["jmespath:join('.', [lower(given_name), lower(family_name)])"] })), json!({}), "username", Ok("ada.lovelace")),
        // transforms
        ("small letters", transforms("email", json!(["lowercase"])), json!({ "email": "Ada@ACME.example" }), "email", Ok("ada@acme.example")),
        ("an address that a transform changed isn't verified (V1)", transforms("email", json!(["lowercase"])), json!({ "email": "Ada@acme.example" }), "email_verified", Ok("None")),
        ("one that it left as it was is", transforms("email", json!(["lowercase"])), json!({}), "email_verified", Ok("Some(true)")),
        ("the rules for addresses come after", transforms("email", json!(["before:@"])), json!({}), "", Err("email_invalid")),
        ("nothing left: the next source", claims(json!({ "email": ["alias", "email"], "transforms": { "email": ["remove_prefix:x-"] } })), json!({ "alias": "x-" }), "email", Ok("ada@acme.example")),
        ("the handling of user names comes after", transforms("username", json!(["after:\\", "uppercase"])), json!({ "preferred_username": "ACME\\ada@x" }), "username", Ok("ADAX")),
        ("what is left can't be a user name: the next source", transforms("username", json!(["after:@"])), json!({ "preferred_username": "ada@!" }), "username", Ok("acme.example")),
        ("in order", transforms("name", json!(["before: (", "replace:-= ", "uppercase"])), json!({ "name": "Ada-Lovelace (extern)" }), "display_name", Ok("ADA LOVELACE")),
        ("a given name", transforms("given_name", json!(["before: "])), json!({ "given_name": "Ada Augusta" }), "given_name", Ok("Ada")),
        ("a family name", transforms("family_name", json!(["remove_suffix: (EXT)"])), json!({ "family_name": "Lovelace (EXT)" }), "family_name", Ok("Lovelace")),
        ("a phone number", transforms("phone", json!(["replace: =", "replace:0048=+48"])), json!({ "phone_number": "0048 600" }), "phone", Ok("Some(\"+48600\")")),
        // attributes
        ("attributes", attributes(json!({ "team": ["department", "jmespath:join('/', roles)"], "none": ["nothing"] })), json!({ "roles": ["a", "b"] }), "attributes", Ok("[(\"team\", \"a/b\")]")),
        ("an attribute with a line break", attributes(json!({ "team": ["department"] })), json!({ "department": "R\n&D" }), "attributes", Ok("[(\"team\", \"R&D\")]")),
        ("an attribute of 2000 bytes", attributes(json!({ "a": ["long"] })), json!({ "long": longer }), "attributes", Ok(&long_attribute)),
        ("no attribute", json!({}), json!({}), "attributes", Ok("[]")),
        // what can't be seen
        ("control characters alone: the next source", claims(json!({ "name": ["nick", "name"] })), json!({ "nick": "\u{0}\u{7}" }), "display_name", Ok("Ada Lovelace")),
    ]);
}

/// Expressions see the ID token's claims over userinfo's, and nothing else.
#[test]
fn what_expressions_see() {
    let stage = |expression: &str| {
        let mut stage = Stage::oidc();
        let attributes = json!({ "x": [format!("jmespath:{expression}")] });
        stage.configure(&json!({ "userinfo": "always", "claims": { "attributes": attributes } }));
        let answer = json!({ "sub": "ada-1815", "given_name": "Eve", "department": "R&D" });
        stage.answer_json(OIDC_USERINFO, &answer);
        let identity = outcome(&stage).unwrap_or_else(|code| panic!("{code}"));
        identity.attributes.first().map(|(_, value)| value.clone())
    };
    for (name, expression, expected) in [
        ("the ID token's", "family_name", Some("Lovelace")),
        ("userinfo's", "department", Some("R&D")),
        ("the ID token's goes before", "given_name", Some("Ada")),
        ("no other document", "claims.given_name || userinfo.department || directory.id || groups[0]", None),
    ] {
        assert_eq!(stage(expression).as_deref(), expected, "{name}");
    }
}

/// An expression that fails is in the trace, with nothing of the person.
#[test]
fn expressions_that_fail_are_told() {
    let mut stage = Stage::oidc();
    stage.configure(&json!({ "claims": { "phone": ["jmespath:lower(secrets)"] } }));
    stage.claim(&json!({ "secrets": ["hidden"] }));
    let completion = stage.sign_in().unwrap_or_else(|(refusal, _)| panic!("{refusal:?}"));
    let told = completion.checks.iter().find(|check| check.name == "claims.expression");
    let detail = told.map_or_else(|| panic!("{:?}", completion.checks), |check| check.detail.clone());
    assert!(detail.contains("lower(secrets)") && !detail.contains("hidden"), "{detail}");
}

/// Name, configuration, claims, the user (none: an error), field, what it is or the code, requests to the directory.
type DirectoryRow<'a> = (&'a str, Value, Value, Option<Value>, &'a str, Result<&'a str, &'a str>, usize);

/// Fields of the directory's user: it is asked when a source of its kind comes to be looked at, for what is named and no
/// more.
#[test]
fn fields_of_the_directory() {
    let user = || {
        json!({ "id": OID, "mail": "ada.mail@contoso.example", "userPrincipalName": "ada.upn@contoso.example",
        "mobilePhone": "+48 600", "otherMails": ["one@home.example", "two@home.example"], "department": "R&D" })
    };
    let email = |sources: Value| json!({ "claims": { "email": sources } });
    let several =
        || json!({ "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null, "allowed_tenants": [TENANT] });
    let no_email = || json!({ "email": null, "preferred_username": null });
    let external = || json!({ "id": OID, "userPrincipalName": "ada_home.example#EXT#@contoso.onmicrosoft.com" });
    #[rustfmt::skip]
    let table: Vec<DirectoryRow<'_>> = vec![
        ("no such source", json!({}), json!({}), Some(user()), "email", Ok("ada@contoso.example"), 0),
        ("it isn't needed", email(json!(["email", "graph:mail"])), json!({}), Some(user()), "email", Ok("ada@contoso.example"), 0),
        ("it is needed", email(json!(["email", "graph:mail"])), no_email(), Some(user()), "email", Ok("ada.mail@contoso.example"), 1),
        ("it goes first", email(json!(["graph:mail", "email"])), json!({}), Some(user()), "email", Ok("ada.mail@contoso.example"), 1),
        ("it is silent: the next source", email(json!(["graph:mail", "email"])), json!({}), None, "email", Ok("ada@contoso.example"), 1),
        ("it is silent, and there is no other", email(json!(["graph:mail"])), json!({}), None, "", Err("email_missing"), 1),
        ("it speaks of somebody else", email(json!(["graph:mail"])), json!({}), Some(support::with(user(), &json!({ "id": "00000000-0000-4000-8000-00000000eeee" }))), "", Err("email_missing"), 1),
        ("it has no such property", email(json!(["graph:mail", "email"])), json!({}), Some(json!({ "id": OID, "mail": null })), "email", Ok("ada@contoso.example"), 1),
        ("a list: its first", email(json!(["graph:otherMails"])), json!({}), Some(user()), "email", Ok("one@home.example"), 1),
        ("nobody vouches for it (V1)", email(json!(["graph:mail"])), json!({ "xms_edov": true }), Some(user()), "email_verified", Ok("None"), 1),
        ("the login name of a pinned tenant", email(json!(["graph:userPrincipalName"])), json!({}), Some(user()), "email", Ok("ada.upn@contoso.example"), 1),
        ("the login name of one of several", support::with(several(), &email(json!(["graph:userPrincipalName"]))), json!({}), Some(user()), "", Err("email_missing"), 1),
        ("a guest's login name", email(json!(["graph:userPrincipalName"])), json!({}), Some(external()), "", Err("email_missing"), 1),
        ("a guest's login name, made up by a transform", support::with(json!({}), &json!({ "claims": { "email": ["graph:userPrincipalName"], "transforms": { "email": ["replace:#EXT#=."] } } })), json!({}), Some(external()), "", Err("email_missing"), 1),
        ("a phone number", json!({ "claims": { "phone": ["phone_number", "graph:mobilePhone"] } }), json!({}), Some(user()), "phone", Ok("Some(\"+48 600\")"), 1),
        ("an attribute", json!({ "claims": { "attributes": { "department": ["graph:department"] } } }), json!({}), Some(user()), "attributes", Ok("[(\"department\", \"R&D\")]"), 1),
        ("two fields, one request", json!({ "claims": { "phone": ["graph:mobilePhone"], "email": ["graph:mail"] } }), json!({}), Some(user()), "email", Ok("ada.mail@contoso.example"), 1),
    ];
    for (name, configuration, claims, answer, wanted, expected, requests) in table {
        let mut stage = with_template();
        stage.configure(&configuration);
        stage.claim(&claims);
        let url = format!("{GRAPH}/v1.0/users/{OID}");
        stage.answer(&url, move |_| match &answer {
            Some(user) => Ok(json_response(200, user)),
            None => Ok(json_response(403, &json!({ "error": { "code": "Authorization_RequestDenied" } }))),
        });
        let found = outcome(&stage);
        match expected {
            Ok(value) => {
                let identity = found.unwrap_or_else(|code| panic!("{name}: refused with {code}"));
                assert_eq!(field(&identity, wanted), value, "{name}");
            }
            Err(code) => assert_eq!(found.err().as_deref(), Some(code), "{name}"),
        }
        assert_eq!(stage.count(&url), requests, "{name}");
        let asked = stage.requests().into_iter().find(|request| request.url.starts_with(&url));
        assert!(asked.is_none_or(|request| !request.url.contains("department") || name == "an attribute"), "{name}");
    }
}

#[test]
fn mistakes_in_a_mapping() {
    let claims = |keys: Value| json!({ "claims": keys });
    let email = |source: &str| claims(json!({ "email": [source] }));
    let transforms = |field: &str, steps: Value| claims(json!({ "transforms": { field: steps } }));
    let attribute = |name: &str| claims(json!({ "attributes": { name: ["x"] } }));
    let many: serde_json::Map<String, Value> = (0..33).map(|number| (format!("a{number}"), json!(["x"]))).collect();
    let bomb = format!("jmespath:to_string([@,@]{}) == 'x'", "|[@,@]".repeat(9));
    let (long, long_name) = (format!("replace:a={}", "x".repeat(256)), "x".repeat(65));
    let long_path = format!("claims.attributes.{long_name}");
    // Name, kind is Entra, configuration, path, a part of the message or hint.
    #[rustfmt::skip]
    let table: Vec<(&str, bool, Value, &str, &str)> = vec![
        ("a property that isn't read", true, email("graph:passwordProfile"), "claims.email", "userPrincipalName"),
        ("a property in other letters", true, email("graph:Mail"), "claims.email", "no such property"),
        ("no property", true, email("graph:"), "claims.email", "no such property"),
        ("a path of properties", true, email("graph:manager/mail"), "claims.email", "no such property"),
        ("a directory that there isn't", false, email("graph:mail"), "claims.email", "kind = \"microsoft\""),
        ("no JMESPath", false, email("jmespath:a["), "claims.email", "isn't JMESPath"),
        ("an empty expression", false, email("jmespath:"), "claims.email", "isn't JMESPath"),
        ("a bomb", false, email(&bomb), "claims.email", "times its input"),
        ("an expression vouches for the address", false, claims(json!({ "email_verified": ["jmespath:`true`"] })), "claims.email_verified", "only the token"),
        ("the directory vouches for the address", true, claims(json!({ "email_verified": ["graph:mail"] })), "claims.email_verified", "only the token"),
        ("17 sources", false, claims(json!({ "name": vec!["x"; 17] })), "claims.name", "at most 16"),
        ("an unknown transform", false, transforms("email", json!(["trim"])), "claims.transforms.email", "lowercase"),
        ("a transform without its text", false, transforms("name", json!(["before:"])), "claims.transforms.name", "empty text"),
        ("17 transforms", false, transforms("name", json!(vec!["lowercase"; 17])), "claims.transforms.name", "at most 16"),
        ("a long transform", false, transforms("name", json!([long])), "claims.transforms.name", "256"),
        ("transforms of a flag", false, transforms("email_verified", json!(["lowercase"])), "claims.transforms.email_verified", "unknown key"),
        ("transforms as a text", false, transforms("name", json!("lowercase")), "claims.transforms.name", "list of texts"),
        ("33 attributes", false, claims(json!({ "attributes": many })), "claims.attributes", "at most 32"),
        ("an attribute's name with a dot", false, attribute("a.b"), "claims.attributes.a.b", "A-Z a-z 0-9"),
        ("an attribute without a name", false, attribute(""), "claims.attributes.", "A-Z a-z 0-9"),
        ("an attribute with a long name", false, attribute(&long_name), &long_path, "1 to 64"),
        ("an attribute that is no list", false, claims(json!({ "attributes": { "a": "x" } })), "claims.attributes.a", "list of texts"),
        ("an attribute of a directory that there isn't", false, claims(json!({ "attributes": { "a": ["graph:mail"] } })), "claims.attributes.a", "kind = \"microsoft\""),
        ("a group's name that is a number", true, json!({ "groups": { "names": { TENANT: 5 } } }), "groups.names", "1 to 256 bytes"),
        ("a group without a name", true, json!({ "groups": { "names": { TENANT: " " } } }), "groups.names", "1 to 256 bytes"),
    ];
    for (name, entra, keys, path, part) in table {
        let stage = if entra { Stage::microsoft() } else { Stage::oidc() };
        let problems = openid::configuration::validate(&support::with(stage.provider.clone(), &keys).to_string());
        let told = |text: &openid::configuration::Problem| format!("{} {}", text.message, text.hint).contains(part);
        let found = problems.iter().any(|problem| problem.path == path && told(problem));
        assert!(found, "{name}: {problems:#?}");
    }
}

/// Userinfo isn't asked for what only the directory is to say.
#[test]
fn userinfo_is_not_asked_in_place_of_the_directory() {
    let mut stage = Stage::microsoft();
    stage.configure(&json!({ "claims": { "email": ["graph:mail"] } }));
    stage.answer_json(&format!("{GRAPH}/v1.0/users/{OID}"), &json!({ "id": OID, "mail": "ada@contoso.example" }));
    assert!(outcome(&stage).is_ok());
    assert_eq!(stage.count(USERINFO), 0);
}

/// V1 and V2: who a person is never depends on the address.
#[test]
fn the_key_is_the_same_whatever_the_address_says() {
    let key = |claims: Value| {
        let stage = Stage::microsoft();
        stage.claim(&claims);
        let identity = outcome(&stage).unwrap_or_else(|code| panic!("{code}"));
        (identity.tenant_id, identity.object_id)
    };
    let before = key(json!({}));
    assert_eq!(before, key(json!({ "email": "married@contoso.example", "preferred_username": "x@contoso.example" })));
    assert_eq!(before, key(json!({ "sub": "of-a-new-registration" })));
    assert_ne!(
        before,
        key(json!({ "oid": "00000000-0000-4000-8000-00000000eeee" })),
        "the same address, another person"
    );
}

/// The trace of a good login names each step of the protocol, in order, and ends well.
#[test]
fn the_trace_of_a_good_login() {
    let stage = Stage::microsoft();
    let completion = stage.sign_in().unwrap_or_else(|(refusal, _)| panic!("{refusal:?}"));
    let names: Vec<&str> = completion.checks.iter().map(|check| check.name).collect();
    let steps = [
        "callback",
        "transaction",
        "browser_binding",
        "callback.issuer",
        "discovery",
        "token_request",
        "id_token.algorithm",
        "key_set",
        "id_token.signature",
        "id_token.tenant",
        "id_token.issuer",
        "id_token.audience",
        "id_token.time",
        "id_token.nonce",
        "claims.email",
        "claims.username",
    ];
    let mut rest = names.iter();
    for step in steps {
        assert!(rest.any(|name| *name == step), "{step} isn't there, or not in its place: {names:?}");
    }
    assert!(completion.checks.iter().all(|check| check.verdict != Verdict::Fail && check.detail.len() <= 512));
}
