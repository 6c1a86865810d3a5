//! `plugin sign`, `list`, `verify`, `load` and `rollback` as an operator meets them, beside a service and without one.

use std::path::Path;

use conformance::HostOptions;
use conformance::service::{Service, all_of, run};
use conformance::signing::{patched, sha256, variant};
use serde_json::Value;

/// Signs a file with the key beside it, and gives the line of the configuration.
async fn sign(folder: &Path, file: &str, more: &[&str]) -> String {
    let (file, key) = (folder.join(file), folder.join("minisign.key"));
    let mut arguments = vec!["plugin", "sign", file.to_str().unwrap(), "--key", key.to_str().unwrap()];
    arguments.extend_from_slice(more);
    let (code, out, err) = run(&arguments).await;
    assert_eq!(code, Some(0), "{err}");
    out.lines().find(|line| line.starts_with("trusted_keys")).unwrap().to_owned()
}

async fn list(config: &str) -> Value {
    let (code, out, err) = run(&["plugin", "list", "--json", "--config", config]).await;
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_signature_to_the_service_and_back() {
    let files = tempfile::tempdir().unwrap();
    let folder = files.path();
    std::fs::create_dir(folder.join("plugins")).unwrap();
    std::fs::write(folder.join("plugins/openid.wasm"), variant(0)).unwrap();
    std::fs::write(folder.join("password"), "correct horse battery staple\n").unwrap();
    let password = folder.join("password");
    let by_password = ["--password-file", password.to_str().unwrap()];
    let key = sign(folder, "plugins/openid.wasm", &[by_password[0], by_password[1], "--new-key"]).await;
    let options = HostOptions {
        plugin: Some(folder.join("plugins")),
        plugins: key.clone(),
        more: "[log]\nformat = \"json\"\n".into(),
        ..HostOptions::default()
    };
    let service = Service::prepare(options).await;
    let config = service.config();
    let mut child = service.spawn().await;
    let listed = list(&config).await;
    assert_eq!(
        (&listed["service"], &listed["in_use"]["sha256"]),
        (&Value::from(true), &Value::from(sha256(&variant(0))))
    );
    assert_eq!(listed["files"][0]["in_use"], true, "{listed}");
    let (code, _, err) = run(&["plugin", "rollback", "--config", &config]).await;
    assert!(code == Some(1) && err.contains("there is no former plugin to go back to"), "{err}");

    // A new one: tried, refused unsigned, signed, loaded.
    std::fs::write(folder.join("next.wasm"), variant(1)).unwrap();
    let next = folder.join("next.wasm");
    let next = next.to_str().unwrap();
    let (code, _, err) = run(&["plugin", "load", next, "--config", &config]).await;
    assert!(code == Some(1) && err.contains("has no signature"), "{err}");
    assert_eq!(sign(folder, "next.wasm", &by_password).await, key, "the same key");
    let (code, out, err) = run(&["plugin", "verify", next, "--config", &config]).await;
    assert!(code == Some(0) && out.contains("good") && out.contains("self-test"), "{out}{err}");
    assert_eq!(list(&config).await["in_use"]["sha256"], sha256(&variant(0)), "verify changes nothing");
    let (code, out, err) = run(&["plugin", "load", next, "--config", &config]).await;
    assert!(code == Some(0) && out.contains("the service uses it"), "{out}{err}");
    let listed = list(&config).await;
    assert_eq!(listed["in_use"]["sha256"], sha256(&variant(1)), "{listed}");
    assert_eq!(listed["former"][0]["sha256"], sha256(&variant(0)), "{listed}");

    // And back, at once; it stays so after a restart, and the other one can't be had by asking again.
    let (code, out, err) = run(&["plugin", "rollback", "--config", &config, "--reason", "a test"]).await;
    assert!(code == Some(0) && out.contains(&sha256(&variant(0))), "{out}{err}");
    assert_eq!(list(&config).await["in_use"]["sha256"], sha256(&variant(0)));
    let (code, _, err) = run(&["plugin", "load", next, "--config", &config]).await;
    assert!(code == Some(1) && err.contains("was rolled back") && err.contains("a test"), "{err}");
    end(&mut child).await;
    let mut child = service.spawn().await;
    assert_eq!(list(&config).await["in_use"]["sha256"], sha256(&variant(0)), "after a restart");
    end(&mut child).await;

    // Without a service, the next start does as it is told.
    std::fs::write(folder.join("third.wasm"), variant(2)).unwrap();
    sign(folder, "third.wasm", &by_password).await;
    let third = folder.join("third.wasm");
    let (code, out, err) = run(&["plugin", "load", third.to_str().unwrap(), "--config", &config]).await;
    assert!(code == Some(0) && out.contains("no service was found"), "{out}{err}");
    let mut child = service.spawn().await;
    assert_eq!(list(&config).await["in_use"]["sha256"], sha256(&variant(2)));
    end(&mut child).await;
    let (code, out, err) = run(&["plugin", "rollback", "--config", &config]).await;
    assert!(code == Some(0) && out.contains("the next start uses"), "{out}{err}");
    let mut child = service.spawn().await;
    assert_eq!(list(&config).await["in_use"]["sha256"], sha256(&variant(0)));
    end(&mut child).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_machine_code_never_runs() {
    let service = Service::prepare(HostOptions::default()).await;
    let mut child = service.spawn().await;
    end(&mut child).await;
    let shelf = service.folder.path().join("state.plugins");
    let compiled: Vec<_> = std::fs::read_dir(&shelf)
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "compiled"))
        .collect();
    let [compiled] = compiled.as_slice() else { panic!("{compiled:?}") };
    let mut planted = std::fs::read(compiled).unwrap();
    let last = planted.len() - 1;
    planted[last] ^= 1;
    std::fs::write(compiled, &planted).unwrap();
    let mut child = service.spawn().await;
    let log = end(&mut child).await;
    assert!(log.contains("compiled code isn't used, but made anew"), "{log}");
    assert_ne!(std::fs::read(compiled).unwrap(), planted, "it was made anew");
    let mut child = service.spawn().await;
    let log = end(&mut child).await;
    assert!(!log.contains("made anew"), "{log}");
}

#[tokio::test]
async fn what_verify_says_of_bad_files() {
    let service = Service::prepare(HostOptions::default()).await;
    let config = service.config();
    let unable = patched(".well-known/openid-configuration", ".well-known/openid-configurotion");
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("text", b"hello".to_vec(), "isn't a WebAssembly component"),
        (
            "it refuses the configuration",
            patched("display_name", "display_nome"),
            "refuses the configuration of provider",
        ),
        ("it can't sign anybody in", unable, "self-test"),
    ];
    for (name, bytes, words) in table {
        let file = service.folder.path().join("tried.wasm");
        std::fs::write(&file, bytes).unwrap();
        let (code, out, err) = run(&["plugin", "verify", file.to_str().unwrap(), "--config", &config]).await;
        assert!(code == Some(1) && err.contains(words), "{name}: {out}{err}");
        assert!(err.contains("WITHOUT A SIGNATURE"), "{name}: it is said loudly: {err}");
    }
}

#[tokio::test]
async fn keys_are_kept_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let files = tempfile::tempdir().unwrap();
    let folder = files.path();
    std::fs::write(folder.join("openid.wasm"), variant(0)).unwrap();
    sign(folder, "openid.wasm", &["--no-password", "--new-key"]).await;
    let key = folder.join("minisign.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    let wasm = folder.join("openid.wasm");
    let (wasm, key_name) = (wasm.to_str().unwrap(), key.to_str().unwrap());
    let again = ["plugin", "sign", wasm, "--key", key_name, "--no-password", "--new-key"];
    let (code, _, err) = run(&again).await;
    assert!(code == Some(1) && err.contains("can't be made"), "{err}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
    let (code, _, err) = run(&["plugin", "sign", wasm, "--key", "none.key", "--no-password"]).await;
    assert!(code == Some(1) && err.contains("--new-key makes one"), "{err}");
    std::fs::write(folder.join("text.wasm"), "hello").unwrap();
    let text = folder.join("text.wasm");
    let (code, _, err) = run(&["plugin", "sign", text.to_str().unwrap(), "--key", key_name, "--no-password"]).await;
    assert!(code == Some(1) && err.contains("isn't a WebAssembly component"), "what is no plugin isn't signed: {err}");
}

/// Ends a service, and gives its log.
async fn end(child: &mut tokio::process::Child) -> String {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let (code, log) = all_of(child).await;
    assert_eq!(code, Some(0), "{log}");
    log
}
