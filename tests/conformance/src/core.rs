//! Entra, the host, and Defguard Core behind it: what a sign-in ends in.

use core_emulator::{CoreEmulator, Settings, UserRecord, fixtures};
use entra_emulator::Seed;

use crate::{Entra, HostOptions, evidence};

/// All three. The emulators' word for what is secret goes to the evidence.
pub struct EntraAndCore {
    /// Core.
    pub core: CoreEmulator,
    /// Entra and the host.
    pub stack: Entra,
    /// The options that the host was started with.
    pub options: HostOptions,
}

impl Drop for EntraAndCore {
    fn drop(&mut self) {
        // An enrollment token is what the person gets to see.
        let shown: Vec<String> = self.core.control().enrollment_tokens().into_iter().map(|token| token.token).collect();
        for secret in self.core.control().secrets().into_iter().filter(|secret| !shown.contains(secret)) {
            evidence::secret("core", &secret);
        }
    }
}

/// `options` with a hand-over to that Core, by API token; `more` are further lines of `[handover]`.
#[must_use]
pub fn handed_over_to(core: &CoreEmulator, mut options: HostOptions, more: &str) -> HostOptions {
    options.handover = format!("kind = \"core\"\nurl = {:?}\ntoken_file = \"core-token\"\n{more}", core.url());
    options.files.push(("core-token".into(), fixtures::TOKEN.into()));
    options
}

impl EntraAndCore {
    /// Starts all three.
    pub async fn start(settings: Settings, options: HostOptions, more: &str) -> Self {
        Self::start_seeded(Seed::demo(), settings, options, more).await
    }

    /// As [`EntraAndCore::start`], with other people.
    pub async fn start_seeded(seed: Seed, settings: Settings, options: HostOptions, more: &str) -> Self {
        let core = CoreEmulator::start(settings).await.expect("Core's emulator starts");
        let options = handed_over_to(&core, options, more);
        let stack = Entra::start_seeded(seed, options.clone()).await;
        Self { core, stack, options }
    }

    /// Core's users, without those that were there before anybody signed in.
    pub fn new_users(&self) -> Vec<UserRecord> {
        self.core.control().users().into_iter().filter(|user| user.username != fixtures::ADMIN).collect()
    }

    /// The user who has this address, if exactly one has.
    pub fn user_of(&self, email: &str) -> Option<UserRecord> {
        let mut users = self.core.control().users().into_iter().filter(|user| user.email.eq_ignore_ascii_case(email));
        users.next().filter(|_| users.next().is_none())
    }
}
