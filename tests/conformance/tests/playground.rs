//! The playground: the page that is built, run by Node, says what the real host says with the real component; and the
//! listener that serves it is off, local or locked.

use std::path::Path;
use std::process::Stdio;

use conformance::service::{Service, run};
use conformance::{Browser, HostOptions, component};
use entra_emulator::fixtures::{self, group};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A service with `[admin]` on a free port; the page is beside the component, where `./build.sh` puts it.
async fn service(settings: &[(&str, &str)], more: &str) -> (Service, String) {
    let page = component().with_file_name("playground");
    assert!(page.join("module.mjs").exists(), "{} isn't there: run `./build.sh playground`", page.display());
    let listen = format!("127.0.0.1:{}", conformance::free_address().port());
    let options = settings.iter().fold(HostOptions::default(), |options, (key, value)| options.set(key, value));
    let more = format!("{more}[admin]\nlisten = \"{listen}\"\n");
    (Service::prepare(HostOptions { more, ..options }).await, format!("http://{listen}"))
}

/// What the page's modules answer to its questions.
async fn evaluate(questions: &[Value]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("playground/evaluate.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .arg(component().with_file_name("playground"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node is there");
    let lines = questions.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n";
    let mut stdin = node.stdin.take().unwrap();
    // Answers are read meanwhile, or the pipes would fill up.
    let writing = async move { stdin.write_all(lines.as_bytes()).await };
    let (written, output) = tokio::join!(writing, node.wait_with_output());
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(written.is_ok() && output.status.success(), "{errors}");
    let answers: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len(), "{errors}");
    answers
}

/// The configuration that a page begins with.
async fn preloaded(address: &str) -> String {
    let page = Browser::new(address).get("/admin/playground/").await;
    assert_eq!(page.status, 200, "{}", page.body);
    serde_json::from_str(&page.element("running")).unwrap_or_else(|error| panic!("{error}: {}", page.body))
}

#[tokio::test]
async fn the_page_says_of_people_what_map_says() {
    let rules =
        format!("[{{ name = \"VPN\", require = \"contains(groups, '{}')\", message = \"Ask.\" }}]", group::VPN_USERS);
    let settings = [
        ("display_name", "\"Sign in & <go>\""),
        ("groups.source", "\"claim\""),
        ("policy.rules", rules.as_str()),
        ("claims.transforms.given_name", "[\"uppercase\"]"),
        ("claims.attributes", "{ department = [\"jmespath:upper(dept)\"] }"),
    ];
    let (service, address) = service(&settings, "").await;
    let _running = service.spawn().await;
    let configuration = preloaded(&address).await;
    let person = |more: Value| {
        let mut claims = json!({ "email": "ada@contoso.example", "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace", "dept": "r&d" });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let ask = |input: &Value| json!({ "configuration": configuration, "provider": 0, "input": input.to_string() });
    let example = |name: &str| json!({ "configuration": configuration, "provider": 0, "example": name });
    let table = [
        ("a member", ask(&person(json!({ "acct": 0, "groups": [group::VPN_USERS] }))), "let_in"),
        ("not in the group", ask(&person(json!({ "groups": [group::STAFF] }))), "refused"),
        ("a guest", ask(&person(json!({ "acct": 1, "groups": [group::VPN_USERS] }))), "refused"),
        ("groups unknown", ask(&json!({ "claims": person(json!({})), "groups_unknown": "403" })), "refused"),
        ("without an address", ask(&json!({ "name": "Ada" })), "refused"),
        ("the example of a member", example("member"), "refused"), // whose group is another
        ("the example of a guest", example("guest"), "refused"),
        ("the example of overage", example("overage"), "let_in"),
        ("the example of a personal account", example("personal"), "refused"),
    ];
    let questions: Vec<Value> = table.iter().map(|(_, question, _)| question.clone()).collect();
    for ((name, _, outcome), answer) in table.iter().zip(evaluate(&questions).await) {
        assert_eq!(answer["checked"]["problems"], json!([]), "{name}: {answer}");
        let file = service.folder.path().join("claims.json");
        std::fs::write(&file, answer["input"].as_str().unwrap_or_else(|| panic!("{name}: {answer}"))).unwrap();
        let (_, out, err) =
            run(&["map", "--config", &service.config(), "--claims", file.to_str().unwrap(), "--json"]).await;
        let map: Value = serde_json::from_str(out.lines().last().unwrap_or_else(|| panic!("{name}: {err}"))).unwrap();
        assert_eq!(answer["played"]["preview"], map, "{name}");
        assert_eq!(map["outcome"], *outcome, "{name}: {map}");
    }
}

#[tokio::test]
async fn the_page_finds_the_problems_that_check_finds() {
    let sample = "[[provider.sample]]\nname = \"Ada\"\nclaims = { email = \"ada@contoso.example\" }\nexpect = { username = \"ada\" }\n";
    for (name, settings, more) in [
        ("a sample that fails", vec![], sample),
        ("an unknown key", vec![("clientid", "\"x\"")], ""),
        (
            "several",
            vec![("prompt", "\"always\""), ("policy.rules", "[{ name = \"r\", require = \"contains(groups\" }]")],
            sample,
        ),
        ("a warning alone", vec![("login_hint", "\" ada\"")], ""),
    ] {
        let (service, _) = service(&settings, more).await;
        let configuration = std::fs::read_to_string(service.config()).unwrap();
        let answers = evaluate(&[json!({ "configuration": configuration, "provider": 0, "input": "" })]).await;
        let problems = answers[0]["checked"]["problems"].as_array().unwrap();
        assert!(!problems.is_empty() && answers[0]["played"].is_null(), "{name}: {answers:?}");
        let (code, out, err) = run(&["check", "--config", &service.config()]).await;
        let usable = answers[0]["checked"]["usable"] == true;
        assert_eq!(code, Some(i32::from(!usable)), "{name}: {out}{err}");
        let told = format!("{out}{err}");
        for problem in problems {
            let text = |key: &str| problem[key].as_str().unwrap().to_owned();
            let line = format!("line {}: provider.entra.{}: {}", problem["line"], text("path"), text("message"));
            assert!(told.contains(&line), "{name}: {line:?} isn't in: {told}");
        }
    }
}

/// What is pasted may be anything: the module answers, and goes on answering.
#[tokio::test]
async fn the_page_survives_what_is_pasted() {
    let configuration =
        "[[provider]]\nid = \"op\"\nkind = \"oidc\"\nbase_url = \"https://op.example\"\nclient_id = \"x\"\n";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!("{{\"email\": {}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let rule = |expression: &str| {
        format!("{configuration}[[provider.policy.rules]]\nname = \"r\"\nrequire = {expression:?}\n")
    };
    let table = [
        ("nesting in TOML", format!("x = {deep}"), "{}".to_owned()),
        ("nesting in the claims", configuration.to_owned(), nested),
        ("a list without end", configuration.to_owned(), deep),
        ("a long expression", rule(&"(".repeat(50_000)), "{}".to_owned()),
        (
            "an expression that multiplies",
            rule("length([*][*][*][*][*][*][*][*])> `1`"),
            json!({ "email": "a@b.example" }).to_string(),
        ),
        (
            "other alphabets",
            format!("{configuration}# \u{0}\u{feff}ø𝒳"),
            "{\"email\": \"ø\u{2028}𝒳@x.example\"}".to_owned(),
        ),
        ("a megabyte", "a".repeat(1 << 20), "b".repeat(1 << 20)),
        ("something good", configuration.to_owned(), json!({ "email": "ada@op.example" }).to_string()),
    ];
    let questions: Vec<Value> = table
        .iter()
        .map(|(_, configuration, input)| json!({ "configuration": configuration, "provider": 0, "input": input }))
        .collect();
    let answers = evaluate(&questions).await;
    for ((name, ..), answer) in table.iter().zip(&answers) {
        assert!(answer["checked"].is_object() && answer["played"].is_object(), "{name}: {answer}");
    }
    assert_eq!(answers.last().unwrap()["played"]["preview"]["outcome"], "let_in");
}

#[tokio::test]
async fn it_is_off_unless_it_is_configured() {
    let service = Service::prepare(HostOptions::default()).await;
    let _running = service.spawn().await;
    for path in ["/admin/playground", "/admin/playground/", "/admin/playground/module.mjs"] {
        assert_eq!(Browser::new(&service.url).get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn it_is_served_on_a_listener_of_its_own() {
    let (service, address) = service(&[("display_name", "\"</script><b>\"")], "").await;
    let _running = service.spawn().await;
    let admin = Browser::new(&address);
    let page = admin.get("/admin/playground/").await;
    let csp = page.headers.iter().find(|(name, _)| name == "content-security-policy").map(|(_, value)| value.as_str());
    assert!(csp.is_some_and(|csp| csp.contains("default-src 'none'") && csp.contains("connect-src 'none'")), "{csp:?}");
    assert_eq!(page.body.matches("</script>").count(), 2, "what is configured ends no element: {}", page.body);
    // Everything that the page names is there.
    for file in ["style.css", "page.mjs", "examples.mjs", "worker.mjs", "evaluator.mjs", "openid.mjs", "module.mjs"] {
        assert_eq!(admin.get(&format!("/admin/playground/{file}")).await.status, 200, "{file}");
    }
    // Neither listener serves what is the other's.
    assert_eq!(admin.get("/openid/sign-in").await.status, 404);
    assert_eq!(Browser::new(&service.url).get("/admin/playground/").await.status, 404);
    // The credential stays where it is: neither its value nor its place is in the page.
    for secret in [fixtures::CLIENT_SECRET, "client_secret_file", "secret-0"] {
        let running: String = serde_json::from_str(&page.element("running")).unwrap();
        assert!(!running.contains(secret) && !page.body.contains(secret), "{secret}: {}", page.body);
    }
    let rebound = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer =
        rebound.get(format!("{address}/admin/playground/")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(answer.status(), 421);
}

#[tokio::test]
async fn it_needs_a_password_where_others_can_connect_and_a_page_to_serve() {
    for (name, lines, expected) in [
        ("no password", "listen = \"0.0.0.0:0\"\nnames = [\"admin.example\"]", "admin.password_file"),
        ("no page", "playground = \"none\"", "admin.playground"),
    ] {
        let service =
            Service::prepare(HostOptions { more: format!("[admin]\n{lines}\n"), ..HostOptions::default() }).await;
        for command in ["check", "serve"] {
            let (code, out, err) = run(&[command, "--config", &service.config()]).await;
            assert!(code == Some(1) && err.contains(expected), "{name}, {command}: {out}{err}");
        }
    }
}
