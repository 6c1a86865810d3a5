//! The smallest plugin that signs people in: the authorization code flow with PKCE (RFC 6749, RFC 7636), and then the provider's
//! userinfo endpoint says who it is. It has no directory and maps nothing. `docs/plugins.md` goes through it.
#![cfg(target_arch = "wasm32")]

mod provider;
mod sign_in;

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, clippy::pedantic, reason = "generated")]
mod bindings {
    #[cfg(not(feature = "contract-0-1"))]
    wit_bindgen::generate!({ world: "plugin", path: "../../wit", pub_export_macro: false });
    #[cfg(feature = "contract-0-1")]
    wit_bindgen::generate!({ world: "plugin", path: "../../wit/since_v0.1.0", pub_export_macro: false });
}

use bindings::exports::defguard::openid::configuration::{
    self, Description, Finding, OptionDescription, Preview, Problem, Severity,
};
#[cfg(not(feature = "contract-0-1"))]
use bindings::exports::defguard::openid::directory::{self, Collection, Failure, Object, Page, PersonState, Presence};
use bindings::exports::defguard::openid::login::{
    self, Authorization, BeginRequest, CompleteRequest, Completion, Refusal, Verdict,
};
use provider::Provider;

struct Plugin;

#[allow(unsafe_code, reason = "the generated glue")]
mod glue {
    use super::{Plugin, bindings};
    bindings::export!(Plugin with_types_in bindings);
}

impl login::Guest for Plugin {
    fn begin(request: BeginRequest) -> Result<Authorization, Refusal> {
        sign_in::begin(&request)
    }

    fn complete(request: CompleteRequest) -> Result<Completion, Refusal> {
        sign_in::complete(&request)
    }
}

impl configuration::Guest for Plugin {
    fn describe() -> Description {
        let option = |path: &str, required, description: &str| OptionDescription {
            path: path.into(),
            type_name: "string".into(),
            default_value: None,
            required,
            description: description.into(),
        };
        Description {
            name: "example".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            options: vec![
                option("base_url", true, "The issuer; its discovery document names the endpoints."),
                option("client_id", true, "The client's identifier."),
            ],
        }
    }

    fn validate(provider: String) -> Vec<Problem> {
        let problem = |(path, message): (&str, String)| Problem {
            severity: Severity::Error,
            path: path.into(),
            message,
            hint: "see docs/plugins.md".into(),
        };
        Provider::parse(&provider).err().map(problem).into_iter().collect()
    }

    fn map_claims(_provider: String, _input: String) -> Result<Preview, Problem> {
        Err(Problem {
            severity: Severity::Error,
            path: "input".into(),
            message: "this plugin maps no claims".into(),
            hint: String::new(),
        })
    }

    fn probe(provider: String) -> Vec<Finding> {
        let endpoints = Provider::parse(&provider).map_err(|(path, message)| format!("{path}: {message}"));
        let found = endpoints.and_then(|provider| provider.endpoints());
        let (verdict, detail) = match found {
            Ok(endpoints) => (Verdict::Pass, format!("userinfo is at {}", endpoints.userinfo_endpoint)),
            Err(reason) => (Verdict::Fail, reason),
        };
        vec![Finding { name: "discovery".into(), verdict, detail, hint: String::new() }]
    }
}

/// There is none, and that is said, never taken for an empty one.
#[cfg(not(feature = "contract-0-1"))]
impl directory::Guest for Plugin {
    fn test_connection(_provider: String) -> Vec<Finding> {
        Vec::new()
    }

    fn next_page(_provider: String, _read: Vec<Collection>, _cursor: Option<String>) -> Result<Page, Failure> {
        Err(Failure::Misconfigured("this plugin reads no directory".into()))
    }

    fn person(_provider: String, _object_id: String, _timeout_ms: u32) -> Result<Option<PersonState>, Failure> {
        Err(Failure::Misconfigured("this plugin reads no directory".into()))
    }

    fn present(_provider: String, _objects: Vec<Object>) -> Result<Vec<Presence>, Failure> {
        Err(Failure::Misconfigured("this plugin reads no directory".into()))
    }
}
