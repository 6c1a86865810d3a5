//! A browser, as far as a sign-in needs one: it keeps cookies, follows redirects one at a time, and shows everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};
use url::Url;

use crate::evidence;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Where it points.
    pub location: Option<String>,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
    /// All headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON; `Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The error's code, from JSON or from a page.
    pub fn code(&self) -> String {
        match self.json().get("code").and_then(Value::as_str) {
            Some(code) => code.to_owned(),
            None => self.element("code"),
        }
    }

    /// Where the page leads by itself, at once.
    pub fn refresh(&self) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "refresh")?;
        value.strip_prefix("0; url=").map(str::to_owned)
    }

    /// The first form of a page, as `response_mode=form_post` has one.
    pub fn form(&self) -> Option<Form> {
        let (_, rest) = self.body.split_once("<form")?;
        let (form, _) = rest.split_once("</form>")?;
        let action = attribute(form, "action")?;
        let fields = form.split("<input").skip(1).filter_map(|input| {
            let tag = input.split('>').next()?;
            Some((attribute(tag, "name")?, attribute(tag, "value")?))
        });
        Some(Form { action, fields: fields.collect() })
    }

    /// The text of the element with that id in a page of ours; empty if there is none.
    pub fn element(&self, id: &str) -> String {
        let element = self.body.split_once(&format!("id=\"{id}\"")).and_then(|(_, rest)| rest.split_once('>'));
        let text = element.and_then(|(_, rest)| rest.split_once('<')).map(|(text, _)| text);
        text.unwrap_or_default().to_owned()
    }
}

/// A form of a page: where it goes, and its hidden fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Absolute.
    pub action: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// The value of an attribute in the text of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    const ENTITIES: [(&str, &str); 9] = [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#x2F;", "/"),
        ("&#x3D;", "="),
        ("&amp;", "&"),
    ];
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(ENTITIES.iter().fold(value.to_owned(), |value, (entity, character)| value.replace(entity, character)))
}

/// The browser. It can be cloned into a second one that shares nothing.
pub struct Browser {
    client: reqwest::Client,
    host: String,
    jar: Mutex<BTreeMap<(String, String), String>>,
    /// The names of those that are `SameSite=None`.
    from_any_site: Mutex<BTreeSet<String>>,
}

/// The code and the state that a provider sends back.
fn remember_callback(location: &Url) {
    for (name, value) in location.query_pairs().filter(|(name, _)| matches!(name.as_ref(), "code" | "state")) {
        evidence::secret(&name, &value);
    }
}

impl Browser {
    /// A browser without cookies, at home on a host of ours.
    pub fn new(host: &str) -> Self {
        // Fails only if there is one already, which then is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("an HTTP client");
        Self { client, host: host.to_owned(), jar: Mutex::default(), from_any_site: Mutex::default() }
    }

    /// Another person's browser over the same sockets: ten thousand clients of their own would be more than a test may open.
    #[must_use]
    pub fn another(&self) -> Self {
        Self {
            client: self.client.clone(),
            host: self.host.clone(),
            jar: Mutex::default(),
            from_any_site: Mutex::default(),
        }
    }

    /// `GET`; a page that leads on by itself (`Refresh`) is followed.
    pub async fn get(&self, url: &str) -> Answer {
        self.get_in(url, "").await
    }

    /// As [`Browser::get`], with a list of languages.
    pub async fn get_in(&self, url: &str, languages: &str) -> Answer {
        let answer = self.look_at(url, languages).await;
        match answer.refresh() {
            Some(next) => self.look_at(&next, languages).await,
            None => answer,
        }
    }

    /// `GET` of one page, wherever it leads.
    pub async fn look_at(&self, url: &str, languages: &str) -> Answer {
        let url = self.absolute(url);
        let request = self.client.get(url.clone());
        let request = if languages.is_empty() { request } else { request.header("accept-language", languages) };
        self.send(request, &url).await
    }

    /// `POST` with JSON.
    pub async fn post_json(&self, url: &str, body: &Value) -> Answer {
        let url = self.absolute(url);
        let request = self.client.post(url.clone()).header("content-type", "application/json").body(body.to_string());
        self.send(request, &url).await
    }

    /// `POST` with a form.
    pub async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Answer {
        let url = self.absolute(url);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request =
            self.client.post(url.clone()).header("content-type", "application/x-www-form-urlencoded").body(body);
        self.send(request, &url).await
    }

    /// Sends a form of another site's page, as a browser does: with cookies that are `SameSite=None` only; and follows a
    /// redirect, with all of them.
    pub async fn submit_from_elsewhere(&self, form: &Form) -> Answer {
        let url = self.absolute(&form.action);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        let request =
            self.client.post(url.clone()).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = self.send_with(request, &url, false).await;
        match (answer.status, answer.location.clone()) {
            (303, Some(location)) => self.get(&location).await,
            _ => answer,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder, url: &Url) -> Answer {
        self.send_with(request, url, true).await
    }

    async fn send_with(&self, request: reqwest::RequestBuilder, url: &Url, with_cookies: bool) -> Answer {
        self.try_send(request, url, with_cookies).await.unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    async fn try_send(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        with_cookies: bool,
    ) -> Result<Answer, reqwest::Error> {
        let origin = url.origin().ascii_serialization();
        let cookies = self.cookie_header(&origin, with_cookies);
        let request = if cookies.is_empty() { request } else { request.header("cookie", cookies) };
        let response = request.send().await?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let location = text("location").map(|location| url.join(&location).map_or(location.clone(), Into::into));
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let cookies: Vec<String> =
            headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.clone()).collect();
        for cookie in &cookies {
            self.keep(&origin, cookie);
        }
        let status = response.status().as_u16();
        let body = response.text().await?;
        if origin == self.host {
            self.remember(status, &headers, &body);
        } else if let Some(location) = location.as_deref().and_then(|location| Url::parse(location).ok()) {
            remember_callback(&location);
        }
        Ok(Answer { status, location, cookies, headers, body })
    }

    /// What our host showed, and the secrets that only this browser has. The authorization URL, which holds the state, and
    /// the token of a finished sign-in are what the answers are for.
    fn remember(&self, status: u16, headers: &[(String, String)], body: &str) {
        // Every answer of ours has it; a test of a provider alone has a browser that is at home there.
        if !headers.iter().any(|(name, value)| name == "cross-origin-opener-policy" && value == "same-origin") {
            return;
        }
        for (_, cookie) in self.cookies() {
            evidence::secret("binding", cookie.rsplit('.').next().unwrap_or_default());
        }
        let is_page = headers.iter().any(|(name, value)| name == "content-type" && value.starts_with("text/html"));
        if status >= 400 {
            evidence::shown("error", &format!("{status} {headers:?}\n{body}"));
        } else if is_page {
            evidence::shown("page", body);
        }
    }

    fn absolute(&self, url: &str) -> Url {
        let text = if url.starts_with('/') { format!("{}{url}", self.host) } else { url.to_owned() };
        Url::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn keep(&self, origin: &str, cookie: &str) {
        let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else { return };
        let key = (origin.to_owned(), name.trim().to_owned());
        let mut jar = self.jar.lock().expect("no panic holds it");
        if cookie.contains("SameSite=None") {
            self.from_any_site.lock().expect("no panic holds it").insert(name.trim().to_owned());
        }
        if cookie.contains("Max-Age=0") {
            jar.remove(&key);
        } else {
            jar.insert(key, value.to_owned());
        }
    }

    fn cookie_header(&self, origin: &str, with_lax: bool) -> String {
        let jar = self.jar.lock().expect("no panic holds it");
        let free = self.from_any_site.lock().expect("no panic holds it");
        jar.iter()
            .filter(|((of, name), _)| of == origin && (with_lax || free.contains(name)))
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// The cookies that our host has set: name and value.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let jar = self.jar.lock().expect("no panic holds it");
        jar.iter()
            .filter(|((of, _), _)| *of == self.host)
            .map(|((_, name), value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Changes a cookie of our host.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut jar = self.jar.lock().expect("no panic holds it");
        jar.insert((self.host.clone(), name.to_owned()), value.to_owned());
    }

    /// Loses all cookies.
    pub fn forget(&self) {
        self.jar.lock().expect("no panic holds it").clear();
    }

    /// The same browser in front of another host behind the same address: what it keeps for the one it sends to the other.
    #[must_use]
    pub fn in_front_of(&self, host: &str) -> Self {
        let other = Self::new(host);
        for (name, value) in self.cookies() {
            other.set_cookie(&name, &value);
        }
        other
    }

    /// Begins a sign-in as Defguard's web page does: the authorization URL.
    pub async fn auth_info(&self) -> Answer {
        self.post_json("/api/v1/openid/auth_info", &json!({ "type": "enrollment" })).await
    }

    /// The authorization URL of a sign-in that is begun now.
    pub async fn begin(&self) -> String {
        let answer = self.auth_info().await;
        assert_eq!(answer.status, 200, "auth_info: {}", answer.body);
        answer.json()["url"].as_str().expect("a URL").to_owned()
    }

    /// Signs `person` in at the emulator: the callback that comes of it.
    pub async fn at_entra(&self, authorization_url: &str, person: &str) -> Answer {
        self.get(&format!("{authorization_url}&x_user={person}")).await
    }

    /// Begins, and signs in at the emulator: the callback's URL.
    pub async fn callback_url(&self, person: &str) -> String {
        let url = self.begin().await;
        let answer = self.at_entra(&url, person).await;
        answer.location.clone().unwrap_or_else(|| panic!("no redirect: {} {}", answer.status, answer.body))
    }

    /// Gives a callback to the JSON API, as Defguard's web page does.
    pub async fn finish(&self, callback_url: &str) -> Answer {
        self.post_json("/api/v1/openid/callback", &self.callback_body(callback_url)).await
    }

    /// As [`Browser::finish`]; `None`: the connection broke, or there was none.
    pub async fn try_finish(&self, callback_url: &str) -> Option<Answer> {
        let (url, body) = (self.absolute("/api/v1/openid/callback"), self.callback_body(callback_url).to_string());
        let request = self.client.post(url.clone()).header("content-type", "application/json").body(body);
        self.try_send(request, &url, true).await.ok()
    }

    fn callback_body(&self, callback_url: &str) -> Value {
        let mut body = json!({ "type": "enrollment" });
        for (name, value) in self.absolute(callback_url).query_pairs() {
            body[name.as_ref()] = json!(value);
        }
        body
    }

    /// The whole way through the JSON API.
    pub async fn sign_in(&self, person: &str) -> Answer {
        let callback = self.callback_url(person).await;
        self.finish(&callback).await
    }

    /// The identity behind a finished sign-in.
    pub async fn identity(&self, finished: &Answer) -> Value {
        assert_eq!(finished.status, 200, "{}", finished.body);
        let token = finished.json()["token"].clone();
        let answer = self.post_json("/api/v1/openid/local/redeem", &json!({ "token": token })).await;
        assert_eq!(answer.status, 200, "redeem: {}", answer.body);
        answer.json()["identity"].clone()
    }
}
