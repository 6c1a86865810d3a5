//! How a credential goes into a form request, and how an answer that repeats it is known.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use url::form_urlencoded;

use super::http::Prepared;
use crate::config::Secret;
use crate::sandbox::bindings::defguard::openid::credentials::Failure;
use crate::sandbox::bindings::defguard::openid::http::Response;

/// Form fields that only the host may set (RFC 6749 section 2.3, RFC 7521 section 4.2).
const RESERVED: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];
/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What one request carries to authenticate the client.
pub(super) enum Proof<'a> {
    /// RFC 6749 section 2.3.1, in the form.
    SecretInForm(&'a Secret),
    /// RFC 6749 section 2.3.1, HTTP Basic.
    SecretInHeader(&'a Secret),
    /// RFC 7523 section 2.2.
    Assertion(Secret),
}

impl Proof<'_> {
    /// Puts the credential into a form request.
    pub(super) fn put_into(&self, client_id: &str, prepared: &mut Prepared) -> Result<(), Failure> {
        let body = form_body(prepared)?;
        let mut form = Form(String::with_capacity(body.len().saturating_add(256)));
        let mut names_client = false;
        for pair in body.split(|byte| *byte == b'&') {
            let Some((name, value)) = form_urlencoded::parse(pair).next() else { continue };
            if RESERVED.contains(&name.as_ref()) {
                return Err(Failure::InvalidRequest(format!("the form names {name}, which only the host sets")));
            }
            if name == "client_id" {
                if value != client_id {
                    return Err(Failure::InvalidRequest("the form names another client".into()));
                }
                names_client = true;
                continue;
            }
            form.append_parsed(pair, &name, &value);
        }
        match self {
            Self::SecretInForm(secret) => {
                form.append_pair("client_id", client_id);
                form.append_pair("client_secret", secret.expose());
            }
            Self::SecretInHeader(secret) => {
                // A pushed authorization request has it in the form as well (RFC 9126 section 2.1).
                if names_client {
                    form.append_pair("client_id", client_id);
                }
                prepared.headers.insert(AUTHORIZATION, basic(client_id, secret.expose())?);
            }
            Self::Assertion(assertion) => {
                form.append_pair("client_id", client_id);
                form.append_pair("client_assertion_type", ASSERTION_TYPE);
                form.append_pair("client_assertion", assertion.expose());
            }
        }
        prepared.body = Some(form.0.into_bytes());
        Ok(())
    }

    /// What it is, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::SecretInForm(_) | Self::SecretInHeader(_) => "secret",
            Self::Assertion(_) => "assertion",
        }
    }

    /// Whether a response repeats the secret or the assertion, in any form in which it was sent.
    pub(super) fn is_repeated_in(&self, client_id: &str, response: &Response) -> bool {
        let forms = match self {
            Self::SecretInForm(secret) | Self::SecretInHeader(secret) => {
                let secret = secret.expose();
                let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                vec![secret.to_owned(), encoded, STANDARD.encode(basic_pair(client_id, secret))]
            }
            // Base64url and dots look the same in a form.
            Self::Assertion(assertion) => vec![assertion.expose().to_owned()],
        };
        let searches: Vec<Finder<'_>> = forms.iter().filter(|form| !form.is_empty()).map(Finder::new).collect();
        let contains = |haystack: &[u8]| searches.iter().any(|search| search.find(haystack).is_some());
        contains(&response.body) || response.headers.iter().any(|(_, value)| contains(value.as_bytes()))
    }
}

/// A form that is being written.
struct Form(String);

impl Form {
    fn append_pair(&mut self, name: &str, value: &str) {
        form_urlencoded::Serializer::new(&mut self.0).append_pair(name, value);
    }

    /// A pair that was read from `pair`, which is copied where it would be written just so: most of a code's length.
    fn append_parsed(&mut self, pair: &[u8], name: &str, value: &str) {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"*-._+=".contains(byte);
        let is_written_so = pair.iter().all(is_plain) && pair.split(|byte| *byte == b'=').count() == 2;
        match std::str::from_utf8(pair) {
            Ok(text) if is_written_so => {
                if !self.0.is_empty() {
                    self.0.push('&');
                }
                self.0.push_str(text);
            }
            _ => self.append_pair(name, value),
        }
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

#[cfg(test)]
mod tests {
    use super::super::http::prepare;
    use super::*;
    use crate::capability::AllowedOrigins;
    use crate::sandbox::Limits;
    use crate::sandbox::bindings::defguard::openid::http::{Method as HttpMethod, Request};

    const CLIENT: &str = "client:1";
    const SECRET: &str = "a+b/c%d&e=f:g é";
    const ASSERTION: &str = "eyJhbGciOiJQUzI1NiJ9.e30.c2lnbmF0dXJl-_";
    const FORM: &str = "application/x-www-form-urlencoded";

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

    fn fields(prepared: &Prepared) -> Vec<(String, String)> {
        form_urlencoded::parse(prepared.body.as_deref().unwrap()).into_owned().collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn a_secret_in_the_form() {
        let mut prepared = prepared("grant_type=authorization_code&code=x%26y", FORM);
        Proof::SecretInForm(&Secret::new(SECRET)).put_into(CLIENT, &mut prepared).unwrap();
        let found = fields(&prepared);
        assert_eq!(found[1..], [pair("code", "x&y"), pair("client_id", CLIENT), pair("client_secret", SECRET)]);
        assert!(!prepared.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_secret_in_the_header_encoded_twice() {
        let mut named = prepared("client_id=client%3A1&scope=openid", FORM);
        Proof::SecretInHeader(&Secret::new(SECRET)).put_into(CLIENT, &mut named).unwrap();
        assert_eq!(named.body.unwrap(), b"scope=openid&client_id=client%3A1", "once, where the component wants it");
        let mut prepared = prepared("grant_type=authorization_code", FORM);
        Proof::SecretInHeader(&Secret::new(SECRET)).put_into(CLIENT, &mut prepared).unwrap();
        let header = prepared.headers.get(AUTHORIZATION).unwrap();
        assert!(header.is_sensitive());
        let pair = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"client%3A1:a%2Bb%2Fc%25d%26e%3Df%3Ag+%C3%A9");
        assert_eq!(prepared.body.unwrap(), b"grant_type=authorization_code");
    }

    #[test]
    fn an_assertion_in_the_form() {
        let mut prepared = prepared("grant_type=authorization_code&client_id=client%3A1", FORM);
        Proof::Assertion(Secret::new(ASSERTION)).put_into(CLIENT, &mut prepared).unwrap();
        let found = fields(&prepared);
        assert_eq!(
            found[1..],
            [
                pair("client_id", CLIENT),
                pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                pair("client_assertion", ASSERTION),
            ]
        );
        assert!(!prepared.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn what_the_component_wrote_is_written_anew() {
        for body in [
            "a=b&c=d",
            "a=1.0_*-x+y&b=%2F%20%C3%A9",
            "&&a=b&&c=d&",
            "a",
            "a&b=",
            "=x",
            "a=b=c",
            "a==",
            "a=%2&b=%zz",
            "a=\u{e9}&b=~!'()",
            "a=b;c=d",
            "a+b=c+d",
            "%63ode=x",
        ] {
            let expected = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form_urlencoded::parse(body.as_bytes()))
                .finish();
            let mut prepared = prepared(body, FORM);
            Proof::SecretInHeader(&Secret::new(SECRET)).put_into(CLIENT, &mut prepared).unwrap();
            assert_eq!(String::from_utf8(prepared.body.unwrap()).unwrap(), expected, "{body}");
        }
        for body in ["%63lient_secret=x", "client%5Fsecret=x", "a=b&client_secret"] {
            let outcome = Proof::SecretInForm(&Secret::new(SECRET)).put_into(CLIENT, &mut prepared(body, FORM));
            assert!(matches!(outcome, Err(Failure::InvalidRequest(_))), "{body}: {outcome:?}");
        }
    }

    #[test]
    fn requests_that_carry_no_credential() {
        let secret = Secret::new(SECRET);
        for (body, content_type) in [
            ("a=b", "application/json"),
            ("a=b", ""),
            ("client_secret=x", FORM),
            ("client_assertion=x", FORM),
            ("client_assertion_type=x", FORM),
            ("client_id=another", FORM),
        ] {
            for proof in
                [Proof::SecretInForm(&secret), Proof::SecretInHeader(&secret), Proof::Assertion(Secret::new(ASSERTION))]
            {
                let outcome = proof.put_into(CLIENT, &mut prepared(body, content_type));
                assert!(matches!(outcome, Err(Failure::InvalidRequest(_))), "{body} {content_type}: {outcome:?}");
            }
        }
    }

    #[test]
    fn an_answer_that_repeats_the_credential_is_seen() {
        let answer = |body: &str, header: &str| Response {
            status: 400,
            headers: vec![("x".into(), header.into())],
            body: body.into(),
        };
        let secret = Secret::new(SECRET);
        let secret = Proof::SecretInForm(&secret);
        let assertion = Proof::Assertion(Secret::new(ASSERTION));
        let basic = STANDARD.encode(basic_pair(CLIENT, SECRET));
        let table = [
            ("as it is", &secret, answer(&format!("bad secret {SECRET}"), ""), true),
            ("form-encoded", &secret, answer("client_secret=a%2Bb%2Fc%25d%26e%3Df%3Ag+%C3%A9&x", ""), true),
            ("in Basic, in a header", &secret, answer("", &basic), true),
            ("a part of it", &secret, answer("bad secret", "a+b/c"), false),
            ("an assertion", &assertion, answer(&format!(r#"{{"error_description":"{ASSERTION}"}}"#), ""), true),
            ("an assertion in a header", &assertion, answer("", ASSERTION), true),
            ("an assertion's header", &assertion, answer("eyJhbGciOiJQUzI1NiJ9", ""), false),
        ];
        for (name, proof, response, expected) in table {
            assert_eq!(proof.is_repeated_in(CLIENT, &response), expected, "{name}");
        }
    }
}
