//! A refusal: the sentence, what the person can do, and what to tell the administrator.

use maud::{Markup, html};

use super::super::answer::Answer;
use super::super::language::{Advices, Language};
use super::page;
use crate::capability::TraceId;

pub(in super::super) fn refused(language: Language, answer: &Answer, trace: &TraceId) -> Markup {
    let texts = language.texts();
    page(
        texts,
        texts.refused_title,
        &html! {
            p role="alert" #message { (language.sentence(&answer.message)) }
            h2 { (texts.what_to_do) }
            p #advice { (advice(&texts.advice, answer)) }
            @if answer.retry_helps {
                p { a .button #retry href="/openid/sign-in" { (texts.try_again) } }
            } @else {
                p { a #retry href="/openid/sign-in" { (texts.back) } }
            }
            p .note { (texts.tell_administrator) " " code #code { (answer.code) } ", " code #trace { (trace) } }
        },
    )
}

/// By the code; codes that have nothing of their own differ in whether starting again helps.
fn advice<'a>(advices: &'a Advices, answer: &Answer) -> &'a str {
    match answer.code.as_str() {
        "browser_mismatch" => advices.allow_cookies,
        "callback_incomplete"
        | "callback_parameter_doubled"
        | "callback_parameter_oversized"
        | "callback_oversized"
        | "callback_contradictory"
        | "callback_issuer_mismatch"
        | "provider_mismatch"
        | "transaction_unknown"
        | "transaction_used"
        | "transaction_mismatch"
        | "code_refused"
        | "not_found" => advices.start_anew,
        "consent_required" => advices.ask_for_approval,
        "interaction_required" | "authentication_context_missing" | "authentication_too_old" => {
            advices.complete_every_step
        }
        "access_denied" | "denied_by_provider" | "login_cancelled" => advices.organisation_decides,
        "guest_not_allowed" | "personal_account" | "tenant_not_allowed" | "domain_not_allowed" => {
            advices.use_work_account
        }
        _ if answer.retry_helps => advices.wait,
        _ => advices.ask_administrator,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn advice_by_code() {
        let advices = &Language::English.texts().advice;
        let table = [
            ("browser_mismatch", true, advices.allow_cookies),
            ("transaction_unknown", true, advices.start_anew),
            ("consent_required", false, advices.ask_for_approval),
            ("interaction_required", true, advices.complete_every_step),
            ("access_denied", true, advices.organisation_decides),
            ("guest_not_allowed", false, advices.use_work_account),
            ("provider_timeout", true, advices.wait),
            ("policy_refused", false, advices.ask_administrator),
            ("a code of another component", false, advices.ask_administrator),
        ];
        for (code, retry_helps, expected) in table {
            let answer = Answer::new(StatusCode::FORBIDDEN, code, "A sentence.", retry_helps);
            assert_eq!(advice(advices, &answer), expected, "{code}");
        }
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let answer = Answer::new(StatusCode::FORBIDDEN, "<b>", "<script>alert(1)</script>", false);
        for language in [Language::English, Language::German] {
            let page = refused(language, &answer, &TraceId::new()).into_string();
            assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        }
    }
}
