//! Directory synchronisation in a test: an emulated directory, a host that reads it, and the document that the host writes.

use std::path::PathBuf;
use std::sync::Arc;

use defguard_openid_host::config::{DirectoryApply, LeaverBehavior, Provider};
use defguard_openid_host::storage::{StorageConfig, StorageUrl};
use defguard_openid_host::sync::{self, Outcome, Progress, Report};
use entra_emulator::{Control, Emulator, Seed, Side, fixtures};

use crate::directory::State;
use crate::{Confession, HostOptions, TestHost, entra_provider};

/// One directory and its host. Several of them can have one host: a plugin is compiled once, and each runs for itself.
pub struct Synced {
    /// Entra.
    pub entra: Emulator,
    /// The host.
    pub host: Arc<TestHost>,
    /// Where the document is.
    pub file: PathBuf,
    provider: Provider,
    storage: StorageConfig,
    afresh: usize,
    _confession: Confession,
}

impl Synced {
    /// The demonstration's people; `settings` are keys and TOML values of the provider.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_seeded(Seed::demo(), settings).await
    }

    /// As [`Synced::start`], with other people.
    pub async fn start_seeded(seed: Seed, settings: &[(&str, &str)]) -> Self {
        let mut all = Self::several(vec![seed], settings, HostOptions::default()).await;
        all.remove(0)
    }

    /// One for each seed, as providers of one host.
    pub async fn several(seeds: Vec<Seed>, settings: &[(&str, &str)], options: HostOptions) -> Vec<Self> {
        let mut emulators = Vec::new();
        let mut options = options.storage("redb:state.redb");
        for (position, seed) in seeds.into_iter().enumerate() {
            let entra = Emulator::start(seed).await.expect("the emulator starts");
            let id = if position == 0 { "entra".to_owned() } else { format!("entra-{}", position + 1) };
            let mut keys = entra_provider(&entra);
            keys.push(("id".into(), format!("{id:?}")));
            keys.push(("directory.enabled".into(), "true".into()));
            keys.push(("directory.apply".into(), format!("\"file:{id}.json\"")));
            keys.extend(settings.iter().map(|(key, value)| ((*key).into(), (*value).into())));
            options = options.with_provider(&keys);
            emulators.push((entra, id));
        }
        let host = Arc::new(TestHost::start(options).await);
        let config = host.gateway.config();
        emulators
            .into_iter()
            .zip(&config.providers)
            .map(|((entra, id), provider)| Self {
                file: host.folder.path().join(format!("{id}.json")),
                provider: provider.clone(),
                storage: config.storage.clone(),
                afresh: 0,
                _confession: Confession(entra.control()),
                host: Arc::clone(&host),
                entra,
            })
            .collect()
    }

    /// What steers the directory.
    pub fn control(&self) -> Control {
        self.entra.control()
    }

    /// The provider, as the runs have it.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// From here on, as a host that has never read this directory: another mirror, another document.
    pub fn afresh(&mut self) {
        self.afresh += 1;
        let (folder, id) = (self.host.folder.path(), self.provider.id.clone());
        self.storage = StorageConfig::plain(StorageUrl::Redb(folder.join(format!("{id}-{}.redb", self.afresh))));
        self.file = folder.join(format!("{id}-{}.json", self.afresh));
        let directory = self.provider.directory.as_mut().expect("the provider has a directory");
        directory.apply = DirectoryApply::File(self.file.clone());
    }

    /// From here on, what becomes of leavers.
    pub fn leavers(&mut self, behavior: LeaverBehavior) {
        self.provider.directory.as_mut().expect("the provider has a directory").user_behavior = behavior;
    }

    /// One run.
    pub async fn run(&self) -> Report {
        self.run_watched(|_| {}).await
    }

    /// One run; `watch` is called after each page.
    pub async fn run_watched(&self, watch: impl FnMut(&Progress) + Send) -> Report {
        sync::run_with(&self.host.gateway, &self.provider, &self.storage, watch).await
    }

    /// One run that has to be done.
    pub async fn done(&self, name: &str) -> Report {
        let report = self.run().await;
        assert_eq!(report.outcome, Outcome::Done, "{name}: {report:?}");
        report
    }

    /// The document.
    pub fn document(&self) -> Vec<u8> {
        std::fs::read(&self.file).expect("there is a document")
    }

    /// The document as sets; its order is checked on the way.
    pub fn state(&self) -> State {
        State::of_document(&self.document())
    }

    /// What it has to say.
    pub fn expected(&self, guests: bool) -> State {
        State::of_directory(&self.control().directory(), fixtures::CONTOSO, guests)
    }

    /// Compares the two.
    pub fn is_as_expected(&self, name: &str) {
        let (found, expected) = (self.state(), self.expected(false));
        assert_eq!(found.users, expected.users, "{name}: users");
        assert_eq!(found.names, expected.names, "{name}: groups");
        assert_eq!(found.groups, expected.groups, "{name}: members");
    }

    /// Requests to Graph so far.
    pub fn graph_requests(&self) -> usize {
        self.control().count(Side::Graph, "*")
    }

    /// Takes an application permission away.
    pub fn revoke(&self, role: &str) {
        let control = self.control();
        control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles.retain(|granted| granted != role)).unwrap();
        control.revoke_access_tokens();
    }
}
