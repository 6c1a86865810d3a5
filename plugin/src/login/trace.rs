//! The trace of one step: every check with its verdict, in order. No value of a token, code or secret is in it.

/// The most that a detail may have, in bytes.
const DETAIL_BYTES: usize = 512;

/// What a check said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Pass,
    /// Not good.
    Fail,
    /// Nothing to look at.
    Skip,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable.
    pub name: &'static str,
    /// What it said.
    pub verdict: Verdict,
    /// What was found, and for a failure what was expected.
    pub detail: String,
}

/// The checks so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace(Vec<Check>);

impl Trace {
    // Each of the three is one copy for a text that is borrowed and one for one that isn't, not one in every place that notes something.

    /// Notes a good check.
    #[inline(never)]
    pub fn pass(&mut self, name: &'static str, detail: impl Into<String>) {
        self.note(name, Verdict::Pass, detail.into());
    }

    /// Notes a bad one.
    #[inline(never)]
    pub fn fail(&mut self, name: &'static str, detail: impl Into<String>) {
        self.note(name, Verdict::Fail, detail.into());
    }

    /// Notes that there was nothing to check.
    #[inline(never)]
    pub fn skip(&mut self, name: &'static str, detail: impl Into<String>) {
        self.note(name, Verdict::Skip, detail.into());
    }

    /// All of them.
    pub fn into_checks(self) -> Vec<Check> {
        self.0
    }

    fn note(&mut self, name: &'static str, verdict: Verdict, detail: String) {
        // Nearly all of them are short, and of visible ASCII.
        let is_good = detail.len() <= DETAIL_BYTES && detail.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let detail = if is_good { detail } else { cut(&detail, DETAIL_BYTES) };
        self.0.push(Check { name, verdict, detail });
    }
}

/// At most `limit` bytes, line breaks and other control characters as spaces.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    kept.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
