//! The end of a good sign-in: the enrollment's address and token, as a link for the client on this machine, as a QR code for
//! a phone, and to copy. Both have the form that Defguard's own page gives them (facts: proxy 1.6.2, `callback.tsx`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use url::Url;

use super::super::language::Language;
use super::page;
use crate::capability::TraceId;
use crate::gateway::Completed;
use crate::handover::Enrollment;

/// Where people get the client.
const CLIENT: &str = "https://defguard.net/download/";

pub(in super::super) fn signed_in(language: Language, completed: &Completed, trace: &TraceId) -> Markup {
    let texts = language.texts();
    let Completed { identity, enrollment, .. } = completed;
    page(
        texts,
        texts.signed_in_title,
        &html! {
            p { (texts.welcome) " " strong { (identity.given_name) " " (identity.family_name) } " (" (identity.email) ")." }
            p { (texts.next_step) }
            @if let Some(link) = deep_link(enrollment) {
                p { a .button #open-client href=(link) { (texts.open_client) } }
            }
            p { a href=(CLIENT) rel="noreferrer" { (texts.get_client) } }
            @if let Some(picture) = qr_code(enrollment) {
                p { (texts.scan) }
                div #qr .qr role="img" aria-label=(texts.qr_label) { (PreEscaped(picture)) }
            }
            p { (texts.by_hand) }
            dl {
                dt { "URL" }
                dd {
                    code #url { (enrollment.url) }
                    button type="button" hidden data-copies="url" data-copied=(texts.copied) { (texts.copy_url) }
                }
                dt { "Token" }
                dd {
                    code #token { (enrollment.token) }
                    button type="button" hidden data-copies="token" data-copied=(texts.copied) { (texts.copy_token) }
                }
            }
            p .note { (texts.token_note) " " (texts.sign_in_id) " " code #trace { (trace) } }
            script src="/openid/assets/page.js" defer {}
        },
    )
}

/// `defguard://addinstance?token=…&url=…`.
fn deep_link(enrollment: &Enrollment) -> Option<String> {
    let pairs = [("token", &enrollment.token), ("url", &enrollment.url)];
    Url::parse_with_params("defguard://addinstance", pairs).ok().map(String::from)
}

/// Base64 of the JSON `{"url","token"}`.
fn qr_text(enrollment: &Enrollment) -> String {
    STANDARD.encode(serde_json::json!({ "url": enrollment.url, "token": enrollment.token }).to_string())
}

/// As SVG; `None`: the address is longer than a code holds.
fn qr_code(enrollment: &Enrollment) -> Option<String> {
    let code = QrCode::with_error_correction_level(qr_text(enrollment), EcLevel::M).ok()?;
    let picture = code.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
    // Within a page it has no declaration of its own.
    picture.find("<svg").and_then(|start| picture.get(start..)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrollment(url: &str) -> Enrollment {
        Enrollment { url: url.into(), token: "0123456789abcdefghijABCDEFGHIJ12".into() }
    }

    #[test]
    fn the_link_is_the_one_that_the_client_knows() {
        let link = deep_link(&enrollment("https://enroll.example.com/?a=b&c")).unwrap();
        let url = Url::parse(&link).unwrap();
        assert_eq!((url.scheme(), url.host_str()), ("defguard", Some("addinstance")));
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs[0], ("token".into(), "0123456789abcdefghijABCDEFGHIJ12".into()));
        assert_eq!(pairs[1], ("url".into(), "https://enroll.example.com/?a=b&c".into()));
    }

    #[test]
    fn the_code_holds_what_the_app_reads() {
        let json = STANDARD.decode(qr_text(&enrollment("https://enroll.example.com/"))).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected =
            serde_json::json!({ "url": "https://enroll.example.com/", "token": "0123456789abcdefghijABCDEFGHIJ12" });
        assert_eq!(value, expected);
        assert!(qr_code(&enrollment("https://enroll.example.com/")).unwrap().starts_with("<svg"));
        assert_eq!(qr_code(&enrollment(&format!("https://{}/", "a".repeat(4000)))), None);
    }
}
