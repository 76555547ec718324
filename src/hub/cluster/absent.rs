//! Claims of sessions that nobody has.
//!
//! A node that reads a claim and does not have the session says so to the claimant, by a message that
//! is not stored, also if it does not have the namespace: a session may be on its way there. If all
//! nodes have said it, and the store has no record, the claimant need not wait
//! for [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout). So made-up private ids are cheap.

use super::{
    claim::{ClaimEntry, Successor},
    pending::{Pending, Priority},
};
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
        let is_coming = self
            .node
            .as_ref()
            .is_some_and(|node| node.claims.is_claimed(key) || node.answered.is_overtaken(key));
        self.keys.get(&key.index_key()).is_none() && !is_coming
    }

    /// Tells a claimant that this node does not have the session.
    pub(super) fn tell_absent(&mut self, id: u32, to: &NodeId, number: u64) {
        if let Ok(data) = Value::new(&number) {
            let body = Body::Own { kind: OwnKind::RecordAbsent, data };
            self.publish(id, Some(to.clone()), body);
        }
    }

    /// Tells the claimant of a session in a namespace that is not here. Nodes that know this one from
    /// another namespace wait for that.
    pub(super) fn answer_elsewhere(&mut self, message: &Message) {
        let Body::Own { kind: OwnKind::Claim, data } = &message.body else { return };
        let Ok(ClaimEntry { number, pid, .. }) = data.parse() else { return };
        let channel = self.channel_of(&message.namespace);
        if !self.is_absent(pid) {
            return;
        }
        if let (Some(channel), Ok(data)) = (self.channel_mut(channel), Value::new(&number)) {
            let body = Body::Own { kind: OwnKind::RecordAbsent, data };
            channel.publish(Some(message.sender.clone()), message.namespace.clone(), body);
        }
        self.take_commands(channel);
    }

    /// Another node does not have the session of a claim.
    pub(super) fn note_absent(&mut self, message: &Message, data: &Value) {
        let Ok(number) = data.parse::<u64>() else { return };
        let Some(node) = &mut self.node else { return };
        let Some(pending) = node.claims.get_mut(number) else { return };
        if pending.doubt.is_some() {
            return self.note_denied(number, message);
        }
        let is_member = node.members.has(&message.sender);
        if let Some(absent) = pending.absent.as_mut().filter(|_| is_member) {
            absent.insert(message.sender.clone());
            self.end_if_absent(number);
            self.use_held_record(number);
        }
    }

    /// The store has no record of the session of a claim.
    pub(super) fn note_no_record(&mut self, number: u64) {
        let pending = self.node.as_mut().and_then(|node| node.claims.get_mut(number));
        if let Some(pending) = pending {
            pending.lookup.has_none = true;
            self.end_if_absent(number);
        }
    }

    /// Ends the wait of a claim if nobody can have the session, and that of the other claims of the
    /// session. An answer that comes nevertheless still brings the session here.
    pub(super) fn end_if_absent(&mut self, number: u64) {
        if let Some(key) = self.node.as_ref().and_then(|node| node.claims.key(number)) {
            self.end_all_absent(key);
        }
    }

    /// Ends the wait of all claims of a session that nobody can have.
    pub(super) fn end_all_absent(&mut self, key: RecoveryKey) {
        let numbers = self.node.as_ref().map(|node| node.claims.numbers(key));
        for number in numbers.unwrap_or_default() {
            let Some((request, has_no_record)) = self.no_node_has(number) else { continue };
            if has_no_record {
                self.end_lookup(self.now, request, RecoveryRefusal::Unknown);
            } else {
                self.fetch_record(number);
            }
        }
    }

    /// The request of a claim, if no node can have the session, and whether the store has no record of
    /// it. `None` if that is not known yet.
    fn no_node_has(&self, number: u64) -> Option<(ConnectRequest, bool)> {
        let node = self.node.as_ref()?;
        let pending = node.claims.get(number)?;
        if pending.doubt.is_some() || node.claims.has_asked_again(number, pending) {
            // What the others have answered before says nothing any more.
            return None;
        }
        let is_introduced = node.members.introduced_at(pending.request.namespace)? <= self.now;
        let is_known = pending.lookup.has_none
            || pending.priority == Priority::Yields && pending.lookup.found.is_none();
        // It may come once more for a claim that was answered already.
        let is_coming = node.answered.is_overtaken(pending.key);
        // An earlier claim of this node may have got it.
        let mut earlier = node.claims.before(pending);
        let is_absent = is_known
            && !is_coming
            && is_introduced
            && self.others_lack(pending)
            && earlier.all(|earlier| earlier.lookup.has_none && self.others_lack(earlier));
        is_absent.then_some((pending.request, pending.lookup.has_none))
    }

    /// Whether no other node has the session of a claim.
    pub(super) fn others_lack(&self, pending: &Pending<Successor>) -> bool {
        let node = self.node.as_ref().zip(pending.absent.as_ref());
        node.is_some_and(|(node, absent)| node.members.ours().all(|it| absent.contains(it)))
    }
}
