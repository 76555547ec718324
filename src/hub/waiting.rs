//! The CONNECTs that are not answered yet, and what is kept for each of them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    elsewhere::Lookup,
    message::{Attached, ConnectSerial},
    pacing::Held,
    request::ConnectRequest,
    turns::Turns,
    unconfirmed::Unconfirmed,
    wait::Wait,
};
use crate::{
    config::ServerConfig,
    id::{ConnectionId, SocketKey},
    recovery::{Offset, RecoveryRefusal},
    socket::Json,
    time::Timestamp,
};

/// CONNECTs that are not answered yet.
pub(super) struct Connects {
    pub(super) waiting: BTreeMap<(ConnectionId, u32), WaitingConnect>,
    next_serial: u64,
    pub(super) unconfirmed: Unconfirmed,
    /// Those that claim a session and wait for their turn.
    pub(super) turns: Turns,
    /// Sessions that were held for claims which are now decided.
    pub(super) released: Vec<Held>,
    /// Claims that wait for the application, by the time until which their sessions are held.
    pub(super) overdue: BTreeSet<(Timestamp, ConnectRequest)>,
    /// The same by session.
    pub(super) deciding: BTreeSet<(SocketKey, ConnectRequest)>,
    /// Claims that are looked up elsewhere, by the time until which they wait for the answer.
    pub(super) lookups: BTreeSet<(Timestamp, ConnectRequest)>,
    /// Claims whose sessions are taken out of the store of a cluster, by the time until which they
    /// wait for it.
    pub(super) recalls: BTreeSet<(Timestamp, ConnectRequest)>,
}

/// A CONNECT that is not answered yet: it waits for its turn, for a lookup, or for the application.
pub(super) struct WaitingConnect {
    pub(super) serial: u64,
    pub(super) asked: Asked,
    pub(super) auth: Json,
    /// The session that the client claims, as looked up when the request arrived.
    pub(super) claimed: Option<Result<Held, RecoveryRefusal>>,
    /// The offset that the client has presented, if this node of a cluster has read less.
    pub(super) presented: Option<Offset>,
    is_held: bool,
    /// How the claim is looked up elsewhere.
    pub(super) lookup: Option<Lookup>,
    /// Until when it waits for its session to be taken out of the store.
    pub(super) recall: Option<Wait>,
}

impl WaitingConnect {
    pub(super) fn new(
        serial: u64,
        asked: Asked,
        auth: Json,
        (claimed, presented): (Option<Result<Held, RecoveryRefusal>>, Option<Offset>),
        lookup: Option<Lookup>,
    ) -> Self {
        Self { serial, asked, auth, claimed, presented, is_held: true, lookup, recall: None }
    }

    /// The session that is held for it.
    pub(super) fn held(&self) -> Option<Held> {
        self.claimed?.ok().filter(|_| self.is_held)
    }
}

/// A CONNECT as the link has reported it.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) from: ConnectionId,
    pub(super) serial: ConnectSerial,
    /// The earlier CONNECT of the same client that has not been answered, if there is one.
    pub(super) earlier: Option<ConnectSerial>,
    /// The session that the client already has in the namespace.
    pub(super) replaced: Option<Attached>,
}

impl Connects {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self {
            waiting: BTreeMap::new(),
            next_serial: 0,
            unconfirmed: Unconfirmed::default(),
            turns: Turns::new(config),
            released: Vec::new(),
            overdue: BTreeSet::new(),
            deciding: BTreeSet::new(),
            lookups: BTreeSet::new(),
            recalls: BTreeSet::new(),
        }
    }

    /// The number of the next CONNECT.
    pub(super) fn next_serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        serial
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.turns.deadline()
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn queued_count(&self) -> usize {
        self.turns.len()
    }

    /// The session that is held for a request.
    pub(super) fn held(&self, request: ConnectRequest) -> Option<Held> {
        self.get(request)?.held()
    }

    /// When the next held session is released because the application has not answered its claim,
    /// or the next lookup ends because nobody has answered it.
    pub(super) fn overdue_at(&self) -> Timestamp {
        first(&self.overdue).min(first(&self.lookups)).min(first(&self.recalls))
    }

    /// Removes and returns a claim that the application has not answered in time.
    pub(super) fn pop_overdue(&mut self, now: Timestamp) -> Option<(Timestamp, ConnectRequest)> {
        if first(&self.overdue) <= now { self.overdue.pop_first() } else { None }
    }

    /// Starts the time of the lookup of a request. Returns the lookup.
    pub(super) fn begin_lookup(&mut self, request: ConnectRequest) -> Option<&Lookup> {
        let lookup = self.get_mut(request)?.lookup.as_mut()?;
        lookup.is_under_way = true;
        let until = lookup.wait.until;
        self.lookups.insert((until, request));
        self.get(request)?.lookup.as_ref()
    }

    /// Whether a claim is looked up elsewhere.
    pub(super) fn is_looked_up(&self, request: ConnectRequest) -> bool {
        let lookup = self.get(request).and_then(|waiting| waiting.lookup.as_ref());
        lookup.is_some_and(|lookup| lookup.is_under_way)
    }

    /// Notes that other nodes are asked for the session of a claim. Returns whether they were asked
    /// before.
    pub(super) fn note_try(&mut self, request: ConnectRequest) -> Option<bool> {
        let lookup = self.get_mut(request)?.lookup.as_mut()?;
        lookup.tries = lookup.tries.saturating_add(1);
        Some(lookup.tries > 1)
    }

    /// Removes and returns a claim whose lookup was not answered in time.
    pub(super) fn pop_overdue_lookup(&mut self, now: Timestamp) -> Option<ConnectRequest> {
        let overdue = if first(&self.lookups) <= now { self.lookups.pop_first() } else { None };
        overdue.map(|(_, request)| request)
    }

    /// A lookup goes on until `until`, or until its limit. Returns false if that is over.
    pub(super) fn prolong_lookup(&mut self, request: ConnectRequest, until: Timestamp) -> bool {
        let lookup = self.get_mut(request).and_then(|waiting| waiting.lookup.as_mut());
        let prolonged = lookup.and_then(|lookup| lookup.wait.prolong(until));
        let Some((before, until)) = prolonged else { return false };
        self.lookups.remove(&(before, request));
        self.lookups.insert((until, request))
    }

    /// Ends the lookup of a request. Returns false if it is not looked up.
    pub(super) fn end_lookup(&mut self, request: ConnectRequest) -> bool {
        let lookup = self.get_mut(request).and_then(|waiting| waiting.lookup.as_mut());
        let Some(lookup) = lookup.filter(|lookup| lookup.is_under_way) else { return false };
        lookup.is_under_way = false;
        let until = lookup.wait.until;
        self.lookups.remove(&(until, request));
        true
    }

    /// Why the lookup of a claim fails if it is not answered.
    pub(super) fn note_refusal(&mut self, request: ConnectRequest, refusal: RecoveryRefusal) {
        if let Some(lookup) = self.get_mut(request).and_then(|waiting| waiting.lookup.as_mut()) {
            lookup.refusal = Some(refusal);
        }
    }

    /// A claim waits until its session was taken out of the store.
    pub(super) fn begin_recall(&mut self, request: ConnectRequest, wait: Wait) {
        if let Some(waiting) = self.get_mut(request) {
            waiting.recall = Some(wait);
            self.recalls.insert((wait.until, request));
        }
    }

    /// A claim waits for the store until `until`, or until its limit. Returns false if that is over.
    pub(super) fn prolong_recall(&mut self, request: ConnectRequest, until: Timestamp) -> bool {
        let recall = self.get_mut(request).and_then(|waiting| waiting.recall.as_mut());
        let Some((before, until)) = recall.and_then(|wait| wait.prolong(until)) else {
            return false;
        };
        self.recalls.remove(&(before, request));
        self.recalls.insert((until, request))
    }

    /// The session of a claim was taken out of the store, or cannot be. Returns whether the claim
    /// has waited for it.
    pub(super) fn end_recall(&mut self, request: ConnectRequest) -> bool {
        let recall = self.get_mut(request).and_then(|waiting| waiting.recall.take());
        recall.is_some_and(|wait| self.recalls.remove(&(wait.until, request)))
    }

    /// A claim whose session was not taken out of the store in time.
    pub(super) fn overdue_recall(&self, now: Timestamp) -> Option<ConnectRequest> {
        let (until, request) = self.recalls.first()?;
        (*until <= now).then_some(*request)
    }

    /// Sets the session of a claim that was looked up. Returns whether the client had sent an
    /// earlier CONNECT that was not answered.
    pub(super) fn set_claimed(
        &mut self,
        request: ConnectRequest,
        claimed: Result<Held, RecoveryRefusal>,
    ) -> bool {
        let Some(waiting) = self.get_mut(request) else {
            return false;
        };
        waiting.claimed = Some(claimed);
        waiting.is_held = true;
        waiting.asked.earlier.is_some()
    }

    /// Stops holding a session for a request. Returns the session that was held.
    pub(super) fn take_held(&mut self, request: ConnectRequest) -> Option<Held> {
        let waiting = self.get_mut(request)?;
        let held = waiting.held();
        waiting.is_held = false;
        held
    }

    /// Holds the session of a claim while the application decides.
    pub(super) fn hold_until(&mut self, request: ConnectRequest, until: Timestamp) {
        if let Some(Ok(held)) = self.get_mut(request).and_then(|waiting| waiting.claimed.as_mut()) {
            held.until = until;
            let socket = held.socket;
            self.overdue.insert((until, request));
            self.deciding.insert((socket, request));
        }
    }

    /// Whether the application was asked about a claim of a session, which is held meanwhile.
    pub(super) fn is_deciding(&self, socket: SocketKey) -> bool {
        self.first_deciding(socket).is_some()
    }

    /// A claim of a session that the application decides about.
    pub(super) fn first_deciding(&self, socket: SocketKey) -> Option<ConnectRequest> {
        let connection = ConnectionId::from_raw(0);
        let first = ConnectRequest { connection, namespace: 0, serial: 0 };
        let (deciding, request) = self.deciding.range((socket, first)..).next()?;
        (*deciding == socket).then_some(*request)
    }

    fn get_mut(&mut self, request: ConnectRequest) -> Option<&mut WaitingConnect> {
        let waiting = self.waiting.get_mut(&(request.connection, request.namespace))?;
        (waiting.serial == request.serial).then_some(waiting)
    }

    pub(super) fn get(&self, request: ConnectRequest) -> Option<&WaitingConnect> {
        let waiting = self.waiting.get(&(request.connection, request.namespace))?;
        (waiting.serial == request.serial).then_some(waiting)
    }
}

fn first(moments: &BTreeSet<(Timestamp, ConnectRequest)>) -> Timestamp {
    moments.first().map_or(Timestamp::NEVER, |(until, _)| *until)
}
