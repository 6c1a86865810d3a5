//! The client's credential never enters the component's memory. Every linear memory of every call is kept as it was at the
//! end of the call, and searched for everything that the host knows and the component mustn't: in each way in which a client
//! authenticates. The search finds what the component does know.
#![allow(unsafe_code, reason = "linear memory that a test can read is wasmtime's to ask for, by an unsafe trait")]

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use conformance::{EntraAndCore, HostOptions};
use core_emulator::{Settings, Version};
use defguard_openid_host::sandbox::Limits;
use defguard_openid_host::sandbox::limits::MemorySource;
use entra_emulator::ConfidentialKind;
use entra_emulator::fixtures::{self, person};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// What was in each memory when its call ended.
type Dumps = Arc<Mutex<Vec<Vec<u8>>>>;

/// A memory in a buffer that never moves.
struct Kept {
    /// Words, since memory must be aligned for whatever the component stores.
    words: *mut [u64],
    size: usize,
    dumps: Dumps,
}

// SAFETY: the buffer is this memory's alone, and wasmtime sees to it that one thread at a time uses it.
unsafe impl Send for Kept {}
// SAFETY: as above; what a shared reference gives are sizes and the pointer.
unsafe impl Sync for Kept {}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and nobody has the pointer any more: the instance is gone.
        let words = unsafe { Box::from_raw(self.words) };
        let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).take(self.size).collect();
        self.dumps.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

// SAFETY: the buffer has its full capacity from the start, is zeroed, and is neither moved nor freed before it is dropped.
unsafe impl LinearMemory for Kept {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.words.len() * 8
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if size > self.byte_capacity() {
            return Err(wasmtime::Error::msg("beyond the bound of the sandbox"));
        }
        self.size = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.words.cast()
    }
}

/// Makes memories that are kept.
struct Keeper(Dumps);

// SAFETY: each memory is its own zeroed buffer; the sandbox asks for no guard pages when it is given a source.
unsafe impl MemoryCreator for Keeper {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if guard != 0 || reserved.is_some_and(|reserved| reserved > Limits::default().memory_bytes) {
            return Err(format!("guard pages ({guard}) or a reservation ({reserved:?}) that this can't give"));
        }
        let words = vec![0_u64; Limits::default().memory_bytes / 8].into_boxed_slice();
        Ok(Box::new(Kept { words: Box::into_raw(words), size: minimum, dumps: Arc::clone(&self.0) }))
    }
}

/// Bytes of the shortest form that is searched for: a shorter one would be found by chance.
const SHORTEST: usize = 16;

/// A value, and how it may be written.
struct Wanted {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Wanted {
    /// A text: as it is, form-encoded, and in base64.
    fn text(name: &str, text: &str) -> Self {
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        Self {
            name: name.into(),
            forms: vec![text.into(), encoded.into(), STANDARD.encode(text).trim_end_matches('=').into()],
        }
    }

    /// A number, as keys hold it: any 16 bytes of it, in both orders, and in base64url.
    fn number(name: &str, bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        let mut forms: Vec<Vec<u8>> = bytes.chunks_exact(16).chain(reversed.chunks_exact(16)).map(Into::into).collect();
        let text = URL_SAFE_NO_PAD.encode(bytes);
        forms.extend(text.as_bytes().chunks_exact(24).map(Into::into));
        Self { name: name.into(), forms }
    }

    fn is_in(&self, dumps: &[Vec<u8>]) -> bool {
        let forms = self.forms.iter().filter(|form| form.len() >= SHORTEST);
        let search = aho_corasick::AhoCorasick::new(forms).expect("patterns");
        dumps.iter().any(|dump| search.is_match(dump))
    }
}

/// A private key in every form: its lines, its DER, its secret numbers.
fn private_key(name: &str, pem: &str) -> Vec<Wanted> {
    let (lines, der) = (pem.lines().filter(|line| !line.starts_with("-----")), der(pem));
    let mut wanted = vec![
        Wanted { name: format!("{name}, PEM"), forms: lines.map(|line| line.as_bytes().to_vec()).collect() },
        // The header and the public half aside: the modulus is in the certificate, which is nobody's secret.
        Wanted {
            name: format!("{name}, DER"),
            forms: der.get(der.len() / 2..).unwrap_or_default().chunks_exact(32).map(Into::into).collect(),
        },
    ];
    for (number, bytes) in integers(&der).into_iter().enumerate().skip(3) {
        wanted.push(Wanted::number(&format!("{name}, number {number}"), &bytes));
    }
    wanted
}

fn der(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(lines).expect("PEM is base64")
}

/// The INTEGERs of an RSA private key (RFC 8017 A.1.2) in PKCS #8: version, n, e, d, p, q, and what follows of them.
fn integers(pkcs8: &[u8]) -> Vec<Vec<u8>> {
    // The last OCTET STRING holds the key: SEQUENCE of INTEGERs.
    fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
        let (tag, short) = (der[0], usize::from(der[1]));
        let (header, length) = match short {
            0x80.. => (
                2 + (short & 0x7f),
                der[2..2 + (short & 0x7f)].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            ),
            _ => (2, short),
        };
        (tag, &der[header..header + length], &der[header + length..])
    }
    let (_, mut body, _) = element(pkcs8);
    let key = loop {
        let (tag, content, rest) = element(body);
        if tag == 4 {
            break content;
        }
        body = rest;
    };
    let (_, mut body, _) = element(key);
    let mut numbers = Vec::new();
    while !body.is_empty() {
        let (_, content, rest) = element(body);
        numbers.push(content.to_vec());
        body = rest;
    }
    numbers
}

/// What the storage is encrypted with.
const STORAGE_KEY: &str = "f3Jf0m6mXv0b7o3nq2Yc9kQyT1s5wz8Lr4aHdPeGiUM=";

/// Signs in with these settings, and Core behind: what was in memory.
async fn dumped(name: &str, settings: &[(&str, String)]) -> (Vec<Vec<u8>>, EntraAndCore) {
    let dumps = Dumps::default();
    let source = Some(MemorySource(Arc::new(Keeper(Arc::clone(&dumps)))));
    let limits = Limits { memory_source: source, concurrent_calls: 4, ..Limits::default() };
    // Groups of the directory need one more token, which the client gets by its credential alone.
    let mut options = HostOptions {
        limits,
        storage_more: "key_file = \"storage-key\"".into(),
        files: vec![("storage-key".into(), STORAGE_KEY.into())],
        ..HostOptions::default()
    }
    .set("groups.source", "\"directory\"");
    options.without_secret = settings.iter().any(|(key, _)| key.ends_with("_file"));
    options.overrides.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let stack = EntraAndCore::start(Settings::new(Version::V2_0), options, "").await;
    let finished = stack.stack.browser().sign_in(person::IN_GROUPS).await;
    assert_eq!(finished.status, 200, "{name}: {}", finished.body);
    let dumps = std::mem::take(&mut *dumps.lock().unwrap_or_else(PoisonError::into_inner));
    (dumps, stack)
}

/// What the emulator saw of a kind.
fn seen(stack: &EntraAndCore, kind: ConfidentialKind) -> Vec<String> {
    let all = stack.stack.entra.control().confidential();
    all.into_iter().filter(|one| one.kind == kind).map(|one| one.value).collect()
}

/// What the component knows is found, or the search would prove nothing.
fn control(name: &str, dumps: &[Vec<u8>], stack: &EntraAndCore) {
    assert!(dumps.len() >= 2, "{name}: {} memories", dumps.len());
    assert!(Wanted::text("", fixtures::CLIENT_ID).is_in(dumps), "{name}: the client id isn't found");
    // What it freed is written over by what came later: of these, some are there yet.
    let handled = [ConfidentialKind::AuthorizationCode, ConfidentialKind::Nonce, ConfidentialKind::State]
        .into_iter()
        .chain([ConfidentialKind::IdToken, ConfidentialKind::AccessToken, ConfidentialKind::CodeVerifier]);
    let found: Vec<ConfidentialKind> =
        handled.filter(|kind| seen(stack, *kind).iter().any(|value| Wanted::text("", value).is_in(dumps))).collect();
    println!("{name}: found in {} memories: {found:?}", dumps.len());
    assert!(found.len() >= 2, "{name}: of what the component handles, only {found:?} is found");
}

/// Nothing of `wanted`, nothing that the client authenticated with, and nothing that is the host's own.
fn nowhere(name: &str, dumps: &[Vec<u8>], stack: &EntraAndCore, mut wanted: Vec<Wanted>) {
    let sent = [ConfidentialKind::ClientSecret, ConfidentialKind::BasicCredentials, ConfidentialKind::ClientAssertion]
        .map(|kind| seen(stack, kind).into_iter().map(move |value| Wanted::text(&format!("{kind:?}"), &value)));
    let sent: Vec<Wanted> = sent.into_iter().flatten().collect();
    assert!(!sent.is_empty(), "{name}: the client authenticated");
    wanted.extend(sent);
    wanted.extend(of_the_host());
    for one in wanted {
        assert!(one.forms.iter().any(|form| form.len() >= SHORTEST), "{name}: {} is too short to search for", one.name);
        assert!(!one.is_in(dumps), "{name}: {} is in the component's memory", one.name);
    }
}

/// What the host knows besides.
fn of_the_host() -> Vec<Wanted> {
    let key = STANDARD.decode(STORAGE_KEY).expect("it is base64");
    vec![
        Wanted::text("Core's token", core_emulator::fixtures::TOKEN),
        Wanted::text("the storage's key, as its file has it", STORAGE_KEY),
        Wanted::number("the storage's key", &key),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_secret_is_not_in_the_components_memory() {
    for (method, kind) in [
        ("client_secret_post", ConfidentialKind::ClientSecret),
        ("client_secret_basic", ConfidentialKind::BasicCredentials),
    ] {
        let (dumps, stack) = dumped(method, &[("token_endpoint_auth_method", format!("{method:?}"))]).await;
        control(method, &dumps, &stack);
        assert!(!seen(&stack, kind).is_empty(), "{method} was used");
        let pair = format!("{}:{}", fixtures::CLIENT_ID, fixtures::CLIENT_SECRET);
        let wanted = vec![Wanted::text("the secret", fixtures::CLIENT_SECRET), Wanted::text("the pair", &pair)];
        nowhere(method, &dumps, &stack, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_key_and_what_it_signs_are_not_in_the_components_memory() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{path:?}")
    };
    let settings = [
        ("certificate_file", write("certificate.pem", fixtures::CLIENT_CERTIFICATE_PEM)),
        ("private_key_file", write("key.pem", fixtures::CLIENT_CERTIFICATE_KEY_PEM)),
    ];
    let (dumps, stack) = dumped("certificate", &settings).await;
    control("certificate", &dumps, &stack);
    assert_eq!(seen(&stack, ConfidentialKind::ClientAssertion).len(), 2);
    let wanted = private_key("the key", fixtures::CLIENT_CERTIFICATE_KEY_PEM);
    assert!(wanted.len() >= 8, "PEM, DER, d, p, q and what is computed of them: {}", wanted.len());
    nowhere("certificate", &dumps, &stack, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federated_token_is_not_in_the_components_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let token = federated_token();
    std::fs::write(&file, &token).unwrap();
    let (dumps, stack) = dumped("federated", &[("federated_token_file", format!("{file:?}"))]).await;
    control("federated", &dumps, &stack);
    nowhere("federated", &dumps, &stack, vec![Wanted::text("the token", &token)]);
}

/// As the emulated issuer of a workload's tokens signs them.
fn federated_token() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": fixtures::FEDERATED_KEY_ID });
    let claims = json!({
        "iss": fixtures::FEDERATED_ISSUER, "sub": fixtures::FEDERATED_SUBJECT, "aud": fixtures::FEDERATED_AUDIENCE,
        "iat": now, "nbf": now, "exp": now + 600, "jti": now.to_string(),
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    let pair = RsaKeyPair::from_pkcs8(&der(fixtures::FEDERATED_KEY_PEM)).unwrap();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn the_search_finds_what_it_should() {
    let key = private_key("k", fixtures::CLIENT_CERTIFICATE_KEY_PEM);
    let der = der(fixtures::CLIENT_CERTIFICATE_KEY_PEM);
    let around = |bytes: &[u8]| vec![[&[7; 100], bytes, &[7; 100]].concat()];
    let found = |dumps: &[Vec<u8>]| key.iter().filter(|one| one.is_in(dumps)).count();
    assert_eq!(found(&around(&[])), 0);
    assert!(found(&around(fixtures::CLIENT_CERTIFICATE_KEY_PEM.as_bytes())) >= 1, "as a file");
    assert!(found(&around(&der)) >= 6, "decoded: as a whole, and each number in it");
    let reversed: Vec<u8> = der.iter().rev().copied().collect();
    assert!(found(&around(&reversed)) >= 5, "numbers in the machine's order");
    let secret = Wanted::text("s", "a b/c+d: a long client secret");
    for form in ["a b/c+d: a long client secret", "a+b%2Fc%2Bd%3A+a+long+client+secret"] {
        assert!(secret.is_in(&around(form.as_bytes())), "{form}");
    }
    assert!(!secret.is_in(&around(b"a b/c+d: a long client")));
}
