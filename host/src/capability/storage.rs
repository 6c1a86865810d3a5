//! `storage`: the contract's limits and the provider's namespace in front of the configured backend.

use std::time::Duration;

use crate::sandbox::CallState;
use crate::sandbox::bindings::defguard::openid::storage::{self, Error};
use crate::storage::{Entry, Key, StorageError};

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 200;
/// Bytes of a value.
const VALUE_BYTES: usize = 64 << 10;
/// A year.
const TTL_S: u32 = 31_536_000;

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::QuotaExceeded => Self::QuotaExceeded,
            StorageError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

/// The metric's word for how a call ended.
fn outcome<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Error::Invalid(_)) => "invalid_request",
        Err(Error::QuotaExceeded) => "quota_exceeded",
        Err(Error::Unavailable(_) | Error::Other(_)) => "unavailable",
    }
}

impl CallState {
    fn counted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        self.metrics.capability("storage", outcome(&result));
        result
    }

    /// The key, and one use of the storage less to go.
    fn storage_key(&mut self, key: &str) -> Result<(Key, std::sync::Arc<super::ProviderContext>), Error> {
        let context =
            self.grant.provider.clone().ok_or_else(|| Error::Unavailable("not granted to this call".into()))?;
        self.storage_calls_left = self.storage_calls_left.checked_sub(1).ok_or_else(|| {
            Error::Other(format!("one call of the plugin uses the storage {} times at most", self.limits.storage_calls))
        })?;
        check_key(key).map_err(Error::Invalid)?;
        Ok((Key { namespace: context.namespace.clone(), name: key.to_owned() }, context))
    }
}

/// Visible ASCII, 1 to [`KEY_BYTES`].
pub(super) fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() || key.len() > KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("a key is 1 to {KEY_BYTES} bytes of visible ASCII, this one has {} bytes", key.len()));
    }
    Ok(())
}

fn entry(context: &super::ProviderContext, value: Vec<u8>, ttl_s: u32) -> Result<Entry, Error> {
    if value.len() > VALUE_BYTES {
        return Err(Error::Invalid(format!("a value has at most {VALUE_BYTES} bytes, this one {}", value.len())));
    }
    if ttl_s == 0 || ttl_s > TTL_S {
        return Err(Error::Invalid(format!("a time to live is 1 to {TTL_S} s, this one is {ttl_s}")));
    }
    Ok(Entry::expiring(value, context.clock.now_unix_ms(), Duration::from_secs(u64::from(ttl_s))))
}

impl storage::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let result = async {
            let (key, context) = self.storage_key(&key)?;
            Ok(context.storage.get(&key, context.clock.now_unix_ms()).await?)
        }
        .await;
        Ok(self.counted(result))
    }

    async fn put(&mut self, key: String, value: Vec<u8>, ttl_s: u32) -> wasmtime::Result<Result<(), Error>> {
        let result = async {
            let (key, context) = self.storage_key(&key)?;
            let entry = entry(&context, value, ttl_s)?;
            Ok(context.storage.put(key, entry, context.clock.now_unix_ms()).await?)
        }
        .await;
        Ok(self.counted(result))
    }

    async fn put_if_absent(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> wasmtime::Result<Result<bool, Error>> {
        storage::Host::compare_and_swap(self, key, None, value, ttl_s).await
    }

    async fn take(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let result = async {
            let (key, context) = self.storage_key(&key)?;
            Ok(context.storage.take(key, context.clock.now_unix_ms()).await?)
        }
        .await;
        Ok(self.counted(result))
    }

    async fn compare_and_swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let result = async {
            let (key, context) = self.storage_key(&key)?;
            let entry = entry(&context, value, ttl_s)?;
            Ok(context.storage.compare_and_swap(key, expected, entry, context.clock.now_unix_ms()).await?)
        }
        .await;
        Ok(self.counted(result))
    }
}
