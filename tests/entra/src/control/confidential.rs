//! Every secret value that went through the emulator, so that tests can search all logs and pages of a client for them.
//! For tests in this process alone: it is not part of the control interface over HTTP.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use ring::digest::{SHA256, digest};

use super::requests::{Observed, text};
use crate::encoding::Parameters;
use crate::login::client_auth::basic_credentials;

/// How many values are kept; older ones are forgotten.
const CAPACITY: usize = 50_000;

/// What a secret value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfidentialKind {
    /// A code that was issued.
    AuthorizationCode,
    /// A `state` that came with an authorization request.
    State,
    /// A `nonce` that came with an authorization request.
    Nonce,
    /// A PKCE verifier that came with a token request.
    CodeVerifier,
    /// A client secret that came in a form or, decoded, as HTTP Basic.
    ClientSecret,
    /// The credentials of an HTTP Basic header in their encoded form.
    BasicCredentials,
    /// A client assertion that came with a token request.
    ClientAssertion,
    /// An ID token that was issued, spoiled ones as they were.
    IdToken,
    /// An access token that was issued, to a person's sign-in or to an app.
    AccessToken,
    /// A refresh token that was issued.
    RefreshToken,
}

/// A secret value. Its debug form hides the value: a failed assertion must not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Confidential {
    /// What it is.
    pub kind: ConfidentialKind,
    /// The value, decoded from the request or as it was sent.
    pub value: String,
}

impl fmt::Debug for Confidential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} of {} bytes", self.kind, self.value.len())
    }
}

/// The values seen so far, each once, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Confidentials {
    values: VecDeque<Confidential>,
    /// SHA-256 of the values that are kept, to find one that comes again.
    known: HashSet<(ConfidentialKind, Vec<u8>)>,
}

impl Confidentials {
    /// Remembers a value, unless it is empty or known.
    pub(crate) fn note(&mut self, kind: ConfidentialKind, value: &str) {
        if value.is_empty() || !self.known.insert(fingerprint(kind, value)) {
            return;
        }
        self.values.push_back(Confidential { kind, value: value.to_owned() });
        if self.values.len() > CAPACITY
            && let Some(oldest) = self.values.pop_front()
        {
            self.known.remove(&fingerprint(oldest.kind, &oldest.value));
        }
    }

    /// Remembers what a request brings, wherever in it, refused or not.
    pub(crate) fn note_request(&mut self, observed: &Observed<'_>, form: &Parameters) {
        let query = Parameters::parse(observed.query.as_bytes());
        for (name, value) in query.pairs().chain(form.pairs()) {
            let kind = match name {
                "state" => ConfidentialKind::State,
                "nonce" => ConfidentialKind::Nonce,
                "code_verifier" => ConfidentialKind::CodeVerifier,
                "client_secret" => ConfidentialKind::ClientSecret,
                "client_assertion" => ConfidentialKind::ClientAssertion,
                _ => continue,
            };
            self.note(kind, value);
        }
        if let Some((_, secret)) = basic_credentials(observed.headers) {
            self.note(ConfidentialKind::ClientSecret, &secret);
            let encoded = text(observed.headers, "authorization").and_then(|value| value.split_once(' '));
            self.note(ConfidentialKind::BasicCredentials, encoded.map_or("", |(_, credentials)| credentials.trim()));
        }
    }

    /// All values, oldest first.
    pub(crate) fn all(&self) -> Vec<Confidential> {
        self.values.iter().cloned().collect()
    }
}

fn fingerprint(kind: ConfidentialKind, value: &str) -> (ConfidentialKind, Vec<u8>) {
    (kind, digest(&SHA256, value.as_bytes()).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_once_the_latest_of_them_and_never_printed() {
        let mut values = Confidentials::default();
        for value in ["", "a", "b", "a"] {
            values.note(ConfidentialKind::State, value);
        }
        values.note(ConfidentialKind::Nonce, "a");
        let texts: Vec<String> = values.all().iter().map(|found| found.value.clone()).collect();
        assert_eq!(texts, ["a", "b", "a"], "once for each kind");
        for number in 0..CAPACITY {
            values.note(ConfidentialKind::State, &format!("value {number}"));
        }
        assert_eq!(values.all().len(), CAPACITY);
        assert_eq!(values.all()[0].value, "value 0");
        values.note(ConfidentialKind::State, "a");
        assert_eq!(values.all().pop().unwrap().value, "a", "a forgotten one is new again");
        assert_eq!(format!("{:?}", values.all().pop().unwrap()), "State of 1 bytes");
    }
}
