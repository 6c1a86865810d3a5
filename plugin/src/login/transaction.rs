//! What the second step must know of the first. It is stored under the hash of `state`, lives ten minutes, belongs to one
//! browser, and can only be taken: whoever takes it is the one who may redeem a code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Flow;
use super::refusal::{self, Refusal};
use crate::capability::{StorageError, World};

/// How long a person may take at the provider, in seconds.
pub const LIFE_S: u32 = 600;
/// Of the stored form: another version's transactions aren't read.
const SCHEMA: u32 = 1;
const CHECK: &str = "transaction";

/// A login between its two steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    schema: u32,
    /// Which provider.
    pub provider: String,
    /// What for.
    pub flow: Flow,
    /// Where the browser was to come back to.
    pub redirect_uri: String,
    /// Of the configuration that it began under.
    pub configuration: String,
    /// OIDC Core 3.1.2.1.
    pub nonce: String,
    /// RFC 7636 section 4.1.
    pub code_verifier: String,
    /// RFC 9207: the issuers that the callback may name.
    pub issuers: Vec<String>,
    /// RFC 9207: whether it must name one.
    pub sends_issuer: bool,
    /// SHA-256 of what the browser keeps.
    binding_hash: String,
}

/// What a transaction begins with.
pub struct Beginning<'a> {
    /// Which provider.
    pub provider: &'a str,
    /// What for.
    pub flow: Flow,
    /// Where to come back to.
    pub redirect_uri: &'a str,
    /// The configuration's fingerprint.
    pub configuration: &'a str,
    /// The issuers that the callback may name.
    pub issuers: Vec<String>,
    /// Whether it must.
    pub sends_issuer: bool,
}

/// A transaction and the secrets that name it.
pub struct Begun {
    /// The transaction, as it was stored.
    pub transaction: Transaction,
    /// Goes to the provider and comes back.
    pub state: String,
    /// Stays with the browser.
    pub browser_binding: String,
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

fn key(state: &str) -> String {
    format!("txn/{}", hash(state))
}

fn unavailable(error: &StorageError) -> Refusal {
    Refusal::new(&refusal::STORAGE_UNAVAILABLE, CHECK, error.to_string())
}

/// Makes a transaction with fresh state, nonce, verifier and binding, 256 bits each, and stores it.
pub fn begin(world: World<'_>, beginning: Beginning<'_>) -> Result<Begun, Refusal> {
    let secret = || {
        let bytes =
            world.random.bytes().map_err(|error| Refusal::new(&refusal::INTERNAL, "random", error.to_string()))?;
        Ok::<_, Refusal>(URL_SAFE_NO_PAD.encode(bytes))
    };
    let (state, browser_binding) = (secret()?, secret()?);
    let transaction = Transaction {
        schema: SCHEMA,
        provider: beginning.provider.to_owned(),
        flow: beginning.flow,
        redirect_uri: beginning.redirect_uri.to_owned(),
        configuration: beginning.configuration.to_owned(),
        nonce: secret()?,
        // 43 characters, as RFC 7636 section 4.1 recommends.
        code_verifier: secret()?,
        issuers: beginning.issuers,
        sends_issuer: beginning.sends_issuer,
        binding_hash: hash(&browser_binding),
    };
    let value =
        serde_json::to_vec(&transaction).map_err(|error| Refusal::new(&refusal::INTERNAL, CHECK, error.to_string()))?;
    match world.storage.put_if_absent(&key(&state), &value, LIFE_S) {
        Ok(true) => Ok(Begun { transaction, state, browser_binding }),
        Ok(false) => Err(Refusal::new(&refusal::INTERNAL, "random", "a state came twice: the random source is broken")),
        Err(error) => Err(unavailable(&error)),
    }
}

/// Takes the transaction of `state` if it is this browser's. Another browser is refused before anything is taken, so that
/// it can't spoil the login of the one that began (V6).
pub fn take(world: World<'_>, state: &str, browser_binding: Option<&str>) -> Result<Transaction, Refusal> {
    let key = key(state);
    let unknown = || Refusal::new(&refusal::TRANSACTION_UNKNOWN, CHECK, "no transaction has this state");
    let stored = world.storage.get(&key).map_err(|error| unavailable(&error))?.ok_or_else(unknown)?;
    let seen = read(&stored)?;
    check_binding(&seen, browser_binding)?;
    let taken =
        world.storage.take(&key).map_err(|error| unavailable(&error))?.ok_or_else(|| {
            Refusal::new(&refusal::TRANSACTION_USED, CHECK, "another request took it at the same time")
        })?;
    // Between the two only another login of the same state could have come, which there isn't; look all the same.
    let transaction = read(&taken)?;
    check_binding(&transaction, browser_binding)?;
    Ok(transaction)
}

fn read(stored: &[u8]) -> Result<Transaction, Refusal> {
    crate::json::object::<Transaction>(stored)
        .ok()
        .filter(|transaction| transaction.schema == SCHEMA)
        .ok_or_else(|| Refusal::new(&refusal::TRANSACTION_UNKNOWN, CHECK, "it was stored by another version"))
}

fn check_binding(transaction: &Transaction, browser_binding: Option<&str>) -> Result<(), Refusal> {
    let mismatch = |detail: &str| Err(Refusal::new(&refusal::BROWSER_MISMATCH, "browser_binding", detail));
    let Some(binding) = browser_binding else { return mismatch("the browser sent no cookie for this transaction") };
    if bool::from(hash(binding).as_bytes().ct_eq(transaction.binding_hash.as_bytes())) {
        Ok(())
    } else {
        mismatch("the browser's cookie isn't this transaction's")
    }
}
