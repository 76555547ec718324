//! The delay before the next attempt to connect.

use core::time::Duration;

use super::ClientConfig;
use crate::entropy::Entropy;

/// Counts consecutive attempts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns the number of the next attempt, from 1, and the delay before it. `None` if no attempts
    /// are left.
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

/// Bounds every delay, so that the arithmetic cannot overflow.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The first delay, doubled for each earlier attempt, up to the longest delay.
fn base(config: &ClientConfig, attempts: u32) -> Duration {
    let factor = 1_u32.checked_shl(attempts).unwrap_or(u32::MAX);
    let longest = config.reconnection_delay_max.min(LONGEST);
    config.reconnection_delay.saturating_mul(factor).min(longest)
}

/// Picks a delay evenly from `base` plus or minus the configured share, up to the longest delay.
///
/// The reference first adds the random part and then cuts the sum off, so from the fifth attempt on
/// every client waits for exactly the longest delay (C1). Here the range is cut off before a value is
/// picked from it.
fn spread(base: Duration, config: &ClientConfig, random: f64) -> Duration {
    let share = base.mul_f64(config.randomization_factor);
    let shortest = base.saturating_sub(share);
    let longest = base.saturating_add(share).min(config.reconnection_delay_max);
    shortest.saturating_add(longest.saturating_sub(shortest).mul_f64(random))
}

/// A number from 0 to below 1.
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
    fn the_spread_equals_the_reference_below_the_longest_delay() {
        assert_eq!((delay(0, 0.0), delay(0, 0.5), delay(0, 1.0)), (500, 1_000, 1_500));
        assert_eq!((delay(1, 0.0), delay(1, 1.0)), (1_000, 3_000));
        assert_eq!((delay(2, 0.0), delay(2, 1.0)), (2_000, 5_000));
    }

    #[test]
    fn c1_the_longest_delay_is_spread_too() {
        assert_eq!((delay(40, 0.0), delay(40, 0.5), delay(40, 1.0)), (2_500, 3_750, 5_000));
    }

    #[test]
    fn the_longest_possible_delay_does_not_panic() {
        let config = ClientConfig::new()
            .reconnection_delay(Duration::MAX)
            .reconnection_delay_max(Duration::MAX)
            .randomization_factor(1.0);
        let mut entropy = |dest: &mut [u8]| dest.fill(0xff);
        assert!(Backoff::default().next(&config, &mut entropy).is_some());
    }
}
