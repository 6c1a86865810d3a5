//! Ten thousand sign-ins under way at once, against the real process: what it holds when nobody comes, when everybody has
//! gone to the provider, and when all come back at the same moment to a provider that is slow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::service::Service;
use conformance::{Browser, HostOptions};
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};
use tokio::process::Child;
use tokio::sync::Semaphore;

/// How many sign in. Each is a person of the emulator, a browser of its own, and a connection.
const CROWD: usize = 10_000;
/// MiB that an idle host may hold.
const IDLE_MIB: u64 = 60;
/// MiB with all of them under way.
const CROWD_MIB: u64 = 512;

/// Quiet: nobody reads the pipe that its log goes to, and a full one would hold everything up.
fn quiet() -> HostOptions {
    HostOptions { more: "[log]\nlevel = \"error\"\n".into(), ..HostOptions::default() }
}

/// A line of `/proc/PID/status`, in MiB.
fn memory(child: &Child, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().expect("it runs"))).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {status}"));
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_host_is_small() {
    let service = Service::prepare(quiet()).await;
    let child = service.spawn().await;
    for _ in 0..50 {
        assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    }
    let idle = memory(&child, "VmRSS:");
    println!("idle after 50 sign-ins: {idle} MiB, at most {} MiB", memory(&child, "VmHWM:"));
    assert!(idle <= IDLE_MIB, "{idle} MiB");
}

/// All of them, `at_once` at a time.
async fn each<T: Send + 'static>(
    at_once: usize,
    people: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let places = Arc::new(Semaphore::new(at_once));
    let tasks: Vec<_> = people
        .into_iter()
        .map(|person| {
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                let _place = places.acquire().await.unwrap();
                person.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// What became of somebody who came back: whether they are in, and how often they had to come again.
struct Back {
    is_in: Result<(), String>,
    sent_away: usize,
    cut_off: usize,
}

/// Comes back with a callback. Ten thousand connections in one moment are more than the system's queue of those that aren't accepted
/// yet: on a busy machine some break there, before the host has seen anything of them, and a browser tries again.
async fn come_back(browser: Browser, callback: String) -> Back {
    let mut back = Back { is_in: Ok(()), sent_away: 0, cut_off: 0 };
    loop {
        match browser.try_finish(&callback).await {
            None => back.cut_off += 1,
            Some(answer) if answer.code() == "service_busy" => back.sent_away += 1,
            Some(answer) if answer.status == 200 => return back,
            Some(answer) => return Back { is_in: Err(format!("{} {}", answer.status, answer.code())), ..back },
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once_finish_in_bounded_memory() {
    let service = Service::prepare(quiet()).await;
    let child = service.spawn().await;
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    let started = Instant::now();
    let first = Browser::new(&service.url);
    let begun = each(
        64,
        (0..CROWD).map(|_| {
            let browser = first.another();
            async move {
                let callback = browser.callback_url(person::ADA).await;
                (browser, callback)
            }
        }),
    )
    .await;
    println!(
        "{CROWD} begun after {:?}: {} MiB, at most {}",
        started.elapsed(),
        memory(&child, "VmRSS:"),
        memory(&child, "VmHWM:")
    );
    let control = service.entra.control();
    control.add_fault(Fault::new(FaultAction::Delay { delay_ms: 500 }).on(Side::Login).path("*/token"));
    let came_back = Instant::now();
    let finished = each(CROWD, begun.into_iter().map(|(browser, callback)| come_back(browser, callback))).await;
    let took = came_back.elapsed();
    let peak = memory(&child, "VmHWM:");
    let (sent_away, cut_off) =
        finished.iter().fold((0, 0), |(away, cut), back| (away + back.sent_away, cut + back.cut_off));
    println!(
        "{CROWD} back at once: in after {took:?}, {sent_away} times asked to come again, {cut_off} times cut off, at most {peak} MiB, \
         {} MiB then",
        memory(&child, "VmRSS:")
    );
    let failed: Vec<_> = finished.iter().filter_map(|back| back.is_in.as_ref().err()).collect();
    assert!(failed.is_empty(), "{} of {CROWD} aren't in: {:?}", failed.len(), failed.first());
    // With the limits that a configuration has which says none, nobody is asked to come again before they have waited a minute.
    assert!(sent_away == 0 || took > Duration::from_secs(60), "{sent_away} in {took:?}");
    assert!(peak <= CROWD_MIB, "{peak} MiB");
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200, "and the next one");
}
