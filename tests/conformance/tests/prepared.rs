//! A plugin that is prepared for its providers: the same answers, sooner, and nothing in what is kept of it that belongs to a sign-in.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::{Entra, HostOptions, component};
use defguard_openid_host::sandbox::{Limits, Plugin, Runtime, Shelf};
use entra_emulator::fixtures::{self, person};
use serde_json::Value;

fn providers(stack: &Entra) -> Vec<String> {
    stack.host.live.gateway().config().providers.iter().map(|provider| provider.component_json.clone()).collect()
}

/// With a rule, which is compiled when the configuration is read.
fn options() -> HostOptions {
    HostOptions::default()
        .set("policy.rules", "[{ name = \"name\", require = \"email != 'eve@contoso.example'\", message = \"No.\" }]")
}

/// How somebody's sign-in ends, and who they are then.
async fn end(stack: &Entra, who: &str) -> (u16, String, Value) {
    let browser = stack.browser();
    let finished = browser.sign_in(who).await;
    let record: Value = serde_json::from_str(stack.host.audit().lines().last().unwrap()).unwrap();
    (finished.status, finished.code(), record["checks"].clone())
}

#[tokio::test]
async fn prepared_or_not_the_answers_are_the_same() {
    let stack = Entra::start(options()).await;
    let people = [person::ADA, person::GUEST, person::EDOV_FALSE, person::ADA];
    let mut before = Vec::new();
    // Everybody's account is there already.
    for round in 0..2 {
        before.clear();
        for who in people {
            before.push(end(&stack, who).await);
        }
        assert_eq!(before[0].0, 200, "{round}: {before:?}");
    }
    let plugin = stack.host.gateway.plugin();
    plugin.prepare(&providers(&stack), None).await.unwrap();
    assert!(plugin.is_prepared_for(&providers(&stack)));
    let mut after = Vec::new();
    for who in people {
        after.push(end(&stack, who).await);
    }
    assert_eq!(before, after);
    // What each sign-in draws anew differs in all of them: nothing of it is in the memory that they begin with.
    let mut drawn = BTreeSet::new();
    for _ in 0..20 {
        let url = url::Url::parse(&stack.browser().begin().await).unwrap();
        for (name, value) in
            url.query_pairs().filter(|(name, _)| ["state", "nonce", "code_challenge"].contains(&&**name))
        {
            assert!(drawn.insert(value.into_owned()), "{name} comes twice");
        }
    }
    assert_eq!(drawn.len(), 60);
}

/// A plugin of another process, as it were.
async fn plugin() -> Plugin {
    let runtime = Arc::new(Runtime::new(Limits { concurrent_calls: 8, ..Limits::default() }).unwrap());
    Plugin::load(&runtime, &component()).await.unwrap()
}

/// What the shelf keeps of prepared plugins: the plugin's hash, a dot, and what it is prepared for.
fn kept(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_prepared = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().matches('.').count() == 2;
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "compiled") && is_prepared(path))
        .collect()
}

#[tokio::test]
async fn what_was_prepared_is_kept_for_these_configurations_alone() {
    let stack = Entra::start(options()).await;
    let configured = providers(&stack);
    let others = vec![configured[0].replace("'eve@", "'mallory@")];
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("plugins");
    let shelf = Shelf::open(&folder).unwrap();
    let first = plugin().await;
    assert!(!first.prepare_from(&shelf, &configured).await.unwrap(), "nothing is kept yet");
    first.prepare(&configured, Some(&shelf)).await.unwrap();
    let files = kept(&folder);
    assert_eq!(files.len(), 1);
    let bytes = std::fs::read(&files[0]).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("eve@contoso.example") && has(fixtures::CLIENT_ID), "the configuration is in it");
    assert!(has("https://provider.self-test.invalid"), "and the self-test's, so that it tries what was prepared");
    assert!(!has(fixtures::CLIENT_SECRET), "and the secret isn't");
    let next = plugin().await;
    assert!(!next.prepare_from(&shelf, &others).await.unwrap(), "another configuration");
    assert!(next.prepare_from(&shelf, &configured).await.unwrap());
    assert!(next.is_prepared_for(&configured) && !next.is_prepared_for(&others));
    next.prepare(&others, Some(&shelf)).await.unwrap();
    assert!(next.is_prepared_for(&others) && !next.is_prepared_for(&configured));
    assert_eq!(kept(&folder).len(), 1, "the former one is of no use");
    assert!(!plugin().await.prepare_from(&shelf, &configured).await.unwrap());
    // Somebody else's work isn't run.
    let mut bytes = std::fs::read(&kept(&folder)[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&kept(&folder)[0], bytes).unwrap();
    assert!(!plugin().await.prepare_from(&shelf, &others).await.unwrap(), "a flipped bit");
}

#[tokio::test]
async fn a_service_prepares_its_plugin_by_and_by_and_again_for_another_configuration() {
    let stack =
        Entra::start(HostOptions { plugins: "unsigned = \"allow\"\nfolder = \"kept\"".into(), ..options() }).await;
    let prepared = async |providers: &[String]| {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !stack.host.live.gateway().plugin().is_prepared_for(providers) {
            assert!(Instant::now() < deadline, "it isn't prepared");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "before it is");
    prepared(&providers(&stack)).await;
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    assert_eq!(kept(&stack.host.folder.path().join("kept")).len(), 1);
    let file = stack.host.folder.path().join("openid.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("'eve@", "'ada@")).unwrap();
    stack.host.live.reload().await.unwrap();
    assert_eq!(
        stack.browser().sign_in(person::ADA).await.code(),
        "policy_refused",
        "what it is prepared for isn't asked"
    );
    prepared(&providers(&stack)).await;
    assert_eq!(stack.browser().sign_in(person::ADA).await.code(), "policy_refused");
    // What it is prepared for is put aside as soon as another configuration is in use.
    std::fs::write(&file, &text).unwrap();
    stack.host.live.reload().await.unwrap();
    let others = providers(&stack);
    let deadline = Instant::now() + Duration::from_secs(60);
    let plugin = stack.host.live.gateway().plugin();
    while plugin.begins_prepared() && !plugin.is_prepared_for(&others) {
        assert!(Instant::now() < deadline, "it begins as for another configuration");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
}

/// What no instance of [`small`] can take.
fn too_much() -> String {
    "x".repeat(8 << 20)
}

fn small() -> Limits {
    Limits { concurrent_calls: 8, memory_bytes: 4 << 20, ..Limits::default() }
}

#[tokio::test]
async fn a_prepared_plugin_that_fails_in_use_goes_on_unprepared_and_is_not_to_blame() {
    let stack = Entra::start(options()).await;
    let configured = providers(&stack);
    let runtime = Arc::new(Runtime::new(small()).unwrap());
    let plugin = Plugin::load(&runtime, &component()).await.unwrap();
    plugin.prepare(&configured, None).await.unwrap();
    let before = plugin.tally().score();
    let fail = async || plugin.map_claims(&configured[0], &too_much()).await.unwrap_err().code();
    let claims = async || plugin.map_claims(&configured[0], "{}").await;
    claims().await.unwrap().unwrap_or_else(|problem| panic!("{}", problem.message));
    assert!(plugin.is_prepared_for(&configured));
    assert_eq!(fail().await, "plugin_memory_exhausted");
    assert!(!plugin.is_prepared_for(&configured), "what its instances began with may have been the cause");
    assert!(plugin.was_given_up_for(&configured));
    assert_eq!(plugin.tally().score().since(before).failed, 0, "no step towards a roll-back");
    claims().await.unwrap().unwrap_or_else(|problem| panic!("{}", problem.message));
    assert_eq!(fail().await, "plugin_memory_exhausted");
    assert_eq!(plugin.tally().score().since(before).failed, 1, "but what it does as its file is, it does");
}

#[tokio::test]
async fn a_call_that_waited_begins_as_calls_begin_when_it_is_its_turn() {
    let stack = Entra::start(options()).await;
    let configured = providers(&stack);
    let runtime = Arc::new(Runtime::new(Limits { concurrent_calls: 1, ..small() }).unwrap());
    let plugin = Plugin::load(&runtime, &component()).await.unwrap();
    plugin.prepare(&configured, None).await.unwrap();
    let before = plugin.tally().score();
    let fail = async || plugin.map_claims(&configured[0], &too_much()).await.unwrap_err().code();
    let codes = futures_util::future::join_all((0..3).map(|_| fail())).await;
    assert_eq!(codes, ["plugin_memory_exhausted"; 3]);
    assert_eq!(
        plugin.tally().score().since(before).failed,
        2,
        "the first one failed prepared, the others as the file is"
    );
}

/// Rules that take much memory, compiled.
fn long_rules(count: usize) -> String {
    let rule = |number: usize| {
        let require = format!("email != '{number}' || {}", ["contains(groups, 'staff')"; 16].join(" || "));
        format!("{{ name = \"rule-{number}\", require = \"{require}\", message = \"No.\" }}")
    };
    format!("[{}]", (0..count).map(rule).collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn a_crowd_gets_in_with_as_much_as_may_be_prepared() {
    // Nothing that calls share: each has its own.
    let limits = Limits { concurrent_calls: 64, memory_shared_bytes: 0, ..Limits::default() };
    let mut refused = 0;
    for count in (0..8).map(|step| 256 - step * 32) {
        let options = HostOptions::default().set("policy.rules", &long_rules(count));
        let stack = Entra::start(HostOptions { limits: limits.clone(), ..options }).await;
        let plugin = stack.host.gateway.plugin();
        match plugin.prepare(&providers(&stack), None).await {
            Ok(()) => {}
            Err(error) => {
                assert_eq!((error.code(), error.is_lasting()), ("too_large", true), "{error}");
                assert!(!plugin.is_prepared_for(&providers(&stack)));
                refused += 1;
                continue;
            }
        }
        let crowd = (0..128).map(|_| async { stack.browser().sign_in(person::ADA).await });
        for finished in futures_util::future::join_all(crowd).await {
            assert_eq!(finished.status, 200, "{count} rules: {}", finished.body);
        }
        assert!(plugin.is_prepared_for(&providers(&stack)));
        assert!(refused > 0, "{count} rules aren't the most that may be");
        return;
    }
    panic!("none of these may be prepared");
}

#[tokio::test]
async fn a_service_says_that_it_gave_up_and_does_not_keep_what_failed() {
    let plugins = "unsigned = \"allow\"\nfolder = \"kept\"".into();
    let stack = Entra::start(HostOptions { plugins, limits: small(), ..options() }).await;
    let until = async |text: &str| {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !stack.host.gateway.metrics().text().unwrap().contains(text) {
            assert!(Instant::now() < deadline, "never {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until("plugin_preparations_total{outcome=\"prepared\",code=\"\"} 1").await;
    until("plugin_prepared 1").await;
    let folder = stack.host.folder.path().join("kept");
    assert_eq!(kept(&folder).len(), 1);
    let plugin = stack.host.gateway.plugin();
    assert!(plugin.map_claims(&providers(&stack)[0], &too_much()).await.is_err());
    until("plugin_preparations_total{outcome=\"given_up\",code=\"plugin_memory_exhausted\"} 1").await;
    until("plugin_prepared 0").await;
    assert!(kept(&folder).is_empty(), "the next start begins without it");
    // The same again, read anew, is no reason to try again; another configuration is.
    stack.host.live.reload().await.unwrap();
    assert!(stack.host.live.gateway().plugin().was_given_up_for(&providers(&stack)));
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
}
