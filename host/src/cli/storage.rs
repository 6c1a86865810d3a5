//! `doctor`'s look at the storage: whether it can be used, whether it would forget, and who could read it.

use std::time::Duration;

use super::doctor::Finding;
use super::style::{FAIL, PASS, SKIP};
use crate::storage::{
    Entry, Key, Namespace, RedisServer, RedisStorage, Sealed, Storage, StorageConfig, StorageError, StorageUrl,
};

/// Findings that begin with `storage.`. It is tried with an entry of its own.
pub(super) async fn storage(config: &StorageConfig, now_unix_ms: u64) -> Vec<Finding> {
    let mut findings = vec![encryption(config)];
    match &config.url {
        StorageUrl::Memory => {
            let detail = "memory: sign-ins under way, and who is linked to whom, are forgotten when the host ends";
            findings.push(Finding::new("storage.kind", SKIP, detail.into(), "redb:PATH keeps them"));
        }
        StorageUrl::Redb(path) if !path.exists() => {
            let detail = format!("{} isn't there yet: `serve` makes it", path.display());
            findings.push(Finding::new("storage.usable", SKIP, detail, ""));
        }
        StorageUrl::Redb(path) => {
            let tried = config.open(now_unix_ms).await;
            let place = path.display().to_string();
            findings.push(match tried {
                Ok(storage) => round_trip(storage.as_ref(), &place, now_unix_ms).await,
                Err(StorageError::Unavailable(text)) if text.contains("another process") => {
                    Finding::new("storage.usable", PASS, format!("{place}: a service has it open"), "")
                }
                Err(error) => failed(&error),
            });
        }
        StorageUrl::Redis(url) => match RedisStorage::open(url, config.password.as_ref()).await {
            Ok(redis) => {
                let server = redis.server().await;
                let sealed = Sealed::new(std::sync::Arc::new(redis), config.protection.clone());
                findings.push(round_trip(&sealed, &url.to_string(), now_unix_ms).await);
                match server {
                    Ok(server) => findings.extend(of_server(&server)),
                    Err(error) => findings.push(failed(&error)),
                }
            }
            Err(error) => findings.push(failed(&error)),
        },
    }
    findings
}

fn failed(error: &StorageError) -> Finding {
    Finding::new("storage.usable", FAIL, error.to_string(), "no sign-in can begin without it")
}

fn encryption(config: &StorageConfig) -> Finding {
    match (&config.protection.key, &config.protection.previous_key) {
        (Some(key), None) => Finding::new("storage.encryption", PASS, format!("with the key {}", key.name()), ""),
        (Some(key), Some(previous)) => {
            let detail = format!("with the key {}; {} still opens what it sealed", key.name(), previous.name());
            Finding::new("storage.encryption", PASS, detail, "")
        }
        (None, _) => {
            let hint = "storage.key_file: openssl rand -base64 32 makes a key";
            Finding::new("storage.encryption", SKIP, "values are stored as they are".into(), hint)
        }
    }
}

async fn round_trip(storage: &dyn Storage, place: &str, now_unix_ms: u64) -> Finding {
    let key = || Key { namespace: Namespace::new("host", "doctor"), name: format!("{now_unix_ms}") };
    let value = b"doctor was here".to_vec();
    let tried = async {
        storage.put(key(), Entry::expiring(value.clone(), now_unix_ms, Duration::from_secs(60)), now_unix_ms).await?;
        storage.take(key(), now_unix_ms).await
    };
    match tried.await {
        Ok(Some(found)) if found == value => {
            Finding::new("storage.usable", PASS, format!("{place}: written, read and deleted"), "")
        }
        Ok(_) => {
            let detail = format!("{place}: what was written wasn't there");
            Finding::new("storage.usable", FAIL, detail, "is it a cache that forgets, or one of several servers?")
        }
        Err(error) => failed(&error),
    }
}

fn of_server(server: &RedisServer) -> [Finding; 3] {
    let version = Finding::new("storage.version", PASS, format!("Redis {}", server.version), "");
    let keeps = server.eviction == "noeviction" || server.eviction.starts_with("volatile-");
    let eviction = match server.eviction.as_str() {
        "" => Finding::new("storage.eviction", SKIP, "it doesn't say what it does when it is full".into(), ""),
        policy if keeps => Finding::new("storage.eviction", PASS, format!("{policy}: it forgets nothing of ours"), ""),
        policy => {
            let detail = format!("maxmemory-policy {policy}: when it is full it forgets who is linked to whom");
            Finding::new("storage.eviction", FAIL, detail, "maxmemory-policy noeviction, or a Redis of its own")
        }
    };
    let durability = if server.is_durable {
        Finding::new("storage.durability", PASS, "it knows its state after a restart".into(), "")
    } else {
        let detail =
            "neither an append-only file nor snapshots: after a restart it has forgotten who is linked to whom";
        Finding::new("storage.durability", FAIL, detail.into(), "appendonly yes")
    };
    [version, eviction, durability]
}
