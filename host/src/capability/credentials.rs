//! `credentials`: authenticates a request as the client. The secret goes from the host's memory into the request on the
//! wire, never through the component's, and a response that repeats it is not handed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use url::form_urlencoded;

use super::http::{Prepared, note_denial, prepare};
use crate::config::Secret;
use crate::sandbox::CallState;
use crate::sandbox::bindings::defguard::openid::credentials::{self, Failure, Method};
use crate::sandbox::bindings::defguard::openid::http::{Error, Method as HttpMethod, Request, Response};

/// Form fields that only the host may set (RFC 6749 section 2.3, RFC 7521 section 4.2).
const RESERVED: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// How the client proves who it is.
pub struct ClientCredential {
    /// RFC 6749 section 2.2.
    pub client_id: String,
    /// RFC 6749 section 2.3.1.
    pub client_secret: Secret,
}

impl ClientCredential {
    fn methods() -> Vec<Method> {
        vec![Method::ClientSecretPost, Method::ClientSecretBasic]
    }

    /// Puts the credential into a form request.
    fn authenticate(&self, prepared: &mut Prepared, method: Method) -> Result<(), Failure> {
        let body = form_body(prepared)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(&body) {
            if RESERVED.contains(&name.as_ref()) {
                return Err(Failure::InvalidRequest(format!("the form names {name}, which only the host sets")));
            }
            if name == "client_id" {
                if value != self.client_id {
                    return Err(Failure::InvalidRequest("the form names another client".into()));
                }
                continue;
            }
            form.append_pair(&name, &value);
        }
        match method {
            Method::ClientSecretPost => {
                form.append_pair("client_id", &self.client_id);
                form.append_pair("client_secret", self.client_secret.expose());
            }
            Method::ClientSecretBasic => {
                prepared.headers.insert(AUTHORIZATION, basic(&self.client_id, self.client_secret.expose())?);
            }
            Method::PrivateKeyJwt => return Err(Failure::MethodUnavailable),
        }
        prepared.body = Some(form.finish().into_bytes());
        Ok(())
    }

    /// Whether a response repeats the secret, in any form in which it was sent.
    fn is_repeated_in(&self, response: &Response) -> bool {
        let secret = self.client_secret.expose();
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let pair = STANDARD.encode(basic_pair(&self.client_id, secret));
        let forms = [secret.as_bytes(), encoded.as_bytes(), pair.as_bytes()];
        let contains = |haystack: &[u8]| forms.iter().any(|form| find(haystack, form));
        contains(&response.body) || response.headers.iter().any(|(_, value)| contains(value.as_bytes()))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// A credential in the body of anything else would be a credential in a log.
fn check_form_post(request: &Request) -> Result<(), Failure> {
    match request.method {
        HttpMethod::Post => Ok(()),
        HttpMethod::Get => Err(Failure::InvalidRequest("only a POST carries a credential".into())),
    }
}

fn form_body(prepared: &Prepared) -> Result<Vec<u8>, Failure> {
    let is_form = prepared
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    let body = prepared.body.clone().filter(|_| is_form);
    body.ok_or_else(|| {
        Failure::InvalidRequest("only a form (application/x-www-form-urlencoded) carries a credential".into())
    })
}

/// RFC 6749 section 2.3.1: both parts form-encoded before they are joined and encoded for Basic.
fn basic_pair(client_id: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("{}:{}", encode(client_id), encode(secret))
}

fn basic(client_id: &str, secret: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(basic_pair(client_id, secret))))
        .map_err(|_| Failure::CredentialUnusable("the credential doesn't fit a header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl credentials::Host for CallState {
    async fn available(&mut self) -> wasmtime::Result<Vec<Method>> {
        Ok(self.grant.provider.as_ref().map_or_else(Vec::new, |_| ClientCredential::methods()))
    }

    async fn send_authenticated(
        &mut self,
        request: Request,
        method: Method,
    ) -> wasmtime::Result<Result<Response, Failure>> {
        let result = send_authenticated(self, request, method).await;
        if let Err(Failure::Http(error)) = &result {
            note_denial(self, &Err(error.clone()));
        }
        Ok(result)
    }
}

async fn send_authenticated(state: &mut CallState, request: Request, method: Method) -> Result<Response, Failure> {
    let context = state.spend_request().map_err(Failure::Http)?;
    check_form_post(&request)?;
    if request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        return Err(Failure::InvalidRequest("the request has an Authorization header of its own".into()));
    }
    let mut prepared = prepare(request, &context.credential_origins, &state.limits).map_err(Failure::Http)?;
    context.credential.authenticate(&mut prepared, method)?;
    let response = context.outgoing.send(prepared, &state.limits).await.map_err(Failure::Http)?;
    if context.credential.is_repeated_in(&response) {
        tracing::error!(
            provider = context.id.as_str(), trace = %state.grant.trace,
            "the provider's answer repeats the client secret: not handed to the plugin",
        );
        return Err(Failure::Http(Error::Protocol("the response repeats the client's secret".into())));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::AllowedOrigins;
    use crate::sandbox::Limits;

    const SECRET: &str = "a+b/c%d&e=f:g é";

    fn credential() -> ClientCredential {
        ClientCredential { client_id: "client:1".into(), client_secret: Secret::new(SECRET) }
    }

    fn prepared(body: &str, content_type: &str) -> Prepared {
        let mut origins = AllowedOrigins::new(false);
        origins.add(&url::Url::parse("https://a.example").unwrap()).unwrap();
        let request = Request {
            method: HttpMethod::Post,
            url: "https://a.example/token".into(),
            headers: vec![("content-type".into(), content_type.into())],
            body: Some(body.into()),
            timeout_ms: 1,
            max_response_bytes: 1,
        };
        prepare(request, &origins, &Limits::default()).unwrap()
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn in_the_form() {
        let mut prepared = prepared("grant_type=authorization_code&code=x%26y", FORM);
        credential().authenticate(&mut prepared, Method::ClientSecretPost).unwrap();
        let body = String::from_utf8(prepared.body.unwrap()).unwrap();
        let pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(pairs[1], ("code".into(), "x&y".into()));
        assert_eq!(pairs[2..], [("client_id".into(), "client:1".into()), ("client_secret".into(), SECRET.into())]);
        assert!(!prepared.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn in_the_header_encoded_twice() {
        let mut prepared = prepared("grant_type=authorization_code&client_id=client%3A1", FORM);
        credential().authenticate(&mut prepared, Method::ClientSecretBasic).unwrap();
        let header = prepared.headers.get(AUTHORIZATION).unwrap();
        assert!(header.is_sensitive());
        let pair = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"client%3A1:a%2Bb%2Fc%25d%26e%3Df%3Ag+%C3%A9");
        assert_eq!(prepared.body.unwrap(), b"grant_type=authorization_code");
    }

    #[test]
    fn requests_that_carry_no_credential() {
        for (body, content_type) in [
            ("a=b", "application/json"),
            ("a=b", ""),
            ("client_secret=x", FORM),
            ("client_assertion=x", FORM),
            ("client_id=another", FORM),
        ] {
            let outcome = credential().authenticate(&mut prepared(body, content_type), Method::ClientSecretPost);
            assert!(matches!(outcome, Err(Failure::InvalidRequest(_))), "{body} {content_type}: {outcome:?}");
        }
        let get = Request {
            method: HttpMethod::Get,
            url: "https://a.example/".into(),
            headers: Vec::new(),
            body: Some(b"a=b".to_vec()),
            timeout_ms: 1,
            max_response_bytes: 1,
        };
        assert!(matches!(check_form_post(&get), Err(Failure::InvalidRequest(_))));
        let outcome = credential().authenticate(&mut prepared("a=b", FORM), Method::PrivateKeyJwt);
        assert_eq!(outcome, Err(Failure::MethodUnavailable));
    }

    #[test]
    fn an_answer_that_repeats_the_secret_is_seen() {
        let answer = |body: &str, header: &str| Response {
            status: 400,
            headers: vec![("x".into(), header.into())],
            body: body.into(),
        };
        let credential = credential();
        let basic = STANDARD.encode(basic_pair("client:1", SECRET));
        assert!(credential.is_repeated_in(&answer(&format!("bad secret {SECRET}"), "")));
        assert!(credential.is_repeated_in(&answer("client_secret=a%2Bb%2Fc%25d%26e%3Df%3Ag+%C3%A9&x", "")));
        assert!(credential.is_repeated_in(&answer("", &basic)));
        assert!(!credential.is_repeated_in(&answer("bad secret", "a+b/c")));
    }
}
