//! The plugin's file changes while people sign in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use conformance::{Browser, Entra, HostOptions, component};
use defguard_openid_host::sandbox::Looked;
use entra_emulator::fixtures::person;

/// The component with a custom section at its end: other bytes, the same plugin.
fn variant(number: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(component()).unwrap();
    bytes.extend_from_slice(&[0, 3, 1, b'v', number]);
    bytes
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_plugin_takes_over_and_no_sign_in_notices() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.wasm");
    std::fs::write(&path, variant(0)).unwrap();
    let stack = Entra::start(HostOptions { plugin: Some(path.clone()), ..HostOptions::default() }).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let people: Vec<_> = (0..4)
        .map(|_| {
            let (host, stop, done) = (stack.host.url.clone(), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let finished = Browser::new(&host).sign_in(person::ADA).await;
                    assert_eq!(finished.status, 200, "{}", finished.body);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for number in 1..=3 {
        let before = stack.host.gateway.plugin().sha256().to_owned();
        let partial = folder.path().join("partial");
        std::fs::write(&partial, variant(number)).unwrap();
        std::fs::rename(&partial, &path).unwrap();
        let gateway = Arc::clone(&stack.host.gateway);
        wait_until("the swap", move || gateway.plugin().sha256() != before).await;
        let seen = done.load(Ordering::SeqCst);
        wait_until("sign-ins on the new one", || done.load(Ordering::SeqCst) > seen + 4).await;
    }
    stop.store(true, Ordering::SeqCst);
    for person in people {
        person.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_plugin_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.wasm");
    std::fs::write(&path, variant(0)).unwrap();
    let stack = Entra::start(HostOptions { plugin: Some(path.clone()), ..HostOptions::default() }).await;
    let before = stack.host.gateway.plugin().sha256().to_owned();
    let logs = conformance::logs::Logs::capture();
    for (number, broken) in [b"rubbish".to_vec(), variant(1)[..5000].to_vec(), Vec::new()].into_iter().enumerate() {
        let refusals = logs.text().matches("plugin not reloaded").count();
        std::fs::write(&path, broken).unwrap();
        wait_until("the refusal", || logs.text().matches("plugin not reloaded").count() > refusals).await;
        assert_eq!(stack.host.gateway.plugin().sha256(), before, "{number}");
        assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "{number}");
    }
    std::fs::write(&path, variant(2)).unwrap();
    let gateway = Arc::clone(&stack.host.gateway);
    wait_until("the good one", move || gateway.plugin().sha256() != before).await;
}

/// Every two milliseconds a request comes, whatever becomes of those before, while the plugin changes a hundred times and the
/// configuration ten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_lose_none_of_five_hundred_requests_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.wasm");
    std::fs::write(&path, variant(0)).unwrap();
    // Two files take turns: with a folder of its own the host compiles each once.
    let plugins = "unsigned = \"allow\"\nfolder = \"plugins\"".into();
    let stack = Entra::start(HostOptions { plugin: Some(path.clone()), plugins, ..HostOptions::default() }).await;
    let (stop, first) = (Arc::new(AtomicBool::new(false)), stack.browser());
    let load = {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(2));
            let (started, mut requests) = (Instant::now(), Vec::new());
            while !stop.load(Ordering::SeqCst) {
                ticks.tick().await;
                let browser = first.another();
                requests.push(tokio::spawn(async move {
                    let answer = browser.auth_info().await;
                    (answer.status, answer.body)
                }));
            }
            (started.elapsed(), requests)
        })
    };
    for swap in 1..=100_u8 {
        let partial = folder.path().join("partial");
        std::fs::write(&partial, variant(swap % 2)).unwrap();
        std::fs::rename(&partial, &path).unwrap();
        // The watcher may have seen it first.
        let before = stack.host.gateway.plugin().sha256().to_owned();
        match stack.host.gateway.plugins().look().await {
            Looked::TookOver(_) => assert_ne!(stack.host.gateway.plugin().sha256(), before),
            Looked::Same => {}
            Looked::Refused(error) => panic!("swap {swap} is refused: {error}"),
        }
        if swap % 10 == 0 {
            stack.host.live.reload().await.unwrap();
        }
    }
    stop.store(true, Ordering::SeqCst);
    let (took, requests) = load.await.unwrap();
    let count = requests.len();
    let due = usize::try_from(took.as_millis()).unwrap() / 2;
    assert!(count >= due - due / 10, "{count} requests in {took:?} aren't 500 a second");
    for request in requests {
        let (status, body) = request.await.unwrap();
        assert_eq!(status, 200, "{body}");
    }
    let text = stack.host.gateway.metrics().text().unwrap();
    let swaps =
        text.lines().find_map(|line| line.strip_prefix("defguard_openid_plugin_loads_total{outcome=\"loaded\""));
    println!("{count} requests in {took:?}, loads {swaps:?}, none lost");
    let loads: u64 = swaps.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a number");
    assert!(loads >= 100, "{loads}");
}
