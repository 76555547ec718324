//! A bound on the work of a storm of reconnections.

use crate::{config::RecoveryConfig, time::Timestamp};

/// A token bucket over recoveries: `claim_burst` at once, then `claims_per_second`.
#[derive(Debug)]
pub(crate) struct Pacing {
    burst: u64,
    /// Microseconds that one token takes to come back.
    interval: u64,
    /// When the bucket will be full again; each token taken moves it by one interval.
    full_at: Timestamp,
}

const MICROS_PER_SECOND: u64 = 1_000_000;

impl Pacing {
    pub(crate) fn new(config: &RecoveryConfig) -> Self {
        Self {
            burst: u64::from(config.claim_burst),
            interval: (MICROS_PER_SECOND / u64::from(config.claims_per_second.max(1))).max(1),
            full_at: Timestamp::ZERO,
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn try_take(&mut self, now: Timestamp) -> bool {
        if self.next_at() > now {
            return false;
        }
        let taken_from = self.full_at.max(now).as_micros();
        self.full_at = Timestamp::from_micros(taken_from.saturating_add(self.interval));
        true
    }

    /// When the next token is there.
    pub(crate) fn next_at(&self) -> Timestamp {
        let reserve = self.interval.saturating_mul(self.burst.saturating_sub(1));
        Timestamp::from_micros(self.full_at.as_micros().saturating_sub(reserve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_is_spread() {
        let config = RecoveryConfig { claim_burst: 3, claims_per_second: 10, ..Default::default() };
        let mut pacing = Pacing::new(&config);
        let start = Timestamp::from_millis(5_000);
        let taken = (0..10).take_while(|_| pacing.try_take(start)).count();
        assert_eq!(taken, 3);
        let next = pacing.next_at();
        assert_eq!(next, Timestamp::from_millis(5_100));
        assert!(pacing.try_take(next));
        assert!(!pacing.try_take(next), "one token came back");
        let rested = Timestamp::from_millis(60_000);
        assert_eq!((0..10).take_while(|_| pacing.try_take(rested)).count(), 3, "it fills up");
    }
}
