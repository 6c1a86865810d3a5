//! Opaque tokens of next links and delta links: base64url of an HMAC and of the content that it protects. Nothing is kept for a token
//! that was given out, and none can be made up.

use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoding::{base64url, from_base64url};

/// The length of an HMAC-SHA-256.
const TAG_BYTES: usize = 32;

/// The token of a content; `purpose` keeps one kind of token from passing for another.
pub(super) fn seal<T: Serialize>(purpose: &str, content: &T) -> String {
    // Numbers, texts and lists of them always have a JSON form.
    let content = serde_json::to_vec(content).unwrap_or_default();
    let tag = hmac::sign(&key(purpose), &content);
    base64url([tag.as_ref(), &content].concat())
}

/// The content of a token; none if it is not one, or one for something else.
pub(super) fn open<T: DeserializeOwned>(purpose: &str, token: &str) -> Option<T> {
    let bytes = from_base64url(token)?;
    let (tag, content) = bytes.split_at_checked(TAG_BYTES)?;
    hmac::verify(&key(purpose), content, tag).ok()?;
    serde_json::from_slice(content).ok()
}

fn key(purpose: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, format!("entra-emulator {purpose} tokens").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_for_its_purpose_and_unchanged() {
        let token = seal("page", &(7, "seven"));
        assert_eq!(open::<(u8, String)>("page", &token), Some((7, "seven".to_owned())));
        let mut changed = token.clone().into_bytes();
        changed[50] ^= 1;
        for (name, purpose, token) in [
            ("other purpose", "delta", token.clone()),
            ("changed", "page", String::from_utf8(changed).unwrap()),
            ("cut", "page", token[..30].to_owned()),
            ("not base64url", "page", "?".to_owned()),
            ("empty", "page", String::new()),
        ] {
            assert_eq!(open::<(u8, String)>(purpose, &token), None, "{name}");
        }
    }
}
