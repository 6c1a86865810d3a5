//! Durations that were measured in turns: what is compared runs in the same seconds, so that a machine which others use as well slows both.

use std::time::Duration;

/// What one side took, time after time.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// One more.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// All of another's.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Runs it, and adds how long that took.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = std::time::Instant::now();
        let result = std::hint::black_box(work());
        self.0.push(started.elapsed());
        result
    }

    /// The duration that this share of all doesn't exceed, in microseconds; of nothing, none.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        sorted.get(place).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e6)
    }

    /// The middle one, in microseconds: what a disturbance from outside doesn't move.
    pub fn median_us(&self) -> f64 {
        self.quantile_us(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut sample = Sample::default();
        assert!(sample.median_us().is_nan());
        for milliseconds in [5, 1, 4, 2, 3] {
            sample.add(Duration::from_millis(milliseconds));
        }
        for (share, expected) in [(0.0, 1000.0), (0.5, 3000.0), (0.8, 4000.0), (0.99, 5000.0), (1.0, 5000.0)] {
            assert!((sample.quantile_us(share) - expected).abs() < 1e-6, "{share}: {}", sample.quantile_us(share));
        }
    }
}
