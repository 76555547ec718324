//! How long claims wait for the engine.
//!
//! [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout) is the time of a node that may have the session: it
//! may have crashed. An engine that is connected answers, but many clients that come back at once wait for each other
//! there. That is no reason to refuse them. So a claim goes on while its entry was not read yet, or while the store
//! has not answered, but not forever.

use crate::{
    hub::{Hub, request::ConnectRequest},
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// Until when a claim, whose time is over, goes on because the engine has to answer. `None` if it
    /// need not.
    pub(in crate::hub) fn waits_for_engine(
        &mut self,
        now: Timestamp,
        request: ConnectRequest,
    ) -> Option<Timestamp> {
        let until = self.engine_has_until(now)?;
        let lookup = self.connects.get(request)?.lookup.as_ref()?;
        let (key, limit) = (lookup.key, lookup.wait.limit);
        let is_behind = self.is_behind(request.namespace);
        let node = self.node.as_mut()?;
        let is_awaited = |number: &u64| {
            let pending = node.claims.get(*number).filter(|pending| pending.request == request);
            let is_early = || node.early_records.contains(number);
            pending.is_some_and(|pending| pending.awaits_engine(is_behind) || is_early())
        };
        let number = node.claims.numbers(key).into_iter().find(is_awaited)?;
        node.claims.prolong(number, until.min(limit));
        Some(until)
    }

    /// Until when the engine may answer what takes longer than other nodes may. `None` if it is away.
    pub(in crate::hub) fn engine_has_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.node.as_ref().filter(|node| node.channels.are_open())?;
        let timeout = self.config.recovery.as_ref()?.lookup_timeout?;
        Some(now.saturating_add(timeout))
    }
}
