//! The example of docs/plugins.md, written against the contract alone, in the same host: it signs people in, it can do less than
//! ours, and what the host guarantees holds for it as well.

use std::path::PathBuf;

use conformance::service::run;
use conformance::{Entra, HostOptions, TestHost};
use defguard_openid_host::sandbox::{ContractVersion, Looked};
use entra_emulator::fixtures::{self, person};
use entra_emulator::{Emulator, Seed, Side};
use serde_json::Value;

fn example() -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/example.wasm"));
    assert!(path.exists(), "{} isn't there: `./build.sh test` builds it", path.display());
    path
}

/// The same, built for the version of the contract before the present one.
fn earlier() -> PathBuf {
    example().with_file_name("example-0.1.wasm")
}

/// The host with the example, for the emulator as a plain provider that may be reached at these further origins.
async fn start(origins: impl FnOnce(&Emulator) -> Vec<String>) -> Entra {
    start_with(example(), origins).await
}

/// As [`start`], with another file.
async fn start_with(plugin: PathBuf, origins: impl FnOnce(&Emulator) -> Vec<String>) -> Entra {
    let entra = Emulator::start(Seed::demo()).await.unwrap();
    let options = options(plugin, &entra, &[("allowed_origins", format!("{:?}", origins(&entra)))]);
    Entra::over(entra, options).await
}

/// The example's provider, with more keys.
fn options(plugin: PathBuf, entra: &Emulator, more: &[(&str, String)]) -> HostOptions {
    let text = |text: &str| format!("{text:?}");
    let mut provider = vec![
        ("id".to_owned(), text("example")),
        ("kind".into(), text("oidc")),
        ("base_url".into(), text(&entra.authority(fixtures::CONTOSO))),
        ("client_id".into(), text(fixtures::CLIENT_ID)),
        ("secret".into(), fixtures::CLIENT_SECRET.into()),
    ];
    provider.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let options = HostOptions {
        plugin: Some(plugin),
        // It reads no ID token, so it has none to refuse.
        plugins: "unsigned = \"allow\"\nself_test = false".into(),
        ..HostOptions::default()
    };
    options.with_provider(&provider)
}

/// Its userinfo endpoint is on the Graph side.
fn userinfo(entra: &Emulator) -> Vec<String> {
    vec![entra.graph_url().to_owned()]
}

async fn with_userinfo() -> Entra {
    start(userinfo).await
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

/// Whoever began at one version of the contract ends at the other, and back, in one process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_of_the_contract_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("example.wasm");
    let put = |from: PathBuf| {
        let partial = folder.path().join("partial");
        std::fs::copy(from, &partial).unwrap();
        std::fs::rename(&partial, &path).unwrap();
    };
    put(earlier());
    let stack = start_with(path.clone(), userinfo).await;
    let plugins = stack.host.gateway.plugins();
    for (file, version) in [(example(), ContractVersion::V0_2), (earlier(), ContractVersion::V0_1)] {
        let former = stack.host.gateway.plugin();
        assert_ne!(former.contract(), version);
        let browser = stack.browser();
        let callback = browser.callback_url(person::ADA).await;
        put(file);
        assert!(matches!(plugins.look().await, Looked::TookOver(_)), "{version:?} takes over");
        assert_eq!(stack.host.gateway.plugin().contract(), version);
        let finished = browser.finish(&callback).await;
        assert_eq!(finished.status, 200, "begun with the one, ended with {version:?}: {}", finished.body);
        // The former one still runs for whoever holds it, beside the one in use.
        assert_eq!(former.describe().await.unwrap().name, "example");
    }
}

#[test]
fn the_earlier_version_is_the_frozen_text() {
    let name = |interface: &str| format!("defguard:openid/{interface}@0.1.0");
    let (imports, exports) = pack::interfaces(&std::fs::read(earlier()).unwrap()).unwrap();
    assert_eq!(exports, ["configuration", "login"].map(name));
    assert!(imports.iter().all(|import| import.ends_with("@0.1.0")), "{imports:?}");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/since_v0.1.0");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: Vec<u8> = files.into_iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    assert_eq!(
        conformance::signing::sha256(&text),
        "f08eac65a67d32cbd66e568a202a229c1906e39d56a20e520869948b62a9af7f",
        "a version that plugins were built for doesn't change"
    );
}

#[tokio::test]
async fn who_needs_a_directory_doesnt_get_a_plugin_that_reads_none() {
    let entra = Emulator::start(Seed::demo()).await.unwrap();
    let directory = ("directory", "{ apply = \"file:defguard.json\" }".to_owned());
    let mut options = options(earlier(), &entra, &[directory]);
    options.overrides.push(("kind".into(), "\"microsoft\"".into()));
    let started = TestHost::try_start(options).await;
    let error = started.err().expect("it is refused").to_string();
    assert!(error.contains("0.1.0") && error.contains("[provider.directory]"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_by_a_reload_of_the_configuration() {
    let entra = Emulator::start(Seed::demo()).await.unwrap();
    let mut options = options(earlier(), &entra, &[]);
    options.overrides.push(("kind".into(), "\"microsoft\"".into()));
    let host = TestHost::try_start(options).await.unwrap_or_else(|error| panic!("{error}"));
    let path = host.folder.path().join("openid.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let before = host.live.gateway();
    std::fs::write(&path, format!("{text}\n[provider.directory]\napply = \"file:defguard.json\"\n")).unwrap();
    let error = host.live.reload().await.unwrap_err().to_string();
    assert!(error.contains("0.1.0") && error.contains("[provider.directory]"), "{error}");
    assert!(std::sync::Arc::ptr_eq(&before, &host.live.gateway()), "nothing has changed");
}
