//! A token bucket: a burst, then a rate per second.

use crate::time::Timestamp;

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Tokens in a full bucket.
    pub(crate) burst: u32,
    /// Tokens added per second.
    pub(crate) per_second: u32,
}

/// The tokens missing from a full bucket. The owner keeps the rate.
///
/// It counts in millionths of a token. In each microsecond `per_second` of them are added, so
/// nothing is rounded and no rate drifts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    taken: u64,
    at: Timestamp,
}

const TOKEN: u64 = 1_000_000;

impl Rate {
    const fn capacity(self) -> u64 {
        (self.burst as u64).saturating_mul(TOKEN)
    }
}

impl Bucket {
    /// Takes `cost` tokens if there is at least one. The cost may exceed the tokens in the bucket;
    /// then the next ones wait longer. So no cost is too high forever.
    pub(crate) fn try_take(&mut self, now: Timestamp, rate: Rate, cost: u64) -> bool {
        if self.next_at(rate) > now.max(self.at) {
            return false;
        }
        self.take(now, rate, cost);
        true
    }

    /// Takes `cost` tokens, even if there are none.
    pub(crate) fn take(&mut self, now: Timestamp, rate: Rate, cost: u64) {
        let passed = now.as_micros().saturating_sub(self.at.as_micros());
        let back = passed.saturating_mul(u64::from(rate.per_second));
        self.taken = self.taken.saturating_sub(back).saturating_add(cost.saturating_mul(TOKEN));
        self.at = self.at.max(now);
    }

    /// The number of tokens in the bucket.
    pub(crate) fn available(&self, now: Timestamp, rate: Rate) -> u64 {
        let passed = now.as_micros().saturating_sub(self.at.as_micros());
        let back = passed.saturating_mul(u64::from(rate.per_second));
        rate.capacity().saturating_sub(self.taken.saturating_sub(back)) / TOKEN
    }

    /// When there will be a token; a moment in the past if there is one already.
    pub(crate) fn next_at(&self, rate: Rate) -> Timestamp {
        let missing = self.taken.saturating_add(TOKEN).saturating_sub(rate.capacity());
        let wait = missing.div_ceil(u64::from(rate.per_second.max(1)));
        Timestamp::from_micros(self.at.as_micros().saturating_add(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, per_second: 10 };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn take_all(bucket: &mut Bucket, now: Timestamp) -> usize {
        (0..100).take_while(|_| bucket.try_take(now, RATE, 1)).count()
    }

    #[test]
    fn a_burst_passes_and_the_rest_is_spread() {
        let mut bucket = Bucket::default();
        assert_eq!(take_all(&mut bucket, at(5_000)), 3);
        let next = bucket.next_at(RATE);
        assert_eq!(next, at(5_100));
        assert_eq!([next, at(5_299), at(9_999)].map(|now| bucket.available(now, RATE)), [1, 2, 3]);
        assert!(!bucket.try_take(Timestamp::from_micros(next.as_micros() - 1), RATE, 1));
        assert!(bucket.try_take(next, RATE, 1));
        assert!(!bucket.try_take(next, RATE, 1), "one token came back");
        assert_eq!(take_all(&mut bucket, at(60_000)), 3, "it fills up, and no further");
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let rate = Rate { burst: 1, per_second: 30_000 };
        let mut bucket = Bucket::default();
        let passed = (0..1_000_000)
            .filter(|micros| bucket.try_take(Timestamp::from_micros(1 + micros), rate, 1))
            .count();
        // A token counts from the first microsecond at which it is complete.
        assert_eq!(passed, 29_412);
        let (mut bucket, rate) = (Bucket::default(), Rate { burst: 100, per_second: 30_000 });
        let passed = (0..1_000_000)
            .filter(|micros| bucket.try_take(Timestamp::from_micros(1 + micros), rate, 1))
            .count();
        assert!((30_000..=30_100).contains(&passed), "{passed}");
    }

    #[test]
    fn a_cost_above_the_burst_is_paid_off_later() {
        let mut bucket = Bucket::default();
        assert!(bucket.try_take(at(0), RATE, 23));
        assert!(!bucket.try_take(at(2_099), RATE, 1));
        assert!(bucket.try_take(at(2_100), RATE, 1));
    }

    #[test]
    fn a_clock_that_runs_backwards_gives_nothing_back() {
        let mut bucket = Bucket::default();
        assert_eq!(take_all(&mut bucket, at(1_000)), 3);
        bucket.take(at(0), RATE, 1);
        assert_eq!(bucket.next_at(RATE), at(1_200));
        assert!(!bucket.try_take(at(500), RATE, 1));
        assert_eq!(take_all(&mut Bucket { at: at(1_000), taken: 0 }, at(0)), 3);
    }

    #[test]
    fn the_extremes_do_not_overflow() {
        let rate = Rate { burst: u32::MAX, per_second: u32::MAX };
        let mut bucket = Bucket::default();
        assert!(bucket.try_take(Timestamp::NEVER, rate, u64::MAX));
        assert!(bucket.next_at(rate) > Timestamp::ZERO);
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Bucket>(), 16);
    }
}
