//! Answers in the right form that the host must not act upon: browsers sent elsewhere, identities that break the contract
//! or are another provider's, transactions that a trap leaves half-way. Over HTTP, as people meet them.

use conformance::{Browser, TestHost};
use hostile::{SECRET, Server};

/// A provider of the hostile plugin.
fn provider(id: &str, server: &Server, keys: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut table = vec![
        ("id".to_owned(), format!("{id:?}")),
        ("kind".into(), "\"oidc\"".into()),
        ("base_url".into(), format!("{:?}", server.url)),
        ("client_id".into(), "\"client\"".into()),
        ("secret".into(), SECRET.into()),
    ];
    table.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), format!("{value:?}"))));
    table
}

async fn host(server: &Server, lies: &[&str]) -> TestHost {
    let mut options = hostile::options();
    options = options.with_provider(&provider("good", server, &[]));
    for lie in lies {
        options = options.with_provider(&provider(lie, server, &[("lie", lie)]));
    }
    TestHost::start(options).await
}

/// Begins at a provider: the status, the code, and what cookies were set.
async fn begin(browser: &Browser, provider: &str) -> (conformance::Answer, Option<String>) {
    let body = serde_json::json!({ "type": "enrollment", "provider": provider });
    let answer = browser.post_json("/api/v1/openid/auth_info", &body).await;
    let state = answer.json()["url"].as_str().and_then(|url| Some(url.split_once("state=")?.1.to_owned()));
    (answer, state)
}

async fn sign_in(host: &TestHost, provider: &str, code: &str) -> conformance::Answer {
    let browser = Browser::new(&host.url);
    let (begun, state) = begin(&browser, provider).await;
    let state = state.unwrap_or_else(|| panic!("{provider}: {} {}", begun.status, begun.body));
    let body = serde_json::json!({ "type": "enrollment", "code": code, "state": state });
    browser.post_json("/api/v1/openid/callback", &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_sent_to_its_provider_or_nowhere() {
    const REFUSED: &str = "authorization_url_refused";
    const CONTRACT: &str = "plugin_contract_broken";
    let table = [
        ("script", 502, REFUSED),
        ("data", 502, REFUSED),
        ("elsewhere", 502, REFUSED),
        ("userinfo", 502, REFUSED),
        ("port", 502, REFUSED),
        ("header", 500, CONTRACT),
        ("tab", 500, CONTRACT),
        ("long-url", 500, CONTRACT),
        ("state", 500, CONTRACT),
        ("no-state", 500, CONTRACT),
        ("binding", 500, CONTRACT),
        ("huge-url", 500, "plugin_too_much_data"),
        ("checks", 500, "plugin_too_much_data"),
    ];
    let server = Server::start().await;
    let lies: Vec<&str> = table.iter().map(|(lie, ..)| *lie).collect();
    let host = host(&server, &lies).await;
    for (lie, status, code) in table {
        let browser = Browser::new(&host.url);
        let (answer, _) = begin(&browser, lie).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{lie}: {}", answer.body);
        assert!(answer.cookies.is_empty() && answer.location.is_none(), "{lie}: {:?}", answer.cookies);
        let page = browser.look_at(&format!("/openid/start?provider={lie}"), "").await;
        assert_eq!((page.status, page.code().as_str()), (status, code), "{lie}: {}", page.body);
        assert!(page.cookies.is_empty() && page.location.is_none(), "{lie}: {:?}", page.location);
        assert_eq!(sign_in(&host, "good", "ada").await.status, 200, "{lie}: the neighbour");
        // Over HTTP it is in the metrics too.
        let text = host.gateway.metrics().text().unwrap();
        let row = format!("provider=\"{lie}\",step=\"begin\",outcome=\"failed\",code=\"{code}\"}} 2");
        assert!(text.contains(&row), "{lie}: {row} isn't in:\n{text}");
    }
    let text = host.gateway.metrics().text().unwrap();
    for row in [
        "defguard_openid_plugin_failures_total{export=\"begin\",code=\"plugin_contract_broken\"} 12",
        "defguard_openid_plugin_failures_total{export=\"begin\",code=\"plugin_too_much_data\"} 4",
    ] {
        assert!(text.contains(row), "{row} isn't in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_but_true_is_cut_and_lives_no_longer_than_it_may() {
    let server = Server::start().await;
    let host = host(&server, &["forever", "checks-that-fit"]).await;
    let (answer, _) = begin(&Browser::new(&host.url), "forever").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.cookies[0].contains("; Max-Age=3600"), "{:?}", answer.cookies);
    let (answer, _) = begin(&Browser::new(&host.url), "checks-that-fit").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_that_breaks_the_contract_is_nobody() {
    const CONTRACT: &str = "plugin_contract_broken";
    let table = [
        ("empty-subject", CONTRACT),
        ("another-issuer", CONTRACT),
        ("issuer-no-url", CONTRACT),
        ("long-email", CONTRACT),
        ("header-in-email", CONTRACT),
        ("terminal-in-name", CONTRACT),
        ("long-phone", CONTRACT),
        ("control-in-phone", CONTRACT),
        ("long-object", CONTRACT),
        ("attributes", CONTRACT),
        ("control-in-attribute", CONTRACT),
        ("groups", CONTRACT),
        ("control-in-group", CONTRACT),
        ("another-flow", CONTRACT),
        ("huge-email", "plugin_too_much_data"),
    ];
    let server = Server::start().await;
    let lies: Vec<&str> = table.iter().map(|(lie, _)| *lie).collect();
    let host = host(&server, &lies).await;
    for (lie, code) in table {
        let answer = sign_in(&host, lie, "eve").await;
        assert_eq!((answer.status, answer.code().as_str()), (500, code), "{lie}: {}", answer.body);
        assert!(answer.body.len() < 512, "{lie}: {}", answer.body);
        assert_eq!(sign_in(&host, "good", "ada").await.status, 200, "{lie}: the neighbour");
    }
    let audit = host.audit();
    assert!(
        !audit.contains("eve@") && audit.lines().all(|line| line.len() < 8192),
        "nobody is in the audit log as who signed in"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_within_a_transaction_leaves_it_used_and_the_others_alone() {
    let server = Server::start().await;
    let host = host(&server, &["trap-after-take"]).await;
    let browser = Browser::new(&host.url);
    let (_, state) = begin(&browser, "trap-after-take").await;
    let other = Browser::new(&host.url);
    let (_, good_state) = begin(&other, "good").await;
    let body = |state: &Option<String>| serde_json::json!({ "type": "enrollment", "code": "ada", "state": state });
    let cookie = browser.cookies()[0].clone();
    let answer = browser.post_json("/api/v1/openid/callback", &body(&state)).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "plugin_trapped"), "{}", answer.body);
    assert_eq!(server.seen().len(), 0, "no code went to the provider");
    // Once more, with the cookie that the browser had: taken is taken.
    browser.set_cookie(&cookie.0, &cookie.1);
    let again = browser.post_json("/api/v1/openid/callback", &body(&state)).await;
    assert_eq!(again.code(), "transaction_unknown", "{}", again.body);
    // The transaction of somebody else, begun before, is good yet.
    let good = other.post_json("/api/v1/openid/callback", &body(&good_state)).await;
    assert_eq!(good.status, 200, "{}", good.body);
}
