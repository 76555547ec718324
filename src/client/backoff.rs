//! How long to wait before the next attempt.

use core::time::Duration;

use super::ClientConfig;
use crate::entropy::Entropy;

/// Counts attempts in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns the number of the next attempt, from 1, and the time to wait before it; `None` if
    /// there is to be none.
    pub(super) fn next(
        &mut self,
        config: &ClientConfig,
        entropy: &mut dyn Entropy,
    ) -> Option<(u32, Duration)> {
        if config.reconnection_attempts.is_some_and(|limit| self.attempts >= limit) {
            return None;
        }
        let base = base(config, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        Some((self.attempts, spread(base, config, random(entropy))))
    }

    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Above it there is no use in waiting, and arithmetic stays far from its ends.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The first delay, doubled once per earlier attempt, up to the longest one.
fn base(config: &ClientConfig, attempts: u32) -> Duration {
    let factor = 1_u32.checked_shl(attempts).unwrap_or(u32::MAX);
    let longest = config.reconnection_delay_max.min(LONGEST);
    config.reconnection_delay.saturating_mul(factor).min(longest)
}

/// Draws evenly from `base` plus and minus its share, without going over the longest delay.
///
/// The reference cuts off what the spread has added, so that from the fifth attempt on everybody
/// waits for exactly the longest delay (C1). Here what is cut is the range that is drawn from.
fn spread(base: Duration, config: &ClientConfig, random: f64) -> Duration {
    let share = base.mul_f64(config.randomization_factor);
    let shortest = base.saturating_sub(share);
    let longest = base.saturating_add(share).min(config.reconnection_delay_max);
    shortest.saturating_add(longest.saturating_sub(shortest).mul_f64(random))
}

/// From 0 to below 1.
fn random(entropy: &mut dyn Entropy) -> f64 {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(attempts: u32, random: f64) -> u128 {
        let config = ClientConfig::new();
        spread(base(&config, attempts), &config, random).as_millis()
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let config = ClientConfig::new();
        let bases: alloc::vec::Vec<_> = (0..5).map(|n| base(&config, n).as_secs()).collect();
        assert_eq!(bases, [1, 2, 4, 5, 5]);
        assert_eq!(base(&config, u32::MAX).as_secs(), 5);
    }

    #[test]
    fn the_spread_is_that_of_the_reference_where_there_is_room() {
        assert_eq!((delay(0, 0.0), delay(0, 0.5), delay(0, 1.0)), (500, 1_000, 1_500));
        assert_eq!((delay(1, 0.0), delay(1, 1.0)), (1_000, 3_000));
        assert_eq!((delay(2, 0.0), delay(2, 1.0)), (2_000, 5_000));
    }

    #[test]
    fn c1_the_spread_survives_the_longest_delay() {
        assert_eq!((delay(40, 0.0), delay(40, 0.5), delay(40, 1.0)), (2_500, 3_750, 5_000));
    }

    #[test]
    fn a_delay_near_the_end_of_time_does_not_panic() {
        let config = ClientConfig::new()
            .reconnection_delay(Duration::MAX)
            .reconnection_delay_max(Duration::MAX)
            .randomization_factor(1.0);
        let mut entropy = |dest: &mut [u8]| dest.fill(0xff);
        assert!(Backoff::default().next(&config, &mut entropy).is_some());
    }
}
