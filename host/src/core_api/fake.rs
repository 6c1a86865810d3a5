//! A Core for the tests of this crate: users in memory, the quirks that a hand-over depends on (facts C2, D2), and faults
//! that are queued for one call each. The whole behaviour of both versions is the emulator's subject, in `tests/core`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::{BreakerLimits, CoreCredential, CoreSettings, Generation, SecretSource};
use crate::config::Secret;

/// The token that it knows at first.
pub(crate) const TOKEN: &str = "dg-0123456789abcdef0123456789abcdef";

/// What happens to one call instead.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This answer; nothing is done.
    Answer(u16, &'static str),
    /// The work is done, and this is the answer.
    DoneBut(u16),
    /// The work is done, and there is no answer.
    DoneThenSilence,
    /// This happens first, and then the work is done.
    Meanwhile(fn(&mut World)),
    /// No answer.
    Silence,
    /// An answer so much later.
    Late(Duration),
    /// The work is done when as many calls are waiting.
    Together(Arc<Barrier>),
}

/// A group. Its members go by number: a user may be renamed.
struct Group {
    id: i64,
    name: String,
    is_admin: bool,
    members: BTreeSet<i64>,
}

/// What this Core has.
#[derive(Default)]
pub(crate) struct World {
    users: Vec<Value>,
    groups: Vec<Group>,
    next_id: i64,
    tokens: Vec<String>,
    sessions: Vec<String>,
    faults: VecDeque<(String, Fault)>,
    /// For each call, from then on.
    always: Option<(String, Fault)>,
    requests: Vec<String>,
}

impl World {
    /// Changes a user.
    pub(crate) fn edit(&mut self, username: &str, change: Value) {
        let user = self.users.iter_mut().find(|user| user["username"] == username).unwrap();
        merge(user, change);
    }

    /// Deletes a user.
    pub(crate) fn delete(&mut self, username: &str) {
        self.users.retain(|user| user["username"] != username);
    }

    /// Makes a group.
    pub(crate) fn group(&mut self, name: &str, is_admin: bool, members: &[&str]) -> i64 {
        let id = self.groups.last().map_or(1, |last| last.id + 1);
        let members = members.iter().filter_map(|name| self.number(name)).collect();
        self.groups.push(Group { id, name: name.into(), is_admin, members });
        id
    }

    /// Puts a user into a group.
    pub(crate) fn join(&mut self, username: &str, group: &str) {
        let id = self.number(username).unwrap();
        self.groups.iter_mut().find(|found| found.name == group).unwrap().members.insert(id);
    }

    /// Makes a user.
    pub(crate) fn newcomer(&mut self) {
        let name = format!("newcomer{}", self.next_id);
        add(self, &name, &format!("{name}@a.example"), "New", "Comer", false);
    }

    /// Shows the last user first from now on.
    pub(crate) fn reorder(&mut self) {
        self.users.rotate_right(1);
    }

    fn number(&self, username: &str) -> Option<i64> {
        self.users.iter().find(|user| user["username"] == username)?["id"].as_i64()
    }

    fn groups_of(&self, user: &Value) -> Vec<&str> {
        let id = user["id"].as_i64().unwrap();
        self.groups.iter().filter(|group| group.members.contains(&id)).map(|group| group.name.as_str()).collect()
    }

    /// `UserInfo`, with something that no client of ours knows.
    fn shown(&self, user: &Value) -> Value {
        let mut shown = user.clone();
        shown["groups"] = json!(self.groups_of(user));
        shown
    }

    fn shown_group(&self, group: &Group) -> Value {
        let is_member = |user: &&Value| group.members.contains(&user["id"].as_i64().unwrap());
        let members: Vec<_> = self.users.iter().filter(is_member).map(|user| &user["username"]).collect();
        json!({ "id": group.id, "name": group.name, "members": members, "vpn_locations": [], "is_admin": group.is_admin })
    }
}

struct Inner {
    generation: Generation,
    world: Mutex<World>,
}

/// A Core that listens until it is dropped.
pub(crate) struct FakeCore {
    pub(crate) url: String,
    inner: Arc<Inner>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for FakeCore {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeCore {
    pub(crate) async fn start(generation: Generation) -> Self {
        let world = World { next_id: 1, tokens: vec![TOKEN.into()], ..World::default() };
        let inner = Arc::new(Inner { generation, world: Mutex::new(world) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move {
            // Ends with the test.
            let _ = axum::serve(listener, app).await;
        });
        Self { url, inner, server }
    }

    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.inner.world.lock().unwrap())
    }

    /// For a client of this Core.
    pub(crate) fn settings(&self) -> CoreSettings {
        CoreSettings {
            url: self.url.parse().unwrap(),
            credential: CoreCredential::Token(SecretSource::Value(Secret::new(TOKEN))),
            call_timeout: Duration::from_secs(10),
            concurrent_calls: 64,
            breaker: BreakerLimits { failures: 5, pause: Duration::from_secs(30) },
        }
    }

    /// Makes a user, as an administrator does: enrolled, and what `change` says.
    pub(crate) fn add(&self, username: &str, email: &str, change: Value) -> i64 {
        self.world(|world| {
            let id = add(world, username, email, "Local", "User", true);
            merge(world.users.last_mut().unwrap(), change);
            id
        })
    }

    /// Changes a user.
    pub(crate) fn edit(&self, username: &str, change: Value) {
        self.world(|world| world.edit(username, change));
    }

    /// Deletes a user.
    pub(crate) fn delete(&self, username: &str) {
        self.world(|world| world.delete(username));
    }

    /// Makes a group.
    pub(crate) fn add_group(&self, name: &str, is_admin: bool, members: &[&str]) -> i64 {
        self.world(|world| world.group(name, is_admin, members))
    }

    /// Renames a group.
    pub(crate) fn rename_group(&self, old: &str, new: &str) {
        self.world(|world| world.groups.iter_mut().find(|group| group.name == old).unwrap().name = new.into());
    }

    /// `name: members`, of each group; administrators' with a star.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.world(|world| {
            let line = |group: &Group| {
                let shown = world.shown_group(group);
                let members: Vec<_> = shown["members"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                format!("{}{}: {}", group.name, if group.is_admin { "*" } else { "" }, members.join(" "))
            };
            world.groups.iter().map(line).collect()
        })
    }

    /// The next call whose method and path hold `place` meets a fault; faults queue.
    pub(crate) fn once(&self, place: &str, fault: Fault) {
        self.world(|world| world.faults.push_back((place.into(), fault)));
    }

    /// Every such call meets it; an empty fault ends that.
    pub(crate) fn always(&self, fault: Option<(&str, Fault)>) {
        self.world(|world| world.always = fault.map(|(place, fault)| (place.into(), fault)));
    }

    /// Knows these tokens and no other.
    pub(crate) fn set_tokens(&self, tokens: &[&str]) {
        self.world(|world| world.tokens = tokens.iter().map(|token| (*token).into()).collect());
    }

    /// Ends every session.
    pub(crate) fn end_sessions(&self) {
        self.world(|world| world.sessions.clear());
    }

    /// All users' names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.world(|world| world.users.iter().map(|user| user["username"].as_str().unwrap().into()).collect())
    }

    /// A user.
    pub(crate) fn user(&self, username: &str) -> Value {
        self.world(|world| {
            let found = world.users.iter().find(|user| user["username"] == username);
            found.map(|user| world.shown(user)).unwrap_or_default()
        })
    }

    /// The calls so far, as `METHOD path`; forgets them.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.world(|world| std::mem::take(&mut world.requests))
    }
}

fn merge(user: &mut Value, change: Value) {
    let Value::Object(change) = change else { return };
    for (key, value) in change {
        user[key] = value;
    }
}

fn add(world: &mut World, username: &str, email: &str, first: &str, last: &str, enrolled: bool) -> i64 {
    let id = world.next_id;
    world.next_id += 1;
    world.users.push(json!({
        "id": id, "username": username, "email": email, "first_name": first, "last_name": last, "is_active": true,
        "is_admin": false, "enrolled": enrolled, "phone": null, "mfa_enabled": false, "authorized_apps": [],
    }));
    id
}

/// PostgreSQL's ILIKE, as far as `_` and `%`.
fn like(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('%', rest)), _) => like(rest, text) || text.split_first().is_some_and(|(_, text)| like(pattern, text)),
        (Some((one, rest)), Some((other, text))) => (*one == '_' || one == other) && like(rest, text),
        _ => false,
    }
}

fn is_taken(world: &World, email: &str) -> bool {
    let characters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let pattern = characters(email);
    world.users.iter().any(|user| like(&pattern, &characters(user["email"].as_str().unwrap())))
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let place = format!("{method} {}", uri.path().trim_start_matches("/api/v1/"));
    let fault = {
        let mut world = inner.world.lock().unwrap();
        world.requests.push(place.clone());
        let queued = world.faults.iter().position(|(wanted, _)| place.contains(wanted.as_str()));
        let queued = queued.and_then(|position| world.faults.remove(position)).map(|(_, fault)| fault);
        let always = world.always.clone().filter(|(wanted, _)| place.contains(wanted.as_str())).map(|(_, fault)| fault);
        queued.or(always)
    };
    match &fault {
        Some(Fault::Answer(status, text)) => return reply(*status, (*text).to_owned()),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Late(late)) => tokio::time::sleep(*late).await,
        Some(Fault::Together(barrier)) => {
            barrier.wait().await;
        }
        Some(Fault::DoneBut(_) | Fault::DoneThenSilence | Fault::Meanwhile(_)) | None => {}
    }
    let answered = {
        let mut world = inner.world.lock().unwrap();
        if let Some(Fault::Meanwhile(change)) = fault {
            change(&mut world);
        }
        route(&inner, &mut world, &method, &uri, &headers, &body)
    };
    match fault {
        Some(Fault::DoneThenSilence) => std::future::pending().await,
        Some(Fault::DoneBut(status)) => reply(status, json!({ "msg": "Internal server error" }).to_string()),
        _ => answered,
    }
}

fn reply(status: u16, body: String) -> Response<Body> {
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

fn say(status: u16, words: &str) -> Response<Body> {
    reply(status, json!({ "msg": words }).to_string())
}

fn route(
    inner: &Inner,
    world: &mut World,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let segments: Vec<&str> = uri.path().trim_start_matches("/api/v1/").split('/').collect();
    if (method, segments.as_slice()) == (&Method::POST, &["auth"]) {
        return log_in(world, &text("username"), &text("password"));
    }
    if let Err(words) = authorize(world, headers) {
        return say(401, words);
    }
    if *method != Method::GET && !headers.contains_key(header::USER_AGENT) {
        return say(400, "Missing UserAgent header");
    }
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["info"]) => info(inner.generation),
        ("GET", ["enterprise_info"]) => reply(200, json!({ "license_info": { "expired": false } }).to_string()),
        ("GET", ["user"]) => list(inner.generation, world, uri.query().unwrap_or_default()),
        ("POST", ["user", "available"]) => {
            let taken = world.users.iter().any(|user| user["username"] == text("username"));
            reply(if taken { 400 } else { 200 }, "{}".into())
        }
        ("POST", ["user"]) => create(world, &text("username"), &text("email"), &text("first_name"), &text("last_name")),
        ("GET", ["user", name]) => match world.users.iter().find(|user| user["username"] == *name) {
            Some(user) => reply(200, json!({ "user": world.shown(user), "security_keys": [] }).to_string()),
            None => say(404, "user not found"),
        },
        ("POST", ["user", name, "start_enrollment"]) => start(world, name, true),
        ("POST", ["user", name, "start_desktop"]) => start(world, name, false),
        ("PUT", ["user", name]) => modify(world, name, body),
        ("DELETE", ["user", name]) => match world.number(name) {
            Some(_) => {
                world.delete(name);
                reply(200, "null".into())
            }
            None => say(404, &format!("User {name} not found")),
        },
        (_, ["group" | "group-info" | "groups-assign", ..]) => group_calls(inner, world, method, &segments, &body),
        _ => say(404, "no such path"),
    }
}

fn log_in(world: &mut World, username: &str, password: &str) -> Response<Body> {
    if (username, password) != ("robot", "password") {
        return say(401, "invalid credentials");
    }
    let id = format!("session-{}", world.sessions.len() + world.requests.len());
    world.sessions.push(id.clone());
    let mut answer = reply(200, "{}".into());
    let cookie = format!("defguard_session={id}; HttpOnly; Path=/");
    answer.headers_mut().insert(header::SET_COOKIE, cookie.parse().unwrap());
    answer
}

fn authorize(world: &World, headers: &HeaderMap) -> Result<(), &'static str> {
    let value =
        |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok()).unwrap_or_default();
    if let Some(token) = value(header::AUTHORIZATION).strip_prefix("Bearer ") {
        return if world.tokens.iter().any(|known| known == token) { Ok(()) } else { Err("Invalid API token") };
    }
    match value(header::COOKIE).strip_prefix("defguard_session=") {
        Some(id) if world.sessions.iter().any(|known| known == id) => Ok(()),
        Some(_) => Err("Session not found"),
        None => Err("Session is required"),
    }
}

fn info(generation: Generation) -> Response<Body> {
    let info = match generation {
        Generation::V1 => {
            json!({ "version": "1.6.6", "license_info": { "enterprise": true, "is_enterprise_free": true } })
        }
        Generation::V2 => json!({ "version": "2.0.1" }),
    };
    reply(200, info.to_string())
}

fn list(generation: Generation, world: &World, query: &str) -> Response<Body> {
    if generation == Generation::V1 {
        let all: Vec<_> = world.users.iter().map(|user| world.shown(user)).collect();
        return reply(200, json!(all).to_string());
    }
    let number = |name: &str, default: usize| {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.into_iter().find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 50).clamp(1, 100));
    let data = world.users.iter().skip((page - 1) * per_page).take(per_page).map(|user| world.shown(user));
    let (total_items, total_pages) = (world.users.len(), world.users.len().div_ceil(per_page));
    let pagination = json!({ "current_page": page, "total_items": total_items, "total_pages": total_pages });
    reply(200, json!({ "data": data.collect::<Vec<_>>(), "pagination": pagination }).to_string())
}

fn create(world: &mut World, username: &str, email: &str, first: &str, last: &str) -> Response<Body> {
    if is_taken(world, email) {
        return reply(400, "{}".into());
    }
    if world.users.iter().any(|user| user["username"] == username) {
        return say(500, "Internal server error");
    }
    add(world, username, email, first, last, false);
    reply(StatusCode::CREATED.as_u16(), world.shown(world.users.last().unwrap()).to_string())
}

/// The whole record replaces; with a change of groups the state isn't looked at, and unknown groups are none (facts C2).
fn modify(world: &mut World, name: &str, mut record: Value) -> Response<Body> {
    let Some(position) = world.users.iter().position(|user| user["username"] == name) else {
        return say(404, &format!("user {name} not found"));
    };
    let (old, id) = (world.users[position].clone(), world.users[position]["id"].as_i64().unwrap());
    if old.as_object().unwrap().keys().any(|member| record.get(member).is_none()) {
        return reply(422, "Failed to deserialize the JSON body".into());
    }
    let wanted: Vec<String> = serde_json::from_value(record["groups"].take()).unwrap();
    record.as_object_mut().unwrap().remove("groups");
    let mut changed = false;
    for group in &mut world.groups {
        let is_wanted = wanted.contains(&group.name);
        changed |= if is_wanted { group.members.insert(id) } else { group.members.remove(&id) };
    }
    if changed {
        record["is_active"] = old["is_active"].clone();
    }
    world.users[position] = record;
    reply(200, "null".into())
}

fn start(world: &World, name: &str, is_enrollment: bool) -> Response<Body> {
    let Some(user) = world.users.iter().find(|user| user["username"] == name) else {
        return say(404, "user not found");
    };
    if user["is_active"] == false {
        return say(401, &format!("Can't create enrollment token for disabled user {name}"));
    }
    if is_enrollment && user["enrolled"] == true {
        return say(400, "User account is already activated");
    }
    let kind = if is_enrollment { "enrollment" } else { "desktop" };
    let answer = json!({ "enrollment_token": format!("{kind}-{name}"), "enrollment_url": "https://enroll.example/" });
    reply(201, answer.to_string())
}

/// The paths below `/group`: by name in 1.6, by number in 2.x. Axum decodes a path's parts.
fn group_calls(inner: &Inner, world: &mut World, method: &Method, segments: &[&str], body: &Value) -> Response<Body> {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    match (method.as_str(), segments) {
        ("GET", ["group-info"]) => {
            let all: Vec<_> = world.groups.iter().map(|group| world.shown_group(group)).collect();
            reply(200, json!(all).to_string())
        }
        ("POST", ["group"]) if world.groups.iter().any(|group| group.name == text("name")) => {
            say(500, "Internal server error")
        }
        ("POST", ["group"]) => {
            world.group(&text("name"), body["is_admin"].as_bool().unwrap(), &[]);
            reply(201, body.to_string())
        }
        ("POST", ["groups-assign"]) => assign(world, body),
        (_, ["group", place, ..]) => {
            let place = percent_encoding::percent_decode_str(place).decode_utf8().unwrap();
            if inner.generation == Generation::V2 && place.parse::<i64>().is_err() {
                return reply(400, format!("Invalid URL: Cannot parse `{place}` to a `i64`"));
            }
            let found = world.groups.iter().position(|group| match inner.generation {
                Generation::V1 => group.name == place,
                Generation::V2 => group.id.to_string() == place,
            });
            match found {
                Some(position) => one_group(world, position, method, segments, body),
                None => say(404, &format!("Group {place} not found")),
            }
        }
        _ => say(404, "no such path"),
    }
}

fn one_group(world: &mut World, position: usize, method: &Method, segments: &[&str], body: &Value) -> Response<Body> {
    let username = segments.get(3).copied().or_else(|| body["username"].as_str()).unwrap_or_default();
    let member = world.number(username);
    let nobody = || say(404, &format!("User {username} not found"));
    match (method.as_str(), segments.len(), member) {
        ("GET", 2, _) => reply(200, world.shown_group(&world.groups[position]).to_string()),
        ("PUT", 2, _) => {
            let members = body["members"].as_array().unwrap().iter().filter_map(|name| world.number(name.as_str()?));
            let members = members.collect();
            let group = &mut world.groups[position];
            group.name = body["name"].as_str().unwrap().into();
            group.is_admin = body["is_admin"].as_bool().unwrap();
            group.members = members;
            reply(200, "null".into())
        }
        ("DELETE", 2, _) if world.groups[position].is_admin => reply(400, "{}".into()),
        ("DELETE", 2, _) => {
            world.groups.remove(position);
            reply(200, "null".into())
        }
        ("POST", 2, Some(id)) => {
            world.groups[position].members.insert(id);
            reply(200, "null".into())
        }
        ("DELETE", 4, Some(id)) => {
            world.groups[position].members.remove(&id);
            reply(200, "{}".into())
        }
        ("POST" | "DELETE", _, None) => nobody(),
        _ => say(404, "no such path"),
    }
}

fn assign(world: &mut World, body: &Value) -> Response<Body> {
    let (groups, users) = (body["groups"].as_array().unwrap(), body["users"].as_array().unwrap());
    if world.users.iter().filter(|user| users.contains(&user["id"])).count() != users.len() {
        return say(400, "Request contained users that doesn't exists in db.");
    }
    let mut found: Vec<_> =
        world.groups.iter_mut().filter(|group| groups.iter().any(|name| *name == *group.name)).collect();
    if found.len() != groups.len() {
        return say(400, "Request contained groups that doesn't exists in db.");
    }
    for group in &mut found {
        group.members.extend(users.iter().filter_map(Value::as_i64));
    }
    reply(200, "{}".into())
}
