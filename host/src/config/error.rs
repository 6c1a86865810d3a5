//! What is wrong with a configuration: file, line, key, what was found, what was expected, what to do.

use std::fmt;
use std::path::PathBuf;

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file, or it can't be read.
    #[error("the configuration {file} can't be read: {reason}")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// It has problems: all of them.
    #[error("{}", list(.file, .problems))]
    Invalid {
        /// Which.
        file: PathBuf,
        /// In the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, with dots: `provider.entra.base_url`.
    pub path: String,
    /// The line, from 1, where it could be found.
    pub line: Option<usize>,
    /// What was found and what was expected.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// Whether the host starts all the same.
    pub is_warning: bool,
}

impl Problem {
    /// A problem that keeps the host from starting.
    pub fn error(path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, message: message.into(), hint: hint.into(), is_warning: false }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        write!(formatter, "{}: {}", self.path, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(formatter, "\n    {}", self.hint) }
    }
}

fn list(file: &std::path::Path, problems: &[Problem]) -> String {
    let mut text = format!("the configuration {} can't be used:", file.display());
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    text
}
