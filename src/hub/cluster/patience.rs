//! How long claims wait for the engine.
//!
//! [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout) is the time of a node that may have the session: it
//! may have crashed. An engine that is connected answers, but many clients that come back at once wait for each other
//! there. That is no reason to refuse them. So a claim goes on while its entry was not read yet, or while the store
//! has not answered, but not forever.
//!
//! A node that crashes while it owes an answer can have stored the session before. The claimant has asked the store
//! earlier than that, so it asks once more before it refuses the claim.

use super::pending::Pending;
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
        let numbers = node.claims.numbers(key);
        let number = match numbers.iter().copied().find(is_awaited) {
            Some(number) => number,
            None => self.look_once_more(request, &numbers)?,
        };
        let node = self.node.as_mut()?;
        node.claims.prolong(number, until.min(limit));
        Some(until)
    }

    /// Asks the store for the last time. Returns the claim for which it is asked. `None` if it was asked already, or
    /// need not be.
    fn look_once_more(&mut self, request: ConnectRequest, numbers: &[u64]) -> Option<u64> {
        let node = self.node.as_mut()?;
        let number = numbers.iter().copied().rev().find(|number| {
            let pending = node.claims.get_mut(*number).filter(|it| it.request == request);
            pending.is_some_and(Pending::begin_last_look)
        })?;
        self.fetch_record(number);
        Some(number)
    }

    /// The store was asked once more for a claim whose time is over, and its record is of no use.
    pub(super) fn end_in_vain(&mut self, number: u64) {
        let pending = self.node.as_ref().and_then(|node| node.claims.get(number));
        if let Some(request) = pending.filter(|it| it.has_looked_again).map(|it| it.request) {
            let refusal = self.refusal_without_answer(request);
            self.end_lookup(self.now, request, refusal);
        }
    }

    /// Until when the engine may answer what takes longer than other nodes may. `None` if it is away.
    pub(in crate::hub) fn engine_has_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.node.as_ref().filter(|node| node.channels.are_open())?;
        let timeout = self.config.recovery.as_ref()?.lookup_timeout?;
        Some(now.saturating_add(timeout))
    }
}
