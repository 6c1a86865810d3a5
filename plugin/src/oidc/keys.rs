//! The provider's key set, kept as any document is; and once more fetched when a token names a key that isn't in it: at
//! most once in five minutes, whatever comes in, so that forged tokens can't make us hammer the provider
//! (entra_graph §4.1).

use super::discovery::{Metadata, cache_key};
use super::fetch::Document;
use super::key_set::{KeySelectionError, select};
use crate::capability::{Claimed, Level, World};
use crate::configuration::Provider;
use crate::jose::{JwkSet, KeptJwkSet, MAX_JWKS_BYTES, SigningAlgorithm};
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;

/// The pause between two fetches for unknown keys, in seconds.
pub const REFETCH_PAUSE_S: u32 = 300;
/// How long to wait for another login that fetches, in milliseconds.
const WAIT_MS: u32 = 6_000;
const CHECK: &str = "key_set";

/// Of the set in which the token's key should be, the keys that it could be.
pub fn keys_for(
    world: World<'_>,
    provider: &Provider,
    metadata: &Metadata,
    algorithm: SigningAlgorithm,
    kid: Option<&str>,
    trace: &mut Trace,
) -> Result<JwkSet, Refusal> {
    let key = cache_key(provider, "jwks");
    let document = Document { key: &key, name: CHECK, url: &metadata.jwks_uri, max_bytes: MAX_JWKS_BYTES };
    let read = |body: &[u8]| parse(body).map(|(_, kept)| kept);
    let set = document.get(world, &read)?.named(kid);
    if !matches!(select(&set, algorithm, kid), Err(KeySelectionError::UnknownKid { .. })) {
        trace.pass(CHECK, format!("{} keys", set.known));
        return Ok(set);
    }
    let guard = cache_key(provider, "jwks-refetch");
    match world.cache.claim(&guard, WAIT_MS) {
        Claimed::Fetch => {
            let outcome = document.fetch(world, &read);
            // A failed attempt counts as well.
            world.cache.put(&guard, b"1", REFETCH_PAUSE_S);
            match outcome {
                Ok(kept) => {
                    trace.pass(CHECK, "fetched again for an unknown key");
                    Ok(kept.named(kid))
                }
                Err(refusal) => {
                    world.log.write(
                        Level::Warn,
                        "key set not fetched again, the last good one is used",
                        &[("reason", &refusal.check.1)],
                    );
                    Ok(set)
                }
            }
        }
        Claimed::Value(_) => {
            // Somebody fetched within the pause, perhaps while we waited: look at what is there now.
            trace.skip(CHECK, "not fetched again within 300 s of the last time");
            Ok(document.get(world, &read)?.named(kid))
        }
        Claimed::Busy => Ok(set),
    }
}

/// The set as the provider has it now, past the cache.
pub fn probe(world: World<'_>, metadata: &Metadata) -> Result<JwkSet, Refusal> {
    let document = Document { key: "", name: CHECK, url: &metadata.jwks_uri, max_bytes: MAX_JWKS_BYTES };
    parse(&document.request(world)?.body).map(|(set, _)| set)
}

fn parse(body: &[u8]) -> Result<(JwkSet, KeptJwkSet), Refusal> {
    let bad = |detail: String| Refusal::new(&refusal::PROVIDER_ANSWER, CHECK, detail);
    let (set, kept) = JwkSet::parse_and_keep(body).map_err(|error| bad(error.to_string()))?;
    if set.keys.is_empty() {
        let reason = set.passed_over.1.as_deref().unwrap_or("it is empty");
        return Err(bad(format!("no key of the set can verify; of {}: {reason}", set.passed_over.0)));
    }
    Ok((set, kept))
}
