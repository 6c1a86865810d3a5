//! How a plugin's calls end, and when a new one has failed its probation: it passed every check before it took over, and breaks
//! in use all the same, where the former one did not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::CallError;

/// How long a plugin that took over is on probation.
pub(super) const PROBATION: Duration = Duration::from_secs(600);
/// Calls that must have failed before anything is concluded.
const MIN_FAILURES: u64 = 5;
/// And the share of all its calls, in percent.
const MIN_PERCENT: u64 = 20;

/// Counts of calls.
#[derive(Debug, Default)]
pub struct Tally {
    begun: AtomicU64,
    over: AtomicU64,
    failed: AtomicU64,
}

/// A call under way, until it is dropped.
pub(super) struct UnderWay<'a>(&'a Tally);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::SeqCst);
    }
}

impl Tally {
    /// A call begins.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        UnderWay(self)
    }

    /// A call has ended. That no instance was free is no fault of the plugin's.
    pub(super) fn ended(&self, error: Option<&CallError>) {
        if error.is_some_and(|error| !matches!(error, CallError::Busy(_))) {
            self.failed.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What it answered broke the contract: as bad as a trap.
    pub(crate) fn broke_the_contract(&self) {
        self.failed.fetch_add(1, Ordering::SeqCst);
    }

    /// Calls that have begun and not ended, those that wait for an instance among them.
    pub fn under_way(&self) -> u64 {
        // In this order: a call in between counts as one too many, never as one too few.
        let over = self.over.load(Ordering::SeqCst);
        self.begun.load(Ordering::SeqCst).saturating_sub(over)
    }

    /// Where it stands.
    pub fn score(&self) -> Score {
        Score { failed: self.failed.load(Ordering::SeqCst), over: self.over.load(Ordering::SeqCst) }
    }
}

/// Calls that are over, and how many of them failed: trapped, broke a bound, ran out of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Failed ones.
    pub failed: u64,
    /// All of them.
    pub over: u64,
}

impl Score {
    /// What came since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { failed: self.failed.saturating_sub(earlier.failed), over: self.over.saturating_sub(earlier.over) }
    }

    fn percent(self) -> u64 {
        self.failed.saturating_mul(100) / self.over.max(1)
    }

    /// Whether this is bad enough to go back to one that had `former`: many failures, and twice its share at least.
    pub fn is_worse_than(self, former: Self) -> bool {
        self.failed >= MIN_FAILURES
            && self.percent() >= MIN_PERCENT
            && self.percent() >= former.percent().saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_plugin_is_worse_than_the_former_one() {
        let score = |failed, over| Score { failed, over };
        let table = [
            ("nothing happened", score(0, 0), score(0, 0), false),
            ("all good", score(0, 500), score(0, 500), false),
            ("too few to conclude", score(4, 4), score(0, 500), false),
            ("all bad", score(5, 5), score(0, 500), true),
            ("a fifth bad", score(10, 50), score(1, 500), true),
            ("fewer than a fifth", score(9, 50), score(0, 500), false),
            ("the former one was as bad", score(20, 50), score(200, 500), false),
            ("the former one was never called", score(5, 5), score(0, 0), true),
        ];
        for (name, now, former, expected) in table {
            assert_eq!(now.is_worse_than(former), expected, "{name}");
        }
    }

    #[test]
    fn what_counts() {
        let tally = Tally::default();
        let (first, second) = (tally.begin(), tally.begin());
        assert_eq!(tally.under_way(), 2);
        tally.ended(None);
        drop(first);
        tally.ended(Some(&CallError::Busy(1)));
        drop(second);
        assert_eq!((tally.under_way(), tally.score()), (0, Score { failed: 0, over: 2 }));
        let third = tally.begin();
        tally.ended(Some(&CallError::StackOverflow));
        drop(third);
        assert_eq!(tally.score().since(Score { failed: 0, over: 2 }), Score { failed: 1, over: 1 });
    }
}
