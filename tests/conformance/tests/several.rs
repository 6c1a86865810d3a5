//! Several browsers, tabs, providers and hosts at once: each combination finishes, or is refused as it should be.

use std::sync::Arc;

use conformance::{Browser, Entra, HostOptions, TestHost, entra_provider, register};
use defguard_openid_host::storage::{MemoryStorage, Storage};
use entra_emulator::fixtures::person;
use entra_emulator::{Emulator, Seed};

/// Two providers and two hosts behind one address that share a storage.
struct Pair {
    providers: [Emulator; 2],
    hosts: [TestHost; 2],
}

/// The same addresses at both providers would be the same accounts: for each role another person at each.
const PEOPLE: [[&str; 2]; 3] =
    [[person::ADA, person::NO_NAMES], [person::UNICODE, person::LONG_NAME], [person::APOSTROPHE, person::EDOV_TEXT]];

const IDS: [&str; 2] = ["first", "second"];

impl Pair {
    async fn start() -> Self {
        let providers = [Emulator::start(Seed::demo()).await.unwrap(), Emulator::start(Seed::demo()).await.unwrap()];
        let mut options = HostOptions::default();
        for (id, provider) in IDS.iter().zip(&providers) {
            let mut keys = entra_provider(provider);
            keys.retain(|(key, _)| key != "id");
            keys.push(("id".into(), format!("{id:?}")));
            options = options.with_provider(&keys);
        }
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
        let first = TestHost::try_start_over(options.clone(), Some(Arc::clone(&storage))).await.unwrap();
        let second = first.twin(options, &storage).await;
        for provider in &providers {
            register(provider, &first);
        }
        Self { providers, hosts: [first, second] }
    }

    /// Begins at a provider, on a host, in a browser that is at home on the first: the callback.
    async fn begin(&self, browser: &Browser, host: usize, provider: usize, person: &str) -> String {
        let there = browser.in_front_of(&self.hosts[host].url);
        let start = there.get(&format!("/openid/start?provider={}", IDS[provider])).await;
        for (name, value) in there.cookies() {
            browser.set_cookie(&name, &value);
        }
        let back = there.at_entra(&start.location.expect("a redirect"), person).await;
        back.location.unwrap_or_else(|| panic!("no callback: {} {}", back.status, back.body))
    }

    /// Ends on a host, with a browser's cookies.
    async fn end(&self, browser: &Browser, host: usize, callback: &str) -> (u16, String) {
        let there = browser.in_front_of(&self.hosts[host].url);
        let page = there.get(&callback.replace(&self.hosts[0].public_url, &self.hosts[host].url)).await;
        (page.status, page.code())
    }
}

#[tokio::test]
async fn every_combination_of_browser_tab_provider_and_host() {
    let pair = Pair::start().await;
    let mut combinations = 0;
    for (begun_on, ended_on) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for (first_provider, second_provider) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (ada, other) = (Browser::new(&pair.hosts[0].url), Browser::new(&pair.hosts[0].url));
            // Two tabs of one browser, and one of another, all begun before any ends.
            let tab = pair.begin(&ada, begun_on, first_provider, PEOPLE[0][first_provider]).await;
            let second_tab = pair.begin(&ada, begun_on, second_provider, PEOPLE[1][second_provider]).await;
            let theirs = pair.begin(&other, begun_on, second_provider, PEOPLE[2][second_provider]).await;
            let name = format!("host {begun_on} to {ended_on}, providers {first_provider} and {second_provider}");
            // Another browser's callback is refused, and not spoiled.
            let stolen = pair.end(&other, ended_on, &tab).await;
            assert_eq!(stolen, (401, "browser_mismatch".into()), "{name}");
            // Each ends, the later tab first.
            assert_eq!(pair.end(&ada, ended_on, &second_tab).await.0, 200, "{name}: the second tab");
            assert_eq!(pair.end(&ada, ended_on, &tab).await.0, 200, "{name}: the first tab");
            assert_eq!(pair.end(&other, ended_on, &theirs).await.0, 200, "{name}: the other browser");
            // None of them ends twice, on either host.
            for host in [0, 1] {
                let again = pair.end(&ada, host, &tab).await;
                assert_eq!(again, (400, "transaction_unknown".into()), "{name}: once more on host {host}");
            }
            // A callback at the other provider's address (V8).
            let tab = pair.begin(&ada, begun_on, 1, PEOPLE[0][1]).await;
            let mixed = tab.replace("/openid/callback/second?", "/openid/callback?");
            assert_eq!(pair.end(&ada, ended_on, &mixed).await, (400, "provider_mismatch".into()), "{name}");
            combinations += 1;
        }
    }
    assert_eq!(combinations, 16);
    let tokens: usize =
        pair.providers.iter().map(|provider| provider.control().count(entra_emulator::Side::Login, "*/token")).sum();
    assert_eq!(tokens, combinations * 3, "a code was redeemed for each sign-in that ended, and for no other");
}

#[tokio::test]
async fn a_replay_on_two_hosts_at_once_has_one_winner() {
    let pair = Arc::new(Pair::start().await);
    for _ in 0..5 {
        let browser = Arc::new(Browser::new(&pair.hosts[0].url));
        let callback = pair.begin(&browser, 0, 0, person::ADA).await;
        let racers: Vec<_> = (0..20)
            .map(|number| {
                let (pair, browser, callback) = (Arc::clone(&pair), Arc::clone(&browser), callback.clone());
                tokio::spawn(async move { pair.end(&browser, number % 2, &callback).await })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            match racer.await.unwrap() {
                (200, _) => won += 1,
                (400, code) if code.starts_with("transaction_") => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn one_person_at_both_hosts_at_once_gets_one_account() {
    let pair = Arc::new(Pair::start().await);
    let racers: Vec<_> = (0..8)
        .map(|number| {
            let pair = Arc::clone(&pair);
            tokio::spawn(async move {
                let browser = Browser::new(&pair.hosts[0].url);
                let callback = pair.begin(&browser, number % 2, 0, person::ADA).await;
                pair.end(&browser, (number / 2) % 2, &callback).await.0
            })
        })
        .collect();
    for racer in racers {
        assert_eq!(racer.await.unwrap(), 200);
    }
    let records = pair.hosts.iter().map(TestHost::audit).collect::<String>();
    let records: Vec<serde_json::Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accounts: std::collections::BTreeSet<_> =
        records.iter().map(|record| record["linking"]["account"].as_str().unwrap().to_owned()).collect();
    assert_eq!((records.len(), accounts.len()), (8, 1), "{accounts:?}");
}

#[tokio::test]
async fn providers_of_different_kinds_side_by_side() {
    let stack = Entra::plain().await;
    let answer = stack.browser().get("/api/v1/openid/providers").await;
    assert_eq!(answer.json()[0]["id"], "entra");
    let begin = stack
        .browser()
        .post_json("/api/v1/openid/auth_info", &serde_json::json!({ "type": "enrollment", "provider": "none" }))
        .await;
    assert_eq!((begin.status, begin.code().as_str()), (404, "provider_unknown"), "{}", begin.body);
}
