//! The Entra emulator as a process of its own, with a directory of any size: its memory and time are not the host's.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use entra_emulator::{Seed, fixtures};
use serde::Deserialize;
use serde_json::Value;

/// How big a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// People.
    pub users: usize,
    /// Groups.
    pub groups: usize,
    /// Direct memberships.
    pub memberships: usize,
}

impl Scale {
    /// What issue 5 promises.
    pub const FULL: Self = Self { users: 100_000, groups: 10_000, memberships: 1_000_000 };

    /// `OPENID_BENCH_DIRECTORY` (`USERS,GROUPS,MEMBERSHIPS`), else all of it.
    pub fn from_env() -> Self {
        let Ok(text) = std::env::var("OPENID_BENCH_DIRECTORY") else { return Self::FULL };
        let numbers: Vec<usize> = text.split(',').map(|number| number.trim().parse().expect("a number")).collect();
        let [users, groups, memberships] = numbers.try_into().expect("USERS,GROUPS,MEMBERSHIPS");
        Self { users, groups, memberships }
    }

    /// A part of it.
    #[must_use]
    pub fn divided(self, by: usize) -> Self {
        Self { users: self.users / by, groups: self.groups / by, memberships: self.memberships / by }
    }
}

/// What the emulator says when it serves.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    /// The login side.
    pub login_url: String,
    /// The Graph side.
    pub graph_url: String,
    /// The authority of the tenant.
    pub authority: String,
    /// The application.
    pub client_id: String,
}

/// It runs until it is dropped.
pub struct Emulator {
    /// Where it serves.
    pub addresses: Addresses,
    child: Child,
    client: reqwest::Client,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Beside the running bench: `target/release/deps/bench-…`.
fn program() -> PathBuf {
    let bench = std::env::current_exe().expect("a path");
    let folder = bench.ancestors().find(|folder| folder.join("entra-emulator").is_file());
    folder.expect("the emulator is built: use `./build.sh bench`").join("entra-emulator")
}

impl Emulator {
    /// Starts it, and waits until it serves.
    pub fn start(scale: Scale) -> Self {
        Self::start_for(scale, &[])
    }

    /// As [`Emulator::start`], with these redirect URIs registered for every application.
    pub fn start_for(scale: Scale, redirect_uris: &[String]) -> Self {
        let Scale { users, groups, memberships } = scale;
        let mut child = Command::new(program())
            .args(["--login", "127.0.0.1:0", "--graph", "127.0.0.1:0"])
            .args(["--scale", &format!("{users},{groups},{memberships}")])
            .args(redirect_uris.iter().map(|uri| format!("--redirect-uri={uri}")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it says where it serves");
        let addresses = serde_json::from_str(&line).expect("a line of JSON");
        // Fails only if there is one already, which then is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { addresses, child, client }
    }

    /// The `[[provider]]` table of a host that reads it, with these lines besides.
    pub fn provider(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let text = |text: &str| format!("{text:?}");
        let keys = [
            ("id", text("entra")),
            ("kind", text("microsoft")),
            ("base_url", text(&self.addresses.authority)),
            ("client_id", text(&self.addresses.client_id)),
            ("secret", fixtures::CLIENT_SECRET.to_owned()),
            ("cloud", text("custom")),
            ("login_url", text(&self.addresses.login_url)),
            ("graph_url", text(&self.addresses.graph_url)),
        ];
        let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        keys.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(more).collect()
    }

    /// What it holds now.
    pub async fn directory(&self) -> Seed {
        let url = format!("{}/__admin/directory", self.addresses.graph_url);
        let bytes = self.client.get(url).send().await.expect("it answers").bytes().await.expect("a whole answer");
        serde_json::from_slice(&bytes).expect("a directory")
    }

    /// Tells it to do something (`POST /__admin/…`).
    pub async fn order(&self, what: &str, order: &Value) {
        let url = format!("{}/__admin/{what}", self.addresses.graph_url);
        let request = self.client.post(url).header("content-type", "application/json").body(order.to_string());
        let answer = request.send().await.expect("it answers");
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
    }

    /// An access token of the application's, for [`Emulator::get`].
    pub async fn token(&self) -> String {
        let url = format!("{}/oauth2/v2.0/token", self.addresses.authority.trim_end_matches("/v2.0"));
        let scope = format!("{}/.default", self.addresses.graph_url);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.addresses.client_id)
            .append_pair("client_secret", fixtures::CLIENT_SECRET)
            .append_pair("scope", &scope)
            .finish();
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await.expect("it answers").bytes().await.expect("a whole answer");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// All pages of one of Graph's lists: the items, and how many requests that took.
    pub async fn pages(&self, token: &str, path: &str) -> (Vec<Value>, usize) {
        let (mut items, mut requests) = (Vec::new(), 0);
        let mut next = Some(format!("{}/v1.0/{path}", self.addresses.graph_url));
        while let Some(url) = next {
            let answer = self.client.get(&url).bearer_auth(token).send().await.expect("it answers");
            requests += 1;
            let bytes = answer.bytes().await.expect("a whole answer");
            let mut page: Value = serde_json::from_slice(&bytes).expect("JSON");
            let value = page["value"].as_array_mut().unwrap_or_else(|| panic!("{url} is no list"));
            items.append(value);
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        (items, requests)
    }
}
