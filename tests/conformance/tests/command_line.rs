//! The command line beside the subcommands that do the work: what can be configured, all that is wrong at once, what a shell
//! and a package need.

use std::path::Path;
use std::process::Stdio;

use conformance::service::{Service, binary, run};
use conformance::{HostOptions, component};
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::process::Command;

/// The subcommand `config`, with the real component.
async fn config(what: &str) -> String {
    let (code, out, err) = run(&["config", what, "--plugin", component().to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{err}");
    out
}

async fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&config("schema").await).unwrap();
    assert!(jsonschema::meta::is_valid(&schema), "it is a JSON Schema");
    jsonschema::draft202012::new(&schema).unwrap()
}

/// As editors see it: TOML, in JSON's types.
fn as_json(toml: &str) -> Value {
    serde_json::to_value(toml.parse::<toml::Table>().unwrap()).unwrap()
}

/// The configurations in a page of documentation, put together from what stands in `toml` blocks.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page)).unwrap();
    let unindented: String = text.lines().flat_map(|line| [line.trim_start(), "\n"]).collect();
    unindented
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .filter(|block| block.contains("public_url"))
        .collect()
}

#[tokio::test]
async fn the_schema_accepts_what_is_documented_and_what_runs() {
    let validator = validator().await;
    let service = Service::prepare(HostOptions::default()).await;
    let mut configurations = blocks("README.md");
    assert!(!configurations.is_empty(), "the README has one");
    configurations.push(std::fs::read_to_string(service.config()).unwrap());
    configurations.push(config("example").await);
    for text in configurations {
        let errors: Vec<_> =
            validator.iter_errors(&as_json(&text)).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
}

#[tokio::test]
async fn the_schema_refuses_mistakes_where_they_are() {
    let validator = validator().await;
    let good = as_json(&config("example").await);
    for (name, pointer, value, place) in [
        ("an unknown key", "", json!({ "listem": "127.0.0.1:1" }), ""),
        ("an unknown key of the component's", "/provider/0", json!({ "client": "x" }), "/provider/0"),
        ("an unknown key of a table", "/storage", json!({ "path": "x" }), "/storage"),
        ("a secret in the file", "/provider/0", json!({ "client_secret": "x" }), "/provider/0"),
        ("another type", "", json!({ "listen": 8080 }), "/listen"),
        ("no such kind", "/provider/0", json!({ "kind": "saml" }), "/provider/0/kind"),
        ("no such hand-over", "/handover", json!({ "kind": "ldap" }), "/handover/kind"),
        ("a list of numbers", "/provider/0", json!({ "scopes": [1] }), "/provider/0/scopes/0"),
        ("a number as text", "/provider/0", json!({ "max_age": "60" }), "/provider/0/max_age"),
        ("nothing of a provider", "", json!({ "provider": [{}] }), "/provider/0"),
        ("no provider", "", json!({ "provider": [] }), "/provider"),
    ] {
        let mut bad = good.clone();
        let table = bad.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        table.extend(value.as_object().unwrap().clone());
        let places: Vec<_> = validator.iter_errors(&bad).map(|error| error.instance_path().to_string()).collect();
        assert!(places.iter().any(|found| found == place), "{name}: {places:?}");
    }
}

#[tokio::test]
async fn the_example_needs_nothing_but_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("secret"), "a-secret-of-forty-characters-aaaaaaaaaaaaa").unwrap();
    std::fs::copy(component(), at("openid.wasm")).unwrap();
    let (wasm, key) = (at("openid.wasm"), at("minisign.key"));
    let (code, _, err) = run(&["plugin", "sign", &wasm, "--key", &key, "--new-key", "--no-password"]).await;
    assert_eq!(code, Some(0), "{err}");
    let mut text = config("example").await;
    for (from, to) in [
        ("/usr/share/defguard-openid/minisign.pub", at("minisign.pub")),
        ("/usr/share/defguard-openid/openid.wasm", wasm),
        ("/var/lib/defguard-openid/state.redb", at("state.redb")),
        ("/run/secrets/core", at("secret")),
        ("/run/secrets/entra", at("secret")),
    ] {
        assert!(text.contains(&format!("{from}\"")), "{from}");
        text = text.replace(&format!("{from}\""), &format!("{to}\""));
    }
    std::fs::write(at("openid.toml"), text).unwrap();
    let (code, out, err) = run(&["check", "--config", &at("openid.toml")]).await;
    assert_eq!(code, Some(0), "{out}{err}");
}

#[tokio::test]
async fn the_reference_page_is_what_the_program_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let written = std::fs::read_to_string(page).unwrap();
    assert_eq!(
        written,
        config("reference").await,
        "run: target/release/defguard-openid config reference --plugin target/openid.wasm > docs/configuration.md"
    );
}

#[tokio::test]
async fn without_a_plugin_it_says_what_to_do() {
    let (code, _, err) = run(&["config", "schema", "--plugin", "none.wasm"]).await;
    assert!(code == Some(1) && err.contains("none.wasm can't be read") && err.contains("--host-only"), "{err}");
    let (code, out, err) = run(&["config", "schema", "--host-only"]).await;
    assert_eq!(code, Some(0), "{err}");
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["properties"]["provider"]["items"]["additionalProperties"], true, "the component's aren't known");
}

/// As it is installed: the program in `bin`, the plugin in `share/defguard-openid`; and as it is built, or unpacked.
#[tokio::test]
async fn the_plugin_is_found_without_being_named() {
    for (name, place) in [
        ("installed", "share/defguard-openid/openid.wasm"),
        ("built", "openid.wasm"),
        ("unpacked", "bin/openid.wasm"),
        ("in the working directory", "elsewhere/openid.wasm"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for needed in ["bin", "share/defguard-openid", "elsewhere"] {
            std::fs::create_dir_all(at(needed)).unwrap();
        }
        std::fs::copy(binary(), at("bin/defguard-openid")).unwrap();
        std::fs::copy(component(), at(place)).unwrap();
        for (what, words) in [("example", "public_url = "), ("schema", "xms_edov"), ("reference", "xms_edov")] {
            let output = Command::new(at("bin/defguard-openid"))
                .args(["config", what])
                .current_dir(at("elsewhere"))
                .output()
                .await
                .unwrap();
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && out.contains(words), "{name}, {what}: {err}");
        }
    }
}

/// What the files of `host/package` say, against the program.
#[tokio::test]
async fn the_packages_files_fit_the_program() {
    let file = |name: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/package").join(name)).unwrap()
    };
    let compose = file("docker-compose.yml");
    let lines = compose.lines().skip_while(|line| *line != "#").take_while(|line| line.starts_with('#'));
    let text: String = lines.flat_map(|line| [line.trim_start_matches('#'), "\n"]).collect();
    let configuration: toml::Table = text.parse().unwrap();
    let errors: Vec<_> = validator().await.iter_errors(&as_json(&text)).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    let proxy = configuration["trusted_proxies"][0].as_str().expect("whoever comes through the port");
    assert!(compose.contains(&format!("gateway: {proxy}\n")), "{proxy} is the network's gateway");
    assert!(file("defguard-openid.service").contains("\nExecReload=/bin/kill -HUP $MAINPID\n"), "systemctl reload");
}

#[tokio::test]
async fn check_finds_the_host_s_and_the_component_s_problems_at_once() {
    let service = Service::prepare(HostOptions::default()).await;
    let mistakes = [
        ("public_url", "public_url = \"ftp://x\"\nunknown = 1", "public_url"),
        ("unknown", "", "unknown"),
        ("client_id", "clientid = \"x\"", "provider.entra.client_id"),
        ("clientid", "", "provider.entra.clientid"),
        ("kind = \"microsoft\"", "kind = \"microsoft\"\nprompt = \"always\"", "provider.entra.prompt"),
    ];
    let mut text = std::fs::read_to_string(service.config()).unwrap();
    for (key, line, _) in mistakes.iter().filter(|(_, line, _)| !line.is_empty()) {
        let start = text.find(&format!("\n{key}")).map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        text.replace_range(start..end, line);
    }
    std::fs::write(service.config(), &text).unwrap();
    let (code, _, err) = run(&["check", "--config", &service.config()]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(!err.contains('\x1b'), "no colours where nobody looks: {err:?}");
    let (code, out, err) = run(&["check", "--json", "--config", &service.config()]).await;
    assert_eq!(code, Some(1), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["good"], &report["providers"]), (&json!(false), &json!([])), "{report}");
    let problems = report["problems"].as_array().unwrap();
    for (_, _, path) in mistakes {
        let found: Vec<_> = problems.iter().filter(|problem| problem["path"] == path).collect();
        assert_eq!(found.len(), 1, "{path} once: {problems:?}");
        assert!(found[0]["severity"] == "error" && found[0]["line"].is_u64(), "{path}: {found:?}");
        let says = |key: &str, what: &str| found[0][key].as_str().is_some_and(|text| text.contains(what));
        assert!(says("hint", "") || says("message", "expected one of"), "{path}: what to do: {found:?}");
    }
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem["line"].as_u64()).collect();
    assert!(lines.is_sorted(), "in the order of the file: {lines:?}");
}

#[tokio::test]
async fn check_goes_on_behind_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"public_url = "enroll.example.com"
listen = "localhost:8080"
plugin = "nothing.wasm"
trusted_proxies = ["10.0.0.300"]
[plugins]
trusted_keys = ["no key"]
[storage]
url = "redb:no-folder/state.redb"
key_file = "no-key"
[tls]
certificate_file = "certificate.pem"
[limits]
requests = 0
[handover]
kind = "core"
url = "https://core.example/api"
[audit]
file = "no-folder/audit.jsonl"
[[provider]]
id = "Entra ID"
kind = "microsft"
base_url = "login.microsoftonline.com"
client_secret_file = "no-secret"
logo_file = "no-logo.svg"
"#;
    std::fs::write(folder.path().join("openid.toml"), text).unwrap();
    let config = folder.path().join("openid.toml");
    let (code, out, err) = run(&["check", "--json", "--config", config.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let mut paths: Vec<_> = report["problems"].as_array().unwrap().iter().map(|problem| &problem["path"]).collect();
    paths.sort_by_key(|path| path.as_str());
    let expected = [
        "audit.file",
        "handover.token_file",
        "handover.url",
        "limits.requests",
        "listen",
        "plugin",
        "plugins.trusted_keys",
        "provider.Entra ID.base_url",
        "provider.Entra ID.client_id",
        "provider.Entra ID.client_secret_file",
        "provider.Entra ID.id",
        "provider.Entra ID.kind",
        "provider.Entra ID.logo_file",
        "public_url",
        "storage.key_file",
        "storage.url",
        "tls.private_key_file",
        "trusted_proxies",
    ];
    assert_eq!(paths, expected, "{report}");
    for problem in report["problems"].as_array().unwrap() {
        let what_to_do = problem["hint"].as_str().is_some_and(|hint| !hint.is_empty());
        assert!(problem["line"].is_u64() && (what_to_do || problem["path"] == "plugin"), "{problem}");
    }
}

#[tokio::test]
async fn check_finds_two_providers_of_one_name_whatever_else_is_wrong() {
    let service = Service::prepare(HostOptions::default()).await;
    let text = std::fs::read_to_string(service.config()).unwrap();
    let first = text.lines().position(|line| line.starts_with("id = ")).unwrap();
    let id = text.lines().nth(first).unwrap().to_owned();
    let second = text.lines().count() + 1;
    // Without a client, with a number for a name, and with a key that only the component knows.
    let more = format!(
        "[[provider]]\n{id}\nkind = \"oidc\"\nbase_url = \"https://a.example\"\ndisplay_name = 1\nscopes = 2\n"
    );
    std::fs::write(service.config(), format!("{}\n{more}", text.trim_end())).unwrap();
    let (code, out, err) = run(&["check", "--json", "--config", &service.config()]).await;
    assert_eq!(code, Some(1), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let problems = report["problems"].as_array().unwrap();
    let line_of = |path: &str| {
        let found = problems.iter().find(|problem| problem["path"] == path);
        found.unwrap_or_else(|| panic!("{path}: {report}"))["line"].as_u64().unwrap()
    };
    let at = |number: usize| u64::try_from(number).unwrap();
    assert_eq!(line_of("provider.2.id"), at(second + 1), "{report}");
    assert_eq!(line_of("provider.2.client_id"), at(second), "{report}");
    assert_eq!(line_of("provider.2.display_name"), at(second + 4), "{report}");
    assert_eq!(line_of("provider.2.scopes"), at(second + 5), "the component's: {report}");
    let errors = problems.iter().filter(|problem| problem["severity"] == "error");
    assert!(
        errors.clone().all(|problem| problem["line"].as_u64() >= Some(at(second))),
        "none is the first one's: {report}"
    );
}

#[tokio::test]
async fn check_tells_programs_what_people_read() {
    let service = Service::prepare(HostOptions::default()).await;
    let (code, out, err) = run(&["check", "--json", "--config", &service.config()]).await;
    assert_eq!(code, Some(0), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["good"], true, "{report}");
    assert_eq!(report["plugin"]["name"], "defguard-openid", "{report}");
    assert_eq!(report["providers"][0]["redirect_uri"], format!("{}/openid/callback", service.url), "{report}");
}

#[tokio::test]
async fn colours_are_for_a_terminal() {
    let service = Service::prepare(HostOptions::default()).await;
    let command = format!("'{}' check --config '{}'", binary().display(), service.config());
    for (name, no_color, expected) in [("on a terminal", "", true), ("NO_COLOR", "1", false)] {
        // `script` gives the command a terminal.
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("script is there: it is in bsdutils");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("good"), "{name}: {text}");
        assert_eq!(text.contains("\x1b[1m\x1b[32mgood"), expected, "{name}: {text:?}");
    }
}

#[tokio::test]
async fn shells_and_packages_are_served() {
    for (shell, wanted) in [("bash", "complete -F"), ("zsh", "#compdef defguard-openid"), ("fish", "complete -c")] {
        let (code, out, err) = run(&["completions", shell]).await;
        assert!(code == Some(0) && out.contains(wanted) && out.contains("login-test"), "{shell}: {err}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(&["man", "--out", folder.path().to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{err}");
    for page in ["defguard-openid.1", "defguard-openid-serve.1", "defguard-openid-sync.1", "defguard-openid-config.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".TH ") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    let (code, out, _) = run(&["man"]).await;
    assert!(code == Some(0) && out.contains("login\\-test"), "{out}");
}

#[tokio::test]
async fn doctor_looks_at_each_origin() {
    let service = Service::prepare(HostOptions::default()).await;
    let (_, out, err) = run(&["doctor", "--json", "--config", &service.config()]).await;
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let findings = report["providers"][0]["findings"].as_array().unwrap();
    let of = |name: &str| findings.iter().filter(|finding| finding["name"] == name).collect::<Vec<_>>();
    assert!(of("dns").iter().all(|finding| finding["verdict"] == "pass") && !of("dns").is_empty(), "{findings:?}");
    assert!(of("tls").iter().all(|finding| finding["verdict"] == "skip") && !of("tls").is_empty(), "{findings:?}");
    // A name without an address, and a port where nobody listens.
    let text = std::fs::read_to_string(service.config()).unwrap();
    let more = "[[provider]]\nallowed_origins = [\"https://no-such-host.invalid\", \"http://127.0.0.1:1\"]";
    std::fs::write(service.config(), text.replacen("[[provider]]", more, 1)).unwrap();
    let (code, out, err) = run(&["doctor", "--json", "--config", &service.config()]).await;
    assert_eq!(code, Some(1), "{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let findings = report["providers"][0]["findings"].as_array().unwrap();
    for (name, origin) in [("dns", "no-such-host.invalid"), ("tls", "127.0.0.1:1:")] {
        let failed = findings.iter().find(|finding| {
            finding["name"] == name
                && finding["verdict"] == "fail"
                && finding["detail"].as_str().is_some_and(|detail| detail.contains(origin))
        });
        assert!(failed.is_some_and(|finding| finding["hint"].is_string()), "{name}: {findings:?}");
    }
}
