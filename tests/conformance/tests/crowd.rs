//! Ten thousand sign-ins under way at once, against the real process: what it holds when nobody comes, when everybody has
//! gone to the provider, and when all come back at the same moment to a provider that is slow.

use std::time::{Duration, Instant};

use conformance::Browser;
use conformance::crowd::{self, CROWD};
use conformance::service::Service;
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};
use tokio::process::Child;

/// MiB that an idle host may hold.
const IDLE_MIB: u64 = 60;
/// MiB with all of them under way.
const CROWD_MIB: u64 = 512;

fn memory_mib(child: &Child, what: &str) -> u64 {
    crowd::memory_kib(child, what) / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_host_is_small() {
    let service = Service::prepare(crowd::quiet()).await;
    let child = service.spawn().await;
    for _ in 0..50 {
        assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    }
    let idle = memory_mib(&child, "VmRSS:");
    println!("idle after 50 sign-ins: {idle} MiB, at most {} MiB", memory_mib(&child, "VmHWM:"));
    assert!(idle <= IDLE_MIB, "{idle} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once_finish_in_bounded_memory() {
    let service = Service::prepare(crowd::quiet()).await;
    let child = service.spawn().await;
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    let started = Instant::now();
    let begun = crowd::begin(&Browser::new(&service.url), CROWD).await;
    println!(
        "{CROWD} begun after {:?}: {} MiB, at most {}",
        started.elapsed(),
        memory_mib(&child, "VmRSS:"),
        memory_mib(&child, "VmHWM:")
    );
    let control = service.entra.control();
    control.add_fault(Fault::new(FaultAction::Delay { delay_ms: 500 }).on(Side::Login).path("*/token"));
    let came_back = Instant::now();
    let finished = crowd::come_back(begun).await;
    let took = came_back.elapsed();
    let peak = memory_mib(&child, "VmHWM:");
    let (sent_away, cut_off) =
        finished.iter().fold((0, 0), |(away, cut), one| (away + one.sent_away, cut + one.cut_off));
    println!(
        "{CROWD} back at once: in after {took:?}, {sent_away} times asked to come again, {cut_off} times cut off, at most {peak} MiB, \
         {} MiB then",
        memory_mib(&child, "VmRSS:")
    );
    let failed: Vec<_> = finished.iter().filter(|one| one.status != 200).collect();
    assert!(failed.is_empty(), "{} of {CROWD} aren't in: {:?}", failed.len(), failed.first());
    // With the limits that a configuration has which says none, nobody is asked to come again before they have waited a minute.
    assert!(sent_away == 0 || took > Duration::from_secs(60), "{sent_away} in {took:?}");
    assert!(peak <= CROWD_MIB, "{peak} MiB");
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200, "and the next one");
}
