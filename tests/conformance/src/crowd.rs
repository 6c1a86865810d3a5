//! A crowd that signs in against the real process: all of it under way at the same time, then back at the same moment. The tests bound
//! what the process holds meanwhile, and the benches report it.

use std::sync::Arc;
use std::time::Duration;

use entra_emulator::fixtures::person;
use tokio::process::Child;
use tokio::sync::Semaphore;

use crate::{Browser, HostOptions};

/// How many sign in. Each is a person of the emulator, a browser of its own, and a connection.
pub const CROWD: usize = 10_000;
/// How many begin at a time: what the emulator and both cores have time for.
const BEGIN_AT_ONCE: usize = 64;

/// Quiet: nobody reads the pipe that its log goes to, and a full one would hold everything up.
pub fn quiet() -> HostOptions {
    HostOptions { more: "[log]\nlevel = \"error\"\n".into(), ..HostOptions::default() }
}

/// A line of `/proc/PID/status` (proc_pid_status(5)), in KiB.
pub fn memory_kib(child: &Child, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().expect("it runs"))).expect("Linux");
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {status}"));
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// A browser that signed in at the provider, and the callback that it hasn't followed.
pub type UnderWay = (Browser, String);

/// As many browsers as these, each gone to the provider and not yet back.
pub async fn begin(first: &Browser, size: usize) -> Vec<UnderWay> {
    let begun = (0..size).map(|_| {
        let browser = first.another();
        async move {
            let callback = browser.callback_url(person::ADA).await;
            (browser, callback)
        }
    });
    each(BEGIN_AT_ONCE, begun).await
}

/// What became of somebody who came back: status and code of the last answer, and how often there were others before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameBack {
    /// 200, or the refusal's.
    pub status: u16,
    /// The refusal's code.
    pub code: String,
    /// How often they were asked to come again.
    pub sent_away: usize,
    /// How often the connection broke: ten thousand in one moment are more than the system's queue of those that aren't accepted yet, so
    /// on a busy machine some break there, before the host has seen anything of them. A browser tries again.
    pub cut_off: usize,
}

/// All of them come back at the same moment.
pub async fn come_back(crowd: Vec<UnderWay>) -> Vec<CameBack> {
    each(crowd.len(), crowd.into_iter().map(|(browser, callback)| one_comes_back(browser, callback))).await
}

/// Comes back with a callback until the host has had time for it: a browser's page says "please try again" and does.
async fn one_comes_back(browser: Browser, callback: String) -> CameBack {
    let (mut sent_away, mut cut_off) = (0, 0);
    loop {
        match browser.try_finish(&callback).await {
            None => cut_off += 1,
            Some(answer) if answer.code() == "service_busy" => sent_away += 1,
            Some(answer) => return CameBack { status: answer.status, code: answer.code(), sent_away, cut_off },
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
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
                let _place = places.acquire().await.expect("nobody closes it");
                person.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("it doesn't panic"));
    }
    results
}
