//! The pages in Chromium: what people do, in the order in which they do it.

mod core;
mod playground;
mod refusals;
mod sign_in;

use browser_tests::Chrome;
use conformance::Entra;

/// From the sign-in page to the emulator's picker.
async fn to_the_picker(chrome: &Chrome, stack: &Entra) {
    chrome.open(&format!("{}/openid/sign-in", stack.host.url)).await;
    chrome.click("#providers a").await;
    // The emulator's.
    chrome.element("a[href*='x_user=']").await;
}

/// Picks a person there.
async fn pick(chrome: &Chrome, person: &str) {
    chrome.click(&format!("a[href$='x_user={person}']")).await;
}
