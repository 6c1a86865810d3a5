//! A plugin that misbehaves. What it does is in its configuration: `behaviour` says what, `at` in which export; without
//! them it signs people in as a plugin does, with no token behind it: the neighbour whose sign-ins must go on.
//!
//! A behaviour that the host lets end tells what it found in the message of a refusal with the code `reported`.
#![cfg(target_arch = "wasm32")]

mod behaviour;
mod neighbour;

mod bindings {
    wit_bindgen::generate!({ world: "prepared-plugin", path: "../../../wit", pub_export_macro: false });
}

use bindings::exports::defguard::openid::{configuration, directory, login, preparation};

struct Hostile;

bindings::export!(Hostile with_types_in bindings);

/// The text of a key in the configuration, which is JSON without escapes in what a test writes.
pub(crate) fn setting<'a>(configuration: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = configuration.split_once(&format!("\"{key}\":\""))?;
    rest.split('"').next()
}

fn act(configuration: &str, export: &str) -> Option<String> {
    let here = setting(configuration, "at").unwrap_or("begin") == export;
    setting(configuration, "behaviour").filter(|_| here).map(|behaviour| behaviour::act(behaviour, configuration))
}

pub(crate) fn refusal(code: &str, message: String) -> login::Refusal {
    login::Refusal {
        kind: login::RefusalKind::Internal,
        code: code.into(),
        message,
        admin_hint: String::new(),
        http_status: 500,
        retry_helps: false,
        provider_said: Vec::new(),
        checks: Vec::new(),
    }
}

impl login::Guest for Hostile {
    fn begin(request: login::BeginRequest) -> Result<login::Authorization, login::Refusal> {
        if let Some(report) = act(&request.provider, "begin") {
            return Err(refusal("reported", report));
        }
        neighbour::begin(&request)
    }

    fn complete(request: login::CompleteRequest) -> Result<login::Completion, login::Refusal> {
        if let Some(report) = act(&request.provider, "complete") {
            return Err(refusal("reported", report));
        }
        neighbour::complete(&request)
    }
}

impl configuration::Guest for Hostile {
    fn describe() -> configuration::Description {
        configuration::Description { name: "hostile".into(), version: "0.0.0".into(), options: Vec::new() }
    }

    fn validate(provider: String) -> Vec<configuration::Problem> {
        let problem = |message| configuration::Problem {
            severity: configuration::Severity::Error,
            path: "reported".into(),
            message,
            hint: String::new(),
        };
        act(&provider, "validate").map(problem).into_iter().collect()
    }

    fn map_claims(provider: String, _input: String) -> Result<configuration::Preview, configuration::Problem> {
        let message = act(&provider, "map-claims").unwrap_or_default();
        Err(configuration::Problem {
            severity: configuration::Severity::Error,
            path: "reported".into(),
            message,
            hint: String::new(),
        })
    }

    fn probe(provider: String) -> Vec<configuration::Finding> {
        findings(act(&provider, "probe"))
    }
}

fn findings(report: Option<String>) -> Vec<configuration::Finding> {
    let finding = |detail| configuration::Finding {
        name: "reported".into(),
        verdict: login::Verdict::Fail,
        detail,
        hint: String::new(),
    };
    report.map(finding).into_iter().collect()
}

impl preparation::Guest for Hostile {
    fn prepare(providers: Vec<String>) -> u32 {
        for provider in &providers {
            act(provider, "prepare");
        }
        let is_lazy = providers.iter().any(|provider| setting(provider, "behaviour") == Some("few"));
        if is_lazy { 1 } else { u32::MAX }
    }
}

impl directory::Guest for Hostile {
    fn test_connection(provider: String) -> Vec<configuration::Finding> {
        findings(act(&provider, "test-connection"))
    }

    fn next_page(
        provider: String,
        _read: Vec<directory::Collection>,
        _cursor: Option<String>,
    ) -> Result<directory::Page, directory::Failure> {
        Err(directory::Failure::Malformed(act(&provider, "next-page").unwrap_or_default()))
    }

    fn person(
        provider: String,
        _object_id: String,
        _timeout_ms: u32,
    ) -> Result<Option<directory::PersonState>, directory::Failure> {
        Err(directory::Failure::Malformed(act(&provider, "person").unwrap_or_default()))
    }

    fn present(
        provider: String,
        _objects: Vec<directory::Object>,
    ) -> Result<Vec<directory::Presence>, directory::Failure> {
        Err(directory::Failure::Malformed(act(&provider, "present").unwrap_or_default()))
    }
}
