//! What people see: three small pages, one style sheet. Everything that comes from outside is escaped by the template.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::answer::Answer;
use crate::capability::TraceId;
use crate::config::Provider;
use crate::gateway::Completed;

/// `GET /openid/assets/style.css`.
pub(super) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("style.css")).into_response()
}

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " – Defguard" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/openid/assets/style.css";
            }
            body {
                main {
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

/// One button for each provider.
pub(super) fn sign_in(providers: &[Provider]) -> Markup {
    page(
        "Sign in to enroll",
        &html! {
            p { "Sign in with your company account to set up your VPN access." }
            nav aria-label="Sign-in providers" {
                @for provider in providers {
                    a .button rel="nofollow" href={ "/openid/start?provider=" (provider.id.as_str()) } { (provider.display_name) }
                }
            }
        },
    )
}

/// The end of a good sign-in.
pub(super) fn signed_in(completed: &Completed, trace: &TraceId) -> Markup {
    let identity = &completed.identity;
    page(
        "You are signed in",
        &html! {
            p { "Welcome, " strong { (identity.given_name) " " (identity.family_name) } " (" (identity.email) ")." }
            p { "Open the Defguard client, add an instance, and enter these two:" }
            dl {
                dt { "URL" }
                dd { code #url { (completed.enrollment.url) } }
                dt { "Token" }
                dd { code #token { (completed.enrollment.token) } }
            }
            p .note { "The token is yours alone: don't share it. This sign-in's id is " code #trace { (trace) } "." }
        },
    )
}

/// The end of the administrator's test.
pub(super) fn tested(let_in: bool, trace: &TraceId) -> Markup {
    page(
        "Test finished",
        &html! {
            p #message { @if let_in { "This sign-in would be let in." } @else { "This sign-in would be refused." } }
            p { "Nothing was made of it. The terminal shows the claims, the mapped identity and every decision." }
            p .note { "This sign-in's id is " code #trace { (trace) } "." }
        },
    )
}

/// A refusal, and what to do.
pub(super) fn refused(answer: &Answer, trace: &TraceId) -> Markup {
    page(
        "Sign-in didn't work",
        &html! {
            p role="alert" #message { (answer.message) }
            @if answer.retry_helps {
                p { a .button href="/openid/sign-in" { "Try again" } }
            } @else {
                p { a href="/openid/sign-in" { "Back to the sign-in page" } }
            }
            p .note { "If it stays so, tell your administrator this: " code #code { (answer.code) } ", " code #trace { (trace) } "." }
        },
    )
}
