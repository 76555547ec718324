//! The timers of a hub: when they are due, and what they do.

use core::time::Duration;

use super::Hub;
use crate::{grace::Grace, time::Timestamp, timers::Timers};

impl<D: Default> Hub<D> {
    /// Runs the timers that are due: expires sessions and packets, times out acknowledgements and
    /// lookups, and accepts queued recoveries. Early and repeated calls are harmless. After a late
    /// call, timers that wait for clients wait for one more [grace period](crate::engine#time),
    /// because messages of the clients may still be on their way from links. It does not delay the
    /// timeouts of acknowledgements that are asked for after that call.
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
        self.handle_late_timeout(now, now.saturating_since(self.timer()));
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
        let deadline = self.judging_at();
        if deadline <= now {
            self.judge(now, deadline, lateness);
        } else if deadline < Timestamp::NEVER && Grace::is_late(lateness) {
            self.protect_before(now, deadline, lateness);
        } else if self.is_clustered() {
            self.end_overdue_requests(now, self.grace.ends_at());
        }
        if self.is_clustered() {
            self.ask_store();
            self.report_handover();
        }
    }

    /// Something is due that waits for a client or the application: ends it, or begins a grace period.
    #[inline(never)]
    fn judge(&mut self, now: Timestamp, deadline: Timestamp, lateness: Duration) {
        let (grace, longest) = (self.grace.ends_at(), self.config.ping_timeout);
        let may_judge = self.grace.may_judge_after(lateness, now, deadline, longest);
        let prompt_is_late = lateness.max(now.saturating_since(self.prompt.deadline()));
        if self.grace.ends_at() != grace || !may_judge && Grace::is_late(prompt_is_late) {
            self.hold_acks();
        }
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
        while let Some(id) = self.prompt.pop_due(now) {
            if let Some(namespace) = self.namespaces.get_mut(&id) {
                namespace.armed_promptly = Timestamp::NEVER;
                namespace.time_out_acks(now, &mut self.out, may_judge);
            }
            self.settle(id);
        }
        if may_judge && self.is_clustered() {
            self.end_overdue_recalls(now);
        }
    }

    /// Timers of the owner were late, but none of this hub. What clients have sent before may be read only
    /// behind the next one.
    #[inline(never)]
    fn protect_before(&mut self, now: Timestamp, deadline: Timestamp, lateness: Duration) {
        let longest = self.config.ping_timeout;
        if self.grace.begins_before(lateness, now, deadline, longest) || now < self.grace.ends_at()
        {
            self.hold_acks();
        }
        if self.is_clustered() {
            self.end_overdue_requests(now, self.grace.ends_at());
        }
    }

    /// A grace period has begun. It concerns the acknowledgements that are waited for: those that are asked
    /// for from now on have all of their time, and not more.
    fn hold_acks(&mut self) {
        self.prompt = Timers::new();
        for namespace in self.namespaces.values_mut() {
            namespace.acks.hold();
            namespace.armed_promptly = Timestamp::NEVER;
        }
    }

    /// In a grace period: an acknowledgement that was asked for since it began may time out.
    #[cold]
    pub(super) fn arm_promptly(&mut self, id: u32) {
        if let Some(namespace) = self.namespaces.get_mut(&id) {
            let deadline = namespace.acks.prompt_deadline();
            self.prompt.arm(id, &mut namespace.armed_promptly, deadline);
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
        let (due, grace) = (self.judging_at(), self.grace.ends_at());
        let due = if due < grace { self.prompt.deadline().min(grace) } else { due };
        due.min(others)
    }

    /// When the next timer that waits for a client or the application is due.
    fn judging_at(&self) -> Timestamp {
        let due = self.timers.deadline().min(self.connects.overdue_at());
        if self.is_clustered() { due.min(self.cluster_due()) } else { due }
    }
}
