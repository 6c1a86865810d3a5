//! The commands of an administrator: `map`, `login-test`, `doctor`, and `check` with samples. The real binary.

use std::process::Stdio;

use conformance::service::{Service, binary, run};
use conformance::{Browser, HostOptions};
use entra_emulator::fixtures::{self, person};
use entra_emulator::seed::Outcome;
use entra_emulator::{Fault, FaultAction, Side};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

fn options(settings: &[(&str, &str)]) -> HostOptions {
    settings.iter().fold(HostOptions::default(), |options, (key, value)| options.set(key, value))
}

#[tokio::test]
async fn map_shows_what_becomes_of_claims_without_a_network() {
    let rules = "[{ name = \"staff only\", require = \"ends_with(email, '@contoso.example')\" }]";
    let service = Service::prepare(options(&[
        ("username_handling", "\"prune_email_domain\""),
        ("claims.transforms.given_name", "[\"uppercase\"]"),
        ("policy.rules", rules),
        ("groups.source", "\"claim\""),
    ]))
    .await;
    let claims = |email: &str| json!({ "email": email, "preferred_username": email, "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace", "groups": [entra_emulator::fixtures::group::VPN_USERS] });
    let file = service.folder.path().join("claims.json");
    let file = file.to_str().unwrap();
    let map = async |claims: &Value, more: &[&str]| {
        std::fs::write(file, claims.to_string()).unwrap();
        run(&[&["map", "--config", &service.config(), "--claims", file], more].concat()).await
    };
    let (code, out, err) = map(&claims("ada@contoso.example"), &["--json"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    let report: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&report["outcome"], &report["mapped"]["username"], &report["mapped"]["given_name"], &report["account"]),
        (&json!("let_in"), &json!("ada"), &json!("ADA"), &json!("member")),
        "{report}"
    );
    assert_eq!(report["groups"]["groups"].as_array().map(Vec::len), Some(1), "{report}");
    let (code, out, _) = map(&claims("ada@evil.example"), &[]).await;
    assert_eq!(code, Some(3), "{out}");
    for wanted in ["Claims", "Mapped identity", "Decisions", "policy_refused", "staff only", "would be refused"] {
        assert!(out.contains(wanted), "{wanted}: {out}");
    }
    // Nothing was asked of anybody.
    assert_eq!(service.entra.control().requests().len(), 0);
    for (name, claims, more, wanted) in [
        ("not an object", json!(["x"]), vec![], "input"),
        (
            "another provider",
            json!({}),
            vec!["--provider", "none"],
            "no provider has the id \"none\"; there are: entra",
        ),
    ] {
        let (code, _, err) = map(&claims, &more).await;
        assert_eq!(code, Some(1), "{name}: {err}");
        assert!(err.contains(wanted), "{name}: {err}");
    }
    let (code, _, err) = run(&["map", "--config", &service.config(), "--claims", "none.json"]).await;
    assert!(code == Some(1) && err.contains("none.json can't be read"), "{err}");
}

#[tokio::test]
async fn samples_are_run_by_check() {
    let sample = |expected: &str| {
        format!(
            "[[provider.sample]]\nname = \"a member of staff\"\nclaims = {{ email = \"ada@contoso.example\", acct = 0 }}\n\
             expect = {{ {expected} }}\n[[provider.sample]]\nname = \"a guest\"\nclaims = {{ email = \"x@y.example\", acct = 1 }}\n\
             expect = {{ refused = \"guest_not_allowed\" }}\n"
        )
    };
    let check = async |expected: &str| {
        let options = HostOptions { more: sample(expected), ..HostOptions::default() };
        let service = Service::prepare(options).await;
        run(&["check", "--config", &service.config()]).await
    };
    let (code, out, err) = check("username = \"adacontoso.example\", account = \"member\"").await;
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, _, err) = check("username = \"ada\"").await;
    assert_eq!(code, Some(1), "{err}");
    for wanted in ["sample.1.expect.username", "adacontoso.example", "\"ada\"", "line "] {
        assert!(err.contains(wanted), "{wanted}: {err}");
    }
}

/// Starts `login-test` and gives the address to open.
async fn login_test(service: &Service, more: &[&str]) -> (tokio::process::Child, String) {
    let mut child = Command::new(binary())
        .args(["login-test", "--config", &service.config(), "--timeout", "60"])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut seen = String::new();
    loop {
        let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended: {seen}"));
        seen.push_str(&line);
        if let Some(address) = line.strip_prefix("Open this page and sign in: ") {
            let address = address.trim_end_matches('/').to_owned();
            // The pipe is read on, or the process would wait.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, address);
        }
    }
}

async fn report(mut child: tokio::process::Child) -> (Option<i32>, String) {
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
    (child.wait().await.unwrap().code(), out)
}

#[tokio::test]
async fn login_test_does_one_round_trip_and_makes_nothing() {
    let service = Service::prepare(options(&[("groups.source", "\"claim\"")])).await;
    let (child, address) = login_test(&service, &["--json"]).await;
    let browser = Browser::new(&address);
    let start = browser.get("/").await;
    // A callback of nobody's ends nothing.
    let stray = Browser::new(&address).get("/openid/callback?state=stray&code=x").await;
    assert_eq!(stray.status, 400, "{}", stray.body);
    let back = browser.at_entra(&start.location.unwrap(), person::IN_GROUPS).await;
    let page = browser.get(&back.location.unwrap()).await;
    assert!(page.status == 200 && page.body.contains("would be let in"), "{}", page.body);
    let (code, out) = report(child).await;
    assert_eq!(code, Some(0), "{out}");
    let report: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(report["trace"], page.element("trace"), "{report}");
    assert_eq!((&report["outcome"], &report["linking"]["decision"]), (&json!("let_in"), &json!("new")));
    assert_eq!(report["claims"]["tid"], fixtures::CONTOSO, "raw claims: {report}");
    assert_eq!(report["groups"]["groups"].as_array().map(Vec::len), Some(2), "{report}");
    for of_this_login in ["nonce", "uti", "aio", "rh"] {
        assert!(report["claims"].get(of_this_login).is_none(), "{of_this_login}: {report}");
    }
    assert!(!service.folder.path().join("state.redb").exists(), "the service's storage isn't touched");
    assert!(!service.folder.path().join("audit.jsonl").exists(), "nor its audit log");
}

#[tokio::test]
async fn login_test_explains_a_refusal() {
    let service = Service::prepare(options(&[])).await;
    let (child, address) = login_test(&service, &[]).await;
    let browser = Browser::new(&address);
    let start = browser.get("/").await;
    let back = browser.at_entra(&start.location.unwrap(), person::GUEST).await;
    let page = browser.get(&back.location.unwrap()).await;
    assert!(page.status == 200 && page.body.contains("would be refused"), "{}", page.body);
    let (code, out) = report(child).await;
    assert_eq!(code, Some(3), "{out}");
    for wanted in [
        "guest_not_allowed",
        "guests = true",
        "id_token.signature",
        "account.kind",
        "would be refused",
        &page.element("trace"),
    ] {
        assert!(out.contains(wanted), "{wanted}: {out}");
    }
}

/// As a sign-in, a test has the directory's word; nothing is made of it either.
#[tokio::test]
async fn login_test_shows_what_the_directory_says() {
    let settings = [("directory.enabled", "true"), ("directory.apply", "\"file:state.json\"")];
    let table = [
        ("enabled", Some(0), &["directory.login_check", "enabled, in 0 groups", "would be let in"][..]),
        ("disabled", Some(3), &["directory_account_disabled", "enable it there", "would be refused"][..]),
    ];
    for (name, expected, words) in table {
        let service = Service::prepare(options(&settings)).await;
        let (child, address) = login_test(&service, &[]).await;
        let browser = Browser::new(&address);
        let start = browser.get("/").await;
        let back = browser.at_entra(&start.location.unwrap(), person::ADA).await;
        if name == "disabled" {
            service.entra.control().edit_person(person::ADA, |ada| ada.outcome = Outcome::Disabled).unwrap();
        }
        browser.get(&back.location.unwrap()).await;
        let (code, out) = report(child).await;
        assert_eq!(code, expected, "{name}: {out}");
        assert!(words.iter().all(|word| out.contains(word)), "{name}: {out}");
    }
}

#[tokio::test]
async fn login_test_beside_the_running_service() {
    let service = Service::prepare(options(&[])).await;
    let _running = service.spawn().await;
    let (code, _, err) = run(&["login-test", "--config", &service.config()]).await;
    assert!(code == Some(1) && err.contains("--listen") && err.contains("--public-url"), "{err}");
}

#[tokio::test]
async fn doctor_finds_what_is_missing_and_says_where_to_put_it_right() {
    let service = Service::prepare(options(&[("groups.source", "\"directory\"")])).await;
    let doctor = async || {
        let (code, out, err) = run(&["doctor", "--config", &service.config(), "--json"]).await;
        let report: Value = serde_json::from_str(out.lines().last().unwrap_or_else(|| panic!("{err}"))).unwrap();
        let findings = report["providers"][0]["findings"].as_array().unwrap().clone();
        let failed: Vec<String> = findings
            .iter()
            .filter(|finding| finding["verdict"] == "fail")
            .map(|finding| format!("{}: {} {}", finding["name"], finding["detail"], finding["hint"]))
            .collect();
        (code, report, failed)
    };
    let (code, report, failed) = doctor().await;
    assert_eq!((code, failed.len()), (Some(0), 0), "{failed:?}");
    assert_eq!(report["providers"][0]["redirect_uri"], format!("{}/openid/callback", service.url), "{report}");
    let control = service.entra.control();
    control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles = vec!["User.Read.All".into()]).unwrap();
    let (code, _, failed) = doctor().await;
    assert!(code == Some(1) && failed.iter().any(|text| text.contains("GroupMember.Read.All")), "{failed:?}");
    control.edit_app(fixtures::CLIENT_ID, |app| app.secrets.clear()).unwrap();
    let (code, _, failed) = doctor().await;
    assert!(code == Some(1) && failed.iter().any(|text| text.contains("credential")), "{failed:?}");
    control.add_fault(Fault::new(FaultAction::Reset).on(Side::Login));
    let (code, _, failed) = doctor().await;
    assert!(code == Some(1) && failed.iter().any(|text| text.contains("discovery")), "{failed:?}");
    let (code, out, _) = run(&["doctor", "--config", &service.config()]).await;
    assert!(code == Some(1) && out.contains("redirect URI to register") && out.contains("to put right"), "{out}");
}

#[tokio::test]
async fn credentials_that_expire_are_said_everywhere() {
    let soon = time::OffsetDateTime::now_utc().date().saturating_add(time::Duration::days(5));
    let service = Service::prepare(options(&[("client_secret_expires", &soon.to_string())])).await;
    let (code, out, err) = run(&["check", "--config", &service.config()]).await;
    assert!(code == Some(0) && out.contains("the client secret expires on"), "{out}{err}");
    let (_, out, _) = run(&["doctor", "--config", &service.config()]).await;
    assert!(out.contains(&soon.to_string()) && out.contains("Certificates & secrets"), "{out}");
}
