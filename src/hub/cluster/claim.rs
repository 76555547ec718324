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

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    description,
    pending::{Priority, is_before, process_of},
    record,
};
use crate::{
    cluster::{
        FetchedSession,
        message::{Body, Message, NodeId, OwnKind, StoredSession, Value},
    },
    hub::{
        Hub,
        request::ConnectRequest,
        sessions::{Arrival, Parked, Sessions, private_id},
    },
    id::RecoveryKey,
    recovery::{Offset, RecoveryRefusal},
    stats::increment,
    time::Timestamp,
};

/// How sessions become plain data.
pub(super) struct Codec<D> {
    pub(super) pack: fn(&Sessions<D>, Timestamp, u32, Option<&str>) -> Packed,
    pub(super) unpack: fn(&str) -> Option<Arrival<D>>,
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
    pub(super) offset: Option<Box<str>>,
    /// The claimant has everything after this position.
    pub(super) covered: Offset,
    /// It does not take the session from another client that has it, or waits for it: another claim
    /// has come in between. It does not take it from the store either, unless no node has it.
    #[serde(default)]
    pub(super) yields: bool,
    /// The claimant has the session, but another node may have it as well: with one of these versions of its record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) doubts: Vec<u64>,
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
        let covered = self.covered(request.namespace);
        let Some(yields) = self.connects.note_try(request) else { return };
        let node = self.node.as_mut();
        if !yields && !node.is_some_and(|node| node.guesses.may_ask(now, request.connection)) {
            self.end_lookup(now, request, RecoveryRefusal::Limit);
            return;
        }
        let priority = if yields { Priority::Yields } else { Priority::Takes };
        let Some((node, covered)) = self.node.as_mut().zip(covered) else { return };
        node.answered.forget_until(now);
        let number = node.claims.add(now, (key, offset.clone(), priority), request, until);
        let entry = ClaimEntry { number, pid: key, offset, covered, yields, doubts: Vec::new() };
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

    /// The position after which this node has everything of a namespace.
    pub(super) fn covered(&self, id: u32) -> Option<Offset> {
        let log = self.namespaces.get(&id)?.sessions.log();
        log.kept_position(log.evicted())
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
        if let Some((socket, process)) = held.zip(process_of(message)) {
            node.records.contests.note_claimant(socket, process);
        }
        if !claim.doubts.is_empty() {
            return self.answer_doubt(now, id, message, &claim);
        }
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
        node.answered.note_successor(claim.pid, successor);
        if is_absent {
            self.tell_absent(id, &message.sender, claim.number);
        } else {
            self.hand_over(now, id, &message.sender, &claim);
        }
    }

    /// This node has read a claim of its own.
    fn begin_claim(&mut self, now: Timestamp, claim: &ClaimEntry) {
        if !claim.doubts.is_empty() {
            return self.weigh_doubt(claim.number);
        }
        let Some(node) = &mut self.node else { return };
        if self.keys.get(&claim.pid.index_key()).is_none() {
            if claim.yields {
                // The node that the session has gone to decides.
                return self.end_if_absent(claim.number);
            }
            return self.fetch_record(claim.number);
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
}

impl<D> fmt::Debug for Codec<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}
