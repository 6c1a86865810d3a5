//! What somebody pasted: claims, a person's documents, or a token. Of a token the parts are decoded and nothing is verified:
//! neither its signature nor its times nor whom it is for. It proves nothing, and nothing comes of it but a preview.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::claims::preview::InputError;
use crate::jose::parse_unique_object;

/// The largest input, in bytes: a token whose payload is as large as the component reads (64 KiB), and its signature.
const MAX_BYTES: usize = 96 << 10;

/// What was pasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// JSON: the claims of an ID token, or documents of a person.
    Json,
    /// A signed token in its compact form (RFC 7515 section 7.1), not verified.
    UnverifiedToken,
}

/// An input that can be played.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What was pasted.
    pub kind: InputKind,
    /// What `claims::preview` takes.
    pub json: String,
    /// A token's header.
    pub header: Option<Map<String, Value>>,
}

impl Input {
    /// Reads what was pasted; white space around it, and in a token, doesn't count.
    pub fn read(pasted: &str) -> Result<Self, InputError> {
        let pasted = pasted.trim();
        if pasted.len() > MAX_BYTES {
            return Err(wrong("", format!("{} bytes, at most {MAX_BYTES} are read", pasted.len())));
        }
        if pasted.is_empty() {
            return Err(wrong("", "nothing is here yet"));
        }
        if pasted.starts_with(['{', '[', '"']) {
            return Ok(Self { kind: InputKind::Json, json: pasted.to_owned(), header: None });
        }
        let token: String = pasted.chars().filter(|character| !character.is_whitespace()).collect();
        let parts: Vec<&str> = token.split('.').collect();
        match parts.as_slice() {
            [header, payload, _signature] => {
                let (header, payload) = (object("header", header)?, object("payload", payload)?);
                // Wrapped: a token that has a claim `claims` would be taken for a person's documents.
                let json = Value::from_iter([("claims", Value::Object(payload))]).to_string();
                Ok(Self { kind: InputKind::UnverifiedToken, json, header: Some(header) })
            }
            [_, _, _, _, _] => {
                Err(wrong("token", "five parts: an encrypted token (JWE), which only its recipient can read"))
            }
            [_] => Err(wrong("", "neither a JSON object nor a token: a token has three parts with dots between")),
            parts => Err(wrong("token", format!("{} parts, a signed token has three", parts.len()))),
        }
    }
}

fn wrong(path: &str, message: impl Into<String>) -> InputError {
    InputError { path: path.to_owned(), message: message.into() }
}

/// One part of a token: an object without doubled members, as a sign-in demands it.
fn object(part: &str, text: &str) -> Result<Map<String, Value>, InputError> {
    let path = format!("token.{part}");
    let not_base64url = "it isn't base64url (A-Z a-z 0-9 - _): was it copied whole?";
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong(&path, not_base64url))?;
    parse_unique_object(&bytes).map_err(|error| wrong(&path, format!("it is {error}")))
}
