//! A plugin's file is replaced: whose it has to be, what it has to do, and that nothing else ever takes over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::logs::Logs;
use conformance::signing::{Signer, importing, patched, sha256, variant};
use conformance::{Entra, HostOptions, TestHost, entra_provider};
use defguard_openid_host::sandbox::{Limits, Looked, Runtime};
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};

/// When the plugin that runs was signed.
const SIGNED_AT: u64 = 1_700_000_000;

/// Writes a plugin and its signature, each at once.
fn put(path: &Path, bytes: &[u8], signature: Option<&str>) {
    let place = |path: &Path, bytes: &[u8]| {
        let partial = path.with_extension("partial");
        std::fs::write(&partial, bytes).unwrap();
        std::fs::rename(&partial, path).unwrap();
    };
    let beside = PathBuf::from(format!("{}.minisig", path.display()));
    match signature {
        Some(signature) => place(&beside, signature.as_bytes()),
        None => drop(std::fs::remove_file(&beside)),
    }
    place(path, bytes);
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A host whose plugin is signed, in a file or a folder of its own.
async fn signed_host(signer: &Signer, folder: &Path, plugin: &Path) -> Entra {
    put(&folder.join("openid.wasm"), &variant(0), Some(&signer.sign(&variant(0), SIGNED_AT)));
    let plugins = signer.trusted();
    Entra::start(HostOptions { plugin: Some(plugin.into()), plugins, ..HostOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_and_that_the_one_in_use_stays() {
    let (signer, stranger) = (Signer::default(), Signer::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.wasm");
    let stack = signed_host(&signer, folder.path(), &path).await;
    let (gateway, logs) = (&stack.host.gateway, Logs::capture());
    let before = gateway.plugin().sha256().to_owned();
    assert_eq!(before, sha256(&variant(0)));
    let newer = |bytes: &[u8]| Some(signer.sign(bytes, SIGNED_AT + 1));
    let plain = |bytes: &[u8]| Some(signer.sign_as(bytes, "timestamp:1700000001\tfile:openid.wasm\thashed"));
    let good = variant(1);
    let mut altered = variant(1);
    altered[5000] ^= 1;
    let precompiled = {
        let runtime = Runtime::new(Limits { concurrent_calls: 1, ..Limits::default() }).unwrap();
        runtime.engine().precompile_component(&importing("a:b/c")).unwrap()
    };
    let foreign = importing("wasi:cli/environment@0.2.0");
    let future = importing("defguard:openid/http@9.0.0");
    let unwilling = patched("display_name", "display_nome");
    let unable = patched(".well-known/openid-configuration", ".well-known/openid-configurotion");
    let other_version =
        signer.sign_as(&good, "defguard-openid name=defguard-openid version=9.9.9 timestamp=1700000001");
    let table: Vec<(&str, Vec<u8>, Option<String>, &str, &str)> = vec![
        ("no signature", good.clone(), None, "signature_missing", "has no signature"),
        (
            "a stranger's key",
            good.clone(),
            Some(stranger.sign(&good, SIGNED_AT + 1)),
            "signature_other_key",
            "a key that isn't among",
        ),
        ("another file's signature", good.clone(), newer(&variant(2)), "signature_altered", "isn't what was signed"),
        ("an altered file", altered, newer(&good), "signature_altered", "isn't what was signed"),
        ("a file cut off", good[..good.len() / 2].to_vec(), newer(&good), "signature_altered", "isn't what was signed"),
        ("no signature but rubbish", good.clone(), Some("rubbish".into()), "signature_malformed", "can't be read"),
        (
            "signed for another purpose",
            good.clone(),
            Some(signer.sign_as(&good, "timestamp:1700000001 file:other.wasm")),
            "signature_purpose",
            "names another file",
        ),
        ("signed as another version", good.clone(), Some(other_version), "misnamed", "9.9.9"),
        (
            "signed before the one in use",
            good.clone(),
            Some(signer.sign(&good, SIGNED_AT - 1)),
            "older",
            "signed before",
        ),
        (
            "half a component, signed",
            good[..good.len() / 2].to_vec(),
            newer(&good[..good.len() / 2]),
            "invalid",
            "isn't a WebAssembly component",
        ),
        ("machine code", precompiled.clone(), plain(&precompiled), "precompiled", "precompiled machine code"),
        ("a foreign import", foreign.clone(), plain(&foreign), "foreign_import", "wasi:cli/environment"),
        ("a contract of the future", future.clone(), plain(&future), "contract", "doesn't fit the contract"),
        ("it refuses the configuration", unwilling.clone(), newer(&unwilling), "configuration_refused", "display_name"),
        ("it can't sign anybody in", unable.clone(), newer(&unable), "self_test_failed", "self-test"),
    ];
    for (name, bytes, signature, code, words) in table {
        let counted = |code: &str| {
            let line = format!("defguard_openid_plugin_loads_total{{outcome=\"refused\",code=\"{code}\"}} ");
            let text = gateway.metrics().text().unwrap();
            text.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok()).unwrap_or_default()
        };
        let (refusals, said) = (counted(code), logs.text().len());
        put(&path, &bytes, signature.as_deref());
        // It is counted first, and then told.
        wait_until(name, || counted(code) > refusals && logs.text()[said..].contains("plugin not reloaded")).await;
        let log = logs.text()[said..].to_owned();
        assert!(log.contains("plugin not reloaded") && log.contains(words), "{name}: {log}");
        assert_eq!(gateway.plugin().sha256(), before, "{name}");
        assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "{name}");
    }
    // The same bytes, well signed.
    put(&path, &good, newer(&good).as_deref());
    wait_until("the good one", || gateway.plugin().sha256() == sha256(&good)).await;
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_of_a_folder_is_used_and_a_roll_back_is_remembered() {
    let (signer, folder) = (Signer::default(), tempfile::tempdir().unwrap());
    let stack = signed_host(&signer, folder.path(), folder.path()).await;
    let (gateway, plugins) = (&stack.host.gateway, stack.host.gateway.plugins());
    // Neither the name nor the file's time decides, but the signer.
    put(&folder.path().join("a.wasm"), &variant(2), Some(&signer.sign(&variant(2), SIGNED_AT + 20)));
    put(&folder.path().join("z.wasm"), &variant(1), Some(&signer.sign(&variant(1), SIGNED_AT + 10)));
    wait_until("the newest", || gateway.plugin().sha256() == sha256(&variant(2))).await;
    assert!(matches!(plugins.look().await, Looked::Same), "those that are older aren't tried");
    assert_eq!(plugins.roll_back("a test").await.unwrap(), sha256(&variant(0)));
    assert_eq!(gateway.plugin().sha256(), sha256(&variant(0)));
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    // It is newer than what is in use, and wasn't rolled back.
    assert!(matches!(plugins.look().await, Looked::TookOver(hash) if hash == sha256(&variant(1))));
    put(&folder.path().join("a.wasm"), &variant(3), Some(&signer.sign(&variant(3), SIGNED_AT + 30)));
    wait_until("a new file of that name", || gateway.plugin().sha256() == sha256(&variant(3))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_breaks_in_use_goes_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.wasm");
    put(&path, &variant(0), None);
    // Calls that the provider lets hang are ended by the sandbox: to the host it is the plugin that doesn't answer.
    let limits = Limits { call_wall: Duration::from_secs(4), concurrent_calls: 64, ..Limits::default() };
    let options = HostOptions { plugin: Some(path.clone()), limits, ..HostOptions::default() };
    let stack = Entra::start(options).await;
    let (gateway, control) = (&stack.host.gateway, stack.entra.control());
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    put(&path, &variant(1), None);
    wait_until("the new one", || gateway.plugin().sha256() == sha256(&variant(1))).await;
    let callbacks = futures_util::future::join_all((0..6).map(|_| async {
        let browser = stack.browser();
        let callback = browser.callback_url(person::ADA).await;
        (browser, callback)
    }))
    .await;
    control.add_fault(Fault::new(FaultAction::Hang).on(Side::Login).path("*/token").times(6));
    let answers = futures_util::future::join_all(callbacks.iter().map(|(browser, url)| browser.finish(url))).await;
    for answer in answers {
        assert_eq!(answer.code(), "plugin_timeout", "{}", answer.body);
    }
    wait_until("the former one", || gateway.plugin().sha256() == sha256(&variant(0))).await;
    let metrics = gateway.metrics().text().unwrap();
    let line = r#"defguard_openid_plugin_loads_total{outcome="rolled_back",code="probation"} 1"#;
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    assert!(matches!(gateway.plugins().look().await, Looked::Same), "the bad file isn't tried again");
    put(&path, &variant(2), None);
    wait_until("another file", || gateway.plugin().sha256() == sha256(&variant(2))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_under_way_finish_on_the_old_one_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.wasm");
    put(&path, &variant(0), None);
    let plugins = "unsigned = \"allow\"\nfolder = \"plugins\"".into();
    let stack = Entra::start(HostOptions { plugin: Some(path.clone()), plugins, ..HostOptions::default() }).await;
    let (gateway, control) = (&stack.host.gateway, stack.entra.control());
    // Both are compiled beforehand: how long that takes is no part of this.
    for number in [1, 0] {
        put(&path, &variant(number), None);
        assert!(matches!(gateway.plugins().look().await, Looked::TookOver(_) | Looked::Same));
        assert_eq!(gateway.plugin().sha256(), sha256(&variant(number)));
    }
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    control.add_fault(Fault::new(FaultAction::Delay { delay_ms: 6000 }).on(Side::Login).path("*/token").times(1));
    let old = gateway.plugin();
    let (answer, ()) = tokio::join!(browser.finish(&callback), async {
        assert!(control.wait_for_requests(Side::Login, "*/token", 1, Duration::from_secs(20)).await);
        put(&path, &variant(1), None);
        assert!(matches!(gateway.plugins().look().await, Looked::TookOver(_) | Looked::Same));
        assert_eq!(gateway.plugin().sha256(), sha256(&variant(1)));
        assert_eq!(old.tally().under_way(), 1, "it has one call under way, which the new one knows nothing of");
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    wait_until("the old one is done", || old.tally().under_way() == 0).await;
}

/// The configuration's words, and what must be said of them.
#[tokio::test]
async fn unsigned_plugins_are_for_ones_own_machine() {
    let key = Signer::default().key();
    let table: &[(&str, &str, &str, &str)] = &[
        ("allowed, on this machine", "", "unsigned = \"allow\"", ""),
        ("not allowed", "", "", "plugins.trusted_keys"),
        ("refused in so many words", "", "unsigned = \"refuse\"", "plugins.trusted_keys"),
        ("a key, and no signature", "", &format!("trusted_keys = [{key:?}]"), "has no signature"),
        (
            "allowed, and others can connect",
            "listen = \"0.0.0.0:8080\"",
            "unsigned = \"allow\"",
            "`listen` is an address",
        ),
        ("another word", "", "unsigned = \"yes\"", "none of \"refuse\", \"allow\""),
        ("a key that is none", "", "trusted_keys = [\"RWxx\"]", "no minisign public key"),
        ("keys that are no list", "", "trusted_keys = \"RWxx\"", "expected a list"),
        ("an unknown key", "", "unsinged = \"allow\"", "unknown key"),
    ];
    let entra = entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap();
    for (name, top, plugins, expected) in table {
        let options = HostOptions { top: (*top).into(), plugins: (*plugins).into(), ..HostOptions::default() };
        let outcome = TestHost::try_start(options.with_provider(&entra_provider(&entra))).await;
        match outcome.map(drop) {
            Ok(()) => assert_eq!(*expected, "", "{name}: it starts"),
            Err(error) => {
                let text = error.to_string();
                assert!(!expected.is_empty() && text.contains(expected), "{name}: {text}");
            }
        }
    }
    // Where others can come, there is no such word.
    for (name, url, development) in [
        ("a public address", "https://enroll.example.com", "loopback_http = true"),
        ("not a development machine", "https://localhost:8443", "loopback_http = false"),
    ] {
        let text = format!(
            "public_url = {url:?}\n[handover]\nkind = \"local\"\n[plugins]\nunsigned = \"allow\"\n[development]\n{development}\n\
             [[provider]]\nid = \"a\"\nkind = \"oidc\"\nbase_url = \"https://a.example\"\nclient_id = \"c\"\nclient_secret = \"s\"\n"
        );
        let error = defguard_openid_host::Config::parse(Path::new("openid.toml"), &text).unwrap_err().to_string();
        assert!(error.contains("plugins.unsigned") && error.contains("line"), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_at_a_start_doesnt_end_the_service() {
    let (signer, folder) = (Signer::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("openid.wasm");
    let shelf = folder.path().join("kept");
    let options = HostOptions {
        plugin: Some(path.clone()),
        plugins: format!("{}\nfolder = {shelf:?}", signer.trusted()),
        ..HostOptions::default()
    };
    let entra = Arc::new(entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap());
    let start = || TestHost::try_start(options.clone().with_provider(&entra_provider(&entra)));
    put(&path, &variant(0), Some(&signer.sign(&variant(0), SIGNED_AT)));
    drop(start().await.unwrap());
    for (name, bytes, signature) in [
        ("altered", variant(1), signer.sign(&variant(0), SIGNED_AT + 1)),
        ("older", variant(1), signer.sign(&variant(1), SIGNED_AT - 1)),
        ("cut off", variant(1)[..1000].to_vec(), signer.sign(&variant(1)[..1000], SIGNED_AT + 1)),
    ] {
        put(&path, &bytes, Some(&signature));
        let host = start().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(host.gateway.plugin().sha256(), sha256(&variant(0)), "{name}");
    }
    // What lies in the host's own folder isn't believed either.
    let kept = shelf.join(format!("{}.wasm", sha256(&variant(0))));
    std::fs::write(&kept, variant(1)).unwrap();
    let error = start().await.map(drop).unwrap_err().to_string();
    assert!(error.contains("isn't a WebAssembly component"), "the file's own error: {error}");
}

/// Rewrites the host's configuration, and has it reloaded.
async fn reconfigure(stack: &Entra, replacements: &[(&str, &str)]) -> Result<(), String> {
    let path = stack.host.folder.path().join("openid.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from:?} isn't in {text}");
        text = text.replace(from, to);
    }
    std::fs::write(&path, text).unwrap();
    stack.host.live.reload().await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_taken_out_takes_its_plugins_with_it() {
    for (name, more) in [("with a folder of its own", "\nfolder = \"kept\""), ("without one", "")] {
        let (first, second, folder) = (Signer::default(), Signer::default(), tempfile::tempdir().unwrap());
        let path = folder.path().join("openid.wasm");
        put(&path, &variant(0), Some(&first.sign(&variant(0), SIGNED_AT)));
        let both = format!("trusted_keys = [{:?}, {:?}]", first.key(), second.key());
        let options =
            HostOptions { plugin: Some(path.clone()), plugins: format!("{both}{more}"), ..HostOptions::default() };
        let stack = Entra::start(options).await;
        let gateway = &stack.host.gateway;
        put(&path, &variant(1), Some(&second.sign(&variant(1), SIGNED_AT + 1)));
        wait_until(name, || gateway.plugin().sha256() == sha256(&variant(1))).await;
        reconfigure(&stack, &[(&both, &second.trusted())]).await.unwrap();
        let refused = gateway.plugins().roll_back("a test").await.unwrap_err();
        for words in [&sha256(&variant(0)), "a key that isn't among", &second.key(), "plugin load"] {
            assert!(refused.contains(words), "{name}: {words:?} isn't in: {refused}");
        }
        assert_eq!(gateway.plugin().sha256(), sha256(&variant(1)), "{name}: what is in use stays");
        assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "{name}");
        // With the key back there is a way back: nothing else was lost.
        reconfigure(&stack, &[(&second.trusted(), &both)]).await.unwrap();
        assert_eq!(gateway.plugins().roll_back("a test").await.as_deref(), Ok(&*sha256(&variant(0))), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_opens_no_way_in_for_unsigned_plugins() {
    let (signer, folder) = (Signer::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("openid.wasm");
    put(&path, &variant(0), Some(&signer.sign(&variant(0), SIGNED_AT)));
    let options = HostOptions {
        plugin: Some(path.clone()),
        plugins: signer.trusted(),
        top: "listen = \"0.0.0.0:8080\"".into(),
        ..HostOptions::default()
    };
    let stack = Entra::start(options).await;
    // A file that is in order by itself; the service goes on listening where others can come.
    let here = ("listen = \"0.0.0.0:8080\"", "listen = \"127.0.0.1:8080\"");
    let refused = reconfigure(&stack, &[here, (&signer.trusted(), "unsigned = \"allow\"")]).await.unwrap_err();
    for words in
        ["line ", "plugins.unsigned", "`listen` is an address that others can reach until a restart", "0.0.0.0"]
    {
        assert!(refused.contains(words), "{words:?} isn't in: {refused}");
    }
    put(&path, &variant(1), None);
    let looked = stack.host.live.gateway().plugins().look().await;
    assert!(matches!(&looked, Looked::Refused(error) if error.code() == "signature_missing"), "{looked:?}");
    assert_eq!(stack.host.live.gateway().plugin().sha256(), sha256(&variant(0)));
}
