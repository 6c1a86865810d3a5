//! The npm package `oidc-provider`, a certified OpenID provider that shares no code with ours, as a child process with one
//! client. What it says about a person is in `oidc-provider/accounts.json`; faults are the Entra emulator's business.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::browser::{Answer, Browser};
use crate::host::{HostOptions, TestHost};

/// Node's start with cold disk caches on a busy machine, with a wide margin.
const DEADLINE: Duration = Duration::from_secs(60);
/// More redirects than a sign-in has: authorization, interaction, resumption, callback.
const MOST_REDIRECTS: usize = 10;

/// How the client authenticates at the token endpoint (OpenID Connect Core 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `client_secret_basic`: in a header, each part percent-encoded (RFC 6749 2.3.1).
    Basic,
    /// `client_secret_post`: in the form.
    Post,
}

impl ClientAuthentication {
    fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }
}

/// How the provider is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the issuer identifier ends: empty, or a path such as `/tenant`.
    pub issuer_path: String,
    /// The client's identifier.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The client's method; discovery names this one only.
    pub authentication: ClientAuthentication,
    /// `RS256`, `RS384`, `RS512`, `PS256`, `ES256` or `EdDSA`.
    pub id_token_algorithm: String,
    /// Whether e-mail and names are in the ID token too; otherwise only the userinfo endpoint has them (Core 5.4).
    pub claims_in_id_token: bool,
    /// Whether authorization requests may be pushed (RFC 9126), and whether they must.
    pub pushed_requests: PushedRequests,
}

/// Whether the provider takes pushed authorization requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushedRequests {
    /// It doesn't.
    No,
    /// It does.
    Yes,
    /// It takes no others.
    Only,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            issuer_path: String::new(),
            // Every character that a client mustn't put into a header or a form as it is.
            client_id: "defguard:openid plugin".into(),
            client_secret: r#"p%3A:&+ /?="\~$#"#.into(),
            authentication: ClientAuthentication::Basic,
            id_token_algorithm: "RS256".into(),
            claims_in_id_token: false,
            pushed_requests: PushedRequests::No,
        }
    }
}

/// A person at the provider.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// The `login_hint` that signs in without a page.
    pub login: String,
    /// What is particular.
    pub about: String,
    /// Ends in `access_denied`.
    #[serde(default)]
    pub declines: bool,
    /// What the provider says, given the scopes `openid profile email phone`.
    pub claims: Map<String, Value>,
}

/// The people that the provider knows.
pub fn accounts() -> Vec<Account> {
    serde_json::from_str(include_str!("../oidc-provider/accounts.json")).expect("accounts.json is a list of accounts")
}

/// One of [`accounts`], by login name.
pub fn account(login: &str) -> Account {
    accounts()
        .into_iter()
        .find(|account| account.login == login)
        .unwrap_or_else(|| panic!("accounts.json has no {login}"))
}

/// The provider, until it is dropped.
pub struct OidcProvider {
    /// The issuer identifier: `http://127.0.0.1:PORT` and the path.
    pub issuer: String,
    /// How it was set up.
    pub options: Options,
    conversation: tokio::sync::Mutex<Conversation>,
    stderr: Arc<Mutex<String>>,
    // Killed when dropped. It would also end by itself, with its standard input.
    _child: Child,
}

struct Conversation {
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Ready {
    issuer: String,
}

impl OidcProvider {
    /// Starts one on a port of its own and waits until it serves. Redirect URIs are registered afterwards, since a host's
    /// address is known only when it runs.
    pub async fn start(options: Options) -> Self {
        let folder = folder();
        let mut child = Command::new("node")
            .arg("server.mjs")
            .arg(setup(&options).to_string())
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("node doesn't start ({error}): run `./build.sh test` once, or install Node 20")
            });
        let commands = child.stdin.take().expect("standard input is piped");
        let answers = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let stderr = collect(child.stderr.take().expect("standard error is piped"));
        let mut conversation = Conversation { commands, answers };
        let ready = conversation.answer(&stderr).await;
        let Ready { issuer } = serde_json::from_value(ready).expect("the first line names the issuer");
        Self { issuer, options, conversation: tokio::sync::Mutex::new(conversation), stderr, _child: child }
    }

    /// Replaces the redirect URIs of the client.
    pub async fn register(&self, redirect_uris: &[String]) {
        self.command(json!({ "command": "redirect_uris", "redirect_uris": redirect_uris })).await;
    }

    /// Replaces all signing keys at once, as after a leak; the `kid`s of the new ones. Codes issued before stay good.
    pub async fn rotate_keys(&self) -> Vec<String> {
        let answer = self.command(json!({ "command": "rotate" })).await;
        serde_json::from_value(answer["keys"].clone()).expect("the answer names the keys")
    }

    /// The `[[provider]]` table of a host that uses this provider, as [`HostOptions::with_provider`] takes it.
    pub fn provider(&self) -> Vec<(String, String)> {
        let text = |text: &str| format!("{text:?}");
        vec![
            ("id".into(), text("independent")),
            ("kind".into(), text("oidc")),
            ("base_url".into(), text(&self.issuer)),
            ("client_id".into(), text(&self.options.client_id)),
            ("secret".into(), self.options.client_secret.clone()),
            ("id_token_algorithms".into(), format!("[{:?}]", self.options.id_token_algorithm)),
        ]
    }

    /// Starts a host that uses this provider, and registers its redirect URIs here.
    pub async fn host(&self, options: HostOptions) -> TestHost {
        let host = TestHost::start(options.with_provider(&self.provider())).await;
        self.register(&host.redirect_uris()).await;
        host
    }

    /// Goes through an authorization request as the person with that login name: the answer that sends the browser back to
    /// the client, or the provider's page if it doesn't.
    pub async fn sign_in(&self, browser: &Browser, authorization_url: &str, login: &str) -> Answer {
        let mut url = format!("{authorization_url}&login_hint={login}");
        for _ in 0..MOST_REDIRECTS {
            let mut answer = browser.get(&url).await;
            if answer.status == 200 && url.contains("/interaction/") {
                // A pushed request has no room for a hint: the page asks.
                answer = browser.post_form(&url, &[("login", login)]).await;
            }
            match answer.location.clone() {
                Some(location) if self.owns(&location) => url = location,
                _ => return answer,
            }
        }
        panic!("{login}: more than {MOST_REDIRECTS} redirects, the last to {url}")
    }

    /// What the provider has written to standard error: the reason of each error answer.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no panic holds it").clone()
    }

    fn owns(&self, url: &str) -> bool {
        let origin = self.issuer.strip_suffix(&self.options.issuer_path).unwrap_or(&self.issuer);
        url.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/'))
    }

    async fn command(&self, command: Value) -> Value {
        let mut conversation = self.conversation.lock().await;
        let line = format!("{command}\n");
        let written = conversation.commands.write_all(line.as_bytes()).await;
        written.unwrap_or_else(|error| panic!("the provider is gone ({error}):\n{}", self.stderr()));
        let answer = conversation.answer(&self.stderr).await;
        assert!(answer["error"].is_null(), "the provider refuses {}", answer["error"]);
        answer
    }
}

impl Conversation {
    /// The next line.
    async fn answer(&mut self, stderr: &Mutex<String>) -> Value {
        let line = timeout(DEADLINE, self.answers.next_line()).await;
        let said = || stderr.lock().expect("no panic holds it").clone();
        let line = match line {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => panic!("the provider ended:\n{}", said()),
            Ok(Err(error)) => panic!("the provider can't be read ({error}):\n{}", said()),
            Err(_) => panic!("the provider said nothing for {DEADLINE:?}:\n{}", said()),
        };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?} isn't JSON: {error}"))
    }
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc-provider");
    assert!(
        folder.join("node_modules/oidc-provider").exists(),
        "oidc-provider isn't installed: run `./build.sh test` once, or `npm ci` in {}",
        folder.display(),
    );
    folder
}

/// What server.mjs expects.
fn setup(options: &Options) -> Value {
    json!({
        "issuer_path": options.issuer_path,
        "claims_in_id_token": options.claims_in_id_token,
        "pushed_requests": match options.pushed_requests {
            PushedRequests::No => "no",
            PushedRequests::Yes => "yes",
            PushedRequests::Only => "only",
        },
        "clients": [{
            "client_id": options.client_id,
            "client_secret": options.client_secret,
            "redirect_uris": ["http://127.0.0.1/not-registered-yet"],
            "token_endpoint_auth_method": options.authentication.name(),
            "id_token_signed_response_alg": options.id_token_algorithm,
        }],
    })
}

/// Reads standard error all the time, so that the pipe never fills up and blocks the provider.
fn collect(stderr: tokio::process::ChildStderr) -> Arc<Mutex<String>> {
    let collected = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&collected);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = into.lock().expect("no panic holds it");
            text.push_str(&line);
            text.push('\n');
        }
    });
    collected
}
