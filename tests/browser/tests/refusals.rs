//! Sign-ins that don't end well: what the person reads, and that going on from there works.

use browser_tests::{Chrome, Settings};
use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};

use crate::{pick, to_the_picker};

/// The refusal page says all that it must.
async fn refused(chrome: &Chrome, name: &str, code: &str) -> String {
    let found = chrome.text("#code").await;
    assert_eq!(found, code, "{name}");
    for part in ["#message", "#advice", "#trace", "#retry"] {
        assert!(!chrome.text(part).await.is_empty(), "{name}: {part}");
    }
    chrome.text("#message").await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_is_explained() {
    let table = [
        (person::CANCELS, "login_cancelled", "You cancelled the sign-in."),
        (person::ADMIN_CONSENT, "access_denied", "approved first"),
        (person::NOT_CONSENTED, "consent_required", "approved first"),
        (person::DECLINES, "access_denied", "approved first"),
        (person::MFA, "interaction_required", "second factor"),
        (person::BLOCKED, "access_denied", "access rules"),
        (person::DISABLED, "access_denied", "disabled or locked"),
        (person::GUEST, "guest_not_allowed", "Guest accounts"),
    ];
    let stack = Entra::plain().await;
    let chrome = Chrome::plain().await;
    for (person, code, words) in table {
        to_the_picker(&chrome, &stack).await;
        pick(&chrome, person).await;
        let message = refused(&chrome, person, code).await;
        assert!(message.contains(words), "{person}: {message}");
        chrome.accessible(&format!("refused-{person}")).await;
    }
    // From a refusal it goes on.
    chrome.click("#retry").await;
    chrome.click("#providers a").await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.text("#token").await.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_german() {
    let stack = Entra::plain().await;
    let chrome = Chrome::start(Settings { language: "de", ..Settings::default() }).await;
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::BLOCKED).await;
    let message = refused(&chrome, "german", "access_denied").await;
    assert!(message.starts_with("Die Zugriffsregeln Ihrer Organisation"), "{message}");
    chrome.accessible("refused-german").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_took_too_long() {
    let stack = Entra::plain().await;
    let chrome = Chrome::plain().await;
    to_the_picker(&chrome, &stack).await;
    stack.host.clock.advance(11 * 60);
    pick(&chrome, person::ADA).await;
    refused(&chrome, "expired", "transaction_unknown").await;
    chrome.click("#retry").await;
    chrome.click("#providers a").await;
    // The provider's clock and the host's are apart now; that is not what this is about.
    assert_eq!(chrome.heading().await, "Pick an account");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_back_button_spoils_nothing() {
    let stack = Entra::plain().await;
    let chrome = Chrome::plain().await;
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.text("#token").await.len(), 32);
    chrome.driver().back().await.unwrap();
    // The progress page isn't in the history: back is where the person was picked.
    assert_eq!(chrome.heading().await, "Pick an account");
    pick(&chrome, person::ADA).await;
    refused(&chrome, "the same sign-in again", "transaction_unknown").await;
    chrome.click("#retry").await;
    chrome.click("#providers a").await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.text("#token").await.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_blocked() {
    let stack = Entra::plain().await;
    let chrome = Chrome::start(Settings { without_cookies: true, ..Settings::default() }).await;
    to_the_picker(&chrome, &stack).await;
    pick(&chrome, person::ADA).await;
    let message = refused(&chrome, "no cookies", "browser_mismatch").await;
    assert!(message.contains("cookies are blocked"), "{message}");
    assert!(chrome.text("#advice").await.contains("allow cookies"), "what to do");
    chrome.accessible("refused-cookies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_down() {
    let stack = Entra::start(HostOptions::default()).await;
    let chrome = Chrome::plain().await;
    to_the_picker(&chrome, &stack).await;
    let fault = Fault::new(FaultAction::Status { status: 503, retry_after: None, html: false });
    stack.entra.control().add_fault(fault.on(Side::Login).path("*/token"));
    pick(&chrome, person::ADA).await;
    let message = refused(&chrome, "down", "provider_error").await;
    assert!(message.contains("has a problem right now"), "{message}");
}
