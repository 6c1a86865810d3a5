//! `docs/contract.md`: every interface of `wit/` with every function, type, field and case, in the words that stand there. It reads
//! the form in which `wit/` is written, an item after its comment and a field a line, and panics at anything else.

use std::fmt::Write as _;
use std::path::Path;

/// The interfaces, in the order of the world: what a plugin gets, then what it gives.
const INTERFACES: [(&str, &str); 11] = [
    ("http", "import"),
    ("storage", "import"),
    ("cache", "import"),
    ("clock", "import"),
    ("random", "import"),
    ("log", "import"),
    ("credentials", "import"),
    ("login", "export"),
    ("configuration", "export"),
    ("directory", "export"),
    ("preparation", "export"),
];

const OPENING: &str = "# The contract of plugins, item by item\n\n\
    Made of [wit/](../wit) by `wit-reference`, in its words: `defguard:openid@0.2.0`. What the host adds to it, versions, and how to write a\n\
    plugin: [plugins.md](plugins.md). A plugin of version 0.1.0 has all of this but `directory` and `preparation`, which is the world\n\
    `prepared-plugin`'s alone.\n\n\
    Text is UTF-8. A `result<A, B>` is an `A`, or a `B` that says why not; an `option<A>` is an `A` or `none`.\n";

/// Something that an interface has.
#[derive(Debug, Default)]
struct Item {
    /// `func`, `record`, `variant`, `enum`, `use`.
    kind: String,
    name: String,
    docs: String,
    /// Of a function, all of it; of `use`, what is used.
    signature: String,
    fields: Vec<Field>,
}

/// A field of a record, or a case.
#[derive(Debug)]
struct Field {
    name: String,
    of: String,
    docs: String,
}

/// The page.
pub fn page(wit: &Path) -> String {
    let mut page = OPENING.to_owned();
    for (name, direction) in INTERFACES {
        let file = wit.join(format!("{name}.wit"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let (docs, items) = interface(name, &text);
        let what = if direction == "import" { "what a plugin may call" } else { "what a plugin answers" };
        let _ = write!(page, "\n## `{name}`: {what}\n\n{docs}\n");
        for item in &items {
            show(&mut page, item);
        }
    }
    page
}

fn show(page: &mut String, item: &Item) {
    let Item { kind, name, docs, signature, fields } = item;
    match kind.as_str() {
        "use" => {
            let _ = write!(page, "\nUses `{signature}`.\n");
            return;
        }
        "func" => {
            let _ = write!(page, "\n### `{name}`\n\n```wit\n{signature}\n```\n\n{docs}");
        }
        _ => {
            let _ = write!(page, "\n### {kind} `{name}`\n\n{docs}");
        }
    }
    if !docs.is_empty() {
        page.push('\n');
    }
    if fields.is_empty() {
        return;
    }
    if !docs.is_empty() {
        page.push('\n');
    }
    let (head, of) = match kind.as_str() {
        "record" => ("field", true),
        _ => ("case", fields.iter().any(|field| !field.of.is_empty())),
    };
    page.push_str(&if of {
        format!("| {head} | type | |\n|---|---|---|\n")
    } else {
        format!("| {head} | |\n|---|---|\n")
    });
    for Field { name, of: kind, docs } in fields {
        let docs = docs.replace('\n', " ").replace('|', "\\|");
        let kind = if kind.is_empty() { String::new() } else { format!("`{kind}`") };
        let _ =
            if of { writeln!(page, "| `{name}` | {kind} | {docs} |") } else { writeln!(page, "| `{name}` | {docs} |") };
    }
}

/// What stands in front of the interface, and what is in it.
fn interface(name: &str, text: &str) -> (String, Vec<Item>) {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("@since("));
    let mut docs = Vec::new();
    assert!(lines.next().is_some_and(|line| line.starts_with("package ")), "{name}: it begins with its package");
    for line in lines.by_ref() {
        match line.strip_prefix("///") {
            Some(doc) => docs.push(doc.trim()),
            None => {
                assert_eq!(line, format!("interface {name} {{"), "{name}: the interface comes after its comment");
                break;
            }
        }
    }
    let opening = docs.join("\n");
    let (mut items, mut docs) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim().to_owned());
            continue;
        }
        if line == "}" {
            assert_eq!(lines.next(), None, "{name}: nothing comes after the interface");
            return (opening, items);
        }
        let mut item = Item { docs: std::mem::take(&mut docs).join("\n"), ..Item::default() };
        if let Some((head, "")) = line.split_once('{') {
            let (kind, of) = head.trim().split_once(' ').unwrap_or_else(|| panic!("{name}: {line}"));
            (item.kind, item.name) = (kind.to_owned(), of.to_owned());
            item.fields = fields(name, &mut lines);
        } else if let Some(used) = line.strip_prefix("use ") {
            item.kind = "use".into();
            item.signature = used.trim_end_matches(';').into();
        } else {
            let (function, _) = line.split_once(": func(").unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(line.ends_with(';'), "{name}: a function is a line: {line}");
            (item.kind, item.name) = ("func".to_owned(), function.to_owned());
            item.signature = line.into();
        }
        items.push(item);
    }
    panic!("{name}: the interface doesn't end");
}

fn fields<'a>(interface: &str, lines: &mut impl Iterator<Item = &'a str>) -> Vec<Field> {
    let (mut fields, mut docs) = (Vec::new(), Vec::new());
    for line in lines {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim());
            continue;
        }
        if line == "}" {
            return fields;
        }
        let item = line.strip_suffix(',').unwrap_or_else(|| panic!("{interface}: a field is a line: {line}"));
        let (name, of) = match (item.split_once(": "), item.split_once('(')) {
            (Some((name, of)), _) => (name, of),
            (None, Some((name, of))) => (name, of.strip_suffix(')').unwrap_or_else(|| panic!("{interface}: {line}"))),
            (None, None) => (item, ""),
        };
        fields.push(Field { name: name.to_owned(), of: of.to_owned(), docs: std::mem::take(&mut docs).join("\n") });
    }
    panic!("{interface}: a type doesn't end");
}
