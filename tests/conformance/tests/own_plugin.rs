//! The example of docs/plugins.md, written against the contract alone, in the same host: it signs people in, it can do less than
//! ours, and what the host guarantees holds for it as well.

use std::path::PathBuf;

use conformance::service::run;
use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::{self, person};
use entra_emulator::{Emulator, Seed, Side};
use serde_json::Value;

fn example() -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/example.wasm"));
    assert!(path.exists(), "{} isn't there: `./build.sh test` builds it", path.display());
    path
}

/// The host with the example, for the emulator as a plain provider that may be reached at these further origins.
async fn start(origins: impl FnOnce(&Emulator) -> Vec<String>) -> Entra {
    let entra = Emulator::start(Seed::demo()).await.unwrap();
    let text = |text: &str| format!("{text:?}");
    let provider = [
        ("id".into(), text("example")),
        ("kind".into(), text("oidc")),
        ("base_url".into(), text(&entra.authority(fixtures::CONTOSO))),
        ("client_id".into(), text(fixtures::CLIENT_ID)),
        ("secret".into(), fixtures::CLIENT_SECRET.into()),
        ("allowed_origins".into(), format!("{:?}", origins(&entra))),
    ];
    let options = HostOptions {
        plugin: Some(example()),
        // It reads no ID token, so it has none to refuse.
        plugins: "unsigned = \"allow\"\nself_test = false".into(),
        ..HostOptions::default()
    };
    Entra::over(entra, options.with_provider(&provider)).await
}

/// Its userinfo endpoint is on the Graph side.
async fn with_userinfo() -> Entra {
    start(|entra| vec![entra.graph_url().to_owned()]).await
}

#[tokio::test]
async fn it_signs_people_in() {
    let stack = with_userinfo().await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let finished = browser.finish(&callback).await;
    assert_eq!(finished.status, 200, "{}", finished.body);
    let record: Value = serde_json::from_str(stack.host.audit().lines().last().unwrap()).unwrap();
    assert_eq!((&record["outcome"], &record["provider"]), (&"ok".into(), &"example".into()), "{record}");
    assert_eq!(record["who"]["issuer"], stack.entra.authority(fixtures::CONTOSO), "{record}");
    let again = browser.get(&callback).await;
    assert_eq!(again.code(), "transaction_unknown", "once: {}", again.body);
}

#[tokio::test]
async fn another_browser_ends_nothing() {
    let stack = with_userinfo().await;
    let (hers, theirs) = (stack.browser(), stack.browser());
    let callback = hers.callback_url(person::ADA).await;
    theirs.callback_url(person::UNICODE).await;
    let stolen = theirs.get(&callback).await;
    assert_eq!(stolen.code(), "browser_mismatch", "{}", stolen.body);
    assert_eq!(hers.finish(&callback).await.status, 200, "hers is there still");
}

/// The origin of the userinfo endpoint isn't in the configuration: the host doesn't let the plugin go there.
#[tokio::test]
async fn it_goes_where_the_configuration_says_and_nowhere_else() {
    let stack = start(|_| Vec::new()).await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let answer = browser.get(&callback).await;
    assert_eq!(answer.code(), "provider_answer_invalid", "{}", answer.body);
    assert!(stack.host.audit().contains("Denied"), "{}", stack.host.audit());
    assert_eq!(stack.entra.control().count(Side::Graph, "/oidc/userinfo"), 0);
}

#[tokio::test]
async fn the_command_line_knows_its_keys() {
    let (code, out, err) = run(&["config", "reference", "--plugin", example().to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("its discovery document names the endpoints") && !out.contains("xms_edov"), "{out}");
}

#[test]
fn it_imports_less_than_the_contract_has() {
    let (imports, exports) = pack::interfaces(&std::fs::read(example()).unwrap()).unwrap();
    assert!(!imports.iter().any(|name| name.contains("/cache@") || name.contains("/log@")), "{imports:?}");
    assert_eq!(exports.len(), 3, "{exports:?}");
}
