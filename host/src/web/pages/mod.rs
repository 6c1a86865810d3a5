//! What people see: a file for each page, one frame around all, one style sheet. Everything that comes from outside is
//! escaped by the template; every page works without a script.

mod progress;
mod refused;
mod sign_in;
mod signed_in;
mod tested;

use maud::{DOCTYPE, Markup, html};

use super::language::Texts;

pub(super) use progress::progress;
pub(super) use refused::refused;
pub(super) use sign_in::sign_in;
pub(super) use signed_in::signed_in;
pub(super) use tested::tested;

fn page(texts: &Texts, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(texts.tag) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                meta name="color-scheme" content="light dark";
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
