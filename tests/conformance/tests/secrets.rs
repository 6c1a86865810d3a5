//! After sign-ins of every kind, a search through everything that was logged and shown (V28, T16).

use conformance::logs::{Logs, is_ours};
use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::{self, person};
use entra_emulator::{Fault, FaultAction, Side, TokenMischief};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_any_log_or_answer() {
    let logs = Logs::capture();
    let stack = Entra::start(HostOptions::default().storage("redb:state.redb")).await;
    let control = stack.entra.control();
    let mut secrets: Vec<(String, String)> = vec![("client secret".into(), fixtures::CLIENT_SECRET.into())];
    let mut shown = String::new();
    let plans: [(&str, Option<TokenMischief>, Option<FaultAction>); 6] = [
        ("good", None, None),
        ("bad token", Some(TokenMischief::WrongNonce), None),
        ("bad signature", Some(TokenMischief::BadSignature), None),
        ("echo", None, Some(FaultAction::EchoSecret)),
        ("cut short", None, Some(FaultAction::Truncate { at: 50 })),
        ("reset", None, Some(FaultAction::Reset)),
    ];
    for (name, mischief, fault) in plans {
        control.clear_faults();
        control.clear_mischief();
        let browser = stack.browser();
        let callback = browser.callback_url(person::MAIL_IN_USERINFO).await;
        let url = url::Url::parse(&callback).unwrap();
        for wanted in ["code", "state"] {
            let value = url.query_pairs().find(|(found, _)| found == wanted).unwrap().1.into_owned();
            secrets.push((format!("{name}: {wanted}"), value));
        }
        secrets.push((format!("{name}: binding"), browser.cookies()[0].1.rsplit('.').next().unwrap().to_owned()));
        if let Some(mischief) = mischief {
            control.mischief_once(mischief);
        }
        if let Some(fault) = fault {
            control.add_fault(Fault::new(fault).on(Side::Login).path("*/token"));
        }
        let answer = browser.get(&callback).await;
        if answer.status == 200 {
            secrets.push((format!("{name}: enrollment token"), answer.element("token")));
        } else {
            shown.push_str(&answer.body);
            shown.push_str(&format!("{:?}", answer.headers));
        }
    }
    let text = logs.text();
    assert!(text.contains("login"), "the logs are captured: {} bytes", text.len());
    for (name, secret) in &secrets {
        assert!(secret.len() >= 32, "{name} is long enough to be searched for: {secret}");
        assert!(!shown.contains(secret), "{name} is on a page");
        let ours: Vec<_> = text.lines().filter(|line| line.contains(secret.as_str()) && is_ours(line)).collect();
        assert!(ours.is_empty(), "{name} is in the log: {ours:?}");
    }
    for marker in conformance::evidence::MARKERS {
        let lines: Vec<_> = text.lines().filter(|line| line.contains(marker)).collect();
        assert!(lines.is_empty(), "{marker} is in the log: {lines:?}");
    }
}
