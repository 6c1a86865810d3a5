//! The end of the administrator's test.

use maud::{Markup, html};

use super::super::language::Language;
use super::page;
use crate::capability::TraceId;

pub(in super::super) fn tested(language: Language, let_in: bool, trace: &TraceId) -> Markup {
    let texts = language.texts();
    page(
        texts,
        texts.tested_title,
        &html! {
            p #message { (if let_in { texts.tested_in } else { texts.tested_out }) }
            p { (texts.tested_note) }
            p .note { (texts.sign_in_id) " " code #trace { (trace) } }
        },
    )
}
