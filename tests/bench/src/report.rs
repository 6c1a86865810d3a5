//! `target/bench.json`: what the benches measured, by name. Each bench adds its own; `bench-table` shows all of it. A ratio is ours
//! divided by theirs: below one is better.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// All figures so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Ours divided by another's.
    pub ratios: BTreeMap<String, f64>,
    /// Ours; the name says the unit.
    pub figures: BTreeMap<String, f64>,
}

impl Report {
    /// Where it is.
    pub fn path() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench.json"))
    }

    /// What the benches before this one found.
    pub fn read() -> std::io::Result<Self> {
        match std::fs::read(Self::path()) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Adds these to what is there, in place of those of the same name.
    pub fn add(&self) -> std::io::Result<()> {
        let mut all = Self::read()?;
        all.ratios.extend(self.ratios.clone());
        all.figures.extend(self.figures.clone());
        let mut text = serde_json::to_string_pretty(&all)?;
        text.push('\n');
        let path = Self::path();
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(path, text)
    }

    /// A figure.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// `name` is `ours/theirs`.
    pub fn ratio(&mut self, name: &str, ours: f64, theirs: f64) {
        self.ratios.insert(name.to_owned(), ours / theirs);
    }

    /// As a table.
    pub fn table(&self) -> String {
        let width = self.figures.keys().chain(self.ratios.keys()).map(String::len).max().unwrap_or(0);
        let mut text = String::new();
        for (title, values) in [("figures", &self.figures), ("ratios", &self.ratios)] {
            if !values.is_empty() {
                let _ = writeln!(text, "{title}");
            }
            for (name, value) in values {
                let _ = writeln!(text, "  {name:width$}  {:>14}", shown(*value));
            }
        }
        text
    }
}

/// Whole numbers as they are, others with four digits that matter.
fn shown(value: f64) -> String {
    let magnitude = value.abs();
    match value {
        _ if value.fract() == 0.0 => format!("{value}"),
        _ if magnitude >= 1000.0 => format!("{value:.0}"),
        _ if magnitude >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

/// The mean of one of criterion's measurements in this run, in microseconds.
pub fn criterion_us(name: &str) -> Option<f64> {
    let home = match (std::env::var_os("CRITERION_HOME"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(home), _) => PathBuf::from(home),
        (None, Some(target)) => Path::new(&target).join("criterion"),
        (None, None) => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/criterion")),
    };
    let bytes = std::fs::read(home.join(name).join("new/estimates.json")).ok()?;
    let estimates: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    estimates["mean"]["point_estimate"].as_f64().map(|nanoseconds| nanoseconds / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_people() {
        let mut report = Report::default();
        assert_eq!(report.table(), "");
        report.figure("sync.unchanged.requests", 2.0);
        report.figure("instantiate_us", 61.2512);
        report.ratio("a/b", 1.0, 8.0);
        let expected = "figures\n  instantiate_us                    61.25\n  sync.unchanged.requests               2\n\
                        ratios\n  a/b                             1.25e-1\n";
        assert_eq!(report.table(), expected);
    }
}
