use super::*;
use crate::config::{Config, ConfigError};

/// The configuration of these `[handover]` lines, in a folder with a token.
fn parse(lines: &str, loopback_http: bool) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("token", "dg-abc\n"), ("empty", "\n"), ("two-lines", "dg-abc\ndg-def")] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    std::fs::write(folder.path().join("binary"), [0xff_u8, 0xfe]).unwrap();
    let text = format!(
        "public_url = \"https://enroll.example\"\n[handover]\n{lines}\n[development]\nloopback_http = {loopback_http}\n\
         [[provider]]\nid = \"op\"\nkind = \"oidc\"\nbase_url = \"https://op.example\"\nclient_id = \"x\"\n\
         client_secret_env = \"CARGO_PKG_NAME\"\n"
    );
    Config::parse(&folder.path().join("openid.toml"), &text)
}

const CORE: &str = "kind = \"core\"\nurl = \"https://core.example\"\ntoken_file = \"token\"\n";

#[test]
fn what_is_left_out() {
    let config = parse(CORE, false).unwrap();
    let HandoverConfig::Core { settings, options } = config.handover else { panic!("{:?}", config.handover) };
    assert_eq!(settings.url.as_str(), "https://core.example/");
    assert!(matches!(settings.credential, CoreCredential::Token(SecretSource::File(_))));
    assert_eq!((settings.call_timeout, settings.concurrent_calls), (Duration::from_secs(10), 32));
    assert_eq!(settings.breaker, BreakerLimits { failures: 5, pause: Duration::from_secs(30) });
    let expected = CoreOptions {
        create_accounts: true,
        enrollment: EnrollmentMode::Auto,
        token_life: None,
        time_budget: Duration::from_secs(20),
    };
    assert_eq!(options, expected);
    assert!(config.warnings.is_empty());
}

#[test]
fn what_is_said() {
    let lines = "kind = \"core\"\nurl = \"http://core.internal:8000/\"\nplain_http = true\nusername = \"robot\"\n\
                 password_file = \"token\"\ncreate_accounts = false\nenrollment = \"enrollment\"\ntoken_life_s = 3600\n\
                 time_budget_ms = 5000\ncall_timeout_ms = 2000\nconcurrent_calls = 4\nbreaker_failures = 2\n\
                 breaker_pause_s = 1";
    let config = parse(lines, false).unwrap();
    let warning = config.warnings.first().unwrap();
    assert!(warning.path == "handover.plain_http" && warning.line == Some(5), "{warning:?}");
    assert!(warning.message.contains("readable") && warning.message.contains("http://core.internal:8000"), "{warning}");
    let HandoverConfig::Core { settings, options } = config.handover else { panic!("{:?}", config.handover) };
    assert!(matches!(&settings.credential, CoreCredential::Account { username, .. } if username == "robot"));
    assert_eq!((settings.call_timeout, settings.concurrent_calls), (Duration::from_secs(2), 4));
    assert_eq!(settings.breaker, BreakerLimits { failures: 2, pause: Duration::from_secs(1) });
    let expected = CoreOptions {
        create_accounts: false,
        enrollment: EnrollmentMode::Enrollment,
        token_life: Some(Duration::from_secs(3600)),
        time_budget: Duration::from_secs(5),
    };
    assert_eq!(options, expected);
}

#[test]
fn every_mistake_has_its_key_and_what_to_do() {
    let url = |url: &str| CORE.replace("https://core.example", url);
    let with = |line: &str| format!("{CORE}{line}");
    let token = |line: &str| CORE.replace("token_file = \"token\"", line);
    let table = [
        ("no kind", String::new(), "handover.kind", "missing"),
        ("an unknown kind", "kind = \"ldap\"".into(), "handover.kind", "no kind"),
        ("no url", "kind = \"core\"\ntoken_file = \"token\"".into(), "handover.url", "missing"),
        ("no URL", url("core"), "handover.url", "isn't a URL"),
        ("a path", url("https://core.example/api"), "handover.url", "of the form"),
        ("a password in it", url("https://a:hunter2@core.example"), "handover.url", "of the form"),
        ("http", url("http://core.example"), "handover.url", "readable"),
        ("http to this machine", url("http://127.0.0.1:8000"), "handover.url", "readable"),
        ("another scheme", url("ftp://core.example"), "handover.url", "ftp:"),
        ("plain_http for https", with("plain_http = true"), "handover.plain_http", "is https"),
        ("no credential", token(""), "handover.token_file", "missing"),
        ("a token in the file", token("token = \"dg-hunter2\""), "handover.token", "doesn't belong"),
        ("no such file", token("token_file = \"nowhere\""), "handover.token_file", "can't be read"),
        ("an empty file", token("token_file = \"empty\""), "handover.token_file", "is empty"),
        ("two lines", token("token_file = \"two-lines\""), "handover.token_file", "more than one line"),
        ("no text", token("token_file = \"binary\""), "handover.token_file", "isn't text"),
        ("no such variable", token("token_env = \"NO_SUCH_VARIABLE_7\""), "handover.token_env", "isn't set"),
        ("two credentials", with("token_env = \"HOME\""), "handover.token_env", "one credential only"),
        ("a user as well", with("username = \"robot\""), "handover.username", "one credential only"),
        ("a password alone", with("password_file = \"token\""), "handover.password_file", "goes with username"),
        ("a password without user", token("password_file = \"token\""), "handover.username", "missing"),
        ("a user without password", token("username = \"robot\""), "handover.password_file", "missing"),
        ("no way to enroll", with("enrollment = \"mail\""), "handover.enrollment", "none of the ways"),
        ("no flag", with("create_accounts = \"yes\""), "handover.create_accounts", "true or false"),
        ("no number", with("time_budget_ms = \"20s\""), "handover.time_budget_ms", "a whole number"),
        ("too little time", with("time_budget_ms = 10"), "handover.time_budget_ms", "from 1000 to 60000"),
        ("less than nothing", with("concurrent_calls = -1"), "handover.concurrent_calls", "from 1 to 1024"),
        ("no pause", with("breaker_pause_s = 0"), "handover.breaker_pause_s", "from 1 to 3600"),
        (
            "a life for desktop",
            with("enrollment = \"desktop\"\ntoken_life_s = 60"),
            "handover.token_life_s",
            "of its own",
        ),
        ("a life too short", with("token_life_s = 1"), "handover.token_life_s", "from 60 to"),
        ("an unknown key", with("retries = 3"), "handover.retries", "unknown key"),
        (
            "local's key",
            with("[[handover.account]]\nusername = \"a\"\nemail = \"a@b\""),
            "handover.account",
            "kind = \"local\"",
        ),
        ("core's key", "kind = \"local\"\nurl = \"https://core.example\"".into(), "handover.url", "kind = \"core\""),
    ];
    for (name, lines, path, message) in table {
        let error = parse(&lines, false).expect_err(name);
        let ConfigError::Invalid { problems, .. } = &error else { panic!("{name}: {error}") };
        let found = problems.iter().find(|problem| problem.path == path);
        let found = found.unwrap_or_else(|| panic!("{name}: {error}"));
        assert!(found.message.contains(message), "{name}: {found}");
        assert!(found.line.is_some(), "{name}: {found}");
        assert!(!error.to_string().contains("hunter2"), "{name}: {error}");
        assert!(problems.iter().all(|problem| problem.path.starts_with("handover")), "{name}: {error}");
    }
    assert!(parse(&url("http://127.0.0.1:8000"), true).is_ok());
    let beside = parse(&(url("http://127.0.0.1:8000") + "plain_http = true"), false).unwrap();
    assert!(beside.warnings.is_empty(), "nothing leaves this machine");
    assert!(parse(&url("http://10.0.0.1:8000"), true).is_err(), "development is for this machine");
}
