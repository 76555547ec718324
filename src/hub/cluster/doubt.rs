//! Sessions of this node that another node may have, and that nothing but an answer of all nodes can prove.
//!
//! A node takes a record out of the store, the reply is lost, and the record is not there. Either the lost command
//! has taken it, or a node that had claimed the session before. The node asks with a claim of its own. The others
//! read it behind everything that this node has emitted, so each knows then whether it has the session:
//!
//! * one that has it hands it over, or refuses because its client is there: the copy of this node is old;
//! * all others say that they do not have it. If all have said so, the session goes on here.
//!
//! The store has no record. So a claim that another node still waits with can get the session only from here, and is
//! answered after that.

use core::time::Duration;

use super::{claim::ClaimEntry, claims::Priority};
use crate::{
    cluster::message::{Body, Message, OwnKind, Value},
    hub::{Hub, request::ConnectRequest},
    id::SocketKey,
    time::Timestamp,
};

/// When a node that waits for the others looks again which of them there are. It is long enough for them to introduce
/// themselves.
const AGAIN: Duration = Duration::from_secs(1);

impl<D: Default> Hub<D> {
    /// Asks all nodes whether one of them has a session of this node.
    pub(super) fn ask_others(&mut self, socket: SocketKey) {
        let (now, id) = (self.now, socket.namespace);
        let covered = self.covered(id);
        let timeout = self.config.recovery.as_ref().and_then(|it| it.lookup_timeout);
        let Some(((key, covered), node)) = self.key_of(socket).zip(covered).zip(self.node.as_mut())
        else {
            return;
        };
        let until = now.saturating_add(timeout.unwrap_or_default());
        let request = ConnectRequest::nobody(id);
        let number = node.claims.add(now, (key, None, Priority::Yields), request, until);
        // After the lost connection, it does not know yet which nodes there are.
        let introduced = node.members.introduced_at(id).unwrap_or_default();
        node.claims.doubt(number, socket, introduced.max(now));
        node.records.ask_others(socket);
        let entry =
            ClaimEntry { number, pid: key, offset: None, covered, yields: true, doubts: true };
        let data = Value::new(&entry).unwrap_or(Value::null());
        let bytes = data.json().len();
        if self.append(id, Body::Own { kind: OwnKind::Claim, data }, bytes).is_err()
            && let Some(node) = &mut self.node
        {
            // The next client that comes for the session asks again.
            node.claims.remove(number);
        }
    }

    /// Another node asks whether this one has a session.
    pub(super) fn answer_doubt(
        &mut self,
        now: Timestamp,
        id: u32,
        message: &Message,
        claim: &ClaimEntry,
    ) {
        let Some(node) = &self.node else { return };
        let held = self.keys.get(&claim.pid.index_key()).copied();
        if let Some(socket) = held {
            if self.connects.is_deciding(socket) || self.is_wanted(claim.pid) {
                return self.supersede(id, &message.sender, claim);
            }
            return self.hand_over(now, id, &message.sender, claim);
        }
        // It may be on its way here.
        if !node.claims.is_taken(claim.pid) && !node.answered.is_overtaken(claim.pid) {
            self.tell_absent(id, &message.sender, claim.number);
        }
    }

    /// This node may know by now which nodes there are, and which of them have died.
    pub(super) fn reconsider(&mut self, number: u64, socket: SocketKey) {
        self.end_if_absent(number);
        let again = self.now.saturating_add(AGAIN);
        let Some(node) = &mut self.node else { return };
        if node.records.is_asking(socket) {
            node.claims.doubt(number, socket, again);
        } else {
            node.claims.remove(number);
        }
    }

    /// No other node has a session that was in doubt.
    pub(super) fn end_doubt(&mut self, number: u64, socket: SocketKey) {
        let Some(node) = &mut self.node else { return };
        node.claims.remove(number);
        let absolved = node.records.absolved(socket);
        self.go_on_with(socket, absolved);
        self.answer_unanswered(socket);
    }
}
