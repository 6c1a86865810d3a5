//! What the pages say is what there is: metrics and their labels, codes, commands, keys, names in general, links, and the contract.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use conformance::service::run;
use conformance::{Entra, component, contract_page};
use entra_emulator::fixtures::person;

const GUIDE: &str = "docs/operating.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder with that ending.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, ending, found);
        } else if entry.extension().is_some_and(|extension| extension == ending) {
            found.push(entry);
        }
    }
}

/// The Rust of these folders.
fn sources_of(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        files(&root().join(folder), "rs", &mut found);
    }
    found
}

/// All Rust of host and plugin.
fn sources() -> String {
    let files = sources_of(&["host/src", "plugin/src", "plugin/table"]);
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// What stands in backticks, outside of blocks.
fn quoted(page: &str) -> Vec<&str> {
    let mut in_block = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    });
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The cells of the table under this head.
fn table<'a>(page: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = page.split_once(head).unwrap_or_else(|| panic!("no table {head}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The first text in quotation marks, and what comes after it.
fn literal(text: &str) -> Option<(&str, &str)> {
    text.split_once('"')?.1.split_once('"')
}

/// Names of metrics as the program registers them, with their units, without `_total`: those that have no row yet aren't told by
/// the program itself.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in sources_of(&["host/src"]) {
        let text = std::fs::read_to_string(file).unwrap();
        for call in text.split("registry.register(").skip(1) {
            names.extend(literal(call).map(|(name, _)| name.to_owned()));
        }
        for call in text.split("registry.register_with_unit(").skip(1) {
            let (name, rest) = literal(call).unwrap();
            let (_, unit) = rest.split_once("Unit::").unwrap();
            let unit: String = unit.chars().take_while(char::is_ascii_alphabetic).collect();
            names.insert(format!("{name}_{}", unit.to_lowercase()));
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_lists_every_metric_and_no_other() {
    let stack = Entra::plain().await;
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    let text = stack.host.gateway.metrics().text().unwrap();
    let shown: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE defguard_openid_")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect();
    let guide = read(GUIDE);
    let rows = table(&guide, "| Metric | Labels | What |");
    let documented: Vec<String> =
        rows.iter().flat_map(|row| row[0].split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let known: BTreeSet<String> = documented.iter().cloned().collect();
    assert_eq!(documented.len(), known.len(), "each once: {documented:?}");
    let base = |name: &String| name.trim_end_matches("_total").trim_end_matches("_info").to_owned();
    let bases: BTreeSet<String> = known.iter().map(base).collect();
    let registered = registered();
    assert!(registered.len() > 40 && shown.len() > 20, "{registered:?} {text}");
    let missing: Vec<_> = registered.difference(&bases).collect();
    let invented: Vec<_> = bases.difference(&registered).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not in the guide: {missing:?}; not in the program: {invented:?}"
    );
    let otherwise: Vec<_> = shown.difference(&known).collect();
    assert!(otherwise.is_empty(), "called otherwise: {otherwise:?}");
    // Labels of what this sign-in has counted are those of the guide.
    let mut seen = 0;
    for row in &rows {
        let labels: BTreeSet<&str> = row[1].split('`').skip(1).step_by(2).collect();
        for name in row[0].split('`').skip(1).step_by(2) {
            let full = format!("defguard_openid_{name}");
            let sample = text.lines().find_map(|line| {
                let rest = line.strip_prefix(&full)?;
                let rest = ["_sum", "_count"].iter().find_map(|end| rest.strip_prefix(end)).unwrap_or(rest);
                rest.strip_prefix('{')?.split_once('}').map(|(labels, _)| labels.to_owned())
            });
            let Some(sample) = sample else { continue };
            let found: BTreeSet<&str> = sample.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
            assert!(found.is_subset(&labels), "{name}: {found:?}, the guide has {labels:?}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}: {text}");
    // And the rules ask for nothing else.
    for page in [GUIDE, "README.md", "docs/security.md"] {
        let text = read(page);
        for name in text.split("defguard_openid_").skip(1) {
            let name: String =
                name.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
            let is_group = name.ends_with('_') && known.iter().any(|known| known.starts_with(&name));
            assert!(name.is_empty() || is_group || known.contains(&name) || name.starts_with("host"), "{page}: {name}");
        }
    }
}

#[test]
fn the_guide_has_every_reason_why_a_plugin_is_not_loaded() {
    let mut codes = BTreeSet::new();
    for file in ["host/src/sandbox/load_error.rs", "host/src/sandbox/signature.rs"] {
        let text = read(file);
        let (_, function) = text.split_once("fn code(&self) -> &'static str {").unwrap();
        let (function, _) = function.split_once("\n    }\n").unwrap();
        codes.extend(function.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    let guide = read(GUIDE);
    let rows = table(&guide, "| Code | What is wrong | What to do |");
    let documented: BTreeSet<String> =
        rows.iter().flat_map(|row| row[0].split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert!(codes.len() > 15, "{codes:?}");
    assert_eq!(documented, codes);
}

/// A word in backticks with an underscore is a key, a code, a metric, a label or a field: somewhere in the program it stands, too.
#[test]
fn names_in_the_pages_are_names_in_the_program() {
    let others = ["docs/configuration.md", "docs/contract.md", "docs/refusals.md", ".cargo/config.toml"];
    let program = sources() + &others.map(read).concat();
    for page in [GUIDE, "docs/security.md", "docs/plugins.md"] {
        let text = read(page);
        for words in quoted(&text) {
            for word in words.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_.".contains(letter))) {
                let last = word.trim_matches('.').rsplit('.').next().unwrap_or_default();
                let is_name = last.contains('_') && last.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let stem = last.trim_start_matches("defguard_openid_").trim_end_matches("_total").trim_end_matches('_');
                // With their units, as the metrics' library writes them.
                let stem = stem.strip_suffix("_seconds").or(stem.strip_suffix("_bytes")).unwrap_or(stem);
                assert!(
                    !is_name || program.contains(stem) || is_of_a_test(last),
                    "{page}: `{words}`: {last} is nowhere"
                );
            }
        }
    }
}

/// Names of tests, which the pages cite.
fn is_of_a_test(name: &str) -> bool {
    let mut found = Vec::new();
    files(&root().join("tests"), "rs", &mut found);
    found.iter().any(|file| {
        let is_file = file.file_stem().is_some_and(|stem| stem == name);
        is_file || std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
    })
}

#[tokio::test]
async fn commands_in_the_pages_exist() {
    let mut tried = 0;
    for page in ["README.md", GUIDE, "docs/plugins.md", "docs/security.md"] {
        let text = read(page);
        let inline = quoted(&text).into_iter().filter(|words| words.starts_with("defguard-openid "));
        let lines = blocks(&text, "sh").into_iter().flat_map(str::lines);
        // Whoever is named before it may have the program's name.
        let lines = lines.filter_map(|line| {
            let is_anothers = line.starts_with("sudo ");
            let at = if is_anothers { line.rfind("defguard-openid ") } else { line.find("defguard-openid ") };
            Some((line, at?))
        });
        // The first word of a line, or what another user is to run.
        let lines = lines.filter(|(line, at)| *at == 0 || line.starts_with("sudo ")).map(|(line, at)| &line[at..]);
        for command in inline.chain(lines) {
            let command = command.split(['#', '>', ';', '…']).next().unwrap();
            let mut words = command.split_whitespace().skip(1).peekable();
            let mut asked = Vec::new();
            while let Some(word) =
                words.next_if(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
            {
                if word.starts_with('-') {
                    break;
                }
                asked.push(word.to_owned());
            }
            asked.push("--help".to_owned());
            let arguments: Vec<&str> = asked.iter().map(String::as_str).collect();
            let (code, help, err) = run(&arguments).await;
            assert_eq!(code, Some(0), "{page}: {command}: {err}");
            for flag in command.split_whitespace().filter(|word| word.starts_with("--")) {
                let is_there = help.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
                assert!(is_there.into_iter().any(|word| word == flag), "{page}: {command}: no {flag} in {help}");
            }
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[tokio::test]
async fn snippets_of_the_guide_fit_into_a_configuration() {
    let component = component();
    let (code, schema, err) = run(&["config", "schema", "--plugin", component.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{err}");
    let validator = jsonschema::draft202012::new(&serde_json::from_str(&schema).unwrap()).unwrap();
    let (code, example, err) = run(&["config", "example", "--plugin", component.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{err}");
    let guide = read(GUIDE);
    let snippets = blocks(&guide, "toml");
    assert!(snippets.len() >= 2, "{snippets:?}");
    for snippet in snippets {
        let mut whole: toml::Table = example.parse().unwrap();
        for (key, value) in snippet.parse::<toml::Table>().unwrap_or_else(|error| panic!("{error}: {snippet}")) {
            match (whole.get_mut(&key).and_then(toml::Value::as_table_mut), value) {
                (Some(there), toml::Value::Table(more)) => there.extend(more),
                (_, value) => drop(whole.insert(key, value)),
            }
        }
        let whole = serde_json::to_value(whole).unwrap();
        let errors: Vec<_> = validator.iter_errors(&whole).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {snippet}");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut pages = vec![root().join("README.md"), root().join("SECURITY.md"), root().join("ARCHITECTURE.md")];
    files(&root().join("docs"), "md", &mut pages);
    let anchor = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    };
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") || link.starts_with("mailto:") || link.contains(' ') {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !place.is_empty() {
                let target_text = std::fs::read_to_string(&target).unwrap();
                let has = target_text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == place);
                assert!(has, "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn the_contract_s_page_is_the_contract() {
    let page = contract_page::page(&root().join("wit"));
    assert_eq!(read("docs/contract.md"), page, "run: target/release/wit-reference > docs/contract.md");
    // Everything that has a name is on it.
    let mut wit = Vec::new();
    for entry in std::fs::read_dir(root().join("wit")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|extension| extension == "wit") {
            wit.push(std::fs::read_to_string(entry).unwrap());
        }
    }
    let mut names = 0;
    for line in wit.iter().flat_map(|text| text.lines()).map(str::trim) {
        let name = match line.split_once(' ') {
            Some(("record" | "variant" | "enum" | "interface", name)) => name.trim_end_matches([' ', '{']),
            _ => match line.split_once(": func(") {
                Some((name, _)) => name,
                None => continue,
            },
        };
        assert!(page.contains(&format!("`{name}`")), "{name}");
        names += 1;
    }
    assert!(names > 60, "{names}");
}
