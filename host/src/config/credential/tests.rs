//! Every way to write a credential, and every mistake with its key, message and hint.

use std::path::Path;

use super::*;
use crate::config::{Config, ConfigError, Problem, Provider};
use crate::credential::{Expiry, What, expiries};

/// What the folder of the configuration holds.
const FILES: [(&str, &str); 14] = [
    ("secret", "hunter2\n"),
    ("blank", " \n"),
    ("1.crt", include_str!("../../../tests/data/client-1.crt.pem")),
    ("1.key", include_str!("../../../tests/data/client-1.key.pem")),
    ("1.old.crt", include_str!("../../../tests/data/client-1-expired.crt.pem")),
    ("1.encrypted.key", include_str!("../../../tests/data/client-1.encrypted.key.pem")),
    ("2.crt", include_str!("../../../tests/data/client-2.crt.pem")),
    ("2.key", include_str!("../../../tests/data/client-2.key.pem")),
    ("small.crt", include_str!("../../../tests/data/small.crt.pem")),
    ("small.key", include_str!("../../../tests/data/small.key.pem")),
    ("ec.crt", include_str!("../../../tests/data/ec.crt.pem")),
    ("ec.key", include_str!("../../../tests/data/ec.key.pem")),
    ("entra.crt", include_str!("../../../../tests/entra/keys/client.crt.pem")),
    ("entra.key", include_str!("../../../../tests/entra/keys/client.key.pem")),
];

const MICROSOFT: &str = "kind = \"microsoft\"\nbase_url = \"https://login.microsoftonline.com/<TENANT_ID>/v2.0\"\n\
                         tenant = \"11111111-1111-4111-8111-111111111111\"\n";
const OIDC: &str = "kind = \"oidc\"\nbase_url = \"https://op.example/realm\"\n";
const PAIR: &str = "certificate_file = \"1.crt\"\nprivate_key_file = \"1.key\"\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in FILES {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("both"), format!("{}{}", FILES[3].1, FILES[2].1)).unwrap();
        std::fs::write(folder.path().join("large"), vec![b'x'; 65 << 10]).unwrap();
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        Self(folder)
    }

    fn parse(&self, provider: &str) -> Result<Provider, Vec<Problem>> {
        let text = format!(
            "public_url = \"https://enroll.example\"\n[handover]\nkind = \"local\"\n[[provider]]\nid = \"entra\"\n\
             client_id = \"client\"\n{provider}"
        );
        match Config::parse(&self.0.path().join("openid.toml"), &text) {
            Ok(config) => Ok(config.providers[0].clone()),
            Err(ConfigError::Invalid { problems, .. }) => Err(problems),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Name, keys, how it looks.
type Taken = (&'static str, String, fn(&Credential) -> bool);

#[test]
fn what_is_taken() {
    let folder = Folder::new();
    let table: [Taken; 14] = [
        (
            "a secret",
            format!("{MICROSOFT}client_secret_file = \"secret\""),
            |credential| matches!(credential, Credential::Secret(secret) if secret.secret.expose() == "hunter2" && secret.expires.is_none()),
        ),
        (
            "its date",
            format!("{MICROSOFT}client_secret_file = \"secret\"\nclient_secret_expires = 2027-01-31"),
            expires,
        ),
        (
            "its date as a text",
            format!("{OIDC}client_secret_file = \"secret\"\nclient_secret_expires = \"2027-01-31\""),
            expires,
        ),
        (
            "a secret of the environment",
            format!("{OIDC}client_secret_env = \"CARGO_PKG_NAME\""),
            |credential| matches!(credential, Credential::Secret(secret) if secret.secret.expose() == "defguard-openid-host"),
        ),
        ("a certificate", format!("{MICROSOFT}{PAIR}"), |credential| {
            matches!(credential, Credential::Certificates(signing)
                if signing.certificates.len() == 1 && signing.algorithm == AssertionAlgorithm::Ps256
                && signing.audience == Audience::entra("https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0", None).unwrap())
        }),
        (
            "in a list of one",
            format!("{MICROSOFT}certificate_file = [\"1.crt\"]\nprivate_key_file = \"1.key\""),
            |credential| count(credential) == 1,
        ),
        ("in one file", format!("{MICROSOFT}certificate_file = \"both\"\nprivate_key_file = \"both\""), |credential| {
            count(credential) == 1
        }),
        (
            "two, one key after the other",
            format!("{OIDC}certificate_file = [\"2.crt\", \"1.crt\"]\nprivate_key_file = [\"2.key\", \"1.key\"]"),
            |credential| count(credential) == 2,
        ),
        (
            "two of the same key, one expired",
            format!("{OIDC}certificate_file = [\"1.old.crt\", \"1.crt\"]\nprivate_key_file = [\"1.key\", \"1.key\"]"),
            |credential| count(credential) == 2,
        ),
        (
            "the emulator's",
            format!("{MICROSOFT}certificate_file = \"entra.crt\"\nprivate_key_file = \"entra.key\""),
            |credential| count(credential) == 1,
        ),
        ("RS256", format!("{OIDC}{PAIR}client_assertion_algorithm = \"RS256\""), |credential| {
            matches!(credential, Credential::Certificates(signing)
                if signing.algorithm == AssertionAlgorithm::Rs256 && signing.audience == Audience::configured("https://op.example/realm"))
        }),
        (
            "an audience, and the method that fits",
            format!(
                "{OIDC}{PAIR}client_assertion_audience = \"https://op.example/token\"\ntoken_endpoint_auth_method = \"private_key_jwt\""
            ),
            |credential| {
                matches!(credential, Credential::Certificates(signing)
                    if signing.audience == Audience::configured("https://op.example/token"))
            },
        ),
        (
            "a federated credential whose file isn't there yet",
            format!("{MICROSOFT}federated_token_file = \"token\""),
            |credential| matches!(credential, Credential::Federated(federated) if federated.token.path().ends_with("token")),
        ),
        (
            "a secret with its method",
            format!("{OIDC}client_secret_file = \"secret\"\ntoken_endpoint_auth_method = \"client_secret_basic\""),
            |credential| matches!(credential, Credential::Secret(_)),
        ),
    ];
    for (name, keys, expected) in table {
        let provider = folder.parse(&keys).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        assert!(expected(&provider.credential), "{name}: {:?}", provider.credential);
        for key in provider_table::CREDENTIAL_KEYS {
            assert!(!provider.component_json.contains(&format!("\"{key}\"")), "{name}: the component sees {key}");
        }
        assert!(!format!("{provider:?}").contains("hunter2"), "{name}: printed");
    }
}

fn count(credential: &Credential) -> usize {
    match credential {
        Credential::Certificates(signing) => signing.certificates.len(),
        _ => 0,
    }
}

fn expires(credential: &Credential) -> bool {
    matches!(credential, Credential::Secret(secret) if secret.expires.is_some_and(|date| date.to_string() == "2027-01-31"))
}

/// Name | keys | the problem's key | a part of its message | a part of its hint. `ENTRA` and `OP` are the two kinds of
/// provider, `SECRET`, `PAIR` and `TOKEN` a credential of each sort; `;` ends a key.
const MISTAKES: &str = r#"
none                         | ENTRA                                            | client_secret_file | no credential | one of: client_secret_file
in the file                  | ENTRA client_secret = "x"                        | client_secret | doesn't belong | client_secret_file

two secrets                  | ENTRA SECRET client_secret_env = "X"             | client_secret_env | there is client_secret_file as well | one of:
a secret and a certificate   | ENTRA SECRET PAIR                                | certificate_file | there is client_secret_file as well | one of:
a secret and a key           | ENTRA SECRET private_key_file = "1.key"          | private_key_file | there is client_secret_file as well | one of:
a secret and a token         | ENTRA client_secret_env = "X"; TOKEN             | federated_token_file | there is client_secret_env as well | one of:
a certificate and a token    | ENTRA PAIR TOKEN                                 | federated_token_file | there is certificate_file as well | one of:

no such secret               | ENTRA client_secret_file = "none"                | client_secret_file | can't be read | Secret ID
an empty secret              | ENTRA client_secret_file = "blank"               | client_secret_file | the secret is empty | Secret ID
a secret that isn't text     | ENTRA client_secret_file = "binary"              | client_secret_file | isn't text | Secret ID
a large secret               | ENTRA client_secret_file = "large"               | client_secret_file | more than 65536 bytes | Secret ID
a number for a path          | ENTRA client_secret_file = 5                     | client_secret_file | expected a text |
no such variable             | ENTRA client_secret_env = "NO_SUCH_VARIABLE_Y"   | client_secret_env | NO_SUCH_VARIABLE_Y isn't set | Secret ID
no date                      | ENTRA SECRET client_secret_expires = "soon"      | client_secret_expires | "soon" isn't a date | 2027-01-31
no such day                  | ENTRA SECRET client_secret_expires = "2027-02-30" | client_secret_expires | isn't a date | 2027-01-31
a moment                     | ENTRA SECRET client_secret_expires = 2027-01-31T00:00:00Z | client_secret_expires | isn't a date | 2027-01-31
a number for a date          | ENTRA SECRET client_secret_expires = 20270131    | client_secret_expires | expected a date, found integer | 2027-01-31

a date without a secret      | ENTRA PAIR client_secret_expires = 2027-01-31    | client_secret_expires | goes with client_secret_file | leave it out
an algorithm for a secret    | ENTRA SECRET client_assertion_algorithm = "PS256" | client_assertion_algorithm | goes with certificate_file | leave it out
an audience for a token      | OP TOKEN client_assertion_audience = "https://x.example" | client_assertion_audience | goes with certificate_file | leave it out
an audience for Entra        | ENTRA PAIR client_assertion_audience = "https://x.example" | client_assertion_audience | "oidc" only | leave it out
an audience that is no URL   | OP PAIR client_assertion_audience = "x.example"  | client_assertion_audience | isn't a URL | issuer
an empty audience            | OP PAIR client_assertion_audience = ""           | client_assertion_audience | empty | issuer
no such algorithm            | OP PAIR client_assertion_algorithm = "ES256"     | client_assertion_algorithm | "ES256" is no algorithm | "PS256"
a method for secrets         | OP PAIR token_endpoint_auth_method = "client_secret_post" | token_endpoint_auth_method | credential is a certificate | private_key_jwt
a method for secrets, token  | OP TOKEN token_endpoint_auth_method = "client_secret_basic" | token_endpoint_auth_method | a federated credential | private_key_jwt
a method for certificates    | OP SECRET token_endpoint_auth_method = "private_key_jwt" | token_endpoint_auth_method | a client secret | certificate_file

no key                       | ENTRA certificate_file = "1.crt"                 | private_key_file | missing, while certificate_file is there | same file
no certificate               | ENTRA private_key_file = "1.key"                 | certificate_file | missing, while private_key_file is there | same file
no such certificate          | ENTRA certificate_file = "none"; private_key_file = "1.key" | certificate_file | can't be read | folder
no such key                  | ENTRA certificate_file = "1.crt"; private_key_file = "none" | private_key_file | can't be read | folder
no path                      | ENTRA certificate_file = 5; private_key_file = "1.key" | certificate_file | expected a path | list of two
not all paths                | ENTRA certificate_file = ["1.crt", 5]; private_key_file = "1.key" | certificate_file | expected a path | list of two
an empty path                | ENTRA certificate_file = ""; private_key_file = "1.key" | certificate_file | expected a path | list of two
none in the list             | ENTRA certificate_file = []; private_key_file = "1.key" | certificate_file | names 0 files | list of two
three certificates           | ENTRA certificate_file = ["1.crt", "2.crt", "1.crt"]; private_key_file = "1.key" | certificate_file | names 3 files | list of two
one key for two              | ENTRA certificate_file = ["1.crt", "1.old.crt"]; private_key_file = "1.key" | private_key_file | names 1 files, certificate_file 2 | same order
the same twice               | ENTRA certificate_file = ["1.crt", "both"]; private_key_file = ["1.key", "both"] | certificate_file | both is the same certificate again | successor
another's key                | ENTRA certificate_file = ["1.crt", "2.crt"]; private_key_file = ["1.key", "1.key"] | private_key_file | 1.key: its private key isn't the certificate's | pair by pair
the wrong way round          | ENTRA certificate_file = "1.key"; private_key_file = "1.crt" | certificate_file | 1.key: there is no certificate in it | openssl
no key in it                 | ENTRA certificate_file = "1.crt"; private_key_file = "2.crt" | private_key_file | 2.crt: there is no private key in it |
an encrypted key             | ENTRA certificate_file = "1.crt"; private_key_file = "1.encrypted.key" | private_key_file | encrypted with a pass phrase | openssl pkey
a small key                  | ENTRA certificate_file = "small.crt"; private_key_file = "small.key" | private_key_file | at least 2048 bits | rsa:2048
an elliptic curve            | ENTRA certificate_file = "ec.crt"; private_key_file = "ec.key" | certificate_file | isn't for an RSA key | rsa:2048
an elliptic curve's key      | ENTRA certificate_file = "1.crt"; private_key_file = "ec.key" | private_key_file | isn't RSA | rsa:2048
expired                      | ENTRA certificate_file = "1.old.crt"; private_key_file = "1.key" | certificate_file | the certificate expired on 2020-01-01 | Certificates & secrets

no path of a token           | ENTRA federated_token_file = ""                  | federated_token_file | empty | JWT
"#;

#[test]
fn what_is_not_and_how_that_is_told() {
    let folder = Folder::new();
    let words = [
        ("ENTRA ", MICROSOFT),
        ("OP ", OIDC),
        ("SECRET ", "client_secret_file = \"secret\"\n"),
        ("PAIR ", PAIR),
        ("TOKEN ", "federated_token_file = \"token\"\n"),
        (";", "\n"),
    ];
    let mut seen = 0;
    for row in MISTAKES.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [name, keys, key, message, hint] = cells.as_slice() else { panic!("{row}") };
        let keys = words.iter().fold(format!("{keys} "), |keys, (word, text)| keys.replace(word, text));
        let problems = folder.parse(&keys).err().unwrap_or_else(|| panic!("{name} is accepted:\n{keys}"));
        let [problem] = problems.as_slice() else { panic!("{name}: expected one problem: {problems:#?}") };
        assert_eq!(problem.path, format!("provider.entra.{key}"), "{name}: {problem}");
        assert!(problem.message.contains(message), "{name}: {message:?} isn't in {:?}", problem.message);
        assert!(problem.hint.contains(hint), "{name}: {hint:?} isn't in {:?}", problem.hint);
        assert!(problem.line.is_some() && !problem.is_warning, "{name}: {problem:?}");
        seen += 1;
    }
    assert_eq!(seen, 47);
}

#[test]
fn every_problem_at_once() {
    let folder = Folder::new();
    let keys = format!(
        "{MICROSOFT}certificate_file = [\"none\", \"2.crt\"]\nprivate_key_file = [\"1.key\", \"1.key\"]\n\
         client_assertion_algorithm = \"none\"\nclient_assertion_audience = \"https://x.example\"\n"
    );
    let mut paths: Vec<String> = folder.parse(&keys).unwrap_err().into_iter().map(|problem| problem.path).collect();
    paths.sort();
    let expected = ["certificate_file", "client_assertion_algorithm", "client_assertion_audience", "private_key_file"];
    assert_eq!(paths, expected.map(|key| format!("provider.entra.{key}")));
}

#[test]
fn what_expires_and_when() {
    let folder = Folder::new();
    let certificate = |number, of, at_unix_s| Expiry { what: What::Certificate { number, of }, at_unix_s };
    // name, keys, what expires
    let table = [
        ("a secret without a date", format!("{OIDC}client_secret_file = \"secret\""), vec![]),
        (
            "a secret with its date",
            format!("{OIDC}client_secret_file = \"secret\"\nclient_secret_expires = 2027-01-31"),
            vec![Expiry { what: What::Secret, at_unix_s: 1_801_353_600 }],
        ),
        ("a certificate", format!("{OIDC}{PAIR}"), vec![certificate(1, 1, 4_102_358_400)]),
        (
            "two certificates",
            format!("{OIDC}certificate_file = [\"1.old.crt\", \"2.crt\"]\nprivate_key_file = [\"1.key\", \"2.key\"]"),
            vec![certificate(1, 2, 1_577_836_800), certificate(2, 2, 4_070_822_400)],
        ),
        ("a federated credential", format!("{OIDC}federated_token_file = \"token\""), vec![]),
    ];
    for (name, keys, expected) in table {
        assert_eq!(expiries(&folder.parse(&keys).unwrap()), expected, "{name}");
    }
}

#[test]
fn where_metrics_are_served() {
    let parse = |metrics: &str| {
        let text = format!(
            "public_url = \"https://enroll.example\"\n{metrics}\n[handover]\nkind = \"local\"\n[[provider]]\n\
             id = \"entra\"\nclient_id = \"client\"\n{OIDC}client_secret_env = \"CARGO_PKG_NAME\""
        );
        match Config::parse(Path::new("openid.toml"), &text) {
            Ok(config) => Ok(config.metrics_listen.map(|address| address.to_string())),
            Err(ConfigError::Invalid { problems, .. }) => Err(problems[0].to_string()),
            Err(error) => panic!("{error}"),
        }
    };
    for (name, metrics, expected) in [
        ("nowhere", "", Ok(None)),
        ("the usual place", "[metrics]", Ok(Some("127.0.0.1:9464"))),
        ("another place", "[metrics]\nlisten = \"[::1]:1\"", Ok(Some("[::1]:1"))),
        (
            "no port",
            "[metrics]\nlisten = \"127.0.0.1\"",
            Err("line 3: metrics.listen: \"127.0.0.1\" isn't ADDRESS:PORT"),
        ),
        ("a port alone", "[metrics]\nlisten = 9464", Err("line 3: metrics.listen: expected a text in quotes")),
        ("no table", "metrics = true", Err("line 2: metrics: expected a table [metrics]")),
        ("another key", "[metrics]\nport = 1", Err("line 3: metrics.port: unknown key")),
    ] {
        match (parse(metrics), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{name}"),
            (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{name}: {found}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
