//! How a session goes to the node that claims it.
//!
//! The owner packs the session into an entry of the channel, and has it no longer. The claimant reads the
//! entry, and brings the session in. See [`claim`](super::claim).

use alloc::{boxed::Box, string::String};

use serde::{Deserialize, Serialize};

use super::{
    ahead::Versions,
    changes::Forgotten,
    claim::{ClaimEntry, Successor},
    codes::{code, refusal},
    pending::Pending,
    placed::InStore,
};
use crate::{
    cluster::message::{Body, Message, NodeId, OwnKind, Value},
    hub::{
        Hub,
        namespace::Namespace,
        reason::EndCause,
        sessions::{Arrival, Change, Effect},
    },
    id::SocketKey,
    recovery::RecoveryRefusal,
    stats::increment,
    time::Timestamp,
};

/// The contents of [`OwnKind::RecordResponse`].
#[derive(Serialize, Deserialize)]
struct Handover {
    to: String,
    number: u64,
    /// The text of the session, or why it cannot be recovered.
    session: Result<String, u8>,
    /// The version of the record that may be in the store, and whether it certainly was there, or the one
    /// before it.
    #[serde(default)]
    stored: Option<(u64, bool)>,
    /// The version before it, which may still be there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    older: Option<u64>,
    /// The version of the record with which the session was taken out of the store. What another node has handed
    /// over together with that record does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<u64>,
}

impl<D: Default> Hub<D> {
    /// Hands a session over, if it is here.
    pub(super) fn hand_over(&mut self, now: Timestamp, id: u32, to: &NodeId, claim: &ClaimEntry) {
        let Some(socket) = self.keys.get(&claim.pid.index_key()).copied() else { return };
        let namespace = self.namespaces.get(&socket.namespace);
        let member = namespace.and_then(|namespace| namespace.member(socket));
        if member.and_then(|member| member.key) != Some(claim.pid) {
            return;
        }
        // Only the latest claim is answered.
        if let Some(node) = self.node.as_mut().filter(|node| node.deferred.is_claimed(socket)) {
            node.records.contests.note_rival(socket);
        }
        // What the application has done to it before has to be done here.
        let latest = || (id, (to.clone(), claim.clone()));
        if self.node.as_mut().is_some_and(|node| node.deferred.postpone(socket, latest)) {
            return self.contest_ahead(socket, claim);
        }
        // The application decides about a client that was here before.
        if self.connects.is_deciding(socket) {
            if let Some(node) = &mut self.node {
                node.deferred.await_decision(socket, latest());
            }
            return self.contest_ahead(socket, claim);
        }
        // What the store has is not certain.
        if self.durable().is_some_and(|durable| durable.ahead.postpone(socket, latest)) {
            return;
        }
        if let Some(node) = self.node.as_mut().filter(|node| node.records.awaits_answer(socket)) {
            return node.deferred.await_store(socket, latest());
        }
        let packed = self.pack(now, id, socket, claim);
        let is_handed_over = packed.is_ok();
        let Some(node) = &self.node else { return };
        let in_store = node.records.in_store(socket);
        // Another node may have taken it out of the store.
        if is_handed_over && in_store.is_some() && node.records.contests.is_refused(socket) {
            return self.leave_to_the_store(socket, in_store);
        }
        let session = packed.map_err(code);
        let stored = node.in_store(socket);
        let older = stored.and_then(|it| it.older);
        let stored = stored.map(|it| (it.version, it.was_there));
        let (to, number) = (to.as_str().into(), claim.number);
        let origin = node.records.origin(socket);
        let handover = Handover { to, number, session, stored, older, origin };
        let is_answered = self.answer_claim(id, &handover);
        if !(is_answered && is_handed_over) {
            if let Some(node) = self.node.as_mut().filter(|_| !claim.yields) {
                node.contest(socket);
            }
            if is_handed_over {
                self.leave_to_the_store(socket, in_store);
            }
            return;
        }
        let is_connected = self.close_link(socket);
        increment(&mut self.totals.sessions_moved);
        self.end(socket, EndCause::by_move(is_connected));
        self.settle(id);
    }

    /// Answers a claim that does not take the session from a client that has it.
    pub(super) fn supersede(&mut self, id: u32, to: &NodeId, claim: &ClaimEntry) {
        self.refuse_handover(id, to, claim, RecoveryRefusal::Superseded);
    }

    pub(super) fn refuse_handover(
        &mut self,
        id: u32,
        to: &NodeId,
        claim: &ClaimEntry,
        refusal: RecoveryRefusal,
    ) {
        let (to, session) = (to.as_str().into(), Err(code(refusal)));
        let number = claim.number;
        let handover = Handover { to, number, session, stored: None, older: None, origin: None };
        self.answer_claim(id, &handover);
    }

    /// Returns false if there is no room for the answer. Then the claim is not answered.
    fn answer_claim(&mut self, id: u32, handover: &Handover) -> bool {
        let Ok(data) = Value::new(handover) else { return false };
        let bytes = data.json().len();
        self.append(id, Body::Own { kind: OwnKind::RecordResponse, data }, bytes).is_ok()
    }

    fn pack(
        &self,
        now: Timestamp,
        id: u32,
        socket: SocketKey,
        claim: &ClaimEntry,
    ) -> Result<String, RecoveryRefusal> {
        if socket.namespace != id {
            return Err(RecoveryRefusal::OtherNamespace);
        }
        let node = self.node.as_ref().ok_or(RecoveryRefusal::Unknown)?;
        let namespace = self.namespaces.get(&id).ok_or(RecoveryRefusal::Unknown)?;
        if namespace.has_expired(now, socket) {
            return Err(RecoveryRefusal::Expired);
        }
        let offset = claim.offset.as_deref();
        let pack = node.codec.pack;
        let (text, resume) = pack(&namespace.sessions, now, socket.index, offset)?;
        if resume >= claim.covered { Ok(text) } else { Err(RecoveryRefusal::Gap) }
    }

    /// A session arrives, or was refused.
    pub(super) fn apply_handover(
        &mut self,
        now: Timestamp,
        id: u32,
        message: &Message,
        data: &Value,
    ) {
        let Ok(handover) = data.parse::<Handover>() else {
            increment(&mut self.totals.entries_skipped);
            return;
        };
        let Handover { to, number, mut session, stored, older, origin } = handover;
        let Some(node) = self.node.as_mut().filter(|it| it.channels.node().as_str() == to) else {
            return;
        };
        let key = node.claims.key(number).or_else(|| node.answered.key(number));
        let versions: Versions = stored.map(|stored| stored.0).into_iter().chain(older).collect();
        if key.is_some_and(|key| node.void.has(key, &versions)) {
            if node.claims.get(number).is_some_and(|pending| pending.doubt.is_some()) {
                // The copy of this node is newer.
                return self.note_denied(number, message);
            }
            session = Err(code(RecoveryRefusal::Superseded));
        }
        if let (Err(code), Some(pending)) = (&session, node.claims.get_mut(number))
            && pending.lookup.is_taken
        {
            // The record that is on its way here decides.
            pending.refused = Some(refusal(*code));
            return;
        }
        let unanswered = node.claims.remove(number).map(|pending| (pending, true));
        let once_more = |origin| node.answered.take(number, origin);
        // `is_first`: no session has come for it yet. It may have been refused.
        let Some((mut pending, is_first)) = unanswered.or_else(|| origin.and_then(once_more))
        else {
            return;
        };
        // What was found in the store is not needed any more.
        (pending.lookup.origin, pending.lookup.found) = (origin, None);
        if session.is_err() {
            node.answered.add_refused(number, pending.clone());
        } else if stored.is_some() {
            node.answered.add(number, pending.clone(), versions);
        }
        // A take of this node that is under way may get the record.
        let is_taken = pending.lookup.is_taken || node.claims.is_taken(pending.key);
        let in_store = stored.map(|(version, was_there)| {
            let is_certain = was_there && older.is_none() && !is_taken;
            // The session is as it is now, and its record as it was before.
            InStore { version, older, is_certain, was_there, is_outdated: true }
        });
        if let (Err(_), Some(doubt)) = (&session, &pending.doubt) {
            // The other node has it.
            return self.let_go(doubt.socket);
        }
        let arrived = match session {
            Ok(session) => {
                // What is still here has gone on at the other node. If its record was in the store,
                // this node may have taken it.
                let stale = self.keys.get(&pending.key.index_key()).copied();
                let stale = stale.filter(|it| {
                    // What has come here for another claim is newer.
                    let is_old = self.is_ahead(*it) && !pending.has_come;
                    is_old
                        || !is_first
                        || pending.doubt.is_some()
                        || stored.is_none() && self.is_lent(*it)
                });
                if let Some(stale) = stale {
                    self.let_go(stale);
                }
                self.take_in(now, id, &pending, &session)
            }
            Err(code) => Err(refusal(code)),
        };
        self.conclude_claim(pending, arrived, in_store);
    }

    fn take_in(
        &mut self,
        now: Timestamp,
        id: u32,
        pending: &Pending<Successor>,
        session: &str,
    ) -> Result<SocketKey, RecoveryRefusal> {
        let node = self.node.as_ref().ok_or(RecoveryRefusal::Unknown)?;
        let arrival = (node.codec.unpack)(session).ok_or(RecoveryRefusal::Unanswered)?;
        if arrival.key() != &pending.key || pending.position.is_none() {
            return Err(RecoveryRefusal::Unanswered);
        }
        let arrival =
            node.changes.apply(id, arrival).map_err(|Forgotten| RecoveryRefusal::Limit)?;
        self.bring_in(now, id, arrival.ok_or(RecoveryRefusal::Unknown)?)
    }

    /// Brings in a session. It then is parked here.
    pub(in crate::hub) fn bring_in(
        &mut self,
        now: Timestamp,
        id: u32,
        arrival: Arrival<D>,
    ) -> Result<SocketKey, RecoveryRefusal> {
        let key = arrival.key().index_key();
        if self.keys.get(&key).is_some() {
            return Err(RecoveryRefusal::Unanswered);
        }
        if self.namespaces.get(&id).is_some_and(Namespace::is_vacant) {
            self.occupy(id);
        }
        let generation = self.next_generation.take();
        let arrive = Change::Arrive { arrival: Box::new(arrival), generation };
        let arrived = self.with_namespace(id, |namespace, _| namespace.sessions.apply(now, arrive));
        let Some(Effect::Opened(index)) = arrived else {
            return Err(RecoveryRefusal::Gap);
        };
        let socket = SocketKey { namespace: id, index, generation };
        self.keys.insert(key, socket);
        increment(&mut self.totals.sessions_arrived);
        self.expire(Timestamp::ZERO, id);
        self.settle(id);
        Ok(socket)
    }
}
