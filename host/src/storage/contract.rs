//! What every backend must do, run on each of them.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Entry, Key, MemoryStorage, Namespace, Protection, RedbStorage, RedisStorage, Sealed, SealingKey, Storage,
    StorageError,
};

// The conformance tests start the same.
#[path = "../../../tests/conformance/src/redis.rs"]
#[expect(dead_code, unreachable_pub, reason = "there it is a part of a library")]
mod redis;
use redis::RedisServer;

const NOW: u64 = 1_000_000;

fn key(name: &str) -> Key {
    Key { namespace: Namespace::new("openid", "entra"), name: name.into() }
}

fn entry(value: &[u8]) -> Entry {
    Entry::expiring(value.to_vec(), NOW, Duration::from_secs(10))
}

/// What a backend needs while it is used.
enum Kept {
    Nothing,
    Folder(#[expect(dead_code, reason = "held for its Drop")] tempfile::TempDir),
    Server(#[expect(dead_code, reason = "held for its Drop")] RedisServer),
}

/// Each of them, plain and encrypted.
async fn backends() -> Vec<(&'static str, Arc<dyn Storage>, Kept)> {
    let mut backends: Vec<(&'static str, Arc<dyn Storage>, Kept)> = Vec::new();
    for (plain, sealed) in [("memory", "memory, sealed"), ("redb", "redb, sealed"), ("redis", "redis, sealed")] {
        for name in [plain, sealed] {
            let (storage, kept): (Arc<dyn Storage>, Kept) = match plain {
                "memory" => (Arc::new(MemoryStorage::default()), Kept::Nothing),
                "redb" => {
                    let folder = tempfile::tempdir().unwrap();
                    let redb = RedbStorage::open(folder.path().join("state.redb"), NOW).await.unwrap();
                    (Arc::new(redb), Kept::Folder(folder))
                }
                _ => {
                    let server = RedisServer::start(&[]).await;
                    let redis = RedisStorage::open(&server.url().parse().unwrap(), None).await.unwrap();
                    (Arc::new(redis), Kept::Server(server))
                }
            };
            let key = Some(SealingKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap());
            let protection = Protection { key, ..Protection::default() };
            let storage = if name == sealed { Arc::new(Sealed::new(storage, protection)) } else { storage };
            backends.push((name, storage, kept));
        }
    }
    backends
}

#[tokio::test]
async fn values_come_back_until_they_expire() {
    for (name, storage, _folder) in backends().await {
        assert_eq!(storage.get(&key("a"), NOW).await.unwrap(), None, "{name}");
        storage.put(key("a"), entry(b"1"), NOW).await.unwrap();
        assert_eq!(storage.get(&key("a"), NOW + 9_999).await.unwrap(), Some(b"1".to_vec()), "{name}");
        assert_eq!(storage.get(&key("a"), NOW + 10_000).await.unwrap(), None, "{name}");
        assert_eq!(storage.take(key("a"), NOW + 10_000).await.unwrap(), None, "{name}");
        storage.put(key("a"), entry(b"2"), NOW).await.unwrap();
        storage.put(key("a"), entry(b"3"), NOW).await.unwrap();
        assert_eq!(storage.get(&key("a"), NOW).await.unwrap(), Some(b"3".to_vec()), "{name}");
    }
}

#[tokio::test]
async fn of_many_takers_exactly_one_gets_the_value() {
    for (name, storage, _folder) in backends().await {
        storage.put(key("t"), entry(b"once"), NOW).await.unwrap();
        let takers: Vec<_> = (0..50)
            .map(|_| {
                let storage = Arc::clone(&storage);
                tokio::spawn(async move { storage.take(key("t"), NOW).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for taker in takers {
            winners += usize::from(taker.await.unwrap().is_some());
        }
        assert_eq!(winners, 1, "{name}");
    }
}

#[tokio::test]
async fn compare_and_swap_has_one_winner() {
    for (name, storage, _folder) in backends().await {
        assert!(storage.compare_and_swap(key("c"), None, entry(b"0"), NOW).await.unwrap(), "{name}");
        assert!(!storage.compare_and_swap(key("c"), None, entry(b"x"), NOW).await.unwrap(), "{name}");
        let swappers: Vec<_> = (0..20)
            .map(|number: u8| {
                let storage = Arc::clone(&storage);
                tokio::spawn(async move {
                    storage.compare_and_swap(key("c"), Some(b"0".to_vec()), entry(&[number, 1]), NOW).await.unwrap()
                })
            })
            .collect();
        let mut winners = 0;
        for swapper in swappers {
            winners += usize::from(swapper.await.unwrap());
        }
        assert_eq!(winners, 1, "{name}");
        let expired = NOW + 60_000;
        assert!(
            storage.compare_and_swap(key("c"), None, entry(b"new"), expired).await.unwrap(),
            "{name}: expired is absent"
        );
    }
}

#[tokio::test]
async fn namespaces_do_not_meet() {
    for (name, storage, _folder) in backends().await {
        storage.put(key("a"), entry(b"ours"), NOW).await.unwrap();
        let other = Key { namespace: Namespace::new("openid", "other"), name: "a".into() };
        assert_eq!(storage.get(&other, NOW).await.unwrap(), None, "{name}");
        assert_eq!(storage.take(other, NOW).await.unwrap(), None, "{name}");
        assert_eq!(storage.get(&key("a"), NOW).await.unwrap(), Some(b"ours".to_vec()), "{name}");
    }
}

#[tokio::test]
async fn sweeping_removes_the_expired_only() {
    for (name, storage, _folder) in backends().await {
        for number in 0..5 {
            storage.put(key(&format!("old{number}")), entry(b"x"), NOW).await.unwrap();
        }
        storage.put(key("young"), Entry::expiring(b"y".to_vec(), NOW, Duration::from_secs(60)), NOW).await.unwrap();
        assert_eq!(storage.sweep(NOW + 10_000).await.unwrap(), 5, "{name}");
        assert_eq!(storage.sweep(NOW + 10_000).await.unwrap(), 0, "{name}");
        assert!(storage.get(&key("young"), NOW + 10_000).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_namespace_is_listed_in_order_page_by_page() {
    let place = |namespace: &Namespace, name: &str| Key { namespace: namespace.clone(), name: name.into() };
    let (ours, next) = (Namespace::new("host", "objects"), Namespace::new("host", "objects2"));
    for (backend, storage, _folder) in backends().await {
        // `entra-2/…` is nobody of `entra`, and `entra.` stands before `entra/` in the order of bytes.
        for name in ["entra/b", "entra/a", "entra-2/a", "entra.", "entra/c/d", "entra/é", "okta/a", "entra", ""] {
            storage.put(place(&ours, name), Entry::lasting(name.into()), NOW).await.unwrap();
        }
        storage.put(place(&next, "entra/z"), Entry::lasting(b"theirs".to_vec()), NOW).await.unwrap();
        storage.put(place(&ours, "entra/bb"), entry(b"for ten seconds"), NOW).await.unwrap();
        let of_entra = ["entra/a", "entra/b", "entra/bb", "entra/c/d", "entra/é"];
        let later = NOW + 10_000;
        for (name, prefix, after, limit, now, expected) in [
            ("a provider's", "entra/", None, 10, NOW, &of_entra[..]),
            ("the first two", "entra/", None, 2, NOW, &of_entra[..2]),
            ("the next two", "entra/", Some("entra/b"), 2, NOW, &of_entra[2..4]),
            ("the last page", "entra/", Some("entra/c/d"), 2, NOW, &of_entra[4..]),
            ("after the last", "entra/", Some("entra/é"), 2, NOW, &[]),
            ("after one that is gone", "entra/", Some("entra/aa"), 1, NOW, &of_entra[1..2]),
            ("after one before them all", "entra/", Some("a"), 1, NOW, &of_entra[..1]),
            ("after one behind them all", "entra/", Some("zz"), 10, NOW, &[]),
            ("without the expired", "entra/", Some("entra/b"), 2, later, &of_entra[3..]),
            ("no limit at all", "entra/", None, 0, NOW, &[]),
            ("nobody's", "none/", None, 10, NOW, &[]),
            ("everything, the empty name first", "", None, 2, NOW, &["", "entra"]),
            ("everything after the empty name", "", Some(""), 1, NOW, &["entra"]),
        ] {
            let found = storage.list(&ours, prefix, after, limit, now).await.unwrap();
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, expected, "{backend}: {name}");
            assert!(
                found.iter().all(|(name, value)| name == "entra/bb" || value == name.as_bytes()),
                "{backend}: {name}: {found:?}"
            );
        }
        let all = storage.list(&ours, "", None, usize::MAX, NOW).await.unwrap();
        assert_eq!(all.len(), 10, "{backend}: and none of the other namespace");
        storage.take(place(&ours, "entra/a"), NOW).await.unwrap();
        assert_eq!(storage.list(&ours, "entra/", None, 1, NOW).await.unwrap()[0].0, "entra/b", "{backend}");
    }
}

#[tokio::test]
async fn odd_names_and_values_come_back() {
    let long = vec![7; 70_000];
    let values: [&[u8]; 5] = [b"", b"\0", b"\xff\xfe\0\r\n", b"*3\r\n$3\r\nSET\r\n", &long];
    for (backend, storage, _kept) in backends().await {
        for name in ["", " ", "{entra}", "a\r\nb", "\u{10FFFF}", "DGSV", "-inf", "[", "("] {
            for value in values {
                storage.put(key(name), entry(value), NOW).await.unwrap();
                let swapped =
                    storage.compare_and_swap(key(name), Some(value.to_vec()), entry(b"x"), NOW).await.unwrap();
                assert!(swapped, "{backend}: {name:?}");
                storage.put(key(name), entry(value), NOW).await.unwrap();
                assert_eq!(storage.take(key(name), NOW).await.unwrap().as_deref(), Some(value), "{backend}: {name:?}");
            }
        }
        assert_eq!(storage.ping().await, Ok(()), "{backend}");
    }
}

#[tokio::test]
async fn a_namespace_has_a_quota() {
    let big = || Entry::lasting(vec![1; 32 << 20]);
    for (backend, storage, _kept) in backends().await {
        for number in 0..7 {
            storage.put(key(&number.to_string()), big(), NOW).await.unwrap();
        }
        assert_eq!(storage.put(key("more"), big(), NOW).await, Err(StorageError::QuotaExceeded), "{backend}");
        let swapped = storage.compare_and_swap(key("more"), None, big(), NOW).await;
        assert_eq!(swapped, Err(StorageError::QuotaExceeded), "{backend}");
        storage.put(key("3"), big(), NOW).await.unwrap();
        let other = Key { namespace: Namespace::new("openid", "other"), name: "a".into() };
        storage.put(other, entry(b"x"), NOW).await.unwrap();
        assert!(storage.take(key("3"), NOW).await.unwrap().is_some(), "{backend}");
        storage.put(key("more"), big(), NOW).await.unwrap();
    }
}

#[tokio::test]
async fn hosts_share_a_redis() {
    let server = RedisServer::start(&[]).await;
    let open = async || RedisStorage::open(&server.url().parse().unwrap(), None).await.unwrap();
    let (first, second) = (open().await, open().await);
    first.put(key("a"), entry(b"1"), NOW).await.unwrap();
    assert_eq!(second.get(&key("a"), NOW).await.unwrap(), Some(b"1".to_vec()));
    let (one, other) = tokio::join!(first.take(key("a"), NOW), second.take(key("a"), NOW));
    assert_eq!([one.unwrap(), other.unwrap()].iter().flatten().count(), 1);
    assert_eq!(second.server().await.unwrap().eviction, "noeviction");
}

#[tokio::test]
async fn redb_remembers_across_a_restart_and_a_second_host_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let first = RedbStorage::open(path.clone(), NOW).await.unwrap();
    first.put(key("kept"), entry(b"1"), NOW).await.unwrap();
    first.put(key("taken"), entry(b"2"), NOW).await.unwrap();
    first.take(key("taken"), NOW).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
    let second = RedbStorage::open(path.clone(), NOW).await;
    let message = second.err().expect("a second opener is refused").to_string();
    assert!(message.contains("another process"), "{message}");
    drop(first);
    let again = RedbStorage::open(path, NOW).await.unwrap();
    assert_eq!(again.get(&key("kept"), NOW).await.unwrap(), Some(b"1".to_vec()));
    assert_eq!(again.get(&key("taken"), NOW).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_former_key_sealed_is_sealed_anew() {
    use base64::Engine as _;
    let sealing =
        |byte: u8| Some(SealingKey::parse(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap());
    let link = |number: u32| Key { namespace: Namespace::new("host", "links"), name: format!("{number:04}") };
    for (backend, storage, _kept) in backends().await {
        if backend.ends_with("sealed") {
            continue;
        }
        let with = |key: u8, previous_key: Option<u8>| {
            let previous_key = previous_key.and_then(sealing);
            Sealed::new(Arc::clone(&storage), Protection { key: sealing(key), previous_key, ..Protection::default() })
        };
        let (first, both, second) = (with(1, None), with(2, Some(1)), with(2, None));
        // More than a page, two namespaces, some that expire, one that is sealed as it should be.
        for number in 0..300 {
            first.put(link(number), Entry::lasting(number.to_be_bytes().to_vec()), NOW).await.unwrap();
        }
        first.put(key("expires"), entry(b"for ten seconds"), NOW).await.unwrap();
        let expired = Entry::expiring(b"no more".to_vec(), NOW - 20_000, Duration::from_secs(10));
        first.put(key("expired"), expired, NOW - 20_000).await.unwrap();
        second.put(key("new"), Entry::lasting(b"new".to_vec()), NOW).await.unwrap();
        assert!(second.get(&link(7), NOW).await.is_err(), "{backend}");
        let renewed = both.renew(NOW).await.unwrap();
        assert_eq!((renewed.sealed, renewed.unreadable), (301, 0), "{backend}");
        assert_eq!(both.renew(NOW).await.unwrap().sealed, 0, "{backend}: once");
        for number in 0..300 {
            let found = second.get(&link(number), NOW + 1_000_000).await.unwrap();
            assert_eq!(found, Some(number.to_be_bytes().to_vec()), "{backend}: {number}");
        }
        assert_eq!(
            second.get(&key("expires"), NOW).await.unwrap().as_deref(),
            Some(&b"for ten seconds"[..]),
            "{backend}"
        );
        assert_eq!(second.get(&key("expires"), NOW + 10_000).await.unwrap(), None, "{backend}: it lives no longer");
        assert_eq!(storage.sweep(NOW + 10_000).await.unwrap(), 2, "{backend}: and goes when it should");
        with(3, None).put(link(1), Entry::lasting(b"of nobody".to_vec()), NOW).await.unwrap();
        assert_eq!(both.renew(NOW).await.unwrap().unreadable, 1, "{backend}");
        // Only what is there, as it was read, is replaced.
        storage.put(key("a"), Entry::lasting(b"1".to_vec()), NOW).await.unwrap();
        assert!(!storage.replace(key("a"), b"2".to_vec(), b"3".to_vec(), NOW).await.unwrap(), "{backend}");
        assert!(storage.replace(key("a"), b"1".to_vec(), b"3333".to_vec(), NOW).await.unwrap(), "{backend}");
        assert_eq!(storage.take(key("a"), NOW).await.unwrap().as_deref(), Some(&b"3333"[..]), "{backend}");
        assert!(!storage.replace(key("a"), b"3333".to_vec(), b"4".to_vec(), NOW).await.unwrap(), "{backend}: taken");
        let mut namespaces: Vec<_> = storage.namespaces().await.unwrap();
        namespaces.sort();
        assert_eq!(namespaces, [Namespace::new("host", "links"), Namespace::new("openid", "entra")], "{backend}");
    }
}
