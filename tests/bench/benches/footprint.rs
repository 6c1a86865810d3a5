//! How much room it takes: the component on disk, and the real process's resident memory, when nobody comes and with ten thousand
//! sign-ins under way. Everybody gets in, or there is no figure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss, reason = "a bench")]

use bench::report::Report;
use conformance::Browser;
use conformance::crowd::{self, CROWD};
use conformance::service::Service;
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};
use tokio::process::Child;

fn memory_mib(child: &Child, what: &str) -> f64 {
    crowd::memory_kib(child, what) as f64 / 1024.0
}

async fn measure() -> Report {
    let mut report = Report::default();
    report.figure("component_bytes", std::fs::metadata(conformance::component()).unwrap().len() as f64);
    let service = Service::prepare(crowd::quiet()).await;
    let child = service.spawn().await;
    for _ in 0..50 {
        assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    }
    report.figure("host.idle_rss_mib", memory_mib(&child, "VmRSS:"));
    // Compiling the plugin is over: from here on, the peak is the crowd's (proc_pid_clear_refs(5)).
    std::fs::write(format!("/proc/{}/clear_refs", child.id().unwrap()), "5").unwrap();
    let begun = crowd::begin(&Browser::new(&service.url), CROWD).await;
    // A slow provider keeps them all here.
    let slow = Fault::new(FaultAction::Delay { delay_ms: 1000 }).on(Side::Login).path("*/token");
    service.entra.control().add_fault(slow);
    let finished = crowd::come_back(begun).await;
    let failed: Vec<_> = finished.iter().filter(|one| one.status != 200).collect();
    assert!(failed.is_empty(), "{} of {CROWD} aren't in: {:?}", failed.len(), failed.first());
    report.figure("host.crowd_rss_mib", memory_mib(&child, "VmHWM:"));
    report
}

fn main() {
    if !bench::is_chosen("footprint") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(measure());
    println!("footprint, {CROWD} sign-ins under way\n{}", report.table());
    report.add().unwrap();
}
