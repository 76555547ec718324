//! Claims of sessions that nobody has.
//!
//! A node that reads a claim and does not have the session says so to the claimant, by a message that
//! is not stored. If all nodes have said it, and the store has no record, the claimant need not wait
//! for [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout). So made-up private ids are cheap.

use crate::{
    cluster::message::{Body, Message, NodeId, OwnKind, Value},
    hub::{Hub, request::ConnectRequest},
    id::RecoveryKey,
    recovery::RecoveryRefusal,
};

impl<D: Default> Hub<D> {
    /// Whether a session is not here, and not on its way here. If it is on its way, a later claimant
    /// gets it from here.
    pub(super) fn is_absent(&self, key: RecoveryKey) -> bool {
        let is_coming = self.node.as_ref().is_some_and(|node| node.claims.is_claimed(key));
        self.keys.get(&key.index_key()).is_none() && !is_coming
    }

    /// Tells a claimant that this node does not have the session.
    pub(super) fn tell_absent(&mut self, id: u32, to: &NodeId, number: u64) {
        if let Ok(data) = Value::new(&number) {
            let body = Body::Own { kind: OwnKind::RecordAbsent, data };
            self.publish(id, Some(to.clone()), body);
        }
    }

    /// Another node does not have the session of a claim.
    pub(super) fn note_absent(&mut self, message: &Message, data: &Value) {
        let Ok(number) = data.parse::<u64>() else { return };
        let Some(node) = &mut self.node else { return };
        let Some(pending) = node.claims.get_mut(number) else { return };
        let is_member = {
            let mut members = node.members.ours(pending.request.namespace);
            members.any(|member| *member == message.sender)
        };
        if is_member {
            pending.absent.insert(message.sender.clone());
            self.end_if_absent(number);
        }
    }

    /// The store has no record of the session of a claim.
    pub(super) fn note_no_record(&mut self, number: u64) {
        let pending = self.node.as_mut().and_then(|node| node.claims.get_mut(number));
        if let Some(pending) = pending {
            pending.has_no_record = true;
            self.end_if_absent(number);
        }
    }

    /// Ends the wait of a claim if nobody can have the session. An answer that comes nevertheless
    /// still brings the session here.
    fn end_if_absent(&mut self, number: u64) {
        if let Some(request) = self.nobody_has(number) {
            self.end_lookup(self.now, request, RecoveryRefusal::Unknown);
        }
    }

    /// The request of a claim, if nobody can have the session.
    fn nobody_has(&self, number: u64) -> Option<ConnectRequest> {
        let node = self.node.as_ref()?;
        let pending = node.claims.get(number)?;
        let id = pending.request.namespace;
        let is_introduced = node.members.introduced_at(id)? <= self.now;
        let is_absent = pending.has_no_record
            && is_introduced
            && node.members.ours(id).all(|member| pending.absent.contains(member));
        is_absent.then_some(pending.request)
    }
}
