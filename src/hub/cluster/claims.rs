//! The claims of a node that others have not answered.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

use super::pending::{Doubt, Pending, Priority, numbers_of};
use crate::{
    cluster::message::NodeId,
    hub::request::ConnectRequest,
    id::{IdBytes, RecoveryKey, SocketKey},
    recovery::Offset,
    time::Timestamp,
};

/// The claims of a node that others have not answered. `S` is a later claim of another node.
pub(super) struct Claims<S> {
    /// The number of the latest claim. Another process with the same name has other numbers.
    latest: u64,
    pending: BTreeMap<u64, Pending<S>>,
    by_key: BTreeSet<(IdBytes, u64)>,
    by_namespace: BTreeSet<(u32, u64)>,
    /// Until when each may be answered.
    ends: BTreeSet<(Timestamp, u64)>,
    /// Those that wait for an owner before they take its record, and until when.
    patient: BTreeSet<(Timestamp, u64)>,
}

/// How long a late answer can be used.
pub(super) const LATENESS: Duration = Duration::from_secs(60);

impl<S> Claims<S> {
    pub(super) fn new(nonce: u64) -> Self {
        Self {
            latest: nonce,
            pending: BTreeMap::new(),
            by_key: BTreeSet::new(),
            by_namespace: BTreeSet::new(),
            ends: BTreeSet::new(),
            patient: BTreeSet::new(),
        }
    }

    /// Adds a claim that is waited for until `until`. Returns its number.
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        (key, offset, priority): (RecoveryKey, Option<Box<str>>, Priority),
        request: ConnectRequest,
        until: Timestamp,
    ) -> u64 {
        while let Some((end, number)) = self.ends.first().copied()
            && end <= now
        {
            self.remove(number);
        }
        self.latest = self.latest.wrapping_add(1);
        let (number, end) = (self.latest, until.saturating_add(LATENESS));
        let patience = now.saturating_add(until.saturating_since(now) / 2);
        let pending = Pending::new((key, offset, priority), request, end, patience);
        self.pending.insert(number, pending);
        self.by_key.insert((key.index_key(), number));
        self.by_namespace.insert((request.namespace, number));
        self.ends.insert((end, number));
        number
    }

    /// Until when a session may come here for a claim. `None` if none is waited for.
    pub(super) fn awaited_until(&self, now: Timestamp) -> Option<Timestamp> {
        let (end, _) = self.ends.last()?;
        Some(end.saturating_sub(LATENESS)).filter(|until| *until > now)
    }

    /// A claim is waited for until `until`.
    pub(super) fn prolong(&mut self, number: u64, until: Timestamp) {
        if let Some(pending) = self.pending.get_mut(&number) {
            self.ends.remove(&(pending.end, number));
            pending.end = until.saturating_add(LATENESS);
            self.ends.insert((pending.end, number));
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Pending<S>> {
        let pending = self.pending.remove(&number)?;
        self.by_key.remove(&(pending.key.index_key(), number));
        self.by_namespace.remove(&(pending.request.namespace, number));
        self.ends.remove(&(pending.end, number));
        self.patient.remove(&(pending.patience, number));
        Some(pending)
    }

    /// The record for a claim was found, and its owner may know more. Returns whether it is time to take
    /// it.
    pub(super) fn await_owner(&mut self, now: Timestamp, number: u64) -> bool {
        let Some(pending) = self.pending.get(&number) else { return false };
        let is_over = pending.patience <= now;
        if is_over {
            self.patient.remove(&(pending.patience, number));
        } else {
            self.patient.insert((pending.patience, number));
        }
        is_over
    }

    /// A claim asks about a session of this node that another node may have.
    pub(super) fn doubt(&mut self, number: u64, socket: SocketKey) {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.doubt = Some(Doubt::new(socket));
        }
    }

    /// A claim that asks about a session of this node is looked at again at this time.
    pub(super) fn look_again(&mut self, number: u64, at: Timestamp) {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.patience = at;
            self.patient.insert((at, number));
        }
    }

    /// A claim that has waited for an owner for long enough.
    pub(super) fn pop_impatient(&mut self, now: Timestamp) -> Option<u64> {
        let (end, number) = self.patient.first().copied()?;
        (end <= now).then(|| self.patient.pop_first()).map(|_| number)
    }

    /// When the next claim has waited for an owner for long enough.
    pub(super) fn patience_ends(&self) -> Timestamp {
        self.patient.first().map_or(Timestamp::NEVER, |it| it.0)
    }

    /// The versions with which claims of a session replace its record.
    pub(super) fn replacements(&self, key: RecoveryKey) -> impl Iterator<Item = u64> {
        let pending = self.numbers(key).into_iter().filter_map(|it| self.pending.get(&it));
        pending.filter_map(|pending| pending.lookup.replaced_as)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Pending<S>> {
        self.pending.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Pending<S>> {
        self.pending.get_mut(&number)
    }

    /// The private id that a claim presents.
    pub(super) fn key(&self, number: u64) -> Option<RecoveryKey> {
        self.get(number).map(|pending| pending.key)
    }

    /// Whether a session with this private id is on its way here, or may be.
    pub(super) fn is_claimed(&self, key: RecoveryKey) -> bool {
        !self.numbers(key).is_empty()
    }

    /// Whether a session may be on its way into this namespace.
    pub(super) fn concern(&self, namespace: u32) -> bool {
        self.by_namespace.range((namespace, 0)..=(namespace, u64::MAX)).next().is_some()
    }

    /// The node has read its claim.
    pub(super) fn note_read(&mut self, number: u64, position: Offset) {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.position = Some(position);
        }
    }

    /// Notes a later claim of the same session.
    pub(super) fn note_successor(&mut self, key: RecoveryKey, successor: impl Fn() -> S) {
        for number in self.numbers(key) {
            let pending = self.pending.get_mut(&number);
            if let Some(pending) = pending.filter(|pending| pending.position.is_some()) {
                pending.successor = Some(successor());
                pending.successors = pending.successors.saturating_add(1);
            }
        }
    }

    /// A node has said goodbye in all its namespaces.
    pub(super) fn note_goodbye(&mut self, node: &NodeId) {
        for pending in self.pending.values_mut() {
            pending.absent.take_if(|absent| !absent.contains(node));
        }
    }

    /// A session has come here. The record that was found for other claims is of no use any more.
    pub(super) fn note_arrival(&mut self, key: RecoveryKey) {
        for number in self.numbers(key) {
            let pending = self.pending.get_mut(&number);
            if let Some(pending) = pending.filter(|pending| pending.position.is_some()) {
                pending.has_come = true;
            }
        }
    }

    /// Whether the record of a session is being taken out of the store.
    pub(super) fn is_taken(&self, key: RecoveryKey) -> bool {
        let mut pending = self.numbers(key).into_iter().filter_map(|it| self.pending.get(&it));
        pending.any(|pending| pending.lookup.is_taken)
    }

    /// The claims of a session that no later claim of another node follows.
    pub(super) fn without_successor(&self, key: RecoveryKey) -> impl Iterator<Item = &Pending<S>> {
        let pending = self.numbers(key).into_iter().filter_map(|number| self.pending.get(&number));
        pending.filter(|pending| pending.position.is_some() && pending.successor.is_none())
    }

    /// The requests that wait for a session, each with whether a later claim of another node follows
    /// it.
    pub(super) fn requests(&self, key: RecoveryKey) -> Vec<(ConnectRequest, bool)> {
        let pending = self.numbers(key).into_iter().filter_map(|it| self.pending.get(&it));
        pending.map(|pending| (pending.request, pending.successor.is_some())).collect()
    }

    /// The claims of the same session that were in the channel before this one.
    pub(super) fn before(&self, pending: &Pending<S>) -> impl Iterator<Item = &Pending<S>> {
        let at = pending.position;
        let all = self.numbers(pending.key).into_iter().filter_map(|it| self.pending.get(&it));
        all.filter(move |other| other.position.is_some() && other.position < at)
    }

    /// Whether the request of a claim has claimed the session once more.
    pub(super) fn has_asked_again(&self, number: u64, claim: &Pending<S>) -> bool {
        let later = self.numbers(claim.key).into_iter().filter(|other| *other > number);
        let mut later = later.filter_map(|other| self.pending.get(&other));
        later.any(|later| later.request == claim.request)
    }

    /// The numbers of the claims of a session.
    pub(super) fn numbers(&self, key: RecoveryKey) -> Vec<u64> {
        self.by_key.range(numbers_of(key)).map(|(_, number)| *number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnectionId;

    fn key(number: u8) -> RecoveryKey {
        RecoveryKey::from_entropy(&mut |dest: &mut [u8]| dest.fill(number))
    }

    fn request() -> ConnectRequest {
        ConnectRequest { connection: ConnectionId::from_raw(1), namespace: 0, serial: 0 }
    }

    fn add(claims: &mut Claims<u8>, now: u64, of: u8) -> u64 {
        let now = Timestamp::from_millis(now);
        claims.add(
            now,
            (key(of), None, Priority::Takes),
            request(),
            now.saturating_add(Duration::from_secs(1)),
        )
    }

    /// What other nodes have answered to the first one is old then.
    #[test]
    fn only_the_latest_claim_of_a_request_counts() {
        let mut claims = Claims::<u8>::new(7);
        let (first, other_session) = (add(&mut claims, 0, 1), add(&mut claims, 0, 2));
        let has_asked_again = |claims: &Claims<u8>, number| {
            claims.has_asked_again(number, claims.get(number).unwrap())
        };
        assert!(!has_asked_again(&claims, first));
        let second = add(&mut claims, 0, 1);
        let asked = [first, other_session, second].map(|it| has_asked_again(&claims, it));
        assert_eq!(asked, [true, false, false]);
    }

    #[test]
    fn a_claim_that_nobody_answers_is_forgotten() {
        let mut claims = Claims::<u8>::new(7);
        let number = add(&mut claims, 0, 1);
        claims.note_read(number, Offset::pair(0, 1));
        claims.note_successor(key(1), || 9);
        claims.note_successor(key(2), || 8);
        assert_eq!(claims.requests(key(1)), [(request(), true)]);
        add(&mut claims, 60_999, 2);
        assert_eq!(claims.requests(key(1)).len(), 1);
        add(&mut claims, 61_000, 2);
        assert_eq!((claims.requests(key(1)).len(), claims.requests(key(2)).len()), (0, 2));
        assert!(claims.remove(number).is_none());
        assert_eq!((claims.by_key.len(), claims.ends.len()), (2, 2));
    }
}
