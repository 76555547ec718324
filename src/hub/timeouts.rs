//! The timers of a hub: when they are due, and what they do.

use core::time::Duration;

use super::Hub;
use crate::time::Timestamp;

impl<D: Default> Hub<D> {
    /// Runs the timers that are due: expires sessions and packets, times out acknowledgements and
    /// lookups, and accepts queued recoveries. Early and repeated calls are harmless. After a late
    /// call, timers that wait for clients wait for one more [grace period](crate::engine#time),
    /// because messages of the clients may still be on their way from links.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::hub::{Audience, Hub};
    /// # let now = Timestamp::ZERO;
    /// # let mut hub = Hub::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// if hub.deadline().is_some_and(|deadline| deadline <= now) {
    ///     hub.handle_timeout(now);
    /// }
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_late_timeout(now, Duration::ZERO);
    }

    /// As [`handle_timeout`](Self::handle_timeout), for an owner whose timers are late by
    /// `lateness`.
    pub(crate) fn handle_late_timeout(&mut self, now: Timestamp, lateness: Duration) {
        let now = self.advance(now);
        if self.is_clustered() {
            self.run_cluster_timers(now);
        }
        self.serve_claims(now);
        self.end_released(now);
        let (deadline, longest) = (self.judging_at(), self.config.ping_timeout);
        let may_judge = self.grace.may_judge_after(lateness, now, deadline, longest);
        if may_judge {
            self.release_overdue(now);
            self.end_overdue_lookups(now);
        }
        if self.is_clustered() {
            if may_judge {
                self.end_overdue_members(now);
            }
            self.end_overdue_requests(now, self.grace.ends_at());
        }
        while may_judge && let Some(id) = self.timers.pop_due(now) {
            if let Some(namespace) = self.namespaces.get_mut(&id) {
                namespace.armed = Timestamp::NEVER;
                namespace.handle_timeout(now, &mut self.out);
            }
            self.expire(now, id);
            self.settle(id);
        }
        if self.is_clustered() {
            if may_judge {
                self.end_overdue_recalls(now);
            }
            self.ask_store();
            self.report_handover();
        }
    }

    /// Returns when to call [`Hub::handle_timeout`]. The time is in the past while there is output.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::hub::{Audience, Hub};
    /// # let now = Timestamp::ZERO;
    /// # let mut hub = Hub::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// assert_eq!(hub.deadline(), None, "nobody is waited for");
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.out.is_empty() {
            return Some(self.now);
        }
        self.timer().finite()
    }

    /// The earliest timer of the hub, whether or not there is output.
    pub(crate) fn timer(&self) -> Timestamp {
        let mut others = self.connects.deadline();
        if self.is_clustered() {
            others = others.min(self.cluster_timer());
        }
        self.grace.postpone(self.judging_at()).min(others)
    }

    /// When the next timer that waits for a client or the application is due.
    fn judging_at(&self) -> Timestamp {
        let due = self.timers.deadline().min(self.connects.overdue_at());
        if self.is_clustered() { due.min(self.cluster_due()) } else { due }
    }
}
