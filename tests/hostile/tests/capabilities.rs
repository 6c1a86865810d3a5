//! What a plugin tries with what it was given: other servers, headers of the host's, endless answers, other providers'
//! keys, the credential for somebody else.

use std::time::Duration;

use conformance::logs::Logs;
use defguard_openid_host::sandbox::Limits;
use hostile::stage::{configuration, short};
use hostile::{SECRET, Server, Stage, hostile};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_where_they_may_and_nowhere_else() {
    let (server, other) = (Server::start().await, Server::start().await);
    let stage = Stage::new(short(), true);
    let plugin = stage.load(&hostile()).await;
    let (own, port) = (&server.url, server.port());
    let table: Vec<(&str, String, &str)> = vec![
        ("its own provider", format!("{own}/ok"), "200/2"),
        ("another server", format!("{}/ok", other.url), "denied"),
        ("the metadata service", "http://169.254.169.254/latest/meta-data/".into(), "denied"),
        ("the same, https", "https://169.254.169.254/".into(), "denied"),
        ("the metadata service by name", "http://metadata.google.internal/".into(), "denied"),
        ("another name of this machine", format!("http://localhost:{port}/ok"), "denied"),
        ("any address", format!("http://0.0.0.0:{port}/ok"), "denied"),
        ("IPv6", format!("http://[::1]:{port}/ok"), "denied"),
        ("an IPv4 address within IPv6", format!("http://[::ffff:127.0.0.1]:{port}/ok"), "denied"),
        ("the same address in decimal", format!("http://2130706433:{port}/ok"), "200/2"),
        ("in octal", format!("http://0177.0.0.1:{port}/ok"), "200/2"),
        ("another port", format!("http://127.0.0.1:{}/ok", other.port()), "denied"),
        ("user information", format!("http://127.0.0.1:{port}@127.0.0.1:{}/ok", other.port()), "denied"),
        ("user information for its own", format!("http://a:b@127.0.0.1:{port}/ok"), "denied"),
        ("a fragment", format!("{own}/ok#x"), "denied"),
        ("an encoded host", format!("http://127.0.0.1%2f@127.0.0.1:{}/ok", other.port()), "denied"),
        ("a backslash", format!("http:\\\\127.0.0.1:{}\\ok", other.port()), "denied"),
        ("a file", "file:///etc/passwd".into(), "denied"),
        ("FTP", format!("ftp://127.0.0.1:{port}/"), "denied"),
        ("data", "data:text/plain,x".into(), "denied"),
        ("nothing", String::new(), "denied"),
        ("no scheme", format!("//127.0.0.1:{port}/ok"), "denied"),
        ("a redirect to another server", format!("{own}/redirect?to={}/ok", other.url), "302/0"),
        ("a redirect to a file", format!("{own}/redirect?to=file:///etc/passwd"), "302/0"),
        (
            "a second request in the path",
            format!("{own}/ok%sHTTP/1.1%r%nx-injected:%s1%r%n%r%nGET%s/smuggled"),
            "404/0",
        ),
        ("a body without end", format!("{own}/endless"), "too-large"),
        ("a body of one byte too many", format!("{own}/large"), "too-large"),
        ("a body of just as many", format!("{own}/full"), "200/1048576"),
        ("a body that drips", format!("{own}/drip"), "timeout"),
        ("no answer", format!("{own}/silent"), "timeout"),
        ("what says that it is compressed", format!("{own}/gzip"), "200/100000"),
        ("80 headers", format!("{own}/headers"), "200/2"),
    ];
    for (name, url, expected) in &table {
        let text = configuration(&[("behaviour", "requests"), ("urls", url)]);
        let report = stage.report(&plugin, stage.grant("hostile", &[own]), &text).await;
        assert_eq!(report, *expected, "{name}: {url}");
    }
    assert_eq!(other.seen(), Vec::<String>::new(), "nothing ever reached the other server");
    let seen = server.seen();
    assert!(seen.iter().all(|request| !request.contains("x-injected\"")), "no header was slipped in: {seen:?}");
    assert!(!seen.iter().any(|request| request.starts_with("GET /smuggled")), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_inside_is_not_connected_to() {
    // Not as in development: a provider's name on the allow-list, which resolves to this machine or to nothing.
    let stage = Stage::new(short(), false);
    let plugin = stage.load(&hostile()).await;
    let table = [
        ("https://localhost:1/", "denied"),
        ("https://127.0.0.1:1/", "denied"),
        ("https://10.0.0.1/", "denied"),
        ("https://169.254.169.254/", "denied"),
        ("https://[fd00:ec2::254]/", "denied"),
        ("https://no-such-name.invalid/", "dns"),
    ];
    for (url, expected) in table {
        let text = configuration(&[("behaviour", "requests"), ("urls", url)]);
        assert_eq!(stage.report(&plugin, stage.grant("hostile", &[url]), &text).await, expected, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_request_may_not_have_and_how_many_there_are() {
    let server = Server::start().await;
    let limits = Limits { call_cpu_ticks: 1000, call_wall: Duration::from_secs(25), ..short() };
    let stage = Stage::new(limits, true);
    let plugin = stage.load(&hostile()).await;
    let run = async |behaviour: &str| {
        let text = configuration(&[("behaviour", behaviour), ("base_url", &server.url)]);
        stage.report(&plugin, stage.grant("hostile", &[&server.url]), &text).await
    };
    assert_eq!(run("headers").await, "passed:");
    assert_eq!(server.seen().len(), 0, "none of them was sent");
    assert_eq!(run("large-request").await, "invalid invalid invalid invalid");
    assert_eq!(server.seen().len(), 0, "none of them was sent");
    assert_eq!(run("many-requests").await, "answered 64");
    assert_eq!(server.seen().len(), 64);
    assert_eq!(run("many-batches").await, "answered 64");
    assert_eq!(server.seen().len(), 128);
    assert_eq!(run("huge-batch").await, "2000 invalid");
    assert_eq!(server.seen().len(), 128);
    let report = run("timeouts").await;
    assert!(report.starts_with("timeout after ") && report.contains("; timeout after "), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credential_goes_to_its_own_provider_only() {
    let (server, other) = (Server::start().await, Server::start().await);
    let stage = Stage::new(short(), true);
    let plugin = stage.load(&hostile()).await;
    let urls = format!(
        "{0}/token {1}/token {0}/redirect?to={1}/token http://127.0.0.1:{2}@127.0.0.1:{3}/token",
        server.url,
        other.url,
        server.port(),
        other.port()
    );
    let text = configuration(&[("behaviour", "credential"), ("urls", &urls)]);
    let report = stage.report(&plugin, stage.grant("hostile", &[&server.url]), &text).await;
    // The first server repeats what it gets: the secret, which the plugin doesn't see. The others get nothing.
    assert_eq!(report, "protocol denied 302 denied invalid invalid invalid invalid invalid");
    assert!(other.seen().is_empty());
    assert!(!report.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_other_providers_and_plugins() {
    let server = Server::start().await;
    let stage = Stage::new(short(), true);
    let plugin = stage.load(&hostile()).await;
    // Somebody else's state: of another provider, of one whose name begins with ours, and of the host itself.
    let own = configuration(&[("behaviour", "write")]);
    for provider in ["entra", "hostile-2", "a"] {
        assert!(stage.report(&plugin, stage.grant(provider, &[&server.url]), &own).await.starts_with("Ok"));
    }
    let now = 1;
    for namespace in ["handover", "sync"] {
        let namespace = defguard_openid_host::storage::Namespace::new(namespace, "hostile");
        let key = defguard_openid_host::storage::Key { namespace, name: "mine".into() };
        stage.storage.put(key, defguard_openid_host::storage::Entry::lasting(b"host".to_vec()), now).await.unwrap();
    }
    let keys = "mine entra/mine openid/entra/mine /mine //mine ../entra/mine ../../openid/entra/mine ./mine hostile/mine \
                hostile-2/mine -2/mine handover/hostile/mine ../../handover/hostile/mine openid/a/mine a/mine %2e%2e/entra/mine \
                ..\\\\entra\\\\mine mine/../mine * ? mine* m?ne";
    let text = configuration(&[("behaviour", "foreign-keys"), ("keys", keys)]);
    assert_eq!(stage.report(&plugin, stage.grant("hostile", &[&server.url]), &text).await, "found:");
    // The control: a key of its own is found.
    stage.report(&plugin, stage.grant("hostile", &[&server.url]), &own).await;
    let found = stage.report(&plugin, stage.grant("hostile", &[&server.url]), &text).await;
    assert_eq!(found, "found: mine");
    // Another plugin has what it follows in the same provider's name, which a sign-in under way needs, and no more than that.
    let bytes = [std::fs::read(hostile()).unwrap(), vec![0, 3, 1, b'v', 1]].concat();
    let next = stage.load_bytes(&bytes).await.unwrap();
    assert_ne!(next.sha256(), plugin.sha256());
    // What was found was taken.
    stage.report(&plugin, stage.grant("hostile", &[&server.url]), &own).await;
    assert_eq!(stage.report(&next, stage.grant("hostile", &[&server.url]), &text).await, "found: mine");
    assert_eq!(stage.report(&next, stage.grant("another", &[&server.url]), &text).await, "found:");
    // And theirs are there yet.
    let text = configuration(&[("behaviour", "foreign-keys"), ("keys", "mine")]);
    assert_eq!(stage.report(&plugin, stage.grant("entra", &[&server.url]), &text).await, "found: mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_has_bounds() {
    let server = Server::start().await;
    let limits = Limits { call_cpu_ticks: 1000, call_wall: Duration::from_secs(25), ..short() };
    let stage = Stage::new(limits, true);
    let plugin = stage.load(&hostile()).await;
    let run = async |behaviour: &str| {
        stage.report(&plugin, stage.grant("hostile", &[&server.url]), &configuration(&[("behaviour", behaviour)])).await
    };
    let limits = run("storage-limits").await;
    let expected = "empty key: invalid; long key: invalid; space: invalid; line break: invalid; zero: invalid; letter: invalid; \
                    large value: invalid; no life: invalid; endless life: invalid; good: stored; put-if-absent: invalid; \
                    compare-and-swap: invalid; take: invalid; get: invalid; ";
    assert_eq!(limits, expected);
    // Of a thousand writes as many as one call may make; and a provider's whole share is bounded beyond that (storage's tests).
    assert_eq!(run("storage-flood").await, "stored 64");
    assert_eq!(run("cache-flood").await, "done");
    assert_eq!(run("cache-leases").await, "elected 16");
    // Nobody else waits for what it was elected to fetch: its calls are over.
    stage.sign_in(&plugin, &server.url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_records_are_few_short_and_on_one_line() {
    let logs = Logs::capture();
    let server = Server::start().await;
    let stage = Stage::new(short(), true);
    let plugin = stage.load(&hostile()).await;
    let run = async |behaviour: &str| {
        let grant = stage.grant("hostile-log", &[&server.url]);
        let trace = grant.trace.to_string();
        let report = stage.report(&plugin, grant, &configuration(&[("behaviour", behaviour)])).await;
        let text = logs.text();
        let lines: Vec<String> = text.split('\n').filter(|line| line.contains(&trace)).map(str::to_owned).collect();
        (report, lines)
    };
    let (_, lines) = run("log-flood").await;
    let records = lines.iter().filter(|line| line.contains("ERROR plugin: flood")).count();
    assert_eq!(records, 64);
    assert!(lines.iter().any(|line| line.contains("log records over the limit") && line.contains("dropped=9936")));
    assert!(lines.iter().all(|line| line.len() < 1024), "{:?}", lines.iter().map(String::len).max());
    let (report, lines) = run("log-injection").await;
    assert!(
        !report.contains(|c: char| c.is_control() || c == '\u{202e}'),
        "a refusal's message is cleaned: {report:?}"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert!(!line.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')), "{line:?}");
        assert!(line.contains(" ERROR plugin: "), "who says it comes first: {line}");
        assert_eq!(line.matches("provider=\"").count(), 1, "one provider, the host's word: {line}");
    }
    let forged = logs.text().lines().filter(|line| line.starts_with("2026-11-23T00:00:00Z")).count();
    assert_eq!(forged, 0);
}
