//! For tests: compares the table of rooms with the packets in the log.

use super::{Extra, RecoveryBuffer};
use crate::recovery::rooms::Expected;

impl RecoveryBuffer {
    /// Panics unless the table of rooms contains exactly what the sessions and the log say.
    /// `expected` contains the sessions.
    pub(crate) fn audit_rooms(&self, mut expected: Expected) {
        for sequence in self.evicted.saturating_add(1)..=self.head() {
            let (entry, extra) = self.entry(sequence).unwrap();
            let asks = extra.is_some_and(Extra::asks);
            expected.packet(sequence, entry.targets(extra), entry.except(extra), asks);
        }
        self.rooms.audit(&expected, self.evicted);
    }
}
