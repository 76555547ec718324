//! How long a claim waits.

use core::time::Duration;

use crate::time::Timestamp;

/// How many times as long a claim waits for the engine of a cluster as for other nodes.
const PATIENCE: u32 = 10;

/// The time of a claim, which the engine of a cluster can prolong.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// When it is over.
    pub(super) until: Timestamp,
    /// When it is over although the engine has still to answer.
    pub(super) limit: Timestamp,
}

impl Wait {
    pub(super) fn new(now: Timestamp, timeout: Duration) -> Self {
        let limit = now.saturating_add(timeout.saturating_mul(PATIENCE));
        Self { until: now.saturating_add(timeout), limit }
    }

    /// It lasts until `until`, or until its limit. Returns its end before and now; `None` if the limit was reached.
    pub(super) fn prolong(&mut self, until: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let before = self.until;
        if before >= self.limit {
            return None;
        }
        self.until = until.min(self.limit);
        Some((before, self.until))
    }
}
