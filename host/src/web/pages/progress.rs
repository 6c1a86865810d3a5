//! What a browser shows while the callback is worked on: it has this page at once, and loads the next one meanwhile.

use maud::{Markup, html};

use super::super::language::Language;
use super::page;

pub(in super::super) fn progress(language: Language) -> Markup {
    let texts = language.texts();
    page(
        texts,
        texts.progress_title,
        &html! {
            div #progress role="status" {
                div .bar aria-hidden="true" {}
                p { (texts.progress_lead) }
                // The style sheet shows it after some seconds.
                p .late { (texts.progress_slow) }
            }
        },
    )
}
