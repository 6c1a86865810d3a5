//! Everything that the logic can do to the world, as traits: `component` binds them to the contract of `wit/`, tests bind
//! them to scripts. The types are the contract's own, without its generated names.

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends a form.
    Post,
}

/// `http.request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where.
    pub url: String,
    /// With which headers.
    pub headers: Vec<(String, String)>,
    /// With what.
    pub body: Option<Vec<u8>>,
    /// Until when, in milliseconds.
    pub timeout_ms: u32,
    /// How much, in bytes.
    pub max_response_bytes: u32,
}

/// `http.response`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Lower-case names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether it says that it is JSON.
    pub fn is_json(&self) -> bool {
        let media_type = self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json") || media_type.to_ascii_lowercase().ends_with("+json")
    }
}

/// `http.error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not allowed.
    #[error("the host denied it: {0}")]
    Denied(String),
    /// A malformed request.
    #[error("the request is malformed: {0}")]
    InvalidRequest(String),
    /// No such name.
    #[error("the name can't be resolved: {0}")]
    Dns(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Too slow.
    #[error("no answer in time")]
    Timeout,
    /// Too much.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    /// Not HTTP.
    #[error("not a proper HTTP answer: {0}")]
    Protocol(String),
    /// Too many requests in one call.
    #[error("the call's budget of requests is used up")]
    BudgetExhausted,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Requests to the provider.
pub trait Http {
    /// Sends one.
    fn send(&self, request: Request) -> Result<Response, HttpError>;

    /// Sends several at once, 16 at most; the answers come in the order of the requests.
    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, HttpError>>;
}

/// `storage.error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Outside the limits.
    #[error("outside the storage's limits: {0}")]
    Invalid(String),
    /// Full.
    #[error("the storage is full")]
    QuotaExceeded,
    /// Not there.
    #[error("the storage can't be used: {0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Durable state, shared by all proxies.
pub trait Storage {
    /// Reads.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError>;
    /// Writes if the key is free.
    fn put_if_absent(&self, key: &str, value: &[u8], ttl_s: u32) -> Result<bool, StorageError>;
    /// Reads and deletes: one caller gets it.
    fn take(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError>;
}

/// What `cache.claim` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is there.
    Value(Vec<u8>),
    /// This call is to fetch it.
    Fetch,
    /// Another call is, and takes long.
    Busy,
}

/// Memory of this host.
pub trait Cache {
    /// Reads.
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// Reads, or elects one to fetch.
    fn claim(&self, key: &str, wait_ms: u32) -> Claimed;
    /// Gives up a claim.
    fn release(&self, key: &str);
    /// Writes.
    fn put(&self, key: &str, value: &[u8], ttl_s: u32);
    /// Writes if the key is free.
    fn put_if_absent(&self, key: &str, value: &[u8], ttl_s: u32) -> bool;
}

/// The time.
pub trait Clock {
    /// Milliseconds since 1970.
    fn now_unix_ms(&self) -> u64;

    /// Milliseconds since some moment, for durations within one call: where the host has a clock for that, it never steps
    /// back; a world without one counts by the time of day.
    fn monotonic_ms(&self) -> u64 {
        self.now_unix_ms()
    }

    /// Seconds since 1970.
    fn now_unix_s(&self) -> u64 {
        self.now_unix_ms() / 1000
    }
}

/// Randomness.
pub trait Random {
    /// 32 bytes: 256 bits.
    fn bytes(&self) -> Result<[u8; 32], RandomUnavailable>;
}

/// There is no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no randomness")]
pub struct RandomUnavailable;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good.
    Info,
    /// To be looked at.
    Warn,
}

/// Records.
pub trait Log {
    /// Writes one. No value of it is a secret.
    fn write(&self, level: Level, event: &str, fields: &[(&str, &str)]);
}

/// Client authentication methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// In the form.
    SecretPost,
    /// HTTP Basic.
    SecretBasic,
    /// A signed assertion.
    PrivateKeyJwt,
}

impl ClientAuthentication {
    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretPost => "client_secret_post",
            Self::SecretBasic => "client_secret_basic",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// By its registered name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SecretPost, Self::SecretBasic, Self::PrivateKeyJwt].into_iter().find(|method| method.as_str() == name)
    }
}

/// `credentials.failure`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFailure {
    /// No credential for it.
    #[error("the configuration has no credential for this method")]
    MethodUnavailable,
    /// There is one, and it is broken.
    #[error("the credential can't be used: {0}")]
    Unusable(String),
    /// Not a request that carries one.
    #[error("the request can't carry a credential: {0}")]
    InvalidRequest(String),
    /// The request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// The client's credential.
pub trait Credentials {
    /// What it allows.
    fn available(&self) -> Vec<ClientAuthentication>;
    /// Sends a form request with it.
    fn send_authenticated(&self, request: Request, method: ClientAuthentication)
    -> Result<Response, CredentialFailure>;
}

/// All of them, for one call.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Requests.
    pub http: &'a dyn Http,
    /// Durable state.
    pub storage: &'a dyn Storage,
    /// Memory.
    pub cache: &'a dyn Cache,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub random: &'a dyn Random,
    /// Records.
    pub log: &'a dyn Log,
    /// The credential.
    pub credentials: &'a dyn Credentials,
}
