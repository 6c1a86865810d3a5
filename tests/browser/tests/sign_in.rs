//! Sign-ins that end well.

use std::time::Duration;

use browser_tests::{Chrome, Settings};
use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};
use serde_json::{Value, json};

use crate::{pick, to_the_picker};

/// Who is behind the token of the result page.
async fn identity(chrome: &Chrome, stack: &Entra) -> Value {
    let token = chrome.text("#token").await;
    let answer = stack.browser().post_json("/api/v1/openid/local/redeem", &json!({ "token": token })).await;
    answer.json()["identity"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_button_to_the_result() {
    let stack = Entra::start(HostOptions::default().set("guests", "true")).await;
    let chrome = Chrome::plain().await;
    chrome.open(&format!("{}/openid/sign-in", stack.host.url)).await;
    assert_eq!(chrome.text("#providers a").await, "Sign in with Microsoft");
    chrome.accessible("sign-in").await;
    for (person, email) in [
        (person::ADA, "ada@contoso.example"),
        (person::GUEST, "grace@fabrikam.example"),
        (person::NO_NAMES, ""),
        (person::NO_MAIL, ""),
        (person::MAIL_IN_USERINFO, ""),
        (person::UNICODE, ""),
    ] {
        to_the_picker(&chrome, &stack).await;
        pick(&chrome, person).await;
        let token = chrome.text("#token").await;
        assert_eq!(chrome.heading().await, "You are signed in", "{person}");
        let link = chrome.element("#open-client").await.attr("href").await.unwrap().unwrap();
        assert!(link.starts_with(&format!("defguard://addinstance?token={token}&url=http")), "{person}: {link}");
        assert!(chrome.has("#qr svg").await, "{person}");
        let identity = identity(&chrome, &stack).await;
        let found = identity["email"].as_str().unwrap_or_default();
        assert!(found.contains('@') && (email.is_empty() || found == email), "{person}: {identity}");
        let cookies = chrome.driver().get_all_cookies().await.unwrap();
        assert!(cookies.is_empty(), "{person}: the cookie is gone: {cookies:?}");
    }
    chrome.accessible("signed-in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_end_in_any_order() {
    let stack = Entra::plain().await;
    let chrome = Chrome::plain().await;
    to_the_picker(&chrome, &stack).await;
    let first = chrome.driver().window().await.unwrap();
    let second = chrome.driver().new_tab().await.unwrap();
    chrome.driver().switch_to_window(second.clone()).await.unwrap();
    to_the_picker(&chrome, &stack).await;
    chrome.driver().switch_to_window(first).await.unwrap();
    pick(&chrome, person::ADA).await;
    let ada = identity(&chrome, &stack).await;
    chrome.driver().switch_to_window(second).await.unwrap();
    pick(&chrome, person::UNICODE).await;
    let other = identity(&chrome, &stack).await;
    assert_ne!(ada["object_id"], Value::Null);
    assert_ne!(ada["object_id"], other["object_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_another_site_sends() {
    let stack = Entra::start(HostOptions::default().set("response_mode", "\"form_post\"")).await;
    let chrome = Chrome::plain().await;
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.heading().await, "You are signed in");
    let address = chrome.driver().current_url().await.unwrap();
    assert_eq!(address.query(), None, "a form keeps the code out of the address");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shown_while_the_provider_is_slow() {
    let stack = Entra::plain().await;
    let slow = Fault::new(FaultAction::Delay { delay_ms: 4000 }).on(Side::Login).path("*/token");
    stack.entra.control().add_fault(slow);
    let chrome = Chrome::plain().await;
    // WebDriver waits for the page that is being loaded: the page itself remembers what was there before.
    chrome
        .on_each_page(
            "addEventListener('DOMContentLoaded', () => {
                 if (document.querySelector('#progress')) sessionStorage.seen = document.querySelector('h1').textContent;
             })",
        )
        .await;
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.text("#token").await.len(), 32);
    assert_eq!(chrome.evaluate("sessionStorage.seen").await, json!("Signing you in"));
    // And once more, to stop there and look around.
    chrome
        .on_each_page(
            "addEventListener('load', () => {
                 if (document.querySelector('#progress')) setTimeout(() => window.stop(), 50);
             })",
        )
        .await;
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::ADA).await;
    chrome.element("#progress").await;
    chrome.accessible("progress").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_to_the_provider_is_late() {
    // Defguard #1640
    let stack = Entra::start(HostOptions::default().set("groups", "{ source = \"directory\" }")).await;
    for side in [Side::Login, Side::Graph] {
        stack.entra.control().add_fault(Fault::new(FaultAction::Delay { delay_ms: 4000 }).on(side).path("*"));
    }
    let chrome = Chrome::plain().await;
    chrome.driver().set_page_load_timeout(Duration::from_mins(1)).await.unwrap();
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::IN_GROUPS).await;
    assert_eq!(chrome.text("#token").await.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_and_in_german() {
    let stack = Entra::plain().await;
    let settings = Settings { language: "de-AT", without_scripts: true, ..Settings::default() };
    let chrome = Chrome::start(settings).await;
    chrome.open(&format!("{}/openid/sign-in", stack.host.url)).await;
    assert_eq!(chrome.heading().await, "Anmelden und einrichten");
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.text("#token").await.len(), 32);
    assert_eq!(chrome.heading().await, "Sie sind angemeldet");
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_copy_what_stands_beside_them() {
    let stack = Entra::plain().await;
    let chrome = Chrome::plain().await;
    let all = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": stack.host.url });
    chrome.driver().cdp().send_raw("Browser.grantPermissions", all).await.unwrap();
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::ADA).await;
    let token = chrome.text("#token").await;
    chrome.click("button[data-copies=token]").await;
    let read = "const done = arguments[arguments.length - 1]; navigator.clipboard.readText().then(done, (e) => done(String(e)))";
    let copied = chrome.driver().execute_async(read, Vec::new()).await.unwrap().json().clone();
    assert_eq!(copied, json!(token));
}
