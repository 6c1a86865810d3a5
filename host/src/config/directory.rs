//! `[provider.directory]`: what is synchronised, and what may become of whom. The names are Defguard's own.

use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};

use super::ProviderKind;
use super::file::{Reader, join};
use super::reference::names;

/// Seconds between two runs.
const INTERVAL_S: (u64, u64, u64) = (600, 60, 86_400);
/// Milliseconds that a sign-in waits for the directory.
const LOGIN_BUDGET_MS: (u64, u64, u64) = (1_500, 100, 10_000);
/// The most groups that may be listed.
const MAX_LISTED: usize = 1000;

/// What is synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncTarget {
    /// Both.
    All,
    /// People and their state.
    Users,
    /// Groups and who is in them.
    Groups,
}

/// What becomes of a user who isn't in the directory any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaverBehavior {
    /// Nothing.
    Keep,
    /// Disabled.
    Disable,
    /// Deleted.
    Delete,
}

/// Where the result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryApply {
    /// Defguard Core, by the hand-over's own way to it.
    Core,
    /// One JSON document.
    File(PathBuf),
}

/// `[provider.directory]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// What.
    pub target: SyncTarget,
    /// How often.
    pub interval: Duration,
    /// What becomes of leavers.
    pub user_behavior: LeaverBehavior,
    /// What becomes of leavers who administer Defguard.
    pub admin_behavior: LeaverBehavior,
    /// Groups by id, or by a name that only one has; empty: all.
    pub group_match: Vec<String>,
    /// Only people in these count; empty: everybody.
    pub user_groups: Vec<String>,
    /// Whether who is in the directory becomes a user before they sign in.
    pub prefetch_users: bool,
    /// Whether groups that Defguard doesn't have are made.
    pub create_groups: bool,
    /// Groups that make administrators, and whose members follow the directory all the same: by id, or by name.
    pub admin_groups: Vec<String>,
    /// How many steps a second are done to Defguard Core at most.
    pub steps_per_second: u64,
    /// Whether guests count.
    pub guests: bool,
    /// The share of users, and of groups, that one run may remove. Percent.
    pub max_removal_percent: usize,
    /// How many at most.
    pub max_removals: usize,
    /// Where to.
    pub apply: DirectoryApply,
    /// How long a sign-in waits for the directory's word on the person; `None`: it isn't asked.
    pub login_check: Option<Duration>,
}

/// Reads it; `None` in it: there is none, or it is switched off, whatever else it says.
#[expect(clippy::option_option, reason = "wrong, none, or this one")]
pub(super) fn read(
    reader: &mut Reader,
    table: &Table,
    prefix: &str,
    kind: Option<ProviderKind>,
) -> Option<Option<DirectoryConfig>> {
    let path = join(prefix, "directory");
    let table = match table.get("directory") {
        None => return Some(None),
        Some(Value::Table(table)) if table.get("enabled").and_then(Value::as_bool) == Some(false) => return Some(None),
        Some(Value::Table(table)) => table.clone(),
        Some(other) => {
            reader.problem(path, format!("expected a table, found {}", other.type_str()), "[provider.directory]");
            return None;
        }
    };
    reader.refuse_unknown(&table, &path, &names("provider[].directory"));
    if kind == Some(ProviderKind::Oidc) {
        reader.problem(&path, "only Microsoft's directory can be read", "leave the table out");
        return None;
    }
    reader.flag_or(&table, &path, "enabled", true);
    let targets = [("all", SyncTarget::All), ("users", SyncTarget::Users), ("groups", SyncTarget::Groups)];
    let behaviors =
        [("keep", LeaverBehavior::Keep), ("disable", LeaverBehavior::Disable), ("delete", LeaverBehavior::Delete)];
    let target = choice(reader, &table, &path, "target", &targets);
    let user_behavior = choice(reader, &table, &path, "user_behavior", &behaviors);
    let admin_behavior = choice(reader, &table, &path, "admin_behavior", &behaviors);
    let (default, least, most) = INTERVAL_S;
    let interval = reader.number(&table, &path, "interval_s", default, least..=most);
    let percent = reader.number(&table, &path, "max_removal_percent", 20, 0..=100);
    let removals = reader.number(&table, &path, "max_removals", 100, 0..=1_000_000);
    let group_match = texts(reader, &table, &path, "group_match");
    let user_groups = texts(reader, &table, &path, "user_groups");
    let guests = reader.flag_or(&table, &path, "guests", false);
    let prefetch_users = reader.flag_or(&table, &path, "prefetch_users", false);
    let create_groups = reader.flag_or(&table, &path, "create_groups", true);
    let admin_groups = texts(reader, &table, &path, "admin_groups");
    let steps = reader.number(&table, &path, "steps_per_second", 20, 1..=1000);
    let apply = apply(reader, &table, &path);
    let is_checked = reader.flag_or(&table, &path, "login_check", true);
    let (default, least, most) = LOGIN_BUDGET_MS;
    let budget = reader.number(&table, &path, "login_budget_ms", default, least..=most);
    Some(Some(DirectoryConfig {
        target: target?,
        interval: Duration::from_secs(interval?),
        user_behavior: user_behavior?,
        admin_behavior: admin_behavior?,
        group_match: group_match?,
        user_groups: user_groups?,
        prefetch_users,
        create_groups,
        admin_groups: admin_groups?,
        steps_per_second: steps?,
        guests,
        max_removal_percent: usize::try_from(percent?).ok()?,
        max_removals: usize::try_from(removals?).ok()?,
        apply: apply?,
        login_check: Some(Duration::from_millis(budget?)).filter(|_| is_checked),
    }))
}

/// One of these words; the first without any.
fn choice<T: Copy>(reader: &mut Reader, table: &Table, prefix: &str, key: &str, words: &[(&str, T)]) -> Option<T> {
    if !table.contains_key(key) {
        return words.first().map(|(_, value)| *value);
    }
    let text = reader.text(table, prefix, key)?;
    let found = words.iter().find(|(word, _)| *word == text.trim()).map(|(_, value)| *value);
    if found.is_none() {
        let hint = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        reader.problem(join(prefix, key), format!("{text:?} is none of its words"), &hint);
    }
    found
}

fn texts(reader: &mut Reader, table: &Table, prefix: &str, key: &str) -> Option<Vec<String>> {
    let hint = "a list of Object IDs, or of names that only one group has";
    let path = join(prefix, key);
    let items = match table.get(key) {
        None => return Some(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => {
            reader.problem(path, format!("expected a list of texts, found {}", other.type_str()), hint);
            return None;
        }
    };
    let texts: Vec<String> = items
        .iter()
        .filter_map(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect();
    if texts.len() != items.len() || texts.len() > MAX_LISTED {
        reader.problem(path, format!("expected up to {MAX_LISTED} texts, none of them empty"), hint);
        return None;
    }
    Some(texts)
}

fn apply(reader: &mut Reader, table: &Table, prefix: &str) -> Option<DirectoryApply> {
    let hint = "\"core\": Defguard Core; \"file:PATH\": the state that Defguard would have after the run, as one JSON document";
    let path = join(prefix, "apply");
    let text = if table.contains_key("apply") { reader.text(table, prefix, "apply")? } else { "core".to_owned() };
    match text.trim().split_once(':') {
        Some(("file", file)) if !file.is_empty() => Some(DirectoryApply::File(reader.resolve(file))),
        _ if text.trim() == "core" => Some(DirectoryApply::Core),
        _ => {
            reader.problem(path, format!("{text:?} is no place for the result"), hint);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, SyncTarget};

    fn parse(kind: &str, lines: &str) -> Result<Config, String> {
        let text = format!(
            "public_url = \"https://enroll.example\"\n[handover]\nkind = \"local\"\n[[provider]]\nid = \"p\"\nkind = {kind:?}\n\
             base_url = \"https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0\"\nclient_id = \"c\"\n\
             client_secret_env = \"PATH\"\n[provider.directory]\n{lines}"
        );
        Config::parse(Path::new("openid.toml"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_read() {
        let config = parse("microsoft", "apply = \"file:out/state.json\"\ntarget = \"users\"\n").unwrap();
        let directory = config.providers[0].directory.clone().unwrap();
        assert_eq!((directory.target, directory.interval.as_secs()), (SyncTarget::Users, 600));
        assert!(!directory.guests && directory.group_match.is_empty());
        assert_eq!(directory.login_check.map(|budget| budget.as_millis()), Some(1500));
        for (lines, expected) in [("login_check = false", None), ("login_budget_ms = 100", Some(100))] {
            let config = parse("microsoft", &format!("apply = \"file:x\"\n{lines}")).unwrap();
            let budget = config.providers[0].directory.clone().unwrap().login_check;
            assert_eq!(budget.map(|budget| budget.as_millis()), expected, "{lines}");
        }
        let off = parse("microsoft", "enabled = false\napply = \"core\"\n").unwrap();
        assert!(off.providers[0].directory.is_none());
    }

    #[test]
    fn a_document_is_of_one_provider() {
        for (other, is_good) in [("file:other.json", true), ("file:state.json", false), ("file:./state.json", false)] {
            let second = format!(
                "[[provider]]\nid = \"q\"\nkind = \"microsoft\"\n\
                 base_url = \"https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0\"\nclient_id = \"c\"\n\
                 client_secret_env = \"PATH\"\n[provider.directory]\napply = {other:?}"
            );
            let parsed = parse("microsoft", &format!("apply = \"file:state.json\"\n{second}"));
            assert_eq!(parsed.is_ok(), is_good, "{other}: {parsed:?}");
            if let Err(error) = parsed {
                let told = error.contains("provider.q.directory.apply") && error.contains("\"p\"");
                assert!(told && error.contains("state.json"), "{error}");
            }
        }
    }

    #[test]
    fn every_mistake_has_its_key_and_what_to_do() {
        for (name, kind, lines, expected) in [
            (
                "no Core, and nothing else said",
                "microsoft",
                "",
                &["directory.apply", "no Defguard Core", "file:PATH"][..],
            ),
            ("no Core", "microsoft", "apply = \"core\"", &["directory.apply", "no Defguard Core"]),
            ("another place", "microsoft", "apply = \"ftp:x\"", &["directory.apply", "no place"]),
            ("an unknown key", "microsoft", "apply = \"file:x\"\ntargt = \"all\"", &["directory.targt", "unknown key"]),
            ("a word", "microsoft", "apply = \"file:x\"\nuser_behavior = \"drop\"", &["user_behavior", "\"disable\""]),
            ("too often", "microsoft", "apply = \"file:x\"\ninterval_s = 1", &["interval_s", "60"]),
            (
                "more than all",
                "microsoft",
                "apply = \"file:x\"\nmax_removal_percent = 101",
                &["max_removal_percent", "100"],
            ),
            ("a list of numbers", "microsoft", "apply = \"file:x\"\ngroup_match = [1]", &["group_match", "texts"]),
            ("no time at all", "microsoft", "apply = \"file:x\"\nlogin_budget_ms = 99", &["login_budget_ms", "100"]),
            (
                "too much time",
                "microsoft",
                "apply = \"file:x\"\nlogin_budget_ms = 10001",
                &["login_budget_ms", "10000"],
            ),
            (
                "a switch as a text",
                "microsoft",
                "apply = \"file:x\"\nlogin_check = \"no\"",
                &["login_check", "true or"],
            ),
            ("another kind of provider", "oidc", "apply = \"file:x\"", &["provider.p.directory", "Microsoft"]),
        ] {
            let error = parse(kind, lines).unwrap_err();
            assert!(expected.iter().all(|part| error.contains(part)), "{name}: {error}");
        }
    }
}
