//! Spoiled tokens: each deviates from the honest one in what its name says, and in nothing that would hide it.

use entra_emulator::TokenMischief as M;
use entra_emulator::fixtures::{self, person};
use ring::signature::{RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::support::{Lab, claims, header, part, signed_by, verifies};

/// A spoiled token and what it was spoiled against.
struct Case {
    token: String,
    response: Value,
    keys: Vec<Value>,
    stranger: Value,
    personal: Value,
    now: i64,
    login: String,
}

impl Case {
    fn claims(&self) -> Value {
        claims(&self.token)
    }

    fn header(&self) -> Value {
        header(&self.token)
    }

    fn genuine(&self) -> bool {
        signed_by(&self.token, &self.keys)
    }

    /// Signed by whichever published work key, whatever the header says.
    fn by_any_published(&self) -> bool {
        self.keys.iter().any(|key| verifies(&self.token, key))
    }

    fn number(&self, name: &str) -> i64 {
        self.claims()[name].as_i64().unwrap()
    }

    fn in_scheme(&self, scheme: &'static RsaParameters) -> bool {
        use base64::Engine as _;
        let decode =
            |text: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
        let key = self.keys.iter().find(|key| key["kid"] == self.header()["kid"]).unwrap();
        let (input, _) = self.token.rsplit_once('.').unwrap();
        RsaPublicKeyComponents { n: decode(&key["n"]), e: decode(&key["e"]) }
            .verify(scheme, input.as_bytes(), &part(&self.token, 2))
            .is_ok()
    }
}

async fn case(lab: &Lab, mischief: M) -> Case {
    lab.control.mischief_once(mischief);
    let response = lab.sign_in(person::ADA).await;
    let keys = lab.key_set(fixtures::CONTOSO).await;
    let personal = keys.iter().find(|key| key["issuer"].as_str().unwrap().contains(fixtures::PERSONAL_TENANT));
    let stranger = lab.get(&lab.login("/attacker/keys")).await.json()["keys"][0].clone();
    let case = Case {
        token: response["id_token"].as_str().unwrap_or_default().to_owned(),
        personal: personal.unwrap().clone(),
        stranger,
        now: lab.control.now_unix_s(),
        login: lab.entra.login_url().to_owned(),
        response,
        keys,
    };
    lab.control.clear_mischief();
    case
}

/// Whether the payload is as the name says; claims that are not named stay honest.
fn claims_are_spoiled(mischief: M, case: &Case) -> Option<bool> {
    let claim = |name: &str| case.claims().get(name).cloned();
    let foreign = json!("99999999-9999-4999-8999-999999999999");
    let both = json!([fixtures::CLIENT_ID, foreign]);
    Some(match mischief {
        M::WrongAudience => claim("aud") == Some(foreign),
        M::ForeignAudienceList => claim("aud") == Some(both) && claim("azp").is_none(),
        M::ForeignAudienceListAzp => claim("aud") == Some(both) && claim("azp") == Some(foreign),
        M::ForeignAzp => claim("aud") == Some(json!(fixtures::CLIENT_ID)) && claim("azp") == Some(foreign),
        M::NoAudience => claim("aud").is_none(),
        M::WrongIssuer => !claim("iss").unwrap().as_str().unwrap().starts_with(&case.login),
        M::IssuerTrailingSlash => claim("iss").unwrap().as_str().unwrap().ends_with("/v2.0/"),
        M::NoIssuer => claim("iss").is_none(),
        M::WrongTenant => {
            claim("tid") == Some(json!(fixtures::FABRIKAM))
                && claim("iss").unwrap().as_str().unwrap().contains(fixtures::CONTOSO)
        }
        M::TidNotGuid => {
            claim("tid") == Some(json!("organizations"))
                && claim("iss") == Some(json!(format!("{}/organizations/v2.0", case.login)))
        }
        M::NoTid => claim("tid").is_none(),
        M::ForeignTenantValidKey => {
            claim("tid") == Some(json!(fixtures::FABRIKAM))
                && claim("iss") == Some(json!(format!("{}/{}/v2.0", case.login, fixtures::FABRIKAM)))
        }
        M::NoOid => claim("oid").is_none(),
        M::NoSub => claim("sub").is_none(),
        M::EmptySub => claim("sub") == Some(json!("")),
        M::NumericSub => claim("sub").unwrap().is_number(),
        M::WrongNonce => claim("nonce").unwrap().as_str().unwrap() != "nonce-1",
        M::NoNonce => claim("nonce").is_none(),
        M::NonceArray => claim("nonce") == Some(json!(["nonce-1"])),
        M::Expired => case.number("exp") < case.now - 3000 && case.number("iat") < case.number("exp"),
        M::NotYetValid => case.number("nbf") > case.now + 3000 && case.number("iat") <= case.now,
        M::IssuedInFuture => case.number("iat") > case.now + 3000 && case.number("nbf") <= case.now,
        M::NoExpiry => claim("exp").is_none(),
        M::ExpiryAsText => claim("exp").unwrap().is_string(),
        M::ExpiryHuge => claim("exp").unwrap().as_f64().unwrap() > 1e299,
        M::NoIssuedAt => claim("iat").is_none(),
        M::V1Token => {
            claim("ver") == Some(json!("1.0"))
                && claim("iss") == Some(json!(format!("https://sts.windows.net/{}/", fixtures::CONTOSO)))
                && case.header()["x5t"] == case.header()["kid"]
        }
        M::WrongAtHash | M::RightAtHash => (claim("at_hash") == Some(at_hash(case))) == (mischief == M::RightAtHash),
        _ => return None,
    })
}

fn at_hash(case: &Case) -> Value {
    use base64::Engine as _;
    let access_token = case.response["access_token"].as_str().unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, access_token.as_bytes());
    json!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]))
}

/// Whether signature, header or form are as the name says.
fn form_is_spoiled(mischief: M, case: &Case) -> bool {
    let algorithm = || case.header()["alg"].as_str().unwrap_or_default().to_owned();
    let by_stranger = || verifies(&case.token, &case.stranger);
    let brings = |name: &str| case.header().get(name).is_some();
    let payload = || String::from_utf8(part(&case.token, 1)).unwrap();
    let genuine_kid = || case.keys.iter().any(|key| key["kid"] == case.header()["kid"]);
    match mischief {
        M::UnknownKid => !genuine_kid() && case.by_any_published(),
        M::NoKid => !brings("kid") && case.by_any_published(),
        M::AlgNone => algorithm() == "none" && case.token.ends_with('.'),
        M::AlgNoneMixedCase => algorithm() == "nOnE" && case.token.ends_with('.'),
        M::Hs256WithPublicKey => algorithm() == "HS256" && part(&case.token, 2).len() == 32,
        M::ForeignKey => case.header()["kid"] == case.personal["kid"] && verifies(&case.token, &case.personal),
        M::StrangerKey => genuine_kid() && !case.by_any_published() && by_stranger(),
        M::DuplicateKid => case.genuine() && case.keys.iter().filter(|k| k["kid"] == case.header()["kid"]).count() == 2,
        M::RequestedPs256 => algorithm() == "PS256" && case.in_scheme(&RSA_PSS_2048_8192_SHA256),
        M::RequestedRs384 => algorithm() == "RS384" && case.in_scheme(&RSA_PKCS1_2048_8192_SHA384),
        M::BadSignature => !case.by_any_published() && part(&case.token, 2).len() == 256,
        M::EmptySignature => algorithm() == "RS256" && case.token.ends_with('.'),
        M::HeaderCrit => case.header()["crit"].is_array() && case.genuine(),
        M::HeaderJwk => case.header()["jwk"]["n"] == case.stranger["n"] && by_stranger(),
        M::HeaderJku => brings("jku") && by_stranger(),
        M::HeaderX5u => brings("x5u") && by_stranger(),
        M::HeaderX5c => case.header()["x5c"] == case.stranger["x5c"] && by_stranger(),
        M::HeaderZip => case.header()["zip"] == "DEF" && case.genuine(),
        M::HeaderAccessTokenType => case.header()["typ"] == "at+jwt" && case.genuine(),
        M::TruncatedToken => case.token.split('.').count() == 2,
        M::Jwe5Parts => case.token.split('.').count() == 5 && brings("enc"),
        M::PaddedBase64 => case.token.contains('='),
        M::PayloadNotJson => serde_json::from_str::<Value>(&payload()).is_err() && case.genuine(),
        M::PayloadArray => payload().starts_with('[') && case.genuine(),
        M::DuplicateClaims => ["\"sub\":", "\"oid\":", "\"email\":"].iter().all(|n| payload().matches(n).count() == 2),
        M::DeepNesting => payload().contains(&"[".repeat(5000)) && case.genuine(),
        M::OversizedToken => case.token.len() > 64 * 1024 && case.genuine(),
        M::NoIdToken => case.response.get("id_token").is_none(),
        M::EmptyIdToken => case.response["id_token"] == "",
        M::TokenTypeMac => case.response["token_type"] == "mac" && case.genuine(),
        _ => false,
    }
}

#[tokio::test]
async fn every_mischief_does_what_its_name_says() {
    let lab = Lab::start().await;
    for &mischief in M::ALL {
        let case = case(&lab, mischief).await;
        match claims_are_spoiled(mischief, &case) {
            Some(spoiled) => {
                assert!(spoiled, "{mischief:?}: {}", case.claims());
                assert!(case.genuine(), "{mischief:?}: signed genuinely, so that the claim is what is refused");
            }
            None => assert!(form_is_spoiled(mischief, &case), "{mischief:?}: {}", case.token),
        }
        let honest = lab.sign_in(person::ADA).await;
        assert!(signed_by(honest["id_token"].as_str().unwrap(), &case_keys(&lab).await), "{mischief:?} is over");
    }
}

async fn case_keys(lab: &Lab) -> Vec<Value> {
    lab.key_set(fixtures::CONTOSO).await
}

#[tokio::test]
async fn mischief_is_for_one_token_or_for_all() {
    let lab = Lab::start().await;
    let audience = |tokens: &Value| claims(tokens["id_token"].as_str().unwrap())["aud"] == fixtures::CLIENT_ID;
    lab.control.mischief_once(M::WrongAudience);
    lab.control.mischief_once(M::NoNonce);
    assert!(!audience(&lab.sign_in(person::ADA).await), "first in the queue");
    let second = lab.sign_in(person::ADA).await;
    assert!(audience(&second), "second in the queue");
    assert!(claims(second["id_token"].as_str().unwrap()).get("nonce").is_none(), "second in the queue");
    assert!(audience(&lab.sign_in(person::ADA).await), "the queue is empty");
    lab.control.mischief_always(M::WrongAudience);
    for _ in 0..2 {
        assert!(!audience(&lab.sign_in(person::ADA).await), "always");
    }
    lab.control.clear_mischief();
    assert!(audience(&lab.sign_in(person::ADA).await), "cleared");
}

#[tokio::test]
async fn forged_key_ids_never_repeat() {
    let lab = Lab::start().await;
    lab.control.mischief_always(M::UnknownKid);
    let mut ids = std::collections::HashSet::new();
    for _ in 0..5 {
        let tokens = lab.sign_in(person::ADA).await;
        assert!(ids.insert(header(tokens["id_token"].as_str().unwrap())["kid"].to_string()));
    }
}
