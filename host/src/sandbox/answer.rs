//! What the component says, made fit to be shown: every answer goes through here before anybody else of the host sees it.
//! Words that people read (in a log, on a terminal, on a page) are cut and cleaned; lists of them have an end. What the
//! host acts on isn't mended but refused.

use super::bindings::exports::defguard::openid::{configuration, directory, login};
use crate::text::tidy;

/// Bytes of a sentence. The contract has 512; some of the component's hints are longer.
const SENTENCE_BYTES: usize = 2048;
/// Bytes of a name.
const NAME_BYTES: usize = 256;
/// Checks, problems, findings, options: of each, in one answer. The contract has 64 problems.
const ROWS: usize = 256;
/// Bytes of the verified claims that a test shows: a token has 16 KiB at most.
const CLAIMS_BYTES: usize = 64 << 10;
/// Bytes of an authorization URL. Browsers and providers take less.
const URL_BYTES: usize = 16 << 10;

/// An answer of the component.
pub(super) trait Bounded {
    /// Cuts and cleans what is shown.
    fn bound(&mut self);

    /// The same, as an expression.
    fn bounded(mut self) -> Self
    where
        Self: Sized,
    {
        self.bound();
        self
    }
}

impl<T: Bounded> Bounded for Vec<T> {
    fn bound(&mut self) {
        self.truncate(ROWS);
        self.iter_mut().for_each(Bounded::bound);
    }
}

impl<T: Bounded> Bounded for Option<T> {
    fn bound(&mut self) {
        self.iter_mut().for_each(Bounded::bound);
    }
}

impl<T: Bounded, E: Bounded> Bounded for Result<T, E> {
    fn bound(&mut self) {
        match self {
            Ok(answer) => answer.bound(),
            Err(failure) => failure.bound(),
        }
    }
}

/// A name and a sentence.
impl Bounded for (String, String) {
    fn bound(&mut self) {
        tidy(&mut self.0, NAME_BYTES);
        tidy(&mut self.1, SENTENCE_BYTES);
    }
}

impl Bounded for login::Check {
    fn bound(&mut self) {
        tidy(&mut self.name, NAME_BYTES);
        tidy(&mut self.detail, SENTENCE_BYTES);
    }
}

impl Bounded for login::Authorization {
    fn bound(&mut self) {
        self.checks.bound();
    }
}

impl Bounded for login::Refusal {
    fn bound(&mut self) {
        tidy(&mut self.code, NAME_BYTES);
        for text in [&mut self.message, &mut self.admin_hint] {
            tidy(text, SENTENCE_BYTES);
        }
        self.provider_said.bound();
        self.checks.bound();
    }
}

impl Bounded for login::EmailLinking {
    fn bound(&mut self) {
        match self {
            Self::Allowed(reason) | Self::NeedsApproval(reason) | Self::Never(reason) => tidy(reason, SENTENCE_BYTES),
        }
    }
}

impl Bounded for login::Groups {
    fn bound(&mut self) {
        match self {
            // Who is in which group is decided by these: they are refused, not cut.
            Self::NotRequested | Self::Known(_) => {}
            Self::Unknown(reason) => tidy(reason, SENTENCE_BYTES),
        }
    }
}

impl Bounded for login::Completion {
    fn bound(&mut self) {
        self.identity.groups.bound();
        self.email_linking.bound();
        self.checks.bound();
        if let Some(claims) = &mut self.raw_claims {
            tidy(claims, CLAIMS_BYTES);
        }
    }
}

impl Bounded for configuration::Description {
    fn bound(&mut self) {
        tidy(&mut self.name, NAME_BYTES);
        tidy(&mut self.version, NAME_BYTES);
        self.options.bound();
    }
}

impl Bounded for configuration::OptionDescription {
    fn bound(&mut self) {
        tidy(&mut self.path, NAME_BYTES);
        tidy(&mut self.description, SENTENCE_BYTES);
        tidy(&mut self.type_name, SENTENCE_BYTES);
        if let Some(value) = &mut self.default_value {
            tidy(value, SENTENCE_BYTES);
        }
    }
}

impl Bounded for configuration::Problem {
    fn bound(&mut self) {
        tidy(&mut self.path, NAME_BYTES);
        tidy(&mut self.message, SENTENCE_BYTES);
        tidy(&mut self.hint, SENTENCE_BYTES);
    }
}

impl Bounded for configuration::Finding {
    fn bound(&mut self) {
        tidy(&mut self.name, NAME_BYTES);
        tidy(&mut self.detail, SENTENCE_BYTES);
        tidy(&mut self.hint, SENTENCE_BYTES);
    }
}

impl Bounded for configuration::Preview {
    fn bound(&mut self) {
        self.mapped.bound();
        self.groups.bound();
        self.email_linking.bound();
        self.refusal.bound();
        self.checks.bound();
    }
}

impl Bounded for directory::Page {
    fn bound(&mut self) {
        // What changed is held against the contract where it is applied.
        if let Some(setback) = &mut self.setback {
            tidy(setback, SENTENCE_BYTES);
        }
    }
}

impl Bounded for directory::PersonState {
    fn bound(&mut self) {
        if let directory::Memberships::Unknown(reason) = &mut self.groups {
            tidy(reason, SENTENCE_BYTES);
        }
    }
}

impl Bounded for directory::Failure {
    fn bound(&mut self) {
        match self {
            Self::Misconfigured(reason) | Self::Malformed(reason) | Self::CursorInvalid(reason) => {
                tidy(reason, SENTENCE_BYTES);
            }
            Self::Denied(denial) => {
                tidy(&mut denial.permission, NAME_BYTES);
                tidy(&mut denial.detail, SENTENCE_BYTES);
                tidy(&mut denial.hint, SENTENCE_BYTES);
            }
            Self::Credential((said, hint)) => {
                tidy(said, SENTENCE_BYTES);
                tidy(hint, SENTENCE_BYTES);
            }
            Self::Retry(setback) => tidy(&mut setback.detail, SENTENCE_BYTES),
        }
    }
}

/// Holds what a browser is given against the contract: where the URL leads is the gateway's to check.
pub(super) fn authorization(begun: &login::Authorization) -> Result<(), &'static str> {
    // As a browser reads it: it drops line breaks and tabs, and takes a backslash for a slash.
    let plain = |url: &str| url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if begun.url.len() > URL_BYTES || !plain(&begun.url) {
        Err("the authorization URL is too long, or has characters that no URL has")
    } else if !is_token(&begun.state) {
        Err("the state isn't 1 to 128 characters of base64url")
    } else if !is_token(&begun.browser_binding) {
        Err("the browser binding isn't 1 to 128 characters of base64url")
    } else {
        Ok(())
    }
}

/// 1 to 128 characters of base64url.
fn is_token(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> login::Authorization {
        login::Authorization {
            url: "https://login.example/authorize?state=s".into(),
            state: "s-1_A".into(),
            browser_binding: "b".into(),
            expires_at_unix_s: 0,
            checks: Vec::new(),
        }
    }

    #[test]
    fn what_a_browser_is_given() {
        type Spoil = fn(&mut login::Authorization);
        let table: &[(&str, Spoil)] = &[
            ("a line break in the URL", |begun| begun.url.push('\n')),
            ("a tab in the scheme", |begun| begun.url = "ht\ttps://login.example/".into()),
            ("backslashes", |begun| begun.url = "https:\\\\login.example/".into()),
            ("other letters", |begun| begun.url = "https://lögin.example/".into()),
            ("17 KiB", |begun| begun.url = format!("https://login.example/{}", "a".repeat(17 << 10))),
            ("no state", |begun| begun.state.clear()),
            ("a long state", |begun| begun.state = "a".repeat(129)),
            ("another cookie in the binding", |begun| begun.browser_binding = "a; Domain=example".into()),
            ("a header in the binding", |begun| begun.browser_binding = "a\r\nSet-Cookie: b=c".into()),
        ];
        assert_eq!(authorization(&begun()), Ok(()));
        for (name, spoil) in table {
            let mut begun = begun();
            spoil(&mut begun);
            assert!(authorization(&begun).is_err(), "{name}");
        }
    }

    #[test]
    fn what_people_read_is_cut_and_cleaned() {
        let check = |detail: String| login::Check { name: "n".into(), verdict: login::Verdict::Fail, detail };
        let refusal = login::Refusal {
            kind: login::RefusalKind::Internal,
            code: "a\nb".into(),
            message: "x".repeat(10_000),
            admin_hint: "a\u{1b}[2Jb".into(),
            http_status: 400,
            retry_helps: false,
            provider_said: vec![("error\r".into(), "b\u{202e}".into())],
            checks: vec![check("d\n".into()); 1000],
        };
        let refusal = refusal.bounded();
        assert_eq!((refusal.code.as_str(), refusal.message.len()), ("a b", SENTENCE_BYTES));
        assert_eq!(refusal.admin_hint, "a [2Jb");
        assert_eq!(refusal.provider_said, [("error ".to_owned(), "b ".to_owned())]);
        assert_eq!((refusal.checks.len(), refusal.checks[0].detail.as_str()), (ROWS, "d "));
    }
}
