//! The authorization endpoint: who signs in, how it ends, and the answer to the client.
//! A person is chosen by `x_user` (the emulator's own parameter), by `login_hint`, or on the picker page.

use std::sync::Arc;

use axum::extract::{Path, RawForm, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::codes::IssuedCode;
use super::errors::{Refusal, error_page, error_uri};
use super::request::{AuthorizationRequest, Prompt, Rejection, ResponseMode, ReturnAddress};
use super::session::Session;
use super::{pages, with_service_headers};
use crate::control::confidential::ConfidentialKind;
use crate::directory::Directory;
use crate::encoding::Parameters;
use crate::seed::{Guid, Outcome, Person, UserType};
use crate::world::World;

/// How many random bytes a code has: 750 of them make 1000 characters. Entra's codes are this long and grow with the claims.
const CODE_BYTES: usize = 750;

/// How many people the picker shows; a hint or `x_user` finds the others.
const MOST_CANDIDATES: usize = 500;

/// `GET /{tenant}/oauth2/v2.0/authorize`.
pub(crate) async fn by_query(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    authorize(&world, &segment, &parameters, &headers)
}

/// `POST /{tenant}/oauth2/v2.0/authorize` (OpenID Connect Core section 3.1.2.1: both methods).
pub(crate) async fn by_form(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    authorize(&world, &segment, &Parameters::parse(&form), &headers)
}

fn authorize(world: &World, segment: &str, parameters: &Parameters, headers: &HeaderMap) -> Response {
    let read = AuthorizationRequest::read(&world.state().directory, &world.graph_url, segment, parameters);
    let request = match read {
        Ok(request) => request,
        Err(Rejection::OnPage(refusal)) => return error_page(world, headers, &refusal),
        Err(Rejection::ToClient(back, refusal)) => return refuse(world, headers, &back, &refusal),
    };
    match choose(world, &request, parameters) {
        Choice::Person(person) => sign_in(world, headers, &request, &person),
        Choice::Ask { candidates, hint } => {
            let page = pages::picker(&request.app, segment, parameters, &candidates, hint.as_deref());
            with_service_headers(world, page)
        }
        Choice::Nobody(refusal) => refuse(world, headers, &request.back, &refusal),
        Choice::Unacceptable(refusal) => error_page(world, headers, &refusal),
    }
}

/// Who is to sign in.
enum Choice {
    Person(Box<Person>),
    /// Show the picker; with the `login_hint` that meant nobody.
    Ask {
        candidates: Vec<Person>,
        hint: Option<String>,
    },
    /// `prompt=none` and nobody is known.
    Nobody(Refusal),
    /// Someone who cannot sign in here: Entra keeps them on its own page.
    Unacceptable(Refusal),
}

fn choose(world: &World, request: &AuthorizationRequest, parameters: &Parameters) -> Choice {
    let state = world.state();
    let directory = &state.directory;
    if let Some(key) = parameters.get("x_user") {
        let by_id = || directory.person_by_id(&Guid::parse(key).ok()?);
        let named = directory.person(key).or_else(by_id).map(|person| &**person);
        return match named.or_else(|| meant_by(directory, key, |_| true)) {
            None => Choice::Unacceptable(Refusal::UnknownPerson { name: key.to_owned() }),
            Some(person) if request.authority.admits(person) => Choice::Person(Box::new(person.clone())),
            Some(person) => Choice::Unacceptable(not_here(request, person)),
        };
    }
    let hint = parameters.get("login_hint");
    let hinted = hint.and_then(|hint| meant_by(directory, hint, |person| request.authority.admits(person)));
    match (hinted, request.prompt) {
        (Some(person), _) => Choice::Person(Box::new(person.clone())),
        (None, Prompt::Silent) => Choice::Nobody(Refusal::NobodySignedIn),
        (None, Prompt::Interactive | Prompt::Login | Prompt::SelectAccount) => {
            let admitted = directory.people().filter(|person| request.authority.admits(person));
            let candidates = admitted.take(MOST_CANDIDATES).map(|person| (**person).clone()).collect();
            Choice::Ask { candidates, hint: hint.map(str::to_owned) }
        }
    }
}

/// The first person that a hint means, of those that `fits` lets through. User principal names are found without a search.
fn meant_by<'a>(directory: &'a Directory, hint: &str, fits: impl Fn(&Person) -> bool) -> Option<&'a Person> {
    let meant = |person: &&Person| fits(person) && person.is_meant_by(hint);
    let by_name = directory.people_named(hint).map(|person| &**person).find(meant);
    by_name.or_else(|| directory.people().map(|person| &**person).find(meant))
}

fn not_here(request: &AuthorizationRequest, person: &Person) -> Refusal {
    if person.user_type == UserType::Personal {
        Refusal::PersonalAccountsNotAllowed { client_id: request.app.client_id.to_string() }
    } else {
        Refusal::AccountNotInTenant { account: person.sign_in_name().to_owned() }
    }
}

/// The end of a person's sign-in.
fn sign_in(world: &World, headers: &HeaderMap, request: &AuthorizationRequest, person: &Person) -> Response {
    let app = &request.app;
    if person.user_type == UserType::Personal && app.audience != crate::seed::Audience::MultiTenantAndPersonal {
        return error_page(world, headers, &not_here(request, person));
    }
    if app.keeps_out(person) {
        let refusal = Refusal::NotAssigned { app: app.name.clone(), account: person.sign_in_name().to_owned() };
        return error_page(world, headers, &refusal);
    }
    let refusal = match person.outcome {
        Outcome::SignsIn => match Session::of(request, person, world.clock.now_unix_s()) {
            Ok(session) => return grant(world, request, person, session),
            Err(refusal) => refusal,
        },
        Outcome::Cancels => Refusal::Cancelled,
        Outcome::AdminConsentRequired => Refusal::AdminConsentRequired { app: app.name.clone() },
        Outcome::DeclinesConsent => Refusal::ConsentDeclined,
        Outcome::NotConsented => Refusal::NotConsented { client_id: app.client_id.to_string() },
        Outcome::MfaRequired => Refusal::MfaRequired,
        Outcome::BlockedByConditionalAccess => Refusal::BlockedByConditionalAccess,
        Outcome::Disabled => Refusal::AccountDisabled,
    };
    refuse(world, headers, &request.back, &refusal)
}

fn grant(world: &World, request: &AuthorizationRequest, person: &Person, session: Session) -> Response {
    let code = format!("1.A{}", world.random.text(CODE_BYTES));
    let issued = IssuedCode {
        client_id: request.app.client_id.clone(),
        person: person.clone(),
        authority: request.authority.clone(),
        redirect_uri: request.back.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        nonce: request.nonce.clone(),
        scopes: request.scopes.clone(),
        session,
        issued_at_unix_s: world.clock.now_unix_s(),
        redeemed: false,
    };
    {
        let mut state = world.state();
        state.confidential.note(ConfidentialKind::AuthorizationCode, &code);
        state.codes.insert(code.clone(), issued);
    }
    let session_state = world.random.guid().to_string();
    deliver(world, &request.back, vec![("code", code), ("session_state", session_state)])
}

fn refuse(world: &World, headers: &HeaderMap, back: &ReturnAddress, refusal: &Refusal) -> Response {
    let mut answer = vec![("error", refusal.error().to_owned())];
    if *refusal == Refusal::Cancelled {
        // Often with no description at all.
        answer.push(("error_subcode", "cancel".to_owned()));
    } else {
        let code = refusal.code();
        let trace = super::errors::Trace::new(world, headers);
        let description = format!(
            "AADSTS{code}: {refusal}\r\nTrace ID: {}\r\nCorrelation ID: {}\r\nTimestamp: {}",
            trace.id, trace.correlation_id, trace.timestamp
        );
        answer.push(("error_description", description));
        answer.push(("error_uri", error_uri(world, code)));
    }
    deliver(world, back, answer)
}

/// Sends an answer back to the client, with the state that it gave.
fn deliver(world: &World, back: &ReturnAddress, mut answer: Vec<(&'static str, String)>) -> Response {
    if let Some(state) = &back.state {
        answer.push(("state", state.clone()));
    }
    let Ok(mut target) = url::Url::parse(&back.redirect_uri) else {
        return with_service_headers(world, StatusCode::INTERNAL_SERVER_ERROR);
    };
    let no_store = [("cache-control", "no-store, no-cache"), ("pragma", "no-cache")];
    match back.mode {
        ResponseMode::FormPost => {
            let page = pages::form_post(&back.redirect_uri, &answer);
            with_service_headers(world, (no_store, page))
        }
        ResponseMode::Query => {
            target.query_pairs_mut().extend_pairs(&answer);
            redirect(world, target.as_str(), no_store)
        }
        ResponseMode::Fragment => {
            let fragment = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&answer).finish();
            target.set_fragment(Some(&fragment));
            redirect(world, target.as_str(), no_store)
        }
    }
}

fn redirect(world: &World, location: &str, headers: impl axum::response::IntoResponseParts) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            let found = (StatusCode::FOUND, headers, [(header::LOCATION, location)]).into_response();
            with_service_headers(world, found)
        }
        Err(_) => with_service_headers(world, StatusCode::INTERNAL_SERVER_ERROR),
    }
}
