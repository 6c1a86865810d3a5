//! One storage for several hosts: a real Redis that stops, stalls, fills up or becomes a replica, and two processes of which one is
//! killed. What fails is said and recovers by itself; nothing is accepted twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use conformance::core::handed_over_to;
use conformance::service::{Service, run};
use conformance::{Browser, Entra, HostOptions, RedisServer};
use core_emulator::{CoreEmulator, Settings, Version};
use entra_emulator::fixtures::{self, person};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// `openssl rand -base64 32`, once.
const KEY: &str = "qM1oD0r2mJXbGN1r4Cq4l0n3TjF0d1nB5o8rY2mZ3hI=";

fn over(server: &RedisServer) -> HostOptions {
    over_url(&server.url())
}

fn over_url(url: &str) -> HostOptions {
    HostOptions {
        storage_more: "key_file = \"storage-key\"".into(),
        files: vec![("storage-key".into(), KEY.into())],
        ..HostOptions::default()
    }
    .storage(url)
}

/// The way to a server: it can fall silent for the connections that are there, and lead to another server from then on.
struct Way {
    url: String,
    silenced: watch::Sender<u64>,
    to: Arc<AtomicU16>,
}

impl Way {
    async fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/0", listener.local_addr().unwrap());
        let (silenced, heard) = watch::channel(0);
        let to = Arc::new(AtomicU16::new(server.port()));
        let port = Arc::clone(&to);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut heard, port) = (heard.clone(), port.load(Ordering::Relaxed));
                heard.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let is_silent = tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => false,
                        changed = heard.changed() => changed.is_ok(),
                    };
                    if is_silent {
                        // Open, on both sides, for as long as the test takes.
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { url, silenced, to }
    }
}

/// Neither is a connection that is closed: nothing but what doesn't come, or what comes, says that another one is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_leads_nowhere_is_replaced() {
    let (server, other) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    let way = Way::to(&server).await;
    let stack = Entra::start(over_url(&way.url)).await;
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    way.silenced.send_modify(|times| *times += 1);
    assert_eq!(stack.browser().auth_info().await.code(), "storage_unavailable");
    recovered(&stack, "a silent connection").await;
    // A failover: the address leads to the new primary, the connection to the former one.
    way.to.store(other.port(), Ordering::Relaxed);
    let primary = other.port().to_string();
    assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", &primary]).await, "OK");
    recovered(&stack, "a failover").await;
}

/// Waits until a sign-in succeeds again; the host isn't touched.
async fn recovered(stack: &Entra, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let begun = stack.browser().auth_info().await;
        if begun.status == 200 {
            break;
        }
        assert_eq!(begun.status, 503, "{name}: {}", begun.body);
        assert!(Instant::now() < deadline, "{name}: not well again within 60 s: {}", begun.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "{name}: well again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_fails_is_said_and_recovers_and_nothing_counts_twice() {
    let mut server = RedisServer::start(&["--appendonly", "yes"]).await;
    let stack = Entra::start(over(&server)).await;
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    // Name, commands that break it, commands that mend it. None: it is killed, and started anew with what it wrote.
    let table: [(&str, Option<[&[&str]; 2]>); 5] = [
        ("stalled", Some([&["CLIENT", "PAUSE", "60000"], &["CLIENT", "UNPAUSE"]])),
        ("a replica", Some([&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]])),
        ("full", Some([&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]])),
        (
            "another password",
            Some([&["CONFIG", "SET", "requirepass", "x"], &["-a", "x", "CONFIG", "SET", "requirepass", ""]]),
        ),
        ("killed and started again", None),
    ];
    for (name, commands) in table {
        let browser = stack.browser();
        let callback = browser.callback_url(person::ADA).await;
        match commands {
            Some([broken, _]) => assert_eq!(server.command(broken).await, "OK", "{name}"),
            None => server.kill().await,
        }
        if name == "another password" {
            // Connections that are there stay let in.
            server.command(&["-a", "x", "CLIENT", "KILL", "TYPE", "normal"]).await;
        }
        for (step, answer) in
            [("begin", stack.browser().auth_info().await), ("complete", browser.finish(&callback).await)]
        {
            // What can still be read may be; then the hand-over is the first that must write.
            let is_told = ["storage_unavailable", "handover_unavailable"].contains(&answer.code().as_str());
            assert!(answer.status == 503 && is_told, "{name}, {step}: {} {}", answer.status, answer.body);
            assert!(!answer.body.contains("127.0.0.1"), "{name}, {step}: where it is isn't the person's to know");
        }
        match commands {
            Some([_, mended]) => assert!(server.command(mended).await.contains("OK"), "{name}"),
            None => server.run().await,
        }
        recovered(&stack, name).await;
        // What was under way may have been taken without an answer. If it is still there it counts, once.
        let first = browser.finish(&callback).await;
        assert!(first.status == 200 || first.code() == "transaction_unknown", "{name}: {}", first.body);
        assert_eq!(browser.finish(&callback).await.code(), "transaction_unknown", "{name}: and not again");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let server = RedisServer::start(&["--requirepass", "the-password-of-this-redis"]).await;
    let host = server.url().trim_start_matches("redis://").trim_end_matches("/0").to_owned();
    for (name, url, password, expected) in [
        ("nobody listens", "redis://:s3cret@127.0.0.1:1/0".to_owned(), None, "redis://127.0.0.1:1/0"),
        ("no password", server.url(), None, "storage.password_file"),
        ("a wrong password", server.url(), Some("wrong"), "storage.password_file"),
    ] {
        let mut options = HostOptions::default().storage(&url);
        if let Some(password) = password {
            options.storage_more = "password_file = \"redis-password\"".into();
            options.files = vec![("redis-password".into(), password.into())];
        }
        let service = Service::prepare_over(options).await;
        let (code, _, err) = run(&["serve", "--config", &service.config()]).await;
        assert_eq!(code, Some(1), "{name}: {err}");
        assert!(err.contains(expected) && !err.contains("s3cret"), "{name}: {err}");
    }
    let options = HostOptions {
        storage_more: "password_file = \"redis-password\"".into(),
        files: vec![("redis-password".into(), "the-password-of-this-redis\n".into())],
        ..HostOptions::default()
    };
    let stack = Entra::start(options.storage(&format!("redis://{host}/0"))).await;
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "the right one");
}

#[tokio::test]
async fn what_is_in_redis_tells_nothing() {
    let server = RedisServer::start(&[]).await;
    let stack = Entra::start(over(&server)).await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    assert_eq!(browser.finish(&callback).await.status, 200);
    stack.browser().callback_url(person::UNICODE).await;
    let mut values = 0;
    for key in server.command(&["KEYS", "*values"]).await.lines() {
        let dump = server.command(&["HVALS", key]).await;
        values += dump.matches("DGSV").count();
        for secret in ["ada", "contoso", "verifier", "nonce", "redirect_uri", "http"] {
            assert!(!dump.contains(secret), "{secret} in {key}: {dump}");
        }
    }
    assert!(values >= 3, "a transaction, a link, an account, a token: {values}");
}

/// Reads the log of a process until it says something.
async fn until_it_says(child: &mut tokio::process::Child, wanted: &str) -> String {
    use tokio::io::AsyncBufReadExt as _;
    let mut lines = tokio::io::BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let reading = async {
        let mut text = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            text.push_str(&line);
            text.push('\n');
            if line.contains(wanted) {
                return text;
            }
        }
        panic!("it never said {wanted:?}: {text}");
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("within a minute")
}

/// Two changes of the key, one after the other: after each, the former one isn't needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_key_can_be_given_up() {
    const SECOND: &str = "c2Vjb25kLXNlY29uZC1zZWNvbmQtc2Vjb25kLXNlYyE=";
    const THIRD: &str = "dGhpcmQtdGhpcmQtdGhpcmQtdGhpcmQtdGhpcmQtdGg=";
    let server = RedisServer::start(&[]).await;
    let service = Service::prepare_over(over(&server)).await;
    let folder = service.folder.path();
    let decision = || {
        let audit = std::fs::read_to_string(folder.join("audit.jsonl")).unwrap();
        let last: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
        last["linking"]["decision"].as_str().unwrap_or_default().to_owned()
    };
    let mut child = service.spawn().await;
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    assert_eq!(decision(), "new");
    child.kill().await.unwrap();
    let config = std::fs::read_to_string(service.config()).unwrap();
    for (former, present) in [(KEY, SECOND), (SECOND, THIRD)] {
        std::fs::write(folder.join("storage-key"), present).unwrap();
        std::fs::write(folder.join("key-before"), former).unwrap();
        let line = "key_file = \"storage-key\"";
        let both = config.replace(line, &format!("{line}\nprevious_key_file = \"key-before\""));
        assert_ne!(both, config);
        std::fs::write(service.config(), both).unwrap();
        let mut child = service.spawn().await;
        let log = until_it_says(&mut child, "everything stored is sealed").await;
        assert!(!log.contains("unreadable"), "{log}");
        child.kill().await.unwrap();
        // Without the former one.
        std::fs::write(service.config(), &config).unwrap();
        let mut child = service.spawn().await;
        let signed_in = Browser::new(&service.url).sign_in(person::ADA).await;
        assert_eq!(signed_in.status, 200, "{}", signed_in.body);
        assert_eq!(decision(), "linked");
        child.kill().await.unwrap();
    }
    // The first key was lost long ago: whoever has only that one hears it.
    std::fs::write(folder.join("storage-key"), KEY).unwrap();
    let _child = service.spawn().await;
    let refused = Browser::new(&service.url).sign_in(person::ADA).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "handover_unavailable"), "{}", refused.body);
}

/// Passes each connection on to the next of two hosts that takes it.
async fn round_robin(hosts: [SocketAddr; 2], listener: TcpListener) {
    let next = Arc::new(AtomicUsize::new(0));
    while let Ok((mut client, _)) = listener.accept().await {
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            let turn = next.fetch_add(1, Ordering::SeqCst);
            for number in [turn, turn + 1] {
                if let Ok(mut host) = TcpStream::connect(hosts[number % 2]).await {
                    // Whoever is cut off hears it as a broken connection.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut host).await;
                    return;
                }
            }
        });
    }
}

/// A callback as the API takes it, on a connection of its own; `None`: it was cut off.
async fn finish(browser: &Browser, url: &str, callback: &str) -> Option<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let cookies: Vec<_> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut body = serde_json::json!({ "type": "enrollment" });
    for (name, value) in url::Url::parse(callback).unwrap().query_pairs() {
        body[name.as_ref()] = value.into();
    }
    let request = client.post(format!("{url}/api/v1/openid/callback")).header("content-type", "application/json");
    let answer = request.header("cookie", cookies.join("; ")).body(body.to_string()).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, serde_json::from_slice(&answer.bytes().await.ok()?).unwrap_or_default()))
}

/// Begins, on whichever host's turn it is, until one isn't cut off: the browser, and its callback.
async fn begin(url: &str, person: &str) -> (Browser, String) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let browser = Browser::new(url);
        let person = person.to_owned();
        let attempt = tokio::spawn(async move {
            let callback = browser.callback_url(&person).await;
            (browser, callback)
        });
        match attempt.await {
            Ok(begun) => return begun,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_of_which_one_is_killed() {
    const ROUNDS: usize = 6;
    const SIGN_INS: usize = 10;
    let server = RedisServer::start(&[]).await;
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", front.local_addr().unwrap());
    let first = Service::prepare_over(over(&server)).await;
    let second = first.twin();
    for service in [&first, &second] {
        let text = std::fs::read_to_string(service.config()).unwrap();
        let public = format!("public_url = {:?}", first.url);
        assert!(text.contains(&public), "{text}");
        std::fs::write(service.config(), text.replace(&public, &format!("public_url = {url:?}"))).unwrap();
    }
    let redirect_uri = format!("{url}/openid/callback");
    first.entra.control().add_redirect_uri(fixtures::CLIENT_ID, redirect_uri).unwrap();
    let address = |service: &Service| service.url.trim_start_matches("http://").parse::<SocketAddr>().unwrap();
    tokio::spawn(round_robin([address(&first), address(&second)], front));
    let (mut processes, services) = ([first.spawn().await, second.spawn().await], [&first, &second]);
    let (mut accepted, mut crossed) = (0, 0);
    for round in 0..ROUNDS {
        let victim = round % 2;
        let begun: Vec<_> = (0..SIGN_INS)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { begin(&url, person::ADA).await })
            })
            .collect();
        let mut sign_ins = Vec::new();
        for begun in begun {
            sign_ins.push(begun.await.unwrap());
        }
        // Half of them end while one host goes down, the others when it is gone.
        let (now, later) = sign_ins.split_at(SIGN_INS / 2);
        let ending =
            futures_util::future::join_all(now.iter().map(|(browser, callback)| finish(browser, &url, callback)));
        let (ended, killed) = tokio::join!(ending, processes[victim].kill());
        killed.unwrap();
        let later =
            futures_util::future::join_all(later.iter().map(|(browser, callback)| finish(browser, &url, callback)));
        for (answer, is_sure) in
            ended.into_iter().map(|answer| (answer, false)).chain(later.await.into_iter().map(|answer| (answer, true)))
        {
            match answer {
                Some((200, _)) => {
                    accepted += 1;
                    crossed += usize::from(is_sure);
                }
                // The host that had taken the transaction is gone.
                None | Some((400, _)) if !is_sure => {}
                other => panic!("round {round}: {other:?}"),
            }
        }
        processes[victim] = services[victim].spawn().await;
        // Whatever became of them: on neither host does one count again.
        for (browser, callback) in &sign_ins {
            for service in services {
                let again = finish(browser, &service.url, callback).await;
                let code = again.as_ref().map(|(_, body)| body["code"].clone());
                let is_first = again.as_ref().is_some_and(|(status, _)| *status == 200);
                // One that was cut off before the host read it may count now, and then no more.
                let third = finish(browser, &service.url, callback).await.map(|(_, body)| body["code"].clone());
                assert_eq!(third, Some("transaction_unknown".into()), "round {round}: {again:?}");
                assert!(is_first || code == Some("transaction_unknown".into()), "round {round}: {again:?}");
            }
        }
    }
    assert_eq!(crossed, ROUNDS * (SIGN_INS - SIGN_INS / 2), "what began on either host ended on the one that was left");
    println!("{accepted} of {} sign-ins were accepted at once", ROUNDS * SIGN_INS);
}

/// Hosts that share a storage synchronise one at a time, and what one has made the other knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_one_synchronises() {
    let server = RedisServer::start(&[]).await;
    let emulator = CoreEmulator::start(Settings::new(Version::V2_0)).await.unwrap();
    let settings = [
        ("directory.enabled", "true"),
        ("directory.apply", "\"core\""),
        ("directory.prefetch_users", "true"),
        ("directory.steps_per_second", "100"),
    ];
    let mut options = settings.iter().fold(over(&server), |options, (key, value)| options.set(key, value));
    options.storage_more.push_str("\nfolder = \".\"");
    let one = Service::prepare_over(handed_over_to(&emulator, options, "")).await;
    let two = one.twin();
    let run_of = async |service: &Service| -> (Option<i32>, Value) {
        let (code, out, err) = run(&["sync", "--now", "--config", &service.config()]).await;
        let last = out.lines().last().unwrap_or_else(|| panic!("{err}"));
        (code, serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {out}")))
    };
    // Some hundred steps take seconds: whichever comes first is under way when the other one begins.
    let (first, second) = tokio::join!(run_of(&one), run_of(&two));
    let (done, refused) = if first.0 == Some(0) { (first, second) } else { (second, first) };
    assert_eq!((done.0, &done.1["outcome"]), (Some(0), &"done".into()), "{}", done.1);
    assert!(done.1["steps"].as_u64() > Some(200), "{}", done.1);
    assert_eq!((refused.0, &refused.1["reason"]), (Some(1), &"run_under_way".into()), "{}", refused.1);
    let made = emulator.control().groups().len();
    for service in [&one, &two] {
        let (exit, last) = run_of(service).await;
        assert_eq!((exit, &last["steps"]), (Some(0), &0.into()), "there is nothing left to do: {last}");
    }
    assert_eq!(emulator.control().groups().len(), made, "none twice");
}
