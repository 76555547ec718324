//! How a client gets its session from the node where it was before.
//!
//! ```text
//!   claimant          channel            owner
//!   CONNECT ─ Claim ─►   c  ───────────► reads c: the session ends here, as it is at c
//!                        ⋮
//!   reads h: parked ◄──  h  ◄─ Handover ─┘
//!   here, then claimed
//! ```
//!
//! All nodes read both entries at the same places, so a session has one owner at each position. What
//! concerns the session between `c` and `h` is applied by the claimant. If the client is gone by
//! then, its session waits here.

use alloc::{boxed::Box, string::String};
use core::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    changes::Forgotten,
    claims::{Pending, Priority, is_before},
    codes::{code, refusal},
    description,
    placed::InStore,
    record,
};
use crate::{
    cluster::{
        FetchedSession,
        message::{Body, Message, NodeId, OwnKind, StoredSession, Value},
    },
    hub::{
        Hub,
        namespace::Namespace,
        reason::EndCause,
        request::ConnectRequest,
        sessions::{Arrival, Change, Effect, Parked, Sessions, private_id},
    },
    id::{RecoveryKey, SocketKey},
    recovery::{Offset, RecoveryRefusal},
    stats::increment,
    time::Timestamp,
};

/// How sessions become plain data.
pub(super) struct Codec<D> {
    pack: fn(&Sessions<D>, Timestamp, u32, Option<&str>) -> Packed,
    unpack: fn(&str) -> Option<Arrival<D>>,
    /// The data of a socket, for other nodes.
    pub(super) describe: fn(&D) -> Value,
    pub(super) write: fn(&Sessions<D>, Timestamp, u32, u64, bool) -> Option<FetchedSession>,
    pub(super) read: fn(&StoredSession) -> Option<Parked<D>>,
    /// The data of a session that an official node has stored.
    pub(super) read_data: fn(&Value) -> Option<D>,
}

/// A later claim of another node.
pub(super) type Successor = (NodeId, ClaimEntry);

/// Whether a claim that waits, with its namespace, takes the session whoever wants it.
pub(super) const fn takes((_, (_, claim)): &(u32, Successor)) -> bool {
    !claim.yields
}

/// The text of a session, and where its client resumes.
type Packed = Result<(String, Offset), RecoveryRefusal>;

/// The contents of [`OwnKind::Claim`].
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ClaimEntry {
    pub(super) number: u64,
    #[serde(with = "private_id")]
    pub(super) pid: RecoveryKey,
    offset: Option<Box<str>>,
    /// The claimant has everything after this position.
    covered: Offset,
    /// It does not take the session from another client that has it, or waits for it: another claim
    /// has come in between. It does not take it from the store either, unless no node has it.
    #[serde(default)]
    pub(super) yields: bool,
}

/// The contents of [`OwnKind::RecordResponse`].
#[derive(Serialize, Deserialize)]
struct Handover {
    to: String,
    number: u64,
    /// The text of the session, or why it cannot be recovered.
    session: Result<String, u8>,
    /// The version of the record that may be in the store, and whether it certainly was there.
    #[serde(default)]
    stored: Option<(u64, bool)>,
    /// The version before it, which may still be there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    older: Option<u64>,
}

impl<D: Clone + Serialize + DeserializeOwned> Codec<D> {
    pub(super) fn new() -> Self {
        Self {
            pack: |sessions, now, index, offset| {
                let arrival = sessions.departure(now, index, offset)?;
                let text = serde_json::to_string(&arrival);
                Ok((text.map_err(|_| RecoveryRefusal::Limit)?, arrival.resume()))
            },
            unpack: |text| serde_json::from_str(text).ok(),
            describe: description::data,
            write: record::write,
            read: record::read,
            read_data: |data| data.parse().ok(),
        }
    }
}

impl<D: Default> Hub<D> {
    /// Claims a session that another node may have.
    pub(in crate::hub) fn claim_elsewhere(
        &mut self,
        request: ConnectRequest,
        key: RecoveryKey,
        offset: Option<Box<str>>,
        until: Timestamp,
    ) {
        let now = self.now;
        let covered = self.namespaces.get(&request.namespace).and_then(|namespace| {
            let log = namespace.sessions.log();
            log.kept_position(log.evicted())
        });
        let Some(yields) = self.connects.note_try(request) else { return };
        let node = self.node.as_mut();
        if !yields && !node.is_some_and(|node| node.guesses.may_ask(now, request.connection)) {
            self.end_lookup(now, request, RecoveryRefusal::Limit);
            return;
        }
        let priority = if yields { Priority::Yields } else { Priority::Takes };
        let Some((node, covered)) = self.node.as_mut().zip(covered) else { return };
        let number = node.claims.add(now, (key, offset.clone(), priority), request, until);
        let entry = ClaimEntry { number, pid: key, offset, covered, yields };
        let data = Value::new(&entry).unwrap_or(Value::null());
        let bytes = data.json().len();
        if self.append(request.namespace, Body::Own { kind: OwnKind::Claim, data }, bytes).is_err()
        {
            if let Some(node) = &mut self.node {
                node.claims.remove(number);
            }
            let refusal = self.unanswered();
            self.end_lookup(now, request, refusal);
        }
    }

    /// A node claims a session.
    pub(super) fn apply_claim(
        &mut self,
        now: Timestamp,
        (id, position): (u32, Offset),
        message: &Message,
        data: &Value,
    ) {
        let Ok(claim) = data.parse::<ClaimEntry>() else {
            increment(&mut self.totals.entries_skipped);
            return;
        };
        let Some(node) = &mut self.node else { return };
        if node.channels.is_own(message) {
            node.claims.note_read(claim.number, position);
            self.begin_claim(now, &claim);
            return;
        }
        let held = self.keys.get(&claim.pid.index_key()).copied();
        if claim.yields && held.is_some_and(|socket| node.is_promised(socket)) {
            // The node that the session goes to has read this claim as well, and answers it.
            return;
        }
        // A claim that the application decides about may come to nothing.
        let is_deciding = held.is_some_and(|socket| self.connects.is_deciding(socket));
        if claim.yields && !is_deciding && self.is_wanted(claim.pid) {
            return self.supersede(id, &message.sender, &claim);
        }
        let is_absent = self.is_absent(claim.pid);
        if !is_absent && !is_before(claim.offset.as_deref(), position) {
            // The claimant sees that as well, so it does not take the record.
            if held.is_some() {
                self.refuse_handover(id, &message.sender, &claim, RecoveryRefusal::InvalidOffset);
            }
            return;
        }
        let Some(node) = &mut self.node else { return };
        let successor = || (message.sender.clone(), claim.clone());
        node.claims.note_successor(claim.pid, successor);
        if is_absent {
            self.tell_absent(id, &message.sender, claim.number);
        } else {
            self.hand_over(now, id, &message.sender, &claim);
        }
    }

    /// Hands a session over, if it is here.
    pub(super) fn hand_over(&mut self, now: Timestamp, id: u32, to: &NodeId, claim: &ClaimEntry) {
        let Some(socket) = self.keys.get(&claim.pid.index_key()).copied() else { return };
        let namespace = self.namespaces.get(&socket.namespace);
        let member = namespace.and_then(|namespace| namespace.member(socket));
        if member.and_then(|member| member.key) != Some(claim.pid) {
            return;
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
        let packed = self.pack(now, id, socket, claim);
        let is_handed_over = packed.is_ok();
        let Some(node) = &self.node else { return };
        let in_store = node.records.in_store(socket);
        // Another node may have taken it out of the store.
        if is_handed_over && in_store.is_some() && node.records.is_contested(socket) {
            return self.leave_to_the_store(socket, in_store);
        }
        let session = packed.map_err(code);
        let stored = node.in_store(socket);
        let older = stored.and_then(|it| it.older);
        let stored = stored.map(|it| (it.version, it.is_certain));
        let (to, number) = (to.as_str().into(), claim.number);
        let handover = Handover { to, number, session, stored, older };
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

    /// This node has read a claim of its own.
    fn begin_claim(&mut self, now: Timestamp, claim: &ClaimEntry) {
        let Some(node) = &mut self.node else { return };
        if self.keys.get(&claim.pid.index_key()).is_none() {
            if claim.yields {
                // The node that the session has gone to decides.
                return self.end_if_absent(claim.number);
            }
            return node.records.fetch(claim.number);
        }
        // By now, everything was read that the client can have processed, and the session is here.
        if let Some(request) = node.claims.get(claim.number).map(|pending| pending.request) {
            self.end_lookup(now, request, RecoveryRefusal::Unknown);
        }
    }

    /// Whether a client has the session here, or waits for it.
    pub(super) fn is_wanted(&self, key: RecoveryKey) -> bool {
        let Some(node) = &self.node else { return false };
        let Some(socket) = self.keys.get(&key.index_key()).copied() else {
            let mut pending = node.claims.without_successor(key);
            return pending.any(|pending| self.connects.is_looked_up(pending.request));
        };
        let namespace = self.namespaces.get(&socket.namespace);
        namespace.is_some_and(|it| !it.sessions.is_idle(socket.index))
    }

    /// Answers a claim that does not take the session from a client that has it.
    pub(super) fn supersede(&mut self, id: u32, to: &NodeId, claim: &ClaimEntry) {
        self.refuse_handover(id, to, claim, RecoveryRefusal::Superseded);
    }

    fn refuse_handover(
        &mut self,
        id: u32,
        to: &NodeId,
        claim: &ClaimEntry,
        refusal: RecoveryRefusal,
    ) {
        let (to, session) = (to.as_str().into(), Err(code(refusal)));
        let handover = Handover { to, number: claim.number, session, stored: None, older: None };
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
    pub(super) fn apply_handover(&mut self, now: Timestamp, id: u32, data: &Value) {
        let Ok(handover) = data.parse::<Handover>() else {
            increment(&mut self.totals.entries_skipped);
            return;
        };
        let Handover { to, number, session, stored, older } = handover;
        let Some(node) = self.node.as_mut().filter(|it| it.channels.node().as_str() == to) else {
            return;
        };
        if let (Err(code), Some(pending)) = (&session, node.claims.get_mut(number))
            && pending.is_taken
        {
            // The record that is on its way here decides.
            pending.refused = Some(refusal(*code));
            return;
        }
        let Some(pending) = node.claims.remove(number) else {
            return;
        };
        // A take of this node that is under way may get the record.
        let is_taken = pending.is_taken || node.claims.is_taken(pending.key);
        let in_store = stored.map(|(version, is_certain)| {
            let is_certain = is_certain && older.is_none() && !is_taken;
            // The session is as it is now, and its record as it was before.
            InStore { version, older, is_certain, is_outdated: true }
        });
        let arrived = match session {
            Ok(session) => {
                // What is still here has gone on at the other node. If its record was in the store,
                // this node may have taken it.
                let stale = self.keys.get(&pending.key.index_key()).copied();
                let stale = stale.filter(|it| {
                    // What has come here for another claim is newer.
                    let is_old = self.is_ahead(*it) && !pending.has_come;
                    is_old || stored.is_none() && self.is_lent(*it)
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

impl<D> fmt::Debug for Codec<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}
