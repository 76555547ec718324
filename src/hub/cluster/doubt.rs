//! Sessions of this node that another node may have, which nothing but the answers of the others can tell.
//!
//! A node takes a record out of the store, the reply is lost, and the record is not there. Either the lost command
//! has taken it, or a node that had claimed the session before. The node asks with a claim of its own. The others
//! read it behind everything that this node has emitted, so each knows then whether it has the session:
//!
//! * one that has it hands it over, or refuses because its client is there: the copy of this node is old;
//! * one that has got it with the record before, and does not have it any more, refuses as well;
//! * the others say that they do not have it. If all processes that have claimed it have said so, the session goes on
//!   here. If one of them has died, it may have died with the session, so the copy of this node is not used.
//!
//! The store has no record. So a claim that another node still waits with can get the session only from here, and is
//! answered after that.

use alloc::vec::Vec;
use core::time::Duration;

use super::{
    claim::ClaimEntry,
    pending::{Doubt, Priority, Process, process_of},
    records::Recalled,
};
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
    /// All nodes are asked whether one of them has a session of this node.
    pub(super) fn ask_others(&mut self, socket: SocketKey) {
        let (now, id) = (self.now, socket.namespace);
        let timeout = self.config.recovery.as_ref().and_then(|it| it.lookup_timeout);
        let Some((key, node)) = self.key_of(socket).zip(self.node.as_mut()) else { return };
        let until = now.saturating_add(timeout.unwrap_or_default());
        let request = ConnectRequest::nobody(id);
        let number = node.claims.add(now, (key, None, Priority::Yields), request, until);
        // After the lost connection, it does not know yet which nodes there are.
        let introduced = node.members.introduced_at(id).unwrap_or_default();
        node.claims.doubt(number, socket);
        node.claims.look_again(number, introduced.max(now));
        node.records.ask_others(socket);
        self.ask(number, socket);
    }

    /// Appends the question, if there is room for it.
    fn ask(&mut self, number: u64, socket: SocketKey) {
        let id = socket.namespace;
        let Some((pid, covered)) = self.key_of(socket).zip(self.covered(id)) else { return };
        let in_store = self.node.as_ref().and_then(|node| node.records.in_store(socket));
        let doubts = in_store.map_or_else(Vec::new, |it| it.versions().into_vec());
        let entry = ClaimEntry { number, pid, offset: None, covered, yields: true, doubts };
        let data = Value::new(&entry).unwrap_or(Value::null());
        let bytes = data.json().len();
        let is_asked = self.append(id, Body::Own { kind: OwnKind::Claim, data }, bytes).is_ok();
        let pending = self.node.as_mut().and_then(|node| node.claims.get_mut(number));
        if let Some(doubt) = pending.and_then(|pending| pending.doubt.as_mut()) {
            doubt.is_asked = is_asked;
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
        if node.void.has(claim.pid, &claim.doubts) {
            // It has gone on here since.
            return self.supersede(id, &message.sender, claim);
        }
        // It may be on its way here.
        if !node.claims.is_taken(claim.pid) && !node.answered.is_overtaken(claim.pid) {
            self.tell_absent(id, &message.sender, claim.number);
        }
    }

    /// A process does not have the session that this node asks about.
    pub(super) fn note_denied(&mut self, number: u64, message: &Message) {
        let pending = self.node.as_mut().and_then(|node| node.claims.get_mut(number));
        let doubt = pending.and_then(|pending| pending.doubt.as_mut());
        let Some((doubt, process)) = doubt.zip(process_of(message)) else { return };
        if !doubt.denied.contains(&process) {
            doubt.denied.push(process);
        }
        self.weigh_doubt(number);
    }

    /// There may be room for the question by now, or a node has died.
    pub(super) fn reconsider(&mut self, number: u64) {
        let Some(node) = &mut self.node else { return };
        let doubt = node.claims.get(number).and_then(|pending| pending.doubt.as_ref());
        let Some(doubt) = doubt.filter(|doubt| node.records.is_asking(doubt.socket)) else {
            return;
        };
        let (socket, is_asked) = (doubt.socket, doubt.is_asked);
        node.claims.look_again(number, self.now.saturating_add(AGAIN));
        if is_asked { self.weigh_doubt(number) } else { self.ask(number, socket) }
    }

    /// Goes on with a session in doubt if all processes that have claimed it have answered, or if one of them cannot
    /// answer any more: it may have had the session.
    pub(super) fn weigh_doubt(&mut self, number: u64) {
        let Some(node) = &self.node else { return };
        let Some(pending) = node.claims.get(number).filter(|it| it.position.is_some()) else {
            return;
        };
        let doubt = pending.doubt.as_ref().filter(|doubt| node.records.is_asking(doubt.socket));
        let Some(Doubt { socket, denied, .. }) = doubt else { return };
        let socket = *socket;
        let introduced = node.members.introduced_at(socket.namespace);
        let is_introduced = introduced.is_some_and(|at| at <= self.now);
        let is_dead = |process: &Process| {
            let mut same_name = denied.iter().filter(|other| other.0 == process.0);
            let is_replaced = same_name.any(|other| other.1 != process.1);
            is_replaced || is_introduced && !node.members.has(&process.0)
        };
        let waits_for = |process: &&Process| !denied.contains(process);
        let claimants = node.records.contests.claimants(socket);
        let waiting = claimants.into_iter().flatten().filter(waits_for);
        let is_lost = claimants.is_none() || waiting.clone().any(is_dead);
        if is_lost {
            return self.go_on_with(socket, Recalled::Elsewhere);
        }
        if waiting.count() > 0 || node.answered.is_overtaken(pending.key) {
            return;
        }
        let Some(node) = &mut self.node else { return };
        node.claims.remove(number);
        let absolved = node.records.absolved(socket);
        self.go_on_with(socket, absolved);
        self.answer_unanswered(socket);
    }
}
