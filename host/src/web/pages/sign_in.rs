//! Where a sign-in begins: one button for each provider.

use maud::{Markup, html};

use super::super::language::Language;
use super::page;
use crate::config::Provider;

/// `token_page`: where somebody enrolls who has a token already, if that is offered.
pub(in super::super) fn sign_in(language: Language, providers: &[Provider], token_page: Option<&str>) -> Markup {
    let texts = language.texts();
    page(
        texts,
        texts.sign_in_title,
        &html! {
            p { (texts.sign_in_lead) }
            nav #providers aria-label=(texts.providers) {
                @for provider in providers {
                    a .button .provider rel="nofollow" href={ "/openid/start?provider=" (provider.id.as_str()) } {
                        // The name stands beside it: for those who don't see the picture there is nothing to say twice.
                        img src={ "/openid/assets/logo/" (provider.id.as_str()) } alt="" width="24" height="24";
                        span { (provider.display_name) }
                    }
                }
            }
            @if let Some(address) = token_page {
                p .note { a #have-token href=(address) { (texts.have_token) } }
            }
        },
    )
}
