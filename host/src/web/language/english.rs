//! English.

use super::{Advices, Texts};

pub(super) static TEXTS: Texts = Texts {
    tag: "en",
    sign_in_title: "Sign in to enroll",
    sign_in_lead: "Sign in with your company account to set up your VPN access.",
    providers: "Sign-in providers",
    have_token: "I have an enrollment token",
    progress_title: "Signing you in",
    progress_lead: "Your sign-in is being checked. This page goes on by itself.",
    progress_slow: "It takes longer than usual. Please leave this page open.",
    signed_in_title: "You are signed in",
    welcome: "Welcome,",
    next_step: "One step is left: add this instance to your Defguard client.",
    open_client: "Open the Defguard client",
    get_client: "Get the Defguard client",
    scan: "Or scan this code with the Defguard app on your phone:",
    qr_label: "QR code with the address and the token of this enrollment",
    by_hand: "Or choose “Add instance” in the client, and enter these two:",
    copy_url: "Copy URL",
    copy_token: "Copy token",
    copied: "Copied",
    token_note: "The token is yours alone: don’t share it.",
    sign_in_id: "Id of this sign-in:",
    refused_title: "Sign-in didn’t work",
    what_to_do: "What you can do",
    try_again: "Try again",
    back: "Back to the sign-in page",
    tell_administrator: "If it stays so, tell your administrator this:",
    tested_title: "Test finished",
    tested_in: "This sign-in would be let in.",
    tested_out: "This sign-in would be refused.",
    tested_note: "Nothing was made of it. The terminal shows the claims, the mapped identity and every decision.",
    advice: Advices {
        allow_cookies: "Finish a sign-in in the window in which you began it. If this happens again, allow cookies for this \
                        site in your browser’s settings.",
        start_anew: "Start again with the button below, not with the back button or a bookmark: a sign-in is good once, and for \
                     ten minutes.",
        ask_for_approval: "Ask your administrator to approve this application for your organisation, then sign in again.",
        complete_every_step: "Start again, and complete every step that your provider asks for, such as the second factor.",
        organisation_decides: "If you didn’t cancel it yourself, a rule of your organisation may keep you out: a device that \
                               isn’t managed, an unusual place, a missing second factor. Your administrator sees the reason in \
                               the provider’s sign-in log.",
        use_work_account: "Try again in a private window, and choose your work account there.",
        wait: "Nothing is lost. Wait a few minutes, then start again.",
        ask_administrator: "You can’t put this right yourself: send your administrator the two ids below.",
    },
};
