//! The languages of the pages: what each says, and which one a browser asks for. Texts for programs (JSON, log, audit) are
//! always English.

mod english;
mod german;
mod sentences;

use axum::http::{HeaderMap, header};

/// A language that the pages have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
}

/// What pages say, without the sentences of refusals.
#[derive(Debug)]
pub(super) struct Texts {
    /// BCP 47, for the `lang` attribute.
    pub(super) tag: &'static str,
    pub(super) sign_in_title: &'static str,
    pub(super) sign_in_lead: &'static str,
    pub(super) providers: &'static str,
    pub(super) have_token: &'static str,
    pub(super) progress_title: &'static str,
    pub(super) progress_lead: &'static str,
    pub(super) progress_slow: &'static str,
    pub(super) signed_in_title: &'static str,
    pub(super) welcome: &'static str,
    pub(super) next_step: &'static str,
    pub(super) open_client: &'static str,
    pub(super) get_client: &'static str,
    pub(super) scan: &'static str,
    pub(super) qr_label: &'static str,
    pub(super) by_hand: &'static str,
    pub(super) copy_url: &'static str,
    pub(super) copy_token: &'static str,
    pub(super) copied: &'static str,
    pub(super) token_note: &'static str,
    pub(super) sign_in_id: &'static str,
    pub(super) refused_title: &'static str,
    pub(super) what_to_do: &'static str,
    pub(super) try_again: &'static str,
    pub(super) back: &'static str,
    pub(super) tell_administrator: &'static str,
    pub(super) tested_title: &'static str,
    pub(super) tested_in: &'static str,
    pub(super) tested_out: &'static str,
    pub(super) tested_note: &'static str,
    pub(super) advice: Advices,
}

/// What a person can do about a refusal, by its sort.
#[derive(Debug)]
pub(super) struct Advices {
    pub(super) allow_cookies: &'static str,
    pub(super) start_anew: &'static str,
    pub(super) ask_for_approval: &'static str,
    pub(super) complete_every_step: &'static str,
    pub(super) organisation_decides: &'static str,
    pub(super) use_work_account: &'static str,
    pub(super) wait: &'static str,
    pub(super) ask_administrator: &'static str,
}

impl Language {
    /// The first language of the browser's list that the pages have, English if there is none. Browsers send the list in
    /// the order of preference (RFC 9110 section 12.5.4); one with `q=0` isn't wanted.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        wanted.flat_map(|value| value.split(',')).take(32).find_map(Self::of_range).unwrap_or(Self::English)
    }

    /// Of `de-AT;q=0.8`.
    fn of_range(range: &str) -> Option<Self> {
        let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        if weight.is_ok_and(|weight| weight <= 0.0) {
            return None;
        }
        let primary = tag.trim().split('-').next().unwrap_or_default();
        [Self::English, Self::German].into_iter().find(|language| primary.eq_ignore_ascii_case(language.texts().tag))
    }

    /// What its pages say.
    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &english::TEXTS,
            Self::German => &german::TEXTS,
        }
    }

    /// A refusal's sentence. The administrator's own words stay as they are.
    pub(super) fn sentence(self, english: &str) -> &str {
        match self {
            Self::English => english,
            Self::German => sentences::german(english).unwrap_or(english),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_chooses() {
        use Language::{English, German};
        let table = [
            ("", English),
            ("de", German),
            ("de-AT,de;q=0.9,en;q=0.8", German),
            ("DE-ch", German),
            ("en-GB,de;q=0.5", English),
            ("fr, de;q=0.7, en;q=0.3", German),
            ("de;q=0, en", English),
            ("de;q=0.0", English),
            ("fr-FR, *;q=0.5", English),
            ("den, deutsch", English),
            (";;;,,,=;q=NaN;q", English),
        ];
        for (sent, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, sent.parse().unwrap());
            assert_eq!(Language::of(&headers), expected, "{sent:?}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), English, "no header");
    }

    /// The sentences that people read: those in the document, those of a hand-over that failed, and the directory's word.
    fn sentences() -> Vec<String> {
        let document = include_str!("../../../../docs/refusals.md");
        let documented = document.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned);
        let handed_over = crate::handover::all_errors();
        let handed_over = handed_over.iter().map(|error| error.words().message.to_owned());
        let barred = crate::sync::at_login::Barred::ALL.map(|barred| barred.words().message.to_owned());
        documented.chain(handed_over).chain(barred).collect()
    }

    #[test]
    fn every_sentence_is_translated() {
        let all = sentences();
        assert!(all.len() > 60, "the document's form has changed: {}", all.len());
        for english in &all {
            let german = Language::German.sentence(english);
            assert_ne!(german, english, "{english} isn't translated");
            assert!(german.ends_with('.'), "{german}");
        }
    }

    #[test]
    fn what_nobody_translated_stays() {
        assert_eq!(Language::German.sentence("Only staff, please."), "Only staff, please.");
    }
}
