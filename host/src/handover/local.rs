//! `kind = "local"`: the host keeps the accounts, mints the token itself and keeps the identity for whoever redeems it,
//! once, within a day. For demonstrations, tests, and programs of one's own; Defguard Core isn't asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ring::rand::{SecureRandom, SystemRandom};

use super::accounts::{Accounts, Created, LocalAccount};
use super::{Enrollment, HandedOver, Handover, HandoverError, HandoverRequest, Redeemed};
use crate::capability::{Clock, TraceId};
use crate::linking::{Account, Known, LinkDecision, LinkStore, Linking, Owner, decide, username_candidate};
use crate::sandbox::bindings::exports::defguard::openid::login::Check;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};

/// As long as Defguard's own enrollment tokens live by default.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a token: as many as Defguard's, 190 bits.
const TOKEN_LENGTH: usize = 32;
/// How often a sign-in that lost a race looks again: each time somebody else has got further.
const ATTEMPTS: usize = 8;

/// An account that is there before anybody signs in: `[[handover.account]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAccountSeed {
    /// Its user name.
    pub username: String,
    /// Its address.
    pub email: String,
}

/// Keeps accounts and mints tokens.
pub struct LocalHandover {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    url: String,
    accounts: Accounts,
    links: LinkStore,
}

impl LocalHandover {
    /// `url` is where people enroll; `seeds` are made, unless they are there.
    pub async fn start(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        url: String,
        seeds: &[LocalAccountSeed],
    ) -> Result<Self, StorageError> {
        let accounts = Accounts::new(Arc::clone(&storage), Arc::clone(&clock));
        for seed in seeds {
            let (username, email) = (seed.username.clone(), seed.email.clone());
            let account = LocalAccount { username, email, identities: BTreeMap::new() };
            accounts.create(&account).await?;
        }
        let links = LinkStore::new(Arc::clone(&storage), Arc::clone(&clock));
        Ok(Self { storage, clock, url, accounts, links })
    }

    /// Only the token's hash is kept.
    fn key(token: &str) -> Key {
        let hash = crate::sandbox::sha256_hex(token.as_bytes());
        Key { namespace: Namespace::new("host", "enrollment"), name: hash }
    }

    async fn known(&self, request: &HandoverRequest<'_>) -> Result<Known, StorageError> {
        let key = request.identity.key();
        let link = self.links.find(&key).await?;
        let linked_account = match &link {
            Some(username) => self.accounts.by_name(username).await?.map(|account| summary(&account, request)),
            None => None,
        };
        let approved = match request.approved_account {
            Some(username) => {
                let account = self.accounts.by_name(username).await?;
                Some((username.to_owned(), account.map(|account| summary(&account, request))))
            }
            None => None,
        };
        let same_address = self.accounts.by_address(&request.identity.email).await?;
        let same_address = same_address.map(|account| summary(&account, request));
        Ok(Known { link, linked_account, approved, same_address })
    }

    /// Carries a decision out; `None`: another sign-in was faster, look again.
    async fn carry_out(
        &self,
        request: &HandoverRequest<'_>,
        known: &Known,
        mut linking: Linking,
    ) -> Result<Option<Linking>, StorageError> {
        let key = request.identity.key();
        let digest = key.digest();
        if known.link.is_some() {
            return Ok(Some(linking));
        }
        let username = match &linking.account {
            Some(username) => {
                let Some(account) = self.accounts.by_name(username).await? else { return Ok(None) };
                if !self.accounts.give(&account, &request.identity.provider, &digest).await? {
                    return Ok(None);
                }
                account.username
            }
            None => match self.create(request, &digest).await? {
                Some(username) => username,
                None => return Ok(None),
            },
        };
        if !self.links.link(&key, &username).await? && self.links.find(&key).await?.as_ref() != Some(&username) {
            return Ok(None);
        }
        linking.account = Some(username);
        Ok(Some(linking))
    }

    async fn create(&self, request: &HandoverRequest<'_>, digest: &str) -> Result<Option<String>, StorageError> {
        for attempt in 0..ATTEMPTS {
            let account = LocalAccount {
                username: username_candidate(&request.identity.username, digest, attempt),
                email: request.identity.email.clone(),
                identities: BTreeMap::from([(request.identity.provider.clone(), digest.to_owned())]),
            };
            match self.accounts.create(&account).await? {
                Created::Yes => return Ok(Some(account.username)),
                Created::NameTaken => {}
                Created::AddressTaken => return Ok(None),
            }
        }
        Err(StorageError::Unavailable("no user name is free".into()))
    }

    async fn mint_for(&self, request: &HandoverRequest<'_>, linking: Linking) -> Result<HandedOver, HandoverError> {
        let token = mint()?;
        let mut identity = request.identity.clone();
        if let Some(username) = &linking.account {
            identity.username.clone_from(username);
        }
        let kept = Redeemed { identity, linking };
        let value = serde_json::to_vec(&kept).map_err(|error| HandoverError::Unavailable(error.to_string()))?;
        let now = self.clock.now_unix_ms();
        self.storage.put(Self::key(&token), Entry::expiring(value, now, TOKEN_LIFE), now).await?;
        Ok(HandedOver { enrollment: Enrollment { url: self.url.clone(), token }, linking: kept.linking })
    }
}

fn summary(account: &LocalAccount, request: &HandoverRequest<'_>) -> Account {
    let owner = match account.identities.get(&request.identity.provider) {
        Some(identity) if *identity == request.identity.key().digest() => Owner::ThisIdentity,
        Some(_) => Owner::SameProvider,
        None if account.identities.is_empty() => Owner::Free,
        None => Owner::OtherProvider,
    };
    Account { username: account.username.clone(), enabled: true, is_admin: false, owner }
}

#[async_trait]
impl Handover for LocalHandover {
    async fn hand_over(
        &self,
        request: &HandoverRequest<'_>,
        _trace: &TraceId,
        _checks: &mut Vec<Check>,
    ) -> Result<HandedOver, HandoverError> {
        for _ in 0..ATTEMPTS {
            let known = self.known(request).await?;
            let linking = decide(&known, request.email_linking);
            match linking.decision {
                LinkDecision::NeedsApproval => return Err(HandoverError::NeedsApproval(linking)),
                LinkDecision::Refused => return Err(HandoverError::Refused(linking)),
                LinkDecision::New | LinkDecision::Linked => {}
            }
            if let Some(linking) = self.carry_out(request, &known, linking).await? {
                return self.mint_for(request, linking).await;
            }
        }
        Err(HandoverError::Unavailable("other sign-ins of this person were faster each time".into()))
    }

    async fn preview(&self, request: &HandoverRequest<'_>, _checks: &mut Vec<Check>) -> Result<Linking, HandoverError> {
        Ok(decide(&self.known(request).await?, request.email_linking))
    }

    async fn redeem(&self, token: &str) -> Result<Option<Redeemed>, HandoverError> {
        let found = self.storage.take(Self::key(token), self.clock.now_unix_ms()).await?;
        found
            .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| HandoverError::Unavailable(error.to_string())))
            .transpose()
    }

    fn redeems(&self) -> bool {
        true
    }
}

/// 32 letters and digits, each equally likely.
fn mint() -> Result<String, HandoverError> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut token = String::with_capacity(TOKEN_LENGTH);
    let mut bytes = [0_u8; 64];
    while token.len() < TOKEN_LENGTH {
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| HandoverError::Unavailable("the system has no randomness".into()))?;
        // Bytes from 248 on would favour the first characters.
        let fair = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        token.extend(fair.map(|byte| char::from(*byte)).take(TOKEN_LENGTH - token.len()));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::SystemClock;
    use crate::identity::Identity;
    use crate::linking::EmailLinking;
    use crate::storage::MemoryStorage;

    async fn handover(storage: &Arc<MemoryStorage>, seeds: &[(&str, &str)]) -> LocalHandover {
        let seeds: Vec<_> = seeds
            .iter()
            .map(|(username, email)| LocalAccountSeed { username: (*username).into(), email: (*email).into() })
            .collect();
        let storage = Arc::clone(storage) as Arc<dyn Storage>;
        LocalHandover::start(storage, Arc::new(SystemClock), "https://e".into(), &seeds).await.unwrap()
    }

    fn identity(object: &str, username: &str, email: &str) -> Identity {
        Identity {
            object_id: Some(object.into()),
            username: username.into(),
            email: email.into(),
            ..Identity::sample()
        }
    }

    async fn sign_in(
        handover: &LocalHandover,
        identity: &Identity,
        email_linking: EmailLinking,
        approved_account: Option<&str>,
    ) -> Result<Linking, HandoverError> {
        let request = HandoverRequest { identity, email_linking: &email_linking, approved_account };
        let previewed = handover.preview(&request, &mut Vec::new()).await.unwrap();
        let handed_over = handover.hand_over(&request, &TraceId::new(), &mut Vec::new()).await;
        let decided = match &handed_over {
            Ok(handed_over) => &handed_over.linking,
            Err(HandoverError::NeedsApproval(linking) | HandoverError::Refused(linking)) => linking,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(decided.decision, previewed.decision, "a preview tells what comes");
        handed_over.map(|handed_over| handed_over.linking)
    }

    fn never() -> EmailLinking {
        EmailLinking::Never("test".into())
    }

    #[tokio::test]
    async fn a_token_is_redeemed_once_and_stored_as_a_hash() {
        let handover = handover(&Arc::default(), &[]).await;
        let identity = Identity::sample();
        let request = HandoverRequest { identity: &identity, email_linking: &never(), approved_account: None };
        let handed_over = handover.hand_over(&request, &TraceId::new(), &mut Vec::new()).await.unwrap();
        let token = handed_over.enrollment.token;
        assert_eq!(token.len(), 32);
        assert!(!LocalHandover::key(&token).name.contains(&token));
        assert_eq!(handover.redeem("no such token").await.unwrap(), None);
        let redeemed = Redeemed { identity, linking: handed_over.linking };
        assert_eq!(handover.redeem(&token).await.unwrap(), Some(redeemed));
        assert_eq!(handover.redeem(&token).await.unwrap(), None);
    }

    #[tokio::test]
    async fn one_person_one_account_whatever_the_address_says() {
        let handover = handover(&Arc::default(), &[]).await;
        let first = sign_in(&handover, &identity("ada", "ada", "ada@a.example"), never(), None).await.unwrap();
        assert_eq!((first.decision, first.account.as_deref()), (LinkDecision::New, Some("ada")));
        // V2: the address and the name change, the account stays.
        let again = sign_in(&handover, &identity("ada", "countess", "new@a.example"), never(), None).await.unwrap();
        assert_eq!((again.decision, again.account.as_deref()), (LinkDecision::Linked, Some("ada")));
        // V1: somebody else with her address gets nothing of hers.
        let allowed = EmailLinking::Allowed("test".into());
        let other = sign_in(&handover, &identity("eve", "eve", "ADA@a.example"), allowed, None).await;
        assert!(matches!(other, Err(HandoverError::Refused(_))), "{other:?}");
        // The name is taken: the same suffix at each login.
        let other = sign_in(&handover, &identity("adam", "ada", "adam@a.example"), never(), None).await.unwrap();
        let name = other.account.unwrap();
        assert!(name.starts_with("ada-") && name.len() == 8, "{name}");
        let again = sign_in(&handover, &identity("adam", "ada", "adam@a.example"), never(), None).await.unwrap();
        assert_eq!(again.account, Some(name));
    }

    #[tokio::test]
    async fn a_sign_in_stopped_before_it_noted_the_link_is_ended_by_the_next() {
        let handover = handover(&Arc::default(), &[]).await;
        let ada = identity("ada", "ada", "ada@a.example");
        let approval = || EmailLinking::NeedsApproval("not verified".into());
        let table: [(_, fn() -> EmailLinking); 2] = [("not proven", approval), ("never", never)];
        for (name, email_linking) in table {
            sign_in(&handover, &ada, email_linking(), None).await.unwrap();
            let link = Key { namespace: Namespace::new("host", "links"), name: ada.key().digest() };
            assert!(handover.storage.take(link, 0).await.unwrap().is_some(), "{name}");
            let again = sign_in(&handover, &ada, email_linking(), None).await.unwrap();
            assert_eq!((again.decision, again.account.as_deref()), (LinkDecision::Linked, Some("ada")), "{name}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_first_sign_ins_of_one_person_at_once_all_end_well() {
        for round in 0..50 {
            let handover = Arc::new(handover(&Arc::default(), &[]).await);
            let sign_ins: Vec<_> = (0..8)
                .map(|_| {
                    let handover = Arc::clone(&handover);
                    tokio::spawn(async move {
                        let ada = identity("ada", "ada", "ada@a.example");
                        let email_linking = EmailLinking::NeedsApproval("not verified".into());
                        let request =
                            HandoverRequest { identity: &ada, email_linking: &email_linking, approved_account: None };
                        handover.hand_over(&request, &TraceId::new(), &mut Vec::new()).await.map(|made| made.linking)
                    })
                })
                .collect();
            for sign_in in sign_ins {
                let linking = sign_in.await.unwrap().unwrap();
                assert_eq!(linking.account.as_deref(), Some("ada"), "{round}");
            }
        }
    }

    #[tokio::test]
    async fn an_account_that_was_there_before() {
        let allowed = || EmailLinking::Allowed("verified".into());
        let approval = || EmailLinking::NeedsApproval("not verified".into());
        let ada = || identity("ada", "ada.l", "Ada@a.example");
        for (name, email_linking, approved, expected) in [
            ("proven", allowed(), None, Some("ada")),
            ("not proven", approval(), None, None),
            ("not proven, approved", approval(), Some("ada"), Some("ada")),
            ("never, approved", never(), Some("ada"), Some("ada")),
            ("never", never(), None, None),
            ("approved for an account that isn't there", allowed(), Some("nobody"), None),
        ] {
            let handover = handover(&Arc::default(), &[("ada", "ada@a.example")]).await;
            let outcome = sign_in(&handover, &ada(), email_linking, approved).await;
            assert_eq!(outcome.as_ref().ok().and_then(|linking| linking.account.as_deref()), expected, "{name}");
            // Once it is somebody's it is nobody else's.
            if expected.is_some() {
                let eve = sign_in(&handover, &identity("eve", "eve", "ada@a.example"), allowed(), Some("ada")).await;
                assert!(matches!(eve, Err(HandoverError::Refused(_))), "{name}: {eve:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_person_with_two_providers() {
        let handover = handover(&Arc::default(), &[]).await;
        let entra = identity("ada", "ada", "ada@a.example");
        let other = Identity {
            provider: "other".into(),
            issuer: "https://other.example".into(),
            ..identity("ada", "ada", "ada@a.example")
        };
        let allowed = || EmailLinking::Allowed("verified".into());
        sign_in(&handover, &entra, allowed(), None).await.unwrap();
        let asked = sign_in(&handover, &other, allowed(), None).await;
        assert!(matches!(asked, Err(HandoverError::NeedsApproval(_))), "{asked:?}");
        let linked = sign_in(&handover, &other, allowed(), Some("ada")).await.unwrap();
        assert_eq!((linked.decision, linked.account.as_deref()), (LinkDecision::Linked, Some("ada")));
        // Each provider's identity finds it, and nobody else of either provider gets it.
        for identity in [&entra, &other] {
            assert_eq!(sign_in(&handover, identity, never(), None).await.unwrap().account.as_deref(), Some("ada"));
            let eve = Identity { object_id: Some("eve".into()), ..identity.clone() };
            let refused = sign_in(&handover, &eve, allowed(), Some("ada")).await;
            assert!(matches!(refused, Err(HandoverError::Refused(_))), "{refused:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_sign_ins_at_once_on_two_hosts() {
        let storage: Arc<MemoryStorage> = Arc::default();
        let hosts = [Arc::new(handover(&storage, &[]).await), Arc::new(handover(&storage, &[]).await)];
        let mut tasks = Vec::new();
        // 8 people of one name, each 8 times.
        for round in 0..64_usize {
            let host = Arc::clone(&hosts[round % 2]);
            let person = identity(&format!("p{}", round / 8), "ada", &format!("p{}@a.example", round / 8));
            tasks.push(tokio::spawn(async move {
                let email_linking = never();
                let request =
                    HandoverRequest { identity: &person, email_linking: &email_linking, approved_account: None };
                let linking = host.hand_over(&request, &TraceId::new(), &mut Vec::new()).await.unwrap().linking;
                (round / 8, linking.account.unwrap())
            }));
        }
        let mut names: std::collections::BTreeMap<usize, std::collections::BTreeSet<String>> =
            std::collections::BTreeMap::new();
        for task in tasks {
            let (person, name) = task.await.unwrap();
            names.entry(person).or_default().insert(name);
        }
        assert!(names.values().all(|names| names.len() == 1), "one account a person: {names:?}");
        let all: std::collections::BTreeSet<_> = names.values().flatten().collect();
        assert_eq!(all.len(), 8, "and none shared: {names:?}");
    }

    #[test]
    fn tokens_differ() {
        let tokens: std::collections::BTreeSet<_> = (0..1000).map(|_| mint().unwrap()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }
}
