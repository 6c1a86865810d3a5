//! Documents of a provider that many logins share: fetched once, kept an hour, used for up to a day when the provider
//! can't be reached, and not asked for again at once when it has just failed.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::capability::{Claimed, HttpError, Level, Method, Request, Response, World};
use crate::entra::aadsts;
use crate::login::refusal::{self, Refusal, Rule};

/// After that a document is fetched anew, by one login; the others go on with the old one. Seconds.
const FRESH_S: u64 = 3600;
/// After that it is gone. Seconds.
const KEPT_S: u32 = 86_400;
/// How long a failure is remembered: a page that reloads doesn't hammer a provider that is down. Seconds.
const FAILURE_KEPT_S: u32 = 10;
/// How long a failed refresh isn't tried again while an old document is there. Seconds.
const REFRESH_PAUSE_S: u32 = 60;
/// How long one document may take, in milliseconds.
const TIMEOUT_MS: u32 = 5_000;
/// How long to wait for another login that fetches the same, in milliseconds.
const WAIT_MS: u32 = 6_000;

/// A document to fetch.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    /// Its key in the cache.
    pub(super) key: &'a str,
    /// The check's name in traces: `discovery`, `key_set`.
    pub(super) name: &'static str,
    /// Where it is.
    pub(super) url: &'a str,
    /// The most that is read, in bytes.
    pub(super) max_bytes: u32,
}

/// As it is in the cache: what was read of the document, since each login reads it again. What another version of this
/// component put there isn't understood, and fetched anew.
#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
enum Cached<T> {
    Good {
        fetched_at_s: u64,
        #[serde(deserialize_with = "crate::json::as_object")]
        content: T,
    },
    Failed {
        code: String,
        detail: String,
    },
}

/// Makes of a document's bytes what is kept of it, or says why it isn't what was asked for.
pub(super) type Read<'a, T> = &'a dyn Fn(&[u8]) -> Result<T, Refusal>;

impl Document<'_> {
    /// What `read` makes of the document, from the cache or the provider. Nothing else is kept.
    pub(super) fn get<T: Serialize + DeserializeOwned>(
        self,
        world: World<'_>,
        read: Read<'_, T>,
    ) -> Result<T, Refusal> {
        match world.cache.claim(self.key, WAIT_MS) {
            Claimed::Value(bytes) => match serde_json::from_slice(&bytes) {
                Ok(Cached::Good { fetched_at_s, content }) => Ok(self.refreshed(world, read, fetched_at_s, content)),
                Ok(Cached::Failed { code, detail }) => Err(self.remembered(&code, detail)),
                Err(_) => self.fetch(world, read),
            },
            Claimed::Fetch => {
                let outcome = self.fetch(world, read);
                if let Err(refusal) = &outcome {
                    self.remember_failure(world, refusal);
                }
                // Whoever waits gets what was put; without it the next one tries.
                world.cache.release(self.key);
                outcome
            }
            Claimed::Busy => {
                Err(Refusal::new(&refusal::PROVIDER_TIMEOUT, self.name, "another sign-in is still waiting for it"))
            }
        }
    }

    /// A document that is there, or a newer one if it is this login's turn to fetch it.
    fn refreshed<T: Serialize>(self, world: World<'_>, read: Read<'_, T>, fetched_at_s: u64, content: T) -> T {
        let age = world.clock.now_unix_s().saturating_sub(fetched_at_s);
        let pause = format!("{}/refresh", self.key);
        if age >= FRESH_S && world.cache.put_if_absent(&pause, b"", REFRESH_PAUSE_S) {
            match self.fetch(world, read) {
                Ok(newer) => return newer,
                Err(refusal) => world.log.write(
                    Level::Warn,
                    "document not refreshed, the last good one is used",
                    &[("document", self.name), ("reason", &refusal.check.1)],
                ),
            }
        }
        content
    }

    /// Fetches, reads, and keeps.
    pub(super) fn fetch<T: Serialize>(self, world: World<'_>, read: Read<'_, T>) -> Result<T, Refusal> {
        let body = self.request(world)?.body;
        let content = read(&body)?;
        // Members that nobody reads may still be no text: then it is no JSON (RFC 8259 section 8.1).
        if std::str::from_utf8(&body).is_err() {
            return Err(Refusal::new(&refusal::PROVIDER_ANSWER, self.name, "the document isn't UTF-8"));
        }
        let cached = Cached::Good { fetched_at_s: world.clock.now_unix_s(), content: &content };
        self.put(world, &cached, KEPT_S);
        Ok(content)
    }

    /// Asks the provider, past the cache: an answer that is JSON, and nothing else is known of it.
    pub(super) fn request(self, world: World<'_>) -> Result<Response, Refusal> {
        let request = Request {
            method: Method::Get,
            url: self.url.to_owned(),
            headers: vec![("accept".into(), "application/json".into())],
            body: None,
            timeout_ms: TIMEOUT_MS,
            max_response_bytes: self.max_bytes,
        };
        let response = world.http.send(request).map_err(|error| unreachable(self.name, &error))?;
        if response.status == 200 && response.is_json() {
            return Ok(response);
        }
        Err(unexpected(self.name, self.url, &response))
    }

    fn remember_failure(self, world: World<'_>, refusal: &Refusal) {
        let failed = Cached::<()>::Failed { code: refusal.rule.code.to_owned(), detail: refusal.check.1.clone() };
        self.put(world, &failed, FAILURE_KEPT_S);
    }

    fn remembered(self, code: &str, detail: String) -> Refusal {
        let rule: &'static Rule =
            refusal::ALL.iter().copied().find(|rule| rule.code == code).unwrap_or(&refusal::PROVIDER_UNREACHABLE);
        Refusal::new(rule, self.name, detail)
    }

    fn put<T: Serialize>(self, world: World<'_>, cached: &Cached<T>, ttl_s: u32) {
        // Serialising strings and numbers can't fail; if it did, the next login would fetch again.
        if let Ok(bytes) = serde_json::to_vec(cached) {
            world.cache.put(self.key, &bytes, ttl_s);
        }
    }
}

/// What the host's error means for a sign-in.
pub(super) fn unreachable(check: &'static str, error: &HttpError) -> Refusal {
    match error {
        HttpError::Timeout => Refusal::new(&refusal::PROVIDER_TIMEOUT, check, error.to_string()),
        HttpError::TooLarge(_) | HttpError::Protocol(_) => {
            Refusal::new(&refusal::PROVIDER_ANSWER, check, error.to_string())
        }
        _ => Refusal::new(&refusal::PROVIDER_UNREACHABLE, check, error.to_string()),
    }
}

/// An answer that isn't the JSON that was asked for. Says what it is; its body may hold anything and isn't repeated.
pub(super) fn unexpected(check: &'static str, url: &str, response: &Response) -> Refusal {
    // The query may hold an application's identifier only, but nobody needs it.
    let place = url.split('?').next().unwrap_or_default();
    let status = response.status;
    let rule = match status {
        429 => &refusal::PROVIDER_THROTTLED,
        500..=599 => &refusal::PROVIDER_ERROR,
        _ => &refusal::PROVIDER_ANSWER,
    };
    let what = match status {
        300..=399 => format!("status {status}, a redirect, which is never followed"),
        200 => {
            let found = response.header("content-type").unwrap_or("no content type");
            format!("{found:?} instead of JSON")
        }
        _ => format!("status {status}"),
    };
    hinted(Refusal::new(rule, check, format!("{place} answered {what}")), said_by_provider(&response.body))
}

/// With the provider's words, and ours for Entra's number in them (a wrong tenant is one of discovery already).
pub(super) fn hinted(refusal: Refusal, said: Vec<(String, String)>) -> Refusal {
    let number = said.iter().find(|(name, _)| name == "error_description").and_then(|(_, text)| aadsts::number(text));
    refusal.with_provider_said(said).explained_by(number)
}

/// `error` and its description from an error body, cleaned; nothing if there is none.
pub(super) fn said_by_provider(body: &[u8]) -> Vec<(String, String)> {
    let Ok(object) = crate::jose::parse_unique_object(body) else { return Vec::new() };
    ["error", "error_description", "suberror", "trace_id", "correlation_id"]
        .into_iter()
        .filter_map(|name| {
            let value = object.get(name)?.as_str()?;
            Some((name.to_owned(), crate::login::trace::cut(value, 300)))
        })
        .collect()
}
