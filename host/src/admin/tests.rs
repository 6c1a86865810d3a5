//! The listener as a browser, a stranger and a rebound name see it.
#![expect(clippy::type_complexity, reason = "tables")]

use std::net::SocketAddr;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tower::ServiceExt as _;

use super::*;
use crate::config::{AdminConfig, Config, Secret};

const PASSWORD: &str = "correct-horse-battery";
const PAGE: &str = "<!DOCTYPE html><script type=\"application/json\" id=\"running\">\"\"</script>";

fn config() -> Config {
    let text = "public_url = \"https://enroll.example\"\n[handover]\nkind = \"local\"\n[[provider]]\nkind = \"oidc\"\nid = \"op\"\n\
                base_url = \"https://op.example\"\nclient_id = \"x\"\nclient_secret_env = \"CARGO_PKG_NAME\"\n\
                client_secret_expires = 2099-01-31\nallowed_origins = [\"https://tokens.op.example\"]\n\
                display_name = \"</script><script>alert(1)</script><!-- & \\u2028\"\n\
                [[provider.approved_link]]\nidentity = \"subject-7\"\naccount = \"ada\"\n\
                [[provider.policy.rules]]\nname = \"r\"\nrequire = \"email != 'x'\"\n\
                [[provider.sample]]\nname = \"s\"\nclaims = { email = \"a@b.example\" }\nexpect = { email = \"a@b.example\" }\n";
    Config::parse("openid.toml".as_ref(), text).unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), PAGE).unwrap();
    for name in ["style.css", "page.mjs", "examples.mjs", "worker.mjs", "evaluator.mjs", "openid.mjs", "module.mjs"] {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    folder
}

fn admin(listen: &str, names: &[&str], password: Option<&str>) -> AdminConfig {
    AdminConfig {
        listen: listen.parse::<SocketAddr>().unwrap(),
        playground: Path::new("unused").to_path_buf(),
        names: names.iter().map(|name| url::Host::parse(name).unwrap()).collect(),
        password: password.map(Secret::new),
    }
}

fn app(admin: &AdminConfig) -> Router {
    router(admin, Site::load(folder().path(), &config()).unwrap()).unwrap()
}

async fn send(app: &Router, method: Method, path: &str, headers: &[(&str, &str)]) -> (Response<()>, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// Name, listener, names, `Host` headers, status.
#[tokio::test]
async fn the_host_header_names_this_listener() {
    let table: &[(&str, &str, &[&str], &[&str], u16)] = &[
        ("the address", "127.0.0.1:9466", &[], &["127.0.0.1:9466"], 200),
        ("the address through a tunnel", "127.0.0.1:9466", &[], &["127.0.0.1:8000"], 200),
        ("the address without a port", "127.0.0.1:80", &[], &["127.0.0.1"], 200),
        ("the name that is always this machine", "127.0.0.1:9466", &[], &["localhost:9466"], 200),
        ("in capitals", "127.0.0.1:9466", &[], &["LOCALHOST"], 200),
        ("the address of IPv6", "[::1]:9466", &[], &["[::1]:9466"], 200),
        ("written out", "[::1]:9466", &[], &["[0:0:0:0:0:0:0:1]:9466"], 200),
        ("a configured name", "0.0.0.0:9466", &["admin.example"], &["admin.example"], 200),
        ("a configured name with a port", "0.0.0.0:9466", &["Admin.example"], &["ADMIN.EXAMPLE:443"], 200),
        ("a configured address", "0.0.0.0:9466", &["192.0.2.7"], &["192.0.2.7:9466"], 200),
        ("a stranger's name that points here", "127.0.0.1:9466", &[], &["evil.example:9466"], 421),
        ("a name that begins like ours", "127.0.0.1:9466", &["admin.example"], &["admin.example.evil.example"], 421),
        ("a name that ends like ours", "127.0.0.1:9466", &["admin.example"], &["evil-admin.example"], 421),
        ("another address of this machine", "127.0.0.1:9466", &[], &["127.0.0.2:9466"], 421),
        ("localhost, of a listener that isn't", "192.0.2.7:9466", &[], &["localhost:9466"], 421),
        ("the unspecified address", "0.0.0.0:9466", &["admin.example"], &["0.0.0.0:9466"], 421),
        ("with user information", "127.0.0.1:9466", &[], &["127.0.0.1@evil.example"], 421),
        ("user information that is ours", "127.0.0.1:9466", &[], &["evil.example@127.0.0.1"], 421),
        ("two of them", "127.0.0.1:9466", &[], &["127.0.0.1:9466", "evil.example"], 421),
        ("none", "127.0.0.1:9466", &[], &[], 421),
        ("empty", "127.0.0.1:9466", &[], &[""], 421),
        ("no name at all", "127.0.0.1:9466", &[], &["127.0.0.1:9466/x"], 421),
    ];
    for (name, listen, names, hosts, status) in table {
        let app = app(&admin(listen, names, None));
        let hosts: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let (response, body) = send(&app, Method::GET, PLAYGROUND_PATH, &hosts).await;
        assert_eq!(response.status(), *status, "{name}: {body}");
        assert_eq!(body.contains("op.example"), *status == 200, "{name}: {body}");
    }
}

/// Name, `Authorization` headers, status.
#[tokio::test]
async fn the_password_if_there_is_one() {
    let good = basic(&format!("admin:{PASSWORD}"));
    let lower = good.replace("Basic", "basic");
    let table: &[(&str, Vec<String>, u16)] = &[
        ("right", vec![good.clone()], 200),
        ("the scheme in small letters", vec![lower], 200),
        ("none", vec![], 401),
        ("another password", vec![basic("admin:correct-horse-batterz")], 401),
        ("the beginning of it", vec![basic("admin:correct-horse")], 401),
        ("more than it", vec![basic(&format!("admin:{PASSWORD}x"))], 401),
        ("with a line break", vec![basic(&format!("admin:{PASSWORD}\n"))], 401),
        ("no password", vec![basic("admin:")], 401),
        ("another user", vec![basic(&format!("root:{PASSWORD}"))], 401),
        ("no user", vec![basic(&format!(":{PASSWORD}"))], 401),
        ("nothing", vec![basic("")], 401),
        ("another scheme", vec![good.replace("Basic", "Bearer")], 401),
        ("no scheme", vec![good.replace("Basic ", "")], 401),
        ("not base64", vec!["Basic admin:correct-horse-battery".into()], 401),
        ("two of them", vec![good.clone(), good.clone()], 401),
    ];
    let app = app(&admin("192.0.2.7:9466", &[], Some(PASSWORD)));
    for (name, values, status) in table {
        for path in [PLAYGROUND_PATH, "/admin/playground", "/admin/playground/page.mjs", "/none"] {
            let mut headers = vec![("host", "192.0.2.7:9466")];
            headers.extend(values.iter().map(|value| ("authorization", value.as_str())));
            let (response, body) = send(&app, Method::GET, path, &headers).await;
            if *status == 401 {
                assert_eq!(response.status(), 401, "{name} {path}: {body}");
                let challenge = response.headers()["www-authenticate"].to_str().unwrap();
                assert!(challenge.starts_with("Basic realm="), "{name} {path}: {challenge}");
                assert!(!body.contains("op.example") && !body.contains(PASSWORD), "{name} {path}: {body}");
            } else {
                assert_ne!(response.status(), 401, "{name} {path}: {body}");
            }
        }
    }
    // Whoever has the password still has to call it by its name.
    let (response, _) =
        send(&app, Method::GET, PLAYGROUND_PATH, &[("host", "evil.example"), ("authorization", &good)]).await;
    assert_eq!(response.status(), 421);
}

/// A proxy on the same machine is a caller on loopback: name, password, header, status.
#[tokio::test]
async fn a_proxy_doesnt_open_it_to_others() {
    let good = basic(&format!("admin:{PASSWORD}"));
    let table: &[(&str, Option<&str>, (&str, &str), u16)] = &[
        ("a browser", None, ("accept", "text/html"), 200),
        ("nginx, as it is often set up", None, ("x-real-ip", "192.0.2.9"), 403),
        ("Caddy, Traefik", None, ("x-forwarded-for", "192.0.2.9"), 403),
        ("who it was called as", None, ("x-forwarded-host", "admin.example"), 403),
        ("RFC 7239", None, ("forwarded", "for=192.0.2.9"), 403),
        ("RFC 9110", None, ("via", "1.1 proxy"), 403),
        ("with a password", Some(PASSWORD), ("x-forwarded-for", "192.0.2.9"), 200),
    ];
    for (name, password, header, status) in table {
        let app = app(&admin("127.0.0.1:9466", &[], *password));
        let headers = [("host", "127.0.0.1:9466"), ("authorization", good.as_str()), *header];
        let (response, body) = send(&app, Method::GET, PLAYGROUND_PATH, &headers).await;
        assert_eq!(response.status(), *status, "{name}: {body}");
        assert_eq!(body.contains("op.example"), *status == 200, "{name}: {body}");
        assert_eq!(body.contains("password_file"), *status == 403, "{name}: {body}");
    }
}

/// Method, path, status, media type.
#[tokio::test]
async fn the_page_and_its_files_and_nothing_else() {
    let table: &[(Method, &str, u16, &str)] = &[
        (Method::GET, "/admin/playground/", 200, "text/html; charset=utf-8"),
        (Method::GET, "/admin/playground/index.html", 200, "text/html; charset=utf-8"),
        (Method::GET, "/admin/playground/style.css", 200, "text/css; charset=utf-8"),
        (Method::GET, "/admin/playground/worker.mjs", 200, "text/javascript; charset=utf-8"),
        (Method::GET, "/admin/playground/module.mjs", 200, "text/javascript; charset=utf-8"),
        (Method::HEAD, "/admin/playground/", 200, "text/html; charset=utf-8"),
        (Method::GET, "/admin/playground", 308, ""),
        (Method::GET, "/admin/playground/none.mjs", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/admin/playground/..%2fopenid.toml", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/admin/playground/%2e%2e/openid.toml", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/admin/playground/providers.json", 404, "text/plain; charset=utf-8"),
        (Method::POST, "/admin/playground/", 405, ""),
        (Method::GET, "/", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/metrics", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/openid/sign-in", 404, "text/plain; charset=utf-8"),
    ];
    let app = app(&admin("127.0.0.1:9466", &[], None));
    for (method, path, status, media_type) in table {
        let (response, body) = send(&app, method.clone(), path, &[("host", "127.0.0.1:9466")]).await;
        let headers = response.headers();
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(
            (response.status().as_u16(), header("content-type")),
            (*status, *media_type),
            "{method} {path}: {body}"
        );
        let csp = header("content-security-policy");
        for part in [
            "default-src 'none';",
            "script-src 'self' 'wasm-unsafe-eval';",
            "connect-src 'none';",
            "form-action 'none';",
            "require-trusted-types-for 'script';",
            "frame-ancestors 'none'",
        ] {
            assert!(csp.contains(part), "{method} {path}: {part} isn't in {csp}");
        }
        assert!(!csp.contains("'unsafe-inline'") && !csp.contains("'unsafe-eval'"), "{method} {path}: {csp}");
        let fixed = ["cache-control", "x-content-type-options", "cross-origin-resource-policy"].map(header);
        assert_eq!(fixed, ["no-store", "nosniff", "same-origin"], "{method} {path}");
        assert_eq!(header("location"), if *status == 308 { PLAYGROUND_PATH } else { "" }, "{method} {path}");
    }
}

#[tokio::test]
async fn the_running_configuration_without_what_is_the_hosts() {
    let app = app(&admin("127.0.0.1:9466", &[], None));
    let (_, page) = send(&app, Method::GET, PLAYGROUND_PATH, &[("host", "127.0.0.1")]).await;
    let (before, after) = PAGE.split_once("\"\"").unwrap();
    let json = page.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or_else(|| panic!("{page}"));
    assert!(!json.contains(['<', '>', '&']), "nothing ends the element: {json}");
    let text: String = serde_json::from_str(json).unwrap();
    for absent in [
        "client_secret",
        "CARGO_PKG_NAME",
        env!("CARGO_PKG_NAME"),
        "2099",
        "allowed_origins",
        "tokens.op.example",
        "subject-7",
    ] {
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(!values.join("\n").contains(absent), "{absent} is in: {text}");
    }
    let table: toml::Table = text.parse().unwrap();
    let provider = table["provider"][0].as_table().unwrap();
    assert_eq!(
        provider.keys().map(String::as_str).collect::<Vec<_>>()[..2],
        ["kind", "id"],
        "the written order: {text}"
    );
    let json = provider_table::component_json(provider, false).unwrap();
    assert_eq!(json, config().providers[0].component_json, "the component would get the same");
}

/// Name, what is done to the folder, a part of the error.
#[test]
fn a_page_that_is_not_there_is_said_at_start() {
    let table: &[(&str, fn(&Path), &str)] = &[
        ("no module", |folder| std::fs::remove_file(folder.join("module.mjs")).unwrap(), "module.mjs can't be read"),
        (
            "a folder for a file",
            |folder| {
                std::fs::remove_file(folder.join("style.css")).unwrap();
                std::fs::create_dir(folder.join("style.css")).unwrap();
            },
            "style.css can't be read",
        ),
        ("not text", |folder| std::fs::write(folder.join("page.mjs"), [0xff]).unwrap(), "page.mjs can't be read"),
        (
            "another version's page",
            |folder| std::fs::write(folder.join("index.html"), "<html>").unwrap(),
            "isn't of this version",
        ),
    ];
    for (name, spoil, expected) in table {
        let folder = folder();
        spoil(folder.path());
        let error = Site::load(folder.path(), &config()).err().unwrap_or_else(|| panic!("{name}: it is loaded"));
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

/// What the repository's own page says in its head is what the header says, but for framing.
#[test]
fn the_page_says_the_same_policy() {
    let page = include_str!("../../../plugin/playground/page/index.html");
    let said = format!("content=\"{}\"", PLAYGROUND_CSP.replace("; frame-ancestors 'none'", ""));
    assert!(page.contains(&said), "{said}");
    // The mark is where the running configuration goes: the page that is built can be served.
    let folder = folder();
    std::fs::write(folder.path().join("index.html"), page).unwrap();
    Site::load(folder.path(), &config()).unwrap();
}
