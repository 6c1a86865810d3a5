//! `[admin]`: the listener of the playground. Off without that table; what others can reach, directly or by a name, has a
//! password.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::Host;
use zeroize::Zeroizing;

use super::Secret;
use super::file::{Reader, address, join};
use super::reference;

/// The fewest characters of the password. Nothing counts wrong ones, so it has to be one that nobody guesses.
const MIN_PASSWORD_CHARACTERS: usize = 16;
/// The largest password file, in bytes.
const MAX_PASSWORD_BYTES: u64 = 4 << 10;
const PASSWORD_HINT: &str =
    "password_file = \"PATH\" with a long random password, as `openssl rand -base64 24` makes one";

/// `[admin]`.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder of the playground page.
    pub playground: PathBuf,
    /// Names besides the address by which browsers may call this listener.
    pub names: Vec<Host>,
    /// Asked for with HTTP Basic; always there if others than this machine can connect, or call it by a name.
    pub password: Option<Secret>,
}

/// Reads `[admin]`; the page is by default beside the plugin.
#[expect(clippy::option_option, reason = "wrong, switched off, or on")]
pub(super) fn read(reader: &mut Reader, table: &Table, plugin: Option<&Path>) -> Option<Option<AdminConfig>> {
    if !table.contains_key("admin") {
        return Some(None);
    }
    let admin = reader.table(table, "admin", &reference::names("admin"));
    let listen = if admin.contains_key("listen") {
        address(reader, &admin, "admin", "\"127.0.0.1:9466\"")
    } else {
        Some(SocketAddr::from(([127, 0, 0, 1], 9466)))
    };
    let playground = playground(reader, &admin, plugin);
    let names = names(reader, &admin);
    let password = password(reader, &admin);
    let (listen, names, password) = (listen?, names?, password?);
    let mut good = true;
    if password.is_none() && !listen.ip().is_loopback() {
        let message = format!("missing, and others than this machine can connect to {listen}");
        reader.problem("admin.password_file", message, PASSWORD_HINT);
        good = false;
    }
    if password.is_none() && listen.ip().is_loopback() && !names.is_empty() {
        // A name of this machine's own would be `localhost`: whoever has another comes through a proxy.
        let message = "missing, and `names` are for browsers that a proxy brings here";
        reader.problem("admin.password_file", message.to_owned(), PASSWORD_HINT);
        good = false;
    }
    if names.is_empty() && listen.ip().is_unspecified() {
        let message = format!("missing: {listen} isn't an address that a browser calls");
        reader.problem("admin.names", message, "the names or addresses in the browser: [\"admin.example.com\"]");
        good = false;
    }
    let playground = playground?;
    good.then_some(Some(AdminConfig { listen, playground, names, password }))
}

fn playground(reader: &mut Reader, admin: &Table, plugin: Option<&Path>) -> Option<PathBuf> {
    if admin.contains_key("playground") {
        let path = reader.text(admin, "admin", "playground")?;
        return Some(reader.resolve(&path));
    }
    let plugin = plugin?;
    let folder = if plugin.is_dir() { Some(plugin) } else { plugin.parent() };
    Some(folder.map(Path::to_path_buf).unwrap_or_default().join("playground"))
}

fn names(reader: &mut Reader, admin: &Table) -> Option<Vec<Host>> {
    let hint = "a list of names without scheme and port: [\"admin.example.com\"]";
    let path = join("admin", "names");
    let items = match admin.get("names") {
        None => return Some(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => {
            reader.problem(path, format!("expected a list of texts, found {}", other.type_str()), hint);
            return None;
        }
    };
    let mut names = Vec::new();
    let mut good = true;
    for item in items {
        match item.as_str().map(|name| (name, Host::parse(name))) {
            Some((_, Ok(host))) => names.push(host),
            Some((name, Err(error))) => {
                reader.problem(&path, format!("{name:?} is no name: {error}"), hint);
                good = false;
            }
            None => {
                reader.problem(&path, format!("expected texts, found {}", item.type_str()), hint);
                good = false;
            }
        }
    }
    good.then_some(names)
}

#[expect(clippy::option_option, reason = "wrong, none, or a password")]
fn password(reader: &mut Reader, admin: &Table) -> Option<Option<Secret>> {
    let path = "admin.password_file";
    if !admin.contains_key("password_file") {
        return Some(None);
    }
    let file = reader.text(admin, "admin", "password_file")?;
    let file = reader.resolve(&file);
    match read_password(&file) {
        Ok(password) => Some(Some(password)),
        Err(reason) => {
            reader.problem(path, format!("{}: {reason}", file.display()), PASSWORD_HINT);
            None
        }
    }
}

/// The reason never repeats what is in the file.
fn read_password(file: &Path) -> Result<Secret, String> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(file)
        .and_then(|file| file.take(MAX_PASSWORD_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| format!("it can't be read: {error}"))?;
    if text.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(format!("it has more than {MAX_PASSWORD_BYTES} bytes"));
    }
    let password = Secret::new(&text);
    let characters = password.expose().chars().count();
    if characters < MIN_PASSWORD_CHARACTERS {
        return Err(format!("the password has {characters} characters, at least {MIN_PASSWORD_CHARACTERS} are needed"));
    }
    if password.expose().chars().any(char::is_control) {
        return Err("the password has several lines, or control characters".to_owned());
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const BASE: &str = "public_url = \"https://enroll.example\"\nplugin = \"lib/openid.wasm\"\n[handover]\nkind = \"local\"\n\
                        [[provider]]\nid = \"op\"\nkind = \"oidc\"\nbase_url = \"https://op.example\"\nclient_id = \"x\"\n\
                        client_secret_env = \"CARGO_PKG_NAME\"\n";

    fn parse(folder: &Path, admin: &str) -> Result<Option<AdminConfig>, String> {
        let config = Config::parse(&folder.join("openid.toml"), &format!("{BASE}{admin}"));
        config.map(|config| config.admin).map_err(|error| error.to_string())
    }

    #[test]
    fn off_unless_it_is_there() {
        assert!(parse(Path::new("/etc/openid"), "").unwrap().is_none());
        let admin = parse(Path::new("/etc/openid"), "[admin]").unwrap().unwrap();
        assert_eq!(admin.listen, SocketAddr::from(([127, 0, 0, 1], 9466)));
        assert_eq!(admin.playground, Path::new("/etc/openid/lib/playground"));
        assert!(admin.names.is_empty() && admin.password.is_none());
        let admin = parse(Path::new("/etc/openid"), "[admin]\nplayground = \"../page\"").unwrap().unwrap();
        assert_eq!(admin.playground, Path::new("/etc/openid/../page"));
    }

    /// Name, lines of `[admin]`; parts of the problem, none if it is good.
    #[test]
    fn who_can_reach_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("good", "correct-horse-battery\n");
        write("short", "fifteen-letters\n");
        write("lines", "correct-horse-battery\nanother-line\n");
        write("large", &"x".repeat(5000));
        write("empty", "");
        let table: &[(&str, &str, &[&str])] = &[
            ("loopback", "listen = \"127.0.0.1:0\"", &[]),
            ("loopback of IPv6", "listen = \"[::1]:0\"", &[]),
            ("loopback with a password", "listen = \"127.0.0.1:0\"\npassword_file = \"good\"", &[]),
            ("an address with a password", "listen = \"192.0.2.1:9466\"\npassword_file = \"good\"", &[]),
            (
                "every address, with a name",
                "listen = \"0.0.0.0:9466\"\npassword_file = \"good\"\nnames = [\"admin.example\", \"192.0.2.7\"]",
                &[],
            ),
            ("loopback with a name and a password", "names = [\"admin.example\"]\npassword_file = \"good\"", &[]),
            (
                "loopback with a name, so behind a proxy, without a password",
                "names = [\"admin.example\"]",
                &["admin.password_file", "that a proxy brings here", "line 11"],
            ),
            (
                "an address without a password",
                "listen = \"192.0.2.1:9466\"",
                &["admin.password_file", "192.0.2.1:9466", "password_file ="],
            ),
            (
                "every address without a password",
                "listen = \"[::]:9466\"\nnames = [\"a.example\"]",
                &["admin.password_file", "[::]:9466"],
            ),
            (
                "every address without a name",
                "listen = \"0.0.0.0:9466\"\npassword_file = \"good\"",
                &["admin.names", "line 11"],
            ),
            (
                "an address of loopback in IPv6's clothes",
                "listen = \"[::ffff:127.0.0.1]:9466\"",
                &["admin.password_file"],
            ),
            (
                "a short password",
                "password_file = \"short\"",
                &["admin.password_file", "15 characters", "16", "line 12"],
            ),
            ("no password in the file", "password_file = \"empty\"", &["0 characters"]),
            ("two lines", "password_file = \"lines\"", &["several lines"]),
            ("a large file", "password_file = \"large\"", &["4096 bytes"]),
            ("no such file", "password_file = \"none\"", &["can't be read"]),
            (
                "the password itself",
                "password = \"correct-horse-battery\"",
                &["admin.password", "unknown key", "password_file"],
            ),
            ("no address", "listen = \"9466\"", &["admin.listen", "ADDRESS:PORT"]),
            ("a name with a port", "names = [\"admin.example:9466\"]", &["admin.names", "without scheme and port"]),
            ("a name with a scheme", "names = [\"https://admin.example\"]", &["admin.names"]),
            ("a name that is no text", "names = [5]", &["admin.names", "expected texts"]),
            ("one name", "names = \"admin.example\"", &["admin.names", "expected a list"]),
            ("a page that is no path", "playground = true", &["admin.playground"]),
        ];
        for (name, lines, expected) in table {
            let outcome = parse(folder.path(), &format!("[admin]\n{lines}"));
            match (outcome, expected.is_empty()) {
                (Ok(admin), is_good) => assert!(is_good && admin.is_some(), "{name}: it is accepted"),
                (Err(text), is_good) => {
                    assert!(!is_good, "{name}: {text}");
                    for part in *expected {
                        assert!(text.contains(part), "{name}: {part:?} isn't in: {text}");
                    }
                    assert!(!text.contains("correct-horse") || *name == "the password itself", "{name}: {text}");
                }
            }
        }
    }
}
