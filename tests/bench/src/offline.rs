//! A provider without a network: its documents and the token endpoint's next answer, handed over in this process where the host's
//! HTTP client would be. What a sign-in costs after the network has answered can be measured with it, and nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use defguard_openid_host::Config;
use defguard_openid_host::capability::{
    Cache, ClientCredential, Grant, Outgoing, ProviderContext, Script, SystemClock, TraceId,
};
use defguard_openid_host::config::Provider;
use defguard_openid_host::gateway::{Flow, load_plugin};
use defguard_openid_host::sandbox::bindings::defguard::openid::http::Response;
use defguard_openid_host::sandbox::bindings::exports::defguard::openid::login::{
    Authorization, BeginRequest, CompleteRequest, Completion,
};
use defguard_openid_host::sandbox::{Limits, Plugin, Runtime};
use defguard_openid_host::storage::{MemoryStorage, Namespace};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Value, json};
use url::Url;

/// The client, at both kinds of provider.
pub const CLIENT_ID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
/// Its secret: known to everybody, it opens nothing.
pub const CLIENT_SECRET: &str = "bench-client-secret";
/// Where the callback arrives.
pub const REDIRECT_URI: &str = "https://enrollment.bench.invalid/openid/callback";
const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const GROUP: &str = "11112222-3333-4444-5555-666677778888";

/// Keys of a tenant's size that sign nothing here: Entra publishes about six.
const OTHERS: [&[u8]; 4] = [
    include_bytes!("../../entra/keys/work-2.pk8"),
    include_bytes!("../../entra/keys/work-3.pk8"),
    include_bytes!("../../entra/keys/work-4.pk8"),
    include_bytes!("../../entra/keys/work-5.pk8"),
];
/// Stands for the certificate that Entra puts beside each key.
const CERTIFICATE: &[u8] = include_bytes!("../../entra/keys/work-1.crt");

/// What signs the ID tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// RS256 with 2048 bits, as Entra signs.
    Rsa2048,
    /// RS256 with 4096 bits.
    Rsa4096,
    /// ES256.
    P256,
}

impl Signer {
    fn algorithm(self) -> &'static str {
        match self {
            Self::Rsa2048 | Self::Rsa4096 => "RS256",
            Self::P256 => "ES256",
        }
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Pair {
    fn of(signer: Signer) -> Self {
        let rsa = |bytes: &[u8]| Self::Rsa(RsaKeyPair::from_pkcs8(bytes).expect("a key of ours"));
        match signer {
            Signer::Rsa2048 => rsa(include_bytes!("../../entra/keys/work-1.pk8")),
            Signer::Rsa4096 => rsa(include_bytes!("../keys/rsa-4096.pk8")),
            Signer::P256 => {
                let key = include_bytes!("../../../plugin/tests/keys/provider_p256.pk8");
                let random = SystemRandom::new();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &random);
                Self::P256(pair.expect("a key of ours"))
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("it signs");
                signature
            }
            Self::P256(pair) => pair.sign(&random, message).expect("it signs").as_ref().to_vec(),
        }
    }

    fn jwk(&self, kid: &str, issuer: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "x5t": kid, "issuer": issuer,
                    "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e),
                    "x5c": [STANDARD.encode(CERTIFICATE)] })
            }
            Self::P256(pair) => {
                // SEC 1 section 2.3.3: 0x04, x, y.
                let (x, y) = pair.public_key().as_ref().split_at(1).1.split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
                    "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
            }
        }
    }

    fn verifier(&self) -> UnparsedPublicKey<Vec<u8>> {
        let (algorithm, bytes): (&'static dyn VerificationAlgorithm, _) = match self {
            Self::Rsa(pair) => (&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref()),
            Self::P256(pair) => (&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()),
        };
        UnparsedPublicKey::new(algorithm, bytes.to_vec())
    }
}

/// The provider: Entra where tokens are signed by RS256, another one for ES256, which Entra doesn't do.
pub struct Offline {
    signer: Signer,
    pair: Pair,
    issuer: String,
    /// As it is fetched.
    pub discovery: String,
    /// As it is fetched.
    pub key_set: String,
    answer: Mutex<Vec<u8>>,
}

/// A signature, and what it signs.
pub struct Signed {
    /// The token endpoint's answer with the token.
    pub answer: Vec<u8>,
    /// The token's header and payload.
    pub message: Vec<u8>,
    /// Its signature.
    pub signature: Vec<u8>,
}

impl Offline {
    /// A provider that signs so.
    pub fn new(signer: Signer) -> Self {
        let (pair, kid) = (Pair::of(signer), "signs");
        let issuer = match signer {
            Signer::P256 => "https://provider.bench.invalid".to_owned(),
            _ => format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
        };
        let root = issuer.strip_suffix("/v2.0").unwrap_or(&issuer);
        let discovery = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{root}/oauth2/v2.0/token"),
            "jwks_uri": format!("{root}/discovery/v2.0/keys"),
            "device_authorization_endpoint": format!("{root}/oauth2/v2.0/devicecode"),
            "end_session_endpoint": format!("{root}/oauth2/v2.0/logout"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": [signer.algorithm()],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name",
                "tid", "ver", "at_hash", "c_hash", "email"],
        });
        let others = OTHERS.iter().enumerate().map(|(position, key)| {
            Pair::Rsa(RsaKeyPair::from_pkcs8(key).expect("a key of ours")).jwk(&format!("other-{position}"), &issuer)
        });
        let keys: Vec<Value> = std::iter::once(pair.jwk(kid, &issuer)).chain(others).collect();
        let key_set = json!({ "keys": keys }).to_string();
        Self { signer, pair, discovery: discovery.to_string(), key_set, issuer, answer: Mutex::default() }
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its public key, for ring.
    pub fn verifier(&self) -> UnparsedPublicKey<Vec<u8>> {
        self.pair.verifier()
    }

    /// A token for a sign-in with that nonce, of the size that Entra's have.
    pub fn sign(&self, nonce: &str) -> Signed {
        let now = defguard_openid_host::capability::Clock::now_unix_ms(&SystemClock) / 1000;
        let header = json!({ "typ": "JWT", "alg": self.signer.algorithm(), "kid": "signs" });
        let claims = json!({
            "aud": CLIENT_ID, "iss": self.issuer, "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
            "aio": "AWQAm/8YAAAA1p6Zk1a8lWq0ZcSgT8bqFJm1Yk5oYx2k3l4m5n6o7p8q9r0s1t2u3v4w5x6y7z",
            "rh": "0.AXkAq7uqAADMRBEd3d0iIu7uAAAA", "uti": "kBf1o2u3v4w5x6y7z8A9AA", "ver": "2.0", "nonce": nonce,
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": TENANT,
            "oid": "00000000-0000-4000-8000-0000000000ad", "name": "Ada Lovelace", "given_name": "Ada",
            "family_name": "Lovelace", "preferred_username": "ada@contoso.example", "email": "ada@contoso.example",
            "xms_edov": true, "email_verified": true,
            "groups": [GROUP, "99998888-7777-4666-8555-444433332222", "12345678-1234-4123-8123-123456789abc"],
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = self.pair.sign(message.as_bytes());
        let id_token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&signature));
        let answer = json!({ "token_type": "Bearer", "scope": "openid profile email", "expires_in": 3599,
            "ext_expires_in": 3599, "access_token": "e".repeat(1400), "id_token": id_token });
        Signed { answer: answer.to_string().into_bytes(), message: message.into_bytes(), signature }
    }

    /// What the token endpoint answers next.
    pub fn answers(&self, answer: Vec<u8>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Its `[[provider]]` table: the mapping as it is without a word, groups, a policy by domain and group, and a rule in JMESPath if there
    /// is to be one.
    fn table(&self, with_rule: bool) -> String {
        let rule = if with_rule {
            format!(
                "[[provider.policy.rules]]\nname = \"staff\"\nmessage = \"Staff only.\"\n\
                 require = \"contains(groups, '{GROUP}') && ends_with(email, '@contoso.example')\"\n"
            )
        } else {
            String::new()
        };
        let kind = if self.signer == Signer::P256 { "oidc" } else { "microsoft" };
        format!(
            "[[provider]]\nid = \"bench\"\nkind = \"{kind}\"\nbase_url = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
             client_secret_file = \"secret\"\nid_token_algorithms = [\"{}\"]\n\
             [provider.groups]\nsource = \"claim\"\n\
             [provider.policy]\nallowed_domains = [\"contoso.example\"]\nallowed_groups = [\"{GROUP}\"]\n{rule}",
            self.issuer,
            self.signer.algorithm(),
        )
    }
}

impl Script for Offline {
    fn answer(&self, url: &Url, _body: &[u8]) -> Response {
        let body = match url.path() {
            path if path.ends_with("/openid-configuration") => self.discovery.clone().into_bytes(),
            path if path.ends_with("/keys") => self.key_set.clone().into_bytes(),
            path if path.ends_with("/token") => self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            path => panic!("nobody asks for {path}"),
        };
        Response { status: 200, headers: vec![("content-type".into(), "application/json".into())], body }
    }
}

/// The plugin, and the provider that it knows.
pub struct Stage {
    /// The provider.
    pub provider: Arc<Offline>,
    /// The plugin.
    pub plugin: Plugin,
    context: Arc<ProviderContext>,
    json: String,
}

impl Stage {
    /// A component, configured for a provider that signs so, and prepared for it; with a rule in JMESPath, or without.
    pub async fn new(signer: Signer, component: &std::path::Path, with_rule: bool) -> Self {
        Self::with_limits(signer, component, with_rule, Limits::default()).await.prepared().await
    }

    /// As a service is that has run for a while.
    pub async fn prepared(self) -> Self {
        self.plugin.prepare(std::slice::from_ref(&self.json), None).await.expect("it can be prepared");
        self
    }

    /// As [`Stage::new`], within other bounds, and not prepared.
    pub async fn with_limits(signer: Signer, component: &std::path::Path, with_rule: bool, limits: Limits) -> Self {
        let provider = Arc::new(Offline::new(signer));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("openid.toml");
        std::fs::write(folder.path().join("secret"), CLIENT_SECRET).expect("the folder can be written");
        let component = component.canonicalize().expect("the component is there");
        let text = format!(
            "public_url = \"http://127.0.0.1:8080\"\nplugin = {component:?}\n[storage]\nurl = \"memory:\"\n\
             [handover]\nkind = \"local\"\n[plugins]\nunsigned = \"allow\"\n[development]\nloopback_http = true\n{}",
            provider.table(with_rule)
        );
        std::fs::write(&file, text).expect("the folder can be written");
        let config = Config::load(&file).expect("a good configuration");
        let runtime = Arc::new(Runtime::new(limits).expect("a runtime"));
        let (plugin, _, _) = load_plugin(&config, &runtime).await.expect("the plugin takes the configuration");
        let configured = config.providers.first().expect("it has one provider");
        let context = Arc::new(context(configured, &provider));
        Self { json: configured.component_json.clone(), provider, plugin, context }
    }

    fn grant(&self) -> Grant {
        Grant::provider(Arc::clone(&self.context), TraceId::new())
    }

    /// The provider's configuration, as the plugin gets it.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// `login.begin`.
    pub async fn begin(&self) -> Authorization {
        let request = BeginRequest {
            provider: self.json.clone(),
            flow: Flow::Enrollment,
            redirect_uri: REDIRECT_URI.into(),
            login_hint: None,
        };
        self.plugin.begin(self.grant(), &request).await.expect("it runs").expect("it begins")
    }

    /// A sign-in that waits for its callback, and the token that is signed for it.
    pub async fn begun(&self) -> (CompleteRequest, Signed, String) {
        let authorization = self.begin().await;
        let url = Url::parse(&authorization.url).expect("an address");
        let (_, nonce) = url.query_pairs().find(|(name, _)| name == "nonce").expect("a nonce");
        let parameters = vec![
            ("code".into(), format!("0.AXkA.{}", "c".repeat(900))),
            ("state".into(), authorization.state),
            ("session_state".into(), "0f1e2d3c-aaaa-4bbb-8ccc-ddddeeeeffff".into()),
        ];
        let request = CompleteRequest {
            provider: self.json.clone(),
            flow: Flow::Enrollment,
            redirect_uri: REDIRECT_URI.into(),
            parameters,
            browser_binding: Some(authorization.browser_binding),
        };
        (request, self.provider.sign(&nonce), nonce.into_owned())
    }

    /// `login.complete`, from the call to the identity.
    pub async fn complete(&self, request: &CompleteRequest) -> Completion {
        self.plugin.complete(self.grant(), request).await.expect("it runs").expect("it lets her in")
    }
}

fn context(provider: &Provider, script: &Arc<Offline>) -> ProviderContext {
    ProviderContext {
        id: provider.id.clone(),
        namespace: Namespace::new("openid", provider.id.as_str()),
        allowed: provider.allowed.clone(),
        credential_origins: provider.credential_origins.clone(),
        credential: ClientCredential::new(provider.client_id.clone(), provider.credential.clone()),
        outgoing: Arc::new(Outgoing::scripted(Arc::clone(script) as _)),
        storage: Arc::new(MemoryStorage::default()),
        cache: Arc::new(Cache::default()),
        clock: Arc::new(SystemClock),
    }
}
