//! A circuit breaker: after so many failures in a row Core isn't asked for a while, and then by one call alone, whose end
//! decides. So people hear at once that it doesn't work now, and a Core that comes back isn't flooded.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row.
    pub failures: u32,
    /// How long Core isn't asked then.
    pub pause: Duration,
}

/// What a call says of Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers, whatever it answers.
    Good,
    /// It doesn't.
    Bad,
    /// It says nothing of Core.
    Neutral,
}

/// What others see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Core is asked.
    Closed,
    /// Core isn't asked for so many seconds.
    Open {
        /// Seconds, from 1.
        retry_after_s: u64,
    },
    /// The next call, or one that is under way, decides.
    HalfOpen,
}

impl BreakerState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// In a row.
    failures: u32,
    /// Since when it is open.
    opened: Option<Instant>,
    /// Whether one call tries it out.
    probing: bool,
}

/// The breaker.
pub(super) struct Breaker {
    limits: BreakerLimits,
    inner: Mutex<Inner>,
}

/// A call that may be made. Dropped without a verdict it says nothing.
pub(super) struct Admission<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    pub(super) fn new(limits: BreakerLimits) -> Self {
        Self { limits, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Three plain values: they are whole whatever their last user did.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call through, or says how many failures there were and how long to wait, in seconds.
    pub(super) fn admit(&self, now: Instant) -> Result<Admission<'_>, (u32, u64)> {
        let mut inner = self.inner();
        let is_probe = match inner.opened {
            None => false,
            Some(opened) if self.pause_left(opened, now) > Duration::ZERO => {
                return Err((inner.failures, seconds(self.pause_left(opened, now))));
            }
            Some(_) if inner.probing => return Err((inner.failures, 1)),
            Some(_) => {
                inner.probing = true;
                true
            }
        };
        Ok(Admission { breaker: self, is_probe })
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        let opened = self.inner().opened;
        match opened.map(|opened| self.pause_left(opened, now)) {
            None => BreakerState::Closed,
            Some(Duration::ZERO) => BreakerState::HalfOpen,
            Some(left) => BreakerState::Open { retry_after_s: seconds(left) },
        }
    }

    fn pause_left(&self, opened: Instant, now: Instant) -> Duration {
        self.limits.pause.saturating_sub(now.saturating_duration_since(opened))
    }

    /// One call more is known of; the state's change is told once.
    fn note(&self, verdict: Verdict, was_probe: bool, now: Instant) {
        let mut inner = self.inner();
        match verdict {
            Verdict::Neutral => {}
            Verdict::Good => {
                inner.failures = 0;
                if inner.opened.take().is_some() {
                    tracing::info!("Defguard Core answers again");
                }
            }
            Verdict::Bad => {
                inner.failures = inner.failures.saturating_add(1);
                let opens = was_probe || (inner.opened.is_none() && inner.failures >= self.limits.failures);
                if opens {
                    inner.opened = Some(now);
                    let (failures, pause_s) = (inner.failures, self.limits.pause.as_secs());
                    tracing::error!(
                        failures,
                        pause_s,
                        "Defguard Core failed too often in a row: it isn't asked for a while"
                    );
                }
            }
        }
    }
}

impl Admission<'_> {
    /// How the call went.
    pub(super) fn say(self, verdict: Verdict, now: Instant) {
        self.breaker.note(verdict, self.is_probe, now);
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.inner().probing = false;
        }
    }
}

/// Rounded up, and never 0.
fn seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerLimits { failures: 3, pause: Duration::from_secs(30) })
    }

    fn fail(breaker: &Breaker, times: usize, now: Instant) {
        for _ in 0..times {
            breaker.admit(now).ok().unwrap().say(Verdict::Bad, now);
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_one_good_call() {
        let (breaker, start) = (breaker(), Instant::now());
        fail(&breaker, 2, start);
        breaker.admit(start).ok().unwrap().say(Verdict::Good, start);
        fail(&breaker, 2, start);
        breaker.admit(start).ok().unwrap().say(Verdict::Neutral, start);
        assert_eq!(breaker.state(start), BreakerState::Closed, "not in a row");
        fail(&breaker, 1, start);
        assert_eq!(breaker.state(start), BreakerState::Open { retry_after_s: 30 });
        assert_eq!(breaker.admit(start).err(), Some((3, 30)));
        let later = start + Duration::from_millis(10_500);
        assert_eq!(breaker.admit(later).err(), Some((3, 20)), "rounded up");
        let over = start + 30 * SECOND;
        assert_eq!(breaker.state(over), BreakerState::HalfOpen);
        let probe = breaker.admit(over).ok().unwrap();
        assert_eq!(breaker.admit(over).err(), Some((3, 1)), "one at a time");
        probe.say(Verdict::Good, over);
        assert_eq!(breaker.state(over), BreakerState::Closed);
        assert!(breaker.admit(over).is_ok());
    }

    #[test]
    fn a_probe_that_fails_opens_it_again_and_one_that_is_given_up_does_not() {
        let (breaker, start) = (breaker(), Instant::now());
        fail(&breaker, 3, start);
        let over = start + 31 * SECOND;
        drop(breaker.admit(over).ok().unwrap());
        assert_eq!(breaker.state(over), BreakerState::HalfOpen, "nothing was learned");
        breaker.admit(over).ok().unwrap().say(Verdict::Bad, over);
        assert_eq!(breaker.state(over), BreakerState::Open { retry_after_s: 30 });
        assert_eq!(breaker.admit(over).err().map(|(failures, _)| failures), Some(4));
    }

    #[test]
    fn late_failures_of_calls_that_were_under_way_do_not_prolong_it() {
        let (breaker, start) = (breaker(), Instant::now());
        let late: Vec<_> = (0..5).map(|_| breaker.admit(start).ok().unwrap()).collect();
        fail(&breaker, 3, start);
        let later = start + 20 * SECOND;
        for admission in late {
            admission.say(Verdict::Bad, later);
        }
        assert_eq!(breaker.state(later), BreakerState::Open { retry_after_s: 10 });
    }
}
