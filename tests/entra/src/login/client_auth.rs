//! Client authentication at the token endpoint (RFC 6749 section 2.3.1): how it was attempted, and whether the secret is right.
//! Assertions are checked in `client_assertion`.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::authority::Authority;
use super::client_assertion;
use super::errors::Refusal;
use crate::encoding::Parameters;
use crate::seed::App;
use crate::world::World;

/// How a request authenticates the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Not at all.
    None,
    /// `client_secret` in the form (`client_secret_post`).
    Post,
    /// HTTP Basic (`client_secret_basic`).
    Basic,
    /// A signed assertion in the form (`private_key_jwt`, or another provider's token for a federated credential).
    Assertion,
    /// More than one of these: RFC 6749 section 2.3 forbids it.
    Several,
}

impl ClientAuth {
    /// What the headers and the form say.
    pub(crate) fn of(headers: &HeaderMap, form: &Parameters) -> Self {
        let attempts = [
            (basic_credentials(headers).is_some(), Self::Basic),
            (form.get("client_secret").is_some(), Self::Post),
            (form.get("client_assertion").is_some(), Self::Assertion),
        ];
        let mut made = attempts.into_iter().filter(|(made, _)| *made).map(|(_, method)| method);
        match (made.next(), made.next()) {
            (None, _) => Self::None,
            (Some(method), None) => method,
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// Client id and secret of an HTTP Basic header, each form-decoded as RFC 6749 section 2.3.1 demands.
pub(crate) fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

/// Undoes `application/x-www-form-urlencoded` for one value. A percent sign without two digits stays as it is.
fn form_decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match (byte, escaped(bytes.clone())) {
            (b'+', _) => decoded.push(b' '),
            (b'%', Some(value)) => {
                decoded.push(value);
                bytes.nth(1);
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The byte that the next two characters write in hexadecimal.
fn escaped(ahead: std::str::Bytes<'_>) -> Option<u8> {
    let mut digits = ahead.map(|byte| char::from(byte).to_digit(16));
    let (high, low) = (digits.next()??, digits.next()??);
    u8::try_from(high * 16 + low).ok()
}

/// The app that a token request speaks for, authenticated.
pub(crate) fn authenticate(
    world: &World,
    headers: &HeaderMap,
    form: &Parameters,
    authority: &Authority,
) -> Result<App, Refusal> {
    let basic = basic_credentials(headers);
    let basic_id = basic.as_ref().map(|(id, _)| id.as_str());
    let client_id = match (form.get("client_id"), basic_id) {
        (Some(in_form), Some(in_header)) if in_form != in_header => return Err(Refusal::ClientIdsDiffer),
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => return Err(Refusal::MissingParameter { name: "client_id" }),
    };
    let app = world.state().directory.app(client_id).cloned().ok_or_else(|| Refusal::AppNotFound {
        client_id: client_id.to_owned(),
        tenant: authority.segment().to_owned(),
    })?;
    let now_unix_s = world.clock.now_unix_s();
    match ClientAuth::of(headers, form) {
        ClientAuth::None => return Err(Refusal::NoCredential),
        ClientAuth::Several => return Err(Refusal::SeveralCredentials),
        ClientAuth::Assertion => client_assertion::check(world, &app, authority, form, now_unix_s)?,
        ClientAuth::Post => check_secret(&app, form.get("client_secret").unwrap_or_default(), now_unix_s)?,
        ClientAuth::Basic => check_secret(&app, basic.as_ref().map_or("", |(_, secret)| secret), now_unix_s)?,
    }
    Ok(app)
}

fn check_secret(app: &App, secret: &str, now_unix_s: i64) -> Result<(), Refusal> {
    let client_id = app.client_id.to_string();
    match app.secrets.iter().find(|known| known.value == secret) {
        None => Err(Refusal::WrongSecret { client_id }),
        Some(known) if known.expires_at_unix_s.is_some_and(|end| end <= now_unix_s) => {
            Err(Refusal::ExpiredSecret { client_id })
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_decoding_of_basic_credentials() {
        let table = [
            ("plain", "abc-._~", "abc-._~"),
            ("escapes", "a%2Bb%26c%3D%25%3A", "a+b&c=%:"),
            ("plus is a space", "a+b", "a b"),
            ("lower case digits", "%e2%82%ac", "\u{20ac}"),
            ("half an escape stays", "a%2", "a%2"),
            ("no hexadecimal digits stay", "100%zz", "100%zz"),
        ];
        for (name, encoded, expected) in table {
            assert_eq!(form_decode(encoded), expected, "{name}");
        }
    }
}
