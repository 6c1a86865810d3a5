//! Colours of what is printed for people. `anstream` leaves them out where nobody looks: no terminal, `NO_COLOR`, `TERM=dumb`.

use anstyle::{AnsiColor, Style};

/// Verdicts as they are printed, by the audit record's words.
pub(super) const PASS: &str = "pass";
/// It doesn't work.
pub(super) const FAIL: &str = "fail";
/// It wasn't tried, or needn't be.
pub(super) const SKIP: &str = "skip";

/// What is as it should be.
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What can wait.
pub(super) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// What can't.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What wasn't tried.
pub(super) const DIM: Style = Style::new().dimmed();
