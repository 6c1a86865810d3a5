//! The component and the contract: what it imports is all that it can do.

use conformance::{HostOptions, TestHost, component};
use defguard_openid_host::sandbox::{Limits, LoadError, Plugin, Runtime};
use std::sync::Arc;

#[test]
fn the_component_imports_exactly_the_seven_capabilities() {
    let bytes = std::fs::read(component()).unwrap();
    let (imports, exports) = pack::interfaces(&bytes).unwrap();
    let name = |interface: &str| format!("defguard:openid/{interface}@0.2.0");
    assert_eq!(imports, ["cache", "clock", "credentials", "http", "log", "random", "storage"].map(name));
    assert_eq!(exports, ["configuration", "directory", "login", "preparation"].map(name));
    assert!(!bytes.windows(5).any(|window| window == b"wasi:"), "no trace of WASI");
}

/// Decision 8. A component that grows beyond this was built by another profile, or has a dependency that is worth a thought.
#[test]
fn the_component_keeps_to_its_size() {
    const MOST_BYTES: u64 = 1040 << 10;
    let size = std::fs::metadata(component()).unwrap().len();
    assert!(size <= MOST_BYTES, "{size} bytes, at most {MOST_BYTES}");
}

#[tokio::test]
async fn it_describes_every_option_once() {
    let runtime = Arc::new(Runtime::new(Limits { concurrent_calls: 4, ..Limits::default() }).unwrap());
    let plugin = Plugin::load(&runtime, &component()).await.unwrap();
    let description = plugin.describe().await.unwrap();
    assert_eq!(description.name, "defguard-openid");
    let mut paths: Vec<_> = description.options.iter().map(|option| option.path.clone()).collect();
    paths.sort();
    let count = paths.len();
    paths.dedup();
    assert_eq!(paths.len(), count);
    for option in &description.options {
        assert!(!option.description.is_empty() && !option.type_name.is_empty(), "{}", option.path);
    }
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_by_name() {
    let runtime = Arc::new(Runtime::new(Limits { concurrent_calls: 4, ..Limits::default() }).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read(component()).unwrap();
    let table: &[(&str, Option<Vec<u8>>, fn(&LoadError) -> bool)] = &[
        ("absent", None, |error| matches!(error, LoadError::Unreadable { .. })),
        ("empty", Some(vec![]), |error| matches!(error, LoadError::Invalid { .. })),
        ("text", Some(b"hello".to_vec()), |error| matches!(error, LoadError::Invalid { .. })),
        ("WebAssembly text", Some(b"(component)".to_vec()), |error| matches!(error, LoadError::Invalid { .. })),
        ("a core module", Some(b"\0asm\x01\0\0\0".to_vec()), |error| matches!(error, LoadError::Invalid { .. })),
        ("an empty component", Some(b"\0asm\x0d\0\x01\0".to_vec()), |error| {
            matches!(error, LoadError::Contract { .. })
        }),
        ("half of it", Some(good[..good.len() / 2].to_vec()), |error| matches!(error, LoadError::Invalid { .. })),
        ("17 MiB", Some(vec![0; 17 << 20]), |error| matches!(error, LoadError::TooLarge { .. })),
    ];
    for (name, bytes, is_expected) in table {
        let path = folder.path().join(format!("{name}.wasm"));
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let error = Plugin::load(&runtime, &path).await.err().unwrap_or_else(|| panic!("{name} is loaded"));
        assert!(is_expected(&error), "{name}: {error:?}");
        assert!(error.to_string().contains(".wasm"), "{name}: {error}");
    }
}

/// A configuration as its text, and what must be said of it: key, line, words.
#[tokio::test]
async fn configurations_are_refused_with_key_line_and_hint() {
    let provider = |extra: &[(&str, &str)]| {
        let mut table: Vec<(String, String)> = [
            ("id", "\"entra\""),
            ("kind", "\"microsoft\""),
            ("base_url", "\"https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0\""),
            ("client_id", "\"c\""),
            ("secret", "s"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
        for (key, value) in extra {
            table.retain(|(found, _)| found != key);
            if !value.is_empty() {
                table.push(((*key).into(), (*value).into()));
            }
        }
        table
    };
    let table: &[(&str, &[(&str, &str)], &[&str])] = &[
        (
            "placeholder not filled",
            &[("base_url", "\"https://login.microsoftonline.com/<TENANT_ID>/v2.0\"")],
            &["provider.entra.base_url", "TENANT_ID", "line"],
        ),
        (
            "v1 endpoint",
            &[("base_url", "\"https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111\"")],
            &["v1"],
        ),
        ("no tenant", &[("base_url", "\"https://login.microsoftonline.com/v2.0\"")], &["tenant is missing"]),
        ("plain http", &[("base_url", "\"http://login.microsoftonline.com/x.example/v2.0\"")], &["https"]),
        (
            "common without a list",
            &[("base_url", "\"https://login.microsoftonline.com/common/v2.0\"")],
            &["allowed_tenants", "every tenant"],
        ),
        ("wrong cloud", &[("cloud", "\"us-gov\"")], &["login.microsoftonline.us"]),
        ("custom cloud without addresses", &[("cloud", "\"custom\"")], &["login_url"]),
        ("unknown key", &[("clientid", "\"x\"")], &["clientid", "did you mean client_id"]),
        ("algorithm none", &[("id_token_algorithms", "[\"none\"]")], &["none", "never"]),
        ("HS256", &[("id_token_algorithms", "[\"HS256\"]")], &["HS256"]),
        ("Entra with ES256", &[("id_token_algorithms", "[\"ES256\"]")], &["RS256 only"]),
        ("scopes without openid", &[("scopes", "[\"email\"]")], &["openid"]),
        ("prompt that isn't one", &[("prompt", "\"always\"")], &["select_account"]),
        ("no secret", &[("secret", "")], &["client_secret_file"]),
        ("secret in the file", &[("secret", ""), ("client_secret", "\"x\"")], &["doesn't belong"]),
        ("secret file absent", &[("secret", ""), ("client_secret_file", "\"none\"")], &["can't be read"]),
        (
            "secret variable absent",
            &[("secret", ""), ("client_secret_env", "\"NO_SUCH_VARIABLE_X\"")],
            &["NO_SUCH_VARIABLE_X"],
        ),
        ("no client id", &[("client_id", "")], &["client_id", "missing"]),
        ("no kind", &[("kind", "")], &["kind", "missing"]),
        ("kind of its own", &[("kind", "\"google\"")], &["microsoft", "oidc"]),
        ("id with a slash", &[("id", "\"a/b\"")], &["a-z"]),
        ("number for a text", &[("client_id", "5")], &["expected a text"]),
        ("certificate", &[("certificate_file", "\"x\"")], &["certificate"]),
        ("directory", &[("directory", "{ enabled = true }")], &["directory"]),
        ("username handling", &[("username_handling", "\"x\"")], &["remove_forbidden"]),
        ("claims of the wrong type", &[("claims", "{ email = \"email\" }")], &["claims.email", "list"]),
        ("unknown claim field", &[("claims", "{ mail = [\"email\"] }")], &["claims.mail"]),
    ];
    for (name, extra, expected) in table {
        let options = HostOptions::default().with_provider(&provider(extra));
        let error =
            TestHost::try_start(options).await.err().unwrap_or_else(|| panic!("{name} is accepted")).to_string();
        for words in *expected {
            assert!(error.contains(words), "{name}: {words:?} isn't in: {error}");
        }
        assert!(error.contains("openid.toml") && error.contains("line "), "{name}: {error}");
    }
}

#[tokio::test]
async fn configurations_of_the_host_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.toml");
    let table: &[(&str, &str, &[&str])] = &[
        ("not TOML", "public_url = \n", &["line 1"]),
        ("nothing", "", &["public_url", "handover.kind", "provider"]),
        ("public_url with a path", "public_url = \"https://a.example/x\"", &["path or query"]),
        ("public_url without TLS", "public_url = \"http://a.example\"", &["isn't https"]),
        ("listen", "listen = \"8080\"", &["ADDRESS:PORT"]),
        ("storage", "[storage]\nurl = \"mysql:x\"", &["storage.url", "line 2", "redb:PATH"]),
        ("no Redis", "[storage]\nurl = \"redis:x\"", &["storage.url", "redis://HOST:PORT/DB"]),
        ("a key that isn't there", "[storage]\nkey_file = \"none\"", &["storage.key_file", "openssl rand -base64 32"]),
        ("no variable of that name", "[storage]\nkey_env = \"OPENID_NONE\"", &["storage.key_env", "OPENID_NONE"]),
        (
            "a former key alone",
            "[storage]\naccept_unencrypted = true",
            &["storage.accept_unencrypted", "without a key"],
        ),
        ("a folder for nothing", "[storage]\nfolder = \".\"", &["storage.folder", "without redis"]),
        ("handover core", "[handover]\nkind = \"core\"", &["handover.url", "handover.token_file", "line 1"]),
        ("unknown table", "[storrage]\nurl = \"x\"", &["storrage", "unknown key"]),
        ("log level", "[log]\nlevel = \"loud\"", &["log.level"]),
        (
            "two providers of one name",
            "[[provider]]\nid = \"a\"\n[[provider]]\nid = \"a\"\n",
            &["kind", "line 4: provider.2.id: two providers have this id: \"a\"", "line 3: provider.2.kind"],
        ),
        (
            "everybody is a trusted proxy",
            "trusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\"]",
            &["line 1: trusted_proxies", "\"0.0.0.0/0\" is everybody", "name the proxies"],
        ),
        ("everybody, by IPv6", "trusted_proxies = [\"::/0\"]", &["\"::/0\" is everybody"]),
    ];
    for (name, text, expected) in table {
        let error = defguard_openid_host::Config::parse(&path, text)
            .err()
            .unwrap_or_else(|| panic!("{name} is accepted"))
            .to_string();
        for words in *expected {
            assert!(error.contains(words), "{name}: {words:?} isn't in: {error}");
        }
    }
}
