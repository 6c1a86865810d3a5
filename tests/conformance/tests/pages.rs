//! The pages: what they offer, what they say in each language, and what a browser shows while it waits.

use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::person;

/// The callback of a good sign-in, with the browser that it belongs to.
async fn callback(stack: &Entra) -> (conformance::Browser, String) {
    let browser = stack.browser();
    let url = browser.callback_url(person::ADA).await;
    (browser, url)
}

#[tokio::test]
async fn a_browser_shows_progress_before_it_waits() {
    let stack = Entra::plain().await;
    let (browser, url) = callback(&stack).await;
    let asked = stack.entra.control().count(entra_emulator::Side::Login, "*/token");
    let progress = browser.look_at(&url, "").await;
    assert_eq!(progress.status, 200, "{}", progress.body);
    assert!(progress.body.contains("id=\"progress\""), "{}", progress.body);
    assert_eq!(stack.entra.control().count(entra_emulator::Side::Login, "*/token"), asked, "nothing is done yet");
    let code = url.split("code=").nth(1).unwrap().split('&').next().unwrap();
    assert!(!progress.body.contains(code), "the code isn't in the page");
    let next = progress.refresh().expect("it leads on");
    assert!(next.starts_with("/openid/finish?"), "{next}");
    let done = browser.get(&next).await;
    assert_eq!((done.status, done.element("token").len()), (200, 32), "{}", done.body);
    let again = browser.get(&next).await;
    assert_eq!((again.status, again.code().as_str()), (400, "transaction_unknown"), "once: {}", again.body);
}

#[tokio::test]
async fn what_needs_no_work_shows_no_progress() {
    let stack = Entra::plain().await;
    let table = [
        ("no cookie", "code=x&state=y", 400),
        ("a provider's error", "error=access_denied&state=y", 400),
        ("nothing", "", 400),
    ];
    for (name, query, status) in table {
        let page = stack.browser().look_at(&format!("/openid/callback?{query}"), "").await;
        assert_eq!((page.status, page.refresh()), (status, None), "{name}: {}", page.body);
    }
}

#[tokio::test]
async fn each_page_in_each_language() {
    let stack = Entra::plain().await;
    let languages = [
        ("", "en", "Sign in to enroll", "You are signed in", "Sign-in didn’t work"),
        ("fr, en;q=0.5", "en", "Sign in to enroll", "You are signed in", "Sign-in didn’t work"),
        ("de-AT, en;q=0.5", "de", "Anmelden und einrichten", "Sie sind angemeldet", "Die Anmeldung hat nicht geklappt"),
    ];
    for (wanted, tag, sign_in, signed_in, refused) in languages {
        let (browser, url) = callback(&stack).await;
        for (page, title) in [
            (browser.get_in("/openid/sign-in", wanted).await, sign_in),
            (browser.get_in(&url, wanted).await, signed_in),
            (browser.get_in(&url, wanted).await, refused),
            (browser.get_in("/openid/nothing-here", wanted).await, refused),
        ] {
            assert!(page.body.contains(&format!("<html lang=\"{tag}\">")), "{wanted}: {}", page.body);
            assert!(page.body.contains(&format!("<h1>{title}</h1>")), "{wanted}: {title}: {}", page.body);
        }
    }
}

#[tokio::test]
async fn the_result_has_the_link_and_the_code() {
    let stack = Entra::plain().await;
    let (browser, url) = callback(&stack).await;
    let page = browser.get(&url).await;
    let token = page.element("token");
    let link = format!("defguard://addinstance?token={token}&amp;url=http%3A%2F%2F127.0.0.1");
    assert!(page.body.contains(&link), "{link}: {}", page.body);
    assert!(page.body.contains("<svg"), "{}", page.body);
}

#[tokio::test]
async fn buttons_have_the_providers_name_and_logo() {
    let folder = tempfile::tempdir().unwrap();
    let logo = folder.path().join("logo.svg");
    std::fs::write(&logo, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").unwrap();
    let own = HostOptions::default()
        .set("display_name", "\"Contoso <b>account</b>\"")
        .set("logo_file", &format!("{:?}", logo.display().to_string()));
    for (name, options, text, logo) in [
        ("built in", HostOptions::default(), "Sign in with Microsoft", "#f25022"),
        (
            "the administrator's",
            own,
            "Contoso &lt;b&gt;account&lt;/b&gt;",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        ),
    ] {
        let stack = Entra::start(options).await;
        let page = stack.browser().get("/openid/sign-in").await;
        assert!(page.body.contains(&format!("<span>{text}</span>")), "{name}: {}", page.body);
        let picture = stack.browser().get("/openid/assets/logo/entra").await;
        assert!(picture.body.contains(logo), "{name}: {}", picture.body);
        assert!(
            picture.headers.contains(&("content-type".into(), "image/svg+xml".into())),
            "{name}: {:?}",
            picture.headers
        );
    }
    let stack = Entra::plain().await;
    assert_eq!(stack.browser().get("/openid/assets/logo/nobody").await.status, 404);
}

#[tokio::test]
async fn enrollment_tokens_are_offered_where_there_is_a_page_for_them() {
    let table = [
        ("nothing said", "", false),
        ("a page", "[pages]\ntoken_page = \"/enrollment-start\"\n", true),
        ("switched off", "[pages]\ntoken_page = \"/enrollment-start\"\ntoken_enrollment = false\n", false),
    ];
    for (name, more, offered) in table {
        let stack = Entra::start(HostOptions { more: more.into(), ..HostOptions::default() }).await;
        let page = stack.browser().get("/openid/sign-in").await;
        assert_eq!(page.body.contains("href=\"/enrollment-start\""), offered, "{name}: {}", page.body);
    }
}

#[tokio::test]
async fn every_answer_of_ours_has_a_name_and_the_headers() {
    let proxy = "upstream = \"http://127.0.0.1:1\"";
    let sso = "[pages]\ntoken_enrollment = false\n";
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (host, top, more) in [("alone", "", ""), ("before a proxy", proxy, sso)] {
        let options = HostOptions { top: top.into(), more: more.into(), ..HostOptions::default() };
        let stack = Entra::start(options).await;
        for (method, path, status) in [
            ("GET", "/", 303),
            ("POST", "/", 405),
            ("GET", "/health", 200),
            ("GET", "/ready", 200),
            ("POST", "/ready", 405),
            ("GET", "/openid/sign-in", 200),
            ("GET", "/nothing-here", if top.is_empty() { 404 } else { 502 }),
        ] {
            let url = format!("{}{path}", stack.host.url);
            let answer = client.request(method.parse().unwrap(), url).send().await.unwrap();
            let case = format!("{host}: {method} {path}: {answer:?}");
            assert_eq!(answer.status().as_u16(), status, "{case}");
            let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header("x-request-id").map(|id| id.len()), Some(10), "{case}");
            assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{case}");
            assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{case}");
            assert!(header("content-security-policy").is_some(), "{case}");
        }
    }
}
