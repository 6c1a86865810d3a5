//! `plugin sign`, `list`, `verify`, `load` and `rollback` as an operator meets them, beside a service and without one.

use std::path::Path;

use conformance::HostOptions;
use conformance::service::{Service, all_of, binary, run};
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

#[tokio::test]
async fn without_a_terminal_it_says_how_to_give_the_password() {
    let files = tempfile::tempdir().unwrap();
    let (wasm, key) = (files.path().join("openid.wasm"), files.path().join("minisign.key"));
    std::fs::write(&wasm, variant(0)).unwrap();
    // In a session of its own it has none, wherever this test runs.
    let output = tokio::process::Command::new("setsid")
        .arg("--wait")
        .arg(binary())
        .args(["plugin", "sign", wasm.to_str().unwrap(), "--new-key", "--key", key.to_str().unwrap()])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .expect("setsid is there: it is in util-linux");
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    for words in ["no terminal", "--password-file", "--no-password"] {
        assert!(err.contains(words), "{words:?} isn't in: {err}");
    }
    assert!(!key.exists(), "nothing was made");
}

/// Of a service that runs as a user of its own, as the package has it. Who isn't root runs all of it as themselves.
const SERVICE_USER: u32 = 65532;

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives a folder to the service's user, with all that is in it.
fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(SERVICE_USER), Some(SERVICE_USER)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// The program as the service's user has it, somewhere that this user may go.
fn as_the_service(program: &Path) -> tokio::process::Command {
    if !is_root() {
        return tokio::process::Command::new(program);
    }
    let mut command = tokio::process::Command::new("setpriv");
    let user = SERVICE_USER.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(program);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_the_service_s_user_and_as_root() {
    use std::os::unix::fs::PermissionsExt as _;
    let packaged = tempfile::tempdir().unwrap();
    let program = packaged.path().join("defguard-openid");
    std::fs::copy(binary(), &program).unwrap();
    std::fs::write(packaged.path().join("openid.wasm"), variant(0)).unwrap();
    let fixed = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o555)).unwrap();
    let service = Service::prepare(HostOptions {
        plugin: Some("plugin".into()),
        files: vec![("next.wasm".into(), String::new())],
        ..HostOptions::default()
    })
    .await;
    // As postinst leaves it: the package's plugin by a link, in a folder of the service's user.
    let folder = service.folder.path().to_owned();
    std::fs::create_dir(folder.join("plugin")).unwrap();
    std::os::unix::fs::symlink(packaged.path().join("openid.wasm"), folder.join("plugin/package.wasm")).unwrap();
    std::fs::write(folder.join("next.wasm"), variant(1)).unwrap();
    fixed(packaged.path());
    if is_root() {
        give(&folder);
    }
    let (config, next) = (service.config(), folder.join("next.wasm"));
    let user_runs = async |arguments: &[&str]| {
        let output = as_the_service(&program).args(arguments).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let mut child = service.run(as_the_service(&program).args(["serve", "--config", &config])).await;
    assert_eq!(list(&config).await["in_use"]["sha256"], sha256(&variant(0)));
    let (code, out, err) = user_runs(&["plugin", "load", next.to_str().unwrap(), "--config", &config]).await;
    assert!(code == Some(0) && out.contains("the service uses it"), "{out}{err}");
    // Root, who may not write there, sees what the service knows.
    let listed = list(&config).await;
    assert_eq!(listed["in_use"]["sha256"], sha256(&variant(1)), "{listed}");
    assert_eq!(listed["former"][0]["sha256"], sha256(&variant(0)), "{listed}");
    let (code, out, err) = user_runs(&["plugin", "rollback", "--config", &config]).await;
    assert!(code == Some(0) && out.contains(&sha256(&variant(0))), "{out}{err}");
    end(&mut child).await;
    if is_root() {
        let (code, _, err) = run(&["plugin", "rollback", "--config", &config]).await;
        assert!(code == Some(1) && err.contains("run it as that user"), "{err}");
    }
    // Where a package has its own file, nobody but the package writes.
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&next, variant(2)).unwrap();
    let file = packaged.path().join("openid.wasm");
    std::fs::write(&config, text.replace("plugin = \"plugin\"", &format!("plugin = {file:?}"))).unwrap();
    let (code, _, err) = user_runs(&["plugin", "load", next.to_str().unwrap(), "--config", &config]).await;
    assert!(code == Some(1) && err.contains("Permission denied") && err.contains("let `plugin` be a folder"), "{err}");
    // So that it can be deleted.
    std::fs::set_permissions(packaged.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Ends a service, and gives its log.
async fn end(child: &mut tokio::process::Child) -> String {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let (code, log) = all_of(child).await;
    assert_eq!(code, Some(0), "{log}");
    log
}
