//! Directory synchronisation at its full size: 100 000 people, 10 000 groups (nested, in circles, one with 60 000 members) and
//! 1 000 000 memberships. What the first run costs, one without changes, one with a hundredth changed; and how many requests Defguard's
//! own pattern takes for the same. Each result is compared with the directory, byte by byte: what is wrong has no speed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss, reason = "a bench")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use bench::emulator::{Emulator, Scale};
use bench::report::Report;
use conformance::HostOptions;
use conformance::directory::State;
use conformance::service::binary;
use entra_emulator::{Seed, fixtures};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const MIB: f64 = 1_048_576.0;
/// What issue 5 allows, in MiB.
const GUEST_MIB: f64 = 64.0;
const HOST_GROWTH_MIB: f64 = 256.0;
/// Items on a page of Defguard's (facts: `microsoft.rs`, `$top=200`).
const DEFGUARD_PAGE: usize = 200;
/// The part of the directory on which Defguard's requests are really made.
const DEFGUARD_PART: usize = 100;

/// A host's files for one directory.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new(emulator: &Emulator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider = emulator.provider(&[
            ("directory.enabled", "true"),
            ("directory.apply", "\"file:state.json\""),
            ("directory.user_behavior", "\"delete\""),
            // A hundredth of 100 000 people is more than an administrator is asked about; here nobody is there to be asked.
            ("directory.max_removals", "1000000"),
        ]);
        let options = HostOptions::default().with_provider(&provider).storage("redb:state.redb");
        let text = options.toml("http://127.0.0.1:8080", folder.path());
        std::fs::write(folder.path().join("openid.toml"), text).unwrap();
        Self { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("openid.toml")
    }

    fn sync_once(&self) -> Value {
        run(Command::new(env!("CARGO_BIN_EXE_sync-once")).arg(self.config())).0
    }

    fn sync_now(&self) -> (Value, f64) {
        run(Command::new(binary()).args(["sync", "--now", "--config"]).arg(self.config()))
    }

    /// Whether the document is what the directory says, worked out from that alone.
    fn check(&self, name: &str, directory: &Seed, report: &Value) {
        let truth = State::of_directory(directory, fixtures::CONTOSO, false);
        let counts = [truth.users.len(), truth.groups.len(), truth.memberships()];
        let told = ["users", "groups", "memberships"].map(|name| report[name].as_u64().unwrap());
        assert_eq!(told.map(|count| usize::try_from(count).unwrap()), counts, "{name}: {report}");
        let document = std::fs::read(self.folder.path().join("state.json")).unwrap();
        let same = digest(&SHA256, &document).as_ref() == digest(&SHA256, &truth.document()).as_ref();
        assert!(same, "{name}: another document than the directory's: {report}");
    }
}

/// Runs a program to its end: the last line that it prints, and the seconds it took.
fn run(command: &mut Command) -> (Value, f64) {
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    (serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap(), seconds)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// How much more memory the process had at its peak than before the run.
fn growth_mib(run: &Value) -> f64 {
    (number(&run["peak_bytes"]) - number(&run["before_bytes"])) / MIB
}

/// How many requests Defguard makes in one interval, whatever has changed: the pages of `/users` and of `/groups`, and for each group
/// the pages of its direct members, of which even an empty list is one:
/// `ceil(U / 200) + ceil(G / 200) + sum over groups of max(1, ceil(M / 200))`. It stops at 50 pages of each, and so misses whoever
/// comes after 10 000; counted is what it would need not to.
fn defguard_requests(directory: &Seed) -> usize {
    let pages = |items: usize| items.div_ceil(DEFGUARD_PAGE).max(1);
    let here = |tenant: &entra_emulator::seed::Guid| tenant.as_str() == fixtures::CONTOSO;
    let users = directory.persons.iter().filter(|person| here(&person.tenant)).count();
    let groups: Vec<_> = directory.groups.iter().filter(|group| here(&group.tenant)).collect();
    pages(users) + pages(groups.len()) + groups.iter().map(|group| pages(group.members.len())).sum::<usize>()
}

/// The same, really made.
async fn defguard_requests_made(emulator: &Emulator) -> usize {
    let token = emulator.token().await;
    let (_, users) = emulator.pages(&token, &format!("users?$top={DEFGUARD_PAGE}")).await;
    let (groups, mut requests) = emulator.pages(&token, &format!("groups?$top={DEFGUARD_PAGE}")).await;
    requests += users;
    for group in groups {
        let id = group["id"].as_str().unwrap();
        requests += emulator.pages(&token, &format!("groups/{id}/members?$top={DEFGUARD_PAGE}")).await.1;
    }
    requests
}

async fn measure(scale: Scale) -> Report {
    let mut report = Report::default();
    let emulator = Emulator::start(scale);
    let directory = emulator.directory().await;
    let host = Host::new(&emulator);

    let first = host.sync_once();
    assert_eq!(first["report"]["outcome"], "done", "{first}");
    host.check("first", &directory, &first["report"]);
    let seconds = number(&first["report"]["duration_ms"]) / 1000.0;
    let (guest_mib, first_growth_mib) = (number(&first["guest_peak_bytes"]) / MIB, growth_mib(&first));
    report.figure("sync.first.requests", number(&first["report"]["requests"]));
    report.figure("sync.first.seconds", seconds);
    report.figure("sync.first.users_per_s", number(&first["report"]["users"]) / seconds);
    report.figure("sync.first.guest_mib", guest_mib);
    report.figure("sync.first.host_growth_mib", first_growth_mib);
    report.figure("sync.first.host_peak_mib", number(&first["peak_bytes"]) / MIB);

    let (unchanged, seconds) = host.sync_now();
    host.check("unchanged", &directory, &unchanged);
    report.figure("sync.unchanged.requests", number(&unchanged["requests"]));
    report.figure("sync.unchanged.seconds", seconds);

    emulator.order("directory/churn", &json!({ "percent": 1, "seed": 7 })).await;
    // What the first run wrote is read again now: this is what runs take from day to day.
    let one_percent = host.sync_once();
    host.check("a hundredth changed", &emulator.directory().await, &one_percent["report"]);
    let later_growth_mib = growth_mib(&one_percent);
    report.figure("sync.one_percent.requests", number(&one_percent["report"]["requests"]));
    report.figure("sync.one_percent.seconds", number(&one_percent["report"]["duration_ms"]) / 1000.0);
    report.figure("sync.one_percent.host_growth_mib", later_growth_mib);

    let theirs = defguard_requests(&directory) as f64;
    report.figure("sync.defguard_pattern.requests", theirs);
    for run in ["first", "unchanged", "one_percent"] {
        let ours = report.figures[&format!("sync.{run}.requests")];
        report.ratio(&format!("sync.{run}.requests/defguard_pattern"), ours, theirs);
    }
    drop(emulator);

    let small = Emulator::start(scale.divided(DEFGUARD_PART));
    let (made, calculated) = (defguard_requests_made(&small).await, defguard_requests(&small.directory().await));
    assert_eq!(made, calculated, "the formula is of the requests that are really made");

    let bounds = [
        ("guest memory", guest_mib, GUEST_MIB),
        ("growth of the host in the first run", first_growth_mib, HOST_GROWTH_MIB),
        ("growth of the host in a later one", later_growth_mib, HOST_GROWTH_MIB),
    ];
    for (name, found, allowed) in bounds {
        assert!(found <= allowed, "{name}: {found:.1} MiB, at most {allowed} may be");
    }
    assert_eq!(unchanged["requests"], 2, "the run without changes: {unchanged}");
    report
}

fn main() {
    if !bench::is_chosen("directory") {
        return;
    }
    let scale = Scale::from_env();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(measure(scale));
    println!("directory synchronisation, {scale:?}\n{}", report.table());
    // Figures of another directory are nobody's.
    if scale == Scale::FULL {
        report.add().unwrap();
    }
}
