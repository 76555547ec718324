//! The pauses between the attempts of the official client (protocol facts 4.3).

use std::time::Duration;

use super::ClientOptions;
use crate::Rng;

#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The time until the next attempt.
    pub(super) fn next(&mut self, options: &ClientOptions, rng: &mut Rng) -> Duration {
        let least = millis(options.reconnection_delay);
        let most = millis(options.reconnection_delay_max);
        let base = least.saturating_mul(1 << self.attempts.min(20));
        self.attempts += 1;
        let random = rng.below(1_000);
        let deviation = base * random / 2_000;
        let is_down = (random / 100).is_multiple_of(2);
        let delay = if is_down { base - deviation } else { base + deviation };
        Duration::from_millis(delay.min(most))
    }

    /// An attempt has led to a connected socket.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
