//! The whole click path, from the button to a user in Defguard Core.

use browser_tests::Chrome;
use conformance::{EntraAndCore, HostOptions};
use core_emulator::{NewUser, Settings, Version};
use entra_emulator::fixtures::person;

use crate::{pick, to_the_picker};

/// What the page must end in.
enum End {
    /// A user of this address, whose token the page shows.
    User(&'static str),
    /// A refusal with this code, and no user.
    Refused(&'static str),
}

/// Who was a user before: with Ada's address, and with the name of Nora.
fn were_there() -> [NewUser; 2] {
    [NewUser::new("countess", "ada@contoso.example"), NewUser::new("nora", "someone@else.example")]
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_button_to_a_user() {
    use End::{Refused, User};
    let table = [
        ("a member", person::UNICODE, User("zoe@contoso.example")),
        ("a person without names", person::NO_NAMES, User("svc-printer@contoso.example")),
        ("no given name", person::NO_GIVEN_NAME, User("suharto@contoso.example")),
        ("the address in userinfo only", person::MAIL_IN_USERINFO, User("ulla@contoso.example")),
        ("no mailbox, and the name is taken", person::NO_MAIL, User("nora@contoso.example")),
        ("a guest", person::GUEST, Refused("guest_not_allowed")),
        ("disabled in Entra", person::DISABLED, Refused("access_denied")),
        ("a local account has the address", person::ADA, Refused("link_needs_approval")),
    ];
    for version in [Version::V1_6, Version::V2_0] {
        let options = HostOptions::default().set("username_handling", "\"prune_email_domain\"");
        let all = EntraAndCore::start(Settings::new(version), options, "").await;
        let control = all.core.control();
        for user in were_there() {
            control.add_user(&user).unwrap();
        }
        let before = control.users().len();
        let chrome = Chrome::plain().await;
        let mut made = 0;
        for (name, who, end) in &table {
            to_the_picker(&chrome, &all.stack).await;
            pick(&chrome, who).await;
            match end {
                User(email) => {
                    assert_eq!(chrome.heading().await, "You are signed in", "{version:?} {name}");
                    assert!(chrome.has("#qr svg").await, "{version:?} {name}: the QR code");
                    let token = chrome.text("#token").await;
                    let user = all.user_of(email).unwrap_or_else(|| panic!("{version:?} {name}: nobody has {email}"));
                    assert!(user.tokens.iter().any(|of| of.token == token), "{version:?} {name}: {user:?}");
                    made += 1;
                }
                Refused(code) => assert_eq!(chrome.text("#code").await, *code, "{version:?} {name}"),
            }
            assert_eq!(control.users().len(), before + made, "{version:?} {name}");
        }
        assert!(control.user("countess").unwrap().tokens.is_empty(), "{version:?}: not taken over");
        chrome.accessible("refused-approval").await;
        // Disabled in Defguard, by an administrator.
        let username = all.user_of("zoe@contoso.example").unwrap().username;
        control.set_active(&username, false).unwrap();
        to_the_picker(&chrome, &all.stack).await;
        pick(&chrome, person::UNICODE).await;
        assert_eq!(chrome.text("#code").await, "account_disabled", "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_where_the_configuration_lets_them_in() {
    let options = HostOptions::default().set("guests", "true");
    let all = EntraAndCore::start(Settings::new(Version::V2_0), options, "").await;
    let chrome = Chrome::plain().await;
    to_the_picker(&chrome, &all.stack).await;
    pick(&chrome, person::GUEST).await;
    assert_eq!(chrome.heading().await, "You are signed in");
    assert!(all.user_of("grace@fabrikam.example").is_some(), "{:?}", all.new_users());
}

#[tokio::test(flavor = "multi_thread")]
async fn core_is_down_and_then_up_again() {
    let all = EntraAndCore::start(Settings::new(Version::V2_0), HostOptions::default(), "").await;
    let control = all.core.control();
    let fault = control.add_fault(core_emulator::Fault::new(core_emulator::FaultAction::status(503)));
    let chrome = Chrome::plain().await;
    to_the_picker(&chrome, &all.stack).await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.text("#code").await, "core_failed");
    assert!(chrome.text("#message").await.starts_with("You are signed in, but"));
    chrome.accessible("refused-core").await;
    control.remove_fault(fault);
    chrome.click("#retry").await;
    chrome.click("#providers a").await;
    pick(&chrome, person::ADA).await;
    assert_eq!(chrome.heading().await, "You are signed in");
    assert_eq!(all.new_users().len(), 1);
}
