use std::path::Path;

use super::*;
use crate::config::Config;

#[test]
fn every_key_is_there_once_and_says_what_it_is() {
    let mut seen = std::collections::BTreeSet::new();
    for key in keys::KEYS {
        assert!(seen.insert(key.path), "{} twice", key.path);
        assert!(key.description.ends_with('.'), "{}: a sentence", key.path);
        assert!(value(key.example).is_some(), "{}: {} isn't TOML", key.path, key.example);
    }
}

#[test]
fn names_of_a_table() {
    assert_eq!(names("storage")[0], "url");
    assert_eq!(names("provider[].approved_link[]"), ["identity", "account"]);
    assert!(names("handover").contains(&"account") && names("handover").contains(&"token"), "{:?}", names("handover"));
    assert!(names("").contains(&"provider") && names("").contains(&"public_url"));
}

#[test]
fn a_table_s_keys_stand_together() {
    let options = options(None);
    let mut tables = Vec::new();
    for option in &options {
        let (table, _) = option.place();
        if tables.last() != Some(&table) {
            assert!(!tables.contains(&table), "{table} twice");
            tables.push(table);
        }
    }
}

/// Without the component, whose keys aren't in it.
#[test]
fn the_example_is_a_configuration_with_every_key_in_it() {
    let options = options(None);
    let text = example(&options);
    for option in &options {
        let (_, name) = option.place();
        assert!(text.contains(&format!("{name} = ")), "{}", option.path);
    }
    let commented: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .collect();
    commented.parse::<toml::Table>().unwrap_or_else(|error| panic!("{error}\n{commented}"));
    let error = Config::parse(Path::new("openid.toml"), &text).unwrap_err().to_string();
    // Its secrets are on nobody's disk.
    assert!(!error.contains("unknown key") && !error.contains("expected"), "{error}");
}
