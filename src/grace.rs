//! The grace period: extra time for peers if the owner of a machine looks at the clock too late.
//!
//! A machine sees no socket. If its owner did not run for a while (a stopped process, a suspended
//! virtual machine, a handler that blocked, a clock that jumped forward), data that a peer sent in
//! time may still wait in a socket when the deadline is noticed. So a deadline that is noticed late
//! ends nothing yet. It is judged at the end of a grace period, which is as long as the delay,
//! within bounds. Only the clock of the owner can cause one; no peer can.
//!
//! ```text
//!        deadline        noticed            judged
//!  ─────────┼───────────────┼──────────────────┼─────▶
//!           │◀─── late ────▶│◀─ grace period ─▶│
//! ```

use core::time::Duration;

use crate::time::Timestamp;

/// How late a timer may be without a doubt. Timers of a busy machine are late by a few milliseconds,
/// and a peer that was silent for the whole of its time did not save its answer for the last of them.
const TIMER_SLACK: Duration = Duration::from_millis(5);
/// The shortest grace period. A deadline may have passed right before the owner ran again, and to
/// read what waits takes time even so.
const SHORTEST: Duration = Duration::from_millis(100);

/// The grace period of one machine.
#[derive(Debug, Default)]
pub(crate) struct Grace {
    /// The end of the last grace period.
    until: Timestamp,
}

impl Grace {
    /// Whether deadlines for a peer may be judged at `now`. `deadline` is the earliest of them. If
    /// it was noticed late, a grace period of at most `longest` starts instead.
    pub(crate) fn may_judge(
        &mut self,
        now: Timestamp,
        deadline: Timestamp,
        longest: Duration,
    ) -> bool {
        self.may_judge_after(Duration::ZERO, now, deadline, longest)
    }

    /// The same for an owner that is known to be late by `lateness`, even if this deadline has only
    /// just passed.
    #[inline]
    pub(crate) fn may_judge_after(
        &mut self,
        lateness: Duration,
        now: Timestamp,
        deadline: Timestamp,
        longest: Duration,
    ) -> bool {
        if now < deadline {
            return false;
        }
        let due = self.postpone(deadline);
        let late = now.saturating_since(due).max(lateness);
        if due <= now && late > self.tolerated(deadline) {
            self.until = end_of_period(now, late, longest);
        }
        // A period of zero length is over at once.
        self.postpone(deadline) <= now
    }

    /// The owner is late by `lateness`, and `deadline` is the next one for a peer. If data that waits may
    /// be read only behind it, a grace period begins. Returns whether one did.
    ///
    /// It begins once for a deadline: an owner that is always late does not move the end on and on.
    pub(crate) fn begins_before(
        &mut self,
        lateness: Duration,
        now: Timestamp,
        deadline: Timestamp,
        longest: Duration,
    ) -> bool {
        let until = end_of_period(now, lateness, longest);
        let begins = Self::is_late(lateness) && self.until < deadline && deadline < until;
        if begins {
            self.until = until;
        }
        begins
    }

    /// Whether `deadline` can be judged at `now`: it has passed, and it was not noticed so late
    /// that a grace period comes first.
    pub(crate) fn is_timely(&self, now: Timestamp, deadline: Timestamp) -> bool {
        let due = self.postpone(deadline);
        due <= now && now.saturating_since(due) <= self.tolerated(deadline)
    }

    /// Whether a timer is so late that an owner may not have run for a while.
    pub(crate) fn is_late(late: Duration) -> bool {
        late > TIMER_SLACK
    }

    /// How late the owner may be. An owner that is later than this at the end of a grace period did
    /// not run for a while again. This grows with the time since the deadline, so that an owner
    /// whose timers are always late does not keep lost peers alive forever.
    fn tolerated(&self, deadline: Timestamp) -> Duration {
        let so_far = self.until.saturating_since(deadline);
        if so_far.is_zero() { TIMER_SLACK } else { SHORTEST.max(so_far / 4) }
    }

    /// The end of the last grace period.
    pub(crate) const fn ends_at(&self) -> Timestamp {
        self.until
    }

    /// The moment at which a deadline is judged.
    pub(crate) fn postpone(&self, deadline: Timestamp) -> Timestamp {
        deadline.max(self.until)
    }
}

/// When a grace period ends that begins now.
#[inline]
fn end_of_period(now: Timestamp, late: Duration, longest: Duration) -> Timestamp {
    now.saturating_add(late.max(SHORTEST).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(20);

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_timer_that_is_a_little_late_judges() {
        let mut grace = Grace::default();
        assert!(!grace.may_judge(at(999), at(1_000), LONGEST));
        assert!(grace.may_judge(at(1_000), at(1_000), LONGEST));
        assert!(grace.may_judge(at(1_005), at(1_000), LONGEST));
        assert_eq!(grace.postpone(at(1_000)), at(1_000));
    }

    #[test]
    fn a_grace_period_is_as_long_as_the_notice_was_late_within_bounds() {
        for (late, period) in [(6, 100), (100, 100), (700, 700), (20_000, 20_000), (90_000, 20_000)]
        {
            let mut grace = Grace::default();
            let now = 1_000 + late;
            assert!(!grace.may_judge(at(now), at(1_000), LONGEST), "{late} ms late");
            assert_eq!(grace.postpone(at(1_000)), at(now + period), "{late} ms late");
            assert!(!grace.may_judge(at(now + period - 1), at(1_000), LONGEST));
            assert!(grace.may_judge(at(now + period), at(1_000), LONGEST));
        }
        let mut grace = Grace::default();
        assert!(!grace.may_judge(at(9_000), at(1_000), Duration::from_millis(50)));
        assert_eq!(grace.postpone(at(1_000)), at(9_050), "not longer than the peer is waited for");
    }

    #[test]
    fn the_end_of_a_grace_period_is_met_by_a_busy_owner_too() {
        let mut grace = Grace::default();
        assert!(!grace.may_judge(at(1_010), at(1_000), LONGEST));
        assert!(grace.may_judge(at(1_210), at(1_000), LONGEST), "100 ms late at its end");
        assert!(!grace.may_judge(at(1_211), at(1_000), LONGEST), "stopped once more");
        assert_eq!(grace.postpone(at(1_000)), at(1_312));
    }

    /// Found by the simulator: with timers that were late each time, who was gone lived for ever.
    #[test]
    fn an_owner_who_is_always_late_judges_all_the_same() {
        for late in [101, 500, 3_000] {
            let mut grace = Grace::default();
            let mut now = 1_000 + late;
            let mut periods = 0;
            while !grace.may_judge(at(now), at(1_000), LONGEST) {
                periods += 1;
                now = grace.postpone(at(1_000)).as_micros() / 1_000 + late;
            }
            assert_eq!(periods, 2, "{late} ms late each time");
            let next = now + 8_000;
            assert!(!grace.may_judge(at(next + late), at(next), LONGEST), "the next deadline");
        }
    }

    #[test]
    fn a_pause_begins_a_grace_period_for_what_is_due_soon_after_it() {
        let late = |millis| Duration::from_millis(millis);
        for (lateness, deadline, until) in
            [(6, 1_001, 1_100), (5, 1_001, 0), (6, 1_100, 0), (700, 1_699, 1_700), (700, 1_700, 0)]
        {
            let mut grace = Grace::default();
            let begins = grace.begins_before(late(lateness), at(1_000), at(deadline), LONGEST);
            assert_eq!((begins, grace.ends_at()), (until > 0, at(until)), "{lateness} {deadline}");
        }
        let mut grace = Grace::default();
        assert!(grace.begins_before(late(700), at(1_000), at(1_500), LONGEST));
        assert!(!grace.begins_before(late(700), at(1_400), at(1_500), LONGEST), "once");
        assert!(grace.may_judge(at(1_700), at(1_500), LONGEST));
        assert!(grace.begins_before(late(90_000), at(2_000), at(2_010), LONGEST));
        assert_eq!(grace.ends_at(), at(22_000), "within bounds");
    }

    #[test]
    fn a_period_without_a_length_is_none() {
        let mut grace = Grace::default();
        assert!(grace.may_judge(at(2_000), at(1_000), Duration::from_nanos(1)));
    }
}
