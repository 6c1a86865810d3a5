//! The pages that a person sees: the picker, Entra's own error page, and the form that posts an answer back.
//! Plain HTML that works without scripts; only the form post submits itself where it may.

use axum::response::{Html, IntoResponse};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::errors::{Refusal, Trace};
use crate::encoding::Parameters;
use crate::seed::{App, Outcome, Person};

/// The picker: each person is a link to the same request with `x_user`.
pub(super) fn picker(
    app: &App,
    segment: &str,
    parameters: &Parameters,
    candidates: &[Person],
    unknown_hint: Option<&str>,
) -> impl IntoResponse + use<> {
    let (welcome, refused): (Vec<&Person>, Vec<&Person>) =
        candidates.iter().partition(|person| person.outcome == Outcome::SignsIn && !app.keeps_out(person));
    let list = |heading: &str, persons: &[&Person]| {
        html! {
            @if !persons.is_empty() {
                h2 { (heading) }
                ul {
                    @for person in persons { li { (entry(person, parameters)) } }
                }
            }
        }
    };
    page(
        "Pick an account",
        &html! {
            h1 { "Pick an account" }
            p { "to continue to " strong { (app.name) } }
            @if let Some(hint) = unknown_hint {
                p.notice role="status" { "No account here goes by " strong { (hint) } "." }
            }
            (list("Sign-in succeeds", &welcome))
            (list("Sign-in ends otherwise", &refused))
            @if candidates.is_empty() {
                p.notice role="status" { "Nobody can sign in at " code { (segment) } "." }
            }
            p.small { "Emulator of Microsoft Entra ID for tests. No account here is real." }
        },
    )
}

fn entry(person: &Person, parameters: &Parameters) -> Markup {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters.pairs().filter(|(name, _)| *name != "x_user"))
        .append_pair("x_user", &person.key)
        .finish();
    html! {
        a href=(format!("?{query}")) {
            span.name { (person.label()) }
            @if person.label() != person.sign_in_name() { span.address { (person.sign_in_name()) } }
            @if !person.note.is_empty() { span.note { (person.note) } }
        }
    }
}

/// Entra's error page.
pub(super) fn error(refusal: &Refusal, trace: &Trace) -> impl IntoResponse + use<> {
    page(
        "Sign in",
        &html! {
            h1 { "Sorry, but we’re having trouble signing you in." }
            p role="alert" { "AADSTS" (refusal.code()) ": " (refusal) }
            dl {
                dt { "Trace ID" } dd { (trace.id) }
                dt { "Correlation ID" } dd { (trace.correlation_id) }
                dt { "Timestamp" } dd { (trace.timestamp) }
            }
        },
    )
}

/// The page after signing out.
pub(super) fn signed_out() -> impl IntoResponse + use<> {
    page("Signed out", &html! { h1 { "You signed out of your account" } p { "You can close this window." } })
}

/// A path that does not exist.
pub(super) fn not_found() -> impl IntoResponse + use<> {
    page("Not found", &html! { h1 { "Page not found" } p { "The emulator has no such page." } })
}

/// The form that carries an answer to the client (OAuth 2.0 Form Post Response Mode section 2).
pub(super) fn form_post(redirect_uri: &str, answer: &[(&'static str, String)]) -> impl IntoResponse + use<> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Working…" }
            }
            body {
                form method="post" action=(redirect_uri) {
                    @for (name, value) in answer { input type="hidden" name=(name) value=(value); }
                    noscript {
                        p { "Scripts are off in your browser. Submit to continue." }
                        button type="submit" { "Submit" }
                    }
                }
                script { (PreEscaped("document.forms[0].submit();")) }
            }
        }
    };
    Html(page.into_string())
}

fn page(title: &str, content: &Markup) -> impl IntoResponse + use<> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    ([("content-security-policy", policy), ("cache-control", "no-store")], Html(page.into_string()))
}

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1b1b; --quiet: #5a5f66; --ground: #f2f3f5; --card: #fff; --line: #d9dce1; --mark: #0b5cad }
@media (prefers-color-scheme: dark) {
  :root { --text: #eceef1; --quiet: #a7adb6; --ground: #14171b; --card: #1d2126; --line: #353b44; --mark: #8cc2ff }
}
* { box-sizing: border-box }
body { margin: 0; padding: 2rem 1rem; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 34rem; margin: 0 auto; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25 }
h2 { margin: 1.75rem 0 .5rem; font-size: .875rem; font-weight: 600; color: var(--quiet) }
p { overflow-wrap: anywhere }
ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line) }
li { border-bottom: 1px solid var(--line) }
li a { display: grid; padding: .625rem .75rem; color: inherit; text-decoration: none; overflow-wrap: anywhere }
li a:hover, li a:focus-visible { outline: 2px solid var(--mark); outline-offset: -2px }
.name { font-weight: 600 }
.address, .note, .small, dt { color: var(--quiet); font-size: .875rem }
.note { color: var(--mark) }
.notice { padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .25rem }
dd { margin: 0 0 .5rem; font-family: ui-monospace, monospace; font-size: .875rem }
";
