//! The administrators' playground: what is written is looked at as it is written, and nothing of it leaves the page.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use browser_tests::Chrome;
use conformance::HostOptions;
use conformance::service::Service;
use entra_emulator::fixtures::group;
use serde_json::{Value, json};
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
        let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let more = format!("[admin]\nlisten = \"{listen}\"\n");
        let options = HostOptions { more, ..HostOptions::default() }.set("groups.source", "\"claim\"");
        let service = Service::prepare(options).await;
        let running = service.spawn().await;
        let chrome = Chrome::plain().await;
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
    chrome.evaluate("new Promise(done => setInterval(() => document.getElementById('identity-given_name')?.textContent === 'ADA' && done(), 20))").await;
    let policy = format!(
        "{running}[[provider.policy.rules]]\nname = \"VPN\"\nrequire = \"contains(groups, '{}')\"\nmessage = \"Ask.\"\n",
        group::STAFF
    );
    playground.paste("configuration", &policy).await;
    playground.says("would be refused: policy_refused").await;
    assert_eq!(chrome.text("#refusal-message").await, "Ask.");
    assert!(chrome.text("#checks").await.contains("VPN"), "the rule is named");
    chrome.accessible("playground-refused").await;

    // A mistake: its key, its line, and what to do; and the line is one click away.
    playground
        .paste("configuration", &running.replace("kind = \"microsoft\"", "kind = \"microsoft\"\nclientid = \"x\""))
        .await;
    playground.says("1 error").await;
    let problems = chrome.text("#problems").await;
    assert!(problems.contains("clientid") && problems.contains("client_id"), "{problems}");
    chrome.click("#problems button.line").await;
    let marked = "(() => { const area = document.getElementById('configuration'); return area.value.slice(area.selectionStart, area.selectionEnd); })()";
    assert!(chrome.evaluate(marked).await.as_str().is_some_and(|line| line.contains("clientid")), "the line is marked");
    chrome.accessible("playground-problem").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_decoded_and_goes_nowhere() {
    let playground = Playground::open().await;
    let chrome = &playground.chrome;
    let loaded = chrome.evaluate("performance.getEntriesByType('resource').length").await;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "kid": "k" })), part(&ada()));
    playground.paste("input", &token).await;
    playground.says("would be let in").await;
    assert!(chrome.text("#token-note").await.starts_with("Decoded, not verified."));
    assert_eq!(chrome.text("#identity-username").await, "adacontoso.example");
    chrome.click("details summary").await;
    assert!(chrome.text("#header").await.contains("RS256"));
    chrome.accessible("playground-token").await;
    // Whatever script there is in the page, it can't send anything.
    assert_eq!(chrome.evaluate("performance.getEntriesByType('resource').length").await, loaded, "nothing was loaded");
    let ways = [
        "fetch('/').then(() => 'sent', () => 'refused')",
        "fetch('https://example.com/').then(() => 'sent', () => 'refused')",
        "new Promise(done => { const to = new WebSocket('ws://127.0.0.1:1'); to.onopen = () => done('sent'); to.onerror = () => done('refused'); })",
        "navigator.sendBeacon('/x', 'secret') ? new Promise(done => addEventListener('securitypolicyviolation', () => done('refused')) || setTimeout(done, 5000, 'sent')) : 'refused'",
        "new Promise(done => { const picture = new Image(); picture.onload = () => done('sent'); picture.onerror = () => done('refused'); picture.src = '/openid/assets/x.svg'; })",
    ];
    for way in ways {
        let told = format!("(() => {{ try {{ return {way}; }} catch {{ return 'refused'; }} }})()");
        let answer = chrome.evaluate(&told).await;
        assert_eq!(answer, "refused", "{way}");
    }
    // Nothing is kept either.
    chrome.open(&playground.url).await;
    playground.says("The configuration is good.").await;
    assert_eq!(playground.written("input").await, "");
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
    chrome.evaluate("new Promise(done => setInterval(() => document.querySelectorAll('#provider option').length === 2 && done(), 20))").await;
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
}
